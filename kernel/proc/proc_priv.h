/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/proc share. */
#pragma once

#include "abi/signal.h"
#include "kernel/proc/process.h"
#include "kernel/proc/tty.h"

/*
 * Lock order here: process_tree_lock, then process.lock, then the table's lock, then wait queues.
 * The tree lock protects parent, children, sibling, pgid and sid of all processes.
 */
extern struct spinlock process_tree_lock;

/* Ids of processes, threads, groups and sessions: one number space; freed with the last use. */
s32 __must_check id_alloc(void); /* with one use; -EAGAIN */
void id_hold(s32 id);
bool __must_check id_hold_used(s32 id); /* false: nothing has that number */
void id_release(s32 id);
void id_set_process(s32 id, struct process *p);
void id_set_thread(s32 id, struct thread *t);
s32 id_next_process(s32 after); /* smallest pid above `after`, or 0 */

struct process *process_new(void) __must_check; /* with pid, leader of its own group and session */
void process_reap(struct process *p);		/* off the table and out of the tree; puts it */

/* Puts a new thread on its process's list. -EAGAIN: the process ends, or the limit is reached. */
int __must_check thread_attach(struct thread *t);
/* Undoes thread_attach() of a thread that never ran. */
void thread_detach(struct thread *t);

void thread_count_down(void); /* one less of those that thread_attach() counted */

/* Ends all other threads of the current process; -EINTR when it must end itself. */
int __must_check process_end_siblings(struct process *p);

/*
 * A child of the current process, with everything but a thread and a place in the tree. -EAGAIN,
 * -ENOMEM, -ENOSYS (memory of its own).
 */
struct clone_request;
int __must_check child_new(const struct clone_request *request, struct process **ret);
/* The same without program and memory. */
int __must_check child_prepare(const struct clone_request *request, struct process **ret);
/* Undoes child_new(); the child has no thread and is not linked. */
void child_discard(struct process *child);
/* Makes it somebody's child: from now on it can be waited for. -EAGAIN: the parent is ending. */
int __must_check child_link(struct process *child, u64 flags);
/* After vfork(): sleeps until the child has left our memory, or we are to die. */
void child_wait_vfork(struct process *child);
/* The current process (or its remains) runs in its parent's memory no longer. */
void child_leave_parent(struct process *child);

/* Nobody in its session but outside of it is the parent of a member (apart from `ignored`). */
bool process_group_is_orphaned(s32 pgid, const struct process *ignored);
/* A parent of a member, or the member `ignored`, has ended: the stopped ones must know. */
void process_group_check_orphaned(s32 pgid, const struct process *ignored);
int __must_check process_group_session(s32 pgid, s32 *ret_sid); /* 0 or -ESRCH */

/* A wait status in the words of siginfo. */
static inline int end_code(s32 status)
{
	return status & 0x7f ? CLD_KILLED : CLD_EXITED;
}
static inline int end_status(s32 status)
{
	return status & 0x7f ? status & 0x7f : (status >> 8) & 0xff;
}

int __must_check process_check_limit(struct process *p); /* RLIMIT_NPROC: 0 or -EAGAIN */

/* A loaded program becomes that of p, which has none. exec_lock held, or nobody knows p yet. */
struct exec_image;
void process_take_image(struct process *p, struct exec_image *image);

/* The process goes on without `mm`, or not at all. */
struct mm;
void process_leave_memory(struct process *p, struct mm *mm);

/* Files, memory and the like: at the end of the last thread. */
void process_release_resources(struct process *p);
