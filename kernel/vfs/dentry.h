/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: the tree of known paths over all mounts. Each file system is mounted at one place, so a
 * dentry alone says where something is. One spinlock (dcache lock) guards the tree; a cached walk
 * never sleeps. A dentry without references stays as long as memory allows, keeping its vnode.
 */
#pragma once

#include "kernel/vfs/vnode.h"

struct mount;

#define DENTRY_SHORT_NAME 32

struct dentry {
	u32 refs; /* dcache lock */
	u32 hash;
	struct dentry *parent; /* counted; NULL for the root of a mount */
	struct vnode *vnode;   /* counted; NULL: known not to exist */
	struct mount *mount;   /* which it lies in */
	struct mount *covered; /* what is mounted on it, or NULL */
	struct list_node hash_node;
	struct list_node lru_node; /* while refs == 0 */
	struct list_node child_node, children;
	bool hashed; /* can be found by name */
	u16 name_len;
	char *name; /* terminated; short_name or kmalloc'ed */
	char short_name[DENTRY_SHORT_NAME];
};

void dentry_cache_init(void);

struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d); /* may sleep: the last reference to a vnode may go */

/* Root dentry of a mount. Consumes the reference to the vnode; NULL without memory. */
struct dentry *dentry_new_root(struct mount *m, struct vnode *v) __must_check;

/*
 * The child of `parent` with that name, counted; asks the file system when it is not known. A
 * negative dentry has vnode == NULL. -errno on failures other than "no such name".
 */
int __must_check dentry_lookup(struct dentry *parent, struct vfs_name name, struct dentry **ret);

/* The known child, counted, or NULL. */
struct dentry *dentry_find(struct dentry *parent, struct vfs_name name);

/* After a change on disk, with the directory's lock held. */
void dentry_set_vnode(struct dentry *d, struct vnode *v); /* negative becomes v (counted by it) */
void dentry_drop(struct dentry *d);			  /* the name is gone */
int dentry_move(struct dentry *d, struct dentry *to_parent, struct vfs_name to_name);
/* An unlinked or never named dentry for an open vnode; consumes nothing. */
struct dentry *dentry_new_detached(struct dentry *parent, struct vfs_name name, struct vnode *v)
	__must_check;

/*
 * The name that `d` has or last had, terminated in `name` (NAME_MAX_LEN + 1 bytes), and the folder
 * it lies in: its vnode, counted, or NULL. Length of the name. *ret_gone: the folder has it no
 * more.
 */
size_t dentry_place(struct dentry *d, char *name, struct vnode **ret_folder, bool *ret_gone);

/* Across mounts. Counted results. */
struct dentry *dentry_parent(struct dentry *d, struct dentry *root);
struct dentry *dentry_cross(struct dentry *d); /* down into what is mounted; consumes d */

/* True when a is b or above it, across mounts. */
bool dentry_is_above(struct dentry *a, struct dentry *b);

/* Absolute path as seen from `root` into the end of buf. Length, or -ENAMETOOLONG. */
long dentry_path(struct dentry *d, struct dentry *root, char *buf, size_t size);

/* Drops unused dentries: all (count SIZE_MAX, at shutdown) or some. */
void dentry_shrink(size_t count);
