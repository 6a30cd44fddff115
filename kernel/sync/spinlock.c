// SPDX-License-Identifier: Apache-2.0
/*
 * The slow path of spinlocks. The host may preempt a holder for as long as it likes, so a waiter
 * spins for about a microsecond and then gives its time slice back to the host instead of
 * burning it. Spinlocks protect short sections only; a waiter that never gets the lock is a
 * denial of service by the host, which is out of scope.
 */
#include "kernel/sync/spinlock.h"

#include "kernel/arch/arch.h"
#include "kernel/sched/park.h"

#define SPINS_BEFORE_YIELD 200

void spin_lock_slow(struct spinlock *lock)
{
	for (;;) {
		for (u32 i = 0; i < SPINS_BEFORE_YIELD; i++) {
			cpu_relax();
			if (!__atomic_load_n(&lock->locked, __ATOMIC_RELAXED) && spin_try(lock))
				return;
		}
		thread_yield();
	}
}
