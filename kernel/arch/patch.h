/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting of `syscall` and `cpuid` sites into jumps to stubs, so that system calls do not trap.
 * The ELF loader (kernel/proc) applies an image's SITES table before the text becomes executable;
 * the trap path patches sites it meets later. Stubs lie in their own mapping beside the image.
 */
#pragma once

#include "lib/base/types.h"

/* Address that a stub jumps to: kernel system call entry, rcx = return address, rax = number. */
u64 arch_syscall_entry(void);
u64 arch_cpuid_entry(void);
