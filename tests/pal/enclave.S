/* SPDX-License-Identifier: Apache-2.0 */
/* Entry, exit and host calls of the test enclave; what the real kernel does, without its care. */
#define BLOCK_HOST_SP 0
#define BLOCK_HOST_BP 8
#define BLOCK_HOST_IP 16
#define BLOCK_LEAVE_SP 24
#define BLOCK_ARENA 32

/* EEXIT to RBX. */
	.macro LEAVE_TO_RBX
#ifdef OCCLUM_SIM
	jmp	*%rbx
#else
	movl	$4, %eax
	enclu
#endif
	.endm

	.section .text.entry, "ax", @progbits
	.globl enclave_entry
enclave_entry:
	cld
	testq	%rax, %rax
	jnz	.Lexception
	movq	%rsp, %gs:BLOCK_HOST_SP
	movq	%rbp, %gs:BLOCK_HOST_BP
	movq	%rcx, %gs:BLOCK_HOST_IP
	cmpq	$6, %rdi
	je	.Lhost_return
	movq	%rdx, %gs:BLOCK_ARENA
	movq	slot_stack_top(%rip), %rsp	/* from the TCS */
	addq	%rbx, %rsp
	pushq	$2
	popfq
	xorl	%ebp, %ebp
	call	test_main
	movq	%rax, %rsi
	xorl	%edi, %edi
.Lleave:
	movq	%gs:BLOCK_HOST_SP, %rsp
	movq	%gs:BLOCK_HOST_BP, %rbp
	movq	%gs:BLOCK_HOST_IP, %rbx
	/* The host may rely on nothing else. */
	movq	$-1, %rax
	movq	%rax, %rcx
	movq	%rax, %rdx
	movq	%rax, %r8
	movq	%rax, %r9
	movq	%rax, %r10
	movq	%rax, %r11
	movq	%rax, %r12
	movq	%rax, %r13
	movq	%rax, %r14
	movq	%rax, %r15
	LEAVE_TO_RBX

.Lhost_return:
	movq	%gs:BLOCK_LEAVE_SP, %rsp
	pushq	$2
	popfq
	popq	%rax
	wrfsbase %rax
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

	.globl host_leave
host_leave:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	rdfsbase %rax
	pushq	%rax
	movq	%rsp, %gs:BLOCK_LEAVE_SP
	movl	$1, %edi
	xorl	%esi, %esi
	jmp	.Lleave

.Lexception:
	movq	%rsp, %r12
	movq	%rbp, %r13
	movq	%rcx, %r14
	rdgsbase %rdi
	leaq	0x3000(%rdi), %rsp	/* the exception stack's end */
	pushq	$2
	popfq
	call	test_exception
	movq	%r12, %rsp
	movq	%r13, %rbp
	movq	%r14, %rbx
	movl	$2, %edi
	LEAVE_TO_RBX

	.globl abort_now
abort_now:
	movl	$3, %edi
	movl	$3, %esi
	jmp	.Lleave

/* Instructions that trap, each with its way back. */
	.globl do_syscall
do_syscall:		/* (number, argument): what test_exception() puts into RAX */
	movq	%rdi, %rax
	movq	%rsi, %rdi
	syscall
	ret
	.globl do_int80
do_int80:
	movq	%rdi, %rax
	int	$0x80
	ret
	.globl do_read
do_read:		/* (address) */
	movl	$0, %eax
	movb	(%rdi), %al
	.globl after_read
after_read:
	ret
	.globl do_write
do_write:		/* (address): the byte that is there */
	movl	$0, %eax
	movb	(%rdi), %cl
	movb	%cl, (%rdi)
	jmp	after_read
	.globl do_divide
do_divide:
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$1, %eax
	divl	%ecx
	.globl after_divide
after_divide:
	ret
	.globl do_breakpoint
do_breakpoint:
	int3
	ret
	.globl do_wild_jump
do_wild_jump:
	movl	$0x1000, %eax
	jmp	*%rax
	.globl do_syscall_odd_flags	/* with AC and DF set */
do_syscall_odd_flags:
	movq	%rdi, %rax
	pushfq
	orq	$0x40400, (%rsp)
	popfq
	syscall
	pushfq
	popq	%rdx
	andq	$~0x40400, %rdx
	pushq	%rdx
	popfq
	ret
/* Counts XMM mismatches while kicks arrive: (u32 *stop) */
	.globl do_vector_loop
do_vector_loop:
	movl	$0x5a5a1234, %eax
	movd	%eax, %xmm7
	xorl	%edx, %edx
1:	movd	%xmm7, %ecx
	cmpl	%ecx, %eax
	jne	2f
	cmpl	$0, (%rdi)
	je	1b
	movl	%edx, %eax
	ret
2:	incl	%edx
	movd	%eax, %xmm7
	jmp	1b

#ifndef OCCLUM_SIM
/* ENCLU: (leaf, rbx, rcx, rdx) -> EAX */
	.globl do_enclu
do_enclu:
	pushq	%rbx
	movq	%rdi, %rax
	movq	%rsi, %rbx
	xchgq	%rdx, %rcx
	enclu
	popq	%rbx
	ret
#endif

	.section .occlum.sigstruct, "", @progbits
	.zero	1808
	.section .note.GNU-stack, "", @progbits
