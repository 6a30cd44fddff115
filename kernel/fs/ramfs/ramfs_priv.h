/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the directory and the file part of ramfs. */
#pragma once

#include "kernel/fs/ramfs/ramfs.h"
#include "kernel/vfs/pagetree.h"
#include "lib/base/rbtree.h"

struct ram_entry {
	struct rb_node by_name;
	struct list_node by_age; /* in order of cookies */
	u64 cookie;
	struct vnode *v; /* counted */
	u32 hash;
	u16 len;
	char name[];
};

struct ram_node {
	struct vnode v;
	struct spinlock meta_lock;
	u32 nlink; /* meta_lock */
	u64 rdev;
	struct vtime atime, mtime, ctime, btime; /* meta_lock */
	struct list_node xattrs;		 /* struct ram_xattr; fs.lock */
	size_t xattr_bytes;
	union {
		struct { /* directories: ram_fs.lock */
			struct rb_root names;
			struct list_node ages;
			u64 next_cookie, count;
			struct ram_node *parent; /* borrowed: parents outlive their children */
		} dir;
		struct { /* regular files: meta_lock */
			struct pagetree pages;
			u64 size, page_count;
			u32 reservations; /* vnode lock: calls of fallocate() so far */
		} file;
		struct {
			char *target;
			size_t len;
		} link;
	};
};

struct ram_fs {
	struct filesystem fs;
	struct mutex lock; /* names of all directories */
	u64 next_ino;
	u64 pages, files; /* atomic */
};

static inline struct ram_node *ram_of(struct vnode *v)
{
	return container_of(v, struct ram_node, v);
}
static inline struct ram_fs *ram_fs_of(struct vnode *v)
{
	return container_of(v->fs, struct ram_fs, fs);
}

extern const struct vnode_ops ram_dir_ops, ram_file_ops, ram_link_ops, ram_special_ops;

struct ram_node *ram_node_new(struct ram_fs *fs, u32 mode, u32 uid, u32 gid, u64 rdev);
/* False, with one line, when the heap should not give `size` more to files. */
bool ram_has_room(size_t size);
void ram_touch(struct ram_node *n, u32 which); /* VATTR_* times become now */
int ram_getattr(struct vnode *v, struct vattr *ret);
int ram_setattr(struct vnode *v, const struct vattr *a, u32 set);

/* xattr.c */
long ram_getxattr(struct vnode *v, const char *name, void *value, size_t size);
int ram_setxattr(struct vnode *v, const char *name, const void *value, size_t size, u32 flags);
long ram_listxattr(struct vnode *v, char *names, size_t size);
int ram_removexattr(struct vnode *v, const char *name);
void ram_xattrs_free(struct ram_node *n);

/* What all kinds of nodes share of struct vnode_ops. */
#define RAM_COMMON_OPS                                                                             \
	.getattr = ram_getattr, .setattr = ram_setattr, .getxattr = ram_getxattr,                  \
	.setxattr = ram_setxattr, .listxattr = ram_listxattr, .removexattr = ram_removexattr
