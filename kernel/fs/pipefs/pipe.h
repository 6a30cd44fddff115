/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and fifos: inside the enclave, never a host object. */
#pragma once

#include "kernel/vfs/file.h"

struct vnode;

/* Both ends; flags: O_NONBLOCK, O_CLOEXEC and O_DIRECT are the caller's to check. */
int __must_check pipe_new(u32 flags, struct file **ret_read, struct file **ret_write);

/* vnode_ops.open of fifos: waits for the other side as open(2) says. */
int fifo_vnode_open(struct vnode *v, struct file *f);

/* F_SETPIPE_SZ / F_GETPIPE_SZ: bytes, or -EBADF when f is no pipe. */
long pipe_get_size(struct file *f);
long pipe_set_size(struct file *f, u64 size);
