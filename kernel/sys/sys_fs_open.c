/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, and making and removing names. */
#include "kernel/core/kmem.h"
#include "kernel/fs/ramfs/ramfs.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/fd_table.h"
#include "kernel/vfs/memfd.h"
#include "lib/base/string.h"

#define RESOLVE_NO_XDEV	      0x01u
#define RESOLVE_NO_MAGICLINKS 0x02u
#define RESOLVE_NO_SYMLINKS   0x04u
#define RESOLVE_BENEATH	      0x08u
#define RESOLVE_IN_ROOT	      0x10u

static long open_at(int dirfd, const char __user *path, u32 flags, u32 mode, u32 walk_flags)
{
	struct fd_table *files = current_files();
	struct path_arg a;
	struct file *f;
	int err = path_arg_get(&a, dirfd, path), fd;

	if (err)
		return err;
	/* Otherwise a descriptor says nothing about an absolute path. */
	if ((walk_flags & WALK_IN_ROOT) && a.text[0] == '/')
		err = arg_dirfd(dirfd, ".", &a.at);
	if (err) {
		path_arg_put(&a);
		return err;
	}
	fd = fd_reserve(files);
	if (fd < 0) {
		path_arg_put(&a);
		return fd;
	}
	err = name_open(current_fs(), a.at, a.text, flags & OPEN_FLAGS, mode & S_IALL, walk_flags,
			&f);
	path_arg_put(&a);
	if (err) {
		fd_unreserve(files, fd);
		return err;
	}
	fd_fill(files, fd, f, flags & O_CLOEXEC);
	return fd;
}

long sys_open(const char __user *path, int flags, u32 mode)
{
	return open_at(AT_FDCWD, path, flags, mode, 0);
}

long sys_openat(int dirfd, const char __user *path, int flags, u32 mode)
{
	return open_at(dirfd, path, flags, mode, 0);
}

long sys_creat(const char __user *path, u32 mode)
{
	return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode, 0);
}

long sys_openat2(int dirfd, const char __user *path, const void __user *user_how, u64 size)
{
	struct abi_open_how how;
	u32 walk_flags = 0;
	int err;

	if (size < sizeof(how))
		return -EINVAL;
	err = copy_struct_from_user(&how, sizeof(how), user_how, size);
	if (err)
		return err;
	if ((how.flags & ~(u64)OPEN_FLAGS) || (how.mode & ~(u64)S_IALL) || how.resolve > 0x1f)
		return -EINVAL;
	if (how.mode && !(how.flags & O_CREAT) && (how.flags & O_TMPFILE) != O_TMPFILE)
		return -EINVAL;
	if ((how.resolve & RESOLVE_BENEATH) && (how.resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	walk_flags |= how.resolve & RESOLVE_NO_XDEV ? WALK_NO_XDEV : 0;
	walk_flags |= how.resolve & RESOLVE_NO_MAGICLINKS ? WALK_NO_MAGIC : 0;
	walk_flags |= how.resolve & RESOLVE_NO_SYMLINKS ? WALK_NO_LINKS : 0;
	walk_flags |= how.resolve & RESOLVE_BENEATH ? WALK_BENEATH : 0;
	walk_flags |= how.resolve & RESOLVE_IN_ROOT ? WALK_IN_ROOT : 0;
	return open_at(dirfd, path, how.flags, how.mode, walk_flags);
}

long sys_mkdirat(int dirfd, const char __user *path, u32 mode)
{
	struct path_arg a;
	int err = path_arg_get(&a, dirfd, path);

	if (err)
		return err;
	err = name_make(current_fs(), a.at, a.text, S_IFDIR | (mode & 01777), 0);
	path_arg_put(&a);
	return err;
}

long sys_mkdir(const char __user *path, u32 mode)
{
	return sys_mkdirat(AT_FDCWD, path, mode);
}

long sys_mknodat(int dirfd, const char __user *path, u32 mode, u32 device)
{
	struct path_arg a;
	u32 type = mode & S_IFMT;
	int err;

	if (S_ISDIR(mode))
		return -EPERM;
	if (type && !S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return S_ISCHR(mode) || S_ISBLK(mode) ? -EPERM : -EINVAL; /* no devices */
	err = path_arg_get(&a, dirfd, path);
	if (err)
		return err;
	err = name_make(current_fs(), a.at, a.text, (type ? type : S_IFREG) | (mode & S_IALL), 0);
	path_arg_put(&a);
	return err;
}

long sys_mknod(const char __user *path, u32 mode, u32 device)
{
	return sys_mknodat(AT_FDCWD, path, mode, device);
}

long sys_unlinkat(int dirfd, const char __user *path, int flags)
{
	struct path_arg a;
	int err;

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	err = path_arg_get(&a, dirfd, path);
	if (err)
		return err;
	err = name_unlink(current_fs(), a.at, a.text, flags & AT_REMOVEDIR);
	path_arg_put(&a);
	return err;
}

long sys_unlink(const char __user *path)
{
	return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_rmdir(const char __user *path)
{
	return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

long sys_symlinkat(const char __user *target, int dirfd, const char __user *path)
{
	struct path_arg a;
	char *text;
	int err = arg_path(target, &text);

	if (err)
		return err;
	err = path_arg_get(&a, dirfd, path);
	if (!err) {
		err = name_symlink(current_fs(), a.at, a.text, text);
		path_arg_put(&a);
	}
	kfree(text);
	return err;
}

long sys_symlink(const char __user *target, const char __user *path)
{
	return sys_symlinkat(target, AT_FDCWD, path);
}

long sys_linkat(int old_dirfd, const char __user *old, int new_dirfd, const char __user *new_,
		int flags)
{
	struct dentry *from;
	struct path_arg a;
	int err;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	/* A descriptor that was passed on gives no right to make its file a name. */
	if ((flags & AT_EMPTY_PATH) && !vfs_caller_capable(CAP_DAC_READ_SEARCH))
		return -ENOENT;
	err = arg_walk(old_dirfd, old,
		       (flags & AT_EMPTY_PATH) |
			       (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW),
		       &from);
	if (err)
		return err;
	err = path_arg_get(&a, new_dirfd, new_);
	if (!err) {
		err = name_link(current_fs(), from, a.at, a.text);
		path_arg_put(&a);
	}
	dentry_put(from);
	return err;
}

long sys_link(const char __user *old, const char __user *new_)
{
	return sys_linkat(AT_FDCWD, old, AT_FDCWD, new_, 0);
}

long sys_renameat2(int old_dirfd, const char __user *old, int new_dirfd, const char __user *new_,
		   u32 flags)
{
	struct path_arg from, to;
	int err = path_arg_get(&from, old_dirfd, old);

	if (err)
		return err;
	err = path_arg_get(&to, new_dirfd, new_);
	if (!err) {
		err = name_rename(current_fs(), from.at, from.text, to.at, to.text, flags);
		path_arg_put(&to);
	}
	path_arg_put(&from);
	return err;
}

long sys_renameat(int old_dirfd, const char __user *old, int new_dirfd, const char __user *new_)
{
	return sys_renameat2(old_dirfd, old, new_dirfd, new_, 0);
}

long sys_rename(const char __user *old, const char __user *new_)
{
	return sys_renameat2(AT_FDCWD, old, AT_FDCWD, new_, 0);
}

long sys_memfd_create(const char __user *name, u32 flags)
{
	char text[256] = "memfd:";
	struct file *f;
	long len;
	int err;

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
		return -EINVAL;
	len = copy_string_from_user(text + 6, name, 250);
	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	err = memfd_new(text, flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL), &f);
	return err ? err : fd_publish(f, flags & MFD_CLOEXEC);
}
