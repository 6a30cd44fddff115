/* SPDX-License-Identifier: Apache-2.0 */
/* A program's general registers while the kernel works for it: the top of its kernel stack. */
#pragma once

#include "lib/base/types.h"

/* Pushed by the entry code in this order (assembly knows the offsets: kernel/arch/offsets.h). */
struct user_regs {
	u64 r15, r14, r13, r12, rbp, rbx;
	u64 r11, r10, r9, r8;
	u64 rax, rcx, rdx, rsi, rdi;
	u64 orig_rax; /* system call number, or -1 when the entry was no system call */
	u64 rip, rflags, rsp;
};
