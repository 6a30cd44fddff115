// SPDX-License-Identifier: Apache-2.0
/*
 * What happens to pending signals on the way back to a program: each one unblocked is taken off
 * its queue and ignored, stops the process, ends it, or gets a frame on the user's stack; frames
 * nest, so that the last signal taken is handled first, as on Linux. Interrupted system calls
 * are decided on here too: restart.h has the table.
 *
 * Runs on the thread's kernel stack with no lock held. May not return: the thread may have to end.
 */
#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/arch/arch.h"
#include "kernel/proc/process.h"
#include "kernel/proc/tty.h"
#include "kernel/signal/signal_priv.h"
#include "kernel/sys/restart.h"

static bool must_exit(const struct thread *t)
{
	return __atomic_load_n(&t->work, __ATOMIC_ACQUIRE) & WORK_EXIT;
}

void signal_stop_process(struct process *p, int signo)
{
	struct thread *t;

	p->stopped = true;
	p->stop_signal = signo;
	p->stop_reported = true;
	p->continue_reported = false;
	list_for_each_entry (t, &p->threads, process_node) {
		thread_notify(t, WORK_SIGNAL);
	}
}

/* Sleeps while the process is stopped; only SIGCONT and death end that. */
static void wait_while_stopped(struct thread *t)
{
	struct process *p = t->process;
	bool tell_parent;

	if (!__atomic_load_n(&p->stopped, __ATOMIC_ACQUIRE))
		return;
	(void)wait_event(&p->stop_wait,
			 !__atomic_load_n(&p->stopped, __ATOMIC_ACQUIRE) || must_exit(t),
			 DEADLINE_NEVER, false);
	process_lock(p);
	tell_parent = p->continue_reported && p->stop_signal;
	p->stop_signal = 0;
	process_unlock(p);
	if (tell_parent)
		process_notify_parent(p, CLD_CONTINUED, SIGCONT);
}

/* The call that *regs is in was interrupted and a handler is about to run. */
static void decide_restart(struct user_regs *regs, const struct sigaction_k *action)
{
	bool restart = false;

	if (regs->orig_rax == UINT64_MAX)
		return;
	switch ((s64)regs->rax) {
	case -ERESTARTNOINTR: restart = true; break;
	case -ERESTARTSYS: restart = action->flags & SA_RESTART; break;
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK: break;
	default: regs->orig_rax = UINT64_MAX; return;
	}
	if (restart) {
		regs->rax = regs->orig_rax;
		regs->rip -= 2; /* the `syscall` instruction, or the jump that replaced it */
	} else {
		regs->rax = -EINTR;
	}
	regs->orig_rax = UINT64_MAX;
}

/* Takes the next signal under the lock. 0: none is left. */
static int next_signal(struct thread *t, struct signal_info *info, struct sigaction_k *action)
{
	struct process *p = t->process;
	int signo;

	process_lock(p);
	for (;;) {
		signo = signal_dequeue_locked(t, ~t->blocked, info);
		if (!signo)
			break;
		*action = p->actions[signo - 1];
		if (action->handler != SIG_IGN_ADDRESS &&
		    (action->handler != SIG_DFL_ADDRESS || !signal_default_is_ignore(signo)))
			break;
	}
	if (!signo)
		signal_recalc(t);
	process_unlock(p);
	return signo;
}

static void take_default_action(struct thread *t, const struct signal_info *info,
				const struct user_regs *regs)
{
	struct process *p = t->process;
	int signo = info->signo;

	if (!(SIG_BIT(signo) & SIGNALS_STOP)) {
		signal_log_death(info, regs);
		process_exit_group(signo);
	}
	/* Nobody could continue it: all but SIGSTOP do nothing then. */
	if (signo != SIGSTOP && tty_stop_is_final())
		return;
	process_lock(p);
	if (p->exiting) {
		process_unlock(p);
		return;
	}
	signal_stop_process(p, signo);
	process_unlock(p);
	process_notify_parent(p, CLD_STOPPED, signo);
}

/* No room for a frame: that is a fault of its own, and fatal when SIGSEGV's frame was refused. */
static void force_segv(struct thread *t, struct user_regs *regs, int signo)
{
	struct process *p = t->process;
	const struct signal_info info = {.signo = SIGSEGV, .code = SI_KERNEL};

	if (signo == SIGSEGV) {
		process_lock(p);
		p->actions[SIGSEGV - 1] = (struct sigaction_k){0};
		process_unlock(p);
	}
	signal_fault(&info, regs);
}

static void run_handler(struct thread *t, struct user_regs *regs, const struct signal_info *info,
			const struct sigaction_k *action)
{
	struct process *p = t->process;
	sigset_k old_mask = t->has_saved_blocked ? t->saved_blocked : t->blocked;
	sigset_k mask = t->blocked | action->mask;

	decide_restart(regs, action);
	if (!(action->flags & SA_NODEFER))
		mask |= SIG_BIT(info->signo);
	if (action->flags & SA_RESETHAND) {
		process_lock(p);
		p->actions[info->signo - 1].handler = SIG_DFL_ADDRESS;
		process_unlock(p);
	}
	if (signal_frame_push(regs, info, action, old_mask)) {
		force_segv(t, regs, info->signo);
		return;
	}
	t->has_saved_blocked = false;
	signal_set_blocked(mask);
}

void signal_deliver(struct user_regs *regs)
{
	struct thread *t = current_thread();
	struct signal_info info;
	struct sigaction_k action;
	int signo;

	for (;;) {
		wait_while_stopped(t);
		if (must_exit(t))
			thread_exit(t->exit_code);
		signo = next_signal(t, &info, &action);
		if (!signo) {
			if (!t->process->stopped)
				break;
			continue;
		}
		if (action.handler == SIG_DFL_ADDRESS)
			take_default_action(t, &info, regs);
		else
			run_handler(t, regs, &info, &action);
	}
	/* sigsuspend and the like without a handler: the call runs again with its own mask. */
	if (t->has_saved_blocked) {
		t->has_saved_blocked = false;
		signal_set_blocked(t->saved_blocked);
	}
}
