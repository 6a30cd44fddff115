/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and descriptors as the file system calls get them. */
#include "kernel/sys/fs_args.h"

#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"

int arg_path(const char __user *path, char **ret)
{
	char *text = kmalloc(PATH_MAX_SIZE);
	long len;

	if (!text)
		return -ENOMEM;
	len = copy_string_from_user(text, path, PATH_MAX_SIZE);
	if (len < 0) {
		kfree(text);
		return len;
	}
	*ret = text;
	return 0;
}

struct file *arg_file_any(int fd)
{
	return fd_lookup(current_files(), fd);
}

struct file *arg_file(int fd)
{
	struct file *f = fd_lookup(current_files(), fd);

	if (f && unlikely(f->flags & O_PATH)) {
		file_put(f);
		return NULL;
	}
	return f;
}

int arg_dirfd(int dirfd, const char *path, struct dentry **ret)
{
	struct file *f;

	*ret = NULL;
	if (dirfd == AT_FDCWD || path[0] == '/')
		return 0;
	f = arg_file_any(dirfd);
	if (!f)
		return -EBADF;
	if (path[0] && !S_ISDIR(f->vnode->mode)) {
		file_put(f);
		return -ENOTDIR;
	}
	*ret = dentry_get(f->dentry);
	file_put(f);
	return 0;
}

int path_arg_get(struct path_arg *a, int dirfd, const char __user *path)
{
	int err;

	a->text = NULL;
	a->at = NULL;
	err = arg_path(path, &a->text);

	if (err)
		return err;
	err = arg_dirfd(dirfd, a->text, &a->at);
	if (err)
		kfree(a->text);
	return err;
}

void path_arg_put(struct path_arg *a)
{
	dentry_put(a->at);
	kfree(a->text);
}

int arg_walk(int dirfd, const char __user *path, u32 at_flags, struct dentry **ret)
{
	u32 flags = at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
	struct path_arg a;
	int err = path_arg_get(&a, dirfd, path);

	if (err)
		return err;
	if (at_flags & AT_EMPTY_PATH)
		flags |= WALK_EMPTY;
	err = walk_path(current_fs(), a.at, a.text, flags, ret);
	path_arg_put(&a);
	return err;
}

long fd_publish(struct file *f, bool cloexec)
{
	int fd = fd_install(current_files(), f, 0, cloexec);

	if (fd < 0)
		file_put(f);
	return fd;
}

long arg_vector(const void __user *user, u64 count, struct abi_iovec **ret)
{
	struct abi_iovec *vec;
	u64 total = 0;

	if (count > IOV_MAX_COUNT)
		return -EINVAL;
	vec = kmalloc(MAX(count, (u64)1) * sizeof(*vec));
	if (!vec)
		return -ENOMEM;
	if (copy_from_user(vec, user, count * sizeof(*vec))) {
		kfree(vec);
		return -EFAULT;
	}
	for (u64 i = 0; i < count; i++) {
		if (vec[i].len > INT64_MAX) {
			kfree(vec);
			return -EINVAL;
		}
		vec[i].len = MIN(vec[i].len, RW_MAX_BYTES - total);
		total += vec[i].len;
	}
	*ret = vec;
	return total;
}
