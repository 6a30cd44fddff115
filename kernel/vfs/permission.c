/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what. Programs run as root unless they change their ids or give up capabilities; then
 * owner, group and other bits decide as on Linux. The kernel itself (no current process yet) is
 * root; when it starts a program for the host, it opens the file as the user that the program will
 * be.
 */
#include "abi/errno.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/walk.h"

static const struct credentials *caller(void)
{
	struct thread *t = current_thread();

	if (t && t->acts_as)
		return t->acts_as;
	return t && t->process ? &t->process->cred : NULL;
}

void vfs_caller_ids(u32 *ret_uid, u32 *ret_gid)
{
	const struct credentials *c = caller();

	*ret_uid = c ? c->fsuid : 0;
	*ret_gid = c ? c->fsgid : 0;
}

bool vfs_caller_capable(enum abi_capability cap)
{
	const struct credentials *c = caller();

	return !c || credentials_capable(c, cap);
}

u32 vfs_caller_shares(void)
{
	return vfs_caller_capable(CAP_SYS_RESOURCE) ? 2 : 1;
}

static bool in_group(const struct credentials *c, u32 own, u32 gid)
{
	if (own == gid)
		return true;
	for (u32 i = 0; i < c->group_count && i < ARRAY_SIZE(c->groups); i++) {
		if (c->groups[i] == gid)
			return true;
	}
	return false;
}

bool vfs_caller_in_group(u32 gid)
{
	const struct credentials *c = caller();

	return !c || in_group(c, c->fsgid, gid);
}

static bool capable(const struct credentials *c, enum abi_capability cap, bool really)
{
	return !c || (really ? credentials_capable_really(c, cap) : credentials_capable(c, cap));
}

/* Nobody executes a file that has no x bit at all. */
static bool may_override(const struct credentials *c, u32 mode, u32 mask, bool really)
{
	bool is_dir = S_ISDIR(mode);

	if (((mask & X_OK) == 0 || is_dir || (mode & 0111)) && capable(c, CAP_DAC_OVERRIDE, really))
		return true;
	return !(mask & W_OK) && (is_dir || !(mask & X_OK)) &&
	       capable(c, CAP_DAC_READ_SEARCH, really);
}

int vnode_access(struct vnode *v, u32 mask, bool real_ids)
{
	const struct credentials *c = caller();
	u32 mode = __atomic_load_n(&v->mode, __ATOMIC_RELAXED);
	u32 uid = 0, gid = 0, granted;

	if ((mask & W_OK) && (v->fs->flags & FS_READ_ONLY) &&
	    (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
		return -EROFS;
	if ((mask & X_OK) && S_ISREG(mode) && (v->fs->flags & FS_NOEXEC))
		return -EACCES;
	if (c) {
		uid = real_ids ? c->uid : c->fsuid;
		gid = real_ids ? c->gid : c->fsgid;
	}
	granted = mode;
	if (uid == v->uid)
		granted >>= 6;
	else if (!c || in_group(c, gid, v->gid))
		granted >>= 3;
	if (!(mask & ~granted & 7) || may_override(c, mode, mask, real_ids))
		return 0;
	return -EACCES;
}

int vnode_permission(struct vnode *v, u32 mask)
{
	return vnode_access(v, mask, false);
}

int vnode_owner_or_capable(struct vnode *v)
{
	const struct credentials *c = caller();

	return !c || c->fsuid == v->uid || credentials_capable(c, CAP_FOWNER) ? 0 : -EPERM;
}
