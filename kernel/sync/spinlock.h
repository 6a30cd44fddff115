/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short critical sections without host calls, allocation of pages or user memory access. The
 * host may preempt a holder, so waiters yield to the host after a bounded spin. A thread that
 * holds one is never redirected by an asynchronous signal (kernel code never is).
 */
#pragma once

#include "lib/base/types.h"

struct spinlock {
	u32 locked;
};

#define SPINLOCK_INIT                                                                              \
	{                                                                                          \
		0                                                                                  \
	}

static inline void spin_init(struct spinlock *lock)
{
	lock->locked = 0;
}

void spin_lock_slow(struct spinlock *lock);

static inline bool spin_trylock(struct spinlock *lock)
{
	return !__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE);
}

static inline void spin_lock(struct spinlock *lock)
{
	if (unlikely(!spin_trylock(lock)))
		spin_lock_slow(lock);
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}
