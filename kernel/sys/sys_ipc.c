// SPDX-License-Identifier: Apache-2.0
/* System V IPC: shared memory, semaphores, message queues. */
#include "abi/errno.h"
#include "abi/ipc.h"
#include "kernel/core/kmem.h"
#include "kernel/ipc/msg.h"
#include "kernel/ipc/sem.h"
#include "kernel/ipc/shm.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sched/park.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/time/timespec.h"

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

/* Whom a *_STAT command of a ctl call means. */
static enum ipc_stat_how stat_how(int command, int any_index)
{
	if (command == IPC_STAT)
		return IPC_STAT_ID;
	return command == any_index ? IPC_STAT_INDEX_ANY : IPC_STAT_INDEX;
}

static long shm_limits_to_user(void __user *buf)
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

static long shm_totals_to_user(void __user *buf)
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
	long ret;

	command &= ~IPC_64;
	switch (command) {
	case IPC_RMID: return shm_remove(id);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		ret = shm_stat(id, stat_how(command, SHM_STAT_ANY), &ds);
		return ret >= 0 && copy_to_user(buf, &ds, sizeof(ds)) ? -EFAULT : ret;
	case IPC_SET:
		if (copy_from_user(&ds, buf, sizeof(ds)))
			return -EFAULT;
		return shm_set(id, &ds);
	case SHM_LOCK:
	case SHM_UNLOCK: return shm_may_lock(id, command == SHM_LOCK);
	case IPC_INFO: return shm_limits_to_user(buf);
	case SHM_INFO: return shm_totals_to_user(buf);
	default: return -EINVAL;
	}
}

/* --- semaphores ---------------------------------------------------------------------------- */

long sys_semget(int key, int count, int flags)
{
	return sem_get(key, count, (u32)flags);
}

static long sem_op_from_user(int id, const void __user *user_ops, u32 count, u64 deadline)
{
	struct abi_sembuf few[8], *ops = few;
	long ret;

	if (!count)
		return -EINVAL;
	if (count > SEM_PER_OP)
		return -E2BIG;
	if (count > ARRAY_SIZE(few))
		ops = kcalloc(count, sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	ret = copy_from_user(ops, user_ops, count * sizeof(*ops)) ? -EFAULT : 0;
	if (!ret)
		ret = sem_op(id, ops, count, deadline);
	if (ops != few)
		kfree(ops);
	return ret;
}

long sys_semop(int id, const void __user *ops, u32 count)
{
	return sem_op_from_user(id, ops, count, DEADLINE_NEVER);
}

long sys_semtimedop(int id, const void __user *ops, u32 count, const void __user *timeout)
{
	u64 deadline;
	int err = deadline_from_user(timeout, &deadline);

	return err ? err : sem_op_from_user(id, ops, count, deadline);
}

static long sem_info_to_user(void __user *buf, bool used)
{
	struct abi_seminfo info = {
		.map = SEM_TOTAL,
		.sets = IPC_OBJECTS_MAX,
		.semaphores = SEM_TOTAL,
		.undos = SEM_TOTAL,
		.per_set = SEM_PER_SET,
		.per_op = SEM_PER_OP,
		.undos_per_process = SEM_PER_OP,
		.undo_size = 20,
		.value_max = SEM_MAX_VALUE,
		.adjust_max = SEM_MAX_VALUE,
	};
	struct sem_totals totals;

	sem_totals(&totals);
	if (used) {
		info.undo_size = (s32)totals.sets;
		info.adjust_max = (s32)totals.semaphores;
	}
	return copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : totals.highest_index;
}

static long sem_all_to_user(int id, void __user *buf)
{
	u16 *values;
	u32 count;
	long ret = sem_get_all(id, &values, &count);

	if (ret)
		return ret;
	ret = copy_to_user(buf, values, count * sizeof(*values)) ? -EFAULT : 0;
	kfree(values);
	return ret;
}

static long sem_all_from_user(int id, const void __user *buf)
{
	long count = sem_count(id), ret;
	u16 *values;

	if (count < 0)
		return count;
	values = kcalloc((size_t)count, sizeof(*values));
	if (!values)
		return -ENOMEM;
	ret = copy_from_user(values, buf, (size_t)count * sizeof(*values)) ? -EFAULT : 0;
	if (!ret)
		ret = sem_set_all(id, values, (u32)count);
	kfree(values);
	return ret;
}

long sys_semctl(int id, int number, int command, u64 argument)
{
	void __user *buf = (void __user *)argument;
	struct abi_semid_ds ds;
	long ret;

	command &= ~IPC_64;
	switch (command) {
	case IPC_RMID: return sem_remove(id);
	case IPC_SET:
		if (copy_from_user(&ds, buf, sizeof(ds)))
			return -EFAULT;
		return sem_set_perm(id, &ds.perm);
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		ret = sem_stat(id, stat_how(command, SEM_STAT_ANY), &ds);
		return ret >= 0 && copy_to_user(buf, &ds, sizeof(ds)) ? -EFAULT : ret;
	case IPC_INFO:
	case SEM_INFO: return sem_info_to_user(buf, command == SEM_INFO);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT: return sem_query(id, number, command);
	case SETVAL: return sem_set_value(id, number, (s32)argument);
	case GETALL: return sem_all_to_user(id, buf);
	case SETALL: return sem_all_from_user(id, buf);
	default: return -EINVAL;
	}
}

/* --- message queues ------------------------------------------------------------------------ */

long sys_msgget(int key, int flags)
{
	return msg_get(key, (u32)flags);
}

/* A message of a program: its type in 8 bytes, then the text. */
long sys_msgsnd(int id, const void __user *message, u64 size, int flags)
{
	struct msg_body *b;
	u64 type;
	int err;

	if (size > MSG_SIZE_MAX)
		return -EINVAL;
	if (get_user_u64(&type, message))
		return -EFAULT;
	if ((s64)type < 1)
		return -EINVAL;
	b = msg_body_new((s64)type, size);
	if (!b)
		return -ENOMEM;
	err = copy_from_user(msg_body_bytes(b), (const char __user *)message + 8, size) ? -EFAULT
											: 0;
	if (!err)
		err = msg_send(id, b, (u32)flags);
	if (err)
		msg_body_free(b);
	return err;
}

long sys_msgrcv(int id, void __user *message, u64 size, s64 type, int flags)
{
	struct msg_body *b;
	long ret;

	if ((s64)size < 0)
		return -EINVAL;
	ret = msg_receive(id, type, size, (u32)flags, &b);
	if (ret)
		return ret;
	size = MIN(size, (u64)msg_body_size(b));
	ret = (long)size;
	if (put_user_u64(message, (u64)msg_body_type(b)) ||
	    copy_to_user((char __user *)message + 8, msg_body_bytes(b), size))
		ret = -EFAULT;
	msg_body_free(b);
	return ret;
}

static long msg_info_to_user(void __user *buf, bool used)
{
	struct msg_totals totals;
	struct abi_msginfo info = {
		.message_max = MSG_SIZE_MAX,
		.bytes_max = MSG_BYTES_MAX,
		.queues = IPC_OBJECTS_MAX,
		.segment_size = 16,
		.segments = UINT16_MAX,
		.map = MSG_BYTES_MAX,
		.headers = MSG_BYTES_MAX,
		.pool = MSG_TOTAL_MAX / 1024,
	};

	msg_totals(&totals);
	if (used) {
		info.pool = (s32)totals.queues;
		info.map = (s32)totals.messages;
		info.headers = (s32)totals.bytes;
	}
	return copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : totals.highest_index;
}

long sys_msgctl(int id, int command, void __user *buf)
{
	struct abi_msqid_ds ds;
	long ret;

	command &= ~IPC_64;
	switch (command) {
	case IPC_RMID: return msg_remove(id);
	case IPC_SET:
		if (copy_from_user(&ds, buf, sizeof(ds)))
			return -EFAULT;
		return msg_set(id, &ds);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		ret = msg_stat(id, stat_how(command, MSG_STAT_ANY), &ds);
		return ret >= 0 && copy_to_user(buf, &ds, sizeof(ds)) ? -EFAULT : ret;
	case IPC_INFO:
	case MSG_INFO: return msg_info_to_user(buf, command == MSG_INFO);
	default: return -EINVAL;
	}
}
