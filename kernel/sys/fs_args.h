/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of arguments that the file system calls share. */
#pragma once

#include "abi/errno.h"
#include "abi/fs.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/fd_table.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/names.h"

/* A path of the program in kernel memory; "" allowed. Freed with kfree(). */
int __must_check arg_path(const char __user *path, char **ret);

/* Where a relative path starts; *ret NULL: the working directory. Counted. -EBADF. */
int __must_check arg_dirfd(int dirfd, const char *path, struct dentry **ret);

struct path_arg {
	char *text;
	struct dentry *at; /* counted or NULL */
};
int __must_check path_arg_get(struct path_arg *a, int dirfd, const char __user *path);
void path_arg_put(struct path_arg *a);

/* Walks to what the arguments name. at_flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
int __must_check arg_walk(int dirfd, const char __user *path, u32 at_flags, struct dentry **ret);

static inline struct fs_context *current_fs(void)
{
	return current_process()->fs;
}
static inline struct fd_table *current_files(void)
{
	return current_process()->files;
}

/* Counted file of a descriptor that is not O_PATH, or NULL. */
struct file *arg_file(int fd);
/* O_PATH ones too. */
struct file *arg_file_any(int fd);

/* The vector in kernel memory, lengths checked; kfree() it. Total bytes or -errno. */
long arg_vector(const void __user *user, u64 count, struct abi_iovec **ret);

/* File -> new descriptor; the file is put on failure. */
long fd_publish(struct file *f, bool cloexec);

/* Flags of open() that mean something; the others are ignored, as on Linux. */
#define OPEN_FLAGS                                                                                 \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |      \
	 O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |     \
	 O_PATH | O_TMPFILE)
