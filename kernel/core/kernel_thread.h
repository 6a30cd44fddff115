/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the kernel's own: they belong to no program, take a reserved slot and never end. */
#pragma once

struct thread;

/* A thread that will run main(NULL); not started, see thread_start(). NULL: no memory. */
struct thread *kernel_thread_new(const char *name, void (*main)(void *arg))
	__attribute__((warn_unused_result));
