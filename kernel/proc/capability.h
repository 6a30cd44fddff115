/* SPDX-License-Identifier: Apache-2.0 */
/* User ids, group ids and capabilities of a process: who it is, and what it may do. */
#pragma once

#include <stdbool.h>

#include "abi/capability.h"
#include "lib/base/types.h"

/* capabilities(7) has the rules; each set is a mask of 1 << CAP_*. */
struct capabilities {
	u64 permitted, effective, inheritable, bounding, ambient;
	u32 secure_bits; /* SECBIT_*, survives exec but for SECBIT_KEEP_CAPS */
};

struct credentials {
	u32 uid, euid, suid, fsuid;
	u32 gid, egid, sgid, fsgid;
	u32 groups[32];
	u32 group_count;
	struct capabilities caps;
};

/* A user of no group but `gid`; user 0 is root of the instance, others have no capabilities. */
void credentials_init(struct credentials *c, u32 uid, u32 gid);

static inline bool credentials_capable(const struct credentials *c, enum abi_capability cap)
{
	return c->caps.effective >> cap & 1;
}

/* What access() asks by the real ids: the sets that a program of the real user would have. */
bool credentials_capable_really(const struct credentials *c, enum abi_capability cap);

/* After the user ids of *c changed from those of *old; the other after a setfsuid(). */
void capabilities_follow_uids(struct credentials *c, const struct credentials *old);
void capabilities_follow_fsuid(struct credentials *c, u32 old_fsuid);

/* After execve() gave *c its new effective ids. `may_gain`: not PR_SET_NO_NEW_PRIVS. */
void capabilities_exec(struct credentials *c, bool may_gain);

/* capset(): 0 or -EPERM. Bits above the last capability are dropped. */
int __must_check capabilities_set(struct credentials *c, u64 permitted, u64 effective,
				  u64 inheritable);

/* PR_CAPBSET_*, PR_CAP_AMBIENT, PR_*_SECUREBITS and PR_*_KEEPCAPS. */
long capabilities_prctl(struct credentials *c, int option, u64 arg2, u64 arg3, u64 arg4, u64 arg5);
