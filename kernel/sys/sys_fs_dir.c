/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: listing, the working directory, the root. */
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/inotify.h"
#include "lib/base/string.h"

#define LIST_MAX    32768u
#define UNREACHABLE "(unreachable)"

/* Entries collect in kernel memory: file systems list under locks of their own. */
struct listing {
	struct dir_sink sink;
	u8 *buf;
	size_t size, used;
	u64 last; /* cookie of the last entry */
	bool is_64;
	bool too_small;
};

static int list_add(struct dir_sink *sink, const char *name, size_t len, u64 ino, u8 type,
		    u64 cookie)
{
	struct listing *l = container_of(sink, struct listing, sink);
	size_t head = l->is_64 ? sizeof(struct abi_dirent64) : sizeof(struct abi_dirent);
	size_t size = ALIGN_UP(head + len + (l->is_64 ? 1 : 2), 8ul);
	u8 *at = l->buf + l->used;

	if (size > l->size - l->used) {
		l->too_small = true;
		return 1;
	}
	memset(at, 0, size);
	if (l->is_64) {
		struct abi_dirent64 *d = (struct abi_dirent64 *)at;

		d->ino = ino;
		d->off = cookie;
		d->reclen = size;
		d->type = type;
		memcpy(d->name, name, len);
	} else {
		struct abi_dirent *d = (struct abi_dirent *)at;

		d->ino = ino;
		d->off = cookie;
		d->reclen = size;
		memcpy(d->name, name, len);
		at[size - 1] = type;
	}
	l->used += size;
	l->last = cookie;
	return 0;
}

static long list_file(struct file *f, void __user *to, struct listing *l)
{
	long ret;

	if (!f->ops->readdir)
		return -ENOTDIR;
	if (f->dentry->parent && !f->dentry->hashed && S_ISDIR(f->vnode->mode))
		return -ENOENT; /* removed while open */
	mutex_lock(&f->pos_lock);
	l->last = f->pos;
	ret = f->ops->readdir(f, f->pos, &l->sink);
	if (!ret && !l->used && l->too_small)
		ret = -EINVAL;
	if (!ret && l->used && copy_to_user(to, l->buf, l->used))
		ret = -EFAULT;
	if (!ret)
		f->pos = l->last;
	mutex_unlock(&f->pos_lock);
	return ret ? ret : (long)l->used;
}

static long getdents(u32 fd, void __user *to, u32 count, bool is_64)
{
	struct file *f = arg_file(fd);
	struct listing l = {.sink = {list_add}, .size = MIN(count, LIST_MAX), .is_64 = is_64};
	long ret = -ENOMEM;

	if (!f)
		return -EBADF;
	l.buf = kmalloc(MAX(l.size, (size_t)1));
	if (l.buf)
		ret = list_file(f, to, &l);
	if (ret > 0)
		report_file(f->dentry, IN_ACCESS);
	kfree(l.buf);
	file_put(f);
	return ret;
}

long sys_getdents64(u32 fd, void __user *entries, u32 count)
{
	return getdents(fd, entries, count, true);
}

long sys_getdents(u32 fd, void __user *entries, u32 count)
{
	return getdents(fd, entries, count, false);
}

/* The path from the caller's root; from the instance's, and marked, when it lies elsewhere. */
static long path_of_cwd(struct dentry *cwd, struct dentry *root, char *text)
{
	size_t mark = 0;
	long len;

	if (!dentry_is_above(root, cwd)) {
		mark = sizeof(UNREACHABLE) - 1;
		memcpy(text, UNREACHABLE, mark);
	}
	len = dentry_path(cwd, root, text + mark, PATH_MAX_SIZE - mark);
	return len < 0 ? len : len + (long)mark;
}

long sys_getcwd(void __user *buf, u64 size)
{
	struct dentry *cwd = fs_context_cwd(current_fs()), *root = fs_context_root(current_fs());
	char *text = kmalloc(PATH_MAX_SIZE);
	long len;

	if (!text)
		len = -ENOMEM;
	else if (cwd->parent && !cwd->hashed)
		len = -ENOENT;
	else
		len = path_of_cwd(cwd, root, text);
	if (len >= 0) {
		len++; /* with NUL */
		if ((u64)len > size)
			len = -ERANGE;
		else if (copy_to_user(buf, text, len))
			len = -EFAULT;
	}
	kfree(text);
	dentry_put(root);
	dentry_put(cwd);
	return len;
}

static long enter(struct dentry *d)
{
	int err;

	if (!S_ISDIR(d->vnode->mode))
		err = -ENOTDIR;
	else
		err = vnode_permission(d->vnode, X_OK);
	if (err) {
		dentry_put(d);
		return err;
	}
	fs_context_set_cwd(current_fs(), d);
	return 0;
}

long sys_chdir(const char __user *path)
{
	struct dentry *d;
	int err = arg_walk(AT_FDCWD, path, 0, &d);

	return err ? err : enter(d);
}

long sys_fchdir(u32 fd)
{
	struct file *f = arg_file_any(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = enter(dentry_get(f->dentry));
	file_put(f);
	return ret;
}

long sys_chroot(const char __user *path)
{
	struct fs_context *ctx = current_fs();
	struct dentry *d, *old;
	int err = arg_walk(AT_FDCWD, path, 0, &d);

	if (err)
		return err;
	if (!S_ISDIR(d->vnode->mode))
		err = -ENOTDIR;
	else
		err = vnode_permission(d->vnode, X_OK);
	if (!err && !vfs_caller_capable(CAP_SYS_CHROOT))
		err = -EPERM;
	if (err) {
		dentry_put(d);
		return err;
	}
	spin_lock(&ctx->lock);
	old = ctx->root;
	ctx->root = d;
	spin_unlock(&ctx->lock);
	dentry_put(old);
	return 0;
}

long sys_umask(u32 mask)
{
	return fs_context_set_umask(current_fs(), mask);
}
