/* SPDX-License-Identifier: Apache-2.0 */
/* /proc: processes and the instance, as texts. */
#pragma once

#include "kernel/vfs/vnode.h"

struct file;
struct process;

int __must_check procfs_new(struct filesystem **ret);
/* Whose folder /proc/PID the file is; counted. -EBADF: it is no such folder; -ESRCH: he is gone. */
int __must_check procfs_process_of(struct file *f, struct process **ret);
