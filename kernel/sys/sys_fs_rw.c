/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing. Vectors are loops over their pieces, but a short vector is gathered into
 * one buffer first, so that its write is one write: to a pipe, with O_APPEND, to the host.
 */
#include "kernel/core/kmem.h"
#include "kernel/core/reason.h"
#include "kernel/mm/uaccess.h"
#include "kernel/net/socket.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/inotify.h"

#define LOG_TAG "fs"
#include "kernel/core/log.h"

#define GATHER_MAX 65536u

typedef long (*rw_fn)(struct file *f, struct uio *uio, u64 offset, u32 rwf);

static long do_read(struct file *f, struct uio *uio, u64 offset, u32 rwf)
{
	return file_read(f, uio);
}

static long do_write(struct file *f, struct uio *uio, u64 offset, u32 rwf)
{
	return file_write(f, uio);
}

static long do_pread(struct file *f, struct uio *uio, u64 offset, u32 rwf)
{
	return file_pread(f, uio, offset);
}

static long do_pwrite(struct file *f, struct uio *uio, u64 offset, u32 rwf)
{
	return file_write_at(f, uio, offset, rwf);
}

static long rw(int fd, u64 buf, u64 count, u64 offset, rw_fn fn)
{
	struct file *f = arg_file(fd);
	struct uio uio = uio_user((void __user *)buf, MIN(count, RW_MAX_BYTES));
	long ret;

	if (!f)
		return -EBADF;
	ret = fn(f, &uio, offset, 0);
	file_put(f);
	return ret;
}

long sys_read(int fd, void __user *buf, u64 count)
{
	return rw(fd, (u64)buf, count, 0, do_read);
}

long sys_write(int fd, const void __user *buf, u64 count)
{
	return rw(fd, (u64)buf, count, 0, do_write);
}

long sys_pread64(int fd, void __user *buf, u64 count, s64 offset)
{
	return offset < 0 ? -EINVAL : rw(fd, (u64)buf, count, offset, do_pread);
}

long sys_pwrite64(int fd, const void __user *buf, u64 count, s64 offset)
{
	return offset < 0 ? -EINVAL : rw(fd, (u64)buf, count, offset, do_pwrite);
}

static long write_gathered(struct file *f, const struct abi_iovec *vec, u64 count, u64 total,
			   u64 offset, u32 rwf, rw_fn fn)
{
	u8 *buf = kmalloc(total);
	struct uio uio;
	u64 at = 0;
	long ret;

	if (!buf)
		return -ENOMEM;
	for (u64 i = 0; i < count; i++) {
		if (copy_from_user(buf + at, (const void __user *)vec[i].base, vec[i].len)) {
			/* As a loop over the pieces: what came before the bad one is written. */
			total = at;
			break;
		}
		at += vec[i].len;
	}
	uio = uio_kernel(buf, total);
	ret = total ? fn(f, &uio, offset, rwf) : -EFAULT;
	kfree(buf);
	return ret;
}

static long each_piece(struct file *f, const struct abi_iovec *vec, u64 count, u64 offset, u32 rwf,
		       rw_fn fn)
{
	long done = 0;

	for (u64 i = 0; i < count; i++) {
		struct uio uio = uio_user((void __user *)vec[i].base, vec[i].len);
		long n;

		if (!vec[i].len)
			continue;
		/* What has something to give does not wait for more. */
		if (done && fn == do_read && f->ops->is_stream && !(file_poll(f, NULL) & POLLIN))
			break;
		n = fn(f, &uio, offset + done, rwf);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((u64)n < vec[i].len)
			break;
	}
	return done;
}

static long rw_vector(int fd, const void __user *user, u64 count, u64 offset, u32 rwf, rw_fn fn)
{
	struct file *f = arg_file(fd);
	struct abi_iovec *vec;
	long ret;

	if (!f)
		return -EBADF;
	ret = arg_vector(user, count, &vec);
	if (ret < 0) {
		file_put(f);
		return ret;
	}
	if (socket_of(f) && (fn == do_read || fn == do_write)) {
		ret = socket_vector(f, vec, count, fn == do_write);
		kfree(vec);
		file_put(f);
		return ret;
	}
	if ((fn == do_write || fn == do_pwrite) && ret && ret <= GATHER_MAX && count > 1) {
		ret = write_gathered(f, vec, count, ret, offset, rwf, fn);
	} else if (!ret) {
		struct uio none = uio_user(NULL, 0);

		ret = fn(f, &none, offset, rwf); /* still checks the descriptor's mode */
	} else {
		ret = each_piece(f, vec, count, offset, rwf, fn);
	}
	kfree(vec);
	file_put(f);
	return ret;
}

long sys_readv(u64 fd, const void __user *vec, u64 count)
{
	return rw_vector(fd, vec, count, 0, 0, do_read);
}

long sys_writev(u64 fd, const void __user *vec, u64 count)
{
	return rw_vector(fd, vec, count, 0, 0, do_write);
}

long sys_preadv(u64 fd, const void __user *vec, u64 count, u64 low, u64 high)
{
	return (s64)low < 0 ? -EINVAL : rw_vector(fd, vec, count, low, 0, do_pread);
}

long sys_pwritev(u64 fd, const void __user *vec, u64 count, u64 low, u64 high)
{
	return (s64)low < 0 ? -EINVAL : rw_vector(fd, vec, count, low, 0, do_pwrite);
}

long sys_preadv2(u64 fd, const void __user *vec, u64 count, u64 low, u64 high, int flags)
{
	if (flags & ~RWF_HIPRI)
		return -EOPNOTSUPP;
	if ((s64)low == -1)
		return sys_readv(fd, vec, count);
	return sys_preadv(fd, vec, count, low, high);
}

long sys_pwritev2(u64 fd, const void __user *vec, u64 count, u64 low, u64 high, int flags)
{
	if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND))
		return -EOPNOTSUPP;
	if ((s64)low == -1 && !(flags & (RWF_DSYNC | RWF_SYNC | RWF_APPEND)))
		return sys_writev(fd, vec, count);
	if ((s64)low < 0)
		return (s64)low == -1 ? -EOPNOTSUPP : -EINVAL;
	return rw_vector(fd, vec, count, low, flags, do_pwrite);
}

long sys_lseek(int fd, s64 offset, u32 whence)
{
	struct file *f = arg_file(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = file_seek(f, offset, whence);
	file_put(f);
	return ret;
}

/* --- moving bytes between files ------------------------------------------------------------ */

/* Up to `count` bytes from `in` to `out` through a buffer; offsets NULL: the files' positions. */
static long copy_between(struct file *in, u64 *in_offset, struct file *out, u64 *out_offset,
			 u64 count)
{
	size_t room = MIN(count, (u64)GATHER_MAX);
	u8 *buf = kmalloc(MAX(room, (size_t)1));
	long done = 0, n = 0;

	if (!buf)
		return -ENOMEM;
	while (count) {
		struct uio uio = uio_kernel(buf, MIN(count, (u64)room));
		long m;

		n = in_offset ? file_pread(in, &uio, *in_offset) : file_read(in, &uio);
		if (n <= 0)
			break;
		uio = uio_kernel(buf, n);
		m = out_offset ? file_pwrite(out, &uio, *out_offset) : file_write(out, &uio);
		if (m < n && !in_offset && in->ops->seek &&
		    file_seek(in, MAX(m, 0l) - n, SEEK_CUR) < 0) {
			n = -EIO;
			break;
		}
		if (m <= 0) {
			n = m;
			break;
		}
		if (in_offset)
			*in_offset += m;
		if (out_offset)
			*out_offset += m;
		done += m;
		count -= m;
		if (m < n)
			break;
		if (thread_has_work(current_thread()))
			break;
	}
	kfree(buf);
	return done ? done : n;
}

long sys_sendfile(int out_fd, int in_fd, void __user *user_offset, u64 count)
{
	struct file *in = arg_file(in_fd), *out = arg_file(out_fd);
	u64 offset = 0;
	long ret = -EBADF;

	if (!in || !out || !file_can_read(in) || !file_can_write(out))
		goto out;
	ret = -EFAULT;
	if (user_offset && get_user_u64(&offset, user_offset))
		goto out;
	/* As on Linux: a copy out of a stream could swallow its end, such as a terminal's ^D. */
	ret = user_offset ? -ESPIPE : -EINVAL;
	if (in->ops->is_stream)
		goto out;
	ret = -EINVAL;
	if ((s64)offset < 0 || (out->flags & O_APPEND) || S_ISDIR(in->vnode->mode))
		goto out;
	ret = copy_between(in, user_offset ? &offset : NULL, out, NULL, MIN(count, RW_MAX_BYTES));
	if (ret >= 0 && user_offset && put_user_u64(user_offset, offset))
		ret = -EFAULT;
out:
	file_put(in);
	file_put(out);
	return ret;
}

static long copy_range(struct file *in, void __user *in_user, struct file *out,
		       void __user *out_user, u64 count)
{
	u64 in_offset = in->pos, out_offset = out->pos;
	long ret;

	count = MIN(count, RW_MAX_BYTES); /* so that no sum below wraps */
	if (!file_can_read(in) || !file_can_write(out) || (out->flags & O_APPEND))
		return -EBADF;
	if (S_ISDIR(in->vnode->mode) || S_ISDIR(out->vnode->mode))
		return -EISDIR;
	/* A standard stream that is a file on the host has no position here. */
	if (!S_ISREG(in->vnode->mode) || !S_ISREG(out->vnode->mode) || in->ops->is_stream ||
	    out->ops->is_stream)
		return -EINVAL;
	if ((in_user && get_user_u64(&in_offset, in_user)) ||
	    (out_user && get_user_u64(&out_offset, out_user)))
		return -EFAULT;
	if ((s64)in_offset < 0 || (s64)out_offset < 0)
		return -EINVAL;
	if (in->vnode == out->vnode && in_offset < out_offset + count &&
	    out_offset < in_offset + count)
		return -EINVAL;
	ret = copy_between(in, &in_offset, out, &out_offset, count);
	if (ret <= 0)
		return ret;
	if (in_user ? put_user_u64(in_user, in_offset) : file_seek(in, in_offset, SEEK_SET) < 0)
		return -EFAULT;
	if (out_user ? put_user_u64(out_user, out_offset)
		     : file_seek(out, out_offset, SEEK_SET) < 0)
		return -EFAULT;
	return ret;
}

long sys_copy_file_range(int in_fd, void __user *in_offset, int out_fd, void __user *out_offset,
			 u64 count, u32 flags)
{
	struct file *in = arg_file(in_fd), *out = arg_file(out_fd);
	long ret = -EBADF;

	if (flags)
		ret = -EINVAL;
	else if (in && out)
		ret = copy_range(in, in_offset, out, out_offset, count);
	file_put(in);
	file_put(out);
	return ret;
}

/* --- durability, space --------------------------------------------------------------------- */

static long sync_fd(int fd, bool data_only)
{
	struct file *f = arg_file(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = file_sync(f, data_only);
	file_put(f);
	return ret;
}

long sys_fsync(u32 fd)
{
	return sync_fd(fd, false);
}

long sys_fdatasync(u32 fd)
{
	return sync_fd(fd, true);
}

#define SYNC_FILE_RANGE_ALL 7u /* wait before, write, wait after */

/* Nothing is written back before a commit, so whoever asks for a part to be written gets one. */
long sys_sync_file_range(int fd, s64 offset, s64 size, u32 flags)
{
	struct file *f;
	long ret = 0;

	if (offset < 0 || size < 0 || offset > INT64_MAX - size || (flags & ~SYNC_FILE_RANGE_ALL))
		return -EINVAL;
	f = arg_file(fd);
	if (!f)
		return -EBADF;
	if (S_ISFIFO(f->vnode->mode) || S_ISSOCK(f->vnode->mode) || S_ISCHR(f->vnode->mode))
		ret = -ESPIPE;
	else if (flags)
		ret = file_sync(f, true);
	file_put(f);
	return ret;
}

long sys_sync(void)
{
	int err = fs_sync_all();

	if (err) /* sync(2) itself cannot tell */
		log_err("sync(2): a file system could not be written back: %s (error %d).",
			error_reason(err), -err);
	return 0;
}

long sys_syncfs(int fd)
{
	struct file *f = arg_file(fd);
	struct filesystem *fs;
	long ret;

	if (!f)
		return -EBADF;
	fs = f->vnode->fs;
	ret = fs->ops->sync ? fs->ops->sync(fs) : 0;
	file_put(f);
	return ret;
}

long sys_ftruncate(u32 fd, s64 size)
{
	struct file *f = arg_file(fd);
	long ret;

	if (size < 0)
		ret = -EINVAL;
	else
		ret = f ? file_truncate(f, size) : -EBADF;
	file_put(f);
	return ret;
}

long sys_truncate(const char __user *path, s64 size)
{
	struct dentry *d;
	long ret;

	if (size < 0)
		return -EINVAL;
	ret = arg_walk(AT_FDCWD, path, 0, &d);
	if (ret)
		return ret;
	if (S_ISDIR(d->vnode->mode))
		ret = -EISDIR;
	else if (!S_ISREG(d->vnode->mode))
		ret = -EINVAL;
	else
		ret = vnode_permission(d->vnode, W_OK);
	if (!ret)
		ret = file_check_size_limit(size);
	if (!ret)
		ret = vnode_truncate(d->vnode, size);
	if (!ret)
		report_file(d, IN_MODIFY);
	dentry_put(d);
	return ret;
}

long sys_fallocate(int fd, int mode, s64 offset, s64 size)
{
	struct file *f = arg_file(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = offset < 0 || size <= 0 ? -EINVAL : file_fallocate(f, mode, offset, size);
	file_put(f);
	return ret;
}

long sys_fadvise64(int fd, s64 offset, u64 size, int advice)
{
	struct file *f = arg_file(fd);
	long ret = 0;

	if (!f)
		return -EBADF;
	if (S_ISFIFO(f->vnode->mode))
		ret = -ESPIPE;
	else if (advice < 0 || advice > 5 || (s64)size < 0)
		ret = -EINVAL;
	file_put(f);
	return ret; /* advice only: the cache decides by itself */
}

long sys_readahead(int fd, s64 offset, u64 count)
{
	struct file *f = arg_file(fd);
	long ret = -EBADF;

	if (f && file_can_read(f))
		ret = S_ISREG(f->vnode->mode) ? 0 : -EINVAL;
	file_put(f);
	return ret;
}
