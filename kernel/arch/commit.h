/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How pages of the program zone come, go and change: what kernel/mm/pages.c decides and the machine
 * has to do. In the simulation these are host calls. On hardware each is a host call for the
 * page tables and the driver, and EACCEPT, EMODPE or EACCEPTCOPY for what the CPU believes
 * (commit_hw.c). Ranges are page aligned; no two calls meet on one page (the caller owns the
 * addresses).
 */
#pragma once

#include "lib/base/types.h"

#ifdef OCCLUM_SIM
#define COMMIT_IS_HARDWARE 0
#else
#define COMMIT_IS_HARDWARE 1
#endif

/*
 * Makes [start, end) reachable with exactly `prot` (bits as PROT_*): pages that were never there,
 * or were discarded, appear as zeroes. 0, -ENOMEM, -EACCES.
 */
int __must_check commit_protect(u64 start, u64 end, u32 prot);

/* The pages give up their memory; on hardware they cannot be reached afterwards. */
int __must_check commit_discard(u64 start, u64 end);

/*
 * Hardware: pages of [start, end) appear one by one with their bytes and `prot`; others fault until
 * then. What they held before is gone. `bytes` is page-aligned enclave memory.
 */
int __must_check commit_copy(u64 start, u64 end, const void *bytes, u32 prot);

/* Simulation: whole pages move, their bytes appear at once with `prot`, zeroes stay behind. */
int __must_check commit_move(u64 to, u64 from, u64 size, u32 prot);

/* Simulation: writes text that is executable already. Hardware: -EOPNOTSUPP, it still traps. */
int __must_check commit_patch(u64 address, const void *code, size_t size);

/* The zone of programs; before anything else here. */
int __must_check commit_init(u64 start, u64 end);
void commit_fini(void); /* tests */
