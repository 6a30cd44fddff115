/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int emu_enter_enclave(rdi, rsi, rdx, u32 function, r8, r9, struct sgx_enclave_run *run)
 *
 * The contract of the kernel's __vdso_sgx_enter_enclave(): `run` is checked, RAX, RBX and RCX are
 * consumed, all else goes in and comes out as it is. One ENCLU enters and is the place that an
 * asynchronous exit comes back to. A fault of it (or inside) goes on at emu_enter_fixup with the
 * leaf in EAX and vector, error code and address in RDI, RSI and RDX. The handler, where there is
 * one, is asked what to do; more than 0 is the next leaf.
 */
#define RUN_TCS		0
#define RUN_FUNCTION	8
#define RUN_VECTOR	12
#define RUN_ERROR	14
#define RUN_ADDRESS	16
#define RUN_HANDLER	24
#define RUN_RESERVED	40
#define RUN_SIZE	256
#define RUN_AT		16	/* from RBP */

	.text
	.globl emu_enter_enclave, emu_enter_enclu, emu_enter_fixup, emu_enter_end
	.type emu_enter_enclave, @function
emu_enter_enclave:
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rbx
	movl	%ecx, %eax

.Lonce_more:
	leal	-2(%rax), %ebx		/* EENTER or ERESUME */
	cmpl	$1, %ebx
	ja	.Linvalid
	movq	RUN_AT(%rbp), %rcx
	movl	$RUN_RESERVED, %ebx
1:	cmpq	$0, (%rcx, %rbx)
	jne	.Linvalid
	addl	$8, %ebx
	cmpl	$RUN_SIZE, %ebx
	jne	1b
	movq	RUN_TCS(%rcx), %rbx
	leaq	emu_enter_enclu(%rip), %rcx
emu_enter_enclu:
	.byte	0x0f, 0x01, 0xd7
	movq	RUN_AT(%rbp), %rbx
	movl	$4, RUN_FUNCTION(%rbx)	/* EEXIT */

.Lleft:
	cmpq	$0, RUN_HANDLER(%rbx)
	jne	.Lask
	xorl	%eax, %eax
.Lout:
	leaq	-8(%rbp), %rsp
	popq	%rbx
	popq	%rbp
	ret

.Linvalid:
	movl	$-22, %eax
	jmp	.Lout

emu_enter_fixup:
	movq	RUN_AT(%rbp), %rbx
	movl	%eax, RUN_FUNCTION(%rbx)
	movw	%di, RUN_VECTOR(%rbx)
	movw	%si, RUN_ERROR(%rbx)
	movq	%rdx, RUN_ADDRESS(%rbx)
	jmp	.Lleft

.Lask:	/* handler(rdi, rsi, rdx, rsp at the exit, r8, r9, run) */
	movq	%rsp, %rcx
	andq	$-16, %rsp
	cld
	lfence
	subq	$8, %rsp
	pushq	%rbx
	movq	RUN_HANDLER(%rbx), %rax
	call	*%rax
	leaq	-8(%rbp), %rsp
	testl	%eax, %eax
	jle	.Lout
	jmp	.Lonce_more
emu_enter_end:
	.size emu_enter_enclave, . - emu_enter_enclave

/*
 * s64 emu_syscall(number, a1, a2, a3, a4, a5, a6), where the dispatch of system calls lets it pass.
 */
	.section pal_syscalls, "ax", @progbits
	.globl emu_syscall
	.hidden emu_syscall
	.type emu_syscall, @function
emu_syscall:
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	ret

	.section .note.GNU-stack, "", @progbits
