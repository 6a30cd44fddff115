/* SPDX-License-Identifier: Apache-2.0 */
/* What the trap path asks of the patcher. */
#pragma once

#include "kernel/arch/regs.h"

/* Its sites are never patched: unwinders recognise them by their bytes. */
#define NR_RT_SIGRETURN 15

/* The `syscall` at `rip` with `number` of the current process trapped: patch it if possible. */
void patch_trapped(u64 rip, u64 number);

/* An int3 before regs->rip: one that a patch has put there. Adjusts *regs; false: not ours. */
bool patch_breakpoint(struct user_regs *regs);
