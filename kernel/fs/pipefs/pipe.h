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

bool file_is_pipe(const struct file *f);
/* Like file_read and file_write of a pipe, but whether they wait is the caller's to say. */
long pipe_read_some(struct file *f, struct uio *uio, bool nonblocking);
long pipe_write_some(struct file *f, struct uio *uio, bool nonblocking);
/* Until `size` bytes fit, or part of them where more than an atomic write. 0 or -ERESTARTSYS. */
int __must_check pipe_wait_room(struct file *f, u64 size);

/*
 * splice and tee. Bytes moved, 0 at the end of the input, or -errno; the caller has checked modes.
 * `offset` NULL: the file's position. `nonblocking` is about the pipes alone. With `keeps` what was
 * copied stays in `in`.
 */
long splice_to_file(struct file *pipe, struct file *out, u64 *offset, size_t count,
		    bool nonblocking);
long splice_from_file(struct file *in, u64 *offset, struct file *pipe, size_t count,
		      bool nonblocking);
long splice_pipes(struct file *in, struct file *out, size_t count, bool nonblocking, bool keeps);
