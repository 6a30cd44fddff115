/* SPDX-License-Identifier: Apache-2.0 */
/* Which programs the host may start. */
#pragma once

#include "lib/base/types.h"

struct exec_args;
struct process;

/*
 * Makes a process of the program at `path`, if the object that this leads to lies under an entry
 * point and entry_args allows the arguments; what was checked is what is loaded, as the configured
 * user. stdio are host descriptors. -EPERM, with a line that says why; errors of process_create().
 */
int __must_check entry_point_create(const char *path, struct exec_args *args, const s32 stdio[3],
				    struct process **ret_process);
