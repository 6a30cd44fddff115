/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short critical sections without host calls, allocation of pages or user memory access. The
 * host may preempt a holder, so waiters yield to the host after a bounded spin. A thread that
 * holds one is never redirected by an asynchronous signal (kernel code never is).
 */
#pragma once

#include "kernel/sync/lock_order.h"
#include "lib/base/types.h"

struct spinlock {
	u32 locked;
#ifndef OCCLUM_FREESTANDING
	enum lock_rank rank;
#endif
};

#ifdef OCCLUM_FREESTANDING
#define SPINLOCK_INIT(rank)                                                                        \
	{                                                                                          \
		0                                                                                  \
	}
static inline enum lock_rank spin_rank(const struct spinlock *lock)
{
	(void)lock;
	return LOCK_RANK_NONE;
}
#else
#define SPINLOCK_INIT(rank)                                                                        \
	{                                                                                          \
		0, (rank)                                                                          \
	}
static inline enum lock_rank spin_rank(const struct spinlock *lock)
{
	return lock->rank;
}
#endif

static inline void spin_init(struct spinlock *lock, enum lock_rank rank)
{
	*lock = (struct spinlock)SPINLOCK_INIT(rank);
}

void spin_lock_slow(struct spinlock *lock);

static inline bool spin_try(struct spinlock *lock)
{
	return !__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE);
}

static inline bool spin_trylock(struct spinlock *lock)
{
	if (!spin_try(lock))
		return false;
	lock_order_push(spin_rank(lock), lock);
	return true;
}

static inline void spin_lock(struct spinlock *lock)
{
	lock_order_check(spin_rank(lock));
	if (unlikely(!spin_try(lock)))
		spin_lock_slow(lock);
	lock_order_push(spin_rank(lock), lock);
}

static inline void spin_unlock(struct spinlock *lock)
{
	lock_order_pop(lock);
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}
