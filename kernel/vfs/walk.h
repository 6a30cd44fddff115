/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From path names to dentries. The walk is a loop over one buffer: symbolic links are spliced in
 * front of what is left, at most 40 of them, so nothing recurses on what a program or an image
 * says.
 */
#pragma once

#include "abi/capability.h"
#include "kernel/vfs/dentry.h"

struct fs_context;

enum walk_flags {
	WALK_FOLLOW = 1 << 0,	 /* a symbolic link in last place is followed */
	WALK_DIRECTORY = 1 << 1, /* must be one */
	WALK_EMPTY = 1 << 2,	 /* "" is the start itself (AT_EMPTY_PATH) */
	WALK_NO_LINKS = 1 << 3,	 /* RESOLVE_NO_SYMLINKS */
	WALK_BENEATH = 1 << 4,	 /* RESOLVE_BENEATH: nothing leaves the start */
	WALK_NO_XDEV = 1 << 5,	 /* no other mount, neither down, up nor by a link */
	WALK_NO_MAGIC = 1 << 6,	 /* links of /proc lead nowhere */
	WALK_IN_ROOT = 1 << 7,	 /* "/" and ".." end at the start */
};

/* Where relative paths start: NULL: the context's working directory. */
int __must_check walk_path(struct fs_context *ctx, struct dentry *at, const char *path, u32 flags,
			   struct dentry **ret);

/* The directory in which the last name lies, and that name (in `buf`). */
struct walk_last {
	struct dentry *dir;   /* counted */
	struct dentry *start; /* counted: where the whole walk began */
	struct vfs_name name;
	bool wants_dir; /* slashes followed the name */
	/* WALK_JUMPED: a link of /proc led to an object without a name: it is `dir` itself. */
	enum { WALK_NAME, WALK_DOT, WALK_DOTDOT, WALK_ROOT, WALK_JUMPED } kind;
	char *buf; /* kmalloc'ed: walk_last_free() */
	u32 links; /* symbolic links followed so far */
};

int __must_check walk_parent(struct fs_context *ctx, struct dentry *at, const char *path, u32 flags,
			     struct walk_last *ret);
/* Continues through the symbolic link `link` which was found as last name of w. */
int __must_check walk_last_follow(struct fs_context *ctx, struct walk_last *w, struct dentry *link,
				  u32 flags);
void walk_last_free(struct walk_last *w);

/* Permission bits: R_OK W_OK X_OK, by the effective (fs) ids of the caller. 0 or -EACCES. */
int __must_check vnode_permission(struct vnode *v, u32 mask);
int __must_check vnode_access(struct vnode *v, u32 mask, bool real_ids);
/* May the caller change attributes (the owner, or with CAP_FOWNER)? 0 or -EPERM. */
int __must_check vnode_owner_or_capable(struct vnode *v);
void vfs_caller_ids(u32 *ret_uid, u32 *ret_gid);
bool vfs_caller_capable(enum abi_capability cap);
bool vfs_caller_in_group(u32 gid);
/* How many times a share of the heap (kernel/core/share.h) the caller may take. */
u32 vfs_caller_shares(void);
