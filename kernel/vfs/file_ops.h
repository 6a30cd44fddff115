/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an open file is made of, for those who implement one. Everyone else uses file.h.
 */
#pragma once

#include "kernel/vfs/dentry.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/poll.h"

struct file_ops {
	bool is_stream; /* no position: pread is -ESPIPE, read and write get offset 0 */
	void (*release)(struct file *f);
	long (*read)(struct file *f, struct uio *uio, u64 offset);
	/* Stores where the bytes went in *offset (O_APPEND). */
	long (*write)(struct file *f, struct uio *uio, u64 *offset);
	s64 (*seek)(struct file *f, s64 offset, u32 whence);
	int (*readdir)(struct file *f, u64 cookie, struct dir_sink *sink);
	/* `arg` is the program's; -ENOTTY for unknown commands. */
	long (*ioctl)(struct file *f, u32 command, u64 arg);
	/* Which of POLL* hold now; registers with `pt` unless it is NULL. NULL op: always ready. */
	u32 (*poll)(struct file *f, struct poll_table *pt);
	int (*sync)(struct file *f, bool data_only);
	int (*set_flags)(struct file *f, u32 flags); /* F_SETFL, before they take effect */
	int (*getattr)(struct file *f, struct vattr *ret);
	int (*truncate)(struct file *f, u64 size); /* vnode.lock; NULL: the vnode's */
	bool no_splice;				   /* its numbers are no bytes to move */
	u64 (*data_size)(struct file *f);	   /* FIONREAD; NULL: size - position */
	/* /proc/self/fdinfo lines. */
	void (*describe)(struct file *f, char *buf, size_t size, size_t *len);
};

struct file {
	u32 refs;  /* atomic */
	u32 flags; /* atomic; O_* without O_CLOEXEC */
	const struct file_ops *ops;
	struct dentry *dentry; /* counted */
	struct vnode *vnode;   /* counted by the dentry */
	void *priv;
	bool is_writer;	 /* counted in vnode.writers */
	bool has_locks;	 /* flock or OFD locks were taken */
	bool has_shared; /* counted in vnode.shared_files; vnode.lock */

	struct mutex pos_lock;
	u64 pos; /* pos_lock */

	struct spinlock watch_lock;
	struct list_node watchers; /* watch_lock; epoll items */
	u64 watch_seen;		   /* by which search of epoll_paths.c */
	s32 owner_pid;		   /* F_SETOWN: kept */
	s32 owner_sig;
};

/* Reading and writing allowed by the open mode. */
static inline bool file_can_read(const struct file *f)
{
	return !(f->flags & O_PATH) && (f->flags & O_ACCMODE) != O_WRONLY;
}
static inline bool file_can_write(const struct file *f)
{
	u32 mode = f->flags & O_ACCMODE;

	return !(f->flags & O_PATH) && (mode == O_WRONLY || mode == O_RDWR);
}
static inline bool file_is_nonblocking(const struct file *f)
{
	return __atomic_load_n(&f->flags, __ATOMIC_RELAXED) & O_NONBLOCK;
}

/* An open file over `d`, which is not asked: for the functions below. NULL: no memory. */
struct file *file_new(const struct file_ops *ops, struct dentry *d, u32 flags, void *priv)
	__must_check;
/* Opens what d stands for (permissions were checked): consumes nothing. */
int __must_check file_open(struct dentry *d, u32 flags, struct file **ret);

/*
 * A file without a name in any mounted tree: its own vnode of the anonymous file system, shown as
 * `name` (a name that ends in a colon gets its number: "pipe:[7]"). mode is the type in st_mode.
 */
int __must_check file_new_anon(const struct file_ops *ops, const char *name, u32 mode, u32 flags,
			       void *priv, struct file **ret);
/* Lets the nameless file be opened again through /proc/self/fd (fifos can be anyway). */
void file_set_reopen(struct file *f, int (*reopen)(struct file *f, u64 arg), u64 arg);
/* A second file on the vnode of `f` (the other end of a pipe). */
int __must_check file_new_beside(struct file *f, const struct file_ops *ops, u32 flags, void *priv,
				 struct file **ret);
int __must_check anon_fs_init(void);

extern const struct file_ops vnode_file_ops;
/* Its parts, for those who replace only one. */
long vnode_file_read(struct file *f, struct uio *uio, u64 offset);
s64 vnode_file_seek(struct file *f, s64 offset, u32 whence);
int vnode_file_sync(struct file *f, bool data_only);

int __must_check file_getattr(struct file *f, struct vattr *ret);
s64 file_seek(struct file *f, s64 offset, u32 whence);
int __must_check file_sync(struct file *f, bool data_only);
u32 file_poll(struct file *f, struct poll_table *pt);
int __must_check file_set_flags(struct file *f, u32 flags);
int __must_check file_truncate(struct file *f, u64 size);
/* RLIMIT_FSIZE of the caller: 0, or -EFBIG and SIGXFSZ on its way. */
int __must_check file_check_size_limit(u64 size);
int __must_check file_fallocate(struct file *f, u32 mode, u64 offset, u64 len);
/* Like file_write, but at `offset`, honouring RWF_* of `rwf`. */
long file_write_at(struct file *f, struct uio *uio, u64 offset, u32 rwf);
