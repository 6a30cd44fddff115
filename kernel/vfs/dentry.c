/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dentry cache. All links (parent, children, hash, covered) and counts change under one
 * spinlock; no file system is called with it. A lookup that missed asks the file system without
 * the lock and then adds its answer, unless somebody was faster. Names of file systems that change
 * behind our back (procfs, hostfs) are asked for each time, and the old dentry is kept only when
 * it still leads to the same vnode.
 */
#include "kernel/vfs/dentry.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/vfs/inotify.h"
#include "kernel/vfs/mount.h"
#include "lib/base/string.h"

#define BUCKETS	   4096u
#define UNUSED_MAX 4096u /* about 1.5 MiB with their vnodes */

static struct spinlock lock = SPINLOCK_INIT(LOCK_DENTRY);
static struct list_node buckets[BUCKETS];
static struct list_node unused = LIST_INIT(unused); /* oldest first */
static size_t unused_count;

void dentry_cache_init(void)
{
	for (u32 i = 0; i < BUCKETS; i++)
		list_init(&buckets[i]);
}

static u32 name_hash(const struct dentry *parent, struct vfs_name name)
{
	u64 h = (u64)parent >> 4;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (u8)name.text[i]) * 0x100000001b3ull;
	return h ^ (h >> 32);
}

static struct list_node *bucket_of(u32 hash)
{
	return &buckets[hash % BUCKETS];
}

static void get_locked(struct dentry *d)
{
	if (d->refs++ == 0) {
		list_del(&d->lru_node);
		unused_count--;
	}
}

struct dentry *dentry_get(struct dentry *d)
{
	spin_lock(&lock);
	get_locked(d);
	spin_unlock(&lock);
	return d;
}

static char *name_copy(struct dentry *d, struct vfs_name name)
{
	char *text = name.len < DENTRY_SHORT_NAME ? d->short_name : kmalloc(name.len + 1);

	if (!text)
		return NULL;
	memcpy(text, name.text, name.len);
	text[name.len] = 0;
	return text;
}

static void name_free(struct dentry *d, char *name)
{
	if (name != d->short_name)
		kfree(name);
}

static struct dentry *dentry_alloc(struct vfs_name name)
{
	struct dentry *d = kzalloc(sizeof(*d));

	if (!d)
		return NULL;
	d->name = name_copy(d, name);
	if (!d->name) {
		kfree(d);
		return NULL;
	}
	d->refs = 1;
	d->name_len = name.len;
	list_init(&d->hash_node);
	list_init(&d->lru_node);
	list_init(&d->child_node);
	list_init(&d->children);
	return d;
}

static void unhash_locked(struct dentry *d)
{
	if (d->hashed) {
		list_del(&d->hash_node);
		d->hashed = false;
	}
}

static void link_locked(struct dentry *d, struct dentry *parent, u32 hash)
{
	get_locked(parent);
	d->parent = parent;
	d->mount = parent->mount;
	d->hash = hash;
	d->hashed = true;
	list_add_head(bucket_of(hash), &d->hash_node);
	list_add_tail(&parent->children, &d->child_node);
}

/*
 * Drops one reference. A dentry that is to die is unlinked and returned through the chain `dead`
 * (by lru_node), together with the parents that die with it.
 */
static void put_locked(struct dentry *d, struct list_node *dead)
{
	while (d && --d->refs == 0) {
		struct dentry *parent = d->parent;

		if (d->hashed && !(d->vnode && (d->vnode->fs->flags & FS_FORGET_NAMES))) {
			list_add_tail(&unused, &d->lru_node);
			unused_count++;
			return;
		}
		unhash_locked(d);
		list_del(&d->child_node);
		list_add_tail(dead, &d->lru_node);
		d->parent = NULL;
		d = parent;
	}
}

static void free_dead(struct list_node *dead)
{
	while (!list_is_empty(dead)) {
		struct dentry *d = list_first_entry(dead, struct dentry, lru_node);

		list_del(&d->lru_node);
		if (d->vnode && inotify_has_watches())
			inotify_name_is_gone(d->vnode);
		vnode_put(d->vnode);
		name_free(d, d->name);
		kfree(d);
	}
}

void dentry_put(struct dentry *d)
{
	struct list_node dead = LIST_INIT(dead);
	bool crowded;

	if (!d)
		return;
	spin_lock(&lock);
	put_locked(d, &dead);
	crowded = unused_count > UNUSED_MAX;
	spin_unlock(&lock);
	free_dead(&dead);
	if (unlikely(crowded))
		dentry_shrink(UNUSED_MAX / 8);
}

void dentry_shrink(size_t count)
{
	struct list_node dead = LIST_INIT(dead);

	spin_lock(&lock);
	while (count-- && !list_is_empty(&unused)) {
		struct dentry *d = list_first_entry(&unused, struct dentry, lru_node);

		get_locked(d);
		unhash_locked(d);
		put_locked(d, &dead);
	}
	spin_unlock(&lock);
	free_dead(&dead);
}

struct dentry *dentry_new_root(struct mount *m, struct vnode *v)
{
	struct dentry *d = dentry_alloc((struct vfs_name){"", 0});

	if (!d)
		return NULL;
	d->mount = m;
	d->vnode = v;
	return d;
}

struct dentry *dentry_new_detached(struct dentry *parent, struct vfs_name name, struct vnode *v)
{
	struct dentry *d = dentry_alloc(name);

	if (!d)
		return NULL;
	spin_lock(&lock);
	get_locked(parent);
	d->parent = parent;
	d->mount = parent->mount;
	list_add_tail(&parent->children, &d->child_node);
	spin_unlock(&lock);
	d->vnode = vnode_get(v);
	return d;
}

size_t dentry_place(struct dentry *d, char *name, struct vnode **ret_folder, bool *ret_gone)
{
	size_t len;

	spin_lock(&lock);
	len = MIN(d->name_len, (size_t)NAME_MAX_LEN);
	memcpy(name, d->name, len);
	*ret_folder = d->parent && d->parent->vnode ? vnode_get(d->parent->vnode) : NULL;
	*ret_gone = !d->hashed;
	spin_unlock(&lock);
	name[len] = '\0';
	return len;
}

static struct dentry *find_locked(struct dentry *parent, struct vfs_name name, u32 hash)
{
	struct dentry *d;

	list_for_each_entry (d, bucket_of(hash), hash_node) {
		if (d->hash == hash && d->parent == parent && d->name_len == name.len &&
		    !memcmp(d->name, name.text, name.len))
			return d;
	}
	return NULL;
}

struct dentry *dentry_find(struct dentry *parent, struct vfs_name name)
{
	u32 hash = name_hash(parent, name);
	struct dentry *d;

	spin_lock(&lock);
	d = find_locked(parent, name, hash);
	if (d)
		get_locked(d);
	spin_unlock(&lock);
	return d;
}

/* Adds what the file system said, or takes what is there already and says the same. */
static struct dentry *settle(struct dentry *fresh, struct dentry *parent, u32 hash)
{
	struct vfs_name name = {fresh->name, fresh->name_len};
	struct list_node dead = LIST_INIT(dead);
	struct dentry *d;

	spin_lock(&lock);
	d = find_locked(parent, name, hash);
	if (d && (d->vnode == fresh->vnode || d->covered)) {
		get_locked(d);
		put_locked(fresh, &dead);
	} else {
		if (d) {
			get_locked(d);
			unhash_locked(d);
			put_locked(d, &dead);
		}
		link_locked(fresh, parent, hash);
		d = fresh;
	}
	spin_unlock(&lock);
	free_dead(&dead);
	return d;
}

int dentry_lookup(struct dentry *parent, struct vfs_name name, struct dentry **ret)
{
	struct vnode *dir = parent->vnode, *v = NULL;
	u32 hash = name_hash(parent, name);
	bool cached = dir->fs->flags & FS_CACHE_NAMES;
	struct dentry *d;
	int err;

	if (name.len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (cached) {
		spin_lock(&lock);
		d = find_locked(parent, name, hash);
		if (d)
			get_locked(d);
		spin_unlock(&lock);
		if (likely(d)) {
			*ret = d;
			return 0;
		}
		/* The directory's lock keeps names still between the question and its answer. */
		mutex_lock(&dir->lock);
	}
	err = dir->ops->lookup ? dir->ops->lookup(dir, name, &v) : -ENOTDIR;
	if (err && err != -ENOENT) {
		d = NULL;
		goto out;
	}
	err = -ENOMEM;
	d = dentry_alloc(name);
	if (!d) {
		vnode_put(v);
		goto out;
	}
	d->vnode = v;
	d = settle(d, parent, hash);
	err = 0;
	*ret = d;
out:
	if (cached)
		mutex_unlock(&dir->lock);
	return err;
}

void dentry_set_vnode(struct dentry *d, struct vnode *v)
{
	vnode_get(v);
	spin_lock(&lock);
	d->vnode = v;
	spin_unlock(&lock);
}

void dentry_drop(struct dentry *d)
{
	spin_lock(&lock);
	unhash_locked(d);
	spin_unlock(&lock);
}

/* Renames: the dentry keeps its identity, for open files and working directories. */
int dentry_move(struct dentry *d, struct dentry *to_parent, struct vfs_name to_name)
{
	struct list_node dead = LIST_INIT(dead);
	u32 hash = name_hash(to_parent, to_name);
	struct dentry *other, *old_parent;
	char *old_name = NULL, *new_name = NULL;

	if (to_name.len >= DENTRY_SHORT_NAME) {
		new_name = name_copy(d, to_name);
		if (!new_name) {
			dentry_drop(d); /* the next lookup asks the file system */
			return -ENOMEM;
		}
	}
	spin_lock(&lock);
	other = find_locked(to_parent, to_name, hash);
	if (other && other != d) {
		get_locked(other);
		unhash_locked(other);
		put_locked(other, &dead);
	}
	unhash_locked(d);
	list_del(&d->child_node);
	if (d->name != d->short_name)
		old_name = d->name;
	d->name = new_name ? new_name : name_copy(d, to_name);
	d->name_len = to_name.len;
	old_parent = d->parent;
	link_locked(d, to_parent, hash);
	put_locked(old_parent, &dead);
	spin_unlock(&lock);
	free_dead(&dead);
	kfree(old_name);
	return 0;
}

struct dentry *dentry_parent(struct dentry *d, struct dentry *root)
{
	spin_lock(&lock);
	while (d != root && !d->parent && d->mount->point)
		d = d->mount->point;
	if (d != root && d->parent)
		d = d->parent;
	get_locked(d);
	spin_unlock(&lock);
	return d;
}

struct dentry *dentry_cross(struct dentry *d)
{
	while (unlikely(d->covered)) {
		struct dentry *down = dentry_get(d->covered->root);

		dentry_put(d);
		d = down;
	}
	return d;
}

bool dentry_is_above(struct dentry *a, struct dentry *b)
{
	bool above = false;

	spin_lock(&lock);
	while (b && !above) {
		above = a == b;
		b = b->parent ? b->parent : b->mount->point;
	}
	spin_unlock(&lock);
	return above;
}

long dentry_path(struct dentry *d, struct dentry *root, char *buf, size_t size)
{
	size_t at = size, len;
	bool fits = true, deleted;

	if (size < 2)
		return -ENAMETOOLONG;
	buf[--at] = 0;
	spin_lock(&lock);
	if (d->mount->fs->flags & FS_NAMELESS) {
		len = MIN((size_t)d->name_len, size - 1);
		memcpy(buf, d->name, len);
		buf[len] = 0;
		spin_unlock(&lock);
		return len;
	}
	deleted = d->parent && !d->hashed;
	while (d != root) {
		if (!d->parent) {
			if (!d->mount->point)
				break;
			d = d->mount->point;
			continue;
		}
		if (at < d->name_len + 1u) {
			fits = false;
			break;
		}
		at -= d->name_len;
		memcpy(buf + at, d->name, d->name_len);
		buf[--at] = '/';
		d = d->parent;
	}
	spin_unlock(&lock);
	if (!fits)
		return -ENAMETOOLONG;
	if (at == size - 1)
		buf[--at] = '/';
	len = size - 1 - at;
	memmove(buf, buf + at, len + 1);
	if (deleted) {
		if (len + sizeof(" (deleted)") > size)
			return -ENAMETOOLONG;
		memcpy(buf + len, " (deleted)", sizeof(" (deleted)"));
		len += strlen(" (deleted)");
	}
	return len;
}
