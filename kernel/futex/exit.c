// SPDX-License-Identifier: Apache-2.0
/*
 * What a dying thread leaves in user memory: OWNER_DIED in the robust futexes it holds, zero in
 * its clear_child_tid word, and wake-ups for both. It does this itself, while it still belongs to
 * its process, so the memory cannot have become anyone else's. The list is the program's: its
 * length is bounded and every pointer may be bad.
 */
#include "abi/errno.h"
#include "abi/futex.h"
#include "kernel/futex/futex_priv.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"

#define PI_BIT 1ull

static int mark_owner_died(u64 word, u32 tid, bool is_pi, bool is_pending)
{
	u32 now, want, seen;

	if (word & 3)
		return -EFAULT;
	if (get_user_u32(&now, (const void __user *)word))
		return -EFAULT;
	/* Unlocked but not yet woken: the wake that the thread did not come to. */
	if (is_pending && !is_pi && !now) {
		futex_wake(word, 1, false, FUTEX_BITSET_MATCH_ANY);
		return 0;
	}
	for (;;) {
		if ((now & FUTEX_TID_MASK) != tid)
			return 0;
		want = (now & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
		if (cmpxchg_user_u32((void __user *)word, now, want, &seen))
			return -EFAULT;
		if (seen == now)
			break;
		now = seen;
	}
	if (now & FUTEX_WAITERS)
		futex_wake(word, 1, false, FUTEX_BITSET_MATCH_ANY);
	return 0;
}

static void walk_robust_list(struct thread *t)
{
	struct abi_robust_list_head head;
	u64 entry, next, pending;
	u32 tid = (u32)t->tid;

	if (copy_from_user(&head, (const void __user *)t->robust_list, sizeof(head)))
		return;
	pending = head.list_op_pending;
	entry = head.list;
	for (u32 i = 0; i < ROBUST_LIST_LIMIT; i++) {
		u64 node = entry & ~PI_BIT;
		bool more;

		if (node == t->robust_list)
			break;
		/* Read the link first: the futex may be freed by whoever gets it. */
		more = !get_user_u64(&next, (const void __user *)node);
		if (node != (pending & ~PI_BIT) &&
		    mark_owner_died(node + (u64)head.futex_offset, tid, entry & PI_BIT, false))
			return;
		if (!more)
			return;
		entry = next;
	}
	if (pending)
		(void)mark_owner_died((pending & ~PI_BIT) + (u64)head.futex_offset, tid,
				      pending & PI_BIT, true);
}

void futex_thread_exit(struct thread *t)
{
	if (t->robust_list)
		walk_robust_list(t);
	t->robust_list = 0;
	/* The last thread has nobody to tell, and its memory goes with it. */
	if (t->clear_child_tid &&
	    __atomic_load_n(&t->process->thread_count, __ATOMIC_RELAXED) > 1) {
		if (!put_user_u32((void __user *)t->clear_child_tid, 0))
			futex_wake(t->clear_child_tid, 1, false, FUTEX_BITSET_MATCH_ANY);
	}
	t->clear_child_tid = 0;
}
