/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life and attributes of vnodes. A vnode is found by its key while anyone refers to it; the last
 * put takes it out of the table under the table's lock, so a finder either gets a live vnode or
 * none. Attributes are cached for file systems that nobody else changes; `attr_stamp` tells a
 * reader that was slow that what it fetched is already old.
 */
#include "kernel/vfs/vnode.h"

#include "abi/errno.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/lock.h"
#include "kernel/vfs/pagecache.h"
#include "kernel/vfs/shared.h"
#include "kernel/vfs/walk.h"
#include "lib/base/string.h"

static struct spinlock fs_list_lock = SPINLOCK_INIT(LOCK_FS_LIST);
static struct list_node fs_list = LIST_INIT(fs_list);
static u32 next_device = 1;

void vtime_now(struct vtime *t)
{
	u64 ns = clock_realtime_ns();

	t->sec = ns / 1000000000ull;
	t->nsec = ns % 1000000000ull;
}

void fs_init(struct filesystem *fs, const struct fs_ops *ops, const char *type, const char *source,
	     u32 magic, u32 flags)
{
	memset(fs, 0, sizeof(*fs));
	fs->ops = ops;
	fs->type = type;
	fs->source = source;
	fs->magic = magic;
	fs->flags = flags;
	fs->dev = MKDEV(0, __atomic_fetch_add(&next_device, 1, __ATOMIC_RELAXED));
	spin_init(&fs->table_lock, LOCK_VNODE_TABLE);
	list_init(&fs->node);
	for (u32 i = 0; i < VNODE_BUCKETS; i++)
		list_init(&fs->buckets[i]);
}

void fs_register(struct filesystem *fs)
{
	spin_lock(&fs_list_lock);
	list_add_tail(&fs_list, &fs->node);
	spin_unlock(&fs_list_lock);
}

void fs_unregister(struct filesystem *fs)
{
	spin_lock(&fs_list_lock);
	list_del(&fs->node);
	spin_unlock(&fs_list_lock);
}

/* File systems are registered at boot and unregistered at shutdown only: the walk needs no lock. */
int fs_sync_all(void)
{
	struct filesystem *fs;
	int first = 0;

	list_for_each_entry (fs, &fs_list, node) {
		int ret = fs->ops->sync ? fs->ops->sync(fs) : 0;

		if (ret && !first)
			first = ret;
	}
	return first;
}

void vnode_init(struct vnode *v, struct filesystem *fs, const struct vnode_ops *ops, u64 key,
		u32 mode, u32 uid, u32 gid)
{
	memset(v, 0, sizeof(*v));
	v->refs = 1;
	v->mode = mode;
	v->uid = uid;
	v->gid = gid;
	v->ops = ops;
	v->fs = fs;
	v->key = key;
	v->version = 1;
	list_init(&v->table_node);
	mutex_init(&v->lock, fs->flags & FS_UNION ? LOCK_VNODE_UNION : LOCK_VNODE);
	spin_init(&v->attr_lock, LOCK_VNODE_ATTR);
}

struct vnode *vnode_get(struct vnode *v)
{
	__atomic_fetch_add(&v->refs, 1, __ATOMIC_RELAXED);
	return v;
}

static void vnode_destroy(struct vnode *v)
{
	file_locks_free(v->locks);
	page_cache_free(v->cache);
	shared_object_drop(v);
	v->ops->release(v);
}

void vnode_put(struct vnode *v)
{
	u32 refs;
	bool last;

	if (!v)
		return;
	refs = __atomic_load_n(&v->refs, __ATOMIC_RELAXED);
	while (refs > 1) {
		if (__atomic_compare_exchange_n(&v->refs, &refs, refs - 1, true, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			return;
	}
	spin_lock(&v->fs->table_lock);
	last = __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) == 0;
	if (last)
		list_del(&v->table_node);
	spin_unlock(&v->fs->table_lock);
	if (last)
		vnode_destroy(v);
}

static struct list_node *bucket_of(struct filesystem *fs, u64 key)
{
	return &fs->buckets[(key * 0x9e3779b97f4a7c15ull) >> 56];
}

static struct vnode *find_locked(struct filesystem *fs, u64 key)
{
	struct vnode *v;

	list_for_each_entry (v, bucket_of(fs, key), table_node) {
		if (v->key == key) {
			__atomic_fetch_add(&v->refs, 1, __ATOMIC_RELAXED);
			return v;
		}
	}
	return NULL;
}

struct vnode *vnode_find(struct filesystem *fs, u64 key)
{
	struct vnode *v;

	spin_lock(&fs->table_lock);
	v = find_locked(fs, key);
	spin_unlock(&fs->table_lock);
	return v;
}

struct vnode *vnode_insert(struct vnode *v)
{
	struct vnode *other;

	spin_lock(&v->fs->table_lock);
	other = find_locked(v->fs, v->key);
	if (!other)
		list_add_head(bucket_of(v->fs, v->key), &v->table_node);
	spin_unlock(&v->fs->table_lock);
	return other ? other : v;
}

void vnode_rekey(struct vnode *v, u64 key)
{
	spin_lock(&v->fs->table_lock);
	list_del(&v->table_node);
	v->key = key;
	list_add_head(bucket_of(v->fs, key), &v->table_node);
	spin_unlock(&v->fs->table_lock);
}

void vnode_forget_attr(struct vnode *v)
{
	spin_lock(&v->attr_lock);
	v->has_attr = false;
	v->attr_stamp++;
	spin_unlock(&v->attr_lock);
}

int vnode_getattr(struct vnode *v, struct vattr *ret)
{
	struct vattr attr = {0};
	u64 stamp;
	int err;

	spin_lock(&v->attr_lock);
	if (v->has_attr) {
		*ret = v->attr;
		spin_unlock(&v->attr_lock);
		return 0;
	}
	stamp = v->attr_stamp;
	spin_unlock(&v->attr_lock);

	err = v->ops->getattr(v, &attr);
	if (err)
		return err;
	attr.dev = v->fs->dev;
	if (!attr.blksize)
		attr.blksize = PAGE_SIZE;
	spin_lock(&v->attr_lock);
	if (stamp == v->attr_stamp) {
		v->mode = attr.mode;
		v->uid = attr.uid;
		v->gid = attr.gid;
		if (v->fs->flags & FS_CACHE_ATTR) {
			v->attr = attr;
			v->has_attr = true;
		}
	}
	spin_unlock(&v->attr_lock);
	*ret = attr;
	return 0;
}

int vnode_setattr_locked(struct vnode *v, const struct vattr *a, u32 set)
{
	struct vattr fresh;
	int err;

	if (v->fs->flags & FS_READ_ONLY)
		return -EROFS;
	if (!v->ops->setattr)
		return -EPERM;
	err = v->ops->setattr(v, a, set);
	vnode_forget_attr(v);
	if (err)
		return err;
	return vnode_getattr(v, &fresh); /* brings mode and owner in the vnode up to date */
}

int vnode_setattr(struct vnode *v, const struct vattr *a, u32 set)
{
	int err;

	mutex_lock(&v->lock);
	err = vnode_setattr_locked(v, a, set);
	mutex_unlock(&v->lock);
	return err;
}

void vnode_remove_privileges(struct vnode *v)
{
	u32 kill = v->mode & S_ISUID;
	struct vattr attr = {0};

	if ((v->mode & (S_ISGID | 0010)) == (S_ISGID | 0010))
		kill |= S_ISGID;
	if (likely(!kill) || !S_ISREG(v->mode) || vfs_caller_capable(CAP_FSETID))
		return;
	attr.mode = v->mode & S_IALL & ~kill;
	if (vnode_setattr_locked(v, &attr, VATTR_MODE))
		return; /* the write itself decides */
}

int vnode_truncate(struct vnode *v, u64 size)
{
	struct vattr attr;
	int err;

	if (v->fs->flags & FS_READ_ONLY)
		return -EROFS;
	if (!v->ops->truncate)
		return -EINVAL;
	mutex_lock(&v->lock);
	if (v->seals & (F_SEAL_SHRINK | F_SEAL_GROW)) {
		err = vnode_getattr(v, &attr);
		if (!err && ((size < attr.size && (v->seals & F_SEAL_SHRINK)) ||
			     (size > attr.size && (v->seals & F_SEAL_GROW))))
			err = -EPERM;
		if (err)
			goto out;
	}
	err = shared_object_truncate(v, size);
	if (err)
		goto out;
	vnode_remove_privileges(v);
	err = v->ops->truncate(v, size);
	v->version++;
	vnode_forget_attr(v);
out:
	mutex_unlock(&v->lock);
	return err;
}

long vnode_read(struct vnode *v, struct uio *uio, u64 offset)
{
	if (unlikely(shared_object_active(v)))
		return shared_object_read(v, uio, offset);
	if (!v->ops->read)
		return -EINVAL;
	return v->ops->read(v, uio, offset);
}

static long write_locked(struct vnode *v, struct uio *uio, u64 offset)
{
	long ret;

	vnode_remove_privileges(v);
	if (unlikely(shared_object_active(v)))
		ret = shared_object_write(v, uio, offset);
	else
		ret = v->ops->write(v, uio, offset);
	v->version++;
	vnode_forget_attr(v);
	return ret;
}

long vnode_write(struct vnode *v, struct uio *uio, u64 *offset, bool append, u64 size_limit)
{
	struct vattr attr;
	u64 at = *offset;
	long ret;

	if (v->fs->flags & FS_READ_ONLY)
		return -EROFS;
	if (!v->ops->write)
		return -EINVAL;
	mutex_lock(&v->lock);
	if (append || v->seals) {
		ret = vnode_getattr(v, &attr);
		if (ret)
			goto out;
		if (append)
			at = attr.size;
		ret = -EPERM;
		if (v->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
			goto out;
		if ((v->seals & F_SEAL_GROW) && at + uio->left > attr.size) {
			if (at >= attr.size)
				goto out;
			uio->left = attr.size - at;
		}
	}
	ret = -EFBIG;
	if (at >= size_limit || at > (u64)INT64_MAX - uio->left)
		goto out;
	if (uio->left > size_limit - at)
		uio->left = size_limit - at;
	ret = write_locked(v, uio, at);
	if (ret >= 0)
		*offset = at;
out:
	mutex_unlock(&v->lock);
	return ret;
}

int vnode_get_write(struct vnode *v)
{
	int err = 0;

	spin_lock(&v->attr_lock);
	if (v->deny_write)
		err = -ETXTBSY;
	else
		v->writers++;
	spin_unlock(&v->attr_lock);
	return err;
}

void vnode_put_write(struct vnode *v)
{
	spin_lock(&v->attr_lock);
	v->writers--;
	spin_unlock(&v->attr_lock);
}
