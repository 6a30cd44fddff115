/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of file systems (vnode), the file systems themselves, and what a file system implements.
 * A file system embeds struct vnode as first member of its own; the vnode lives as long as it is
 * referenced and is found again by its key in the meantime, so one object has one vnode.
 *
 * Locks: vnode.lock (a mutex) orders changes: of names in a directory, of contents and size of a
 * file. The vfs takes it; file systems are called with it held where said below. Reading takes no
 * lock here. attr_lock is a spinlock over the cached attributes.
 */
#pragma once

#include "abi/fs.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/waitq.h"
#include "kernel/vfs/file.h"
#include "lib/base/list.h"

struct dentry;
struct file_locks;
struct filesystem;
struct page_cache;
struct vnode;

struct vtime {
	s64 sec;
	u32 nsec;
};

struct vattr {
	u64 dev, ino;
	u64 size;
	u64 blocks; /* of 512 bytes */
	u64 rdev;
	u32 mode, uid, gid, nlink, blksize;
	struct vtime atime, mtime, ctime, btime;
};

enum vattr_set {
	VATTR_MODE = 1 << 0, /* permission bits */
	VATTR_UID = 1 << 1,
	VATTR_GID = 1 << 2,
	VATTR_ATIME = 1 << 3,
	VATTR_MTIME = 1 << 4,
	VATTR_CTIME = 1 << 5,
};

/* Receives directory entries; nonzero stops. `cookie` continues after this entry. */
struct dir_sink {
	int (*add)(struct dir_sink *sink, const char *name, size_t len, u64 ino, u8 type,
		   u64 cookie);
};

struct vfs_name {
	const char *text; /* not terminated */
	size_t len;
};

/*
 * All optional; the vfs answers for what is missing as Linux does. Counts or 0 or -errno.
 * [L]: called with the vnode's lock held (directories: those that change). New vnodes come back
 * with a reference.
 */
struct vnode_ops {
	void (*release)(struct vnode *v); /* frees it; no reference is left */

	int (*getattr)(struct vnode *v, struct vattr *ret);		 /* all but dev */
	int (*setattr)(struct vnode *v, const struct vattr *a, u32 set); /* [L] */

	int (*lookup)(struct vnode *dir, struct vfs_name name, struct vnode **ret);
	int (*create)(struct vnode *dir, struct vfs_name name, u32 mode, u32 uid, u32 gid, u64 rdev,
		      struct vnode **ret); /* [L] */
	int (*create_unnamed)(struct vnode *dir, u32 mode, u32 uid, u32 gid, struct vnode **ret);
	int (*symlink)(struct vnode *dir, struct vfs_name name, const char *target, size_t len,
		       u32 uid, u32 gid, struct vnode **ret);		       /* [L] */
	int (*link)(struct vnode *dir, struct vfs_name name, struct vnode *v); /* [L] */
	int (*unlink)(struct vnode *dir, struct vfs_name name, struct vnode *v,
		      bool is_dir); /* [L] */
	int (*rename)(struct vnode *dir, struct vfs_name name, struct vnode *v,
		      struct vnode *to_dir, struct vfs_name to_name, struct vnode *to_v,
		      u32 flags);					      /* [L] both */
	int (*readdir)(struct vnode *dir, u64 cookie, struct dir_sink *sink); /* with . and .. */

	long (*readlink)(struct vnode *v, char *buf, size_t size);
	/* procfs: a link that leads to an object, not to a name. Counted dentry. */
	int (*jump)(struct vnode *v, struct dentry **ret);

	long (*read)(struct vnode *v, struct uio *uio, u64 offset);
	long (*write)(struct vnode *v, struct uio *uio, u64 offset);	  /* [L] */
	int (*truncate)(struct vnode *v, u64 size);			  /* [L] */
	int (*fallocate)(struct vnode *v, u32 mode, u64 offset, u64 len); /* [L] */
	int (*seek)(struct vnode *v, u64 offset, bool hole, u64 *ret);
	int (*sync)(struct vnode *v, bool data_only);

	/* Devices, fifos, magic files: replaces the file's operations at open. */
	int (*open)(struct vnode *v, struct file *f);

	long (*getxattr)(struct vnode *v, const char *name, void *value, size_t size);
	int (*setxattr)(struct vnode *v, const char *name, const void *value, size_t size,
			u32 flags); /* [L] */
	long (*listxattr)(struct vnode *v, char *names, size_t size);
	int (*removexattr)(struct vnode *v, const char *name); /* [L] */

	void (*identity)(struct vnode *v, struct file_identity *ret);
	int (*sites)(struct vnode *v, struct file_sites *ret);
	/* unionfs: the vnode whose bytes are read now (borrowed while v is referenced). */
	struct vnode *(*real)(struct vnode *v);
};

struct vnode {
	u32 refs; /* atomic; 0 only under fs->table_lock */
	u32 mode; /* type never changes; permission bits follow setattr */
	u32 uid, gid;
	const struct vnode_ops *ops;
	struct filesystem *fs;
	u64 key; /* what the fs finds it by: table_lock */
	struct list_node table_node;

	struct mutex lock;

	struct spinlock attr_lock;
	u32 writers;	   /* attr_lock: files open for writing */
	u32 deny_write;	   /* attr_lock: programs running from it */
	struct vattr attr; /* attr_lock: cached when has_attr */
	bool has_attr;
	u64 attr_stamp; /* attr_lock: moves with every forget */

	struct file_locks *locks;  /* lock.c */
	struct pipe *pipe;	   /* lock: an open fifo */
	struct page_cache *cache;  /* pagecache.c */
	struct mem_object *shared; /* attr_lock: pages of MAP_SHARED mappings */
	u32 shared_files;	   /* lock: open files that asked for it */
	u64 version;		   /* contents changed: file_identity */
	u32 seals;		   /* memfd; F_SEAL_* */
	bool is_linkable;	   /* atomic; made without a name, and may get its first */
};

enum fs_flags {
	FS_CACHE_NAMES = 1 << 0, /* names change only through the vfs: dentries may stay */
	FS_CACHE_ATTR = 1 << 1,	 /* attributes change only through the vfs */
	FS_READ_ONLY = 1 << 2,
	FS_NOEXEC = 1 << 3,
	FS_NOSUID = 1 << 4,
	FS_NODEV = 1 << 5,
	FS_FORGET_NAMES =
		1 << 8, /* a name nobody uses goes at once: its vnode holds something scarce */
	FS_NAMELESS = 1 << 6, /* pipes and the like: shown by name alone, not as a path */
	FS_UNION = 1 << 7,    /* above other file systems: its vnodes are locked first */
};

struct vfs_statfs {
	u64 blocks, bfree, bavail, files, ffree;
	u32 bsize;
};

struct fs_ops {
	int (*statfs)(struct filesystem *fs, struct vfs_statfs *ret);
	int (*sync)(struct filesystem *fs);
	int (*shutdown)(struct filesystem *fs); /* after the last vnode is gone: commit, close */
};

#define VNODE_BUCKETS 256

struct filesystem {
	const struct fs_ops *ops;
	const char *type;   /* as in /proc/mounts */
	const char *source; /* likewise */
	u64 dev;	    /* st_dev */
	u32 magic;
	u32 flags;	    /* enum fs_flags */
	struct vnode *root; /* counted */
	void *priv;
	struct list_node node; /* list of all, for sync */
	struct spinlock table_lock;
	struct list_node buckets[VNODE_BUCKETS]; /* table_lock */
};

/* Prepares a file system in place: table, st_dev. fs_register() puts it on sync's list. */
void fs_init(struct filesystem *fs, const struct fs_ops *ops, const char *type, const char *source,
	     u32 magic, u32 flags);
void fs_register(struct filesystem *fs);
void fs_unregister(struct filesystem *fs);
int fs_sync_all(void); /* first error */

void vnode_init(struct vnode *v, struct filesystem *fs, const struct vnode_ops *ops, u64 key,
		u32 mode, u32 uid, u32 gid);
struct vnode *vnode_get(struct vnode *v);
void vnode_put(struct vnode *v);

/* The vnode with that key, counted, or NULL. */
struct vnode *vnode_find(struct filesystem *fs, u64 key);
/*
 * Puts a new vnode into the table. When another thread was faster, its vnode is returned (counted)
 * and the caller frees its own without release; otherwise `v` itself.
 */
struct vnode *vnode_insert(struct vnode *v);
void vnode_rekey(struct vnode *v, u64 key);
static inline bool vnode_is_hashed(const struct vnode *v)
{
	return !list_is_empty(&v->table_node);
}

/* Attributes, from the cache where it is good. */
int __must_check vnode_getattr(struct vnode *v, struct vattr *ret);
/* Changes attributes and the cache; takes the lock. */
int __must_check vnode_setattr(struct vnode *v, const struct vattr *a, u32 set);
int __must_check vnode_setattr_locked(struct vnode *v, const struct vattr *a, u32 set);
void vnode_forget_attr(struct vnode *v); /* the file system changed something */
/* Who changes a file's bytes takes its set-id bits away, but for root (CAP_FSETID). Lock held. */
void vnode_remove_privileges(struct vnode *v);
/* A cheap way for writers: size and times moved. */
int __must_check vnode_truncate(struct vnode *v, u64 size);
long vnode_read(struct vnode *v, struct uio *uio, u64 offset);
/* Holds the lock; `append` ignores *offset and stores where the bytes went. */
long vnode_write(struct vnode *v, struct uio *uio, u64 *offset, bool append, u64 size_limit);

/* One writer more, or -ETXTBSY; the counterpart for running programs. */
int __must_check vnode_get_write(struct vnode *v);
void vnode_put_write(struct vnode *v);

void vtime_now(struct vtime *t);
