/* SPDX-License-Identifier: Apache-2.0 */
/* Asking about files: stat and its relatives, access, readlink, statfs. */
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/mount.h"
#include "lib/base/string.h"

static struct abi_timespec to_timespec(struct vtime t)
{
	return (struct abi_timespec){t.sec, t.nsec};
}

static long put_stat(const struct vattr *a, void __user *to)
{
	struct abi_stat st = {
		.dev = a->dev,
		.ino = a->ino,
		.nlink = a->nlink,
		.mode = a->mode,
		.uid = a->uid,
		.gid = a->gid,
		.rdev = a->rdev,
		.size = a->size,
		.blksize = a->blksize,
		.blocks = a->blocks,
		.atime = to_timespec(a->atime),
		.mtime = to_timespec(a->mtime),
		.ctime = to_timespec(a->ctime),
	};

	return copy_to_user(to, &st, sizeof(st));
}

static int getattr_at(int dirfd, const char __user *path, u32 flags, struct vattr *ret)
{
	struct dentry *d;
	int err = arg_walk(dirfd, path, flags, &d);

	if (err)
		return err;
	err = vnode_getattr(d->vnode, ret);
	dentry_put(d);
	return err;
}

/* A descriptor alone (AT_EMPTY_PATH): special files answer for themselves. */
static int getattr_fd(int fd, struct vattr *ret)
{
	struct file *f = arg_file_any(fd);
	int err;

	if (!f)
		return -EBADF;
	err = file_getattr(f, ret);
	file_put(f);
	return err;
}

long sys_stat(const char __user *path, void __user *to)
{
	struct vattr a;
	int err = getattr_at(AT_FDCWD, path, 0, &a);

	return err ? err : put_stat(&a, to);
}

long sys_lstat(const char __user *path, void __user *to)
{
	struct vattr a;
	int err = getattr_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &a);

	return err ? err : put_stat(&a, to);
}

long sys_fstat(int fd, void __user *to)
{
	struct vattr a;
	int err = getattr_fd(fd, &a);

	return err ? err : put_stat(&a, to);
}

static bool is_empty_path(const char __user *path)
{
	char c;

	return !copy_from_user(&c, path, 1) && !c;
}

static int getattr_any(int dirfd, const char __user *path, u32 flags, struct vattr *ret)
{
	if ((flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD && is_empty_path(path))
		return getattr_fd(dirfd, ret);
	return getattr_at(dirfd, path, flags, ret);
}

long sys_newfstatat(int dirfd, const char __user *path, void __user *to, int flags)
{
	struct vattr a;
	int err;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
		return -EINVAL;
	err = getattr_any(dirfd, path, flags, &a);
	return err ? err : put_stat(&a, to);
}

static struct abi_statx_time to_statx_time(struct vtime t)
{
	return (struct abi_statx_time){.sec = t.sec, .nsec = t.nsec};
}

long sys_statx(int dirfd, const char __user *path, u32 flags, u32 mask, void __user *to)
{
	struct abi_statx stx;
	struct vattr a;
	int err;

	if (mask & STATX_RESERVED)
		return -EINVAL;
	if ((flags &
	     ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	err = getattr_any(dirfd, path, flags, &a);
	if (err)
		return err;
	memset(&stx, 0, sizeof(stx));
	stx.mask = STATX_BASIC_STATS | STATX_BTIME;
	stx.blksize = a.blksize;
	stx.nlink = a.nlink;
	stx.uid = a.uid;
	stx.gid = a.gid;
	stx.mode = a.mode;
	stx.ino = a.ino;
	stx.size = a.size;
	stx.blocks = a.blocks;
	stx.atime = to_statx_time(a.atime);
	stx.btime = to_statx_time(a.btime);
	stx.ctime = to_statx_time(a.ctime);
	stx.mtime = to_statx_time(a.mtime);
	stx.rdev_major = DEV_MAJOR(a.rdev);
	stx.rdev_minor = DEV_MINOR(a.rdev);
	stx.dev_major = DEV_MAJOR(a.dev);
	stx.dev_minor = DEV_MINOR(a.dev);
	return copy_to_user(to, &stx, sizeof(stx));
}

static long access_at(int dirfd, const char __user *path, int mode, u32 flags)
{
	struct dentry *d;
	int err;

	if (mode & ~(R_OK | W_OK | X_OK))
		return -EINVAL;
	if (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	err = arg_walk(dirfd, path, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH), &d);
	if (err)
		return err;
	if (mode)
		err = vnode_access(d->vnode, mode, !(flags & AT_EACCESS));
	dentry_put(d);
	return err;
}

long sys_access(const char __user *path, int mode)
{
	return access_at(AT_FDCWD, path, mode, 0);
}

long sys_faccessat(int dirfd, const char __user *path, int mode)
{
	return access_at(dirfd, path, mode, 0);
}

long sys_faccessat2(int dirfd, const char __user *path, int mode, int flags)
{
	return access_at(dirfd, path, mode, flags);
}

long sys_readlinkat(int dirfd, const char __user *path, void __user *buf, int size)
{
	struct path_arg a;
	struct dentry *d;
	long len;
	char *text;

	if (size <= 0)
		return -EINVAL;
	len = path_arg_get(&a, dirfd, path);
	if (len)
		return len;
	/* "" is the link that an O_PATH descriptor stands for. */
	len = walk_path(current_fs(), a.at, a.text, a.at && !*a.text ? WALK_EMPTY : 0, &d);
	path_arg_put(&a);
	if (len)
		return len;
	text = kmalloc(PATH_MAX_SIZE);
	if (!text)
		len = -ENOMEM;
	else if (!S_ISLNK(d->vnode->mode))
		len = -EINVAL;
	else
		len = d->vnode->ops->readlink(d->vnode, text, MIN(size, PATH_MAX_SIZE));
	if (len > 0 && copy_to_user(buf, text, len))
		len = -EFAULT;
	kfree(text);
	dentry_put(d);
	return len;
}

long sys_readlink(const char __user *path, void __user *buf, int size)
{
	return sys_readlinkat(AT_FDCWD, path, buf, size);
}

static long statfs_of(struct filesystem *fs, void __user *to)
{
	struct vfs_statfs s = {.bsize = PAGE_SIZE};
	struct abi_statfs st;
	int err = fs->ops->statfs ? fs->ops->statfs(fs, &s) : 0;

	if (err)
		return err;
	memset(&st, 0, sizeof(st));
	st.type = fs->magic;
	st.bsize = st.frsize = s.bsize;
	st.blocks = s.blocks;
	st.bfree = s.bfree;
	st.bavail = s.bavail;
	st.files = s.files;
	st.ffree = s.ffree;
	st.fsid[0] = (s32)fs->dev;
	st.namelen = NAME_MAX_LEN;
	st.flags = ST_VALID | (fs->flags & FS_READ_ONLY ? ST_RDONLY : 0) |
		   (fs->flags & FS_NOSUID ? ST_NOSUID : 0) | (fs->flags & FS_NODEV ? ST_NODEV : 0) |
		   (fs->flags & FS_NOEXEC ? ST_NOEXEC : 0);
	return copy_to_user(to, &st, sizeof(st));
}

long sys_statfs(const char __user *path, void __user *to)
{
	struct dentry *d;
	long ret = arg_walk(AT_FDCWD, path, 0, &d);

	if (ret)
		return ret;
	ret = statfs_of(d->vnode->fs, to);
	dentry_put(d);
	return ret;
}

long sys_fstatfs(u32 fd, void __user *to)
{
	struct file *f = arg_file_any(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = statfs_of(f->vnode->fs, to);
	file_put(f);
	return ret;
}
