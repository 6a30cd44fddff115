/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel stands on in the explorer: slots, host calls, memory and time of fibers. */
#pragma once

#include "lib/base/types.h"

#define ZONE_SIZE    MIB(64)
#define ZONE_MOVABLE MIB(16) /* below: programs at fixed addresses */
#define MEMORY_LIMIT MIB(32)
#define SLOTS	     16

struct user_regs;

void machine_init(void); /* kernel, memory, an empty root */
/* What is left when everybody has ended must be nothing: else the run fails. */
void machine_check_clean(void);
/* Boot and other threads of the kernel: current_thread() is the slot's own. */
void machine_start_kernel_thread(void (*main)(void *arg), void *arg);
u64 machine_zone(void);

/* New threads, and programs that exec has loaded, begin here; world.c. */
void world_enter_user(const struct user_regs *regs) __noreturn;

void machine_limit_threads(u32 most);
