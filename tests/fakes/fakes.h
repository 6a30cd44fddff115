/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controls of the fakes that stand for kernel/arch, kernel/core and the host when kernel code
 * runs in an ordinary process. Everything is per process; tests reset it in their setup.
 */
#pragma once

#include "lib/base/types.h"

struct process;
struct thread;

/*
 * The calling pthread's kernel thread. Each pthread that calls kernel code gets a zeroed one on
 * first use; a test may attach its own (NULL: back to the automatic one).
 */
void fake_attach_thread(struct thread *t);
/* The process of automatic threads; NULL until a test sets it. */
void fake_set_process(struct process *p);

/* The n-th allocation from now fails, n >= 1 (and all later ones if `forever`); 0: none. */
void fake_fail_allocation(long n, bool forever);
/* Blocks that kmalloc() and kpages_alloc() gave out and that were not freed: teardown checks. */
long fake_allocations_live(void);
/* Lines that log_always() and log_err() wrote since the last call, for one assertion. */
const char *fake_last_log(void);
/* Fault what random_bytes() returns (0 or -EIO). */
void fake_fail_random(bool fail);

/*
 * The next call that goes out is answered by `answer`, which gets the arena data area and the
 * arguments and returns the result as the host would. NULL: -ENOSYS for everything.
 */
typedef s64 (*fake_host_fn)(u64 number, u64 *args, u8 *data, void *context);
void fake_host_set(fake_host_fn answer, void *context);
u64 fake_host_calls(void); /* how many went out */

/* Enclave range as arch.h reports it: test memory is always inside unless this names a range. */
void fake_set_outside(u64 start, u64 size);

/* RDRAND and RDSEED always answer `value`. */
void fake_fix_entropy(bool fixed, u64 value);
