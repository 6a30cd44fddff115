/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts are shared by the threads of a process (and by clone(CLONE_FS)). The system root is
 * initfs until system call 363 puts the application's tree in its place; processes that exist then
 * keep the root with which they started.
 */
#include "kernel/vfs/context.h"

#include "kernel/core/kmem.h"

static struct spinlock root_lock = SPINLOCK_INIT(LOCK_ROOT);
static struct dentry *system_root;

void fs_context_set_system_root(struct dentry *d)
{
	struct dentry *old;

	spin_lock(&root_lock);
	old = system_root;
	system_root = d;
	spin_unlock(&root_lock);
	dentry_put(old);
}

struct dentry *fs_context_system_root(void)
{
	struct dentry *d;

	spin_lock(&root_lock);
	d = system_root ? dentry_get(system_root) : NULL;
	spin_unlock(&root_lock);
	return d;
}

struct fs_context *fs_context_new(void)
{
	struct fs_context *ctx = kzalloc(sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->refs = 1;
	ctx->umask = 022;
	spin_init(&ctx->lock, LOCK_FS_CONTEXT);
	ctx->root = fs_context_system_root();
	if (ctx->root)
		ctx->cwd = dentry_get(ctx->root);
	return ctx;
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct fs_context *ctx = kzalloc(sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->refs = 1;
	spin_init(&ctx->lock, LOCK_FS_CONTEXT);
	ctx->umask = fs_context_umask(from);
	ctx->root = fs_context_root(from);
	ctx->cwd = fs_context_cwd(from);
	return ctx;
}

struct fs_context *fs_context_get(struct fs_context *ctx)
{
	__atomic_fetch_add(&ctx->refs, 1, __ATOMIC_RELAXED);
	return ctx;
}

void fs_context_put(struct fs_context *ctx)
{
	if (!ctx || __atomic_sub_fetch(&ctx->refs, 1, __ATOMIC_ACQ_REL))
		return;
	dentry_put(ctx->cwd);
	dentry_put(ctx->root);
	kfree(ctx);
}

struct dentry *fs_context_root(struct fs_context *ctx)
{
	struct dentry *d;

	spin_lock(&ctx->lock);
	d = ctx->root ? dentry_get(ctx->root) : NULL;
	spin_unlock(&ctx->lock);
	return d;
}

struct dentry *fs_context_cwd(struct fs_context *ctx)
{
	struct dentry *d;

	spin_lock(&ctx->lock);
	d = ctx->cwd ? dentry_get(ctx->cwd) : NULL;
	spin_unlock(&ctx->lock);
	return d;
}

void fs_context_set_cwd(struct fs_context *ctx, struct dentry *d)
{
	struct dentry *old;

	spin_lock(&ctx->lock);
	old = ctx->cwd;
	ctx->cwd = d;
	spin_unlock(&ctx->lock);
	dentry_put(old);
}

u32 fs_context_umask(struct fs_context *ctx)
{
	return __atomic_load_n(&ctx->umask, __ATOMIC_RELAXED);
}

u32 fs_context_set_umask(struct fs_context *ctx, u32 mask)
{
	return __atomic_exchange_n(&ctx->umask, mask & 0777, __ATOMIC_RELAXED);
}
