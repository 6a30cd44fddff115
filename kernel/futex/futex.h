/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes, owned by the kernel: keyed by (address space, address) when private and by address
 * alone when shared, because a shared page has the same address for every mapper.
 */
#pragma once

#include "lib/base/types.h"

struct thread;

/* Wakes up to `count` waiters on a word of the current process; number woken. */
long futex_wake(u64 address, u32 count, bool is_private, u32 bitset);

/* At thread end: robust list, clear_child_tid store and wake. Touches user memory. */
void futex_thread_exit(struct thread *t);
