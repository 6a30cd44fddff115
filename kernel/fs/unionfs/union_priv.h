/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the parts of unionfs. */
#pragma once

#include "kernel/fs/unionfs/unionfs.h"
#include "kernel/vfs/file_ops.h"

#define XATTR_OPAQUE  "occlum.union.opaque"
#define XATTR_ORIGIN  "occlum.union.origin"
#define XATTR_PRIVATE "occlum."

struct union_node {
	struct vnode v;
	struct vnode *upper; /* counted; set once (copy_lock), read with acquire */
	struct vnode *lowers[UNION_LOWER_MAX]; /* counted; a file has one at most */
	u32 lower_count;
	u64 ino; /* st_ino: stays over copy-up */
	/* Where a node without upper lies: set at lookup, constant until it is copied up. */
	struct vnode *parent; /* counted */
	char *name;
	u32 name_len;
};

struct union_fs {
	struct filesystem fs;
	struct filesystem *upper;
	struct filesystem *lowers[UNION_LOWER_MAX];
	u32 lower_count;
	struct vnode *work;	/* counted; the directory for preparing */
	struct mutex copy_lock; /* one copy-up at a time */
	u64 next_work;		/* atomic: names in `work` */
};

static inline struct union_node *union_of(struct vnode *v)
{
	return container_of(v, struct union_node, v);
}
static inline struct union_fs *union_fs_of(struct vnode *v)
{
	return container_of(v->fs, struct union_fs, fs);
}
static inline struct vnode *union_upper(struct union_node *n)
{
	return __atomic_load_n(&n->upper, __ATOMIC_ACQUIRE);
}
/* The vnode that holds the bytes and attributes now. */
static inline struct vnode *union_real(struct union_node *n)
{
	struct vnode *upper = union_upper(n);

	return upper ? upper : n->lowers[0];
}

extern const struct vnode_ops union_ops;

/* lookup.c */
int union_lookup(struct vnode *dir, struct vfs_name name, struct vnode **ret);
bool union_is_whiteout(struct vnode *v);
bool union_is_opaque(struct vnode *v);
/* Does a lower layer show this name in dir? */
bool union_lower_has(struct union_node *dir, struct vfs_name name);
/* A node over `upper` alone (counted by the node). */
int __must_check union_node_upper(struct union_fs *fs, struct vnode *upper, struct vnode **ret);

/* copyup.c */
int __must_check union_copy_up(struct union_node *n, bool with_data);
/* A fresh name in the work directory. */
struct vfs_name union_work_name(struct union_fs *fs, char buf[24]);
void union_work_remove(struct union_fs *fs, struct vfs_name name, struct vnode *v);

/* change.c */
int union_create(struct vnode *dir, struct vfs_name name, u32 mode, u32 uid, u32 gid, u64 rdev,
		 struct vnode **ret);
int union_create_unnamed(struct vnode *dir, u32 mode, u32 uid, u32 gid, struct vnode **ret);
int union_symlink(struct vnode *dir, struct vfs_name name, const char *target, size_t len, u32 uid,
		  u32 gid, struct vnode **ret);
int union_link(struct vnode *dir, struct vfs_name name, struct vnode *v);
int union_unlink(struct vnode *dir, struct vfs_name name, struct vnode *v, bool is_dir);
/* rename.c */
int union_rename(struct vnode *dir, struct vfs_name name, struct vnode *v, struct vnode *to_dir,
		 struct vfs_name to_name, struct vnode *to_v, u32 flags);

/* Puts a whiteout at upper/name; `there`: what the upper directory has (NULL: nothing). */
int __must_check union_put_whiteout(struct union_fs *fs, struct vnode *upper, struct vfs_name name,
				    struct vnode *there);

/* readdir.c */
int union_readdir(struct vnode *dir, u64 cookie, struct dir_sink *sink);
int union_open_dir(struct file *f);
int __must_check union_is_empty(struct vnode *dir); /* 0 or -ENOTEMPTY */
/* A name in the directory other than the dots; *ret_len 0: none. */
int __must_check union_first_entry(struct vnode *dir, char name[NAME_MAX_LEN + 1], size_t *ret_len);
/* Deletes the whiteouts in an upper directory that is empty otherwise. */
int __must_check union_clear_whiteouts(struct vnode *upper);
