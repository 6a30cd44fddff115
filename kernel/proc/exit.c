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
#include "abi/poll.h"
#include "abi/signal.h"
#include "edge/hostcall_gen.h"
#include "kernel/core/panic.h"
#include "kernel/futex/futex.h"
#include "kernel/ipc/sem.h"
#include "kernel/ipc/shm.h"
#include "kernel/mm/turn.h"
#include "kernel/proc/load.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/proc/tty.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/time/timer.h"

#define LOG_TAG "proc"
#include "kernel/core/log.h"

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

static bool parent_ignores(struct process *parent, const struct process *p, int code)
{
	const struct sigaction_k *action = &parent->actions[SIGCHLD - 1];
	bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
	bool ignores;

	/* Only SIGCHLD's own rules make a child vanish; a clone() may have asked for another. */
	if (ended && p->exit_signal != SIGCHLD)
		return false;
	spin_lock(&parent->lock);
	ignores = ended ? action->handler == SIG_IGN_ADDRESS || (action->flags & SA_NOCLDWAIT)
			: action->handler == SIG_IGN_ADDRESS || (action->flags & SA_NOCLDSTOP);
	spin_unlock(&parent->lock);
	return ignores;
}

/*
 * Who takes the children of `p` over: the nearest ancestor that asked for that and still lives, or
 * nobody (NULL), which is what process 1 does on Linux: what is dead is reaped, the rest when it
 * dies. Tree lock held.
 */
static struct process *reaper_of(const struct process *p)
{
	struct process *reaper = p->parent;

	while (reaper && (!reaper->is_subreaper || reaper->children_end))
		reaper = reaper->parent;
	return reaper;
}

/* Takes one child off the list and gives it to `*ret_reaper`. Both counted; NULL: none is left. */
static struct process *give_child_away(struct process *p, struct process **ret_reaper)
{
	struct process *child = NULL, *reaper = NULL;

	spin_lock(&process_tree_lock);
	p->children_end = true;
	if (!list_is_empty(&p->children)) {
		child = process_get(list_first_entry(&p->children, struct process, sibling));
		list_del(&child->sibling);
		reaper = reaper_of(p);
		if (reaper && child->zombie &&
		    parent_ignores(reaper, child, end_code(child->exit_status)))
			reaper = NULL;
		child->parent = reaper;
		__atomic_store_n(&child->parent_pid, reaper ? reaper->pid : 1, __ATOMIC_RELAXED);
		if (reaper) {
			process_get(reaper);
			child->exit_signal = SIGCHLD;
			list_add_tail(&reaper->children, &child->sibling);
		} else {
			child->is_orphan = true;
		}
	}
	spin_unlock(&process_tree_lock);
	*ret_reaper = reaper;
	return child;
}

static void process_tell(struct process *reaper, struct process *zombie);
static bool take_unwanted(struct process *p);

static void abandon_children(struct process *p)
{
	struct process *child, *reaper;

	while ((child = give_child_away(p, &reaper))) {
		struct signal_info death = {.signo = child->parent_death_signal,
					    .code = SI_USER,
					    .pid = p->pid,
					    .uid = p->cred.uid};
		bool is_dead = __atomic_load_n(&child->zombie, __ATOMIC_ACQUIRE);

		if (death.signo && !is_dead)
			(void)signal_send_process(child, &death);
		if (child->pgid != p->pgid && child->sid == p->sid)
			process_group_check_orphaned(child->pgid, NULL);
		if (is_dead && reaper)
			process_tell(reaper, child);
		else if (is_dead && take_unwanted(child))
			process_reap(child);
		process_put(reaper);
		process_put(child);
	}
}

/*
 * Queues what `parent` is to get; kicks and wakes are left to flush(), because the caller may hold
 * the tree lock.
 */
static void queue_news(struct process *parent, struct process *p, int code, int status)
{
	bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
	struct signal_info info = {
		.signo = ended ? p->exit_signal : SIGCHLD,
		.code = code,
		.pid = p->pid,
		.uid = p->cred.uid,
		.status = status,
		.utime_ns = p->cpu_ns_of_dead_threads,
	};

	/* With SA_NOCLDWAIT the signal comes all the same, as on Linux. */
	if (!info.signo || (!ended && parent_ignores(parent, p, code)))
		return;
	spin_lock(&parent->lock);
	/* Ignored, a child's end is no signal even where it is blocked. */
	if (info.signo != SIGCHLD || parent->actions[SIGCHLD - 1].handler != SIG_IGN_ADDRESS)
		(void)signal_queue_process(parent, &info);
	spin_unlock(&parent->lock);
}

static void flush_news(struct process *parent)
{
	process_lock(parent);
	process_unlock(parent);
	waitq_wake_all(&parent->exit_wait);
}

/* Tells `parent`, whatever p->parent is by now. */
static void notify(struct process *parent, struct process *p, int code, int status)
{
	queue_news(parent, p, code, status);
	flush_news(parent);
}

void process_notify_parent(struct process *p, int code, int status)
{
	struct process *parent;
	bool is_job;

	spin_lock(&process_tree_lock);
	parent = p->parent ? process_get(p->parent) : NULL;
	/* SIGSTOP away from the terminal: somebody inside may well mean to continue it. */
	is_job = p->has_host_shell && code == CLD_STOPPED &&
		 (status != SIGSTOP || (p->tty && p->tty->is_host));
	spin_unlock(&process_tree_lock);
	if (!parent) {
		if (is_job)
			host_job_stopped((u32)status);
		return;
	}
	notify(parent, p, code, status);
	process_put(parent);
}

/* A subreaper is told of a zombie that it has inherited. */
static void process_tell(struct process *reaper, struct process *zombie)
{
	notify(reaper, zombie, end_code(zombie->exit_status), end_status(zombie->exit_status));
}

/* A zombie that nobody will wait for: true for exactly one caller, who reaps it. */
static bool take_unwanted(struct process *p)
{
	bool mine;

	spin_lock(&process_tree_lock);
	mine = p->is_orphan && !p->is_taken;
	p->is_taken |= mine;
	spin_unlock(&process_tree_lock);
	return mine;
}

/*
 * From here on it can be waited for. Its parent of that moment, counted, or NULL. *ret_stays is
 * false when nobody will wait, because it has no parent any more or the parent ignores SIGCHLD,
 * and it is off the parent's list already. The signal is queued in the same step: when a wait
 * reports the end, SIGCHLD has come.
 */
static struct process *become_zombie(struct process *p, int code, bool *ret_stays)
{
	struct process *parent;
	bool vanish;

	spin_lock(&process_tree_lock);
	parent = p->parent ? process_get(p->parent) : NULL;
	vanish = p->is_orphan || (parent && parent_ignores(parent, p, code));
	/* No thread is left that could need a kick: plain unlocking will do. */
	if (vanish) {
		list_del(&p->sibling);
		p->is_taken = true;
	}
	process_lock(p);
	__atomic_store_n(&p->zombie, true, __ATOMIC_RELEASE);
	spin_unlock(&p->lock);
	if (parent)
		queue_news(parent, p, code, end_status(p->exit_status));
	spin_unlock(&process_tree_lock);
	*ret_stays = !vanish;
	return parent;
}

/* Its parent was one that keeps its group from being orphaned. */
static bool keeps_group(struct process *p)
{
	bool keeps;

	spin_lock(&process_tree_lock);
	keeps = p->parent && p->parent->pgid != p->pgid && p->parent->sid == p->sid;
	spin_unlock(&process_tree_lock);
	return keeps;
}

static void finish_process(struct process *p)
{
	s32 status = p->exit_status;
	struct process *parent;
	bool stays;

	/* Which share of the calls trapped is what tests look at: all threads, all calls. */
	log_info(
		"process %d (%s) ended: %llu system calls, %llu trapped, %llu of them rt_sigreturn",
		p->pid, p->comm, (unsigned long long)p->syscalls_of_dead_threads,
		(unsigned long long)p->traps_of_dead_threads,
		(unsigned long long)p->sigreturn_traps_of_dead_threads);
	timers_process_exit(p);
	sem_process_exit(p);
	shm_process_exit(p);
	mutex_lock(&p->exec_lock); /* readers in /proc */
	process_release_resources(p);
	mutex_unlock(&p->exec_lock);
	child_leave_parent(p);
	signal_flush_process(p);
	pollq_fini(&p->signal_poll);
	tty_leader_exit(p);
	tty_leave(p);
	abandon_children(p);
	if (keeps_group(p))
		process_group_check_orphaned(p->pgid, p);

	parent = become_zombie(p, end_code(status), &stays);
	pollq_wake(&p->exit_poll, POLLIN | POLLRDNORM);
	waitq_wake_all(&p->exit_wait);
	if (parent)
		flush_news(parent);
	process_put(parent);
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
	/* Once another is the last, the memory goes; the last must be inside when that happens. */
	if (__atomic_load_n(&p->thread_count, __ATOMIC_ACQUIRE) > 1)
		turn_detach();

	process_lock(p);
	list_del(&t->process_node);
	p->cpu_ns_of_dead_threads += thread_cpu_ns(t);
	load_keep(t);
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
	thread_count_down(); /* before anybody who waits for us asks for the next */
	if (is_last) {
		if (!t->turn_mm && p->mm)
			turn_attach(p->mm);
		finish_process(p);
	}
	thread_put(t); /* the list's; thread_leave() drops the runner's */
	thread_leave();
}
