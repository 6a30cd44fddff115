// SPDX-License-Identifier: Apache-2.0
/*
 * Pages of the program zone on hardware (SGX2). The driver adds, restricts, trims and removes pages
 * when the host is asked to; only what EACCEPT confirms has happened. A byte per page remembers
 * what the CPU (its EPCM) has confirmed, so that
 *
 *   - a new page is accepted exactly once: whoever swaps it for another new one later is found out
 *     by a fault, never by zeroes in the place of data;
 *   - rights are what the program asked for in the EPCM too, not only in the host's page tables:
 *     nothing is writable and executable unless it was asked for, text and constants lose W.
 *     PROT_NONE is left to the page tables, and so is read-only memory that was never written.
 *
 *        nothing --mem_commit, EACCEPT(PENDING)--> rw- --mem_restrict, EACCEPT(PR)--> fewer
 *           ^                                       ^---------------EMODPE----------- more
 *           +----mem_remove-- TRIM accepted <--mem_trim, EACCEPT(TRIM)-- any
 *
 * The page tables are set first, since the instructions have to reach the page; the EPCM follows,
 * and it is what counts. A host that does not do what it answered is asked again a few times (a
 * page may be on its way to the disk); then the instance stops. A page that is not what was asked
 * for stops it at once: only an attack makes one. A host that refuses is none: it may be out of
 * memory, and have done a part before. What the CPU confirmed of that part is recorded, so that
 * the same or another call goes on from there.
 *
 * Locks: none. The caller owns the addresses; leaves of the table appear by compare-and-swap.
 */
#include "kernel/arch/commit.h"

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/commit_priv.h"
#include "kernel/arch/enclu.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "lib/base/string.h"
#include "lib/sgx/sgx.h"

#define LEAF_SHIFT	 25 /* 32 MiB of addresses */
#define LEAF_SIZE	 (1ul << LEAF_SHIFT)
#define LEAF_KPAGES	 ((LEAF_SIZE >> PAGE_SHIFT) / PAGE_SIZE)

#define EPC_RIGHTS	 7 /* R W X as in PROT_* and SECINFO */
#define EPC_W		 2
#define EPC_X		 4
#define EPC_ACCEPTED	 8
#define EPC_NEW		 16 /* accepted by the operation under way: still zeroes */
#define EPC_TRIMMED	 32 /* accepted as such, to be removed */
#define EPC_LEAVING	 64 /* perhaps trimmed: the host refused half-way, and it cannot be reached */

#define HOST_TRIES	 16

#define ERROR_CONFLICT	 7 /* SGX_EPC_PAGE_CONFLICT: the driver is at work on that page */

#define SECINFO_REG	 (2ul << 8)
#define SECINFO_TRIM	 (4ul << 8)
#define SECINFO_PENDING	 8ul
#define SECINFO_MODIFIED 16ul
#define SECINFO_PR	 32ul

struct secinfo {
	u64 flags;
	u64 rsv[7];
} __attribute__((aligned(64)));
static_assert(sizeof(struct secinfo) == 64, "secinfo");

static u64 table_base;
static size_t leaf_count;
static u8 **leaves;

int commit_init(u64 start, u64 end)
{
	table_base = ALIGN_DOWN(start, LEAF_SIZE);
	leaf_count = (end - table_base + LEAF_SIZE - 1) >> LEAF_SHIFT;
	leaves = kcalloc(leaf_count, sizeof(*leaves));
	return leaves ? 0 : -ENOMEM;
}

void commit_fini(void)
{
	for (size_t i = 0; i < leaf_count; i++)
		if (leaves[i])
			kpages_free(leaves[i], LEAF_KPAGES);
	kfree(leaves);
	leaves = NULL;
	leaf_count = 0;
}

static u8 *leaf_at(u64 address)
{
	return __atomic_load_n(&leaves[(address - table_base) >> LEAF_SHIFT], __ATOMIC_ACQUIRE);
}

static u8 *byte_at(u64 address)
{
	u8 *leaf = leaf_at(address);

	return leaf ? &leaf[((address - table_base) & (LEAF_SIZE - 1)) >> PAGE_SHIFT] : NULL;
}

u8 commit_state(u64 address)
{
	const u8 *at = byte_at(address);

	return at ? *at : 0;
}

static int leaves_make(u64 start, u64 end)
{
	for (u64 at = ALIGN_DOWN(start - table_base, LEAF_SIZE) + table_base; at < end;
	     at += LEAF_SIZE) {
		u8 *none = NULL, *leaf;

		if (leaf_at(at))
			continue;
		leaf = kpages_alloc(LEAF_KPAGES);
		if (!leaf)
			return -ENOMEM;
		if (!__atomic_compare_exchange_n(&leaves[(at - table_base) >> LEAF_SHIFT], &none,
						 leaf, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			kpages_free(leaf, LEAF_KPAGES);
	}
	return 0;
}

/* The end of the run of pages from `start` on whose states are equal in `mask`. */
static u64 run_end(u64 start, u64 end, u8 mask)
{
	u8 want = commit_state(start) & mask;
	u64 at = start + PAGE_SIZE;

	while (at < end && (commit_state(at) & mask) == want)
		at += PAGE_SIZE;
	return at;
}

static u32 page_leaf(u32 leaf, u64 flags, u64 page, u64 from)
{
	struct secinfo s = {.flags = flags};

	return enclu_leaf(leaf, &s, page, from);
}

/* The host answered that it did something, and the CPU knows nothing of it. */
static void __noreturn host_lied(const char *what, u64 page, u32 code)
{
	panic("The host broke the contract about pages: %s (page %llx, SGX error %u).", what,
	      (unsigned long long)page, code);
}

/* Refused for reasons that the host may name; all others are its breach. */
static int refusal(int err)
{
	return err == -EACCES ? -EACCES : -ENOMEM;
}

/*
 * EACCEPT of each page in [*at, end) that `flags` stands for; *at is where it stopped. 0, -EAGAIN
 * when that page is not there or busy, else the CPU's error code.
 */
static int accept_range(u64 *at, u64 end, u64 flags, u8 state)
{
	for (; *at < end; *at += PAGE_SIZE) {
		u32 code = page_leaf(ENCLU_EACCEPT, flags, *at, 0);

		if (code == ENCLU_FAULT || code == ERROR_CONFLICT)
			return -EAGAIN;
		if (code)
			return (int)code;
		*byte_at(*at) = state;
	}
	return 0;
}

/* The operation is over: its new pages are like others. */
static void forget_new(u64 start, u64 end)
{
	for (u64 i = start; i < end; i += PAGE_SIZE) {
		u8 *state = byte_at(i);

		if (state)
			*state &= ~EPC_NEW;
	}
}

/* Pages of [start, end) that are not there become new ones. The page tables end up as `prot`. */
static int add_pages(u64 start, u64 end, u32 prot)
{
	u64 at = start;

	for (u32 tries = 0; tries < HOST_TRIES; tries++) {
		int err = host_mem_commit(start, end - start, prot);

		if (err == -EPROTO)
			host_lied("mem_commit", start, 0);
		if (err)
			return refusal(err);
		while (at < end) {
			u64 until = run_end(at, end, EPC_ACCEPTED);

			if (commit_state(at) & EPC_ACCEPTED) {
				at = until;
				continue;
			}
			err = accept_range(&at, until, SECINFO_REG | SECINFO_PENDING | 3,
					   EPC_ACCEPTED | EPC_NEW | 3);
			if (err > 0)
				host_lied("a page is not new", at, (u32)err);
			if (err)
				break;
		}
		if (at >= end)
			return 0;
	}
	host_lied("pages are missing", at, 0);
}

/* Takes rights away from a run of pages with equal state. */
static int restrict_run(u64 start, u64 end, u8 rights, u8 state, u32 prot)
{
	int refused = 0, err = 0;
	u64 at = start;

	for (u32 tries = 0; tries < HOST_TRIES; tries++) {
		refused = host_mem_restrict(at, end - at, rights);
		err = accept_range(&at, end, SECINFO_REG | SECINFO_PR | rights, state);
		if (!err)
			return 0;
		if (err > 0 && !refused)
			host_lied("rights were not restricted", at, (u32)err);
		/* Not reachable: perhaps by the page tables. */
		if (err < 0)
			refused = host_mem_protect(at, end - at, prot);
	}
	if (refused && refused != -EPROTO)
		return refusal(refused);
	host_lied("rights stay", at, 0);
}

/* EMODPE needs nobody's help once the page can be read. */
static int extend_run(u64 start, u64 end, u8 rights, u8 state, u32 prot)
{
	u32 tries = 0;
	int refused = 0;

	for (u64 at = start; at < end;) {
		u32 code = page_leaf(ENCLU_EMODPE, SECINFO_REG | rights, at, 0);

		if (code == ENCLU_EMODPE) {
			*byte_at(at) = state;
			at += PAGE_SIZE;
			continue;
		}
		if (++tries <= HOST_TRIES)
			refused = host_mem_protect(at, end - at, prot);
		else if (refused && refused != -EPROTO)
			return refusal(refused);
		if (tries > HOST_TRIES || refused == -EPROTO)
			host_lied("a page cannot be reached", at, code);
	}
	return 0;
}

/* Brings the EPCM of accepted pages to `prot`. */
static int set_rights(u64 start, u64 end, u32 prot)
{
	int err = 0;

	for (u64 at = start; !err && at < end;) {
		u8 old = commit_state(at), rights = old & EPC_RIGHTS, too_many;
		u64 until = run_end(at, end, 0xff);

		too_many = rights & ~prot;
		if (old & EPC_NEW && !(prot & EPC_X))
			too_many &= ~EPC_W; /* zeroes, which nobody is to execute */
		if (too_many) {
			rights &= ~too_many;
			err = restrict_run(at, until, rights, EPC_ACCEPTED | rights, prot);
		}
		if (!err && prot & ~rights) {
			rights |= prot;
			err = extend_run(at, until, rights, EPC_ACCEPTED | rights, prot);
		}
		at = until;
	}
	forget_new(start, end);
	return err;
}

static bool all_accepted(u64 start, u64 end)
{
	for (; start < end; start += PAGE_SIZE)
		if (!(commit_state(start) & EPC_ACCEPTED))
			return false;
	return true;
}

/* A run of accepted pages leaves the enclave. */
static int remove_run(u64 start, u64 end)
{
	int refused = 0, err = -EAGAIN;
	u64 at = start;

	for (u32 tries = 0; tries < HOST_TRIES && err == -EAGAIN; tries++) {
		/* Of what it trimmed before it refused, EACCEPT must reach the pages. */
		if (refused)
			(void)!host_mem_protect(at, end - at, PAGES_READ);
		else
			refused = host_mem_trim(at, end - at);
		err = accept_range(&at, end, SECINFO_TRIM | SECINFO_MODIFIED, EPC_TRIMMED);
		if (err > 0 && !refused)
			host_lied("a page was not trimmed", at, (u32)err);
	}
	if (at < end && (!refused || refused == -EPROTO))
		host_lied("pages cannot be trimmed", at, 0);
	for (u64 i = at; i < end; i += PAGE_SIZE)
		*byte_at(i) = (*byte_at(i) & ~EPC_LEAVING) | (err == -EAGAIN ? EPC_LEAVING : 0);
	if (at > start) {
		err = host_mem_remove(start, at - start);
		if (err == -ENOMEM)
			return err;
		if (err)
			host_lied("trimmed pages stay", start, 0);
	}
	for (u64 i = start; i < at; i += PAGE_SIZE)
		*byte_at(i) = 0;
	return at < end ? refusal(refused) : 0;
}

/* Trimmed pages that the host had no memory to remove, unless it did and lacked it later. */
static int remove_trimmed(u64 start, u64 end)
{
	for (u64 at = start; at < end; at += PAGE_SIZE) {
		int err = host_mem_remove(at, PAGE_SIZE);

		if (err == -ENOMEM)
			return err;
		if (err && err != -EFAULT)
			host_lied("a trimmed page stays", at, 0);
		*byte_at(at) = 0;
	}
	return 0;
}

/* Removes pages of [start, end): all, or those alone whose removal was begun. */
static int remove_pages(u64 start, u64 end, bool all)
{
	for (u64 at = start; at < end;) {
		u8 state = commit_state(at);
		u64 until = run_end(at, end, EPC_ACCEPTED | EPC_LEAVING | EPC_TRIMMED);
		int err = 0;

		if (state & EPC_TRIMMED)
			err = remove_trimmed(at, until);
		else if (state & EPC_LEAVING || (all && state & EPC_ACCEPTED))
			err = remove_run(at, until);
		if (err)
			return err;
		at = until;
	}
	return 0;
}

int commit_discard(u64 start, u64 end)
{
	return remove_pages(start, end, true);
}

int commit_protect(u64 start, u64 end, u32 prot)
{
	int err;

	if (!prot) {
		err = host_mem_protect(start, end - start, 0);
		return err ? refusal(err) : 0;
	}
	err = leaves_make(start, end);
	if (!err)
		err = remove_pages(start, end, false);
	if (err)
		return err;
	if (all_accepted(start, end)) {
		err = host_mem_protect(start, end - start, prot);
		if (err)
			return refusal(err);
	} else {
		err = add_pages(start, end, prot);
		if (err) {
			forget_new(start, end);
			return err;
		}
	}
	return set_rights(start, end, prot);
}

static int copy_pages(u64 start, u64 end, const u8 *bytes, u8 rights)
{
	u32 tries = 0;

	for (u64 at = start; at < end;) {
		u32 code = page_leaf(ENCLU_EACCEPTCOPY, SECINFO_REG | rights, at,
				     (u64)(bytes + (at - start)));
		int err;

		if (!code) {
			*byte_at(at) = EPC_ACCEPTED | rights;
			at += PAGE_SIZE;
			continue;
		}
		if (code != ENCLU_FAULT && code != ERROR_CONFLICT)
			host_lied("a page is not new", at, code);
		err = host_mem_commit(at, end - at, PAGES_READ_WRITE);
		if (++tries > HOST_TRIES || err == -EPROTO)
			host_lied("pages are missing", at, 0);
		if (err)
			return refusal(err);
	}
	return 0;
}

int commit_copy(u64 start, u64 end, const void *bytes, u32 prot)
{
	int err;

	if (!IS_ALIGNED((u64)bytes, PAGE_SIZE))
		return -EINVAL;
	err = leaves_make(start, end);
	if (!err)
		err = commit_discard(start, end);
	if (err)
		return err;
	err = host_mem_commit(start, end - start, PAGES_READ_WRITE);
	if (err == -EPROTO)
		host_lied("mem_commit", start, 0);
	if (err)
		return refusal(err);
	err = copy_pages(start, end, bytes, prot & EPC_RIGHTS);
	if (err || prot == PAGES_READ_WRITE)
		return err;
	err = host_mem_protect(start, end - start, prot);
	return err ? refusal(err) : 0;
}

int commit_move(u64 to, u64 from, u64 size, u32 prot)
{
	return -EOPNOTSUPP;
}

int commit_patch(u64 address, const void *code, size_t size)
{
	return -EOPNOTSUPP;
}

int commit_seal(u64 start, u64 end)
{
	int err = host_mem_protect(start, end - start, PAGES_READ);

	if (!err)
		err = host_mem_restrict(start, end - start, PAGES_READ);
	for (u64 at = start; !err && at < end; at += PAGE_SIZE)
		if (page_leaf(ENCLU_EACCEPT, SECINFO_REG | SECINFO_PR | PAGES_READ, at, 0))
			err = -EPROTO;
	return err;
}
