/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memfd: ramfs files of a file system that is mounted nowhere. Seals lie in the vnode, where
 * write and truncate look.
 */
#include "kernel/vfs/memfd.h"

#include "abi/errno.h"
#include "kernel/fs/ramfs/ramfs.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/shared.h"
#include "lib/base/string.h"

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

static struct mutex lock = MUTEX_INIT(lock, LOCK_MEMFD);
static struct mount memfd_mount;

static int prepare(void)
{
	struct filesystem *fs;
	int err = 0;

	mutex_lock(&lock);
	if (!memfd_mount.root) {
		err = ramfs_new("tmpfs", 0700, FS_NAMELESS, &fs);
		if (!err) {
			memfd_mount.fs = fs;
			memfd_mount.root = dentry_new_root(&memfd_mount, vnode_get(fs->root));
			err = memfd_mount.root ? 0 : -ENOMEM;
		}
	}
	mutex_unlock(&lock);
	return err;
}

int memfd_new(const char *name, bool may_seal, struct file **ret)
{
	struct dentry *d;
	struct vnode *v;
	int err = prepare();

	if (err)
		return err;
	err = ramfs_file_new(memfd_mount.fs, 0777, &v);
	if (err)
		return err;
	if (!may_seal)
		v->seals = F_SEAL_SEAL;
	d = dentry_new_detached(memfd_mount.root, (struct vfs_name){name, strlen(name)}, v);
	vnode_put(v);
	if (!d)
		return -ENOMEM;
	err = file_open(d, O_RDWR, ret);
	dentry_put(d);
	return err;
}

long memfd_get_seals(struct file *f)
{
	return f->dentry->mount == &memfd_mount ? (long)f->vnode->seals : -EINVAL;
}

long memfd_add_seals(struct file *f, u32 seals)
{
	struct vnode *v = f->vnode;
	long err = 0;

	if (f->dentry->mount != &memfd_mount || (seals & ~ALL_SEALS))
		return -EINVAL;
	if (!file_can_write(f))
		return -EPERM;
	mutex_lock(&v->lock);
	if (v->seals & F_SEAL_SEAL)
		err = -EPERM;
	else if ((seals & F_SEAL_WRITE) && shared_object_is_mapped(v))
		err = -EBUSY;
	else
		v->seals |= seals;
	mutex_unlock(&v->lock);
	return err;
}
