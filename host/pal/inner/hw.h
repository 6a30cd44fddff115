/* SPDX-License-Identifier: Apache-2.0 */
/* Entering an enclave of the hardware; see hw.c. */
#pragma once

#include "host/pal/inner/inner.h"
#include "host/pal/inner/linux.h"

/* Runs inside until the next EEXIT that is not the end of a stage 1. EXIT_ABORT: it is over. */
hidden struct exit_value hw_enter(struct inner_thread *t, u64 rdi, u64 rsi);
hidden void hw_signal(struct inner_thread *t, int sig, struct linux_siginfo *info,
		      struct linux_ucontext *uc);

/* enter_hw.S */
hidden struct exit_value hw_stub_enter(struct inner_thread *t, u64 rdi, u64 rsi);
hidden struct exit_value hw_kernel_enter(struct inner_thread *t, u64 rdi, u64 rsi);
hidden struct exit_value hw_kernel_resume(struct inner_thread *t);
hidden extern const u8 hw_stub_enclu[];
hidden extern const u8 hw_resume_window_start[], hw_resume_window_end[], hw_resume_kicked[];
hidden extern const u8 touch_window_start[], touch_window_end[], touch_fault[];

/* signal.c */
hidden void redirect_to_abandon(struct inner_thread *t, struct linux_ucontext *uc);
hidden void leave_kick_window(struct linux_ucontext *uc);
hidden void inner_fault(int sig, const struct linux_ucontext *uc);
