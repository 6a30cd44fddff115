/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One page per thread slot that GS points to while anything of the enclave runs on it, programs
 * included. Programs can write GS (wrgsbase): every entry from user mode checks the base before
 * it trusts a field.
 *
 * A slot's pages are not measured, so what they hold when the slot is first entered is the
 * host's choice. The cookie tells: it equals the boot-time random number only in blocks that
 * slot_init() has filled.
 */
#pragma once

#include "edge/enclave.h"
#include "kernel/arch/offsets.h"
#include "kernel/arch/regs.h"
#include "kernel/sched/thread.h"

struct thread_block {
	u64 self;
	struct thread *thread;
	u64 kernel_sp; /* just above the registers of the program: where the entry pushes */
	u64 user_sp;   /* scratch on the way in */
	u64 user_ip;   /* scratch on the way out */
	u32 in_kernel; /* 0 only while user mode runs (or the last instruction before it) */
	u32 state;     /* SLOT_* */
	u64 host_sp;   /* the host's registers of the latest entry */
	u64 host_bp;
	u64 host_ip;
	u64 leave_sp;	  /* kernel stack pointer while a host call is under way */
	u64 exception_sp; /* stack of stage 1 */
	u64 cookie;

	struct thread_arena *arena; /* of the host thread on this slot; checked to be outside */
	struct ssa_gpr *ssa;	    /* GPRSGX of SSA frame 0 */
	u32 slot;

	/* Of the latest exception, from stage 1 to stage 2. */
	u32 trap_vector; /* TRAP_ASYNC: none */
	u64 trap_error;
	u64 trap_address;
	u64 panic_ip; /* stage 1 found the kernel at fault here */
	u64 panic_sp;

	struct thread kernel_thread; /* `current` of ecalls that run no program */
};
static_assert(sizeof(struct thread_block) <= PAGE_SIZE, "one page");

#define TRAP_ASYNC 256

/* The end of an SSA frame as the CPU writes it; the MISC region lies directly below. */
struct ssa_gpr {
	u64 rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rflags, rip, ursp, urbp;
	u32 exit_info; /* vector 7:0, type 10:8, valid 31 */
	u8 rsv[3];
	u8 aexnotify;
	u64 fs_base, gs_base;
};
static_assert(sizeof(struct ssa_gpr) == 184, "GPRSGX");

struct ssa_misc {
	u64 address; /* MADDR of #PF and #GP */
	u32 error_code;
	u32 rsv;
};
static_assert(sizeof(struct ssa_misc) == 16, "EXINFO");

#define EXIT_INFO_VALID	   (1u << 31)
#define EXIT_INFO_HARDWARE 3 /* type */
#define EXIT_INFO_SOFTWARE 6

static inline struct thread_block *thread_block(void)
{
	struct thread_block *b;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(b));
	return b;
}

/* The registers of the program on this slot's kernel stack. */
static inline struct user_regs *thread_block_regs(const struct thread_block *b)
{
	return (struct user_regs *)(b->kernel_sp - REGS_SIZE);
}
