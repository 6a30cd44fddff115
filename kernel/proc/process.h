/* SPDX-License-Identifier: Apache-2.0 */
/* A process: an address space, open files, signal dispositions and its threads. */
#pragma once

#include "kernel/signal/sigset.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/waitq.h"
#include "lib/base/list.h"

struct fd_table;
struct file;
struct fs_context;
struct mm;
struct thread;
struct user_regs;
struct exec_args;

#define RLIMIT_COUNT 16

struct sigaction_k {
	u64 handler; /* SIG_DFL 0, SIG_IGN 1, or a user address */
	u64 flags;
	u64 restorer;
	sigset_k mask;
};

struct credentials {
	u32 uid, euid, suid, fsuid;
	u32 gid, egid, sgid, fsgid;
	u32 groups[32];
	u32 group_count;
};

struct process_timers; /* kernel/time */
struct shm_attachments; /* kernel/ipc */

struct process {
	u32 refs; /* atomic */
	s32 pid;
	s32 pgid, sid;
	struct process *parent;       /* process_tree_lock */
	struct list_node children;    /* process_tree_lock */
	struct list_node sibling;     /* process_tree_lock */
	struct list_node table_node;  /* pid table */

	struct spinlock lock;         /* threads, signals, exit state */
	struct list_node threads;
	u32 thread_count;
	bool exiting;                 /* exit_group or fatal signal under way */
	struct thread *exec_thread;   /* the one that replaces the image and ends all others */
	bool stopped;                 /* by SIGSTOP and the like, until SIGCONT */
	bool stop_reported, continue_reported; /* wait4(WUNTRACED, WCONTINUED) has a change to see */
	s32 stop_signal;
	struct waitq stop_wait;       /* its threads, while stopped */
	bool enosys_told;             /* the one line about fork was written */
	bool has_execed;
	bool zombie;
	s32 exit_status;              /* wait(2) status once zombie */
	struct waitq exit_wait;       /* woken when it becomes a zombie; also children's changes */

	struct mutex exec_lock;       /* execve and /proc readers of mm, exe, args */
	struct mm *mm;
	struct file *exe;
	char *exe_path;
	u64 arg_start, arg_end, env_start, env_end, stack_start;
	char comm[16];

	struct fd_table *files;
	struct fs_context *fs;
	struct credentials cred;
	struct {
		u64 soft, hard;
	} limits[RLIMIT_COUNT];

	struct sigaction_k actions[SIGNAL_COUNT]; /* lock */
	sigset_k pending_set;                     /* lock */
	struct list_node pending;                 /* lock; struct sigqueue */
	u32 pending_count;
	struct process_timers *timers;            /* kernel/time; NULL until the first is set */
	struct shm_attachments *shm;

	u64 start_ns;
	u64 cpu_ns_of_dead_threads;
	u64 child_utime_ns, child_stime_ns;
	s32 nice;
};

static inline struct process *current_process(void);

struct process *process_get(struct process *p);
void process_put(struct process *p);
struct process *process_lookup(s32 pid); /* counted, or NULL */
struct thread *thread_lookup(s32 tid);   /* counted, or NULL */

/* Calls back for each process in pid order, with a reference held; stops at nonzero. */
int process_for_each(int (*visit)(struct process *p, void *arg), void *arg);

/*
 * The first program of a session: loads `path` with args, stdio on the host descriptors. Returns
 * the new process (counted, not yet running) through ret_process. process_start() runs it.
 */
int __must_check process_create(const char *path, struct exec_args *args, const s32 stdio[3],
				struct process **ret_process);
int __must_check process_start(struct process *p);
s32 process_wait_exit(struct process *p); /* blocks; wait status */

void process_exit_group(s32 status) __noreturn; /* of the current process; wait status */
void thread_exit(s32 status) __noreturn;        /* of the current thread */

#include "kernel/arch/arch.h"
#include "kernel/sched/thread.h"

static inline struct process *current_process(void)
{
	return current_thread()->process;
}
