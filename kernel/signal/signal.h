/* SPDX-License-Identifier: Apache-2.0 */
/* Sending and delivering signals. */
#pragma once

#include "kernel/arch/regs.h"
#include "kernel/signal/sigset.h"

struct process;
struct sigaction_k;
struct thread;

/* What a handler learns; host order, becomes siginfo_t in the frame. */
struct signal_info {
	int signo, code, error;
	s32 pid;
	u32 uid;
	u64 address;  /* faults */
	u64 value;    /* sigqueue, timers */
	int status;   /* SIGCHLD */
	u64 utime_ns; /* SIGCHLD */
	int timer_id, overrun;
	u32 trap, trap_code; /* faults: vector and error code of the CPU */
};

/* Queue for a process or one thread. 0, -EAGAIN (queue limit). Ignored signals are dropped here. */
int signal_send_process(struct process *p, const struct signal_info *info);
int signal_send_thread(struct thread *t, const struct signal_info *info);
/* process.lock held; whoever must be kicked is so by the next process_unlock(). */
int signal_queue_process(struct process *p, const struct signal_info *info);

/*
 * A fault of the current thread at *regs (address etc. in info). Forced: blocked or ignored, it
 * kills. Logs one line with registers, module and offset when the process will die of it and
 * the instance is debuggable.
 */
void signal_fault(const struct signal_info *info, struct user_regs *regs);

/*
 * On the way back to user mode with work pending: dequeues, builds frames, stops or ends the
 * thread. May change *regs; may not return (exit).
 */
void signal_deliver(struct user_regs *regs);

/*
 * For one call with its own mask (ppoll, pselect, epoll_pwait, sigsuspend): installs *set; a NULL
 * set does nothing. 0, -EINVAL (size), -EFAULT. signal_mask_pop() puts the old mask back, unless
 * `result` says that a signal ended the call: then delivery does, after the handler's frame
 * has been made. It returns `result`.
 */
int __must_check signal_mask_push(const void __user *set, u64 size);
long signal_mask_pop(long result);

/* Blocks exactly `set` (KILL and STOP excepted) in the current thread. */
void signal_set_blocked(sigset_k set);

/* Takes a pending signal of `set` off the current thread's or process's queue. Its number or 0. */
int signal_dequeue(sigset_k set, struct signal_info *ret);
/* Those pending for the current thread, its process's included. */
sigset_k signal_pending(void);

/*
 * All processes of a group that the current one may send to (the kernel: code > 0, to all); 0 when
 * one took it, -ESRCH without any, else an error.
 */
int signal_send_group(s32 pgid, const struct signal_info *info);

/* Something pending, or under way, is going to end the process of thread `t`, caught by nobody. */
bool signal_will_kill(struct thread *t);
/* The current thread blocks it, or the process ignores it. */
bool signal_would_be_ignored(int signo);
/* What is caught becomes SIG_DFL, what is ignored stays so. */
void signal_reset_handlers(struct process *p);

/* exec: handlers become SIG_DFL; the alternate stack goes. */
void signal_exec_reset(struct process *p);
/* Drops what is queued for a thread or a process that ends. */
void signal_flush_thread(struct thread *t);
void signal_flush_process(struct process *p);
/*
 * Lets other threads take signals of the process that `t` no longer takes: it ended or blocked
 * them. process.lock held.
 */
void signal_retarget(struct process *p, const struct thread *t, sigset_k which);

/* Changes an action. -EINVAL for KILL and STOP. Drops what is pending when it is to be ignored. */
int __must_check signal_set_action(int signo, const struct sigaction_k *action,
				   struct sigaction_k *ret_old);

/* Puts all of *info into the form of siginfo_t and back (rt_sigqueueinfo). */
struct abi_siginfo;
void signal_info_to_abi(struct abi_siginfo *ret, const struct signal_info *info);
struct abi_signalfd_siginfo;
void signal_info_to_signalfd(struct abi_signalfd_siginfo *ret, const struct signal_info *info);
void signal_info_from_abi(struct signal_info *ret, const struct abi_siginfo *info);

/* Ends or stops the process unless caught: what a default action does. */
bool signal_default_is_ignore(int signo);

/* rt_sigreturn: registers and mask from the frame at the user's stack pointer. */
long signal_return(struct user_regs *regs);
