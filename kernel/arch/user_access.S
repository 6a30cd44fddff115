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

/*
 * size_t arch_user_copy(rdi = to, rsi = from, rdx = size)
 *
 * Up to 16 bytes, and the last 16 of more, go as two or three units that may overlap; all are read
 * before one is written. A fault among them counts as none of them copied.
 */
FUNCTION arch_user_copy
	movq	%rdx, %rcx
	cmpq	$16, %rdx
	ja	3f
	cmpl	$8, %edx
	jb	1f
	movq	(%rsi), %rax
	movq	-8(%rsi, %rdx), %r8
	movq	%rax, (%rdi)
	movq	%r8, -8(%rdi, %rdx)
	xorl	%eax, %eax
	ret
1:	cmpl	$4, %edx
	jb	2f
	movl	(%rsi), %eax
	movl	-4(%rsi, %rdx), %r8d
	movl	%eax, (%rdi)
	movl	%r8d, -4(%rdi, %rdx)
	xorl	%eax, %eax
	ret
2:	testl	%edx, %edx
	jz	4f
	movl	%edx, %r9d
	shrl	%r9d
	movb	(%rsi), %al
	movb	(%rsi, %r9), %r10b
	movb	-1(%rsi, %rdx), %r8b
	movb	%al, (%rdi)
	movb	%r10b, (%rdi, %r9)
	movb	%r8b, -1(%rdi, %rdx)
	xorl	%eax, %eax
	ret
3:	cmpq	$256, %rcx
	jae	6f
5:	movq	(%rsi), %rax
	movq	8(%rsi), %r8
	movq	%rax, (%rdi)
	movq	%r8, 8(%rdi)
	addq	$16, %rsi
	addq	$16, %rdi
	subq	$16, %rcx
	cmpq	$16, %rcx
	ja	5b
	movq	-16(%rsi, %rcx), %rax
	movq	-8(%rsi, %rcx), %r8
	movq	%rax, -16(%rdi, %rcx)
	movq	%r8, -8(%rdi, %rcx)
4:	xorl	%eax, %eax
	ret
6:	rep movsb
	xorl	%eax, %eax
	ret

/* size_t arch_user_zero(rdi = to, rsi = size); short ones as above */
FUNCTION arch_user_zero
	movq	%rsi, %rcx
	xorl	%eax, %eax
	cmpq	$16, %rsi
	ja	3f
	cmpl	$8, %esi
	jb	2f
	movq	%rax, (%rdi)
	movq	%rax, -8(%rdi, %rsi)
	ret
2:	cmpl	$4, %esi
	jb	1f
	movl	%eax, (%rdi)
	movl	%eax, -4(%rdi, %rsi)
	ret
1:	testl	%esi, %esi
	jz	4f
	movb	%al, (%rdi)
	movb	%al, -1(%rdi, %rsi)
	shrl	%esi
	movb	%al, (%rdi, %rsi)
	ret
3:	rep stosb
4:	ret

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
