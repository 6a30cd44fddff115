/* SPDX-License-Identifier: Apache-2.0 */
/* Watching files and folders: inotify(7). */
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/inotify.h"

#define WATCH_FLAGS                                                                                \
	(IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ONESHOT)
/* What may be asked for and means nothing in a mask: it comes by itself. */
#define EVENT_FLAGS (IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ISDIR)

long sys_inotify_init1(int flags)
{
	struct file *f;
	int err;

	if (flags & ~(IN_NONBLOCK | IN_CLOEXEC))
		return -EINVAL;
	err = inotify_new((u32)flags, &f);
	return err ? err : fd_publish(f, flags & IN_CLOEXEC);
}

long sys_inotify_init(void)
{
	return sys_inotify_init1(0);
}

static long add(struct file *f, const char __user *path, u32 mask)
{
	struct dentry *d;
	long ret = arg_walk(AT_FDCWD, path, mask & IN_DONT_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &d);

	if (ret)
		return ret;
	if ((mask & IN_ONLYDIR) && !S_ISDIR(d->vnode->mode))
		ret = -ENOTDIR;
	else
		ret = vnode_permission(d->vnode, R_OK);
	if (!ret)
		ret = inotify_add(f, d->vnode, mask);
	dentry_put(d);
	return ret;
}

long sys_inotify_add_watch(int fd, const char __user *path, u32 mask)
{
	struct file *f;
	long ret;

	if (!mask || (mask & ~(IN_ALL_EVENTS | EVENT_FLAGS | WATCH_FLAGS)))
		return -EINVAL;
	f = arg_file(fd);
	if (!f)
		return -EBADF;
	if (!file_is_inotify(f) || ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)))
		ret = -EINVAL;
	else
		ret = add(f, path, mask);
	file_put(f);
	return ret;
}

long sys_inotify_rm_watch(int fd, int watch)
{
	struct file *f = arg_file(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = file_is_inotify(f) ? inotify_remove(f, watch) : -EINVAL;
	file_put(f);
	return ret;
}
