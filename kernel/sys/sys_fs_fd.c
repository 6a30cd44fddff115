/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: close, dup, fcntl, ioctl, flock, pipe. */
#include "abi/ioctl.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/lock.h"
#include "kernel/vfs/memfd.h"

#define RLIMIT_NOFILE 7

long sys_close(int fd)
{
	return fd_close(current_files(), fd);
}

long sys_close_range(u32 first, u32 last, u32 flags)
{
	struct fd_table *t = current_files();

	if (first > last || (flags & ~CLOSE_RANGE_CLOEXEC))
		return -EINVAL; /* CLOSE_RANGE_UNSHARE would need a table of the thread's own */
	for (int fd = fd_next(t, first); fd >= 0 && (u32)fd <= last; fd = fd_next(t, fd + 1)) {
		int err =
			flags & CLOSE_RANGE_CLOEXEC ? fd_set_cloexec(t, fd, true) : fd_close(t, fd);

		if (err && err != -EBADF) /* another thread was faster */
			return err;
	}
	return 0;
}

static long dup_to(u32 old, u32 new_, bool cloexec)
{
	struct file *f = arg_file_any(old);
	int ret;

	if (!f)
		return -EBADF;
	ret = fd_install_at(current_files(), f, new_, cloexec);
	if (ret < 0)
		file_put(f);
	return ret;
}

static long dup_from(u32 old, u64 min, bool cloexec)
{
	struct file *f = arg_file_any(old);
	int ret;

	if (!f)
		return -EBADF;
	ret = min >= current_process()->limits[RLIMIT_NOFILE].soft || min >= FD_MAX
		      ? -EINVAL
		      : fd_install(current_files(), f, min, cloexec);
	if (ret < 0)
		file_put(f);
	return ret;
}

long sys_dup(u32 fd)
{
	struct file *f = arg_file_any(fd);

	return f ? fd_publish(f, false) : -EBADF;
}

long sys_dup2(u32 old, u32 new_)
{
	if (old == new_) {
		int err = fd_get_cloexec(current_files(), old);

		return err < 0 ? err : (long)new_;
	}
	return dup_to(old, new_, false);
}

long sys_dup3(u32 old, u32 new_, int flags)
{
	if ((flags & ~O_CLOEXEC) || old == new_)
		return -EINVAL;
	return dup_to(old, new_, flags & O_CLOEXEC);
}

long sys_pipe2(void __user *fds, int flags)
{
	struct file *r, *w;
	s32 pair[2];
	int err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL; /* O_DIRECT packets are not offered */
	err = pipe_new(flags, &r, &w);
	if (err)
		return err;
	pair[0] = fd_publish(r, flags & O_CLOEXEC);
	if (pair[0] < 0) {
		file_put(w);
		return pair[0];
	}
	pair[1] = fd_publish(w, flags & O_CLOEXEC);
	if (pair[1] < 0) {
		err = fd_close(current_files(), pair[0]);
		return err ? err : pair[1];
	}
	if (copy_to_user(fds, pair, sizeof(pair))) {
		err = fd_close(current_files(), pair[0]);
		if (!err)
			err = fd_close(current_files(), pair[1]);
		return err ? err : -EFAULT;
	}
	return 0;
}

long sys_pipe(void __user *fds)
{
	return sys_pipe2(fds, 0);
}

long sys_flock(u32 fd, u32 command)
{
	struct file_lock l = {.kind = LOCK_FLOCK, .end = UINT64_MAX, .pid = current_process()->pid};
	struct file *f;
	long ret;

	switch (command & ~LOCK_NB) {
	case LOCK_SH: l.type = F_RDLCK; break;
	case LOCK_EX: l.type = F_WRLCK; break;
	case LOCK_UN: l.type = F_UNLCK; break;
	default: return -EINVAL;
	}
	f = arg_file(fd);
	if (!f)
		return -EBADF;
	l.owner = f;
	f->has_locks = true;
	/* A conversion gives up the old lock first, as Linux does. */
	ret = 0;
	if (l.type != F_UNLCK && !(command & LOCK_NB)) {
		ret = file_lock_set(f->vnode, &l, false);
		if (ret == -EAGAIN) {
			struct file_lock none = l;

			none.type = F_UNLCK;
			ret = file_lock_set(f->vnode, &none, false);
			if (!ret)
				ret = file_lock_set(f->vnode, &l, true);
		}
	} else {
		ret = file_lock_set(f->vnode, &l, false);
	}
	file_put(f);
	return ret;
}

/* --- fcntl locks --------------------------------------------------------------------------- */

static int lock_from_user(struct file *f, const struct abi_flock *u, struct file_lock *l)
{
	s64 start = u->start, end;
	struct vattr attr;

	switch (u->whence) {
	case SEEK_SET: break;
	case SEEK_CUR:
		if (__builtin_add_overflow(start, (s64)f->pos, &start))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (file_getattr(f, &attr))
			return -EINVAL;
		if (__builtin_add_overflow(start, (s64)attr.size, &start))
			return -EOVERFLOW;
		break;
	default: return -EINVAL;
	}
	if (start < 0)
		return -EINVAL;
	if (u->len > 0) {
		if (__builtin_add_overflow(start, u->len - 1, &end))
			return -EOVERFLOW;
		l->start = start;
		l->end = end;
	} else if (u->len < 0) {
		if (start + u->len < 0)
			return -EINVAL;
		l->start = start + u->len;
		l->end = start - 1;
	} else {
		l->start = start;
		l->end = UINT64_MAX;
	}
	if (u->type != F_RDLCK && u->type != F_WRLCK && u->type != F_UNLCK)
		return -EINVAL;
	l->type = u->type;
	return 0;
}

/*
 * A lock goes when its process closes a descriptor of the file. If that was while the lock was
 * being waited for, nobody would ever give it back.
 */
static long set_posix_lock(struct file *f, u32 fd, struct file_lock *l, bool wait)
{
	long ret = file_lock_set(f->vnode, l, wait);
	struct file *now;

	if (ret || l->type == F_UNLCK)
		return ret;
	now = arg_file_any(fd);
	if (now != f) {
		l->type = F_UNLCK;
		if (file_lock_set(f->vnode, l, false))
			file_locks_release(f->vnode, l->owner);
		ret = -EBADF;
	}
	file_put(now);
	return ret;
}

static long fcntl_lock(struct file *f, u32 fd, u32 command, u64 arg)
{
	bool is_ofd = command >= F_OFD_GETLK;
	bool is_get = command == F_GETLK || command == F_OFD_GETLK;
	struct file_lock l = {.kind = is_ofd ? LOCK_OFD : LOCK_POSIX,
			      .owner = is_ofd ? (void *)f : (void *)current_files(),
			      .pid = is_ofd ? -1 : current_process()->pid};
	struct abi_flock u;
	int err;

	if (copy_from_user(&u, (const void __user *)arg, sizeof(u)))
		return -EFAULT;
	if (is_ofd && u.pid)
		return -EINVAL;
	err = lock_from_user(f, &u, &l);
	if (err)
		return err;
	if (is_get) {
		if (l.type == F_UNLCK)
			return -EINVAL;
		file_lock_test(f->vnode, &l);
		u.type = l.type;
		if (l.type != F_UNLCK) {
			u.whence = SEEK_SET;
			u.start = l.start;
			u.len = l.end == UINT64_MAX ? 0 : l.end - l.start + 1;
			u.pid = l.pid;
		}
		return copy_to_user((void __user *)arg, &u, sizeof(u));
	}
	if ((l.type == F_RDLCK && !file_can_read(f)) || (l.type == F_WRLCK && !file_can_write(f)))
		return -EBADF;
	if (!is_ofd)
		return set_posix_lock(f, fd, &l, command == F_SETLKW);
	f->has_locks = true;
	return file_lock_set(f->vnode, &l, command == F_OFD_SETLKW);
}

static long fcntl_any(struct file *f, int fd, u32 command, u64 arg)
{
	struct fd_table *t = current_files();

	switch (command) {
	case F_DUPFD: return dup_from(fd, arg, false);
	case F_DUPFD_CLOEXEC: return dup_from(fd, arg, true);
	case F_GETFD: return fd_get_cloexec(t, fd);
	case F_SETFD: return fd_set_cloexec(t, fd, arg & FD_CLOEXEC);
	case F_GETFL: return (f->flags & O_PATH ? f->flags : f->flags | O_LARGEFILE);
	}
	if (f->flags & O_PATH)
		return -EBADF;
	switch (command) {
	case F_SETFL: return file_set_flags(f, arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW: return fcntl_lock(f, (u32)fd, command, arg);
	case F_GETOWN: return f->owner_pid;
	case F_SETOWN: f->owner_pid = (s32)arg; return 0;
	case F_NOTIFY: return arg & ~(u64)DN_MULTISHOT ? -EINVAL : 0; /* none is to be told */
	case F_GETPIPE_SZ: return pipe_get_size(f);
	case F_SETPIPE_SZ: return pipe_set_size(f, arg);
	case F_GET_SEALS: return memfd_get_seals(f);
	case F_ADD_SEALS: return memfd_add_seals(f, arg);
	default: return -EINVAL;
	}
}

long sys_fcntl(u32 fd, u32 command, u64 argument)
{
	struct file *f = arg_file_any(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = fcntl_any(f, fd, command, argument);
	file_put(f);
	return ret;
}

static long set_nonblocking(struct file *f, u64 arg)
{
	u32 on;

	if (get_user_u32(&on, (const void __user *)arg))
		return -EFAULT;
	return file_set_flags(f, on ? f->flags | O_NONBLOCK : f->flags & ~O_NONBLOCK);
}

/* FIONREAD: what can be read without waiting. */
static long bytes_ready(struct file *f, u64 arg)
{
	struct vattr attr;
	s64 left;

	if (f->ops->data_size)
		return put_user_u32((void __user *)arg, f->ops->data_size(f));
	if (!S_ISREG(f->vnode->mode))
		return -ENOTTY;
	if (file_getattr(f, &attr))
		return -EIO;
	left = (s64)attr.size - (s64)f->pos;
	return put_user_u32((void __user *)arg, (u32)left);
}

long sys_ioctl(int fd, u32 command, void __user *argument)
{
	struct file *f = arg_file(fd);
	long ret = -ENOTTY;

	if (!f)
		return -EBADF;
	switch (command) {
	case FIOCLEX: ret = fd_set_cloexec(current_files(), fd, true); break;
	case FIONCLEX: ret = fd_set_cloexec(current_files(), fd, false); break;
	case FIONBIO: ret = set_nonblocking(f, (u64)argument); break;
	default:
		if (f->ops->ioctl)
			ret = f->ops->ioctl(f, command, (u64)argument);
		if (ret == -ENOTTY && command == FIONREAD)
			ret = bytes_ready(f, (u64)argument);
	}
	file_put(f);
	return ret;
}
