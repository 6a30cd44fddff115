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

/* Host builds count what a thread holds, so that sleeping below a spinlock is a failed test. */
#ifdef OCCLUM_FREESTANDING
static inline void spin_count(int change)
{
	(void)change;
}
static inline void assert_may_sleep(void)
{
}
#else
extern __thread int spinlocks_held;
static inline void spin_count(int change)
{
	spinlocks_held += change;
}
void assert_may_sleep(void);
#endif

static inline bool spin_trylock(struct spinlock *lock)
{
	if (__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE))
		return false;
	spin_count(1);
	return true;
}

static inline void spin_lock(struct spinlock *lock)
{
	if (unlikely(!spin_trylock(lock)))
		spin_lock_slow(lock);
}

static inline void spin_unlock(struct spinlock *lock)
{
	spin_count(-1);
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}
