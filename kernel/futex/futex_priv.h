/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/futex share. */
#pragma once

#include "kernel/futex/futex.h"
#include "kernel/sched/thread.h"

struct mm;

struct futex_key {
	struct mm *mm; /* of the caller: within one process all operations on a word meet */
	u64 address;
	bool is_shared; /* meets the shared ones of other processes, too */
};

/* One waiting thread; on its kernel stack. */
struct futex_waiter {
	struct list_node node; /* bucket lock */
	struct futex_bucket
		*bucket;      /* atomic; where it is queued; changes under both bucket locks */
	struct futex_key key; /* bucket lock */
	struct thread *thread;
	u32 bitset;
	u32 woken; /* atomic; once set, the waker touches the waiter no more */
};

struct futex_key futex_key_of(u64 address, bool is_private);
void futex_enqueue(struct futex_waiter *w, u64 address, bool is_private, u32 bitset);
bool futex_dequeue(struct futex_waiter *w); /* true: it had been woken */

/* Sleeps until woken: 0, -ETIMEDOUT, -EINTR. The waiter is off its queue afterwards. */
long futex_sleep(struct futex_waiter *w, u64 deadline);
