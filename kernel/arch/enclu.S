/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ENCLU for the leaves that do not leave the enclave. The host's page tables may make it fault on
 * any address; stage 1 then goes on at the second address of the fixup.
 */
#ifndef OCCLUM_SIM
	.text

/* u32 enclu_leaf(edi = leaf, rsi -> rbx, rdx -> rcx, rcx -> rdx) */
	.globl enclu_leaf
	.type enclu_leaf, @function
enclu_leaf:
	pushq	%rbx
	movl	%edi, %eax
	movq	%rsi, %rbx
	xchgq	%rcx, %rdx
.Lenclu:
	enclu
	popq	%rbx
	ret
.Lenclu_fault:
	movl	$-1, %eax
	popq	%rbx
	ret
#endif

/* bool arch_try_rdtsc(void): whether RDTSC works here; some enclaves and settings refuse it. */
	.text
	.globl arch_try_rdtsc
	.type arch_try_rdtsc, @function
arch_try_rdtsc:
.Lrdtsc:
	rdtsc
	movl	$1, %eax
	ret
.Lrdtsc_fault:
	xorl	%eax, %eax
	ret

/* struct fixup arch_fixups[]: where an instruction of the kernel may fault, and where to go on. */
	.section .data.rel.ro, "aw", @progbits
	.balign 8
	.globl arch_fixups, arch_fixups_end
arch_fixups:
#ifndef OCCLUM_SIM
	.quad	.Lenclu, .Lenclu_fault
#endif
	.quad	.Lrdtsc, .Lrdtsc_fault
arch_fixups_end:

	.section .note.GNU-stack, "", @progbits
