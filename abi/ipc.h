/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory. */
#pragma once

#include <stdint.h>

#define IPC_CREAT     01000
#define IPC_EXCL      02000
#define IPC_NOWAIT    04000
#define IPC_PRIVATE   0
#define IPC_RMID      0
#define IPC_SET	      1
#define IPC_STAT      2
#define IPC_INFO      3
#define IPC_64	      0x0100

#define SHM_LOCK      11
#define SHM_UNLOCK    12
#define SHM_STAT      13
#define SHM_INFO      14
#define SHM_STAT_ANY  15

#define SHM_RDONLY    010000
#define SHM_RND	      020000
#define SHM_REMAP     040000
#define SHM_EXEC      0100000
#define SHM_HUGETLB   04000
#define SHM_NORESERVE 010000
#define SHM_DEST      01000
#define SHM_LOCKED    02000
#define SHMLBA	      4096

struct abi_ipc_perm {
	int32_t key;
	uint32_t uid, gid, cuid, cgid;
	uint32_t mode;
	uint16_t sequence, pad;
	uint32_t pad1;
	uint64_t unused[2];
};

struct abi_shmid_ds {
	struct abi_ipc_perm perm;
	uint64_t size;
	int64_t atime, dtime, ctime;
	int32_t creator_pid, last_pid;
	uint64_t attach_count;
	uint64_t unused[2];
};
_Static_assert(sizeof(struct abi_shmid_ds) == 112, "shmid64_ds");

struct abi_shminfo {
	uint64_t max, min, segments, per_process, all;
	uint64_t unused[4];
};

struct abi_shm_info {
	int32_t used_ids, pad;
	uint64_t total, resident, swapped, swap_attempts, swap_successes;
};
