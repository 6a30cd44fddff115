/* SPDX-License-Identifier: Apache-2.0 */
/* System V IPC: shared memory, semaphores, message queues. */
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

/* semctl */
#define GETPID	     11
#define GETVAL	     12
#define GETALL	     13
#define GETNCNT	     14
#define GETZCNT	     15
#define SETVAL	     16
#define SETALL	     17
#define SEM_STAT     18
#define SEM_INFO     19
#define SEM_STAT_ANY 20

#define SEM_UNDO     0x1000 /* in sembuf.flags, with IPC_NOWAIT */

struct abi_sembuf {
	uint16_t number;
	int16_t op, flags;
};
_Static_assert(sizeof(struct abi_sembuf) == 6, "sembuf");

struct abi_semid_ds {
	struct abi_ipc_perm perm;
	int64_t op_time;
	uint64_t unused1;
	int64_t change_time;
	uint64_t unused2;
	uint64_t count;
	uint64_t unused3[2];
};
_Static_assert(sizeof(struct abi_semid_ds) == 104, "semid64_ds");

struct abi_seminfo {
	int32_t map, sets, semaphores, undos, per_set, per_op, undos_per_process, undo_size;
	int32_t value_max, adjust_max;
};

/* msgctl, msgrcv */
#define MSG_STAT     11
#define MSG_INFO     12
#define MSG_STAT_ANY 13
#define MSG_NOERROR  010000
#define MSG_EXCEPT   020000
#define MSG_COPY     040000

struct abi_msqid_ds {
	struct abi_ipc_perm perm;
	int64_t send_time, receive_time, change_time;
	uint64_t bytes, count, bytes_max;
	int32_t last_sender, last_receiver;
	uint64_t unused[2];
};
_Static_assert(sizeof(struct abi_msqid_ds) == 120, "msqid64_ds");

struct abi_msginfo {
	int32_t pool, map, message_max, bytes_max, queues, segment_size, headers;
	uint16_t segments, pad;
};
_Static_assert(sizeof(struct abi_msginfo) == 32, "msginfo");
