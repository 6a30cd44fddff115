/* SPDX-License-Identifier: Apache-2.0 */
/* Changing attributes: mode, owner, times, extended attributes. */
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/inotify.h"
#include "lib/base/string.h"

struct change {
	struct vattr to;
	u32 set;	  /* VATTR_* of `to` */
	bool given_times; /* others than the present */
};

/*
 * `prepare` looks whether the caller may, and at what there is now. Under the file's lock: nobody
 * gives the file away, or takes its rights, between that and the change. 0 or -errno.
 */
static long change_attributes(struct dentry *d, struct change *c,
			      int (*prepare)(struct vnode *v, struct change *c))
{
	struct vnode *v = d->vnode;
	int err;

	mutex_lock(&v->lock);
	err = prepare(v, c);
	if (!err)
		err = vnode_setattr_locked(v, &c->to, c->set);
	mutex_unlock(&v->lock);
	if (err || !c->set)
		return err;
	/* One time alone tells what was done; anything else, that somebody asked for it. */
	if ((c->set & ~VATTR_ATIME) == 0)
		report_file(d, IN_ACCESS);
	else if ((c->set & ~VATTR_MTIME) == 0)
		report_file(d, IN_MODIFY);
	else
		report_file(d, IN_ATTRIB);
	return 0;
}

static int prepare_mode(struct vnode *v, struct change *c)
{
	int err = vnode_owner_or_capable(v);

	if (err)
		return err;
	if (S_ISLNK(v->mode))
		return -EOPNOTSUPP;
	if (!vfs_caller_in_group(v->gid) && !vfs_caller_capable(CAP_FSETID))
		c->to.mode &= ~S_ISGID;
	return 0;
}

static long change_mode(struct dentry *d, u32 mode)
{
	struct change c = {.to.mode = mode & S_IALL, .set = VATTR_MODE};

	return change_attributes(d, &c, prepare_mode);
}

static long chmod_at(int dirfd, const char __user *path, u32 mode, u32 flags)
{
	struct dentry *d;
	long ret = arg_walk(dirfd, path, flags, &d);

	if (ret)
		return ret;
	ret = change_mode(d, mode);
	dentry_put(d);
	return ret;
}

long sys_chmod(const char __user *path, u32 mode)
{
	return chmod_at(AT_FDCWD, path, mode, 0);
}

long sys_fchmodat(int dirfd, const char __user *path, u32 mode)
{
	return chmod_at(dirfd, path, mode, 0);
}

long sys_fchmodat2(int dirfd, const char __user *path, u32 mode, u32 flags)
{
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return chmod_at(dirfd, path, mode, flags);
}

long sys_fchmod(u32 fd, u32 mode)
{
	struct file *f = arg_file(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = change_mode(f->dentry, mode);
	file_put(f);
	return ret;
}

static int prepare_owner(struct vnode *v, struct change *c)
{
	struct vattr *to = &c->to;

	if (!vfs_caller_capable(CAP_CHOWN)) {
		u32 own_uid, own_gid;

		vfs_caller_ids(&own_uid, &own_gid); /* the owner: CAP_FOWNER gives no files away */
		if (own_uid != v->uid || (c->set & VATTR_UID && to->uid != v->uid) ||
		    (c->set & VATTR_GID && !vfs_caller_in_group(to->gid)))
			return -EPERM;
	}
	if (S_ISREG(v->mode) && c->set && (v->mode & (S_ISUID | S_ISGID))) {
		to->mode = v->mode & S_IALL & ~S_ISUID;
		if (v->mode & 0010)
			to->mode &= ~S_ISGID;
		c->set |= VATTR_MODE;
	}
	return 0;
}

static long change_owner(struct dentry *d, u32 uid, u32 gid)
{
	struct change c = {.to = {.uid = uid, .gid = gid}};

	c.set = (uid != UINT32_MAX ? VATTR_UID : 0) | (gid != UINT32_MAX ? VATTR_GID : 0);
	return change_attributes(d, &c, prepare_owner);
}

static long chown_at(int dirfd, const char __user *path, u32 uid, u32 gid, u32 flags)
{
	struct dentry *d;
	long ret = arg_walk(dirfd, path, flags, &d);

	if (ret)
		return ret;
	ret = change_owner(d, uid, gid);
	dentry_put(d);
	return ret;
}

long sys_chown(const char __user *path, u32 uid, u32 gid)
{
	return chown_at(AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(const char __user *path, u32 uid, u32 gid)
{
	return chown_at(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchownat(int dirfd, const char __user *path, u32 uid, u32 gid, int flags)
{
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return chown_at(dirfd, path, uid, gid, flags);
}

long sys_fchown(u32 fd, u32 uid, u32 gid)
{
	struct file *f = arg_file(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = change_owner(f->dentry, uid, gid);
	file_put(f);
	return ret;
}

/* --- times --------------------------------------------------------------------------------- */

/* One of the two times: now, unchanged, or given. */
static int one_time(const struct abi_timespec *t, struct vtime *to, u32 bit, struct change *c)
{
	if (t->nsec == UTIME_OMIT)
		return 0;
	c->set |= bit;
	if (t->nsec == UTIME_NOW) {
		vtime_now(to);
		return 0;
	}
	if (t->nsec < 0 || t->nsec >= 1000000000)
		return -EINVAL;
	c->given_times = true;
	to->sec = t->sec;
	to->nsec = t->nsec;
	return 0;
}

static int prepare_times(struct vnode *v, struct change *c)
{
	if (!vnode_owner_or_capable(v))
		return 0;
	if (c->given_times || c->set != (VATTR_ATIME | VATTR_MTIME))
		return -EPERM;
	return vnode_permission(v, W_OK);
}

static long change_times(struct dentry *d, const struct abi_timespec *times)
{
	struct change c = {0};
	int err = one_time(&times[0], &c.to.atime, VATTR_ATIME, &c);

	if (!err)
		err = one_time(&times[1], &c.to.mtime, VATTR_MTIME, &c);
	return err || !c.set ? err : change_attributes(d, &c, prepare_times);
}

static long times_at(int dirfd, const char __user *path, const struct abi_timespec *times,
		     u32 flags)
{
	struct dentry *d;
	struct file *f;
	long ret;

	if (!path && dirfd != AT_FDCWD) {
		f = arg_file(dirfd);
		ret = f ? change_times(f->dentry, times) : -EBADF;
		file_put(f);
		return ret;
	}
	ret = arg_walk(dirfd, path, flags, &d);
	if (ret)
		return ret;
	ret = change_times(d, times);
	dentry_put(d);
	return ret;
}

static const struct abi_timespec both_now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

long sys_utimensat(int dirfd, const char __user *path, const void __user *user, int flags)
{
	struct abi_timespec t[2];

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (user && copy_from_user(t, user, sizeof(t)))
		return -EFAULT;
	return times_at(dirfd, path, user ? t : both_now, flags);
}

static long from_timeval(const void __user *user, struct abi_timespec t[2])
{
	struct abi_timeval tv[2];

	if (copy_from_user(tv, user, sizeof(tv)))
		return -EFAULT;
	for (u32 i = 0; i < 2; i++) {
		if (tv[i].usec < 0 || tv[i].usec >= 1000000)
			return -EINVAL;
		t[i] = (struct abi_timespec){tv[i].sec, tv[i].usec * 1000};
	}
	return 0;
}

long sys_futimesat(int dirfd, const char __user *path, const void __user *user)
{
	struct abi_timespec t[2];
	long ret = user ? from_timeval(user, t) : 0;

	return ret ? ret : times_at(dirfd, path, user ? t : both_now, 0);
}

long sys_utimes(const char __user *path, const void __user *user)
{
	return sys_futimesat(AT_FDCWD, path, user);
}

long sys_utime(const char __user *path, const void __user *user)
{
	struct abi_timespec t[2] = {0};
	s64 seconds[2];

	if (!user)
		return times_at(AT_FDCWD, path, both_now, 0);
	if (copy_from_user(seconds, user, sizeof(seconds)))
		return -EFAULT;
	t[0].sec = seconds[0];
	t[1].sec = seconds[1];
	return times_at(AT_FDCWD, path, t, 0);
}

/* --- extended attributes ------------------------------------------------------------------- */

static int get_name(char name[XATTR_NAME_MAX + 1], const char __user *user)
{
	long len = copy_string_from_user(name, user, XATTR_NAME_MAX + 1);

	if (len < 0)
		return len == -ENAMETOOLONG ? -ERANGE : len;
	return len ? 0 : -ERANGE;
}

/* Which names there are, and who may use them. To write, with the lock of the file. */
static int check_name(struct vnode *v, const char *name, bool write)
{
	if (str_has_prefix(name, "trusted."))
		return vfs_caller_capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
	if (str_has_prefix(name, "user.")) {
		if (!S_ISREG(v->mode) && !S_ISDIR(v->mode))
			return write ? -EPERM : -ENODATA;
		/* Where everybody may make names, attributes are the owner's alone. */
		if (write && S_ISDIR(v->mode) && (v->mode & S_ISVTX) && vnode_owner_or_capable(v))
			return -EPERM;
		return name[5] ? vnode_permission(v, write ? W_OK : R_OK) : -EINVAL;
	}
	if (str_has_prefix(name, "security."))
		return write && !vfs_caller_capable(CAP_SYS_ADMIN) ? -EPERM : 0;
	return -EOPNOTSUPP;
}

/* Takes the attribute away where `value` is NULL. */
static long change_xattr(struct vnode *v, const char *name, const void *value, size_t size,
			 u32 flags)
{
	long ret;

	mutex_lock(&v->lock);
	ret = check_name(v, name, true);
	if (!ret && (v->fs->flags & FS_READ_ONLY))
		ret = -EROFS;
	if (!ret && !(value ? v->ops->setxattr != NULL : v->ops->removexattr != NULL))
		ret = -EOPNOTSUPP;
	if (!ret) {
		ret = value ? v->ops->setxattr(v, name, value, size, flags)
			    : v->ops->removexattr(v, name);
		vnode_forget_attr(v);
	}
	mutex_unlock(&v->lock);
	return ret;
}

static long set_xattr(struct vnode *v, const char *name, const void __user *user, u64 size,
		      u32 flags)
{
	void *value;
	long ret;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	value = kmalloc(MAX(size, (u64)1));
	if (!value)
		return -ENOMEM;
	ret = copy_from_user(value, user, size);
	if (!ret)
		ret = change_xattr(v, name, value, size, flags);
	kfree(value);
	return ret;
}

static long get_xattr(struct vnode *v, const char *name, void __user *user, u64 size)
{
	void *value;
	long ret = check_name(v, name, false);

	if (ret)
		return ret;
	if (!v->ops->getxattr)
		return -EOPNOTSUPP;
	size = MIN(size, (u64)XATTR_SIZE_MAX);
	value = kmalloc(MAX(size, (u64)1));
	if (!value)
		return -ENOMEM;
	ret = v->ops->getxattr(v, name, value, size);
	if (ret > 0 && size && copy_to_user(user, value, ret))
		ret = -EFAULT;
	kfree(value);
	return ret;
}

static long list_xattr(struct vnode *v, void __user *user, u64 size)
{
	char *names;
	long ret;

	if (!v->ops->listxattr)
		return 0;
	size = MIN(size, (u64)XATTR_LIST_MAX);
	names = kmalloc(MAX(size, (u64)1));
	if (!names)
		return -ENOMEM;
	ret = v->ops->listxattr(v, names, size);
	if (ret > 0 && size && copy_to_user(user, names, ret))
		ret = -EFAULT;
	kfree(names);
	return ret;
}

enum xattr_op { XATTR_SET, XATTR_GET, XATTR_LIST, XATTR_REMOVE };

static long xattr_op(struct dentry *d, enum xattr_op op, const char __user *user_name, u64 buf,
		     u64 size, u32 flags)
{
	struct vnode *v = d->vnode;
	char name[XATTR_NAME_MAX + 1];
	long ret = op == XATTR_LIST ? 0 : get_name(name, user_name);

	if (ret)
		return ret;
	switch (op) {
	case XATTR_SET: ret = set_xattr(v, name, (const void __user *)buf, size, flags); break;
	case XATTR_GET: return get_xattr(v, name, (void __user *)buf, size);
	case XATTR_LIST: return list_xattr(v, (void __user *)buf, size);
	default: ret = change_xattr(v, name, NULL, 0, 0);
	}
	if (!ret)
		report_file(d, IN_ATTRIB);
	return ret;
}

static long xattr_path(const char __user *path, u32 at, enum xattr_op op, const char __user *name,
		       u64 buf, u64 size, u32 flags)
{
	struct dentry *d;
	long ret = arg_walk(AT_FDCWD, path, at, &d);

	if (ret)
		return ret;
	ret = xattr_op(d, op, name, buf, size, flags);
	dentry_put(d);
	return ret;
}

static long xattr_fd(int fd, enum xattr_op op, const char __user *name, u64 buf, u64 size,
		     u32 flags)
{
	struct file *f = arg_file(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = xattr_op(f->dentry, op, name, buf, size, flags);
	file_put(f);
	return ret;
}

long sys_setxattr(const char __user *path, const char __user *name, const void __user *value,
		  u64 size, int flags)
{
	return xattr_path(path, 0, XATTR_SET, name, (u64)value, size, flags);
}

long sys_lsetxattr(const char __user *path, const char __user *name, const void __user *value,
		   u64 size, int flags)
{
	return xattr_path(path, AT_SYMLINK_NOFOLLOW, XATTR_SET, name, (u64)value, size, flags);
}

long sys_fsetxattr(int fd, const char __user *name, const void __user *value, u64 size, int flags)
{
	return xattr_fd(fd, XATTR_SET, name, (u64)value, size, flags);
}

long sys_getxattr(const char __user *path, const char __user *name, void __user *value, u64 size)
{
	return xattr_path(path, 0, XATTR_GET, name, (u64)value, size, 0);
}

long sys_lgetxattr(const char __user *path, const char __user *name, void __user *value, u64 size)
{
	return xattr_path(path, AT_SYMLINK_NOFOLLOW, XATTR_GET, name, (u64)value, size, 0);
}

long sys_fgetxattr(int fd, const char __user *name, void __user *value, u64 size)
{
	return xattr_fd(fd, XATTR_GET, name, (u64)value, size, 0);
}

long sys_listxattr(const char __user *path, void __user *list, u64 size)
{
	return xattr_path(path, 0, XATTR_LIST, NULL, (u64)list, size, 0);
}

long sys_llistxattr(const char __user *path, void __user *list, u64 size)
{
	return xattr_path(path, AT_SYMLINK_NOFOLLOW, XATTR_LIST, NULL, (u64)list, size, 0);
}

long sys_flistxattr(int fd, void __user *list, u64 size)
{
	return xattr_fd(fd, XATTR_LIST, NULL, (u64)list, size, 0);
}

long sys_removexattr(const char __user *path, const char __user *name)
{
	return xattr_path(path, 0, XATTR_REMOVE, name, 0, 0, 0);
}

long sys_lremovexattr(const char __user *path, const char __user *name)
{
	return xattr_path(path, AT_SYMLINK_NOFOLLOW, XATTR_REMOVE, name, 0, 0, 0);
}

long sys_fremovexattr(int fd, const char __user *name)
{
	return xattr_fd(fd, XATTR_REMOVE, name, 0, 0, 0);
}
