/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues: a thread registers an entry, checks its condition, parks, and unregisters. The
 * waker changes the state first and wakes then; a thread may be woken without cause, so waiting
 * is always a loop around the condition (wait_event does that).
 */
#pragma once

#include "kernel/sched/park.h"
#include "kernel/sync/spinlock.h"
#include "lib/base/list.h"

struct waitq {
	struct spinlock lock;
	u32 count;		  /* atomic; of entries, changes under lock */
	struct list_node entries; /* lock */
};

struct wait_entry {
	struct list_node node;
	struct thread *thread;
	struct waitq *queue; /* NULL: not registered */
	bool exclusive;	     /* waitq_wake_one() wakes one of these and all others */
};

void waitq_init(struct waitq *q);
void waitq_add(struct waitq *q, struct wait_entry *e, bool exclusive); /* for the current thread */
void waitq_remove(struct wait_entry *e);
void waitq_wake_one(struct waitq *q);
void waitq_wake_all(struct waitq *q);

/*
 * Sleeps until `condition` is true. `deadline` is monotonic ns or DEADLINE_NEVER. Evaluates to 0,
 * -ETIMEDOUT, or (interruptible only) -EINTR when a signal or kill is pending.
 */
#define wait_event(q, condition, deadline, interruptible)                                          \
	({                                                                                         \
		struct wait_entry _entry = {0};                                                    \
		int _ret = 0;                                                                      \
		waitq_add(q, &_entry, false);                                                      \
		while (!(condition)) {                                                             \
			_ret = thread_park(deadline, interruptible);                               \
			if (_ret) {                                                                \
				if (condition)                                                     \
					_ret = 0;                                                  \
				break;                                                             \
			}                                                                          \
		}                                                                                  \
		waitq_remove(&_entry);                                                             \
		_ret;                                                                              \
	})
