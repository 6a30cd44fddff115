/* SPDX-License-Identifier: Apache-2.0 */
/* The text page of the test enclave (position independent, copied), and the host's call into it. */
#include "tests/emu/tiny.h"

	.section .rodata.tiny, "a", @progbits
	.balign 4096
	.globl tiny_text, tiny_text_end
tiny_text:
	movq	%rsp, %gs:BLOCK_ENTRY_SP
	testq	%rax, %rax
	jnz	.Lexception
	movq	%rsp, %gs:BLOCK_HOST_SP
	movq	%rbp, %gs:BLOCK_HOST_BP
	movq	%rcx, %gs:BLOCK_HOST_IP
	/* What was given: flags need a stack, which is the slot's own. */
	rdgsbase %rsp
	leaq	TINY_STACK_END-TINY_BLOCK(%rsp), %rsp
	pushfq
	popq	%gs:BLOCK_FLAGS
	stmxcsr	%gs:BLOCK_MXCSR
	fnstcw	%gs:BLOCK_CONTROL
	pushq	$2
	popfq
	call	clean
	cmpq	$18, %rdi
	ja	.Lout
	leaq	table(%rip), %r8
	movslq	(%r8, %rdi, 4), %r9
	addq	%r8, %r9
	jmp	*%r9
	.balign 4
table:	.long	add-table, leaf-table, load-table, store-table, jump-table
	.long	do_syscall-table, int80-table, undefined-table, divide-table, breakpoint-table
	.long	spin-table, dirty_xmm-table, dirty_r12-table, flags-table, tsc-table, out-table
	.long	skip-table, do_call-table, frozen-table

add:	leaq	1(%rsi), %rsi
.Lout:	call	clean
.Lleave:
	xorl	%edi, %edi
	movq	%gs:BLOCK_HOST_SP, %rsp
	movq	%gs:BLOCK_HOST_BP, %rbp
	movq	%gs:BLOCK_HOST_IP, %rbx
.Lexit:
	xorl	%edx, %edx
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	movl	$4, %eax
	.byte	0x0f, 0x01, 0xd7
	ud2

/* Extended state as after reset; clobbers RAX and RDX. */
clean:	pushq	%rdx
	movl	$7, %eax
	xorl	%edx, %edx
	xrstor	initial(%rip)
	popq	%rdx
	ret

leaf:	movq	%rsi, %r8
	movq	(%r8), %rax
	movq	8(%r8), %rbx
	movq	16(%r8), %rcx
	movq	24(%r8), %rdx
	.byte	0x0f, 0x01, 0xd7
	setz	%sil
	movzbl	%sil, %esi
	shlq	$63, %rsi
	orq	%rax, %rsi
	jmp	.Lout

load:	movzbl	(%rsi), %eax	/* three bytes */
	movq	%rax, %rsi
	jmp	.Lout
store:	movb	%dl, (%rsi)	/* two bytes */
	nop
	jmp	.Lout
jump:	jmp	*%rsi
do_call: call	*%rsi
	jmp	.Lout
do_syscall:
	movl	$39, %eax
	syscall
	movq	%rax, %rsi
	jmp	.Lout
int80:	movl	$20, %eax
	int	$0x80
	movq	%rax, %rsi
	jmp	.Lout
undefined:
	ud2
	jmp	.Lout
divide:	xorl	%ecx, %ecx
	xorl	%edx, %edx
	divl	%ecx
	jmp	.Lout
breakpoint:
	int3
	jmp	.Lout
tsc:	rdtsc
	movl	%eax, %eax
	movq	%rax, %rsi
	jmp	.Lout
out:	xorl	%eax, %eax
	outb	%al, $0x80
	jmp	.Lout

spin:	movl	$0x1234abcd, %eax
	movd	%eax, %xmm7
	movq	%rax, %r13
	xorl	%r14d, %r14d
1:	movd	%xmm7, %ecx
	cmpq	%rcx, %r13
	je	2f
	incq	%r14
2:	cmpl	$0, (%rsi)
	je	1b
	movq	%r14, %rsi
	jmp	.Lout

dirty_xmm:
	call	clean
	movl	$77, %eax
	movd	%eax, %xmm9
	jmp	.Lleave
dirty_r12:
	call	clean
	xorl	%edi, %edi
	movq	%gs:BLOCK_HOST_SP, %rsp
	movq	%gs:BLOCK_HOST_BP, %rbp
	movq	%gs:BLOCK_HOST_IP, %rbx
	movl	$5, %r12d
	xorl	%edx, %edx
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	movl	$4, %eax
	.byte	0x0f, 0x01, 0xd7

flags:	movq	%rsi, %rcx
	xorl	%esi, %esi
1:	pushfq
	movq	(%rsp), %rax
	andl	$0x100, %eax
	orl	%eax, %esi
	popfq
	pushfq
	popq	%rax
	andl	$0x100, %eax
	orl	%eax, %esi
	loop	1b
	jmp	.Lout

skip:	movq	%rsi, %gs:BLOCK_SKIP
	jmp	.Lout

frozen:	movl	$1, %gs:BLOCK_RESULT
	ud2
	jmp	.Lout

	/* Notes what happened and skips the instruction. The frame is SSA[0], below the block. */
.Lexception:
	cmpl	$0, %gs:BLOCK_RESULT
	je	2f
1:	pause
	jmp	1b
2:	movq	%rcx, %rbx
	incq	%gs:BLOCK_EXCEPTIONS
	rdgsbase %r8
	movl	-0x1000-184+160(%r8), %eax
	movq	%rax, %gs:BLOCK_EXITINFO
	movq	-0x1000-184-16(%r8), %rax
	movq	%rax, %gs:BLOCK_MADDR
	movl	-0x1000-184-8(%r8), %eax
	movq	%rax, %gs:BLOCK_ERRCD
	testb	$0x80, %gs:BLOCK_EXITINFO+3
	jz	1f
	movq	%gs:BLOCK_SKIP, %rax
	addq	%rax, -0x1000-184+136(%r8)
1:	movl	$7, %eax
	xorl	%edx, %edx
	xrstor	initial(%rip)
	cld
	/* The host's stack is the host's business; flags can only be cleared through a stack. */
	movq	%rsp, %r12
	leaq	0x1800-0x1000(%r8), %rsp
	pushq	$2
	popfq
	movq	%r12, %rsp
	movl	$2, %edi
	xorl	%esi, %esi
	jmp	.Lexit

	.balign 64
initial:
	.word	0x37f
	.zero	22
	.long	0x1f80
	.zero	548
	.balign 4096
tiny_text_end:

/*
 * u64 tiny_call(u64 rdi, u64 rsi, u64 rdx, u32 function, struct sgx_enclave_run *run, int *ret)
 *
 * emu_enter_enclave() with everything saved that an enclave may leave changed. Returns RSI. On a
 * stack of its own: an exit after ERESUME comes back with the stack pointer of the EENTER.
 */
	.text
	.globl tiny_call
	.type tiny_call, @function
tiny_call:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%r9
	subq	$8, %rsp
	movq	%rsp, tiny_saved_sp(%rip)
	leaq	entry_stack_end(%rip), %rsp
	pushq	%r8		/* the pointer is also the argument of emu_enter_enclave() */
	call	emu_enter_enclave
	.globl tiny_recover
tiny_recover:
	movq	tiny_saved_sp(%rip), %rsp
	cld
	pushq	$2
	popfq
	fninit
	ldmxcsr	mxcsr(%rip)
	addq	$8, %rsp
	popq	%r9
	movl	%eax, (%r9)
	movq	%rsi, %rax
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/* The same by a bare ENCLU, as a PAL does where the kernel has no function: run is the TCS. */
	.globl tiny_call_bare, tiny_bare_enclu
	.type tiny_call_bare, @function
tiny_call_bare:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%r9
	subq	$8, %rsp
	movq	%rsp, tiny_saved_sp(%rip)
	movl	%ecx, %eax
	movq	%r8, %rbx
	leaq	tiny_bare_enclu(%rip), %rcx
tiny_bare_enclu:
	.byte	0x0f, 0x01, 0xd7
	movl	$4, %eax
	jmp	tiny_recover

/* The kernel leaves AC as the enclave had it. */
	.globl tiny_signal_entry
	.type tiny_signal_entry, @function
tiny_signal_entry:
	cld
	pushfq
	andq	$~0x40000, (%rsp)
	popfq
	subq	$8, %rsp
	call	tiny_on_signal
	addq	$8, %rsp
	ret

	.section .rodata
	.balign 4
mxcsr:	.long	0x1f80
	.section .data
	.globl tiny_saved_sp
tiny_saved_sp:
	.quad	0
	.section .bss
	.balign 16
	.zero	16384 - 8	/* aligned at the call */
entry_stack_end:
	.zero	8
	.section .note.GNU-stack, "", @progbits
