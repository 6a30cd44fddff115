/* SPDX-License-Identifier: Apache-2.0 */
/* System V semaphores. */
#pragma once

#include "kernel/ipc/ids.h"

#define SEM_PER_SET   32000
#define SEM_PER_OP    500
#define SEM_TOTAL     256000 /* in all sets: each costs kernel memory */
#define SEM_MAX_VALUE 32767

struct process;

/* Bodies of the calls. Ids, counts, values, 0, or -errno as in the manual. */
long sem_get(s32 key, s32 count, u32 flags);
/* `ops` are kernel memory, 1 to SEM_PER_OP of them. `deadline` is monotonic ns. */
long sem_op(s32 id, const struct abi_sembuf *ops, u32 count, u64 deadline);
int __must_check sem_remove(s32 id);
int __must_check sem_set_perm(s32 id, const struct abi_ipc_perm *perm);
/* 0, or by index the id. */
long sem_stat(s32 id, enum ipc_stat_how how, struct abi_semid_ds *ret);
/* GETVAL, GETPID, GETNCNT, GETZCNT. */
long sem_query(s32 id, s32 number, int what);
int __must_check sem_set_value(s32 id, s32 number, s32 value);
/* All values; kmalloc'ed by the callee, count through ret_count. */
int __must_check sem_get_all(s32 id, u16 **ret_values, u32 *ret_count);
/* How many SETALL wants, then setting exactly so many. */
long sem_count(s32 id);
int __must_check sem_set_all(s32 id, const u16 *values, u32 count);

struct sem_totals {
	u32 sets, semaphores;
	s32 highest_index;
};
void sem_totals(struct sem_totals *ret);

/* The end of a process: its SEM_UNDO operations are taken back. */
void sem_process_exit(struct process *p);
