/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files without a name: pipes, sockets, eventfds and their like. Each has a vnode of its own in one
 * file system that is mounted nowhere, so that they have numbers, owners and entries in
 * /proc/self/fd as other files have.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/walk.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

static struct filesystem anon_fs;
static struct mount anon_mount = {.fs = &anon_fs};
static u64 anon_next = 1;

struct anon_node {
	struct vnode v;
	int (*reopen)(struct file *f, u64 arg); /* open() through /proc/self/fd */
	u64 arg;
};

static void anon_release(struct vnode *v)
{
	kfree(container_of(v, struct anon_node, v));
}

static int anon_open(struct vnode *v, struct file *f)
{
	struct anon_node *n = container_of(v, struct anon_node, v);

	if (S_ISFIFO(v->mode) && !n->reopen)
		return fifo_vnode_open(v, f);
	return n->reopen ? n->reopen(f, n->arg) : -ENXIO;
}

void file_set_reopen(struct file *f, int (*reopen)(struct file *f, u64 arg), u64 arg)
{
	struct anon_node *n = container_of(f->vnode, struct anon_node, v);

	n->reopen = reopen;
	n->arg = arg;
}

static int anon_getattr(struct vnode *v, struct vattr *ret)
{
	ret->ino = v->key;
	ret->mode = v->mode;
	ret->uid = v->uid;
	ret->gid = v->gid;
	ret->nlink = 1;
	vtime_now(&ret->mtime);
	ret->atime = ret->ctime = ret->btime = ret->mtime;
	return 0;
}

static const struct vnode_ops anon_vnode_ops = {
	.release = anon_release,
	.getattr = anon_getattr,
	.open = anon_open,
};

static struct vnode *anon_vnode(u32 mode)
{
	struct anon_node *n = kzalloc(sizeof(*n));
	struct vnode *v = &n->v;
	u32 uid, gid;

	if (!n)
		return NULL;
	vfs_caller_ids(&uid, &gid);
	vnode_init(v, &anon_fs, &anon_vnode_ops,
		   __atomic_fetch_add(&anon_next, 1, __ATOMIC_RELAXED), mode, uid, gid);
	return v;
}

int anon_fs_init(void)
{
	static const struct fs_ops ops = {0};

	fs_init(&anon_fs, &ops, "anon_inodefs", "none", ANON_INODE_MAGIC, FS_NAMELESS | FS_NOEXEC);
	anon_fs.root = anon_vnode(S_IFDIR | 0500);
	if (!anon_fs.root)
		return -ENOMEM;
	anon_mount.root = dentry_new_root(&anon_mount, anon_fs.root);
	return anon_mount.root ? 0 : -ENOMEM;
}

int file_new_anon(const struct file_ops *ops, const char *format, u32 mode, u32 flags, void *priv,
		  struct file **ret)
{
	char name[64];
	struct vnode *v = anon_vnode(mode);
	struct dentry *d;
	struct file *f;

	if (!v)
		return -ENOMEM;
	str_copy(name, format, sizeof(name));
	if (name[strlen(name) - 1] == ':') {
		size_t len = strlen(name);

		fmt_append(name, sizeof(name), &len, "[%llu]", (unsigned long long)v->key);
	}
	d = dentry_new_detached(anon_mount.root, (struct vfs_name){name, strlen(name)}, v);
	vnode_put(v);
	if (!d)
		return -ENOMEM;
	f = file_new(ops, d, flags, priv);
	dentry_put(d);
	if (!f)
		return -ENOMEM;
	*ret = f;
	return 0;
}

int file_new_beside(struct file *f, const struct file_ops *ops, u32 flags, void *priv,
		    struct file **ret)
{
	struct file *other = file_new(ops, f->dentry, flags, priv);

	if (!other)
		return -ENOMEM;
	*ret = other;
	return 0;
}
