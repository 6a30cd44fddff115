/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into the enclave and back on hardware, in two ways.
 *
 * hw_kernel_enter() and hw_kernel_resume() go through the kernel's function, which tells of
 * exceptions in struct sgx_enclave_run instead of by signals. hw_stub_enter() is an ENCLU of our
 * own for kernels without that function and for signal handlers; exceptions arrive as signals.
 * In both the ENCLU is its own AEP: after an asynchronous exit RAX is 3, and the same instruction
 * resumes.
 *
 * After an exit only RSP, RBP, RDI and RSI are known. FS and GS are the host's again.
 */
#include "host/pal/inner/offsets.h"

	.section .text, "ax", @progbits

	.macro FUNCTION name
	.globl \name
	.hidden \name
	.type \name, @function
\name:
	.endm

	/* Seven words: the stack is aligned to 16 bytes after them. */
	.macro PUSH_THREAD_AND_SAVED
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdi
	.endm

	.macro POP_SAVED
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	.endm

/* struct exit_value hw_stub_enter(struct inner_thread *, u64 rdi, u64 rsi) */
FUNCTION hw_stub_enter
	PUSH_THREAD_AND_SAVED
	movq	THREAD_TCS(%rdi), %rbx
	movq	%rdi, %r8
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	THREAD_ARENA(%r8), %rdx
	leaq	hw_stub_enclu(%rip), %rcx
	movl	$ENCLU_EENTER, %eax
FUNCTION hw_stub_enclu
	enclu
	cld
	movq	%rdi, %rax
	movq	%rsi, %rdx
	popq	%rcx
	POP_SAVED
	ret

/* struct exit_value hw_kernel_enter(struct inner_thread *, u64 rdi, u64 rsi) */
FUNCTION hw_kernel_enter
	PUSH_THREAD_AND_SAVED
	movq	%rdi, %r10
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	THREAD_ARENA(%r10), %rdx
	movl	$ENCLU_EENTER, %ecx
	movl	$0, THREAD_RUN_FUNCTION(%r10)
	leaq	THREAD_RUN(%r10), %rax
	subq	$8, %rsp
	pushq	%rax
	call	*THREAD_ENTER(%r10)
.Lleft:
	cld
	addq	$16, %rsp
	movq	%rdi, %rax
	movq	%rsi, %rdx
	popq	%rcx
	movl	$0, THREAD_RESUMING(%rcx)
	POP_SAVED
	ret

/*
 * struct exit_value hw_kernel_resume(struct inner_thread *)
 *
 * EXIT_KICKED instead when thread->reenter is set. A kick between the test and the ENCLU would be
 * lost: the signal handler sends a thread that it finds there (which includes the first part of the
 * kernel's function) to hw_resume_kicked, with the stack pointer of below.
 */
FUNCTION hw_kernel_resume
	PUSH_THREAD_AND_SAVED
	movq	%rsp, THREAD_RESUME_SP(%rdi)
	movq	%rdi, %r10
	movl	$ENCLU_ERESUME, %ecx
	movl	$0, THREAD_RUN_FUNCTION(%r10)
	leaq	THREAD_RUN(%r10), %rax
	subq	$8, %rsp
	pushq	%rax
	movl	$1, THREAD_RESUMING(%r10)
FUNCTION hw_resume_window_start
	cmpl	$0, THREAD_REENTER(%r10)
	jne	1f
	call	*THREAD_ENTER(%r10)
FUNCTION hw_resume_window_end
	jmp	.Lleft
1:	movq	THREAD_RESUME_SP(%r10), %rsp
FUNCTION hw_resume_kicked
	popq	%rcx
	movl	$0, THREAD_RESUMING(%rcx)
	movl	$EXIT_KICKED, %eax
	POP_SAVED
	ret

/*
 * s64 touch_pages(u64 address, u64 size)
 *
 * Reads a byte of every page. A fault goes on at touch_fault.
 */
FUNCTION touch_pages
	addq	%rdi, %rsi
FUNCTION touch_window_start
1:	cmpq	%rsi, %rdi
	jae	2f
	movb	(%rdi), %al
	addq	$4096, %rdi
	jmp	1b
2:	xorl	%eax, %eax
	ret
FUNCTION touch_window_end
FUNCTION touch_fault
	movq	$-12, %rax	/* ENOMEM */
	ret

	.section .note.GNU-stack, "", @progbits
