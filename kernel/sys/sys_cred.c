// SPDX-License-Identifier: Apache-2.0
/*
 * User and group ids, capabilities. Programs run as root of their instance; ids and capabilities
 * can be dropped and are then checked as Linux checks them, which is all they mean: one instance is
 * one security zone.
 */
#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscalls_gen.h"

#define KEEP UINT32_MAX

static struct credentials *cred(void)
{
	return &current_process()->cred;
}

static bool capable(enum abi_capability cap)
{
	return credentials_capable(cred(), cap);
}

static bool may_be_uid(const struct credentials *c, u32 uid)
{
	return uid == KEEP || uid == c->uid || uid == c->euid || uid == c->suid;
}

static bool may_be_gid(const struct credentials *c, u32 gid)
{
	return gid == KEEP || gid == c->gid || gid == c->egid || gid == c->sgid;
}

long sys_getuid(void)
{
	return cred()->uid;
}

long sys_geteuid(void)
{
	return cred()->euid;
}

long sys_getgid(void)
{
	return cred()->gid;
}

long sys_getegid(void)
{
	return cred()->egid;
}

static void change_uids(struct credentials *c, u32 ruid, u32 euid, u32 suid)
{
	const struct credentials old = *c;

	if (ruid != KEEP)
		c->uid = ruid;
	if (euid != KEEP)
		c->euid = euid;
	if (suid != KEEP)
		c->suid = suid;
	c->fsuid = c->euid;
	capabilities_follow_uids(c, &old);
	process_changed_ids(current_process(), &old);
}

static void change_gids(struct credentials *c, u32 rgid, u32 egid, u32 sgid)
{
	const struct credentials old = *c;

	if (rgid != KEEP)
		c->gid = rgid;
	if (egid != KEEP)
		c->egid = egid;
	if (sgid != KEEP)
		c->sgid = sgid;
	c->fsgid = c->egid;
	process_changed_ids(current_process(), &old);
}

long sys_setuid(u32 uid)
{
	struct credentials *c = cred();

	if (uid == KEEP)
		return -EINVAL;
	if (capable(CAP_SETUID))
		change_uids(c, uid, uid, uid);
	else if (uid == c->uid || uid == c->suid)
		change_uids(c, KEEP, uid, KEEP);
	else
		return -EPERM;
	return 0;
}

long sys_setgid(u32 gid)
{
	struct credentials *c = cred();

	if (gid == KEEP)
		return -EINVAL;
	if (capable(CAP_SETGID))
		change_gids(c, gid, gid, gid);
	else if (gid == c->gid || gid == c->sgid)
		change_gids(c, KEEP, gid, KEEP);
	else
		return -EPERM;
	return 0;
}

long sys_setreuid(u32 ruid, u32 euid)
{
	struct credentials *c = cred();
	u32 old = c->uid, suid = KEEP;

	if (!capable(CAP_SETUID) &&
	    ((ruid != KEEP && ruid != c->uid && ruid != c->euid) || !may_be_uid(c, euid)))
		return -EPERM;
	if (ruid != KEEP || (euid != KEEP && euid != old))
		suid = euid != KEEP ? euid : c->euid;
	change_uids(c, ruid, euid, suid);
	return 0;
}

long sys_setregid(u32 rgid, u32 egid)
{
	struct credentials *c = cred();
	u32 old = c->gid;

	if (!capable(CAP_SETGID) &&
	    ((rgid != KEEP && rgid != c->gid && rgid != c->egid) || !may_be_gid(c, egid)))
		return -EPERM;
	change_gids(c, rgid, egid, KEEP);
	if (rgid != KEEP || (egid != KEEP && egid != old))
		c->sgid = c->egid;
	return 0;
}

long sys_setresuid(u32 ruid, u32 euid, u32 suid)
{
	struct credentials *c = cred();

	if (!capable(CAP_SETUID) &&
	    !(may_be_uid(c, ruid) && may_be_uid(c, euid) && may_be_uid(c, suid)))
		return -EPERM;
	change_uids(c, ruid, euid, suid);
	return 0;
}

long sys_setresgid(u32 rgid, u32 egid, u32 sgid)
{
	struct credentials *c = cred();

	if (!capable(CAP_SETGID) &&
	    !(may_be_gid(c, rgid) && may_be_gid(c, egid) && may_be_gid(c, sgid)))
		return -EPERM;
	change_gids(c, rgid, egid, sgid);
	return 0;
}

static int put_three(void __user *a, void __user *b, void __user *c, u32 x, u32 y, u32 z)
{
	if (put_user_u32(a, x) || put_user_u32(b, y) || put_user_u32(c, z))
		return -EFAULT;
	return 0;
}

long sys_getresuid(void __user *ruid, void __user *euid, void __user *suid)
{
	const struct credentials *c = cred();

	return put_three(ruid, euid, suid, c->uid, c->euid, c->suid);
}

long sys_getresgid(void __user *rgid, void __user *egid, void __user *sgid)
{
	const struct credentials *c = cred();

	return put_three(rgid, egid, sgid, c->gid, c->egid, c->sgid);
}

long sys_setfsuid(u32 uid)
{
	struct credentials *c = cred();
	const struct credentials old = *c;

	if (uid != KEEP && (capable(CAP_SETUID) || uid == old.fsuid || may_be_uid(c, uid)))
		c->fsuid = uid;
	capabilities_follow_fsuid(c, old.fsuid);
	process_changed_ids(current_process(), &old);
	return old.fsuid;
}

long sys_setfsgid(u32 gid)
{
	struct credentials *c = cred();
	const struct credentials old = *c;

	if (gid != KEEP && (capable(CAP_SETGID) || gid == old.fsgid || may_be_gid(c, gid)))
		c->fsgid = gid;
	process_changed_ids(current_process(), &old);
	return old.fsgid;
}

long sys_getgroups(int count, void __user *groups)
{
	const struct credentials *c = cred();

	if (count < 0)
		return -EINVAL;
	if (!count)
		return c->group_count;
	if ((u32)count < c->group_count)
		return -EINVAL;
	if (copy_to_user(groups, c->groups, c->group_count * sizeof(c->groups[0])))
		return -EFAULT;
	return c->group_count;
}

long sys_setgroups(int count, const void __user *groups)
{
	struct credentials *c = cred();
	u32 copy[ARRAY_SIZE(c->groups)];

	if (!capable(CAP_SETGID))
		return -EPERM;
	if (count < 0 || (u32)count > ARRAY_SIZE(copy))
		return -EINVAL;
	if (copy_from_user(copy, groups, (u32)count * sizeof(copy[0])))
		return -EFAULT;
	for (int i = 0; i < count; i++)
		c->groups[i] = copy[i];
	c->group_count = (u32)count;
	return 0;
}

/* 1: v1 (one word), 2: v2 and v3; else the version that we prefer is stored and -EINVAL. */
static int read_cap_header(void __user *header, struct abi_cap_header *ret)
{
	if (copy_from_user(ret, header, sizeof(*ret)))
		return -EFAULT;
	if (ret->version == ABI_CAPABILITY_VERSION_1)
		return 1;
	if (ret->version == ABI_CAPABILITY_VERSION_2 || ret->version == ABI_CAPABILITY_VERSION_3)
		return 2;
	return put_user_u32(header, ABI_CAPABILITY_VERSION_3) ? -EFAULT : -EINVAL;
}

/* The sets of both words; the second is empty for callers of version 1. */
static void fill_sets(struct abi_cap_data out[2], const struct capabilities *k)
{
	for (int i = 0; i < 2; i++) {
		out[i].effective = (u32)(k->effective >> (32 * i));
		out[i].permitted = (u32)(k->permitted >> (32 * i));
		out[i].inheritable = (u32)(k->inheritable >> (32 * i));
	}
}

long sys_capget(void __user *header, void __user *data)
{
	struct abi_cap_header h;
	struct abi_cap_data out[2];
	struct process *p;
	int words = read_cap_header(header, &h);

	if (words < 0)
		return words == -EINVAL && !data ? 0 : words;
	if (h.pid < 0)
		return -EINVAL;
	if (!h.pid || h.pid == current_thread()->tid)
		p = process_get(current_process());
	else
		p = process_lookup(h.pid);
	if (!p)
		return -ESRCH;
	fill_sets(out, &p->cred.caps);
	process_put(p);
	return data ? copy_to_user(data, out, (u32)words * sizeof(out[0])) : 0;
}

/* Of the caller alone, as on Linux. */
long sys_capset(void __user *header, const void __user *data)
{
	struct abi_cap_header h;
	struct abi_cap_data in[2] = {{0}};
	int words = read_cap_header(header, &h);

	if (words < 0)
		return words;
	if (h.pid && h.pid != current_thread()->tid)
		return -EPERM;
	if (copy_from_user(in, data, (u32)words * sizeof(in[0])))
		return -EFAULT;
	return capabilities_set(cred(), in[0].permitted | (u64)in[1].permitted << 32,
				in[0].effective | (u64)in[1].effective << 32,
				in[0].inheritable | (u64)in[1].inheritable << 32);
}
