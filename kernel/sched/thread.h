/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread of a program (or of the kernel itself: boot, ecalls). Created by proc, run on a thread
 * slot (TCS) that the host chooses, freed when its last reference goes.
 */
#pragma once

#include "kernel/arch/regs.h"
#include "kernel/signal/sigset.h"
#include "kernel/sync/spinlock.h"
#include "lib/base/list.h"

struct process;
struct thread_block;

/*
 * How to go on with a call that returned -ERESTART_RESTARTBLOCK (kernel/sys/restart.h): the call
 * stores its number and the absolute deadline; sys_restart_syscall() goes on from there.
 */
struct restart_block {
	u32 number;
	u64 deadline; /* monotonic ns */
	u64 args[4];
};

/* Bits of thread.work: what must be done before going back to user mode. */
enum thread_work {
	WORK_SIGNAL = 1 << 0,  /* a signal may be deliverable */
	WORK_EXIT = 1 << 1,    /* the thread must end (exit_group, exec, kill) */
	WORK_TURN = 1 << 3,    /* others may want the turn: kernel/mm/turn.h */
	WORK_BARRIER = 1 << 4, /* kernel/proc/barrier.c: taken off by the thread itself */
	WORK_RESTORE = 1 << 2, /* full register restore needed (sigreturn, exec): slow exit path */
};

struct thread {
	u32 refs; /* atomic */
	s32 tid;
	u32 work;		 /* atomic, enum thread_work; tested by the exit path */
	u32 park_state;		 /* atomic, kernel/sched */
	u64 syscalls, traps;	 /* counted by the entry paths: the share that trapped */
	u64 sigreturn_traps;	 /* those of `traps` that are meant to: see patch.h */
	struct process *process; /* counted; set at creation, never changes */
	const struct credentials
		*acts_as; /* borrowed; whose rights to files it has meanwhile, or NULL */
	struct list_node process_node; /* process.threads, process.lock */
	bool needs_kick;	       /* process.lock: process_unlock() will kick it */
	struct list_node start_node;   /* list of threads that wait for a host thread */
	u64 start_token;	       /* random, what the host must present; 0 once started */

	/* Owned by kernel/arch and kernel/sched. */
	struct thread_block *block; /* slot it runs on; NULL before start and after exit */
	u32 slot;
	u32 spurious_faults; /* kernel/mm: faults in a row at spurious_address without a cause */
	u64 spurious_address, spurious_generation; /* the latter of its mm */

	/* First registers of a new thread; afterwards the live ones are current_regs(). */
	struct user_regs start_regs;
	u64 start_fs;
	void *start_xstate;	  /* 64-byte aligned copy for clone, or NULL: initial state */
	void *start_xstate_block; /* what it lies in, kmalloc'ed, freed with the thread */

	struct mm *turn_mm; /* inside of which it is unless parked (kernel/mm/turn.h), or NULL */
	bool keeps_turn;    /* moves the pages of its family: may not park */
	bool awaits_turn; /* atomic; parked, but not for anything that may not come: it is to run */
	u64 set_child_tid; /* clone: where the new thread stores its id first; 0: nowhere */

	/* Signals (kernel/signal). blocked/pending under process.lock. */
	sigset_k blocked;
	sigset_k saved_blocked; /* sigsuspend, pselect, ppoll: restored at delivery */
	bool has_saved_blocked;
	sigset_k pending_set;
	struct list_node pending; /* struct sigqueue */
	sigset_k real_blocked;	  /* sigtimedwait: the mask it returns to, else 0 */
	u64 altstack_sp, altstack_size;
	u32 altstack_flags;
	u32 fault_trap, fault_code; /* of the last fault, for the signal frame */
	u64 fault_address;
	struct restart_block restart;

	/* futex, exit (kernel/futex). User addresses. */
	u64 clear_child_tid;
	u64 robust_list;
	u32 robust_list_size;
	s32 exit_code; /* wait status when WORK_EXIT */

	/* A thread of the kernel itself (timers): runs this instead of a program, then ends. */
	void (*kernel_main)(void *arg);
	void *kernel_arg;

	char name[16];	    /* comm */
	u64 affinity;	    /* of sched_setaffinity; 0: all CPUs */
	u64 timer_slack_ns; /* of prctl; 0: the default */
	u8 policy;	    /* SCHED_* */
	u16 io_priority;    /* of ioprio_set */
	u64 start_ns;	    /* monotonic; CPU time is estimated as the time not parked since */
	u32 park_count;	    /* atomic; odd while the next two are being changed */
	u64 parked_ns;	    /* atomic; sum over thread_park*(), kept by kernel/sched */
	u64 parked_since;   /* atomic; monotonic, 0: not parked */
	bool is_scheduled;  /* started by thread_start(): kernel/sched/look.c counts it */
	u8 looks_failed, looks_omitted; /* of look.c, the thread's own */
	u64 utime_ns, stime_ns;		/* estimates: entered the kernel / left it */
};

/* kernel/proc: a thread of `p` that is not listed anywhere yet, one reference. NULL: no memory. */
struct thread *thread_new(struct process *p) __must_check;

/* kernel/sched. The last put frees start_xstate and the thread and puts its process. */
struct thread *thread_get(struct thread *t);
void thread_put(struct thread *t);

/* The boot and ecall threads: no program, `process` is kernel_process (kernel/core/boot.h). */
void thread_init_kernel(struct thread *t);
s64 thread_run(u64 token); /* ECALL_THREAD */

/* kernel/arch: `t` runs on the slot that this code runs on; after detaching the slot's own does. */
void arch_attach_thread(struct thread *t);
void arch_detach_thread(void);

/* Asks the host for a thread that will run `t` (holds a reference until it ended). 0 or -EAGAIN. */
int __must_check thread_start(struct thread *t);

/*
 * kernel/sched: the last act of the current thread, after kernel/proc took it off all lists: gives
 * its slot back, drops the runner's reference and returns the host thread.
 */
void thread_leave(void) __noreturn;

/* Waits until no thread of a program is on a slot, for shutdown; false: time is over. */
bool threads_wait_gone(u64 timeout_ns);

/* True when an interruptible wait of the current thread must end now. */
static inline bool thread_has_work(const struct thread *t)
{
	return __atomic_load_n(&t->work, __ATOMIC_ACQUIRE) & (WORK_SIGNAL | WORK_EXIT);
}

/* The same for `t` itself when a host call that may last for ever said EINTR: barriers kick too. */
static inline bool thread_was_kicked(struct thread *t)
{
	__atomic_and_fetch(&t->work, ~(u32)WORK_BARRIER, __ATOMIC_SEQ_CST);
	return thread_has_work(t);
}
