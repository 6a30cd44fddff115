/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of kernel/arch; entry.S calls and exports the first group. */
#pragma once

#include "edge/enclave.h"
#include "kernel/arch/regs.h"
#include "kernel/arch/thread_block.h"

/* Linker script. */
extern const u8 image_start[], image_end[], text_start[], text_end[], relro_start[], relro_end[];
extern const struct measured_params measured_page;

/* The cookie of initialised slots; 0 before boot. Taken away (changed) when the instance dies. */
extern u64 slot_cookie;
extern u64 slots_start, slots_size; /* all slots: where a genuine GS base lies */

/* Entry points and windows in entry.S. */
void enclave_entry(void);
void syscall_entry(void);
extern const u8 syscall_entry_end[], syscall_entry_bad_gs[];
extern const u8 syscall_exit[], syscall_exit_jump[];
extern const u8 full_exit[], full_exit_jump[];
bool arch_try_rdtsc(void);

/* enclu.S: instructions of the kernel that may fault, and where it then goes on. */
struct fixup {
	u64 at, resume;
};
extern const struct fixup arch_fixups[], arch_fixups_end[];

void cpuid_entry(void);
extern const u8 cpuid_entry_end[];
void trap_entry(void);
void kernel_fault_entry(void);
void enter_user(struct user_regs *on_stack) __noreturn;
void arch_abort(u64 reason) __noreturn;
void ecall_return(void) __noreturn;

/* Called by entry.S. */
u32 arch_slot_init(u64 tcs, u64 ecall);
s64 ecall_dispatch(u64 number, u64 argument, u64 arena);
void exception_stage1(struct thread_block *b);
void trap_handle(struct user_regs *regs);
bool arch_exit_work(struct user_regs *regs);
void arch_cpuid_emulate(struct user_regs *regs);
void kernel_fault(struct thread_block *b) __noreturn;

/* xstate.c, cpuid.c: at boot. */
int __must_check xstate_init(void);
extern const u8 xstate_constant[]; /* entry.S */
enum xstate_layout {
	XSTATE_LAYOUT_INTEL,
	XSTATE_LAYOUT_AMD,
};
enum xstate_layout xstate_layout(void);
int __must_check cpuid_init(const struct cpuid_hint *hints, size_t count);
