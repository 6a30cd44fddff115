/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on the objects of a view, with the locking that the kernel's vfs does, for callers
 * that speak the host's types. All return 0, a count, or a negative errno. New nodes come counted.
 */
#pragma once

#include "lib/base/types.h"

struct config_volume;
struct secvol_params;

/* What is done to a volume before it is opened. */
struct files_before {
	int (*run)(void *arg, const struct secvol_params *p);
	void *arg;
};
struct secvol;

struct files; /* a struct filesystem */
struct node;  /* a struct vnode */
struct listing;

/* As volume_open_as() of the kernel. */
int __must_check files_open(const struct config_volume *c, const u8 *image_key, const u8 *lower,
			    u64 cache_size, bool read_only, const char *snapshot,
			    const struct files_before *before, struct files **ret);
/* As unionfs_new(). */
int __must_check files_join(struct files *upper, struct files **lowers, u32 count,
			    struct files **ret);
int __must_check files_close(struct files *f); /* commits */
struct secvol *files_secvol(struct files *f);  /* of one that files_open() made; borrowed */

struct node *files_root(struct files *f); /* counted */
/* Nothing of it is held any more; it can only be shut down. */
void files_drop_root(struct files *f);
struct files_space {
	u64 blocks, bfree, bavail, files, ffree;
	u32 bsize;
};
int files_space(struct files *f, struct files_space *ret);
int files_sync(struct files *f);

struct node *node_get(struct node *n);
void node_put(struct node *n, u64 count);

struct node_time {
	s64 sec;
	u32 nsec;
};
struct node_attr {
	u64 ino, size, blocks, rdev; /* blocks of 512 bytes */
	u32 mode, uid, gid, nlink, blksize;
	struct node_time atime, mtime, ctime;
};
int node_getattr(struct node *n, struct node_attr *ret);
enum {
	NODE_SET_MODE = 1,
	NODE_SET_UID = 2,
	NODE_SET_GID = 4,
	NODE_SET_ATIME = 8,
	NODE_SET_MTIME = 16,
	NODE_SET_CTIME = 32,
	NODE_SET_SIZE = 64
};
int node_setattr(struct node *n, const struct node_attr *a, u32 set);

int node_lookup(struct node *dir, const char *name, struct node **ret);
int node_create(struct node *dir, const char *name, u32 mode, u64 rdev, u32 uid, u32 gid,
		struct node **ret);
int node_symlink(struct node *dir, const char *name, const char *target, u32 uid, u32 gid,
		 struct node **ret);
int node_link(struct node *n, struct node *dir, const char *name);
int node_unlink(struct node *dir, const char *name, bool is_dir);
int node_rename(struct node *dir, const char *name, struct node *to_dir, const char *to_name,
		u32 flags);
long node_readlink(struct node *n, char *buf, size_t size);

long node_read(struct node *n, void *buf, size_t size, u64 offset);
/*
 * Short only at the end of the file, as FUSE wants it: the host's kernel fills up a short answer
 * with zeros. After an error it asks again for the pages one by one.
 */
long node_read_whole(struct node *n, void *buf, size_t size, u64 offset);
long node_write(struct node *n, const void *buf, size_t size, u64 offset);
int node_fallocate(struct node *n, u32 mode, u64 offset, u64 len);
int node_seek(struct node *n, u64 offset, bool hole, u64 *ret);
int node_sync(struct node *n);

long node_getxattr(struct node *n, const char *name, void *value, size_t size);
int node_setxattr(struct node *n, const char *name, const void *value, size_t size, u32 flags);
long node_listxattr(struct node *n, char *names, size_t size);
int node_removexattr(struct node *n, const char *name);

/* An open directory. `add` returns nonzero to stop; `next` continues after the entry. */
typedef int (*listing_add)(void *arg, const char *name, size_t len, u64 ino, u8 type, u64 next);
int listing_open(struct node *dir, struct listing **ret);
int listing_read(struct listing *l, u64 from, listing_add add, void *arg);
void listing_close(struct listing *l);
