// SPDX-License-Identifier: Apache-2.0
/*
 * Release of process.lock. Whoever changes something that sleeping or running threads must see
 * notes that under the lock; kicks and wakes happen here, after the lock is free, because they
 * leave the enclave. A thread is found by its flag, not by its place on the list, so one that
 * ends meanwhile makes no other be missed.
 */
#include "kernel/proc/process.h"

#include "abi/poll.h"

void thread_notify(struct thread *t, u32 work)
{
	__atomic_or_fetch(&t->work, work, __ATOMIC_SEQ_CST);
	if (t == current_thread())
		return;
	t->needs_kick = true;
	t->process->kicks_pending = true;
}

/* Lock held: a thread to kick, with a reference. */
static struct thread *next_to_kick(struct process *p)
{
	struct thread *t;

	list_for_each_entry (t, &p->threads, process_node) {
		if (t->needs_kick) {
			t->needs_kick = false;
			return thread_get(t);
		}
	}
	p->kicks_pending = false;
	return NULL;
}

void process_unlock(struct process *p)
{
	bool wake_stopped = p->wake_stopped, wake_exit = p->wake_exit;
	bool wake_poll = p->wake_signal_poll;
	struct thread *t;

	p->wake_stopped = p->wake_exit = p->wake_signal_poll = false;
	while (unlikely(p->kicks_pending) && (t = next_to_kick(p))) {
		spin_unlock(&p->lock);
		thread_kick(t);
		thread_put(t);
		spin_lock(&p->lock);
	}
	spin_unlock(&p->lock);
	if (unlikely(wake_stopped))
		waitq_wake_all(&p->stop_wait);
	if (unlikely(wake_exit))
		waitq_wake_all(&p->exit_wait);
	if (unlikely(wake_poll))
		pollq_wake(&p->signal_poll, POLLIN | POLLRDNORM);
}
