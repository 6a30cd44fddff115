/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that stand for a process, whatever becomes of its number. */
#pragma once

#include "lib/base/types.h"

struct file;
struct process;

/* A new close-on-exec descriptor of the current process; flags 0 or O_NONBLOCK. fd or -errno. */
int pidfd_install(struct process *p, u32 flags);

/* The process of descriptor `fd`, counted. -EBADF: no pidfd. */
int __must_check pidfd_process(int fd, struct process **ret);
bool pidfd_is_nonblocking(int fd);
