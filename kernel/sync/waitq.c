// SPDX-License-Identifier: Apache-2.0
/*
 * Wait queues. Entries live on the stacks of waiting threads; the queue's spinlock protects the
 * list and keeps an entry's thread alive while a waker holds it, because the entry leaves the
 * list before the thread can go on. Threads are woken outside the lock where they are few: a
 * woken thread that runs at once must not find the lock held by a preempted waker.
 */
#include "kernel/sync/waitq.h"

#include "kernel/arch/arch.h"
#include "kernel/sched/thread.h"

#define WAKE_BATCH 16

void waitq_init(struct waitq *q)
{
	spin_init(&q->lock, LOCK_WAITQ);
	q->count = 0;
	list_init(&q->entries);
}

void waitq_add(struct waitq *q, struct wait_entry *e, bool exclusive)
{
	e->thread = current_thread();
	e->queue = q;
	e->exclusive = exclusive;
	spin_lock(&q->lock);
	list_add_tail(&q->entries, &e->node);
	__atomic_store_n(&q->count, q->count + 1, __ATOMIC_RELAXED);
	spin_unlock(&q->lock);
	/* The condition is read after this, or the waker sees the entry: never neither. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void waitq_remove(struct wait_entry *e)
{
	struct waitq *q = e->queue;

	if (!q)
		return;
	spin_lock(&q->lock);
	list_del(&e->node);
	__atomic_store_n(&q->count, q->count - 1, __ATOMIC_RELAXED);
	spin_unlock(&q->lock);
	e->queue = NULL;
}

/*
 * Wakes entries from the head: those that are not exclusive all, of the exclusive ones `limit`.
 * A woken entry moves to the tail, so that the next exclusive wake reaches another one and a
 * second pass sees where the first began.
 */
static void wake(struct waitq *q, u32 limit)
{
	struct thread *batch[WAKE_BATCH];
	struct wait_entry *e, *next, *first_moved = NULL;
	u32 count;

	do {
		count = 0;
		spin_lock(&q->lock);
		list_for_each_entry_safe (e, next, &q->entries, node) {
			if (e == first_moved || count == WAKE_BATCH)
				break;
			if (e->exclusive) {
				if (!limit)
					continue;
				limit--;
			}
			batch[count++] = thread_get(e->thread);
			list_del(&e->node);
			list_add_tail(&q->entries, &e->node);
			if (!first_moved)
				first_moved = e;
		}
		spin_unlock(&q->lock);
		for (u32 i = 0; i < count; i++) {
			thread_unpark(batch[i]);
			thread_put(batch[i]);
		}
	} while (count == WAKE_BATCH);
}

static bool has_entries(struct waitq *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&q->count, __ATOMIC_RELAXED);
}

void waitq_wake_one(struct waitq *q)
{
	if (has_entries(q))
		wake(q, 1);
}

void waitq_wake_all(struct waitq *q)
{
	if (has_entries(q))
		wake(q, UINT32_MAX);
}
