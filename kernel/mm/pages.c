// SPDX-License-Identifier: Apache-2.0
/*
 * State of the pages of the user zone. A byte per page, in leaves of 32 MiB that exist only where
 * pages have been used. The byte remembers what the host was told, so that the host is called
 * only when something changes: mapping, touching and unmapping a small range over and over
 * costs the zeroing of recycled pages and nothing else.
 *
 * Two counters bound memory: `charged` counts pages of live mappings, `cached` counts freed pages
 * that the host still keeps for us. Together they stay below user_space_size (freed pages are
 * given back to the host when they would not), and freed ranges that are large go back at once
 * when a lot is cached.
 *
 * Locks: none here. Bytes belong to the owner of the address; leaves appear by compare-and-swap
 * and stay; counters are atomic. The two mutexes are waited for inside: callers are in the middle
 * of a change of mappings that relatives must not see (docs/fork.md).
 */
#include "kernel/mm/pages.h"

#include "abi/errno.h"
#include "kernel/arch/commit.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/kept.h"
#include "kernel/mm/zone.h"
#include "kernel/sync/mutex.h"
#include "lib/base/string.h"

#define LOG_TAG "mm"
#include "kernel/core/log.h"

#define LEAF_SHIFT    PAGES_LEAF_SHIFT
#define LEAF_SIZE     PAGES_LEAF_SIZE
#define LEAF_PAGES    (LEAF_SIZE >> PAGE_SHIFT)
#define LEAF_KPAGES   (LEAF_PAGES / PAGE_SIZE)
#define FREE_BIG      MIB(1)  /* freed ranges from this size on may go back to the host */
#define WINDOW_SIZE   KIB(64) /* where pages are filled that must appear at once */

/* What a page loses with its bytes: where the CPU gives them, also that it can be reached. */
#define DISCARD_TAKES (COMMIT_IS_HARDWARE ? PAGE_PROT | PAGE_UNKNOWN : 0)

struct pages_index pages_index;

static struct {
	u64 limit, charged, cached, watermark; /* pages; charged and cached are atomic */
	bool strict;
	bool exhaustion_logged;
	struct mutex window_lock;
	u64 window; /* 0: not made yet */
	struct mutex trim_lock;
} pages;

int pages_init(u64 start, u64 end, u64 limit, bool strict)
{
	pages_index.base = ALIGN_DOWN(start, LEAF_SIZE);
	pages_index.leaf_count = (end - pages_index.base + LEAF_SIZE - 1) >> LEAF_SHIFT;
	pages_index.leaves = kcalloc(pages_index.leaf_count, sizeof(*pages_index.leaves));
	if (!pages_index.leaves || commit_init(start, end))
		return -ENOMEM;
	pages.limit = limit >> PAGE_SHIFT;
	pages.watermark = MAX(pages.limit / 8, MIB(16) >> PAGE_SHIFT);
	pages.charged = 0;
	pages.cached = 0;
	pages.strict = strict;
	pages.exhaustion_logged = false;
	pages.window = 0;
	mutex_init(&pages.window_lock, LOCK_PAGES_WINDOW);
	mutex_init(&pages.trim_lock, LOCK_PAGES_TRIM);
	return 0;
}

void pages_fini(void)
{
	for (size_t i = 0; i < pages_index.leaf_count; i++)
		if (pages_index.leaves[i])
			kpages_free(pages_index.leaves[i], LEAF_KPAGES);
	kfree(pages_index.leaves);
	pages_index.leaves = NULL;
	commit_fini();
}

static u8 *leaf_at(u64 address)
{
	return __atomic_load_n(&pages_index.leaves[(address - pages_index.base) >> LEAF_SHIFT],
			       __ATOMIC_ACQUIRE);
}

static size_t leaf_index(u64 address)
{
	return ((address - pages_index.base) & (LEAF_SIZE - 1)) >> PAGE_SHIFT;
}

/* The byte of a page whose leaf exists. */
static u8 *state_at(u64 address)
{
	return leaf_at(address) + leaf_index(address);
}

static int leaves_make(u64 start, u64 end)
{
	for (u64 at = ALIGN_DOWN(start - pages_index.base, LEAF_SIZE) + pages_index.base; at < end;
	     at += LEAF_SIZE) {
		u8 *none = NULL, *leaf;

		if (leaf_at(at))
			continue;
		leaf = kpages_alloc(LEAF_KPAGES);
		if (!leaf)
			return -ENOMEM;
		if (!__atomic_compare_exchange_n(
			    &pages_index.leaves[(at - pages_index.base) >> LEAF_SHIFT], &none, leaf,
			    false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			kpages_free(leaf, LEAF_KPAGES);
	}
	return 0;
}

static void set_state(u64 address, u8 state)
{
	__atomic_store_n(state_at(address), state, __ATOMIC_RELEASE);
}

/* The end of the leaf around `at`, or `end`. */
static u64 leaf_end(u64 at, u64 end)
{
	return MIN(end,
		   ALIGN_DOWN(at - pages_index.base, LEAF_SIZE) + pages_index.base + LEAF_SIZE);
}

/*
 * From `at` on, the first page that is (`same`) or is not like `want` under `mask`, or end. Eight
 * pages at a time: much of what is asked about is long and alike. Missing leaves are zero bytes.
 */
static u64 skip(u64 at, u64 end, u8 mask, u8 want, bool same)
{
	const u64 ones = 0x0101010101010101, masks = ones * mask, wants = ones * want;

	while (at < end) {
		const u8 *leaf = leaf_at(at);
		u64 until = leaf_end(at, end);
		size_t i = leaf_index(at), count = i + ((until - at) >> PAGE_SHIFT);

		if (!leaf && ((0 == want) == same))
			return at;
		for (; leaf && i < count; i++) {
			while (!(i & 7) && i + 8 <= count) {
				u64 odd =
					__atomic_load_n((const u64 *)(leaf + i), __ATOMIC_ACQUIRE);

				odd = (odd & masks) ^ wants;
				/* Under `same`, go on while no byte of `odd` is zero. */
				if (same ? (odd - ones) & ~odd & (ones << 7) : odd)
					break;
				i += 8;
			}
			if (i < count &&
			    ((__atomic_load_n(leaf + i, __ATOMIC_ACQUIRE) & mask) == want) == same)
				return until - ((count - i) << PAGE_SHIFT);
		}
		at = until;
	}
	return end;
}

/*
 * The next run in [*at, end) of pages with (state & mask) == want: true with [*ret_start, *at).
 * Missing leaves are runs of zero bytes.
 */
static bool next_run(u64 *at, u64 end, u8 mask, u8 want, u64 *ret_start)
{
	*ret_start = skip(*at, end, mask, want, true);
	*at = skip(*ret_start, end, mask, want, false);
	return *ret_start < *at;
}

u64 pages_first_inaccessible(u64 start, u64 end, u32 access)
{
	u8 want = PAGE_PRESENT | access;

	while (start < end && (pages_state(start) & want) == want)
		start += PAGE_SIZE;
	return MIN(start, end);
}

u64 pages_run(u64 start, u64 end, u8 mask, u8 *ret_bits)
{
	u8 bits = pages_state(start) & mask;
	u64 at = start, run;

	*ret_bits = bits;
	return next_run(&at, end, mask, bits, &run) ? at : end;
}

/*
 * A change of these pages failed on the way: some are there or reachable now, and some are not.
 * All of them count as used, so that their next owner finds them zeroed; and the next change asks
 * for each of them.
 */
static void lost_track(u64 start, u64 end)
{
	for (u64 i = start; i < end; i += PAGE_SIZE) {
		u8 state = pages_state(i);

		if (!(state & (PAGE_DIRTY | PAGE_CHARGED)))
			__atomic_add_fetch(&pages.cached, 1, __ATOMIC_RELAXED);
		set_state(i, (state & ~PAGE_PROT) | PAGE_DIRTY | PAGE_UNKNOWN);
	}
}

static int host_protect(u64 start, u64 end, u32 prot)
{
	int err = commit_protect(start, end, prot);

	if (err)
		log_err("The host refused to change the protection of user pages: error %d.", err);
	return err == -EACCES ? -ENOMEM : err;
}

/* The host has been told, and knows it. */
static void shows(u64 address, u32 prot, u8 flags)
{
	u8 state = pages_state(address) & ~(PAGE_PROT | PAGE_UNKNOWN);

	set_state(address, state | prot | flags);
}

/* Brings those pages of [start, end) that have (state & mask) == want to `prot`. */
static int set_protection(u64 start, u64 end, u8 mask, u8 want, u32 prot)
{
	u64 at = start, run;

	while (next_run(&at, end, mask, want, &run)) {
		u64 first = UINT64_MAX, i;
		int err;

		/* One call from the first to the last page that differs. */
		u64 last = 0;

		for (i = run; i < at; i += PAGE_SIZE) {
			if ((pages_state(i) & (PAGE_PROT | PAGE_UNKNOWN)) == prot) {
				if (!leaf_at(i))
					i = leaf_end(i, at) - PAGE_SIZE;
				continue;
			}
			first = MIN(first, i);
			last = i + PAGE_SIZE;
		}
		if (!last)
			continue;
		err = leaves_make(first, last);
		if (err)
			return err;
		err = host_protect(first, last, prot);
		if (err) {
			lost_track(first, last);
			return err;
		}
		for (i = first; i < last; i += PAGE_SIZE)
			shows(i, prot, 0);
	}
	return 0;
}

/* --- paying ----------------------------------------------------------------------------------- */

void pages_log_exhaustion(bool of_addresses, u64 size)
{
	bool is_large = size >= 1 << 20;
	unsigned long long asked = size >> (is_large ? 20 : 10);
	const char *unit = is_large ? "MiB" : "KiB";

	if (__atomic_exchange_n(&pages.exhaustion_logged, true, __ATOMIC_RELAXED))
		return;
	if (of_addresses)
		log_always("Programs have no more addresses to map %llu %s at; raise "
			   "resource_limits.user_space_size.",
			   asked, unit);
	else
		log_always("Out of user memory: a program asked for %llu %s while programs use "
			   "%llu of %llu MiB; raise resource_limits.user_space_size.",
			   asked, unit, (unsigned long long)(pages.charged >> (20 - PAGE_SHIFT)),
			   (unsigned long long)(pages.limit >> (20 - PAGE_SHIFT)));
}

bool pages_can_never_pay(u64 size)
{
	if (size >> PAGE_SHIFT <= pages.limit - MIN(pages.limit, pages.charged))
		return false;
	pages_log_exhaustion(false, size);
	return true;
}

/* Gives the host back what free ranges still hold. */
static void trim(void)
{
	u64 cursor = zone_start(), start, end, at, run;

	kept_evict(zone_start(), zone_end());
	if (zone_reserve_node())
		return;
	mutex_lock_inside(&pages.trim_lock);
	while (zone_next_free(cursor, &start, &end)) {
		start = MAX(start, cursor);
		end = leaf_end(start, end);
		cursor = end;
		if (!leaf_at(start) || !zone_take(start, end))
			continue;
		at = start;
		while (next_run(&at, end, PAGE_DIRTY, PAGE_DIRTY, &run)) {
			if (commit_discard(run, at)) {
				lost_track(run, at);
				break;
			}
			for (u64 i = run; i < at; i += PAGE_SIZE)
				set_state(i, pages_state(i) & ~(PAGE_DIRTY | DISCARD_TAKES));
			__atomic_sub_fetch(&pages.cached, (at - run) >> PAGE_SHIFT,
					   __ATOMIC_RELAXED);
		}
		zone_free(start, end);
	}
	mutex_unlock(&pages.trim_lock);
	zone_unreserve_node();
}

static int charge(u64 count)
{
	u64 now = __atomic_add_fetch(&pages.charged, count, __ATOMIC_RELAXED);

	if (now > pages.limit || count > pages.limit) {
		__atomic_sub_fetch(&pages.charged, count, __ATOMIC_RELAXED);
		pages_log_exhaustion(false, count << PAGE_SHIFT);
		return -ENOMEM;
	}
	if (now + __atomic_load_n(&pages.cached, __ATOMIC_RELAXED) > pages.limit)
		trim();
	return 0;
}

static void uncharge(u64 count)
{
	u64 now = __atomic_sub_fetch(&pages.charged, count, __ATOMIC_RELAXED);

	if (unlikely(pages.exhaustion_logged) && now < pages.limit - pages.limit / 8)
		__atomic_store_n(&pages.exhaustion_logged, false, __ATOMIC_RELAXED);
}

static u64 count_state(u64 start, u64 end, u8 mask, u8 want)
{
	u64 at = start, run, count = 0;

	while (next_run(&at, end, mask, want, &run))
		count += (at - run) >> PAGE_SHIFT;
	return count;
}

u64 pages_count_present(u64 start, u64 end)
{
	return count_state(start, end, PAGE_PRESENT, PAGE_PRESENT);
}

/* Pays for those that are not paid for yet; pages that were cached are so no longer. */
static int charge_range(u64 start, u64 end)
{
	u64 count = count_state(start, end, PAGE_CHARGED, 0);
	u64 cached = count_state(start, end, PAGE_CHARGED | PAGE_DIRTY, PAGE_DIRTY);
	int err = leaves_make(start, end);

	if (!err)
		err = charge(count);
	if (err)
		return err;
	for (u64 i = start; i < end; i += PAGE_SIZE)
		set_state(i, pages_state(i) | PAGE_CHARGED);
	__atomic_sub_fetch(&pages.cached, cached, __ATOMIC_RELAXED);
	return 0;
}

/* Undoes charge_range() for pages that did not become present. */
static void uncharge_range(u64 start, u64 end)
{
	u64 at = start, run;

	while (next_run(&at, end, PAGE_CHARGED | PAGE_PRESENT, PAGE_CHARGED, &run)) {
		for (u64 i = run; i < at; i += PAGE_SIZE) {
			u8 state = pages_state(i);

			/* Nobody's, and whoever strays there can write to it. */
			if (state & PAGE_WRITE)
				state |= PAGE_DIRTY;
			set_state(i, state & ~PAGE_CHARGED);
			if (state & PAGE_DIRTY)
				__atomic_add_fetch(&pages.cached, 1, __ATOMIC_RELAXED);
		}
		uncharge((at - run) >> PAGE_SHIFT);
	}
}

/* --- contents --------------------------------------------------------------------------------- */

static void zero_bytes(u64 start, u64 size)
{
	memset((void *)start, 0, size);
}

/* Zeroes what a former owner left in absent pages. */
static int zero_dirty(u64 start, u64 end)
{
	u64 at = start, run;
	int err;

	while (next_run(&at, end, PAGE_PRESENT | PAGE_DIRTY, PAGE_DIRTY, &run)) {
		err = set_protection(run, at, 0, 0, PAGE_READ | PAGE_WRITE);
		if (err)
			return err;
		zero_bytes(run, at - run);
		for (u64 i = run; i < at; i += PAGE_SIZE)
			set_state(i, pages_state(i) & ~PAGE_DIRTY);
	}
	return 0;
}

static void mark_present(u64 start, u64 end)
{
	for (u64 i = start; i < end; i += PAGE_SIZE) {
		u8 state = pages_state(i) | PAGE_PRESENT;

		set_state(i, state & PAGE_WRITE ? state | PAGE_DIRTY : state);
	}
}

int pages_commit(u64 start, u64 end, u32 prot)
{
	u32 host = pages_effective(prot);
	int err = charge_range(start, end);

	if (err)
		return err;
	err = zero_dirty(start, end);
	if (!err)
		err = set_protection(start, end, 0, 0, host);
	if (err) {
		uncharge_range(start, end);
		return err;
	}
	mark_present(start, end);
	return 0;
}

static int window_make(void)
{
	int err;

	if (pages.window) /* writable, unless the host refused to move it */
		return set_protection(pages.window, pages.window + WINDOW_SIZE, 0, 0,
				      PAGE_READ | PAGE_WRITE);
	err = zone_reserve_node();
	if (err)
		return err;
	pages.window = zone_alloc(WINDOW_SIZE, PAGE_SIZE, ZONE_LARGE);
	if (!pages.window)
		err = -ENOMEM;
	else
		err = pages_commit(pages.window, pages.window + WINDOW_SIZE,
				   PAGE_READ | PAGE_WRITE);
	if (!err)
		return 0;
	if (pages.window)
		zone_free(pages.window, pages.window + WINDOW_SIZE);
	pages.window = 0;
	zone_unreserve_node();
	return err;
}

/* The CPU copies each page as it accepts it. */
static int fill_accepted(u64 start, u64 end, const u8 *bytes, u32 host)
{
	int err = commit_copy(start, end, bytes, host);

	if (err) {
		lost_track(start, end);
		return err;
	}
	for (u64 i = start; i < end; i += PAGE_SIZE)
		shows(i, host, PAGE_DIRTY);
	return 0;
}

/* Fills in a window that no program has and lets the host move the pages. */
static int fill_atomic(u64 start, u64 end, const u8 *bytes, u32 host)
{
	int err;

	if (COMMIT_IS_HARDWARE)
		return fill_accepted(start, end, bytes, host);
	mutex_lock_inside(&pages.window_lock);
	err = window_make();
	for (u64 at = start; !err && at < end; at += WINDOW_SIZE) {
		u64 size = MIN(end - at, WINDOW_SIZE);

		memcpy((void *)pages.window, bytes + (at - start), size);
		err = commit_move(at, pages.window, size, host);
		if (err) {
			lost_track(at, at + size);
			lost_track(pages.window, pages.window + WINDOW_SIZE);
			break;
		}
		for (u64 i = at; i < at + size; i += PAGE_SIZE)
			shows(i, host, PAGE_DIRTY);
	}
	mutex_unlock(&pages.window_lock);
	return err == -EINVAL || err == -EACCES ? -ENOMEM : err;
}

int pages_open(u64 start, u64 end)
{
	int err = charge_range(start, end);

	if (err)
		return err;
	err = set_protection(start, end, 0, 0, PAGE_READ | PAGE_WRITE);
	if (err) {
		uncharge_range(start, end);
		return err;
	}
	for (u64 i = start; i < end; i += PAGE_SIZE)
		set_state(i, pages_state(i) | PAGE_DIRTY);
	return 0;
}

int pages_close(u64 start, u64 end, u32 prot)
{
	int err = set_protection(start, end, 0, 0, pages_effective(prot));

	if (!err)
		mark_present(start, end);
	return err;
}

int pages_fill(u64 start, u64 end, const void *bytes, u32 prot, bool atomic)
{
	int err;

	if (atomic) {
		err = charge_range(start, end);
		if (err)
			return err;
		err = fill_atomic(start, end, bytes, pages_effective(prot));
		if (!err)
			mark_present(start, end);
	} else {
		err = pages_open(start, end);
		if (err)
			return err;
		memcpy((void *)start, bytes, end - start);
		err = pages_close(start, end, prot);
	}
	if (err)
		uncharge_range(start, end);
	return err;
}

int pages_protect(u64 start, u64 end, u32 prot)
{
	u32 host = pages_effective(prot);
	u64 at = start, run;
	int err = set_protection(start, end, PAGE_PRESENT, PAGE_PRESENT, host);

	if (err || !(host & PAGE_WRITE))
		return err;
	while (next_run(&at, end, PAGE_PRESENT | PAGE_DIRTY, PAGE_PRESENT, &run))
		mark_present(run, at);
	return 0;
}

int pages_expect_back(u64 start, u64 end)
{
	int err = leaves_make(start, end);

	return err ? err : set_protection(start, end, 0, 0, PAGE_READ | PAGE_WRITE);
}

void pages_put_back(u64 at, const void *bytes)
{
	u8 state = pages_state(at);

	if (!(state & PAGE_CHARGED)) {
		__atomic_add_fetch(&pages.charged, 1, __ATOMIC_RELAXED);
		if (state & PAGE_DIRTY)
			__atomic_sub_fetch(&pages.cached, 1, __ATOMIC_RELAXED);
	}
	memcpy((void *)at, bytes, PAGE_SIZE);
	set_state(at, state | PAGE_CHARGED | PAGE_DIRTY | PAGE_PRESENT);
}

int pages_hide(u64 start, u64 end)
{
	return set_protection(start, end, PAGE_PRESENT, 0, 0);
}

/* Gives dirty pages that are not present back to the host, which makes them zero. */
static int discard_dirty(u64 start, u64 end)
{
	u64 at = start, run;

	while (next_run(&at, end, PAGE_PRESENT | PAGE_DIRTY, PAGE_DIRTY, &run)) {
		int err = commit_discard(run, at);

		if (err) {
			lost_track(run, at);
			return err == -EINVAL ? -ENOMEM : err;
		}
		for (u64 i = run; i < at; i += PAGE_SIZE) {
			u8 state = pages_state(i);

			set_state(i, state & ~(PAGE_DIRTY | DISCARD_TAKES));
			if (!(state & PAGE_CHARGED))
				__atomic_sub_fetch(&pages.cached, 1, __ATOMIC_RELAXED);
		}
	}
	return 0;
}

int pages_clean(u64 start, u64 end)
{
	int err = pages_hide(start, end);

	return err ? err : discard_dirty(start, end);
}

/* Present becomes absent; still charged. */
static void forget(u64 start, u64 end)
{
	u64 at = start, run;

	while (next_run(&at, end, PAGE_PRESENT, PAGE_PRESENT, &run))
		for (u64 i = run; i < at; i += PAGE_SIZE)
			set_state(i, pages_state(i) & ~(PAGE_PRESENT | PAGE_CHANGED));
}

int pages_drop(u64 start, u64 end)
{
	u64 at = start, run;

	while (next_run(&at, end, PAGE_PRESENT, PAGE_PRESENT, &run)) {
		int err = set_protection(run, at, 0, 0, 0);

		if (err)
			return err;
		forget(run, at);
		err = discard_dirty(run, at);
		uncharge_range(run, at);
		if (err)
			return err;
	}
	return 0;
}

void pages_release(u64 start, u64 end)
{
	bool big = end - start >= FREE_BIG;

	forget(start, end);
	uncharge_range(start, end);
	/* What the host refuses here only stays mapped longer; reuse checks the state again. */
	if (pages.strict && pages_hide(start, end))
		log_warn("Unmapped pages stay accessible until they are reused.");
	if (big && __atomic_load_n(&pages.cached, __ATOMIC_RELAXED) > pages.watermark &&
	    discard_dirty(start, end))
		log_warn("The host did not take back unused pages.");
}

void pages_keep(u64 start, u64 end)
{
	u64 at = start, run;

	while (next_run(&at, end, PAGE_CHARGED, PAGE_CHARGED, &run)) {
		for (u64 i = run; i < at; i += PAGE_SIZE) {
			u8 state = pages_state(i);

			set_state(i, state & ~PAGE_CHARGED);
			if (state & PAGE_DIRTY)
				__atomic_add_fetch(&pages.cached, 1, __ATOMIC_RELAXED);
		}
		uncharge((at - run) >> PAGE_SHIFT);
	}
}

int pages_adopt(u64 start, u64 end)
{
	u64 at = start, run;

	while (next_run(&at, end, PAGE_PRESENT, PAGE_PRESENT, &run)) {
		int err = charge_range(run, at);

		if (err)
			return err;
	}
	return 0;
}

bool pages_are_strict(void)
{
	return pages.strict;
}

void pages_mark_changed(u64 start, u64 end, bool changed)
{
	for (u64 i = start; i < end; i += PAGE_SIZE) {
		u8 state = pages_state(i);

		if (state & PAGE_PRESENT)
			set_state(i, changed ? state | PAGE_CHANGED : state & ~PAGE_CHANGED);
	}
}

u64 pages_charged(void)
{
	return __atomic_load_n(&pages.charged, __ATOMIC_RELAXED) << PAGE_SHIFT;
}

u64 pages_cached(void)
{
	return __atomic_load_n(&pages.cached, __ATOMIC_RELAXED) << PAGE_SHIFT;
}

u64 pages_limit(void)
{
	return pages.limit << PAGE_SHIFT;
}
