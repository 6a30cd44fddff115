/* SPDX-License-Identifier: Apache-2.0 */
/* epoll instances. */
#pragma once

#include "abi/poll.h"
#include "lib/base/types.h"

struct file;

int __must_check epoll_new(u32 flags, struct file **ret);
/* -EINVAL when `ep` is no epoll file; -EEXIST, -ENOENT, -EPERM, -ELOOP, -ENOMEM. */
int __must_check epoll_ctl(struct file *ep, int op, int fd, struct file *f,
			   const struct abi_epoll_event *event);
/* Events into `ret`, at most max. Count, 0 at the deadline, -EINTR, -EINVAL. */
long epoll_wait(struct file *ep, struct abi_epoll_event *ret, u32 max, u64 deadline);

/* How many descriptors it watches now; 0 when it is no epoll file. */
u32 epoll_item_count(const struct file *ep);

/* From file_put(): leaves all instances that watch it. */
void epoll_file_closed(struct file *f);
