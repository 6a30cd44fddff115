// SPDX-License-Identifier: Apache-2.0
/*
 * PI futexes. The word holds the owner's tid, FUTEX_WAITERS when the kernel must be asked to
 * unlock, FUTEX_OWNER_DIED after a robust owner died. There are no priorities to inherit here;
 * what programs see is right otherwise: who owns the lock, EDEADLK, EPERM, robustness.
 *
 * Unlocking clears the owner and wakes one waiter, which takes the word itself; FUTEX_WAITERS
 * stays set as long as a waiter may be queued, so that no unlock passes the kernel by.
 */
#include "abi/errno.h"
#include "abi/futex.h"
#include "kernel/futex/futex_priv.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"

/* 0: it is ours; 1: owned by another and FUTEX_WAITERS is set; else -errno. */
static int try_take(u64 address, u32 tid, bool mark_waiters, bool is_waiter)
{
	u32 now, want, seen;
	struct thread *owner;

	if (get_user_u32(&now, (const void __user *)address))
		return -EFAULT;
	for (;;) {
		if ((now & FUTEX_TID_MASK) == tid)
			return -EDEADLK;
		if (!(now & FUTEX_TID_MASK))
			want = (now & (FUTEX_OWNER_DIED | FUTEX_WAITERS)) | tid |
			       (is_waiter ? FUTEX_WAITERS : 0);
		else if (mark_waiters)
			want = now | FUTEX_WAITERS;
		else
			return 1;
		if (cmpxchg_user_u32((void __user *)address, now, want, &seen))
			return -EFAULT;
		if (seen == now)
			break;
		now = seen;
	}
	if (!(now & FUTEX_TID_MASK))
		return 0;
	owner = thread_lookup((s32)(now & FUTEX_TID_MASK));
	if (!owner)
		return -ESRCH;
	thread_put(owner);
	return 1;
}

long futex_lock_pi(u64 address, bool is_private, u64 deadline, bool try_only)
{
	u32 tid = (u32)current_thread()->tid;
	struct futex_waiter w;
	long err;

	err = try_take(address, tid, !try_only, false);
	if (err <= 0)
		return err;
	if (try_only)
		return -EAGAIN;
	for (;;) {
		futex_enqueue(&w, address, is_private, FUTEX_BITSET_MATCH_ANY);
		err = try_take(address, tid, true, true);
		if (err <= 0) {
			/* A wake meant for a waiter must not be lost with us. */
			if (futex_dequeue(&w) && err)
				futex_wake(address, 1, is_private, FUTEX_BITSET_MATCH_ANY);
			return err;
		}
		err = futex_sleep(&w, deadline);
		if (err)
			return err;
	}
}

long futex_unlock_pi(u64 address, bool is_private)
{
	u32 tid = (u32)current_thread()->tid;
	u32 now, want, seen;

	if (get_user_u32(&now, (const void __user *)address))
		return -EFAULT;
	do {
		if ((now & FUTEX_TID_MASK) != tid)
			return -EPERM;
		want = now & FUTEX_WAITERS;
		if (cmpxchg_user_u32((void __user *)address, now, want, &seen))
			return -EFAULT;
		if (seen == now)
			break;
		now = seen;
	} while (true);
	if (futex_wake(address, 1, is_private, FUTEX_BITSET_MATCH_ANY) <= 0 && want) {
		/* Nobody was queued: let the next owner lock and unlock without us. */
		(void)!cmpxchg_user_u32((void __user *)address, want, 0, &seen);
	}
	return 0;
}
