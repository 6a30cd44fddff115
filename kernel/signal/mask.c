// SPDX-License-Identifier: Apache-2.0
/*
 * Masks of blocked signals. A thread's mask is changed by the thread alone, under process.lock
 * because senders read it. What a thread stops taking is offered to its siblings.
 */
#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/mm/uaccess.h"
#include "kernel/signal/signal_priv.h"
#include "kernel/sys/restart.h"

static void set_blocked_locked(struct thread *t, sigset_k set)
{
	sigset_k added;

	set &= ~SIGNALS_UNBLOCKABLE;
	added = set & ~t->blocked;
	__atomic_store_n(&t->blocked, set, __ATOMIC_RELAXED);
	if (added)
		signal_retarget(t->process, t, added);
	signal_recalc(t);
}

void signal_set_blocked(sigset_k set)
{
	struct thread *t = current_thread();

	process_lock(t->process);
	set_blocked_locked(t, set);
	process_unlock(t->process);
}

int signal_mask_push(const void __user *set, u64 size)
{
	struct thread *t = current_thread();
	sigset_k mask;

	if (!set)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(&mask, set, sizeof(mask)))
		return -EFAULT;
	process_lock(t->process);
	t->saved_blocked = t->blocked;
	t->has_saved_blocked = true;
	set_blocked_locked(t, mask);
	process_unlock(t->process);
	return 0;
}

long signal_mask_pop(long result)
{
	struct thread *t = current_thread();

	if (!t->has_saved_blocked)
		return result;
	if ((result == -EINTR || result == -ERESTARTNOHAND || result == -ERESTARTSYS ||
	     result == -ERESTART_RESTARTBLOCK) &&
	    thread_has_work(t))
		return result;
	process_lock(t->process);
	t->has_saved_blocked = false;
	set_blocked_locked(t, t->saved_blocked);
	process_unlock(t->process);
	return result;
}
