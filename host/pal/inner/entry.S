/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All system call instructions of the inner PAL, and the jumps into and out of the enclave. The
 * section pal_syscalls is the range from which Syscall User Dispatch lets system calls pass; the
 * linker gives its bounds (__start_pal_syscalls, __stop_pal_syscalls).
 */
#include "host/pal/inner/offsets.h"

	.section pal_syscalls, "ax", @progbits
	.balign 64

	.macro FUNCTION name
	.globl \name
	.hidden \name
	.type \name, @function
\name:
	.endm

/* s64 raw_syscall(long number, a1, a2, a3, a4, a5, a6) */
FUNCTION raw_syscall
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	ret

/*
 * s64 raw_syscall_kickable(const u32 *kicked, long number, a1, a2, a3, a4, a5)
 *
 * -EINTR instead of the call when *kicked is set. A kick between the test and the call would be
 * lost: the signal handler sends a thread that it finds in the window to the label behind it.
 */
FUNCTION raw_syscall_kickable
	movq	%rdi, %r11
	movq	%rsi, %rax
	movq	%rdx, %rdi
	movq	%rcx, %rsi
	movq	%r8, %rdx
	movq	%r9, %r10
	movq	8(%rsp), %r8
	movl	$-1, %r9d	/* a futex's bitset; no other of these calls has a sixth */
FUNCTION kick_window_start
	cmpl	$0, (%r11)
	jne	kick_window_end
	syscall
	ret
FUNCTION kick_window_end
	movq	$-4, %rax
	ret

/*
 * s64 raw_clone(u64 flags, void *stack, u32 *parent_tid, u32 *child_tid, struct inner_thread *)
 *
 * The child takes its argument from the new stack, calls inner_thread_main() and never returns.
 */
FUNCTION raw_clone
	andq	$-16, %rsi
	subq	$16, %rsi
	movq	%r8, (%rsi)
	movq	%rcx, %r10
	xorl	%r8d, %r8d
	movl	$56, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	ret
1:	xorl	%ebp, %ebp
	popq	%rdi
	addq	$8, %rsp
	call	inner_thread_main
	ud2

/* void raw_exit(void): ends this thread alone, touching no stack. */
FUNCTION raw_exit
	movl	$60, %eax
	xorl	%edi, %edi
	syscall
	ud2

/* Where signal handlers return to. */
FUNCTION signal_restorer
	movl	$15, %eax
	syscall
	ud2

	.section .text, "ax", @progbits

/*
 * struct exit_value sim_enter(struct inner_thread *, u64 rdi, u64 rsi, u64 cssa)
 *
 * EENTER, and what comes after EEXIT. Only RSP, RBP, RDI and RSI are known then. Vector registers
 * are not touched: the program's stay in the CPU.
 */
FUNCTION sim_enter
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdi
	movq	%rcx, %rax
	movq	%rdi, %r8
	movq	THREAD_BLOCK(%r8), %r9
	wrfsbase %r9
	wrgsbase %r9
	leaq	1(%rax), %r9
	imulq	THREAD_SSA_SIZE(%r8), %r9
	addq	THREAD_SSA(%r8), %r9
	movq	%rsp, -GPR_URSP_FROM_END(%r9)
	movq	%rbp, -GPR_URBP_FROM_END(%r9)
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	THREAD_ARENA(%r8), %rdx
	movq	THREAD_TCS(%r8), %rbx
	movq	THREAD_ENTRY(%r8), %r9
	leaq	1f(%rip), %rcx
	movl	$1, THREAD_INSIDE(%r8)
	jmp	*%r9
1:	cld
	popq	%rcx
	movl	$0, THREAD_INSIDE(%rcx)
	movq	%rdi, %rax
	movq	%rsi, %rdx
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/*
 * The handler of all signals. The kernel clears DF, and leaves AC, which a program may have set:
 * misaligned accesses would fault.
 */
FUNCTION signal_entry
	cld
	pushfq
	andq	$~0x40000, (%rsp)
	popfq
	subq	$8, %rsp
	call	signal_handle
	addq	$8, %rsp
	ret	/* to signal_restorer */

/* Where a thread of a dead instance is sent; on its own stack again. */
FUNCTION abandon_entry
	call	inner_thread_abandon
	ud2

	.section .note.GNU-stack, "", @progbits
