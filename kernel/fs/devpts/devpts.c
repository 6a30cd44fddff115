// SPDX-License-Identifier: Apache-2.0
/*
 * The tree of /dev/pts: ptmx and one name per pair whose master is open. The pairs are kept by
 * kernel/tty; a vnode holds a reference of its pair, so that a number is not given to another one
 * as long as anybody has its name in hand. Owner and mode of a name lie in the pair.
 */
#include "kernel/fs/devpts/devpts.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/tty/pty.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/mount.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

enum { INO_ROOT = 1, INO_PTMX, INO_FIRST };

struct pts_node {
	struct vnode v;
	struct pty *pty; /* counted; NULL: the folder, or ptmx */
};

static const struct vnode_ops pts_ops;
static struct vtime boot_time;

static struct pts_node *node_of(struct vnode *v)
{
	return container_of(v, struct pts_node, v);
}

static void pts_release(struct vnode *v)
{
	struct pts_node *n = node_of(v);

	if (n->pty)
		pty_put(n->pty);
	kfree(n);
}

static struct vtime at_seconds(s64 seconds)
{
	return (struct vtime){.sec = seconds};
}

static int pts_getattr(struct vnode *v, struct vattr *ret)
{
	struct pty *p = node_of(v)->pty;
	struct pty_attributes a;

	ret->ino = v->key;
	ret->mode = v->mode;
	ret->uid = v->uid;
	ret->gid = v->gid;
	ret->nlink = S_ISDIR(v->mode) ? 2 : 1;
	ret->rdev = v->key == INO_PTMX ? PTMX_DEVICE : 0;
	ret->blksize = 1024;
	ret->atime = ret->mtime = ret->ctime = ret->btime = boot_time;
	if (!p)
		return 0;
	pty_attributes(p, &a);
	ret->mode = a.mode;
	ret->uid = a.uid;
	ret->gid = a.gid;
	ret->rdev = pty_device(a.index);
	ret->atime = at_seconds(a.read);
	ret->mtime = at_seconds(a.written);
	ret->ctime = ret->btime = at_seconds(a.created);
	return 0;
}

static int pts_setattr(struct vnode *v, const struct vattr *a, u32 set)
{
	struct pty *p = node_of(v)->pty;
	struct pty_attributes old;

	if (!p)
		return set & (VATTR_MODE | VATTR_UID | VATTR_GID) ? -EPERM : 0;
	pty_attributes(p, &old);
	pty_set_attributes(p, set & VATTR_MODE ? a->mode : old.mode,
			   set & VATTR_UID ? a->uid : old.uid, set & VATTR_GID ? a->gid : old.gid);
	return 0;
}

/* Consumes the reference of `pty`. */
static struct vnode *pts_vnode(struct filesystem *fs, u64 ino, u32 mode, struct pty *pty)
{
	struct vnode *v = vnode_find(fs, ino), *other;
	struct pty_attributes a = {.mode = mode};
	struct pts_node *n;

	if (v)
		goto found;
	n = kzalloc(sizeof(*n));
	if (!n) {
		v = NULL;
		goto found;
	}
	if (pty)
		pty_attributes(pty, &a);
	vnode_init(&n->v, fs, &pts_ops, ino, a.mode, a.uid, a.gid);
	n->pty = pty;
	other = vnode_insert(&n->v);
	if (other == &n->v)
		return other;
	kfree(n);
	v = other;
found:
	if (pty)
		pty_put(pty);
	return v;
}

static bool parse_index(struct vfs_name name, u32 *ret)
{
	u32 value = 0;

	if (!name.len || name.len > 5 || (name.text[0] == '0' && name.len > 1))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (name.text[i] < '0' || name.text[i] > '9')
			return false;
		value = value * 10 + (u32)(name.text[i] - '0');
	}
	*ret = value;
	return true;
}

static int pts_lookup(struct vnode *dir, struct vfs_name name, struct vnode **ret)
{
	struct pty *pty;
	u32 index;

	if (dir->key != INO_ROOT)
		return -ENOTDIR;
	if (name.len == 4 && !memcmp(name.text, "ptmx", 4)) {
		*ret = pts_vnode(dir->fs, INO_PTMX, S_IFCHR | 0666, NULL);
		return *ret ? 0 : -ENOMEM;
	}
	pty = parse_index(name, &index) ? pty_lookup(index) : NULL;
	if (!pty)
		return -ENOENT;
	*ret = pts_vnode(dir->fs, INO_FIRST + index, 0, pty);
	return *ret ? 0 : -ENOMEM;
}

static int pts_readdir(struct vnode *dir, u64 cookie, struct dir_sink *sink)
{
	static const char *const fixed[] = {".", "..", "ptmx"};

	if (dir->key != INO_ROOT)
		return -ENOTDIR;
	for (; cookie < ARRAY_SIZE(fixed); cookie++) {
		if (sink->add(sink, fixed[cookie], strlen(fixed[cookie]),
			      cookie < 2 ? INO_ROOT : INO_PTMX, cookie < 2 ? DT_DIR : DT_CHR,
			      cookie + 1))
			return 0;
	}
	for (;;) {
		s32 index = pty_next((u32)MIN(cookie - ARRAY_SIZE(fixed), (u64)PTY_MAX));
		char name[12];
		size_t len = 0;

		if (index < 0)
			return 0;
		fmt_append(name, sizeof(name), &len, "%d", index);
		cookie = ARRAY_SIZE(fixed) + (u64)index + 1;
		if (sink->add(sink, name, len, INO_FIRST + (u64)index, DT_CHR, cookie))
			return 0;
	}
}

static int pts_open(struct vnode *v, struct file *f)
{
	struct pty *p = node_of(v)->pty;

	if (S_ISDIR(v->mode))
		return 0;
	return p ? pty_open_slave(p, f) : pty_open_master(f);
}

static const struct vnode_ops pts_ops = {
	.release = pts_release,
	.getattr = pts_getattr,
	.setattr = pts_setattr,
	.lookup = pts_lookup,
	.readdir = pts_readdir,
	.open = pts_open,
};

static int pts_shutdown(struct filesystem *fs)
{
	vnode_put(fs->root);
	kfree(fs);
	return 0;
}

int devpts_new(struct filesystem **ret)
{
	static const struct fs_ops ops = {.shutdown = pts_shutdown};
	struct filesystem *fs = kzalloc(sizeof(*fs));

	if (!fs)
		return -ENOMEM;
	fs_init(fs, &ops, "devpts", "devpts", DEVPTS_MAGIC,
		FS_NOSUID | FS_NOEXEC | FS_FORGET_NAMES);
	vtime_now(&boot_time);
	fs->root = pts_vnode(fs, INO_ROOT, S_IFDIR | 0755, NULL);
	if (!fs->root) {
		kfree(fs);
		return -ENOMEM;
	}
	*ret = fs;
	return 0;
}

/* The root of the newest tree of this kind. */
static int keep_root(struct mount *m, void *arg)
{
	struct dentry **root = arg;

	if (m->fs->magic == DEVPTS_MAGIC) {
		dentry_put(*root);
		*root = dentry_get(m->root);
	}
	return 0;
}

int devpts_open_peer(u32 index, u32 flags, struct file **ret)
{
	struct dentry *root = NULL, *d;
	char name[12];
	size_t len = 0;
	int err;

	mount_for_each(keep_root, &root);
	if (!root)
		return -EIO;
	fmt_append(name, sizeof(name), &len, "%u", index);
	err = dentry_lookup(root, (struct vfs_name){name, len}, &d);
	dentry_put(root);
	if (err)
		return err;
	err = d->vnode ? file_open(d, flags & (O_ACCMODE | O_NOCTTY | O_NONBLOCK), ret) : -EIO;
	dentry_put(d);
	return err;
}
