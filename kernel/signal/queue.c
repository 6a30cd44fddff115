// SPDX-License-Identifier: Apache-2.0
/*
 * Queues of pending signals. Each thread and each process has a set of pending numbers and a list
 * of what is known about them; a standard signal is queued once, a real-time signal as often as
 * it is sent, up to RLIMIT_SIGPENDING. A signal that would be ignored is dropped when it is sent,
 * which saves a kick and a trap per exiting child. A standard signal never fails for want of
 * memory: the bit alone is set then.
 *
 * process.lock protects both kinds of queue, all masks and actions; process_unlock() kicks the
 * threads that have to look.
 */
#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "kernel/core/kmem.h"
#include "kernel/signal/signal_priv.h"
#include "lib/base/string.h"

bool signal_default_is_ignore(int signo)
{
	return SIG_BIT(signo) &
	       (SIG_BIT(SIGCHLD) | SIG_BIT(SIGCONT) | SIG_BIT(SIGURG) | SIG_BIT(SIGWINCH));
}

bool signal_is_ignored(const struct process *p, const struct thread *t, int signo)
{
	const struct sigaction_k *action = &p->actions[signo - 1];

	/* Blocked, it may still be waited for or get a handler. */
	if (t && ((t->blocked | t->real_blocked) & SIG_BIT(signo)))
		return false;
	if (action->handler == SIG_IGN_ADDRESS)
		return signo != SIGKILL && signo != SIGSTOP;
	return action->handler == SIG_DFL_ADDRESS && signal_default_is_ignore(signo);
}

void signal_recalc(struct thread *t)
{
	struct process *p = t->process;

	if (((t->pending_set | p->pending_set) & ~t->blocked) || p->stopped)
		__atomic_or_fetch(&t->work, WORK_SIGNAL, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(&t->work, ~(u32)WORK_SIGNAL, __ATOMIC_SEQ_CST);
}

static void remove_from_queue(struct process *p, struct list_node *queue, sigset_k *set,
			      sigset_k which)
{
	struct sigqueue *q, *next;

	if (!(*set & which))
		return;
	*set &= ~which;
	list_for_each_entry_safe (q, next, queue, node) {
		if (SIG_BIT(q->info.signo) & which) {
			list_del(&q->node);
			p->pending_count--;
			kfree(q);
		}
	}
}

static void remove_everywhere(struct process *p, sigset_k which)
{
	struct thread *t;

	remove_from_queue(p, &p->pending, &p->pending_set, which);
	list_for_each_entry (t, &p->threads, process_node)
		remove_from_queue(p, &t->pending, &t->pending_set, which);
}

static int enqueue(struct process *p, struct list_node *queue, sigset_k *set,
		   const struct signal_info *info)
{
	bool is_realtime = info->signo >= ABI_SIGRTMIN;
	struct sigqueue *q = NULL;

	if (!is_realtime && (*set & SIG_BIT(info->signo)))
		return 0;
	if (p->pending_count < p->limits[ABI_RLIMIT_SIGPENDING].soft)
		q = kmalloc(sizeof(*q));
	if (q) {
		q->info = *info;
		list_add_tail(queue, &q->node);
		p->pending_count++;
	} else if (is_realtime && info->code != SI_USER) {
		return -EAGAIN;
	}
	*set |= SIG_BIT(info->signo);
	p->wake_signal_poll = true;
	return 0;
}

/* Continuing and stopping cancel each other when sent, whatever happens to them later. */
static void apply_stop_rules(struct process *p, int signo)
{
	if (SIG_BIT(signo) & SIGNALS_STOP) {
		remove_everywhere(p, SIG_BIT(SIGCONT));
		return;
	}
	if (signo != SIGCONT && signo != SIGKILL)
		return;
	if (signo == SIGCONT)
		remove_everywhere(p, SIGNALS_STOP);
	if (p->stopped) {
		p->stopped = false;
		p->stop_reported = false;
		p->continue_reported = signo == SIGCONT;
		p->wake_stopped = true; /* who wakes up tells the parent */
	}
}

int signal_queue_thread(struct thread *t, const struct signal_info *info)
{
	struct process *p = t->process;
	int err;

	apply_stop_rules(p, info->signo);
	if (signal_is_ignored(p, t, info->signo))
		return 0;
	err = enqueue(p, &t->pending, &t->pending_set, info);
	if (err)
		return err;
	if (!(t->blocked & SIG_BIT(info->signo)))
		thread_notify(t, WORK_SIGNAL);
	return 0;
}

int signal_send_thread(struct thread *t, const struct signal_info *info)
{
	struct process *p = t->process;
	int err = 0;

	process_lock(p);
	if (!p->zombie && !list_is_empty(&t->process_node))
		err = signal_queue_thread(t, info);
	process_unlock(p);
	return err;
}

/* The current thread if it takes the signal (no kick needed), else the first that does. */
static struct thread *choose_thread(struct process *p, int signo)
{
	struct thread *self = current_thread();
	struct thread *t;

	if (self && self->process == p && !list_is_empty(&self->process_node) &&
	    !(self->blocked & SIG_BIT(signo)))
		return self;
	list_for_each_entry (t, &p->threads, process_node) {
		if (!(t->blocked & SIG_BIT(signo)) &&
		    !(__atomic_load_n(&t->work, __ATOMIC_RELAXED) & WORK_EXIT))
			return t;
	}
	return NULL;
}

int signal_queue_process(struct process *p, const struct signal_info *info)
{
	struct thread *t;
	int err;

	if (p->zombie || p->exiting)
		return 0;
	apply_stop_rules(p, info->signo);
	t = list_is_empty(&p->threads) ? NULL
				       : list_first_entry(&p->threads, struct thread, process_node);
	if (signal_is_ignored(p, t, info->signo))
		return 0;
	err = enqueue(p, &p->pending, &p->pending_set, info);
	if (err)
		return err;
	t = choose_thread(p, info->signo);
	if (t)
		thread_notify(t, WORK_SIGNAL);
	return 0;
}

int signal_send_process(struct process *p, const struct signal_info *info)
{
	int err;

	process_lock(p);
	err = signal_queue_process(p, info);
	process_unlock(p);
	return err;
}

struct group_send {
	s32 pgid;
	const struct signal_info *info;
	int result;
};

static int send_to_member(struct process *p, void *arg)
{
	struct group_send *send = arg;
	int err;

	if (p->pgid != send->pgid)
		return 0;
	if (send->info->code <= 0 && !process_may_signal(p, send->info->signo))
		err = -EPERM;
	else
		err = send->info->signo ? signal_send_process(p, send->info) : 0;
	if (send->result)
		send->result = err;
	return 0;
}

int signal_send_group(s32 pgid, const struct signal_info *info)
{
	struct group_send send = {.pgid = pgid, .info = info, .result = -ESRCH};

	process_for_each(send_to_member, &send);
	return send.result;
}

void signal_retarget(struct process *p, const struct thread *t, sigset_k which)
{
	struct thread *other;

	which &= p->pending_set;
	if (!which)
		return;
	list_for_each_entry (other, &p->threads, process_node) {
		if (other != t && (which & ~other->blocked)) {
			thread_notify(other, WORK_SIGNAL);
			which &= other->blocked;
			if (!which)
				return;
		}
	}
}

static int lowest(sigset_k set)
{
	if (set & SIGNALS_SYNCHRONOUS)
		set &= SIGNALS_SYNCHRONOUS;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

static int take(struct process *p, struct list_node *queue, sigset_k *set, sigset_k wanted,
		struct signal_info *ret)
{
	int signo = lowest(*set & wanted);
	struct sigqueue *q, *next;
	bool found = false, more = false;

	if (!signo)
		return 0;
	*ret = (struct signal_info){.signo = signo, .code = SI_USER};
	list_for_each_entry_safe (q, next, queue, node) {
		if (q->info.signo != signo)
			continue;
		if (found) {
			more = true;
			break;
		}
		*ret = q->info;
		list_del(&q->node);
		p->pending_count--;
		kfree(q);
		found = true;
	}
	if (!more)
		*set &= ~SIG_BIT(signo);
	return signo;
}

int signal_dequeue_locked(struct thread *t, sigset_k set, struct signal_info *ret)
{
	struct process *p = t->process;
	int signo = take(p, &t->pending, &t->pending_set, set, ret);

	return signo ? signo : take(p, &p->pending, &p->pending_set, set, ret);
}

int signal_dequeue(sigset_k set, struct signal_info *ret)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	int signo;

	process_lock(p);
	signo = signal_dequeue_locked(t, set, ret);
	signal_recalc(t);
	process_unlock(p);
	return signo;
}

sigset_k signal_pending(void)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	sigset_k set;

	process_lock(p);
	set = t->pending_set | p->pending_set;
	process_unlock(p);
	return set;
}

void signal_flush_thread(struct thread *t)
{
	struct process *p = t->process;

	process_lock(p);
	remove_from_queue(p, &t->pending, &t->pending_set, ~0ull);
	process_unlock(p);
}

void signal_flush_process(struct process *p)
{
	process_lock(p);
	remove_from_queue(p, &p->pending, &p->pending_set, ~0ull);
	process_unlock(p);
}

int signal_set_action(int signo, const struct sigaction_k *action, struct sigaction_k *ret_old)
{
	struct process *p = current_process();
	struct thread *t;

	if (signo < 1 || signo > SIGNAL_COUNT)
		return -EINVAL;
	if (action && (SIG_BIT(signo) & SIGNALS_UNBLOCKABLE))
		return -EINVAL;
	process_lock(p);
	*ret_old = p->actions[signo - 1];
	if (action) {
		p->actions[signo - 1] = *action;
		p->actions[signo - 1].mask &= ~SIGNALS_UNBLOCKABLE;
		/* POSIX: setting to ignore drops what is pending, blocked or not. */
		if (signal_is_ignored(p, NULL, signo)) {
			remove_everywhere(p, SIG_BIT(signo));
			list_for_each_entry (t, &p->threads, process_node)
				signal_recalc(t);
		}
	}
	process_unlock(p);
	return 0;
}

bool signal_would_be_ignored(int signo)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	bool ignored;

	process_lock(p);
	ignored = (t->blocked & SIG_BIT(signo)) || p->actions[signo - 1].handler == SIG_IGN_ADDRESS;
	process_unlock(p);
	return ignored;
}

bool signal_will_kill(struct thread *t)
{
	struct process *p = t->process;
	sigset_k pending;
	bool kills = false;

	if (__atomic_load_n(&t->work, __ATOMIC_ACQUIRE) & WORK_EXIT)
		return true;
	process_lock(p);
	kills = p->exiting;
	pending = (t->pending_set | p->pending_set) & ~t->blocked & ~SIGNALS_STOP;
	for (int signo = 1; signo <= SIGNAL_COUNT && pending && !kills; signo++) {
		if (pending & SIG_BIT(signo))
			kills = p->actions[signo - 1].handler == SIG_DFL_ADDRESS &&
				!signal_default_is_ignore(signo);
	}
	process_unlock(p);
	return kills;
}

static void reset_handlers_locked(struct process *p)
{
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		u64 handler = p->actions[i].handler;

		p->actions[i] = (struct sigaction_k){
			.handler = handler == SIG_IGN_ADDRESS ? SIG_IGN_ADDRESS : SIG_DFL_ADDRESS};
	}
}

void signal_reset_handlers(struct process *p)
{
	process_lock(p);
	reset_handlers_locked(p);
	process_unlock(p);
}

void signal_exec_reset(struct process *p)
{
	struct thread *t = current_thread();

	process_lock(p);
	reset_handlers_locked(p);
	t->altstack_sp = 0;
	t->altstack_size = 0;
	t->altstack_flags = SS_DISABLE;
	t->has_saved_blocked = false;
	process_unlock(p);
}
