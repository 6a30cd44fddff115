/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host signals on enclave threads become asynchronous exits. The handler copies the general
 * registers to the SSA, lets the enclave look at them (stage 1: EENTER with CSSA = 1), and copies
 * them back. The extended state stays in the host's signal frame all the while.
 *
 * A thread is ours when its stack pointer lies in a block; anything else in the process gets the
 * handler that was there before. While a handler runs only faults are deliverable: one in stage 1
 * means a bug in the kernel, and ends the instance with a message instead of a silent kill.
 */
#include "host/pal/inner/inner.h"

#include "abi/errno.h"
#include "host/pal/inner/gpr.h"
#include "host/pal/inner/hw.h"
#include "lib/base/fmt.h"

static struct linux_sigaction old_actions[65];

static u8 *frame_end(struct inner_thread *t, u32 cssa)
{
	return (u8 *)t->ssa + (cssa + 1) * t->ssa_size;
}

/* What the CPU would have said about this signal; *ret_valid false for a kick. */
static u32 exception_of(int sig, const struct linux_siginfo *info, struct linux_ucontext *uc,
			struct sgx_exinfo *ret_info)
{
	u32 vector = (u32)uc->trapno;

	*ret_info = (struct sgx_exinfo){0};
	if (sig == SIG_SYS) {
		/* The program counter is behind the instruction; RCX and R11 are gone. */
		if (info->sys.arch != AUDIT_ARCH_X86_64_ && uc->cs != 0x33)
			return SGX_EXIT_VALID | SGX_EXIT_HARDWARE | SGX_VECTOR_GP;
		uc->rip -= 2;
		return SGX_EXIT_VALID | SGX_EXIT_HARDWARE | SGX_VECTOR_UD;
	}
	switch (vector) {
	case SGX_VECTOR_PF:
		ret_info->maddr = uc->cr2;
		ret_info->errcd = (u32)uc->err;
		break;
	case SGX_VECTOR_GP: ret_info->errcd = (u32)uc->err; break;
	case SGX_VECTOR_BP: return SGX_EXIT_VALID | SGX_EXIT_SOFTWARE | vector;
	case SGX_VECTOR_DE:
	case SGX_VECTOR_DB:
	case SGX_VECTOR_BR:
	case SGX_VECTOR_UD:
	case SGX_VECTOR_MF:
	case SGX_VECTOR_AC:
	case SGX_VECTOR_XM: break;
	default: /* #OF, #SS, #NP and their like do not exist for enclaves */
		vector = SGX_VECTOR_GP;
		break;
	}
	return SGX_EXIT_VALID | SGX_EXIT_HARDWARE | vector;
}

/* Sends the thread to its own stack, to leave. Also from a handler within a handler. */
void redirect_to_abandon(struct inner_thread *t, struct linux_ucontext *uc)
{
	t->inside = 0;
	t->cssa = 0;
	uc->rip = (u64)abandon_entry;
	uc->rsp = t->stack_top;
	uc->rflags = 0x202;
	uc->cs = 0x33;
	uc->ss = 0x2b;
}

/* About to make an interruptible call: not any more. The last byte of the window is behind it. */
void leave_kick_window(struct linux_ucontext *uc)
{
	if (uc->rip >= (u64)kick_window_start && uc->rip < (u64)kick_window_end - 1)
		uc->rip = (u64)kick_window_end;
}

static void report_fault(struct inner_thread *t, const struct linux_ucontext *uc, int sig)
{
	char text[200];
	int len =
		fmt_snprintf(text, sizeof(text),
			     "occlum: the kernel faulted while it handled an exception (signal %d, "
			     "rip enclave+0x%lx, address 0x%lx)\n",
			     sig, uc->rip - inner.base, uc->cr2);

	host_syscall(NR_write, 2, text, MIN(len, (int)sizeof(text) - 1));
}

/*
 * A mistake of our own. The embedder's handler must not run on a thread without libc: this is the
 * end of the process, by the same signal when the instruction is tried again.
 */
void inner_fault(int sig, const struct linux_ucontext *uc)
{
	struct linux_sigaction standard = {0};
	char text[160];
	int len = fmt_snprintf(text, sizeof(text),
			       "[ERROR] occlum-pal: signal %d at 0x%lx (address 0x%lx) outside of "
			       "the enclave\n",
			       sig, uc->rip, uc->cr2);

	host_syscall(NR_write, 2, text, MIN(len, (int)sizeof(text) - 1));
	host_syscall(NR_rt_sigaction, sig, &standard, 0, sizeof(u64));
}

static void asynchronous_exit(struct inner_thread *t, int sig, const struct linux_siginfo *info,
			      struct linux_ucontext *uc)
{
	struct sgx_gpr *gpr = (struct sgx_gpr *)(frame_end(t, t->cssa) - sizeof(*gpr));
	struct sgx_exinfo *exinfo = (struct sgx_exinfo *)gpr - 1;
	struct sgx_exinfo what = {0};
	struct exit_value out;

	if (t->cssa != 0) {
		report_fault(t, uc, sig);
		inner_die(INNER_ABORT_NESTED);
		redirect_to_abandon(t, uc);
		return;
	}
	gpr->exitinfo = sig == inner.kick_signal ? 0 : exception_of(sig, info, uc, &what);
	*exinfo = what;
	gpr_save(gpr, uc);
	t->cssa = 1;
	out = sim_enter(t, 0, 0, 1);
	t->cssa = 0;
	if (out.why != EXIT_EXCEPTION_DONE) {
		inner_die(out.value);
		redirect_to_abandon(t, uc);
		return;
	}
	gpr_load(gpr, uc);
	uc->cs = 0x33; /* a program may have come here by a 32-bit code segment */
	uc->ss = 0x2b;
	t->inside = 1;
}

/* As if we were not there; on threads of the embedder. */
static void chain(int sig, struct linux_siginfo *info, struct linux_ucontext *uc)
{
	const struct linux_sigaction *old = &old_actions[sig];
	void (*handler)(int, struct linux_siginfo *, struct linux_ucontext *);
	struct linux_sigaction standard = {0};
	u64 mask;

	if ((u64)old->handler > 1) {
		mask = uc->sigmask | old->mask | SIGNAL_BIT(sig);
		host_syscall(NR_rt_sigprocmask, SIG_SETMASK_, &mask, 0, sizeof(mask));
		handler = (void *)old->handler;
		handler(sig, info, uc);
		return;
	}
	if ((u64)old->handler == 1 && info->code <= 0)
		return;
	/* The default: back to the faulting instruction, or the same signal once more. */
	host_syscall(NR_rt_sigaction, sig, &standard, 0, sizeof(u64));
	if (info->code <= 0)
		host_syscall(NR_tgkill, host_syscall(NR_getpid), host_syscall(NR_gettid), sig);
}

hidden void signal_handle(int sig, struct linux_siginfo *info, struct linux_ucontext *uc);

void signal_handle(int sig, struct linux_siginfo *info, struct linux_ucontext *uc)
{
	struct inner_thread *t = inner_thread_current((u64)uc);
	bool in_range;

#ifdef OCCLUM_EMU
	if (t && emu_signal(t, sig, info, uc))
		return;
#endif
	if (!t) {
		if (sig != inner.kick_signal)
			chain(sig, info, uc);
		return;
	}
	if (inner.is_hardware) {
		hw_signal(t, sig, info, uc);
		return;
	}
	in_range = uc->rip - inner.base < inner.size;
	if (t->inside && __atomic_load_n(&inner.is_dead, __ATOMIC_ACQUIRE)) {
		redirect_to_abandon(t, uc);
		return;
	}
	if (sig == inner.kick_signal) {
		t->kicked = 1;
		if (t->inside && t->cssa == 0 && in_range)
			asynchronous_exit(t, sig, info, uc);
		else
			leave_kick_window(uc);
		return;
	}
	/* A fault; a jump to nowhere leaves the range with the thread still inside. */
	if (t->inside && info->code > 0)
		asynchronous_exit(t, sig, info, uc);
	else if (info->code > 0)
		inner_fault(sig, uc);
}

/* In the test build, those of the emulation as well. */
u64 inner_signals_handled(void)
{
	u64 signals = SYNC_SIGNALS | SIGNAL_BIT(inner.kick_signal);

#ifdef OCCLUM_EMU
	signals |= emu_signals;
#endif
	return signals;
}

s64 inner_signals_install(void)
{
	struct linux_sigaction action = {
		.handler = signal_entry,
		.restorer = signal_restorer,
		.flags = SA_SIGINFO_ | SA_ONSTACK_ | SA_RESTORER_ | SA_NODEFER_,
		.mask = ~SYNC_SIGNALS,
	};
	s64 err;

	for (int sig = 1; sig < (int)ARRAY_SIZE(old_actions); sig++) {
		if (!(inner_signals_handled() & SIGNAL_BIT(sig)))
			continue;
		err = host_syscall(NR_rt_sigaction, sig, &action, &old_actions[sig], sizeof(u64));
		if (err < 0)
			return err;
	}
	return 0;
}

void inner_signals_restore(void)
{
	for (int sig = 1; sig < (int)ARRAY_SIZE(old_actions); sig++) {
		if (inner_signals_handled() & SIGNAL_BIT(sig))
			host_syscall(NR_rt_sigaction, sig, &old_actions[sig], 0, sizeof(u64));
	}
}
