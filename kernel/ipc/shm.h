/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory segments. */
#pragma once

#include "kernel/ipc/ids.h"

#define SHM_SEGMENTS_MAX IPC_OBJECTS_MAX

struct abi_shmid_ds;
struct mm;
struct process;

/* Bodies of the calls: id, address, 0 or -errno. */
long shm_get(s32 key, u64 size, u32 flags);
long shm_attach(s32 id, u64 address, u32 flags);
int __must_check shm_detach(u64 address);
/* 0, or by index the id; -EINVAL, -EACCES. */
long __must_check shm_stat(s32 id, enum ipc_stat_how how, struct abi_shmid_ds *ret);
int __must_check shm_set(s32 id, const struct abi_shmid_ds *values);
int __must_check shm_remove(s32 id);
int __must_check shm_may_lock(s32 id, bool lock_it); /* SHM_LOCK, SHM_UNLOCK: 0, -EINVAL, -EPERM */

struct shm_totals {
	u32 segments;
	u64 bytes;
	s32 highest_index;
};
void shm_totals(struct shm_totals *ret);

/* The child of a fork has what its parent has attached. -ENOMEM: shm_process_exit() ends it. */
int __must_check shm_process_fork(struct process *p, struct process *child);
/* exec and exit: the process's attachments are gone; its memory is unmapped by mm. */
void shm_process_exit(struct process *p);
