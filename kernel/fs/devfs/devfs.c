/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of /dev: a fixed table of devices, links into /proc for the caller's own descriptors,
 * and the empty directories on which others are mounted. Nothing can be created here.
 */
#include "kernel/fs/devfs/devfs.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/devfs/devfs_priv.h"
#include "kernel/fs/devpts/devpts.h"
#include "kernel/fs/stdio/stdio.h"
#include "kernel/proc/tty.h"
#include "kernel/time/clock.h"
#include "kernel/tty/pty.h"
#include "lib/base/string.h"

struct dev_entry {
	const char *name;
	u32 mode;
	u64 rdev;
	const char *target;	    /* links */
	const struct file_ops *ops; /* NULL: `open` does it */
	int (*open)(struct file *f);
};

#define ROOT_INO 1

/* The controlling terminal, be it the host's or one of ours. */
static int open_tty(struct file *f)
{
	struct tty *t = tty_of_current();
	int err = -ENXIO;

	if (t)
		err = t->is_host ? stdio_open_tty(f) : pty_open_controlling(t, f);
	tty_put(t);
	return err;
}

static const struct dev_entry entries[] = {
	{"null", S_IFCHR | 0666, MKDEV(1, 3), NULL, &dev_null_ops},
	{"zero", S_IFCHR | 0666, MKDEV(1, 5), NULL, &dev_zero_ops},
	{"full", S_IFCHR | 0666, MKDEV(1, 7), NULL, &dev_full_ops},
	{"random", S_IFCHR | 0666, MKDEV(1, 8), NULL, &dev_random_ops},
	{"urandom", S_IFCHR | 0666, MKDEV(1, 9), NULL, &dev_random_ops},
	{"arandom", S_IFCHR | 0666, MKDEV(1, 9), NULL, &dev_random_ops},
	{"tty", S_IFCHR | 0666, MKDEV(5, 0), NULL, NULL, open_tty},
	{"console", S_IFCHR | 0600, CONSOLE_DEVICE, NULL, NULL, stdio_open_tty},
	{"ptmx", S_IFCHR | 0666, PTMX_DEVICE, NULL, NULL, pty_open_master},
	{"sgx", S_IFCHR | 0666, MKDEV(10, 125), NULL, &dev_sgx_ops},
	{"stdin", S_IFLNK | 0777, 0, "/proc/self/fd/0", NULL},
	{"stdout", S_IFLNK | 0777, 0, "/proc/self/fd/1", NULL},
	{"stderr", S_IFLNK | 0777, 0, "/proc/self/fd/2", NULL},
	{"fd", S_IFLNK | 0777, 0, "/proc/self/fd", NULL},
	{"shm", S_IFDIR | 0755, 0, NULL, NULL},
	{"pts", S_IFDIR | 0755, 0, NULL, NULL},
};

struct dev_node {
	struct vnode v;
	const struct dev_entry *entry; /* NULL: the root */
};

static const struct vnode_ops dev_ops;
static struct vtime boot_time;
static u64 newest_device; /* atomic; st_dev of the tree that was made last: the application's */

static struct dev_node *node_of(struct vnode *v)
{
	return container_of(v, struct dev_node, v);
}

static void dev_release(struct vnode *v)
{
	kfree(node_of(v));
}

static int dev_getattr(struct vnode *v, struct vattr *ret)
{
	const struct dev_entry *e = node_of(v)->entry;

	ret->ino = v->key;
	ret->mode = v->mode;
	ret->uid = v->uid;
	ret->gid = v->gid;
	ret->nlink = S_ISDIR(v->mode) ? 2 : 1;
	ret->rdev = e ? e->rdev : 0;
	ret->size = e && e->target ? strlen(e->target) : 0;
	ret->atime = ret->mtime = ret->ctime = ret->btime = boot_time;
	return 0;
}

static int dev_setattr(struct vnode *v, const struct vattr *a, u32 set)
{
	return set & (VATTR_MODE | VATTR_UID | VATTR_GID) ? -EPERM : 0;
}

static struct vnode *dev_vnode(struct filesystem *fs, u64 ino, u32 mode, const struct dev_entry *e)
{
	struct vnode *v = vnode_find(fs, ino), *other;
	struct dev_node *n;

	if (v)
		return v;
	n = kzalloc(sizeof(*n));
	if (!n)
		return NULL;
	vnode_init(&n->v, fs, &dev_ops, ino, mode, 0, 0);
	n->entry = e;
	other = vnode_insert(&n->v);
	if (other != &n->v)
		kfree(n);
	return other;
}

static int dev_lookup(struct vnode *dir, struct vfs_name name, struct vnode **ret)
{
	if (dir->key != ROOT_INO)
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct dev_entry *e = &entries[i];

		if (strlen(e->name) == name.len && !memcmp(e->name, name.text, name.len)) {
			*ret = dev_vnode(dir->fs, ROOT_INO + 1 + i, e->mode, e);
			return *ret ? 0 : -ENOMEM;
		}
	}
	return -ENOENT;
}

static int dev_readdir(struct vnode *dir, u64 cookie, struct dir_sink *sink)
{
	size_t count = dir->key == ROOT_INO ? ARRAY_SIZE(entries) : 0;

	for (; cookie < 2 + count; cookie++) {
		const struct dev_entry *e = cookie >= 2 ? &entries[cookie - 2] : NULL;
		const char *name = e ? e->name : cookie ? ".." : ".";

		if (sink->add(sink, name, strlen(name), e ? ROOT_INO + cookie - 1 : dir->key,
			      e ? MODE_TO_DT(e->mode) : DT_DIR, cookie + 1))
			break;
	}
	return 0;
}

static long dev_readlink(struct vnode *v, char *buf, size_t size)
{
	const char *target = node_of(v)->entry->target;
	size_t len = MIN(strlen(target), size);

	memcpy(buf, target, len);
	return len;
}

static int dev_open(struct vnode *v, struct file *f)
{
	const struct dev_entry *e = node_of(v)->entry;

	if (!S_ISCHR(v->mode))
		return 0;
	if (!e->ops)
		return e->open(f);
	f->ops = e->ops;
	return 0;
}

static const struct vnode_ops dev_ops = {
	.release = dev_release,
	.getattr = dev_getattr,
	.setattr = dev_setattr,
	.lookup = dev_lookup,
	.readdir = dev_readdir,
	.readlink = dev_readlink,
	.open = dev_open,
};

static int dev_shutdown(struct filesystem *fs)
{
	vnode_put(fs->root);
	kfree(fs);
	return 0;
}

void devfs_console(struct vattr *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		if (entries[i].rdev != CONSOLE_DEVICE)
			continue;
		ret->ino = ROOT_INO + 1 + i;
		ret->mode = entries[i].mode;
	}
	ret->rdev = CONSOLE_DEVICE;
	ret->dev = __atomic_load_n(&newest_device, __ATOMIC_RELAXED);
}

int devfs_new(struct filesystem **ret)
{
	static const struct fs_ops ops = {.shutdown = dev_shutdown};
	struct filesystem *fs = kzalloc(sizeof(*fs));

	if (!fs)
		return -ENOMEM;
	fs_init(fs, &ops, "devtmpfs", "devtmpfs", TMPFS_MAGIC, FS_CACHE_NAMES | FS_NOSUID);
	vtime_now(&boot_time);
	fs->root = dev_vnode(fs, ROOT_INO, S_IFDIR | 0755, NULL);
	if (!fs->root) {
		kfree(fs);
		return -ENOMEM;
	}
	__atomic_store_n(&newest_device, fs->dev, __ATOMIC_RELAXED);
	*ret = fs;
	return 0;
}
