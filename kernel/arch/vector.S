/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bracket of lib/crypto/vector.h: vector registers 0-15 in full width to a buffer that is
 * aligned to 64 bytes, and back.
 */
	.macro EACH instruction, width, store
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	.if \store
	\instruction %\width\n, \n*64(%rdi)
	.else
	\instruction \n*64(%rdi), %\width\n
	.endif
	.endr
	.endm

	.text
	.globl arch_vector_save
	.type arch_vector_save, @function
arch_vector_save:
	cmpl	$0, vector_is_avx512(%rip)
	jne	1f
	EACH vmovdqa ymm 1
	ret
1:	EACH vmovdqa64 zmm 1
	ret

	.globl arch_vector_restore
	.type arch_vector_restore, @function
arch_vector_restore:
	cmpl	$0, vector_is_avx512(%rip)
	jne	1f
	EACH vmovdqa ymm 0
	ret
1:	EACH vmovdqa64 zmm 0
	ret

	.section .note.GNU-stack, "", @progbits
