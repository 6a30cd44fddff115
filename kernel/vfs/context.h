/* SPDX-License-Identifier: Apache-2.0 */
/* Where a process stands in the tree of names: root, working directory, umask. */
#pragma once

#include "kernel/sync/spinlock.h"
#include "kernel/vfs/dentry.h"

struct fs_context {
	u32 refs; /* atomic */
	struct spinlock lock;
	struct dentry *root, *cwd; /* lock; counted */
	u32 umask;		   /* atomic */
};

/* Does another process have it, too? NULL: that of a program which has none yet. */
static inline bool fs_context_is_shared(const struct fs_context *ctx)
{
	return ctx && __atomic_load_n(&ctx->refs, __ATOMIC_ACQUIRE) > 1;
}

/* Counted. */
struct dentry *fs_context_root(struct fs_context *ctx);
struct dentry *fs_context_cwd(struct fs_context *ctx);
void fs_context_set_cwd(struct fs_context *ctx, struct dentry *d); /* consumes d */
u32 fs_context_umask(struct fs_context *ctx);
u32 fs_context_set_umask(struct fs_context *ctx, u32 mask);

/* The root that new contexts get; consumes d. */
void fs_context_set_system_root(struct dentry *d);
struct dentry *fs_context_system_root(void); /* counted or NULL */
