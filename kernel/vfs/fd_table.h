/* SPDX-License-Identifier: Apache-2.0 */
/* What the file system calls need of descriptor tables beyond file.h. */
#pragma once

#include "kernel/vfs/file.h"

#define FD_MAX 65536u /* RLIMIT_NOFILE cannot mean more */

int fd_get_cloexec(struct fd_table *t, int fd); /* 0, 1 or -EBADF */
int __must_check fd_set_cloexec(struct fd_table *t, int fd, bool cloexec);
int fd_next(struct fd_table *t, u32 from); /* first open descriptor >= from, or -1 */
