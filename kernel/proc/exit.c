// SPDX-License-Identifier: Apache-2.0
/*
 * The end of threads and processes, and waiting for it.
 *
 * A thread ends itself: what others want of it is a bit in thread.work, and it counts as gone
 * only when it has taken itself off its process's list here, inside the enclave. After that it
 * touches no user memory. The last one to do so releases what the process held, so nothing is
 * freed under a thread that the host merely says is dead.
 */
#include "abi/errno.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "kernel/core/panic.h"
#include "kernel/futex/futex.h"
#include "kernel/ipc/shm.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/time/timer.h"

#define LOG_TAG "proc"
#include "kernel/core/log.h"

#define STATUS_SIGNAL_MASK 0x7f

/* process.lock held. */
static void tell_threads_to_exit(struct process *p, s32 status)
{
	struct thread *t;

	list_for_each_entry (t, &p->threads, process_node) {
		if (t == current_thread())
			continue;
		t->exit_code = status;
		thread_notify(t, WORK_EXIT);
	}
	p->stopped = false;
	p->wake_stopped = true;
}

void process_exit_group(s32 status)
{
	struct process *p = current_process();

	process_lock(p);
	if (!p->exiting) {
		p->exiting = true;
		p->exit_status = status;
		tell_threads_to_exit(p, status);
	}
	status = p->exit_status;
	process_unlock(p);
	thread_exit(status);
}

int process_end_siblings(struct process *p)
{
	struct thread *self = current_thread();
	int err = 0;

	process_lock(p);
	if (p->exiting || p->exec_thread) {
		process_unlock(p);
		return -EINTR;
	}
	p->exec_thread = self;
	tell_threads_to_exit(p, 0);
	process_unlock(p);

	(void)wait_event(&p->exit_wait,
			 __atomic_load_n(&p->thread_count, __ATOMIC_ACQUIRE) == 1 ||
				 __atomic_load_n(&p->exiting, __ATOMIC_ACQUIRE),
			 DEADLINE_NEVER, false);
	process_lock(p);
	p->exec_thread = NULL;
	if (p->exiting)
		err = -EINTR;
	process_unlock(p);
	return err;
}

/* Orphans have no parent to ask for them: what is dead is reaped, the rest when it dies. */
static void abandon_children(struct process *p)
{
	for (;;) {
		struct process *child = NULL;
		bool is_dead = false;

		spin_lock(&process_tree_lock);
		if (!list_is_empty(&p->children)) {
			child = list_first_entry(&p->children, struct process, sibling);
			list_del(&child->sibling);
			child->parent = NULL;
			child->is_orphan = true;
			is_dead = child->zombie;
		}
		spin_unlock(&process_tree_lock);
		if (!child)
			return;
		if (is_dead)
			process_reap(child);
	}
}

static bool parent_ignores(struct process *parent, int code)
{
	const struct sigaction_k *action = &parent->actions[SIGCHLD - 1];
	bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
	bool ignores;

	spin_lock(&parent->lock);
	ignores = ended ? action->handler == SIG_IGN_ADDRESS || (action->flags & SA_NOCLDWAIT)
			: action->flags & SA_NOCLDSTOP;
	spin_unlock(&parent->lock);
	return ignores;
}

void process_notify_parent(struct process *p, int code, int status)
{
	struct signal_info info = {
		.signo = SIGCHLD,
		.code = code,
		.pid = p->pid,
		.uid = p->cred.uid,
		.status = status,
	};
	struct process *parent;

	spin_lock(&process_tree_lock);
	parent = p->parent ? process_get(p->parent) : NULL;
	spin_unlock(&process_tree_lock);
	if (!parent)
		return;
	if (!parent_ignores(parent, code))
		(void)signal_send_process(parent, &info);
	waitq_wake_all(&parent->exit_wait);
	process_put(parent);
}

static int end_code(s32 status)
{
	return status & STATUS_SIGNAL_MASK ? CLD_KILLED : CLD_EXITED;
}

static int end_status(s32 status)
{
	return status & STATUS_SIGNAL_MASK ? status & STATUS_SIGNAL_MASK : (status >> 8) & 0xff;
}

/*
 * From here on it can be waited for. False: nobody will, because it has no parent any more or the
 * parent ignores SIGCHLD, and it is off the parent's list already.
 */
static bool become_zombie(struct process *p, int code)
{
	bool vanish;

	spin_lock(&process_tree_lock);
	vanish = p->is_orphan || (p->parent && parent_ignores(p->parent, code));
	/* No thread is left that could need a kick: plain unlocking will do. */
	if (vanish)
		list_del(&p->sibling);
	process_lock(p);
	__atomic_store_n(&p->zombie, true, __ATOMIC_RELEASE);
	spin_unlock(&p->lock);
	spin_unlock(&process_tree_lock);
	waitq_wake_all(&p->exit_wait);
	return !vanish;
}

static void finish_process(struct process *p)
{
	s32 status = p->exit_status;
	bool stays;

	/* Which share of the calls trapped is what tests look at: all threads, all calls. */
	log_info(
		"process %d (%s) ended: %llu system calls, %llu trapped, %llu of them rt_sigreturn",
		p->pid, p->comm, (unsigned long long)p->syscalls_of_dead_threads,
		(unsigned long long)p->traps_of_dead_threads,
		(unsigned long long)p->sigreturn_traps_of_dead_threads);
	timers_process_exit(p);
	shm_process_exit(p);
	mutex_lock(&p->exec_lock); /* readers in /proc */
	process_release_resources(p);
	mutex_unlock(&p->exec_lock);
	signal_flush_process(p);
	abandon_children(p);

	stays = become_zombie(p, end_code(status));
	process_notify_parent(p, end_code(status), end_status(status));
	if (!stays)
		process_reap(p);
}

void thread_exit(s32 status)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	bool is_last;

	if (list_is_empty(&t->process_node))
		thread_leave(); /* a thread of the kernel itself */
	futex_thread_exit(t);
	signal_flush_thread(t);
	id_set_thread(t->tid, NULL);

	process_lock(p);
	list_del(&t->process_node);
	p->cpu_ns_of_dead_threads += thread_cpu_ns(t);
	p->syscalls_of_dead_threads += t->syscalls;
	p->traps_of_dead_threads += t->traps;
	p->sigreturn_traps_of_dead_threads += t->sigreturn_traps;
	/* From here on this thread touches no memory of the program: uaccess.c relies on it. */
	is_last = __atomic_sub_fetch(&p->thread_count, 1, __ATOMIC_ACQ_REL) == 0;
	if (is_last && !p->exiting) {
		p->exiting = true;
		p->exit_status = status;
	}
	if (!is_last)
		signal_retarget(p, t, ~0ull);
	p->wake_exit = p->exec_thread != NULL;
	process_unlock(p);

	id_release(t->tid);
	if (is_last)
		finish_process(p);
	thread_count_down();
	thread_put(t); /* the list's; thread_leave() drops the runner's */
	thread_leave();
}

static bool matches(const struct process *child, const struct wait_request *request)
{
	switch (request->which) {
	case ABI_P_ALL: return true;
	case ABI_P_PID: return child->pid == request->id;
	case ABI_P_PGID: return child->pgid == request->id;
	default: return false;
	}
}

/* process_tree_lock held. True when `child` has something to report, which it takes. */
static bool take_report(struct process *child, u32 options, struct wait_result *ret)
{
	bool found = true;

	spin_lock(&child->lock);
	*ret = (struct wait_result){.pid = child->pid, .uid = child->cred.uid};
	if (child->zombie && (options & WEXITED)) {
		ret->code = end_code(child->exit_status);
		ret->status = end_status(child->exit_status);
		ret->utime_ns = child->cpu_ns_of_dead_threads + child->child_utime_ns;
	} else if (child->stopped && child->stop_reported && (options & WSTOPPED)) {
		ret->code = CLD_STOPPED;
		ret->status = child->stop_signal;
		if (!(options & WNOWAIT))
			child->stop_reported = false;
	} else if (child->continue_reported && (options & WCONTINUED)) {
		ret->code = CLD_CONTINUED;
		ret->status = SIGCONT;
		if (!(options & WNOWAIT))
			child->continue_reported = false;
	} else {
		found = false;
	}
	spin_unlock(&child->lock);
	return found;
}

/* 1: *ret is filled; 0: children match and none has changed; -ECHILD. *dead is to be reaped. */
static int scan_children(struct process *p, const struct wait_request *request,
			 struct wait_result *ret, struct process **dead)
{
	struct process *child;
	int found = -ECHILD;

	*dead = NULL;
	spin_lock(&process_tree_lock);
	list_for_each_entry (child, &p->children, sibling) {
		if (!matches(child, request))
			continue;
		found = 0;
		if (!take_report(child, request->options, ret))
			continue;
		found = 1;
		if (ret->code != CLD_STOPPED && ret->code != CLD_CONTINUED &&
		    !(request->options & WNOWAIT)) {
			/* Off the list: no other waiter may report it a second time. */
			list_del(&child->sibling);
			p->child_utime_ns += ret->utime_ns;
			*dead = child;
		}
		break;
	}
	spin_unlock(&process_tree_lock);
	return found;
}

int process_wait(const struct wait_request *request, struct wait_result *ret)
{
	struct process *p = current_process(), *dead;
	int found = 0, err;

	err = wait_event(&p->exit_wait,
			 (found = scan_children(p, request, ret, &dead)) != 0 ||
				 (request->options & WNOHANG),
			 DEADLINE_NEVER, true);
	if (dead)
		process_reap(dead);
	if (found < 0)
		return found;
	if (found > 0)
		return 0;
	if (err == -EINTR)
		return -ERESTARTSYS;
	*ret = (struct wait_result){0};
	return 0;
}

s32 wait_status(const struct wait_result *result)
{
	switch (result->code) {
	case CLD_EXITED: return (result->status & 0xff) << 8;
	case CLD_STOPPED: return result->status << 8 | 0x7f;
	case CLD_CONTINUED: return 0xffff;
	default: return result->status & STATUS_SIGNAL_MASK;
	}
}
