// SPDX-License-Identifier: Apache-2.0
/*
 * Capabilities by the rules of capabilities(7), for files without capabilities of their own: root
 * has what the bounding set leaves it, and a change of user ids takes or gives accordingly.
 * As with the ids, all threads of a process share them. They order what programs of one instance
 * do to its files and to one another; they are no wall, because one instance is one security zone.
 */
#include "kernel/proc/capability.h"

#include "abi/errno.h"
#include "abi/process.h"

#define ALL	  ((1ull << (ABI_CAPABILITY_LAST + 1)) - 1)
#define MASK(cap) (1ull << (cap))
/* Those that an fsuid other than 0 does without. */
#define FS_MASK                                                                                    \
	(MASK(CAP_CHOWN) | MASK(CAP_MKNOD) | MASK(CAP_DAC_OVERRIDE) | MASK(CAP_DAC_READ_SEARCH) |  \
	 MASK(CAP_FOWNER) | MASK(CAP_FSETID) | MASK(CAP_LINUX_IMMUTABLE) | MASK(CAP_MAC_OVERRIDE))

void credentials_init(struct credentials *c, u32 uid, u32 gid)
{
	u64 held = uid ? 0 : ALL;

	*c = (struct credentials){
		.uid = uid,
		.euid = uid,
		.suid = uid,
		.fsuid = uid,
		.gid = gid,
		.egid = gid,
		.sgid = gid,
		.fsgid = gid,
		.groups = {gid},
		.group_count = 1,
		.caps = {.permitted = held, .effective = held, .bounding = ALL},
	};
}

bool credentials_capable_really(const struct credentials *c, enum abi_capability cap)
{
	if (c->caps.secure_bits & SECBIT_NO_SETUID_FIXUP)
		return credentials_capable(c, cap);
	return c->uid == 0 && (c->caps.permitted & MASK(cap));
}

void capabilities_follow_uids(struct credentials *c, const struct credentials *old)
{
	struct capabilities *k = &c->caps;
	bool was_root = old->uid == 0 || old->euid == 0 || old->suid == 0;

	if (k->secure_bits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (was_root && c->uid && c->euid && c->suid) {
		if (!(k->secure_bits & SECBIT_KEEP_CAPS))
			k->permitted = k->effective = 0;
		k->ambient = 0;
	}
	if (old->euid == 0 && c->euid)
		k->effective = 0;
	else if (old->euid && c->euid == 0)
		k->effective = k->permitted;
}

void capabilities_follow_fsuid(struct credentials *c, u32 old_fsuid)
{
	struct capabilities *k = &c->caps;

	if (k->secure_bits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (old_fsuid == 0 && c->fsuid)
		k->effective &= ~FS_MASK;
	else if (old_fsuid && c->fsuid == 0)
		k->effective |= k->permitted & FS_MASK;
}

void capabilities_exec(struct credentials *c, bool may_gain)
{
	struct capabilities *k = &c->caps;
	u64 had = k->permitted;
	bool is_root = false;

	k->permitted = 0;
	if (!(k->secure_bits & SECBIT_NOROOT) && (c->uid == 0 || c->euid == 0)) {
		k->permitted = k->bounding | k->inheritable;
		is_root = c->euid == 0;
	}
	if (!may_gain)
		k->permitted &= had;
	if (c->euid != c->uid || c->egid != c->gid)
		k->ambient = 0;
	k->permitted |= k->ambient;
	k->effective = is_root ? k->permitted : k->ambient;
	k->secure_bits &= ~SECBIT_KEEP_CAPS;
}

int capabilities_set(struct credentials *c, u64 permitted, u64 effective, u64 inheritable)
{
	struct capabilities *k = &c->caps;

	permitted &= ALL;
	effective &= ALL;
	inheritable &= ALL;
	if ((inheritable & ~(k->inheritable | k->permitted)) &&
	    !credentials_capable(c, CAP_SETPCAP))
		return -EPERM;
	if ((inheritable & ~(k->inheritable | k->bounding)) || (permitted & ~k->permitted) ||
	    (effective & ~permitted))
		return -EPERM;
	k->permitted = permitted;
	k->effective = effective;
	k->inheritable = inheritable;
	k->ambient &= permitted & inheritable;
	return 0;
}

static long ambient(struct capabilities *k, u64 what, u64 cap, u64 arg4, u64 arg5)
{
	if (what == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (cap || arg4 || arg5)
			return -EINVAL;
		k->ambient = 0;
		return 0;
	}
	if (cap > ABI_CAPABILITY_LAST || arg4 || arg5)
		return -EINVAL;
	switch (what) {
	case PR_CAP_AMBIENT_IS_SET: return k->ambient >> cap & 1;
	case PR_CAP_AMBIENT_LOWER: k->ambient &= ~MASK(cap); return 0;
	case PR_CAP_AMBIENT_RAISE:
		if (!(k->permitted & k->inheritable & MASK(cap)) ||
		    (k->secure_bits & SECBIT_NO_CAP_AMBIENT_RAISE))
			return -EPERM;
		k->ambient |= MASK(cap);
		return 0;
	default: return -EINVAL;
	}
}

static long set_secure_bits(struct credentials *c, u64 bits)
{
	u32 old = c->caps.secure_bits, locks = old & SECURE_ALL_LOCKS;

	if ((bits & ~(u64)(SECURE_ALL_BITS | SECURE_ALL_LOCKS)) || (locks & ~bits) ||
	    ((locks >> 1) & (old ^ bits)) || !credentials_capable(c, CAP_SETPCAP))
		return -EPERM;
	c->caps.secure_bits = (u32)bits;
	return 0;
}

static long keep(struct capabilities *k, u64 on)
{
	if (on > 1)
		return -EINVAL;
	if (k->secure_bits & (SECBIT_KEEP_CAPS << 1))
		return -EPERM;
	k->secure_bits = (k->secure_bits & ~SECBIT_KEEP_CAPS) | (on ? SECBIT_KEEP_CAPS : 0);
	return 0;
}

long capabilities_prctl(struct credentials *c, int option, u64 arg2, u64 arg3, u64 arg4, u64 arg5)
{
	struct capabilities *k = &c->caps;

	switch (option) {
	case PR_CAPBSET_READ: return arg2 > ABI_CAPABILITY_LAST ? -EINVAL : k->bounding >> arg2 & 1;
	case PR_CAPBSET_DROP:
		if (!credentials_capable(c, CAP_SETPCAP))
			return -EPERM;
		if (arg2 > ABI_CAPABILITY_LAST)
			return -EINVAL;
		k->bounding &= ~MASK(arg2);
		return 0;
	case PR_CAP_AMBIENT: return ambient(k, arg2, arg3, arg4, arg5);
	case PR_GET_SECUREBITS: return k->secure_bits;
	case PR_SET_SECUREBITS: return set_secure_bits(c, arg2);
	case PR_GET_KEEPCAPS: return (k->secure_bits & SECBIT_KEEP_CAPS) != 0;
	case PR_SET_KEEPCAPS: return keep(k, arg2);
	default: return -EINVAL;
	}
}
