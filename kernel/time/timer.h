/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers inside the kernel: one thread of its own, started with the first timer, sleeps until the
 * next deadline. No host object stands for a timer. Callbacks run on that thread, without locks.
 */
#pragma once

#include "lib/base/rbtree.h"

struct process;

struct timer {
	struct rb_node node;
	u64 deadline; /* monotonic ns */
	bool is_queued;
	void (*expire)(struct timer *t); /* may start the timer again */
};

void timer_init(struct timer *t, void (*expire)(struct timer *t));
/* (Re)arms. -EAGAIN when the timer thread cannot be started. */
int __must_check timer_start(struct timer *t, u64 deadline);
/* Disarms; true when it was armed. A callback that runs may go on: see timer_cancel_sync(). */
bool timer_cancel(struct timer *t);
/* Disarms and waits until no callback of it runs: afterwards it may be freed. May sleep. */
void timer_cancel_sync(struct timer *t);

/* The interval and POSIX timers of a process. */
void timers_process_exit(struct process *p);
void timers_process_exec(struct process *p); /* POSIX timers go, interval timers stay */
