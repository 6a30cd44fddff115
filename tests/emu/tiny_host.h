/* SPDX-License-Identifier: Apache-2.0 */
/* What the emulator's tests and their signal handler share. */
#pragma once

#include "lib/base/types.h"

/* The latest signal that the emulator left to the PAL. */
struct tiny_seen {
	u32 count;
	int sig;
	u32 vector, error;
	u64 address, rip, rax;
};
extern struct tiny_seen tiny_seen;

struct linux_siginfo;
struct linux_ucontext;
void tiny_on_signal(int sig, struct linux_siginfo *info, struct linux_ucontext *uc);
