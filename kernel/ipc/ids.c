// SPDX-License-Identifier: Apache-2.0
/* Ids, keys and owners of System V IPC objects. No lock of its own: see the header. */
#include "kernel/ipc/ids.h"

#include "abi/errno.h"
#include "kernel/proc/process.h"
#include "kernel/time/clock.h"
#include "kernel/time/timespec.h"

#define INDEX_BITS    12
#define SEQUENCE_MASK 0x3ffffu /* ids stay positive */
static_assert(IPC_OBJECTS_MAX == 1 << INDEX_BITS, "an id holds an index");

s64 ipc_now(void)
{
	return (s64)(clock_realtime_ns() / NS_PER_SEC);
}

int ipc_add(struct ipc_table *t, struct ipc_object *o, s32 key, u32 flags)
{
	const struct credentials *c = &current_process()->cred;
	u32 index = 0;

	while (index < IPC_OBJECTS_MAX && t->slots[index])
		index++;
	if (index == IPC_OBJECTS_MAX)
		return -ENOSPC;
	t->sequence = (t->sequence + 1) & SEQUENCE_MASK;
	o->id = (s32)(t->sequence << INDEX_BITS | index);
	o->key = key;
	o->mode = flags & 0777;
	o->uid = o->creator_uid = c->euid;
	o->gid = o->creator_gid = c->egid;
	o->change_time = ipc_now();
	t->slots[index] = o;
	return 0;
}

void ipc_remove(struct ipc_table *t, struct ipc_object *o)
{
	t->slots[o->id & (IPC_OBJECTS_MAX - 1)] = NULL;
}

static struct ipc_object *find_key(struct ipc_table *t, s32 key)
{
	for (u32 i = 0; i < IPC_OBJECTS_MAX; i++) {
		if (t->slots[i] && t->slots[i]->key == key && !t->slots[i]->is_removed)
			return t->slots[i];
	}
	return NULL;
}

int ipc_open(struct ipc_table *t, s32 key, u32 flags, struct ipc_object **ret)
{
	struct ipc_object *o = key == IPC_PRIVATE ? NULL : find_key(t, key);

	if (!o && key != IPC_PRIVATE && !(flags & IPC_CREAT))
		return -ENOENT;
	if (o && (flags & IPC_CREAT) && (flags & IPC_EXCL))
		return -EEXIST;
	*ret = o;
	return 0;
}

bool ipc_may_get(const struct ipc_object *o, u32 flags)
{
	return ipc_may_access(o, ((flags >> 6) | (flags >> 3) | flags) & 7);
}

struct ipc_object *ipc_find_index(struct ipc_table *t, s32 index)
{
	return index >= 0 && index < IPC_OBJECTS_MAX ? t->slots[index] : NULL;
}

struct ipc_object *ipc_find(struct ipc_table *t, s32 id)
{
	struct ipc_object *o = id < 0 ? NULL : t->slots[id & (IPC_OBJECTS_MAX - 1)];

	return o && o->id == id ? o : NULL;
}

s32 ipc_highest_index(const struct ipc_table *t)
{
	s32 index = IPC_OBJECTS_MAX - 1;

	while (index > 0 && !t->slots[index])
		index--;
	return index;
}

u32 ipc_count(const struct ipc_table *t)
{
	u32 count = 0;

	for (u32 i = 0; i < IPC_OBJECTS_MAX; i++)
		count += t->slots[i] != NULL;
	return count;
}

static bool in_group(const struct credentials *c, u32 gid)
{
	if (c->egid == gid)
		return true;
	for (u32 i = 0; i < c->group_count; i++) {
		if (c->groups[i] == gid)
			return true;
	}
	return false;
}

bool ipc_may_access(const struct ipc_object *o, u32 wanted)
{
	const struct credentials *c = &current_process()->cred;
	u32 granted = o->mode;

	if (credentials_capable(c, CAP_IPC_OWNER))
		return true;
	if (c->euid == o->uid || c->euid == o->creator_uid)
		granted >>= 6;
	else if (in_group(c, o->gid) || in_group(c, o->creator_gid))
		granted >>= 3;
	return !(wanted & ~granted & 7);
}

int ipc_find_owned(struct ipc_table *t, s32 id, struct ipc_object **ret)
{
	const struct credentials *c = &current_process()->cred;
	struct ipc_object *o = ipc_find(t, id);

	if (!o)
		return -EINVAL;
	if (c->euid != o->uid && c->euid != o->creator_uid &&
	    !credentials_capable(c, CAP_SYS_ADMIN))
		return -EPERM;
	*ret = o;
	return 0;
}

static void get_perm(const struct ipc_object *o, struct abi_ipc_perm *ret)
{
	*ret = (struct abi_ipc_perm){
		.key = o->is_removed ? IPC_PRIVATE : o->key,
		.uid = o->uid,
		.gid = o->gid,
		.cuid = o->creator_uid,
		.cgid = o->creator_gid,
		.mode = o->mode,
		.sequence = (u16)(o->id >> INDEX_BITS),
	};
}

long ipc_stat(struct ipc_table *t, s32 id, enum ipc_stat_how how, struct ipc_object **ret,
	      struct abi_ipc_perm *ret_perm)
{
	struct ipc_object *o = how == IPC_STAT_ID ? ipc_find(t, id) : ipc_find_index(t, id);

	if (!o)
		return -EINVAL;
	if (how != IPC_STAT_INDEX_ANY && !ipc_may_access(o, 4))
		return -EACCES;
	get_perm(o, ret_perm);
	*ret = o;
	return how == IPC_STAT_ID ? 0 : o->id;
}

void ipc_set_perm(struct ipc_object *o, const struct abi_ipc_perm *perm)
{
	o->uid = perm->uid;
	o->gid = perm->gid;
	o->mode = (o->mode & ~0777u) | (perm->mode & 0777);
	o->change_time = ipc_now();
}
