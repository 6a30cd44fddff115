/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of the user zone: one byte of state each, what the host maps them as, and who pays.
 * A page belongs to the owner of its address (zone.h), who calls these with its own lock held; so
 * no two calls meet on one page. Ranges are page aligned and within the zone.
 *
 * A page that is not present is unreachable (no protection at all, so that a touch faults) when
 * its mapping waits to be filled; it may hold what a former owner left.
 */
#pragma once

#include "lib/base/types.h"

enum page_state {
	PAGE_READ = 1, /* what the host has been told; PROT_* bits */
	PAGE_WRITE = 2,
	PAGE_EXEC = 4,
	PAGE_PROT = 7,
	PAGE_PRESENT = 8,  /* holds what its mapping says */
	PAGE_CHARGED = 16, /* counts against user_space_size */
	PAGE_DIRTY = 32,   /* may hold bytes of a former owner, or of this one */
	PAGE_CHANGED = 64, /* shared objects: must be written back */
	PAGE_UNKNOWN =
		128, /* the host refused half-way: PAGE_PROT, which is 0 then, says nothing */
};

int __must_check pages_init(u64 start, u64 end, u64 limit, bool strict);
void pages_fini(void); /* tests */

/* Host protection for what a program asked: what x86-64 makes of it. */
static inline u32 pages_effective(u32 prot)
{
	return prot ? (prot & PAGE_PROT) | PAGE_READ : 0;
}

#define PAGES_LEAF_SHIFT 25
#define PAGES_LEAF_SIZE	 (1ul << PAGES_LEAF_SHIFT)

/* Where the bytes are; of pages.c, here for the short way through uaccess. */
struct pages_index {
	u64 base; /* of leaf 0 */
	size_t leaf_count;
	u8 **leaves; /* atomic; NULL where no page has been used */
};
extern struct pages_index pages_index;

static inline u8 pages_state(u64 address)
{
	u64 at = address - pages_index.base;
	const u8 *leaf =
		__atomic_load_n(&pages_index.leaves[at >> PAGES_LEAF_SHIFT], __ATOMIC_ACQUIRE);

	if (unlikely(!leaf))
		return 0;
	return __atomic_load_n(&leaf[(at & (PAGES_LEAF_SIZE - 1)) >> PAGE_SHIFT], __ATOMIC_ACQUIRE);
}

/* The first page in [start, end) where `access` is not to be had, or end. */
u64 pages_first_inaccessible(u64 start, u64 end, u32 access);

/* All pages are present and the host lets `access` (PAGE_READ...) through. Needs no lock. */
static inline bool pages_accessible(u64 address, u64 size, u32 access)
{
	u64 end = address + size;
	u8 want = PAGE_PRESENT | access;

	if (likely((address & PAGE_MASK_LOW) + size <= PAGE_SIZE))
		return (pages_state(address) & want) == want;
	return pages_first_inaccessible(ALIGN_DOWN(address, PAGE_SIZE), end, access) >= end;
}

/* From `start` on, the end of the run of pages whose state agrees in the bits of `mask`. */
u64 pages_run(u64 start, u64 end, u8 mask, u8 *ret_bits);

/*
 * Makes all pages present with `prot`: those that are not yet become zeroes. Where another thread
 * may touch them while this runs they must be unreachable and clean (pages_clean()).
 */
int __must_check pages_commit(u64 start, u64 end, u32 prot);
/* Makes the pages, none of which is present, show `bytes`. `atomic`: others see all or fault. */
int __must_check pages_fill(u64 start, u64 end, const void *bytes, u32 prot, bool atomic);
/*
 * For pages that nobody can know of yet: paid for and writable, contents arbitrary; then present
 * with `prot`. pages_release() undoes the first.
 */
int __must_check pages_open(u64 start, u64 end);
int __must_check pages_close(u64 start, u64 end, u32 prot);
/*
 * Absent pages become writable by the kernel, nothing else. Each of them then becomes present with
 * its bytes, and is paid for even beyond the limit: for pages that were paid for elsewhere until
 * now.
 */
int __must_check pages_expect_back(u64 start, u64 end);
void pages_put_back(u64 at, const void *bytes);
/* Changes the protection of the present pages. */
int __must_check pages_protect(u64 start, u64 end, u32 prot);
/* Present pages become absent, unreachable and zero, and are no longer paid for. */
int __must_check pages_drop(u64 start, u64 end);
/* Absent pages become unreachable and zero, for a mapping that is filled on touch. */
int __must_check pages_clean(u64 start, u64 end);
/* Absent pages become unreachable. */
int __must_check pages_hide(u64 start, u64 end);
/* The owner goes: nothing is present or paid for. Stays mapped for reuse unless strict or big. */
void pages_release(u64 start, u64 end);

/*
 * A range that nobody maps for a while, with what it shows: its present pages are no longer paid
 * for, count as cached, and keep protection and contents. pages_adopt() pays for them again;
 * pages_release() gives them up instead.
 */
void pages_keep(u64 start, u64 end);
int __must_check pages_adopt(u64 start, u64 end);
bool pages_are_strict(void);

void pages_mark_changed(u64 start, u64 end, bool changed);
u64 pages_count_present(u64 start, u64 end);

/*
 * A private writable mapping of this size could never be used as a whole: refuse it now rather
 * than when it is touched. Says so in the log.
 */
bool pages_can_never_pay(u64 size);
/*
 * The line that names the limit of memory or addresses and the bytes that were asked for; once
 * until usage falls well below it.
 */
void pages_log_exhaustion(bool of_addresses, u64 size);

/* Bytes that live mappings pay for, of free pages that the host keeps for us, and the limit. */
u64 pages_charged(void);
u64 pages_cached(void);
u64 pages_limit(void);
