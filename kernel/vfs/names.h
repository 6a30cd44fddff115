/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on names: what open, mkdir, unlink, rename... do below the system call border. Paths
 * are kernel strings; `at` is where relative ones start (NULL: the working directory). Results as
 * Linux gives them.
 */
#pragma once

#include "kernel/vfs/walk.h"

int __must_check name_open(struct fs_context *ctx, struct dentry *at, const char *path, u32 flags,
			   u32 mode, u32 walk_flags, struct file **ret);
/* As vfs_open_exec(); -ELOOP for a link that is not followed. */
int __must_check name_open_exec(struct fs_context *ctx, struct dentry *at, const char *path,
				u32 walk_flags, struct file **ret_file);
/* Regular files, fifos, sockets and directories by the type in mode; umask applies. */
int __must_check name_make(struct fs_context *ctx, struct dentry *at, const char *path, u32 mode,
			   u64 rdev);
int __must_check name_symlink(struct fs_context *ctx, struct dentry *at, const char *path,
			      const char *target);
int __must_check name_link(struct fs_context *ctx, struct dentry *old, struct dentry *at,
			   const char *path);
int __must_check name_unlink(struct fs_context *ctx, struct dentry *at, const char *path,
			     bool is_dir);
int __must_check name_rename(struct fs_context *ctx, struct dentry *at, const char *path,
			     struct dentry *to_at, const char *to_path, u32 flags);
