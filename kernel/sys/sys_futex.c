// SPDX-License-Identifier: Apache-2.0
/* futex and the robust list: decoding of operations and timeouts. */
#include "abi/errno.h"
#include "abi/futex.h"
#include "kernel/futex/futex.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/sys/restart.h"
#include "kernel/sys/sys_priv.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/time/timespec.h"

#define USER_ADDRESS_END (1ull << 47)

static int read_deadline(u64 timeout, int operation, bool is_realtime, u64 *ret)
{
	struct abi_timespec t;
	int clock = is_realtime || operation == FUTEX_LOCK_PI ? CLOCK_REALTIME : CLOCK_MONOTONIC;

	*ret = DEADLINE_NEVER;
	if (!timeout)
		return 0;
	if (copy_from_user(&t, (const void __user *)timeout, sizeof(t)))
		return -EFAULT;
	if (!timespec_is_valid(&t))
		return -EINVAL;
	if (operation == FUTEX_WAIT)
		*ret = deadline_after(timespec_to_ns(&t));
	else
		*ret = deadline_at(clock, timespec_to_ns(&t));
	return 0;
}

/* With a timeout the rest of it must be waited for, so the deadline is kept. */
static long wait_again(u64 address, u32 value, bool is_private, u32 bitset, u64 deadline)
{
	long ret = futex_wait(address, value, is_private, bitset, deadline);

	if (ret != -EINTR)
		return ret;
	if (deadline == DEADLINE_NEVER)
		return -ERESTARTSYS;
	current_thread()->restart = (struct restart_block){
		.number = SYS_NR_futex,
		.deadline = deadline,
		.args = {address, value, is_private, bitset},
	};
	return -ERESTART_RESTARTBLOCK;
}

long futex_wait_restart(const struct restart_block *r)
{
	return wait_again(r->args[0], (u32)r->args[1], r->args[2], (u32)r->args[3], r->deadline);
}

long sys_futex(void __user *word, int op, u32 value, u64 timeout, void __user *word2, u32 value3)
{
	int operation = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	bool is_private = op & FUTEX_PRIVATE_FLAG;
	u64 address = (u64)word, address2 = (u64)word2;
	u64 deadline = DEADLINE_NEVER;
	int err;

	if (address & 3)
		return -EINVAL;
	if (address >= USER_ADDRESS_END)
		return -EFAULT;
	if ((op & FUTEX_CLOCK_REALTIME) && operation != FUTEX_WAIT_BITSET &&
	    operation != FUTEX_WAIT && operation != FUTEX_LOCK_PI2)
		return -ENOSYS;
	if (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET ||
	    operation == FUTEX_LOCK_PI || operation == FUTEX_LOCK_PI2) {
		err = read_deadline(timeout, operation, op & FUTEX_CLOCK_REALTIME, &deadline);
		if (err)
			return err;
	}
	switch (operation) {
	case FUTEX_WAIT: value3 = FUTEX_BITSET_MATCH_ANY; __attribute__((fallthrough));
	case FUTEX_WAIT_BITSET: return wait_again(address, value, is_private, value3, deadline);
	case FUTEX_WAKE: value3 = FUTEX_BITSET_MATCH_ANY; __attribute__((fallthrough));
	case FUTEX_WAKE_BITSET:
		if (!value3)
			return -EINVAL;
		/* Linux wakes one waiter for a count of 0 too. */
		return futex_wake(address, value ? value : 1, is_private, value3);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		if ((s32)value < 0 || (s32)timeout < 0 || (address2 & 3))
			return -EINVAL;
		if (address2 >= USER_ADDRESS_END)
			return -EFAULT;
		return futex_requeue(address, address2, value, (u32)timeout,
				     operation == FUTEX_CMP_REQUEUE ? &value3 : NULL, is_private);
	case FUTEX_WAKE_OP:
		if (address2 & 3)
			return -EINVAL;
		return futex_wake_op(address, address2, value, (u32)timeout, value3, is_private);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2: {
		long ret = futex_lock_pi(address, is_private, deadline, false);

		return ret == -EINTR ? -ERESTARTNOINTR : ret;
	}
	case FUTEX_TRYLOCK_PI: return futex_lock_pi(address, is_private, DEADLINE_NEVER, true);
	case FUTEX_UNLOCK_PI: return futex_unlock_pi(address, is_private);
	default: return -ENOSYS;
	}
}

long sys_set_robust_list(void __user *head, u64 size)
{
	struct thread *t = current_thread();

	if (size != sizeof(struct abi_robust_list_head))
		return -EINVAL;
	t->robust_list = (u64)head;
	t->robust_list_size = (u32)size;
	return 0;
}

long sys_get_robust_list(int pid, void __user *head, void __user *size)
{
	struct thread *t = pid ? thread_lookup(pid) : thread_get(current_thread());
	u64 list;

	if (!t)
		return -ESRCH;
	list = t->robust_list;
	if (t->process != current_process()) {
		thread_put(t);
		return -EPERM;
	}
	thread_put(t);
	if (put_user_u64(size, sizeof(struct abi_robust_list_head)) || put_user_u64(head, list))
		return -EFAULT;
	return 0;
}
