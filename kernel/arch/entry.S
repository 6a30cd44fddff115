/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways in and out of the kernel.
 *
 *   enclave_entry    from the host: RAX = CSSA, RBX = TCS, RCX = where to go back to; every other
 *                    register and flag is what the host wants it to be
 *   syscall_entry    from a patched site of a program: RCX = return address, RAX = number, the
 *                    rest as at a `syscall`; every register and flag is the program's choice
 *   trap_entry       from stage 1 of an exception: the program's registers are saved already
 *   arch_enter_user  to a program
 *   host_leave       to the host and back
 *
 * What is where, at the top of the kernel stack:
 *
 *   slot end - 8     = thread_block.kernel_sp
 *            - 160   struct user_regs; below it the C frames of whatever runs
 *
 * An asynchronous exception in the kernel changes nothing, because the way out tests
 * thread.work. Between that test and the jump to the program a new bit would be missed: stage 1
 * sends a thread that it finds there back to the test (the windows exported at the end). Pops
 * do not destroy what they read, so this can happen any number of times.
 */
#include "kernel/arch/offsets.h"

	.section .text.entry, "ax", @progbits

/*
 * On hardware the extended registers (x87, SSE, AVX...) are the host's at every entry and would be
 * the host's to read at every exit. A constant image brings all that the enclave has (XFRM) to its
 * initial state at both; what a program had in them stays on the kernel stack through a host call.
 * In the simulation they stay as they are: nothing is hidden from the host there.
 *
 * RESET_XSTATE destroys EAX and EDX. FENCE: nothing that follows an entry runs ahead with values
 * from before.
 */
	.macro RESET_XSTATE
#ifndef OCCLUM_SIM
	movl	$-1, %eax
	movl	%eax, %edx
	xrstor64 xstate_constant(%rip)
#endif
	.endm

	.macro FENCE
#ifndef OCCLUM_SIM
	lfence
#endif
	.endm

/* Leaves to the host: EDI, RSI say why. Nothing else of the enclave is left in a register. */
	.macro LEAVE
	movq	%gs:TB_HOST_SP, %rsp
	movq	%gs:TB_HOST_BP, %rbp
	movq	%gs:TB_HOST_IP, %rbx
	LEAVE_TO_RBX
	.endm

	.macro LEAVE_TO_RBX
	RESET_XSTATE
	xorl	%edx, %edx
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	xorl	%ecx, %ecx
	movl	$4, %eax	/* EEXIT */
#ifdef OCCLUM_SIM
	jmp	*%rbx
#else
	enclu
	ud2
#endif
	.endm

/* Flags the kernel runs with; needs a trusted stack. */
	.macro CLEAN_FLAGS
	pushq	$2
	popfq
	.endm

/*
 * The same for an entry that is refused: the lower end of the exception stack, by a GS base that
 * the CPU has loaded, disturbs nobody who was interrupted on that stack. RSP is lost.
 */
	.macro CLEAN_FLAGS_OF_HOST
	rdgsbase %rax
	leaq	0x1000+16(%rax), %rsp
	CLEAN_FLAGS
	.endm

	.globl enclave_entry
	.type enclave_entry, @function
enclave_entry:
	cld
	testq	%rax, %rax
	jnz	.Lexception
	movq	slot_cookie(%rip), %r8
	testq	%r8, %r8
	jz	.Lfresh_slot
	cmpq	%r8, %gs:TB_COOKIE
	jne	.Lfresh_slot
	movq	%rsp, %gs:TB_HOST_SP
	movq	%rbp, %gs:TB_HOST_BP
	movq	%rcx, %gs:TB_HOST_IP
	cmpl	$SLOT_HOST_CALL, %gs:TB_STATE
	jne	.Lecall

	/* Back from a host call, and nothing else. */
	cmpq	$ECALL_HOST_RETURN_NR, %rdi
	jne	.Lrefuse
	movl	$SLOT_RUNNING, %gs:TB_STATE
	movq	%gs:TB_LEAVE_SP, %rsp
	CLEAN_FLAGS
#ifndef OCCLUM_SIM
	movl	$-1, %eax
	movl	%eax, %edx
	xrstor64 XSTATE_SAVED(%rsp)
	movq	(%rsp), %rsp
#endif
	FENCE
	popq	%rax
	wrfsbase %rax
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

.Lecall:
	cmpl	$SLOT_IDLE, %gs:TB_STATE
	jne	.Lrefuse
	movl	$SLOT_RUNNING, %gs:TB_STATE
	movl	$1, %gs:TB_IN_KERNEL
	movq	%gs:TB_KERNEL_SP, %rsp
	subq	$REGS_SIZE, %rsp
	CLEAN_FLAGS
#ifdef OCCLUM_SIM
	fninit
	ldmxcsr	xstate_constant+24(%rip)
#else
	movq	%rdx, %r8
	RESET_XSTATE
	movq	%r8, %rdx
#endif
	FENCE
	xorl	%ebp, %ebp
	call	ecall_dispatch
	movq	%rax, %rsi
	.globl ecall_return
ecall_return:	/* RSI = result; the kernel stack is given up */
	movq	$0, %gs:TB_THREAD
	movl	$SLOT_IDLE, %gs:TB_STATE
	movl	$EXIT_RETURN_NR, %edi
	LEAVE

	/*
	 * The first entry of the instance or of this slot. Nothing in the slot can be believed, but
	 * RBX is the TCS and what lies around it is this slot's, whose end is the stack's.
	 */
.Lfresh_slot:
	movq	%rsp, %r12
	movq	%rbp, %r13
	movq	%rcx, %r14
	movq	measured_page+MEASURED_SLOT_SIZE(%rip), %r8
	leaq	-0x1000-160(%rbx, %r8), %rsp
	CLEAN_FLAGS
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rbx
	movq	%rdi, %rsi
	movq	%rbx, %rdi
	call	arch_slot_init		/* 0, or the reason to abort */
	popq	%rbx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	testl	%eax, %eax
	jnz	.Lrefuse_fresh
	movq	%r12, %gs:TB_HOST_SP
	movq	%r13, %gs:TB_HOST_BP
	movq	%r14, %gs:TB_HOST_IP
	jmp	.Lecall

.Lrefuse_fresh:
	movl	%eax, %esi
	movq	%r12, %rsp
	movq	%r13, %rbp
	movq	%r14, %rbx
	movl	$EXIT_ABORT_NR, %edi
	LEAVE_TO_RBX

.Lrefuse:
	CLEAN_FLAGS_OF_HOST
	movl	$ABORT_BAD_ENTRY, %esi
	/* The slot's own state is not touched: the host's registers are those of this entry. */
	movl	$EXIT_ABORT_NR, %edi
	LEAVE

	/* Stage 1: the interrupted state lies in the SSA; it is looked at and edited, no more. */
.Lexception:
	movq	%rsp, %r12
	movq	%rbp, %r13
	movq	%rcx, %r14
	cmpq	$1, %rax
	jne	.Lrefuse_exception
	movq	slot_cookie(%rip), %r8
	testq	%r8, %r8
	jz	.Lrefuse_early
	cmpq	%r8, %gs:TB_COOKIE
	jne	.Lrefuse_early
	movq	%gs:TB_EXCEPTION_SP, %rsp
	CLEAN_FLAGS
	RESET_XSTATE
	FENCE
	movq	%gs:TB_SELF, %rdi
	call	exception_stage1
	movq	%r12, %rsp
	movq	%r13, %rbp
	movq	%r14, %rbx
	movl	$EXIT_EXCEPTION_DONE_NR, %edi
	xorl	%esi, %esi
	LEAVE_TO_RBX

.Lrefuse_early:
	movl	$ABORT_EARLY_EXCEPTION, %r13d
	jmp	1f
.Lrefuse_exception:
	movl	$ABORT_BAD_EXCEPTION, %r13d
1:	CLEAN_FLAGS_OF_HOST
	movl	%r13d, %esi
	movq	%r12, %rsp
	movq	%r14, %rbx
	movl	$EXIT_ABORT_NR, %edi
	LEAVE_TO_RBX

/* void arch_abort(u64 reason): the instance is dead (the cookie has been taken away). */
	.globl arch_abort
	.type arch_abort, @function
arch_abort:
	movq	%rdi, %rsi
	movl	$EXIT_ABORT_NR, %edi
	LEAVE

/* void host_leave(void): the request lies in the arena. Extended state of the program is kept. */
	.globl host_leave
	.type host_leave, @function
host_leave:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	rdfsbase %rax
	pushq	%rax
#ifndef OCCLUM_SIM
	/*   (rsp) the pushed registers' address   +64 XSAVE area, header cleared first */
	movq	%rsp, %rbp
	subq	$XSTATE_SAVED+XSTATE_AREA_MAX, %rsp
	andq	$-64, %rsp
	movq	%rbp, (%rsp)
	xorl	%eax, %eax
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movq	%rax, XSTATE_SAVED+512+8*\n(%rsp)
	.endr
	movl	xstate_mask(%rip), %eax
	movl	xstate_mask+4(%rip), %edx
	xsave64	XSTATE_SAVED(%rsp)
#endif
	movq	%rsp, %gs:TB_LEAVE_SP
	movl	$SLOT_HOST_CALL, %gs:TB_STATE
	movl	$EXIT_HOST_CALL_NR, %edi
	xorl	%esi, %esi
	LEAVE

/*
 * A system call of a program. R11 is free to use: the instruction that this stands for destroys
 * it. GS is checked first, so that a program that changed it cannot make the kernel use
 * another stack: within the slots, and pointing to a block.
 */
	.globl syscall_entry
	.type syscall_entry, @function
syscall_entry:
	rdgsbase %r11
	subq	slots_start(%rip), %r11
	cmpq	slots_size(%rip), %r11
	jae	.Lbad_gs
	addq	slots_start(%rip), %r11
	cmpq	%gs:TB_SELF, %r11
	jne	.Lbad_gs
	movq	%rsp, %gs:TB_USER_SP
	movq	%gs:TB_KERNEL_SP, %rsp
	pushq	%gs:TB_USER_SP
	pushfq
	movl	$1, %gs:TB_IN_KERNEL
	.globl syscall_entry_end
syscall_entry_end:
	pushq	%rcx		/* rip */
	pushq	%rax		/* orig_rax */
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	$-38		/* rax: ENOSYS */
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	80(%rsp)	/* r11 = flags, as after `syscall` */
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%gs:TB_THREAD, %rcx
	testl	$FLAGS_ODD, REGS_RFLAGS(%rsp)
	jnz	.Lodd_flags
.Lflags_clean:
	incq	THREAD_SYSCALLS(%rcx)
	movq	%rsp, %rdi
	call	syscall_dispatch
	.globl syscall_exit
syscall_exit:
	movq	%gs:TB_THREAD, %rcx
	cmpl	$0, THREAD_WORK(%rcx)
	jne	.Lslow_exit
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	popq	%rcx		/* orig_rax */
	popq	%rcx		/* rip, as after `sysret` */
	popq	%r11		/* flags */
	popq	%rsp
	movl	$0, %gs:TB_IN_KERNEL
	.globl syscall_exit_jump
syscall_exit_jump:
	jmp	*%rcx

.Lodd_flags:
	CLEAN_FLAGS
	lock orl $WORK_RESTORE_BIT, THREAD_WORK(%rcx)
	jmp	.Lflags_clean

	/* Stage 1 makes this the program's fault, at the site it came from. */
	.globl syscall_entry_bad_gs
syscall_entry_bad_gs:
.Lbad_gs:
	ud2

.Lslow_exit:
	movq	%rsp, %rdi
	call	arch_exit_work		/* true: all registers must be restored */
	testb	%al, %al
	jz	syscall_exit
	jmp	full_exit

/* From stage 1, registers saved, RSP at them. */
	.globl trap_entry
	.type trap_entry, @function
trap_entry:
	movq	%rsp, %rdi
	call	trap_handle
	jmp	full_exit

/* void enter_user(struct user_regs *on_stack): the registers lie at their place. */
	.globl enter_user
	.type enter_user, @function
enter_user:
	movq	%rdi, %rsp
	.globl full_exit
full_exit:
	movq	%gs:TB_THREAD, %rcx
	cmpl	$0, THREAD_WORK(%rcx)
	jne	.Lfull_work
	movq	REGS_RIP(%rsp), %rcx
	movq	%rcx, %gs:TB_USER_IP
	andq	$FLAGS_USER_MASK, REGS_RFLAGS(%rsp)
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	addq	$16, %rsp
	popfq
	popq	%rsp
	movl	$0, %gs:TB_IN_KERNEL
	.globl full_exit_jump
full_exit_jump:
	jmp	*%gs:TB_USER_IP

.Lfull_work:
	movq	%rsp, %rdi
	call	arch_exit_work
	jmp	full_exit

/*
 * A `cpuid` of a program by way of a stub: the results EBX and EDX are free to use, RBX holds the
 * return address.
 */
	.globl cpuid_entry
	.type cpuid_entry, @function
cpuid_entry:
	rdgsbase %rdx
	subq	slots_start(%rip), %rdx
	cmpq	slots_size(%rip), %rdx
	jae	.Lbad_gs_cpuid
	rdgsbase %rdx
	cmpq	%gs:TB_SELF, %rdx
	jne	.Lbad_gs_cpuid
	movq	%rsp, %gs:TB_USER_SP
	movq	%gs:TB_KERNEL_SP, %rsp
	pushq	%gs:TB_USER_SP
	pushfq
	movl	$1, %gs:TB_IN_KERNEL
	.globl cpuid_entry_end
cpuid_entry_end:
	pushq	%rbx
	pushq	$-1
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	testl	$FLAGS_ODD, REGS_RFLAGS(%rsp)
	jz	1f
	CLEAN_FLAGS
1:	movq	%rsp, %rdi
	call	arch_cpuid_emulate
	jmp	full_exit

.Lbad_gs_cpuid:
	movq	%rbx, %rcx
	jmp	.Lbad_gs

/*
 * The kernel itself is at fault: stage 1 has noted where. Runs on the exception stack, which
 * nobody uses at CSSA 0.
 */
	.globl kernel_fault_entry
	.type kernel_fault_entry, @function
kernel_fault_entry:
	movq	%gs:TB_SELF, %rdi
	call	kernel_fault
	ud2

	/*
	 * For XRSTOR: every component in its initial state (XSTATE_BV is 0). MXCSR is taken from
	 * here all the same, 0x1f80; the initial x87 control word is 0x37f.
	 */
	.section .rodata
	.balign 64
	.globl xstate_constant
xstate_constant:
	.word	0x37f
	.zero	22
	.long	0x1f80
	.zero	576-28

	/* Not loaded: the signer's place for the SIGSTRUCT. */
	.section .occlum.sigstruct, "", @progbits
	.zero	1808

	.section .note.GNU-stack, "", @progbits
