/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Touching user memory. Everything between user_access_start and user_access_end may fault; the
 * exception path then continues at user_access_fault, which returns rcx, the count of bytes left.
 * So every function keeps rcx true and uses no stack. Direction flag clear, as always here.
 */
	.section .text.user_access, "ax", @progbits
	.hidden user_access_start, user_access_end, user_access_fault
	.globl user_access_start, user_access_end, user_access_fault

	.macro FUNCTION name
	.globl \name
	.hidden \name
	.type \name, @function
	.balign 16
\name:
	.endm

user_access_start:

/* size_t arch_user_copy(rdi = to, rsi = from, rdx = size) */
FUNCTION arch_user_copy
	movq	%rdx, %rcx
	cmpq	$256, %rcx
	jae	3f
1:	cmpq	$8, %rcx
	jb	2f
	movq	(%rsi), %rax
	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	subq	$8, %rcx
	jmp	1b
2:	testq	%rcx, %rcx
	jz	4f
	movb	(%rsi), %al
	movb	%al, (%rdi)
	incq	%rsi
	incq	%rdi
	decq	%rcx
	jmp	2b
3:	rep movsb
4:	xorl	%eax, %eax
	ret

/* size_t arch_user_zero(rdi = to, rsi = size) */
FUNCTION arch_user_zero
	movq	%rsi, %rcx
	xorl	%eax, %eax
	rep stosb
	ret

/* size_t arch_user_load_u32(rdi = ret, rsi = at) */
FUNCTION arch_user_load_u32
	movl	$4, %ecx
	movl	(%rsi), %eax
	movl	%eax, (%rdi)
	xorl	%eax, %eax
	ret

FUNCTION arch_user_load_u64
	movl	$8, %ecx
	movq	(%rsi), %rax
	movq	%rax, (%rdi)
	xorl	%eax, %eax
	ret

/* size_t arch_user_store_u32(rdi = at, esi = value) */
FUNCTION arch_user_store_u32
	movl	$4, %ecx
	movl	%esi, (%rdi)
	xorl	%eax, %eax
	ret

FUNCTION arch_user_store_u64
	movl	$8, %ecx
	movq	%rsi, (%rdi)
	xorl	%eax, %eax
	ret

/* size_t arch_user_cmpxchg_u32(rdi = at, rsi = old, edx = new) */
FUNCTION arch_user_cmpxchg_u32
	movl	$4, %ecx
	movl	(%rsi), %eax
	lock cmpxchgl %edx, (%rdi)
	movl	%eax, (%rsi)
	xorl	%eax, %eax
	ret

user_access_end:

FUNCTION user_access_fault
	movq	%rcx, %rax
	ret

	.section .note.GNU-stack, "", @progbits
