/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes, owned by the kernel: keyed by (address space, address) when private and by address
 * alone when shared, because a shared page has the same address for every mapper; who has nothing
 * mapped there gets -EFAULT. Within one process a private and a shared operation on one word meet,
 * as they do on Linux for memory that is not shared.
 */
#pragma once

#include "lib/base/types.h"

struct thread;

/* Wakes up to `count` waiters on a word of the current process; number woken, or -EFAULT. */
long futex_wake(u64 address, u32 count, bool is_private, u32 bitset);

/*
 * Sleeps while the word holds `value`. 0 (woken), -EAGAIN (it did not), -ETIMEDOUT, -EINTR,
 * -EFAULT. `deadline`: monotonic ns or DEADLINE_NEVER.
 */
long futex_wait(u64 address, u32 value, bool is_private, u32 bitset, u64 deadline);

/*
 * Wakes `wake_count` waiters of `from` and moves up to `move_count` to `to`. With `compare` not
 * NULL: -EAGAIN unless the word at `from` equals it. Number woken (plus moved when comparing).
 */
long futex_requeue(u64 from, u64 to, u32 wake_count, u32 move_count, const u32 *compare,
		   bool is_private);

/* FUTEX_WAKE_OP: changes `second` as `op` says, wakes at `first`, and at `second` if op says so. */
long futex_wake_op(u64 first, u64 second, u32 wake_count, u32 wake_count2, u32 op, bool is_private);

/* PI futexes: ownership in the word as Linux has it, without inheritance (no priorities here). */
long futex_lock_pi(u64 address, bool is_private, u64 deadline, bool try_only);
long futex_unlock_pi(u64 address, bool is_private);

/* At thread end: robust list, clear_child_tid store and wake. Touches user memory. */
void futex_thread_exit(struct thread *t);
