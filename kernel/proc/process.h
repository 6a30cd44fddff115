/* SPDX-License-Identifier: Apache-2.0 */
/* A process: an address space, open files, signal dispositions and its threads. */
#pragma once

#include "kernel/proc/capability.h"
#include "kernel/signal/sigset.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/waitq.h"
#include "kernel/vfs/poll.h"
#include "lib/base/list.h"

struct fd_table;
struct file;
struct fs_context;
struct mm;
struct mm_limits;
struct thread;
struct tty;
struct user_regs;
struct exec_args;

#define RLIMIT_COUNT 16

struct sigaction_k {
	u64 handler; /* SIG_DFL 0, SIG_IGN 1, or a user address */
	u64 flags;
	u64 restorer;
	sigset_k mask;
};

struct process_timers;	/* kernel/time */
struct shm_attachments; /* kernel/ipc */
struct sem_undo_list;	/* likewise */

struct process {
	u32 refs; /* atomic */
	s32 pid;
	s32 pgid, sid;
	struct process *parent;	     /* process_tree_lock */
	s32 parent_pid;		     /* as getppid says; 0: started by the host */
	s32 exit_signal;	     /* to the parent at the end; 0: none */
	bool is_subreaper;	     /* process_tree_lock; PR_SET_CHILD_SUBREAPER */
	bool has_host_shell;	     /* in place of a parent, for job control; set before it runs */
	bool children_end;	     /* process_tree_lock; has given its children away for good */
	struct list_node children;   /* process_tree_lock */
	struct list_node sibling;    /* process_tree_lock */
	struct list_node table_node; /* pid table */

	struct spinlock lock; /* threads, signals, exit state */
	struct list_node threads;
	u32 thread_count;	    /* atomic; changes under lock */
	bool exiting;		    /* exit_group or fatal signal under way */
	struct thread *exec_thread; /* the one that replaces the image and ends all others */
	bool stopped;		    /* by SIGSTOP and the like, until SIGCONT */
	bool stop_reported,
		continue_reported; /* wait4(WUNTRACED, WCONTINUED) has a change to see */
	s32 stop_signal;
	struct waitq stop_wait; /* its threads, while stopped */
	/* lock: what process_unlock() does */
	bool wake_stopped, wake_exit, wake_signal_poll, kicks_pending;
	bool has_execed;
	bool zombie;	      /* also process_tree_lock */
	bool is_taken;	      /* process_tree_lock; a zombie without a waiter: somebody reaps it */
	bool is_reaped;	      /* atomic; its number may belong to another */
	bool is_orphan;	      /* process_tree_lock; its parent ended first, nobody waits for it */
	bool has_left_parent; /* atomic; it no longer runs in the memory of a vfork() */
	bool is_awaited;      /* atomic; the parent is in that vfork() */
	s32 exit_status;      /* wait(2) status once zombie */
	struct waitq exit_wait; /* woken when it becomes a zombie; also children's changes */
	struct pollq exit_poll; /* of pidfds: it has become a zombie */

	struct mutex exec_lock; /* execve and /proc readers of mm, exe, args */
	struct mm *mm;
	struct file *exe;
	char *exe_path;
	u32 image_count; /* exec_lock; programs that it has run */
	bool is_late;	 /* linked at fixed addresses: its first thread is still to map it */
	u64 arg_start, arg_end, env_start, env_end, stack_start;
	char comm[16];

	struct fd_table *files;
	struct fs_context *fs;
	struct credentials cred;
	struct {
		u64 soft, hard;
	} limits[RLIMIT_COUNT];
	u64 heap_limit; /* the configured one; UINT64_MAX once a program has set RLIMIT_DATA */

	struct sigaction_k actions[SIGNAL_COUNT]; /* lock */
	sigset_k pending_set;			  /* lock */
	struct list_node pending;		  /* lock; struct sigqueue */
	u32 pending_count;
	struct pollq signal_poll;      /* of signalfds: something was queued */
	struct process_timers *timers; /* kernel/time; NULL until the first is set */
	struct shm_attachments *shm;
	struct sem_undo_list *sem_undo; /* what its end gives back; atomic, freed by the last */

	u64 start_ns;
	u64 cpu_ns_of_dead_threads;
	u64 syscalls_of_dead_threads, traps_of_dead_threads, sigreturn_traps_of_dead_threads;
	u64 child_utime_ns, child_stime_ns; /* process_tree_lock; of those waited for */
	u64 max_rss, child_max_rss;	    /* bytes; the first of memory it has left */
	s32 nice;
	s32 parent_death_signal; /* PR_SET_PDEATHSIG */
	bool undumpable, no_new_privs;
	u8 barriers;	   /* atomic; enum barrier_registration, of the program */
	s16 oom_score_adj; /* atomic; for /proc alone */
	struct tty *tty;   /* process_tree_lock; counted; the controlling terminal, or NULL */
};

static inline struct process *current_process(void);

struct process *process_get(struct process *p);
void process_put(struct process *p);
bool process_is_reaped(struct process *p);
struct process *process_lookup(s32 pid); /* counted, or NULL */
struct thread *thread_lookup(s32 tid);	 /* counted, or NULL */

/* Calls back for each process in pid order, with a reference held; stops at nonzero. */
int process_for_each(int (*visit)(struct process *p, void *arg), void *arg);

/*
 * The first program of a session: loads `path` with args, stdio on the host descriptors, to run as
 * `cred`. With `opened` (borrowed, or NULL) that file is loaded, whatever the path leads to by now.
 * Returns the new process (counted, not yet running) through ret_process. process_start() runs it.
 */
int __must_check process_create(const char *path, struct file *opened, struct exec_args *args,
				const struct credentials *cred, const s32 stdio[3],
				struct process **ret_process);
/* What the process's limits mean for its address space. */
struct mm_limits process_memory_limits(const struct process *p);
/* -EAGAIN: no thread for it; the process is gone then, the caller still puts its reference. */
int __must_check process_start(struct process *p);
/* Blocks; the wait status. Once per process, which is reaped; the caller keeps its reference. */
s32 process_wait_exit(struct process *p);

void process_exit_group(s32 status) __noreturn; /* of the current process; wait status */
void thread_exit(s32 status) __noreturn;	/* of the current thread */

/*
 * process.lock with what has to follow its release: kicks and wakes are host calls, which no
 * spinlock may be held over. Under the lock thread_notify() and the wake_ flags ask for them.
 */
static inline void process_lock(struct process *p)
{
	spin_lock(&p->lock);
}
void process_unlock(struct process *p);
void thread_notify(struct thread *t,
		   u32 work); /* sets bits of thread.work; kicked if not current */

/*
 * Tells the parent that this process stopped, continued or ended (CLD_*): SIGCHLD unless it does
 * not want that, and wakes its waits.
 */
void process_notify_parent(struct process *p, int code, int status);

/* clone and clone3, checked and decoded. */
struct clone_request {
	u64 flags; /* CLONE_*, without the exit signal */
	u32 exit_signal;
	u64 stack; /* first stack pointer, 0: the caller's */
	u64 tls, parent_tid, child_tid, pidfd;
};
long process_clone(const struct clone_request *request);

/*
 * Replaces the image of the current process by the program at `path`, which is `file` when that is
 * not NULL; consumes file and *args. 0: the
 * registers are the new program's. On failure the old program goes on. Does not return when the
 * process was to end meanwhile.
 */
struct exec_args;
int __must_check process_exec(const char *path, struct file *file, struct exec_args *args);

/*
 * A child that starts with another program (the spawn calls). `prepare` changes its open files
 * first, in the caller's own memory. Its pid, or -errno and nothing has run.
 */
struct spawn_request {
	const char *path;
	struct exec_args *args; /* borrowed */
	int (*prepare)(struct process *child, void *context);
	void *context;
	sigset_k default_signals, blocked;
	bool sets_group;
	s32 group;
};
long process_spawn(const struct spawn_request *request);

/* wait4 and waitid: the next child that matches and has changed. */
struct wait_request {
	int which; /* ABI_P_* */
	s32 id;
	u32 options;		       /* W* */
	const struct process *process; /* ABI_P_PIDFD */
};
struct wait_result {
	s32 pid; /* 0: WNOHANG and nothing to report */
	u32 uid;
	int code;   /* CLD_* */
	int status; /* exit code or signal */
	u64 utime_ns, stime_ns, max_rss;
};
int __must_check process_wait(const struct wait_request *request, struct wait_result *ret);
s32 wait_status(const struct wait_result *result); /* as wait4 returns it */

/* CPU time used by the process so far, dead threads included; an estimate (thread.h). */
u64 process_cpu_ns(struct process *p);
u64 thread_cpu_ns(const struct thread *t);
u64 thread_parks(const struct thread *t); /* how often it went to sleep */

/* Parts with whom the current process shares its directories, or its descriptors. */
int __must_check process_unshare(bool fs, bool files);

/* By the user ids: may the current process send that signal, or look at memory and descriptors? */
bool process_may_signal(const struct process *p, int signo);
bool process_may_schedule(const struct process *p); /* its policy, affinity, nice values */
bool process_may_inspect(const struct process *p);
bool process_may_inspect_by_files(
	const struct process *p);		 /* by the ids that files are opened with */
bool process_may_limit(const struct process *p); /* prlimit() */
/*
 * After a call of p changed its ids from *old: whoever has the new ones now may still not look at
 * what p has from before, and its parent's death is no business of its any more.
 */
void process_changed_ids(struct process *p, const struct credentials *old);

/* setsid, setpgid of children are in proc too; both follow the rules of POSIX. */
int __must_check process_set_group(s32 pid, s32 pgid);
long process_new_session(void);
bool process_group_exists(s32 pgid);

/* The file and the offset in it that an address of `p` belongs to. May sleep. */
struct module_place {
	char name[128];
	u64 offset;
};
void process_find_module(struct process *p, u64 address, struct module_place *ret);
/* A system call of the current process trapped: said once per site at log level debug. */
void process_note_trap(u64 rip, u64 number);

u32 process_count(void);
u32 thread_total(void);

#include "kernel/arch/arch.h"
#include "kernel/sched/thread.h"

static inline struct process *current_process(void)
{
	return current_thread()->process;
}
