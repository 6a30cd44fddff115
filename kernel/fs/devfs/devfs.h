/* SPDX-License-Identifier: Apache-2.0 */
/* /dev: null, zero, full, random, tty, console, ptmx, stdin and the like. */
#pragma once

#include "kernel/vfs/vnode.h"

#define CONSOLE_DEVICE MKDEV(5, 1)

/* What stat says of /dev/console, the name of the host's terminal: dev, ino, mode, rdev. */
void devfs_console(struct vattr *ret);

int __must_check devfs_new(struct filesystem **ret);
