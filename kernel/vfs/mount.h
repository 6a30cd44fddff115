/* SPDX-License-Identifier: Apache-2.0 */
/* The mount table: which file system is visible where. Mounts stay until shutdown. */
#pragma once

#include "kernel/vfs/dentry.h"

struct mount {
	struct filesystem *fs;
	struct dentry *root;
	struct dentry *point; /* the covered directory, counted; NULL for a root mount */
	u32 id;
	struct list_node node;
};

/* Mounts `fs` (consumed on success) as a root of its own. */
int __must_check mount_root(struct filesystem *fs, struct dentry **ret_root);
/* Mounts `fs` on the directory `path` below `root`. -ENOENT, -ENOTDIR, -EBUSY. */
int __must_check mount_at(struct dentry *root, const char *path, struct filesystem *fs);

/*
 * Mounts `fs`, whose root is a regular file, at a name that does not exist below `root`: the name
 * is there while the mount is, and nothing is written to the file system below.
 */
int __must_check mount_file_at(struct dentry *root, const char *path, struct filesystem *fs);

/* In the order of mounting. */
int mount_for_each(int (*visit)(struct mount *m, void *arg), void *arg);
int mount_unmount_all(void); /* shutdown; first error */
void mount_detach_all(void); /* unmounts, but leaves the file systems alive: for tests */
