/* SPDX-License-Identifier: Apache-2.0 */
/* An instance and what it watches. */
#pragma once

#include "kernel/vfs/epoll.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/rbtree.h"

#define QUEUES_MAX 4 /* of one file */

struct epoll {
	const struct file *file; /* its own: who watches this instance */
	struct rb_root items;	 /* epoll_lock; struct epoll_item */
	struct list_node hosts;	 /* epoll_lock: items over host descriptors */
	u32 host_count;
	u32 item_count;		 /* atomic; changes under epoll_lock */
	struct list_node nested; /* epoll_lock: items over other instances, by host_node */
	u64 asked;		 /* epoll_lock: by which round of questions to the host last */
	u64 seen;		 /* epoll_lock: by which search last (epoll_paths.c) */
	u32 depth;		 /* epoll_lock: what that search found */
	struct pollq queue;
	struct spinlock ready_lock;
	struct list_node ready; /* ready_lock */
};

struct epoll_watch {
	struct poll_watch w;
	struct epoll_item *item;
};

struct epoll_item {
	struct rb_node node;
	struct epoll *ep;
	struct file *file; /* borrowed: see epoll_file_closed() */
	int fd;
	u32 events; /* 0: disabled by EPOLLONESHOT */
	u64 data;
	struct list_node ready_node; /* ready_lock */
	struct list_node file_node;  /* file.watchers, epoll_lock */
	struct list_node host_node;  /* epoll.hosts or epoll.nested */
	s32 host_fd;		     /* -1: inside */
	u32 host_ready;		     /* epoll_lock: what the host said last, until it is told */
	u32 told; /* atomic: edges of a host descriptor that the program knows of */
	u32 queue_count;
	struct epoll_watch watches[QUEUES_MAX];
};

extern const struct file_ops epoll_ops;

/* Both with the lock of all instances. -ELOOP: watching would close a circle or a long chain. */
int __must_check epoll_check_loop(struct epoll *ep, const struct file *target);
/* Once the item is linked: -EINVAL, too many ways lead from one file to instances above it. */
int __must_check epoll_check_paths(const struct epoll *ep, struct file *target);
