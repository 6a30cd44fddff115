/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/sys share. */
#pragma once

#include "kernel/sched/thread.h"

/* sys_proc.c: a struct rusage of what is counted here. */
struct abi_rusage;
void rusage_fill(struct abi_rusage *ret, u64 utime_ns, u64 stime_ns, u64 max_rss);

/* sys_futex.c: goes on with an interrupted wait that has a timeout. */
long futex_wait_restart(const struct restart_block *r);
