// SPDX-License-Identifier: Apache-2.0
/* System V shared memory calls. */
#include "abi/errno.h"
#include "abi/ipc.h"
#include "kernel/ipc/shm.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sys/syscalls_gen.h"

long sys_shmget(int key, u64 size, int flags)
{
	return shm_get(key, size, (u32)flags);
}

long sys_shmat(int id, u64 address, int flags)
{
	return shm_attach(id, address, (u32)flags);
}

long sys_shmdt(u64 address)
{
	return shm_detach(address);
}

static long limits_to_user(void __user *buf)
{
	const struct abi_shminfo info = {
		.max = UINT64_MAX - (1ull << 24),
		.min = 1,
		.segments = SHM_SEGMENTS_MAX,
		.per_process = SHM_SEGMENTS_MAX,
		.all = UINT64_MAX - (1ull << 24),
	};
	struct shm_totals totals;

	shm_totals(&totals);
	return copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : totals.highest_index;
}

static long totals_to_user(void __user *buf)
{
	struct shm_totals totals;
	struct abi_shm_info info = {0};

	shm_totals(&totals);
	info.used_ids = (s32)totals.segments;
	info.total = info.resident = totals.bytes / PAGE_SIZE;
	return copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : totals.highest_index;
}

long sys_shmctl(int id, int command, void __user *buf)
{
	struct abi_shmid_ds ds;
	int err;

	switch (command & ~IPC_64) {
	case IPC_RMID: return shm_remove(id);
	case IPC_STAT:
		err = shm_stat(id, &ds);
		return err ? err : copy_to_user(buf, &ds, sizeof(ds));
	case IPC_SET:
		if (copy_from_user(&ds, buf, sizeof(ds)))
			return -EFAULT;
		return shm_set(id, &ds);
	case IPC_INFO: return limits_to_user(buf);
	case SHM_INFO: return totals_to_user(buf);
	default: return -EINVAL;
	}
}
