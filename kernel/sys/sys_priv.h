/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/sys share. */
#pragma once

#include "kernel/sched/thread.h"

/* sys_futex.c: goes on with an interrupted wait that has a timeout. */
long futex_wait_restart(const struct restart_block *r);
