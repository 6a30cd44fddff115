/* SPDX-License-Identifier: Apache-2.0 */
/* What all threads together did, for /proc/stat, loadavg and sysinfo. */
#pragma once

#include "lib/base/types.h"

struct thread;

struct load_totals {
	u64 cpu_ns;  /* not asleep: of all threads that are or were */
	u64 parks;   /* how often one went to sleep: the context switches that we know of */
	u32 running; /* threads that are not asleep now */
};

void load_totals(struct load_totals *ret);
/* A thread ends: what it did counts on. */
void load_keep(const struct thread *t);

#define LOAD_SHIFT 16 /* as sysinfo() has them */
/* Of one, five and fifteen minutes. */
void load_averages(u64 ret[3]);
