/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts are made while the instance boots (and by system call 363) and go at shutdown, in the
 * opposite order. One mutex orders both; the walk reads dentry.covered, which is set once.
 */
#include "kernel/vfs/mount.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/vfs/walk.h"

static struct mutex lock = MUTEX_INIT(lock, LOCK_MOUNTS);
static struct list_node mounts = LIST_INIT(mounts);
static u32 next_id = 1;

static struct mount *mount_new(struct filesystem *fs)
{
	struct mount *m = kzalloc(sizeof(*m));

	if (!m)
		return NULL;
	m->fs = fs;
	m->id = next_id++;
	list_init(&m->node);
	m->root = dentry_new_root(m, vnode_get(fs->root));
	if (!m->root) {
		vnode_put(fs->root);
		kfree(m);
		return NULL;
	}
	return m;
}

static void mount_publish(struct mount *m)
{
	mutex_lock(&lock);
	list_add_tail(&mounts, &m->node);
	mutex_unlock(&lock);
	fs_register(m->fs);
}

int mount_root(struct filesystem *fs, struct dentry **ret_root)
{
	struct mount *m = mount_new(fs);

	if (!m)
		return -ENOMEM;
	mount_publish(m);
	*ret_root = dentry_get(m->root);
	return 0;
}

int mount_at(struct dentry *root, const char *path, struct filesystem *fs)
{
	struct dentry *point;
	struct mount *m;
	int err;

	err = walk_path(NULL, root, path, WALK_FOLLOW | WALK_DIRECTORY, &point);
	if (err)
		return err;
	if (point->covered || !point->parent) {
		dentry_put(point);
		return -EBUSY;
	}
	m = mount_new(fs);
	if (!m) {
		dentry_put(point);
		return -ENOMEM;
	}
	m->point = point;
	__atomic_store_n(&point->covered, m, __ATOMIC_RELEASE);
	mount_publish(m);
	return 0;
}

int mount_file_at(struct dentry *root, const char *path, struct filesystem *fs)
{
	struct walk_last w;
	struct dentry *point;
	struct mount *m;
	int err = walk_parent(NULL, root, path, 0, &w);

	if (err)
		return err;
	err = w.kind == WALK_NAME ? dentry_lookup(w.dir, w.name, &point) : -EEXIST;
	walk_last_free(&w);
	if (err)
		return err;
	m = point->vnode || point->covered ? NULL : mount_new(fs);
	if (!m) {
		err = point->vnode || point->covered ? -EEXIST : -ENOMEM;
		dentry_put(point);
		return err;
	}
	m->point = point;
	__atomic_store_n(&point->covered, m, __ATOMIC_RELEASE);
	mount_publish(m);
	return 0;
}

int mount_for_each(int (*visit)(struct mount *m, void *arg), void *arg)
{
	struct mount *m;
	int ret = 0;

	mutex_lock(&lock);
	list_for_each_entry (m, &mounts, node) {
		ret = visit(m, arg);
		if (ret)
			break;
	}
	mutex_unlock(&lock);
	return ret;
}

/* Takes the newest mount away; its file system, which is still open, or NULL at the end. */
static struct filesystem *detach_last(void)
{
	struct filesystem *fs;
	struct mount *m;

	mutex_lock(&lock);
	m = list_is_empty(&mounts) ? NULL : list_last_entry(&mounts, struct mount, node);
	if (m)
		list_del(&m->node);
	mutex_unlock(&lock);
	if (!m)
		return NULL;
	fs = m->fs;
	if (m->point) {
		m->point->covered = NULL;
		dentry_put(m->point);
	}
	fs_unregister(fs);
	dentry_put(m->root);
	dentry_shrink(SIZE_MAX);
	if (fs->root->refs == 1)
		kfree(m);
	return fs;
}

int mount_unmount_all(void)
{
	struct filesystem *fs;
	int first = 0;

	dentry_shrink(SIZE_MAX);
	while ((fs = detach_last())) {
		bool is_busy = __atomic_load_n(&fs->root->refs, __ATOMIC_ACQUIRE) > 1;
		int err = 0;

		/* What a program still holds open stays; its bytes are committed all the same. */
		if (is_busy)
			err = fs->ops->sync ? fs->ops->sync(fs) : 0;
		else if (fs->ops->shutdown)
			err = fs->ops->shutdown(fs);
		if (err && !first)
			first = err;
	}
	return first;
}

void mount_detach_all(void)
{
	dentry_shrink(SIZE_MAX);
	while (detach_last())
		;
}
