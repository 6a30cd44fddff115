/* SPDX-License-Identifier: Apache-2.0 */
/* Between the timer queue and what runs it; tests run due timers by hand. */
#pragma once

#include "lib/base/types.h"

struct thread;

/* Runs the callbacks of all due timers; when the next one is due, or DEADLINE_NEVER. */
u64 timers_run_due(void);

/* A thread of the kernel that will run main(NULL); not started. NULL: no memory. */
struct thread *timer_thread_new(void (*main)(void *arg)) __must_check;
