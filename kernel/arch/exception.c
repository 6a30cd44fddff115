// SPDX-License-Identifier: Apache-2.0
/*
 * Stage 1 of an exception: decides where the interrupted thread goes on, by editing the saved
 * general registers, and returns. It touches no user memory, takes no lock and makes no host
 * call: it runs on the exception stack while the thread's own work lies frozen in the SSA. The
 * host chose the moment, so every state of the kernel can be found here.
 *
 *   in the program             registers to the kernel stack, on at trap_entry (stage 2);
 *                              asynchronous without thread.work: on
 *   on the way in, before the  asynchronous: on (thread.work is tested on the way out);
 *   kernel counts as entered   a fault: GS was wrong, the program's fault at its call site
 *   on the way out, after the  back to the test of thread.work
 *   test of thread.work
 *   in user_access.S           a fault: on at user_access_fault
 *   at an instruction of       a fault: on at its second address
 *   arch_fixups
 *   elsewhere in the kernel    asynchronous: on; a fault: the end of the instance
 *
 * The windows count only together with thread_block.in_kernel, since a program can jump to any
 * address.
 */
#include "kernel/arch/arch_priv.h"

#include "kernel/arch/arch.h"

#define VECTOR_DB 1
#define VECTOR_BP 3
#define VECTOR_GP 13
#define VECTOR_PF 14

static bool is_between(u64 ip, const void *start, const void *end)
{
	return ip >= (u64)start && ip < (u64)end;
}

static void save_program(struct thread_block *b, const struct ssa_gpr *g, u64 ip)
{
	struct user_regs *regs = thread_block_regs(b);

	regs->r15 = g->r15;
	regs->r14 = g->r14;
	regs->r13 = g->r13;
	regs->r12 = g->r12;
	regs->rbp = g->rbp;
	regs->rbx = g->rbx;
	regs->r11 = g->r11;
	regs->r10 = g->r10;
	regs->r9 = g->r9;
	regs->r8 = g->r8;
	regs->rax = g->rax;
	regs->rcx = g->rcx;
	regs->rdx = g->rdx;
	regs->rsi = g->rsi;
	regs->rdi = g->rdi;
	regs->orig_rax = (u64)-1;
	regs->rip = ip;
	regs->rflags = g->rflags;
	regs->rsp = g->rsp;
}

static void resume_at(struct ssa_gpr *g, const void *ip, u64 sp)
{
	g->rip = (u64)ip;
	g->rsp = sp;
	g->rflags &= ~(u64)FLAGS_ODD;
}

/* What the CPU says about an exception. */
struct cause {
	u64 vector; /* or TRAP_ASYNC */
	u64 error;
	u64 address;
};

/*
 * Only here, where stage 2 begins: while it is under way the thread is in the kernel, and another
 * exit (a kick) must not change what it has still to read.
 */
static void note_cause(struct thread_block *b, const struct cause *cause)
{
	b->trap_vector = cause->vector;
	b->trap_error = cause->error;
	b->trap_address = cause->address;
}

static void from_program(struct thread_block *b, struct ssa_gpr *g, u64 ip,
			 const struct cause *cause)
{
	note_cause(b, cause);
	save_program(b, g, ip);
	b->in_kernel = 1;
	g->gs_base = b->self;
	resume_at(g, (const void *)trap_entry, b->kernel_sp - REGS_SIZE);
}

static void from_kernel(struct thread_block *b, struct ssa_gpr *g, const struct cause *cause)
{
	u64 ip = g->rip;

	if (cause->vector == VECTOR_DB) {
		g->rflags &= ~(u64)FLAG_TF; /* a program that single-steps into the kernel */
		return;
	}
	if (cause->vector == TRAP_ASYNC) {
		if (is_between(ip, syscall_exit, syscall_exit_jump))
			resume_at(g, syscall_exit, b->kernel_sp - REGS_SIZE);
		else if (is_between(ip, full_exit, full_exit_jump))
			resume_at(g, full_exit, b->kernel_sp - REGS_SIZE);
		return;
	}
	if ((cause->vector == VECTOR_PF || cause->vector == VECTOR_GP) &&
	    is_between(ip, user_access_start, user_access_end)) {
		g->rip = (u64)user_access_fault;
		return;
	}
	for (const struct fixup *f = arch_fixups; f < arch_fixups_end; f++) {
		if (ip == f->at) {
			g->rip = f->resume;
			return;
		}
	}
	note_cause(b, cause);
	b->panic_ip = ip;
	b->panic_sp = g->rsp;
	resume_at(g, (const void *)kernel_fault_entry, b->exception_sp - STAGE1_STACK);
}

/*
 * The exceptions that the CPU reports, each in its form. Whatever else the host claims to have
 * seen is a kick and no more.
 */
static bool exit_is_exception(u32 info)
{
	const u32 hardware = 1u << 0 | 1u << 1 | 1u << 5 | 1u << 6 | 1u << 13 | 1u << 14 |
			     1u << 16 | 1u << 17 | 1u << 19;
	u32 vector = info & 0xff, type = info >> 8 & 7;

	if (!(info & EXIT_INFO_VALID))
		return false;
	if (type == EXIT_INFO_SOFTWARE)
		return vector == VECTOR_BP;
	return type == EXIT_INFO_HARDWARE && vector < 32 && (hardware >> vector & 1);
}

/*
 * Without something to do for the thread, a kick is the host's idea: the thread goes on where it
 * was, and however often the host does that, it takes nothing but time.
 */
static bool has_work(const struct thread_block *b)
{
	return __atomic_load_n(&b->thread->work, __ATOMIC_ACQUIRE) != 0;
}

void exception_stage1(struct thread_block *b)
{
	struct ssa_gpr *g = b->ssa;
	const struct ssa_misc *misc = (const struct ssa_misc *)g - 1;
	struct cause cause = {.vector = TRAP_ASYNC};
	u64 ip = g->rip;

	if (exit_is_exception(g->exit_info)) {
		cause.vector = g->exit_info & 0xff;
		/* For these two alone the CPU writes EXINFO; else it is of an earlier exception. */
		if (cause.vector == VECTOR_PF || cause.vector == VECTOR_GP) {
			cause.error = misc->error_code;
			cause.address = misc->address;
		}
		/* Each counts once: entered again without a resume between, this is a kick. */
		g->exit_info = 0;
	}
	if (b->in_kernel) {
		from_kernel(b, g, &cause);
		return;
	}
	if (cause.vector == TRAP_ASYNC && !has_work(b))
		return;
	if (!is_between(ip, text_start, text_end)) {
		from_program(b, g, ip, &cause);
		return;
	}
	if (is_between(ip, (const void *)syscall_entry, syscall_entry_end) ||
	    is_between(ip, (const void *)cpuid_entry, cpuid_entry_end) ||
	    ip == (u64)syscall_entry_bad_gs) {
		if (cause.vector == TRAP_ASYNC)
			return;
		if (cause.vector == VECTOR_DB)
			g->rflags &= ~(u64)FLAG_TF;
		else
			from_program(b, g, g->rcx, &cause);
		return;
	}
	/* The last instruction of the way out: all but the program counter is the program's. */
	if (ip == (u64)syscall_exit_jump)
		ip = g->rcx;
	else if (ip == (u64)full_exit_jump)
		ip = b->user_ip;
	from_program(b, g, ip, &cause);
}
