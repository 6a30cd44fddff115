/* SPDX-License-Identifier: Apache-2.0 */
/* Files in the kernel heap: /tmp, /dev/shm, memfd. */
#pragma once

#include "kernel/vfs/vnode.h"

/* An empty file system whose root directory has `mode`; `type` is what /proc/mounts shows. */
int __must_check ramfs_new(const char *type, u32 mode, u32 flags, struct filesystem **ret);

/* A file without a name (memfd, also the backing of other file systems' texts). Counted. */
int __must_check ramfs_file_new(struct filesystem *fs, u32 mode, struct vnode **ret);

/* A file system whose root is one regular file with that text. */
int __must_check ramfs_new_text(const char *text, u32 mode, struct filesystem **ret);
