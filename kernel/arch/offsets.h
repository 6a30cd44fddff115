/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that assembly needs: offsets into C structures (checked in offsets.c) and constants
 * that C has as enums. Included by both.
 */
#pragma once

/* struct thread_block, at GS. */
#define TB_SELF		       0
#define TB_THREAD	       8
#define TB_KERNEL_SP	       16
#define TB_USER_SP	       24
#define TB_USER_IP	       32
#define TB_IN_KERNEL	       40
#define TB_STATE	       44
#define TB_HOST_SP	       48
#define TB_HOST_BP	       56
#define TB_HOST_IP	       64
#define TB_LEAVE_SP	       72
#define TB_EXCEPTION_SP	       80
#define TB_COOKIE	       88

/* struct thread. */
#define THREAD_WORK	       8
#define THREAD_SYSCALLS	       16

/* struct user_regs: 19 words; the stack pointer after pushing all is 16-byte aligned. */
#define REGS_SIZE	       152
#define REGS_R11	       48
#define REGS_RAX	       80
#define REGS_ORIG_RAX	       120
#define REGS_RIP	       128
#define REGS_RFLAGS	       136
#define REGS_RSP	       144

/* The frame of host_leave() on hardware, at thread_block.leave_sp. */
#define XSTATE_SAVED	       64
#define XSTATE_AREA_MAX	       2688 /* x87, SSE, AVX, AVX-512; larger XFRMs are refused at boot */

/* Of the exception stack, for stage 1; a fault of the kernel is told on the rest. */
#define STAGE1_STACK	       1024

/* enum slot_state */
#define SLOT_IDLE	       0 /* nobody inside */
#define SLOT_RUNNING	       1
#define SLOT_HOST_CALL	       2 /* out by a host call: only ECALL_HOST_RETURN may enter */

/* struct measured_params */
#define MEASURED_SLOT_SIZE     88

#define FLAG_TF		       0x100
#define FLAG_DF		       0x400
#define FLAG_NT		       0x4000
#define FLAG_AC		       0x40000
#define FLAGS_ODD	       0x44500 /* must not be set while the kernel runs: AC NT DF TF */

/* What a program may have in RFLAGS: CF PF AF ZF SF DF OF AC ID and the bit that is always 1. */
#define FLAGS_USER_MASK	       0x240cd7

/* enum thread_work */
#define WORK_RESTORE_BIT       4

/* enum ecall, enum enclave_exit */
#define ECALL_BOOT_NR	       0
#define ECALL_HOST_RETURN_NR   6
#define EXIT_RETURN_NR	       0
#define EXIT_HOST_CALL_NR      1
#define EXIT_EXCEPTION_DONE_NR 2
#define EXIT_ABORT_NR	       3

/* RSI of EXIT_ABORT. */
#define ABORT_BAD_ENTRY	       1 /* an entry that the state of the slot does not allow */
#define ABORT_BAD_EXCEPTION    2 /* an exception while one was being handled */
#define ABORT_PANIC	       3
#define ABORT_RELOCATION       4 /* the image carries a relocation that it must not */
#define ABORT_EARLY_EXCEPTION  5 /* an exception on a slot that the kernel has not prepared yet */
