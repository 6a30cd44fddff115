/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/proc share. */
#pragma once

#include "kernel/proc/process.h"

/*
 * Lock order here: process_tree_lock, then process.lock, then the table's lock, then wait queues.
 * The tree lock protects parent, children, sibling, pgid and sid of all processes.
 */
extern struct spinlock process_tree_lock;

/* Ids of processes, threads, groups and sessions: one number space; freed with the last use. */
s32 __must_check id_alloc(void); /* with one use; -EAGAIN */
void id_hold(s32 id);
void id_release(s32 id);
void id_set_process(s32 id, struct process *p);
void id_set_thread(s32 id, struct thread *t);
s32 id_next_process(s32 after); /* smallest pid above `after`, or 0 */

struct process *process_new(void) __must_check; /* with pid, leader of its own group and session */
void process_reap(struct process *p);		/* off the table and out of the tree; puts it */

/* Puts a new thread on its process's list. -EAGAIN when the process ends or the limit is reached. */
int __must_check thread_attach(struct thread *t);
/* Undoes thread_attach() of a thread that never ran. */
void thread_detach(struct thread *t);

void thread_count_down(void); /* one less of those that thread_attach() counted */

/* Ends all other threads of the current process; -EINTR when it must end itself. */
int __must_check process_end_siblings(struct process *p);

/* Files, memory and the like: at the end of the last thread. */
void process_release_resources(struct process *p);
