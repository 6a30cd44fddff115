/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/signal share. */
#pragma once

#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"

struct sigqueue {
	struct list_node node;
	struct signal_info info;
};

#define SIGNALS_SYNCHRONOUS                                                                        \
	(SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS) | SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) |                 \
	 SIG_BIT(SIGFPE) | SIG_BIT(SIGSYS))
#define SIGNALS_CORE                                                                               \
	(SIGNALS_SYNCHRONOUS | SIG_BIT(SIGABRT) | SIG_BIT(SIGQUIT) | SIG_BIT(SIGXCPU) |            \
	 SIG_BIT(SIGXFSZ))
#define SIGNALS_STOP	    (SIG_BIT(SIGSTOP) | SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))
#define SIGNALS_UNBLOCKABLE (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))

/* All with process.lock held. */
void signal_recalc(struct thread *t); /* sets or clears WORK_SIGNAL */
bool signal_is_ignored(const struct process *p, const struct thread *t, int signo);
int signal_queue_thread(struct thread *t, const struct signal_info *info);
int signal_dequeue_locked(struct thread *t, sigset_k set, struct signal_info *ret);

/* Builds the handler's frame and points *regs at it; -EFAULT when the stack cannot take it. */
int __must_check signal_frame_push(struct user_regs *regs, const struct signal_info *info,
				   const struct sigaction_k *action, sigset_k old_mask);

/* Where the program is that dies of this signal: one line, of debuggable instances only. */
void signal_log_death(const struct signal_info *info, const struct user_regs *regs);

/* The process dies or is stopped by the default action of `info`, and who waits is told. */
void signal_stop_process(struct process *p, int signo); /* process.lock held */
