/* SPDX-License-Identifier: Apache-2.0 */
/* Of commit_hw.c and commit_sim.c, for kernel/arch and their tests. */
#pragma once

#include "lib/base/types.h"

#define PAGES_READ	 1
#define PAGES_READ_WRITE 3

/* Constants of the kernel image lose W for good; at boot, after relocation. */
int __must_check commit_seal(u64 start, u64 end);

/* What the CPU has confirmed of a page: R W X in bits 0-2, 8 when it is there. */
u8 commit_state(u64 address);
