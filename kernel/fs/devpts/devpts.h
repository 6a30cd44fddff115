/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/pts: the names of pseudo terminals (kernel/tty/pty.h). */
#pragma once

#include "kernel/vfs/vnode.h"

#define DEVPTS_MAGIC 0x1cd1
#define PTMX_DEVICE  MKDEV(5, 2)

int __must_check devpts_new(struct filesystem **ret);

/* Opens the slave `index` under its name in the tree that was mounted last. */
int __must_check devpts_open_peer(u32 index, u32 flags, struct file **ret);
