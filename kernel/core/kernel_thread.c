/* SPDX-License-Identifier: Apache-2.0 */
/* Makes threads of the kernel's own (timers, commits). */
#include "kernel/core/kernel_thread.h"

#include "kernel/core/boot.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/sched/thread.h"
#include "lib/base/string.h"

struct thread *kernel_thread_new(const char *name, void (*main)(void *arg))
{
	struct thread *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	t->process = process_get(&kernel_process);
	list_init(&t->process_node);
	list_init(&t->start_node);
	list_init(&t->pending);
	t->kernel_main = main;
	(void)str_copy(t->name, name, sizeof(t->name));
	return t;
}
