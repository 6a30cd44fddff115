// SPDX-License-Identifier: Apache-2.0
/*
 * Stage 2 of an exception of a program: on the thread's kernel stack, with everything allowed.
 * Decodes what the program tried (a system call, cpuid, rdtsc that was not patched), lets mm
 * fill pages, and turns the rest into signals. Also the last thing before going back: pending
 * work.
 */
#include "kernel/arch/arch_priv.h"

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/patch.h"
#include "kernel/arch/patch_priv.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/turn.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sched/thread.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/dispatch.h"
#include "lib/base/string.h"

#define SIG_ILL		 4
#define SIG_TRAP	 5
#define SIG_BUS		 7
#define SIG_FPE		 8
#define SIG_SEGV	 11

#define CODE_KERNEL	 0x80
#define CODE_ILL_OPERAND 2
#define CODE_FPE_INT_DIV 1
#define CODE_SEGV_MAP	 1
#define CODE_SEGV_ACCESS 2
#define CODE_BUS_ALIGN	 1
#define CODE_BUS_ADDRESS 2
#define CODE_TRAP_TRACE	 2

#define PAGE_FAULT_WRITE 2
#define PAGE_FAULT_FETCH 16

static void fault(struct user_regs *regs, int signo, int code, u64 address)
{
	const struct thread_block *b = thread_block();
	struct signal_info info = {
		.signo = signo,
		.code = code,
		.address = address,
		.trap = b->trap_vector,
		.trap_code = (u32)b->trap_error,
	};

	signal_fault(&info, regs);
}

static void page_fault(struct user_regs *regs, u64 error, u64 address)
{
	u32 access = MM_READ;
	int ret;

	if (error & PAGE_FAULT_WRITE)
		access = MM_WRITE;
	else if (error & PAGE_FAULT_FETCH)
		access = MM_EXEC;
	ret = mm_handle_fault(current_process()->mm, address, access);
	if (ret == 0)
		return;
	if (ret == -EFAULT)
		fault(regs, SIG_SEGV, CODE_SEGV_MAP, address);
	else if (ret == -EACCES)
		fault(regs, SIG_SEGV, CODE_SEGV_ACCESS, address);
	else
		fault(regs, SIG_BUS, CODE_BUS_ADDRESS, address);
}

/* The first unmasked exception flag, as Linux chooses the si_code of SIGFPE. */
static int float_code(u32 status)
{
	static const u8 codes[6] = {7, 7, 3, 4, 5, 6}; /* INV, denormal: INV; DIV OVF UND RES */
	static const u8 order[6] = {0, 2, 3, 4, 1, 5};

	for (u32 i = 0; i < 6; i++) {
		if (status & (1u << order[i]))
			return order[i] == 1 ? 5 : codes[order[i]];
	}
	return 0;
}

static void float_fault(struct user_regs *regs, bool is_x87)
{
	u32 mxcsr;
	u16 control, status;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(control));
	__asm__ volatile("fnstsw %0" : "=m"(status));
	if (is_x87)
		fault(regs, SIG_FPE, float_code(status & ~control & 0x3f), regs->rip);
	else
		fault(regs, SIG_FPE, float_code(mxcsr & ~(mxcsr >> 7) & 0x3f), regs->rip);
}

static void trapped_syscall(struct user_regs *regs)
{
	struct thread *t = current_thread();

	t->traps++;
	t->syscalls++;
	t->sigreturn_traps += regs->rax == NR_RT_SIGRETURN;
	process_note_trap(regs->rip, regs->rax);
	patch_trapped(regs->rip, regs->rax);
	regs->rip += 2;
	regs->orig_rax = regs->rax;
	regs->rcx = regs->rip;
	regs->r11 = regs->rflags;
	regs->rax = (u64)-ENOSYS;
	syscall_dispatch(regs);
}

void arch_cpuid_emulate(struct user_regs *regs)
{
	u32 out[4];

	arch_cpuid((u32)regs->rax, (u32)regs->rcx, out);
	regs->rax = out[0];
	regs->rbx = out[1];
	regs->rcx = out[2];
	regs->rdx = out[3];
}

static void emulate_rdtsc(struct user_regs *regs)
{
	u64 tsc = arch_tsc();

	regs->rax = (u32)tsc;
	regs->rdx = tsc >> 32;
}

/* What the CPU refuses in an enclave although programs may use it. False: something else. */
static bool emulate(struct user_regs *regs)
{
	u8 code[3] = {0};

	if (copy_from_user(code, (const void __user *)regs->rip, 2))
		return false;
	/* `int n`, an old system call: as on a kernel without 32-bit programs. */
	if (code[0] == 0xcd) {
		fault(regs, SIG_SEGV, CODE_KERNEL, 0);
		return true;
	}
	if (code[0] != 0x0f)
		return false;
	switch (code[1]) {
	case 0x05: trapped_syscall(regs); return true;
	case 0xa2:
		arch_cpuid_emulate(regs);
		regs->rip += 2;
		return true;
	case 0x31:
		emulate_rdtsc(regs);
		regs->rip += 2;
		return true;
	case 0x01:
		if (copy_from_user(&code[2], (const void __user *)(regs->rip + 2), 1) ||
		    code[2] != 0xf9)
			return false;
		emulate_rdtsc(regs);
		regs->rcx = current_thread()->slot; /* IA32_TSC_AUX: a CPU number */
		regs->rip += 3;
		return true;
	default: return false;
	}
}

void trap_handle(struct user_regs *regs)
{
	struct thread_block *b = thread_block();

	switch (b->trap_vector) {
	case TRAP_ASYNC: regs->rip = patch_normalise(regs->rip); break;
	case 0: fault(regs, SIG_FPE, CODE_FPE_INT_DIV, regs->rip); break;
	case 1: fault(regs, SIG_TRAP, CODE_TRAP_TRACE, regs->rip); break;
	case 3:
		if (!patch_breakpoint(regs))
			fault(regs, SIG_TRAP, CODE_KERNEL, 0);
		break;
	case 6:
		if (!emulate(regs))
			fault(regs, SIG_ILL, CODE_ILL_OPERAND, regs->rip);
		break;
	case 13:
		if (!emulate(regs))
			fault(regs, SIG_SEGV, CODE_KERNEL, 0);
		break;
	case 14: page_fault(regs, b->trap_error, b->trap_address); break;
	case 16: float_fault(regs, true); break;
	case 17: fault(regs, SIG_BUS, CODE_BUS_ALIGN, 0); break;
	case 19: float_fault(regs, false); break;
	default: fault(regs, SIG_SEGV, CODE_KERNEL, 0); break;
	}
}

/*
 * Before going back to the program with thread.work set. True: all registers must be restored as
 * they are in *regs (sigreturn, exec), false: it is the return of a system call.
 */
bool arch_exit_work(struct user_regs *regs)
{
	struct thread *t = current_thread();
	u32 old;

	for (;;) {
		if (thread_has_work(t)) {
			regs->rip = patch_normalise(regs->rip);
			signal_deliver(regs);
		} else if (__atomic_load_n(&t->work, __ATOMIC_ACQUIRE) & WORK_TURN) {
			turn_checkpoint();
		} else {
			break;
		}
	}
	old = __atomic_fetch_and(&t->work, ~(u32)(WORK_RESTORE | WORK_BARRIER), __ATOMIC_SEQ_CST);
	return old & WORK_RESTORE;
}
