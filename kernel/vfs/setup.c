/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the tree of an instance from its configuration: init's at boot, the application's when
 * system call 363 asks for it, and taking both down again, the last volume's commit included.
 */
#include "abi/errno.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/core/reason.h"
#include "kernel/fs/devfs/devfs.h"
#include "kernel/fs/devpts/devpts.h"
#include "kernel/fs/hostfs/hostfs.h"
#include "kernel/fs/procfs/procfs.h"
#include "kernel/fs/ramfs/ramfs.h"
#include "kernel/fs/secvol/volume.h"
#include "kernel/fs/unionfs/unionfs.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/host_names.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/names.h"
#include "kernel/vfs/pagecache.h"
#include "lib/base/string.h"

#define LOG_TAG "vfs"
#include "kernel/core/log.h"

static bool app_is_mounted; /* once: system call 363 */

static void fs_discard(struct filesystem *fs)
{
	if (fs->ops->shutdown && fs->ops->shutdown(fs))
		log_warn("A file system could not be closed after a failed mount.");
}

/* Lowest first in the configuration; topmost first for the union. */
static int open_union(const struct config_mount *m, const u8 *key, bool is_init,
		      struct filesystem **ret)
{
	struct filesystem *lowers[UNION_LOWER_MAX], *upper = NULL;
	const struct config_volume *top = &m->layers[m->layer_count - 1];
	u32 count = m->layer_count - 1, opened = 0;
	int err = 0;

	if (count > UNION_LOWER_MAX)
		return -EINVAL;
	while (opened < count && !err) {
		/* From the bottom up: the digest of the topmost image binds the layer above. */
		err = volume_open(&m->layers[opened], key, NULL, m->cache_size,
				  &lowers[count - 1 - opened]);
		opened += !err;
	}
	if (!err && is_init && top->role == CONFIG_ROLE_TEMPORARY)
		err = ramfs_new("tmpfs", 0755, 0, &upper); /* never leaves the enclave */
	else if (!err)
		err = volume_open(top, key, m->layers[count - 1].digest, m->cache_size, &upper);
	if (!err) {
		err = unionfs_new(upper, lowers, count, ret);
		if (err)
			fs_discard(upper);
	}
	for (u32 i = 0; err && i < opened; i++)
		fs_discard(lowers[count - 1 - i]);
	return err;
}

static int open_fs(const struct config_mount *m, const u8 *key, bool is_init,
		   struct filesystem **ret)
{
	switch (m->type) {
	case CONFIG_FS_UNIONFS: return open_union(m, key, is_init, ret);
	case CONFIG_FS_SEFS: return volume_open(&m->layers[0], key, NULL, m->cache_size, ret);
	case CONFIG_FS_HOSTFS: return hostfs_new(m->source, m->may_exec, ret);
	case CONFIG_FS_RAMFS: return ramfs_new("tmpfs", 01777, FS_NOSUID | FS_NODEV, ret);
	case CONFIG_FS_PROCFS: return procfs_new(ret);
	case CONFIG_FS_DEVFS: return devfs_new(ret);
	}
	return -EINVAL;
}

/* Mount points that the image lacks are made above it. */
static int make_point(struct fs_context *ctx, const char *path)
{
	char part[256];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= len; i++) {
		int err;

		if (i < len && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		err = name_make(ctx, NULL, part, S_IFDIR | 0755, 0);
		if (err && err != -EEXIST)
			return err;
	}
	return 0;
}

static int mount_one(struct fs_context *ctx, const char *target, struct filesystem *fs)
{
	int err = mount_at(ctx->root, target, fs);

	if (err == -ENOENT) {
		err = make_point(ctx, target);
		if (!err)
			err = mount_at(ctx->root, target, fs);
	}
	if (err) {
		log_always(
			"Nothing can be mounted at %s: %s (error %d); mount.target names a folder, "
			"which is made where the file system below is writable.",
			target, error_reason(err), -err);
		fs_discard(fs);
	}
	return err;
}

static int mount_shm(struct fs_context *ctx)
{
	struct filesystem *fs;
	int err = ramfs_new("tmpfs", 01777, FS_NOSUID | FS_NODEV, &fs);

	return err ? err : mount_one(ctx, "/dev/shm", fs);
}

static const char *source_kind(const struct config_mount *m)
{
	return m->type == CONFIG_FS_HOSTFS ? "the host's folder " : "a file system in memory";
}

static const char *source_name(const struct config_mount *m)
{
	return m->type == CONFIG_FS_HOSTFS ? m->source : "";
}

static int mount_pts(struct fs_context *ctx)
{
	struct filesystem *fs;
	int err = devpts_new(&fs);

	return err ? err : mount_one(ctx, "/dev/pts", fs);
}

static int mount_rest(const struct config_stage *stage, struct dentry *root, const u8 *key)
{
	struct fs_context *ctx = fs_context_new();
	int err = ctx ? 0 : -ENOMEM;

	if (err)
		return err;
	dentry_put(ctx->root);
	dentry_put(ctx->cwd);
	ctx->root = dentry_get(root);
	ctx->cwd = dentry_get(root);
	for (u32 i = 1; i < stage->mount_count && !err; i++) {
		const struct config_mount *m = &stage->mounts[i];
		struct filesystem *fs;

		err = open_fs(m, key, false, &fs);
		if (!err)
			err = mount_one(ctx, m->target, fs);
		else if (m->type != CONFIG_FS_SEFS && m->type != CONFIG_FS_UNIONFS)
			log_always("What is to be mounted at %s (%s%s) cannot be opened: %s "
				   "(error %d).",
				   m->target, source_kind(m), source_name(m), error_reason(err),
				   -err); /* volumes have said so themselves */
		if (!err && m->type == CONFIG_FS_DEVFS)
			err = mount_shm(ctx);
		if (!err && m->type == CONFIG_FS_DEVFS)
			err = mount_pts(ctx);
	}
	fs_context_put(ctx);
	return err;
}

static int mount_stage(const struct config_stage *stage, const u8 *key, bool is_init)
{
	struct filesystem *fs;
	struct dentry *root;
	int err = open_fs(&stage->mounts[0], key, is_init, &fs);

	if (err)
		return err;
	err = mount_root(fs, &root);
	if (err) {
		fs_discard(fs);
		return err;
	}
	err = mount_rest(stage, root, key);
	if (err) {
		dentry_put(root); /* what was mounted goes with vfs_shutdown() */
		return err;
	}
	fs_context_set_system_root(root);
	return 0;
}

int vfs_mount_init(void)
{
	int err;

	dentry_cache_init();
	page_cache_init(kernel_config()->kernel_heap_size / 4);
	err = anon_fs_init();
	return err ? err : mount_stage(&kernel_config()->init, NULL, true);
}

int vfs_mount_app(const u8 key[16], bool has_key)
{
	int err;

	if (__atomic_exchange_n(&app_is_mounted, true, __ATOMIC_ACQ_REL))
		return -EPERM;
	err = mount_stage(&kernel_config()->app, has_key ? key : NULL, false);
	if (err) {
		__atomic_store_n(&app_is_mounted, false, __ATOMIC_RELEASE);
		return err;
	}
	host_names_write();
	return 0;
}

bool vfs_has_app(void)
{
	return __atomic_load_n(&app_is_mounted, __ATOMIC_ACQUIRE);
}

int vfs_shutdown(void)
{
	fs_context_set_system_root(NULL);
	return mount_unmount_all();
}
