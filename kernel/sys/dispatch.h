/* SPDX-License-Identifier: Apache-2.0 */
/* The border between programs and the kernel. */
#pragma once

#include "kernel/arch/regs.h"

/*
 * Runs the system call in *regs (number in orig_rax, arguments rdi rsi rdx r10 r8 r9) and puts
 * the result into regs->rax. Called by the entry code on the thread's kernel stack. Unknown
 * numbers are -ENOSYS. Internal errors (EKEYREJECTED, EBADMSG, EUCLEAN, ESTALE, EPROTO of the
 * storage and host layers) become -EIO here, with one log line.
 */
void syscall_dispatch(struct user_regs *regs);
