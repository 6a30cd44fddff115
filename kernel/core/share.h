/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of the kernel's heap. What programs can make as many of as they like counts against the
 * share of its kind, so that none of them takes the memory which others, page faults and the
 * commits of volumes live on. Without locks: several may pass a limit at once by one object each.
 */
#pragma once

#include "lib/base/types.h"

struct heap_share {
	u32 divisor; /* of the whole heap */
	u64 limit;   /* atomic; bytes; 0: nothing was counted yet */
	u64 used;    /* atomic; bytes */
};

/* One `n`-th of the heap. */
#define HEAP_SHARE(n)                                                                              \
	{                                                                                          \
		.divisor = (n)                                                                     \
	}

/*
 * Counts `size` bytes more. False, and nothing is counted: so many `times` the share are in use, or
 * all of the heap but its last eighth.
 */
bool __must_check heap_share_take(struct heap_share *s, size_t size, u32 times);
/* Counts what cannot be refused. */
void heap_share_charge(struct heap_share *s, size_t size);
void heap_share_give(struct heap_share *s, size_t size);

/* kzalloc() of what counts. NULL: no more of it may be taken, or there is no memory. */
void *heap_share_alloc(struct heap_share *s, size_t size, u32 times) __must_check;
void heap_share_free(struct heap_share *s, void *p, size_t size); /* p may be NULL */

/* Is more than the `part`-th part of the share in use? */
static inline bool heap_share_exceeds(const struct heap_share *s, u32 part)
{
	return __atomic_load_n(&s->used, __ATOMIC_RELAXED) >
	       __atomic_load_n(&s->limit, __ATOMIC_RELAXED) / part;
}
