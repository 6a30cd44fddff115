/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that the timer queue runs on; apart from timer.c so that tests run timers by hand. */
#include "kernel/time/timer_thread.h"

#include "kernel/core/kernel_thread.h"

struct thread *timer_thread_new(void (*main)(void *arg))
{
	return kernel_thread_new("timers", main);
}
