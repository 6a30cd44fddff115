/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the objects of System V IPC have in common: ids, keys, owners, permissions. A table is
 * guarded by its owner's lock. Ids hold an index and a sequence number, so that an id of a removed
 * object is not taken for that of its successor.
 */
#pragma once

#include "abi/ipc.h"
#include "lib/base/types.h"

#define IPC_OBJECTS_MAX 4096

struct ipc_object {
	s32 id, key;
	u32 uid, gid, creator_uid, creator_gid, mode;
	s64 change_time;
	bool is_removed; /* its key is free again, it goes with its last user */
};

struct ipc_table {
	struct ipc_object *slots[IPC_OBJECTS_MAX];
	u32 sequence;
};

/* Gives a new object its id and the caller as owner. -ENOSPC. */
int __must_check ipc_add(struct ipc_table *t, struct ipc_object *o, s32 key, u32 flags);
void ipc_remove(struct ipc_table *t, struct ipc_object *o);

/*
 * For a get call: the object with that key. Success with NULL: it is to be made. -ENOENT, -EEXIST.
 * The caller checks size and ipc_may_get().
 */
int __must_check ipc_open(struct ipc_table *t, s32 key, u32 flags, struct ipc_object **ret);
bool ipc_may_get(const struct ipc_object *o, u32 flags);

/* For a call that changes or removes the object itself. Borrowed. -EINVAL, -EPERM. */
int __must_check ipc_find_owned(struct ipc_table *t, s32 id, struct ipc_object **ret);
struct ipc_object *ipc_find(struct ipc_table *t, s32 id);	   /* borrowed, or NULL */
struct ipc_object *ipc_find_index(struct ipc_table *t, s32 index); /* likewise */
s32 ipc_highest_index(const struct ipc_table *t);
u32 ipc_count(const struct ipc_table *t);

bool ipc_may_access(const struct ipc_object *o, u32 wanted); /* of 4 read, 2 write (alter) */

/* Whose state a ctl call asks for. */
enum ipc_stat_how {
	IPC_STAT_ID,
	IPC_STAT_INDEX,
	IPC_STAT_INDEX_ANY, /* without permission to read */
};

/*
 * The object asked about, with its owner and permissions in *ret_perm. Returns what the ctl call
 * returns: zero, or the id where it was asked by index. -EINVAL, -EACCES.
 */
long __must_check ipc_stat(struct ipc_table *t, s32 id, enum ipc_stat_how how,
			   struct ipc_object **ret, struct abi_ipc_perm *ret_perm);
void ipc_set_perm(struct ipc_object *o, const struct abi_ipc_perm *perm); /* its owner asks */
s64 ipc_now(void);							  /* seconds */
