/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for readiness. An object that can become ready owns a pollq; whoever changes its state
 * calls pollq_wake() afterwards. Two kinds of listeners register: threads in poll and select, for
 * the duration of one call, and epoll items, for as long as they watch.
 */
#pragma once

#include "abi/poll.h"
#include "kernel/sync/waitq.h"

struct poll_watch {
	struct list_node node;
	struct pollq *queue;
	/* Called with the queue's lock (a spinlock) held: may wake others, must not sleep. */
	void (*notify)(struct poll_watch *w, u32 events);
};

struct pollq {
	struct spinlock lock;
	struct list_node watches; /* lock */
	struct waitq threads;	  /* also for blocking reads and writes */
};

void pollq_init(struct pollq *q);
/* The state moved in a way that may make `events` true. */
void pollq_wake(struct pollq *q, u32 events);
/* The object ends: listeners are told and forgotten. */
void pollq_fini(struct pollq *q);

void poll_watch_add(struct pollq *q, struct poll_watch *w);
void poll_watch_remove(struct poll_watch *w);

/* Given to file_ops.poll: collects where to listen. */
struct poll_table {
	void (*add_queue)(struct poll_table *pt, struct pollq *q);
	/* The object is a host descriptor: the host is asked for `events`. */
	void (*add_host)(struct poll_table *pt, s32 host_fd, u32 events);
	/*
	 * The object's state depends on that of host descriptors, as an epoll set's does: when the
	 * host says one of `events`, the object is asked again. NULL: not needed.
	 */
	void (*add_hosts_behind)(struct poll_table *pt, s32 host_fd, u32 events);
};

static inline void poll_listen(struct poll_table *pt, struct pollq *q)
{
	if (pt)
		pt->add_queue(pt, q);
}

struct file;

struct poll_item {
	struct file *file; /* NULL: ignored */
	u32 events;
	u32 revents;
};

/* Waits until an item is ready. Number of items with revents, 0 at the deadline, -EINTR, -ENOMEM */
long poll_wait(struct poll_item *items, size_t count, u64 deadline);
