/* SPDX-License-Identifier: Apache-2.0 */
/* What the file system calls need of descriptor tables beyond file.h. */
#pragma once

#include "kernel/vfs/file.h"

#define FD_MAX 65536u /* RLIMIT_NOFILE cannot mean more */

int fd_get_cloexec(struct fd_table *t, int fd); /* 0, 1 or -EBADF */
int __must_check fd_set_cloexec(struct fd_table *t, int fd, bool cloexec);
/*
 * Opening takes the descriptor first: what would fail for want of one must not have made or emptied
 * a file. fd_reserve() gives the lowest free one, or -EMFILE, -ENOMEM; it is filled, which consumes
 * the reference, or given back. Until then it is not open, and nobody else gets it.
 */
int __must_check fd_reserve(struct fd_table *t);
void fd_fill(struct fd_table *t, int fd, struct file *f, bool cloexec);
void fd_unreserve(struct fd_table *t, int fd);
int fd_next(struct fd_table *t, u32 from); /* first open descriptor >= from, or -1 */
