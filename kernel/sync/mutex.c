// SPDX-License-Identifier: Apache-2.0
/*
 * Sleeping locks. The uncontended path is one compare-and-exchange. A waiter registers under the
 * guard, marks the lock as contended, and parks; whoever unlocks a contended lock hands nothing
 * over but wakes the first waiter, which competes again. That is not fair, and cheap: the host
 * schedules as it likes anyway.
 *
 * Waiting is not interruptible: a thread that must die still gets its lock first, because code
 * below expects to hold it. A token that an unpark of another kind left behind only costs a turn
 * of the loop.
 */
#include "kernel/sync/mutex.h"

#include "kernel/arch/arch.h"
#include "kernel/core/panic.h"
#include "kernel/sched/park.h"
#include "kernel/sched/thread.h"

enum {
	MUTEX_FREE = 0,
	MUTEX_HELD = 1,
	MUTEX_CONTENDED = 2, /* held, and somebody may wait */
};

#ifndef SPINS_BEFORE_PARK /* the explorer of schedules has its own */
#define SPINS_BEFORE_PARK 100
#endif

struct lock_waiter {
	struct list_node node;
	struct thread *thread;
	bool is_writer;
};

/* Adds the caller to `waiters`; the guard is held. */
static void enqueue(struct list_node *waiters, struct lock_waiter *w, bool is_writer)
{
	w->thread = current_thread();
	w->is_writer = is_writer;
	list_add_tail(waiters, &w->node);
}

/* In the enclave no lock has a rank. */
#ifdef OCCLUM_FREESTANDING
#define rank_of(lock)	  LOCK_RANK_NONE
#define set_rank(lock, r) ((void)(r))
#else
#define rank_of(lock)	  ((lock)->rank)
#define set_rank(lock, r) ((lock)->rank = (r))
#endif

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	set_rank(m, rank);
	m->state = MUTEX_FREE;
	spin_init(&m->guard, LOCK_MUTEX_GUARD);
	list_init(&m->waiters);
}

static bool try(struct mutex *m)
{
	u32 expected = MUTEX_FREE;

	return __atomic_compare_exchange_n(&m->state, &expected, MUTEX_HELD, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

bool mutex_trylock(struct mutex *m)
{
	if (!try(m))
		return false;
	lock_order_push(rank_of(m), m);
	return true;
}

static void lock_slow(struct mutex *m, bool stays_inside)
{
	struct lock_waiter w;
	bool taken;

	for (u32 i = 0; i < SPINS_BEFORE_PARK; i++) {
		if (try(m))
			return;
		cpu_relax();
	}
	spin_lock(&m->guard);
	enqueue(&m->waiters, &w, true);
	spin_unlock(&m->guard);
	for (;;) {
		/* Taken by us as contended: others may wait behind us, so unlocking must look. */
		taken = __atomic_exchange_n(&m->state, MUTEX_CONTENDED, __ATOMIC_ACQUIRE) ==
			MUTEX_FREE;
		if (taken)
			break;
		if (stays_inside)
			(void)thread_park_raw(DEADLINE_NEVER, false);
		else
			(void)thread_park(DEADLINE_NEVER, false);
	}
	spin_lock(&m->guard);
	list_del(&w.node);
	spin_unlock(&m->guard);
}

static void lock(struct mutex *m, bool stays_inside)
{
	assert_may_sleep();
	lock_order_check(rank_of(m));
	if (unlikely(!try(m)))
		lock_slow(m, stays_inside);
	lock_order_push(rank_of(m), m);
}

void mutex_lock(struct mutex *m)
{
	lock(m, false);
}

void mutex_lock_inside(struct mutex *m)
{
	lock(m, true);
}

void mutex_unlock(struct mutex *m)
{
	struct thread *next = NULL;
	u32 old;

	lock_order_pop(m);
	old = __atomic_exchange_n(&m->state, MUTEX_FREE, __ATOMIC_RELEASE);
	if (likely(old == MUTEX_HELD))
		return;
	BUG_ON(old == MUTEX_FREE);
	/* The waiter may be gone, and its stack with it, once it got the lock: hold its thread. */
	spin_lock(&m->guard);
	if (!list_is_empty(&m->waiters))
		next = thread_get(list_first_entry(&m->waiters, struct lock_waiter, node)->thread);
	spin_unlock(&m->guard);
	if (!next)
		return;
	thread_unpark(next);
	thread_put(next);
}

void rwlock_init(struct rwlock *l, enum lock_rank rank)
{
	set_rank(l, rank);
	spin_init(&l->guard, LOCK_MUTEX_GUARD);
	l->readers = 0;
	l->writer = false;
	l->writers_waiting = 0;
	list_init(&l->waiters);
}

/* The guard is held. Writers are preferred: a reader waits for those that wait already. */
static bool rwlock_try(struct rwlock *l, bool is_writer)
{
	if (is_writer) {
		if (l->readers || l->writer)
			return false;
		l->writer = true;
		return true;
	}
	if (l->writer || l->writers_waiting)
		return false;
	l->readers++;
	return true;
}

static void lock_shared_or_not(struct rwlock *l, bool is_writer)
{
	struct lock_waiter w;

	spin_lock(&l->guard);
	if (likely(rwlock_try(l, is_writer))) {
		spin_unlock(&l->guard);
		return;
	}
	enqueue(&l->waiters, &w, is_writer);
	l->writers_waiting += is_writer;
	for (;;) {
		spin_unlock(&l->guard);
		(void)thread_park(DEADLINE_NEVER, false);
		spin_lock(&l->guard);
		if (rwlock_try(l, is_writer))
			break;
	}
	l->writers_waiting -= is_writer;
	list_del(&w.node);
	spin_unlock(&l->guard);
}

/*
 * After the last holder left: wakes the first writer, or all readers when no writer waits. One
 * at a time outside the guard would let waiters vanish; wakes are few and never sleep.
 */
static void rwlock_wake(struct rwlock *l)
{
	struct lock_waiter *w;

	list_for_each_entry (w, &l->waiters, node) {
		if (l->writers_waiting && !w->is_writer)
			continue;
		thread_unpark(w->thread);
		if (w->is_writer)
			break;
	}
}

static void rwlock_lock(struct rwlock *l, bool is_writer)
{
	assert_may_sleep();
	lock_order_check(rank_of(l));
	lock_shared_or_not(l, is_writer);
	lock_order_push(rank_of(l), l);
}

void rwlock_read_lock(struct rwlock *l)
{
	rwlock_lock(l, false);
}

void rwlock_write_lock(struct rwlock *l)
{
	rwlock_lock(l, true);
}

void rwlock_read_unlock(struct rwlock *l)
{
	lock_order_pop(l);
	spin_lock(&l->guard);
	BUG_ON(!l->readers);
	if (!--l->readers)
		rwlock_wake(l);
	spin_unlock(&l->guard);
}

void rwlock_write_unlock(struct rwlock *l)
{
	lock_order_pop(l);
	spin_lock(&l->guard);
	BUG_ON(!l->writer);
	l->writer = false;
	rwlock_wake(l);
	spin_unlock(&l->guard);
}
