/* SPDX-License-Identifier: Apache-2.0 */
/* membarrier(2). */
#pragma once

#include "lib/base/types.h"

struct process;

enum membarrier_command {
	MEMBARRIER_CMD_QUERY = 0,
	MEMBARRIER_CMD_GLOBAL = 1,
	MEMBARRIER_CMD_GLOBAL_EXPEDITED = 2,
	MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 4,
	MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8,
	MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16,
	/* What QUERY says. The return of a rewritten system call does not serialise the core. */
	MEMBARRIER_COMMANDS = 31,
};

/* struct process.barriers: what it has registered for */
enum barrier_registration {
	BARRIER_GLOBAL = 1 << 0,
	BARRIER_PRIVATE = 1 << 1,
};

/* A full barrier on every thread of `only`, or of all processes. */
void process_barrier(struct process *only);
/* The call, without flags: 0, a mask, -EPERM (not registered) or -EINVAL. */
int process_membarrier(int command);
