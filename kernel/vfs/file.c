/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files: position, mode, and the standard operations over a vnode. The position is guarded
 * by its own lock, held over the whole read or write, so that threads which share a descriptor
 * never see the same bytes twice.
 */
#include "kernel/vfs/file_ops.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"
#include "kernel/vfs/epoll.h"
#include "kernel/vfs/inotify.h"
#include "kernel/vfs/lock.h"
#include "kernel/vfs/shared.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/walk.h"

#define SIGXFSZ	     25
#define RLIMIT_FSIZE 1

struct file *file_new(const struct file_ops *ops, struct dentry *d, u32 flags, void *priv)
{
	struct file *f = kzalloc(sizeof(*f));

	if (!f)
		return NULL;
	f->refs = 1;
	f->flags = flags & ~(O_CLOEXEC | O_CREAT | O_EXCL | O_TRUNC);
	f->ops = ops;
	f->dentry = dentry_get(d);
	f->vnode = d->vnode;
	f->priv = priv;
	mutex_init(&f->pos_lock, LOCK_FILE_POSITION);
	spin_init(&f->watch_lock, LOCK_FILE_WATCH);
	list_init(&f->watchers);
	return f;
}

int file_open(struct dentry *d, u32 flags, struct file **ret)
{
	struct file *f = file_new(&vnode_file_ops, d, flags, NULL);
	int err;

	if (!f)
		return -ENOMEM;
	if (!(flags & O_PATH)) {
		if (file_can_write(f) && S_ISREG(f->vnode->mode)) {
			err = vnode_get_write(f->vnode);
			if (err)
				goto free;
			f->is_writer = true;
		}
		if (f->vnode->ops->open) {
			err = f->vnode->ops->open(f->vnode, f);
			if (err)
				goto free;
		} else if (S_ISSOCK(f->vnode->mode) || S_ISBLK(f->vnode->mode) ||
			   S_ISCHR(f->vnode->mode)) {
			err = -ENXIO;
			goto free;
		}
	}
	f->flags &= ~O_NOCTTY; /* a terminal's open has seen it */
	*ret = f;
	return 0;
free:
	if (f->is_writer)
		vnode_put_write(f->vnode);
	dentry_put(f->dentry);
	kfree(f);
	return err;
}

struct file *file_get(struct file *f)
{
	__atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
	return f;
}

void file_put(struct file *f)
{
	if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (!(f->flags & O_PATH))
		report_file(f->dentry, file_can_write(f) ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	epoll_file_closed(f);
	if (f->has_locks)
		file_locks_release(f->vnode, f);
	if (f->ops->release)
		f->ops->release(f);
	if (f->has_shared)
		shared_object_file_closed(f->vnode);
	if (f->is_writer)
		vnode_put_write(f->vnode);
	dentry_put(f->dentry);
	kfree(f);
}

/* --- standard operations ------------------------------------------------------------------- */

long vnode_file_read(struct file *f, struct uio *uio, u64 offset)
{
	if (S_ISDIR(f->vnode->mode))
		return -EISDIR;
	return vnode_read(f->vnode, uio, offset);
}

static u64 size_limit(void)
{
	struct thread *t = current_thread();

	return t && t->process ? t->process->limits[RLIMIT_FSIZE].soft : UINT64_MAX;
}

int file_check_size_limit(u64 size)
{
	struct signal_info info = {.signo = SIGXFSZ};

	if (size <= size_limit())
		return 0;
	signal_send_thread(current_thread(), &info);
	return -EFBIG;
}

static long vnode_file_write(struct file *f, struct uio *uio, u64 *offset)
{
	long ret = vnode_write(f->vnode, uio, offset, f->flags & O_APPEND, size_limit());

	if (ret == -EFBIG && *offset >= size_limit()) {
		struct signal_info info = {.signo = SIGXFSZ};

		signal_send_thread(current_thread(), &info);
	}
	if (ret > 0 && (f->flags & O_DSYNC)) {
		int err = file_sync(f, !(f->flags & (O_SYNC & ~O_DSYNC)));

		if (err)
			return err;
	}
	return ret;
}

static s64 seek_data(struct file *f, u64 offset, bool hole)
{
	struct vattr attr;
	u64 at = hole ? 0 : offset;
	int err = vnode_getattr(f->vnode, &attr);

	if (err)
		return err;
	if (offset >= attr.size)
		return -ENXIO;
	if (f->vnode->ops->seek)
		err = f->vnode->ops->seek(f->vnode, offset, hole, &at);
	else if (hole)
		at = attr.size;
	return err ? err : (s64)at;
}

s64 vnode_file_seek(struct file *f, s64 offset, u32 whence)
{
	struct vattr attr;
	s64 base;
	int err;

	switch (whence) {
	case SEEK_SET: base = 0; break;
	case SEEK_CUR: base = f->pos; break;
	case SEEK_END:
		if (S_ISDIR(f->vnode->mode))
			return -EINVAL;
		err = file_getattr(f, &attr);
		if (err)
			return err;
		base = attr.size;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (!S_ISREG(f->vnode->mode))
			return -EINVAL;
		if (offset < 0)
			return -ENXIO;
		base = seek_data(f, offset, whence == SEEK_HOLE);
		if (base < 0)
			return base;
		offset = 0;
		break;
	default: return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &base))
		return -EOVERFLOW;
	return base < 0 ? -EINVAL : base;
}

static int vnode_file_readdir(struct file *f, u64 cookie, struct dir_sink *sink)
{
	if (!S_ISDIR(f->vnode->mode) || !f->vnode->ops->readdir)
		return -ENOTDIR;
	return f->vnode->ops->readdir(f->vnode, cookie, sink);
}

int vnode_file_sync(struct file *f, bool data_only)
{
	int err = shared_object_flush(f->vnode);

	if (err)
		return err;
	return f->vnode->ops->sync ? f->vnode->ops->sync(f->vnode, data_only) : 0;
}

const struct file_ops vnode_file_ops = {
	.read = vnode_file_read,
	.write = vnode_file_write,
	.seek = vnode_file_seek,
	.readdir = vnode_file_readdir,
	.sync = vnode_file_sync,
};

/* --- calls --------------------------------------------------------------------------------- */

/* Bytes were moved, or were not. */
static long moved(struct file *f, long ret, u32 event)
{
	if (ret > 0)
		report_file(f->dentry, event);
	return ret;
}

long file_read(struct file *f, struct uio *uio)
{
	long ret;

	if (!file_can_read(f))
		return -EBADF;
	if (!f->ops->read)
		return -EINVAL;
	if (f->ops->is_stream)
		return moved(f, f->ops->read(f, uio, 0), IN_ACCESS);
	mutex_lock(&f->pos_lock);
	ret = f->ops->read(f, uio, f->pos);
	if (ret > 0)
		f->pos += ret;
	mutex_unlock(&f->pos_lock);
	return moved(f, ret, IN_ACCESS);
}

long file_write(struct file *f, struct uio *uio)
{
	u64 offset = 0;
	long ret;

	if (!file_can_write(f))
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	if (f->ops->is_stream)
		return moved(f, f->ops->write(f, uio, &offset), IN_MODIFY);
	mutex_lock(&f->pos_lock);
	offset = f->pos;
	ret = f->ops->write(f, uio, &offset);
	if (ret > 0)
		f->pos = offset + ret;
	mutex_unlock(&f->pos_lock);
	return moved(f, ret, IN_MODIFY);
}

long file_pread(struct file *f, struct uio *uio, u64 offset)
{
	if (f->ops->is_stream)
		return -ESPIPE;
	if (!file_can_read(f))
		return -EBADF;
	return f->ops->read ? moved(f, f->ops->read(f, uio, offset), IN_ACCESS) : -EINVAL;
}

long file_pwrite(struct file *f, struct uio *uio, u64 offset)
{
	if (f->ops->is_stream)
		return -ESPIPE;
	if (!file_can_write(f))
		return -EBADF;
	return f->ops->write ? moved(f, f->ops->write(f, uio, &offset), IN_MODIFY) : -EINVAL;
}

long file_write_at(struct file *f, struct uio *uio, u64 offset, u32 rwf)
{
	bool append = rwf & RWF_APPEND;
	long ret;

	if (!append)
		ret = file_pwrite(f, uio, offset);
	else if (f->ops != &vnode_file_ops)
		return -EOPNOTSUPP;
	else if (!file_can_write(f))
		return -EBADF;
	else
		ret = moved(f, vnode_write(f->vnode, uio, &offset, true, size_limit()), IN_MODIFY);
	if (ret > 0 && (rwf & (RWF_DSYNC | RWF_SYNC))) {
		int err = file_sync(f, !(rwf & RWF_SYNC));

		if (err)
			return err;
	}
	return ret;
}

int file_read_exact(struct file *f, void *buf, size_t size, u64 offset)
{
	struct uio uio = uio_kernel(buf, size);

	while (uio.left) {
		long n = file_pread(f, &uio, offset);

		if (n < 0)
			return n;
		if (n == 0)
			return -ENOEXEC;
		offset += n;
	}
	return 0;
}

int file_getattr(struct file *f, struct vattr *ret)
{
	if (!f->ops->getattr)
		return vnode_getattr(f->vnode, ret);
	*ret = (struct vattr){.dev = f->vnode->fs->dev};
	return f->ops->getattr(f, ret);
}

u64 file_size(struct file *f)
{
	struct vattr attr;

	return file_getattr(f, &attr) ? 0 : attr.size;
}

s64 file_seek(struct file *f, s64 offset, u32 whence)
{
	s64 ret;

	if (f->flags & O_PATH)
		return -EBADF;
	if (!f->ops->seek)
		return -ESPIPE;
	mutex_lock(&f->pos_lock);
	ret = f->ops->seek(f, offset, whence);
	if (ret >= 0)
		f->pos = ret;
	mutex_unlock(&f->pos_lock);
	return ret;
}

int file_sync(struct file *f, bool data_only)
{
	if (f->flags & O_PATH)
		return -EBADF;
	return f->ops->sync ? f->ops->sync(f, data_only) : -EINVAL;
}

u32 file_poll(struct file *f, struct poll_table *pt)
{
	if (!f->ops->poll)
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	return f->ops->poll(f, pt);
}

#define SETFL_MASK (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK)

int file_set_flags(struct file *f, u32 flags)
{
	u32 old = f->flags;
	int err;

	flags = (old & ~SETFL_MASK) | (flags & SETFL_MASK);
	if ((flags & ~old & O_NOATIME) && vnode_owner_or_capable(f->vnode))
		return -EPERM;
	/* Nobody sends SIGIO. For files that never would it means nothing, as on Linux. */
	if ((flags & O_ASYNC) && f->ops->poll)
		return -EINVAL;
	err = f->ops->set_flags ? f->ops->set_flags(f, flags) : 0;
	if (!err)
		__atomic_store_n(&f->flags, flags, __ATOMIC_RELAXED);
	return err;
}

/* By the open file itself: its name may stand for another one by now. */
static int truncate_open(struct file *f, u64 size)
{
	struct vnode *v = f->vnode;
	int err;

	if (v->fs->flags & FS_READ_ONLY)
		return -EROFS;
	mutex_lock(&v->lock);
	err = f->ops->truncate(f, size);
	v->version++;
	vnode_forget_attr(v);
	mutex_unlock(&v->lock);
	return err;
}

int file_truncate(struct file *f, u64 size)
{
	int err;

	if (!file_can_write(f) || !S_ISREG(f->vnode->mode))
		return f->flags & O_PATH ? -EBADF : -EINVAL;
	err = file_check_size_limit(size);
	if (err)
		return err;
	err = f->ops->truncate ? truncate_open(f, size) : vnode_truncate(f->vnode, size);
	if (!err)
		report_file(f->dentry, IN_MODIFY);
	return err;
}

/* vnode.lock held: do the file's seals and RLIMIT_FSIZE allow fallocate up to `end`? */
static int check_fallocate(struct vnode *v, u32 mode, u64 end)
{
	struct vattr attr;
	int err;

	if ((mode & ~FALLOC_FL_KEEP_SIZE) && (v->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return -EPERM;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return 0;
	err = vnode_getattr(v, &attr);
	if (err || end <= attr.size)
		return err;
	if (v->seals & F_SEAL_GROW)
		return -EPERM;
	return mode & FALLOC_FL_KEEP_SIZE ? 0 : file_check_size_limit(end);
}

int file_fallocate(struct file *f, u32 mode, u64 offset, u64 len)
{
	struct vnode *v = f->vnode;
	u64 end;
	int err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) &&
	    (!(mode & FALLOC_FL_KEEP_SIZE) || (mode & FALLOC_FL_ZERO_RANGE)))
		return -EOPNOTSUPP;
	if (!file_can_write(f))
		return -EBADF;
	if (f->ops->is_stream || S_ISFIFO(v->mode))
		return -ESPIPE;
	if (S_ISDIR(v->mode))
		return -EISDIR;
	if (!S_ISREG(v->mode))
		return -ENODEV;
	if (__builtin_add_overflow(offset, len, &end) || end > INT64_MAX)
		return -EFBIG;
	if (!v->ops->fallocate)
		return -EOPNOTSUPP;
	if (v->fs->flags & FS_READ_ONLY)
		return -EROFS;
	mutex_lock(&v->lock);
	err = check_fallocate(v, mode, end);
	if (!err)
		err = shared_object_flush(v);
	if (!err) {
		vnode_remove_privileges(v);
		err = v->ops->fallocate(v, mode, offset, len);
	}
	if (!err)
		err = shared_object_reload(v, mode & ~FALLOC_FL_KEEP_SIZE ? offset : end, end);
	v->version++;
	vnode_forget_attr(v);
	mutex_unlock(&v->lock);
	if (!err)
		report_file(f->dentry, IN_MODIFY);
	return err;
}

static bool is_zero_device(struct vnode *v)
{
	struct vattr attr;

	return S_ISCHR(v->mode) && !vnode_getattr(v, &attr) && attr.rdev == MKDEV(1, 5);
}

void file_identity(struct file *f, struct file_identity *ret)
{
	struct vnode *v = f->vnode;

	if (v->ops->identity) {
		v->ops->identity(v, ret);
	} else {
		ret->device = v->fs->dev;
		ret->object = v->key;
		ret->version = v->version;
		ret->cacheable = false;
		ret->is_noexec = false;
	}
	if (v->fs->flags & FS_NOEXEC)
		ret->is_noexec = true;
	ret->is_mappable = S_ISREG(v->mode) || is_zero_device(v);
}

bool file_is_sealed(struct file *f)
{
	struct vnode *v = f->vnode;
	bool is_sealed;

	mutex_lock(&v->lock);
	is_sealed = v->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
	mutex_unlock(&v->lock);
	return is_sealed;
}

bool file_is_readable(struct file *f)
{
	return file_can_read(f);
}

bool file_is_writable(struct file *f)
{
	return file_can_write(f);
}

long file_path(struct file *f, char *buf, size_t size)
{
	struct process *p = current_process();
	/* The kernel's own threads have no context: they see the instance's root. */
	struct dentry *root = p->fs ? fs_context_root(p->fs) : fs_context_system_root();
	long ret = dentry_path(f->dentry, root, buf, size);

	dentry_put(root);
	return ret;
}

bool file_is_unlinked(struct file *f)
{
	return f->dentry->parent && !f->dentry->hashed;
}

int file_sites(struct file *f, struct file_sites *ret)
{
	ret->bytes = NULL;
	ret->size = 0;
	return f->vnode->ops->sites ? f->vnode->ops->sites(f->vnode, ret) : 0;
}

int file_shared_object(struct file *f, struct mem_object **ret_object)
{
	int err = shared_object_get(f->vnode, ret_object);

	if (err)
		return err;
	mutex_lock(&f->vnode->lock);
	if (!f->has_shared) {
		f->has_shared = true;
		f->vnode->shared_files++;
	}
	mutex_unlock(&f->vnode->lock);
	return 0;
}
