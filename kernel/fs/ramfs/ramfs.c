/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and attributes of ramfs. A directory entry holds a reference to its vnode, so an object
 * lives as long as a name or an open file refers to it. One mutex orders all names of a file
 * system; directories keep their entries in a tree by name and in a list by cookie.
 */
#include "kernel/fs/ramfs/ramfs.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/log.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/fs/ramfs/ramfs_priv.h"
#include "lib/base/string.h"

#define ROOM_OF_HEAP(total) ((total) / 4 * 3)

/*
 * Files, names and attributes lie in the kernel's heap, but the last quarter of it is not theirs: a
 * full file system must be an error of a write, and not leave the kernel without memory for page
 * faults.
 */
bool ram_has_room(size_t size)
{
	static u32 said;
	struct kmem_stats heap;

	kmem_stats(&heap);
	if (heap.used + size <= ROOM_OF_HEAP(heap.total))
		return true;
	if (!__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
		log_always("The in-memory file systems are full; raise "
			   "resource_limits.kernel_space_heap_size.");
	return false;
}

void ram_touch(struct ram_node *n, u32 which)
{
	struct vtime now;

	vtime_now(&now);
	spin_lock(&n->meta_lock);
	if (which & VATTR_MTIME)
		n->mtime = now;
	if (which & VATTR_CTIME)
		n->ctime = now;
	spin_unlock(&n->meta_lock);
}

struct ram_node *ram_node_new(struct ram_fs *fs, u32 mode, u32 uid, u32 gid, u64 rdev)
{
	const struct vnode_ops *ops = S_ISREG(mode)   ? &ram_file_ops
				      : S_ISDIR(mode) ? &ram_dir_ops
				      : S_ISLNK(mode) ? &ram_link_ops
						      : &ram_special_ops;
	struct ram_node *n = ram_has_room(sizeof(*n)) ? kzalloc(sizeof(*n)) : NULL;

	if (!n)
		return NULL;
	vnode_init(&n->v, &fs->fs, ops, __atomic_fetch_add(&fs->next_ino, 1, __ATOMIC_RELAXED),
		   mode, uid, gid);
	spin_init(&n->meta_lock, LOCK_RAMFS_NODE);
	list_init(&n->xattrs);
	n->nlink = S_ISDIR(mode) ? 2 : 1;
	n->rdev = rdev;
	vtime_now(&n->mtime);
	n->atime = n->ctime = n->btime = n->mtime;
	if (S_ISDIR(mode)) {
		list_init(&n->dir.ages);
		n->dir.next_cookie = 3; /* 1 and 2: after "." and ".." */
	}
	__atomic_fetch_add(&fs->files, 1, __ATOMIC_RELAXED);
	return n;
}

int ram_getattr(struct vnode *v, struct vattr *ret)
{
	struct ram_node *n = ram_of(v);

	spin_lock(&n->meta_lock);
	ret->ino = v->key;
	ret->mode = v->mode;
	ret->uid = v->uid;
	ret->gid = v->gid;
	ret->nlink = n->nlink;
	ret->rdev = n->rdev;
	ret->atime = n->atime;
	ret->mtime = n->mtime;
	ret->ctime = n->ctime;
	ret->btime = n->btime;
	if (S_ISREG(v->mode)) {
		ret->size = n->file.size;
		ret->blocks = n->file.page_count * (PAGE_SIZE / 512);
	} else if (S_ISDIR(v->mode)) {
		ret->size = (n->dir.count + 2) * 20; /* as tmpfs */
	} else if (S_ISLNK(v->mode)) {
		ret->size = n->link.len;
	}
	spin_unlock(&n->meta_lock);
	return 0;
}

int ram_setattr(struct vnode *v, const struct vattr *a, u32 set)
{
	struct ram_node *n = ram_of(v);

	spin_lock(&n->meta_lock);
	if (set & VATTR_MODE)
		v->mode = (v->mode & S_IFMT) | (a->mode & S_IALL);
	if (set & VATTR_UID)
		v->uid = a->uid;
	if (set & VATTR_GID)
		v->gid = a->gid;
	if (set & VATTR_ATIME)
		n->atime = a->atime;
	if (set & VATTR_MTIME)
		n->mtime = a->mtime;
	spin_unlock(&n->meta_lock);
	ram_touch(n, VATTR_CTIME);
	return 0;
}

/* --- names --------------------------------------------------------------------------------- */

static u32 name_hash(struct vfs_name name)
{
	u32 h = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (u8)name.text[i]) * 16777619u;
	return h;
}

static int compare(const struct ram_entry *e, u32 hash, struct vfs_name name)
{
	if (e->hash != hash)
		return e->hash < hash ? -1 : 1;
	if (e->len != name.len)
		return e->len < name.len ? -1 : 1;
	return memcmp(e->name, name.text, name.len);
}

static struct ram_entry *entry_find(struct ram_node *dir, struct vfs_name name)
{
	struct rb_node *at = dir->dir.names.node;
	u32 hash = name_hash(name);

	while (at) {
		struct ram_entry *e = rb_entry(at, struct ram_entry, by_name);
		int c = compare(e, hash, name);

		if (!c)
			return e;
		at = c < 0 ? at->right : at->left;
	}
	return NULL;
}

/* Consumes nothing: the entry takes its own reference. */
static int entry_add(struct ram_node *dir, struct vfs_name name, struct vnode *v)
{
	struct rb_node **link = &dir->dir.names.node, *parent = NULL;
	size_t size = sizeof(struct ram_entry) + name.len;
	struct ram_entry *e = ram_has_room(size) ? kmalloc(size) : NULL;

	if (!e)
		return -ENOSPC;
	e->hash = name_hash(name);
	e->len = name.len;
	memcpy(e->name, name.text, name.len);
	e->v = vnode_get(v);
	while (*link) {
		parent = *link;
		link = compare(rb_entry(parent, struct ram_entry, by_name), e->hash, name) < 0
			       ? &parent->right
			       : &parent->left;
	}
	rb_insert(&dir->dir.names, parent, link, &e->by_name);
	e->cookie = dir->dir.next_cookie++;
	list_add_tail(&dir->dir.ages, &e->by_age);
	dir->dir.count++;
	ram_touch(dir, VATTR_MTIME | VATTR_CTIME);
	return 0;
}

/* Takes the entry out and hands its reference over. */
static struct vnode *entry_remove(struct ram_node *dir, struct ram_entry *e)
{
	struct vnode *v = e->v;

	rb_erase(&dir->dir.names, &e->by_name);
	list_del(&e->by_age);
	dir->dir.count--;
	kfree(e);
	ram_touch(dir, VATTR_MTIME | VATTR_CTIME);
	return v;
}

static void add_links(struct ram_node *n, int count)
{
	spin_lock(&n->meta_lock);
	n->nlink += count;
	spin_unlock(&n->meta_lock);
}

static int ram_lookup(struct vnode *dir, struct vfs_name name, struct vnode **ret)
{
	struct ram_fs *fs = ram_fs_of(dir);
	struct ram_entry *e;

	mutex_lock(&fs->lock);
	e = entry_find(ram_of(dir), name);
	if (e)
		*ret = vnode_get(e->v);
	mutex_unlock(&fs->lock);
	return e ? 0 : -ENOENT;
}

static int add_node(struct vnode *dir, struct vfs_name name, struct ram_node *n, struct vnode **ret)
{
	struct ram_fs *fs = ram_fs_of(dir);
	int err;

	mutex_lock(&fs->lock);
	/* A directory that was removed while open takes nothing new. */
	err = ram_of(dir)->nlink ? entry_add(ram_of(dir), name, &n->v) : -ENOENT;
	if (!err && S_ISDIR(n->v.mode)) {
		n->dir.parent = ram_of(dir);
		add_links(ram_of(dir), 1);
	}
	mutex_unlock(&fs->lock);
	if (err)
		vnode_put(&n->v);
	else
		*ret = &n->v;
	return err;
}

static int ram_create(struct vnode *dir, struct vfs_name name, u32 mode, u32 uid, u32 gid, u64 rdev,
		      struct vnode **ret)
{
	struct ram_node *n = ram_node_new(ram_fs_of(dir), mode, uid, gid, rdev);

	return n ? add_node(dir, name, n, ret) : -ENOSPC;
}

static int ram_create_unnamed(struct vnode *dir, u32 mode, u32 uid, u32 gid, struct vnode **ret)
{
	struct ram_node *n = ram_node_new(ram_fs_of(dir), mode, uid, gid, 0);

	if (!n)
		return -ENOSPC;
	n->nlink = 0;
	*ret = &n->v;
	return 0;
}

static int ram_symlink(struct vnode *dir, struct vfs_name name, const char *target, size_t len,
		       u32 uid, u32 gid, struct vnode **ret)
{
	struct ram_node *n = ram_node_new(ram_fs_of(dir), S_IFLNK | 0777, uid, gid, 0);

	if (!n)
		return -ENOSPC;
	n->link.target = ram_has_room(len) ? kmalloc(len) : NULL;
	if (!n->link.target) {
		vnode_put(&n->v);
		return -ENOSPC;
	}
	memcpy(n->link.target, target, len);
	n->link.len = len;
	return add_node(dir, name, n, ret);
}

static int ram_link(struct vnode *dir, struct vfs_name name, struct vnode *v)
{
	struct ram_fs *fs = ram_fs_of(dir);
	int err;

	mutex_lock(&fs->lock);
	err = ram_of(dir)->nlink ? entry_add(ram_of(dir), name, v) : -ENOENT;
	if (!err)
		add_links(ram_of(v), 1);
	mutex_unlock(&fs->lock);
	if (!err)
		ram_touch(ram_of(v), VATTR_CTIME);
	return err;
}

/* Under fs->lock; the reference of the entry is returned for a put outside. */
static int remove_locked(struct ram_node *dir, struct ram_entry *e, bool is_dir,
			 struct vnode **ret_gone)
{
	struct ram_node *n = ram_of(e->v);

	if (is_dir && n->dir.count)
		return -ENOTEMPTY;
	*ret_gone = entry_remove(dir, e);
	if (is_dir) {
		add_links(n, -2);
		add_links(dir, -1);
	} else {
		add_links(n, -1);
	}
	return 0;
}

static int ram_unlink(struct vnode *dir, struct vfs_name name, struct vnode *v, bool is_dir)
{
	struct ram_fs *fs = ram_fs_of(dir);
	struct vnode *gone = NULL;
	struct ram_entry *e;
	int err = -ENOENT;

	mutex_lock(&fs->lock);
	e = entry_find(ram_of(dir), name);
	if (e && e->v == v)
		err = remove_locked(ram_of(dir), e, is_dir, &gone);
	mutex_unlock(&fs->lock);
	if (gone)
		ram_touch(ram_of(gone), VATTR_CTIME);
	vnode_put(gone);
	return err;
}

static void set_parent(struct vnode *v, struct ram_node *from, struct ram_node *to)
{
	if (!S_ISDIR(v->mode) || from == to)
		return;
	ram_of(v)->dir.parent = to;
	add_links(from, -1);
	add_links(to, 1);
}

static int exchange_locked(struct ram_node *dir, struct ram_entry *e, struct ram_node *to_dir,
			   struct ram_entry *to)
{
	struct vnode *v = e->v;

	e->v = to->v;
	to->v = v;
	set_parent(e->v, to_dir, dir);
	set_parent(to->v, dir, to_dir);
	return 0;
}

static int ram_rename(struct vnode *dir, struct vfs_name name, struct vnode *v,
		      struct vnode *to_dir, struct vfs_name to_name, struct vnode *to_v, u32 flags)
{
	struct ram_fs *fs = ram_fs_of(dir);
	struct ram_node *from = ram_of(dir), *into = ram_of(to_dir);
	struct vnode *gone = NULL;
	struct ram_entry *e, *to;
	int err = 0;

	mutex_lock(&fs->lock);
	e = entry_find(from, name);
	to = entry_find(into, to_name);
	if (!e || e->v != v || (to ? to->v != to_v : to_v != NULL) || !into->nlink) {
		err = -ENOENT;
	} else if (flags & RENAME_EXCHANGE) {
		err = exchange_locked(from, e, into, to);
	} else if (to) {
		/* The entry that is there takes the new object: nothing can fail half-way. */
		if (S_ISDIR(to_v->mode) && ram_of(to_v)->dir.count) {
			err = -ENOTEMPTY;
		} else {
			gone = to->v;
			to->v = entry_remove(from, e);
			add_links(ram_of(gone), S_ISDIR(gone->mode) ? -2 : -1);
			if (S_ISDIR(gone->mode))
				add_links(into, -1);
			set_parent(v, from, into);
			ram_touch(into, VATTR_MTIME | VATTR_CTIME);
		}
	} else {
		err = entry_add(into, to_name, v);
		if (!err) {
			vnode_put(entry_remove(from, e)); /* the new entry has its own */
			set_parent(v, from, into);
		}
	}
	mutex_unlock(&fs->lock);
	if (!err)
		ram_touch(ram_of(v), VATTR_CTIME);
	vnode_put(gone);
	return err;
}

static int ram_readdir(struct vnode *v, u64 cookie, struct dir_sink *sink)
{
	struct ram_fs *fs = ram_fs_of(v);
	struct ram_node *dir = ram_of(v);
	struct ram_entry *e;
	int stop = 0;

	mutex_lock(&fs->lock);
	if (cookie < 1)
		stop = sink->add(sink, ".", 1, v->key, DT_DIR, 1);
	if (!stop && cookie < 2)
		stop = sink->add(sink, "..", 2, dir->dir.parent ? dir->dir.parent->v.key : v->key,
				 DT_DIR, 2);
	list_for_each_entry (e, &dir->dir.ages, by_age) {
		if (stop)
			break;
		if (e->cookie > cookie)
			stop = sink->add(sink, e->name, e->len, e->v->key, MODE_TO_DT(e->v->mode),
					 e->cookie);
	}
	mutex_unlock(&fs->lock);
	return 0;
}

static void ram_dir_release(struct vnode *v)
{
	__atomic_fetch_sub(&ram_fs_of(v)->files, 1, __ATOMIC_RELAXED);
	ram_xattrs_free(ram_of(v));
	kfree(ram_of(v)); /* empty: it was removed, or emptied by ram_shutdown() */
}

static long ram_readlink(struct vnode *v, char *buf, size_t size)
{
	struct ram_node *n = ram_of(v);
	size_t len = MIN(n->link.len, size);

	memcpy(buf, n->link.target, len);
	return len;
}

static void ram_special_release(struct vnode *v)
{
	__atomic_fetch_sub(&ram_fs_of(v)->files, 1, __ATOMIC_RELAXED);
	ram_xattrs_free(ram_of(v));
	kfree(ram_of(v));
}

static void ram_link_release(struct vnode *v)
{
	kfree(ram_of(v)->link.target);
	ram_special_release(v);
}

const struct vnode_ops ram_dir_ops = {
	.release = ram_dir_release,
	RAM_COMMON_OPS,
	.lookup = ram_lookup,
	.create = ram_create,
	.create_unnamed = ram_create_unnamed,
	.symlink = ram_symlink,
	.link = ram_link,
	.unlink = ram_unlink,
	.rename = ram_rename,
	.readdir = ram_readdir,
};

const struct vnode_ops ram_link_ops = {
	.release = ram_link_release,
	RAM_COMMON_OPS,
	.readlink = ram_readlink,
};

const struct vnode_ops ram_special_ops = {
	.release = ram_special_release,
	RAM_COMMON_OPS,
	.open = fifo_vnode_open,
};

/* --- the file system ----------------------------------------------------------------------- */

static int ram_statfs(struct filesystem *f, struct vfs_statfs *ret)
{
	struct ram_fs *fs = container_of(f, struct ram_fs, fs);
	struct kmem_stats heap;
	size_t room;

	kmem_stats(&heap);
	room = ROOM_OF_HEAP(heap.total) - MIN(heap.used, ROOM_OF_HEAP(heap.total));
	ret->bsize = PAGE_SIZE;
	ret->bfree = ret->bavail = room / PAGE_SIZE;
	ret->blocks = ret->bfree + fs->pages;
	ret->ffree = room / sizeof(struct ram_node);
	ret->files = ret->ffree + fs->files;
	return 0;
}

/* From the leaves up, in a loop: programs choose how deep the tree is. */
static void ram_empty(struct ram_node *root)
{
	struct ram_node *dir = root;

	while (dir) {
		struct ram_entry *e;
		struct ram_node *child;

		if (list_is_empty(&dir->dir.ages)) {
			dir = dir == root ? NULL : dir->dir.parent;
			continue;
		}
		e = list_first_entry(&dir->dir.ages, struct ram_entry, by_age);
		child = ram_of(e->v);
		if (S_ISDIR(child->v.mode) && child->dir.count)
			dir = child;
		else
			vnode_put(entry_remove(dir, e));
	}
}

static int ram_shutdown(struct filesystem *f)
{
	if (S_ISDIR(f->root->mode))
		ram_empty(ram_of(f->root));
	vnode_put(f->root);
	if (container_of(f, struct ram_fs, fs)->files == 0)
		kfree(container_of(f, struct ram_fs, fs));
	return 0;
}

static int new_fs(const char *type, u32 mode, u32 flags, struct filesystem **ret)
{
	static const struct fs_ops ops = {.statfs = ram_statfs, .shutdown = ram_shutdown};
	struct ram_fs *fs = kzalloc(sizeof(*fs));
	struct ram_node *root;

	if (!fs)
		return -ENOMEM;
	fs_init(&fs->fs, &ops, type, type, TMPFS_MAGIC, flags | FS_CACHE_NAMES);
	mutex_init(&fs->lock, LOCK_FS);
	fs->next_ino = 1;
	root = ram_node_new(fs, mode, 0, 0, 0);
	if (!root) {
		kfree(fs);
		return -ENOMEM;
	}
	fs->fs.root = &root->v;
	*ret = &fs->fs;
	return 0;
}

int ramfs_new(const char *type, u32 mode, u32 flags, struct filesystem **ret)
{
	return new_fs(type, S_IFDIR | (mode & S_IALL), flags, ret);
}

int ramfs_new_text(const char *text, u32 mode, struct filesystem **ret)
{
	struct uio uio = uio_kernel((void *)text, strlen(text));
	struct filesystem *fs;
	u64 offset = 0;
	long n;
	int err = new_fs("tmpfs", S_IFREG | (mode & S_IALL), FS_NOEXEC | FS_NOSUID | FS_NODEV, &fs);

	if (err)
		return err;
	n = vnode_write(fs->root, &uio, &offset, false, UINT64_MAX);
	if (n < 0) {
		ram_shutdown(fs);
		return n;
	}
	*ret = fs;
	return 0;
}

int ramfs_file_new(struct filesystem *f, u32 mode, struct vnode **ret)
{
	struct ram_node *n =
		ram_node_new(container_of(f, struct ram_fs, fs), S_IFREG | mode, 0, 0, 0);

	if (!n)
		return -ENOMEM;
	*ret = &n->v;
	return 0;
}
