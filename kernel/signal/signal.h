/* SPDX-License-Identifier: Apache-2.0 */
/* Sending and delivering signals. */
#pragma once

#include "kernel/arch/regs.h"
#include "kernel/signal/sigset.h"

struct process;
struct thread;

/* What a handler learns; host order, becomes siginfo_t in the frame. */
struct signal_info {
	int signo, code, error;
	s32 pid;
	u32 uid;
	u64 address;   /* faults */
	u64 value;     /* sigqueue, timers */
	int status;    /* SIGCHLD */
	int timer_id, overrun;
	u32 trap, trap_code; /* faults: vector and error code of the CPU */
};

/* Queue for a process or one thread. 0, -EAGAIN (queue limit). Ignored signals are dropped here. */
int signal_send_process(struct process *p, const struct signal_info *info);
int signal_send_thread(struct thread *t, const struct signal_info *info);

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
