/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an enclave thread on hardware, between EENTER and EEXIT.
 *
 * An exception inside leaves the thread outside with its state in the SSA (CSSA = 1). It is entered
 * again on the same TCS for stage 1, and then resumed. With the kernel's function this happens in
 * enter() below; without it, and for #BP and #DB always, from the handler of the exception's
 * signal, whose return resumes.
 *
 * A kick is a signal. One that finds the thread inside is handled like an exception: the handler
 * enters stage 1, which sees no exception in EXITINFO. One that arrives between an exception and
 * the resume of enter() sets `reenter`, and there is one more round of stage 1. At any other time
 * the thread is outside, or on its way in, and the enclave looks for work before it goes back to a
 * program. So no kick is lost.
 */
#include "host/pal/inner/hw.h"

#include "host/pal/inner/offsets.h"

static_assert(offsetof(struct inner_thread, enter) == THREAD_ENTER, "offsets.h");
static_assert(offsetof(struct inner_thread, resume_sp) == THREAD_RESUME_SP, "offsets.h");
static_assert(offsetof(struct inner_thread, resuming) == THREAD_RESUMING, "offsets.h");
static_assert(offsetof(struct inner_thread, reenter) == THREAD_REENTER, "offsets.h");
static_assert(offsetof(struct inner_thread, run) == THREAD_RUN, "offsets.h");
static_assert(offsetof(struct inner_thread, run.function) == THREAD_RUN_FUNCTION, "offsets.h");

static struct exit_value aborted(u64 reason)
{
	return (struct exit_value){.why = EXIT_ABORT, .value = reason};
}

/* The flags of a thread that its own signal handler reads and writes. */
static void set(u32 *flag, u32 value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Stage 1 of what interrupted the thread; the kernel's function was left by an exception. */
static struct exit_value stage1(struct inner_thread *t)
{
	struct exit_value out;

	set(&t->in_stage1, 1);
	out = hw_kernel_enter(t, 0, 0);
	set(&t->in_stage1, 0);
	if (t->run.function == ENCLU_ERESUME)
		return aborted(INNER_ABORT_NESTED);
	if (t->run.function != ENCLU_EEXIT)
		return aborted(INNER_ABORT_LOST);
	return out.why == EXIT_EXCEPTION_DONE ? out : aborted(out.value);
}

struct exit_value hw_enter(struct inner_thread *t, u64 rdi, u64 rsi)
{
	struct exit_value out;

	if (!t->enter)
		return hw_stub_enter(t, rdi, rsi);
	out = hw_kernel_enter(t, rdi, rsi);
	while (t->run.function == ENCLU_ERESUME) {
		do {
			if (__atomic_load_n(&inner.is_dead, __ATOMIC_ACQUIRE))
				return aborted(inner.abort_reason);
			out = stage1(t);
			if (out.why == EXIT_ABORT)
				return out;
			out = hw_kernel_resume(t);
			/* A kick that came before stage 1 may have met the exception there. */
			if (out.why == EXIT_KICKED)
				set(&t->reenter, 0);
		} while (out.why == EXIT_KICKED);
	}
	if (t->run.function == ENCLU_EEXIT)
		return out;
	return aborted(t->run.function == ENCLU_EENTER ? INNER_ABORT_LOST : INNER_ABORT_REFUSED);
}

static void stage1_from_handler(struct inner_thread *t, struct linux_ucontext *uc)
{
	struct exit_value out;

	set(&t->in_stage1, 1);
	out = hw_stub_enter(t, 0, 0);
	set(&t->in_stage1, 0);
	if (out.why == EXIT_EXCEPTION_DONE)
		return;
	inner_die(out.value);
	redirect_to_abandon(t, uc);
}

static bool is_between(u64 rip, const u8 *start, const u8 *end)
{
	return rip >= (u64)start && rip < (u64)end;
}

/* Between the test of `reenter` and the ENCLU that resumes. */
static bool is_resuming(const struct inner_thread *t, u64 rip)
{
	return t->resuming && (is_between(rip, hw_resume_window_start, hw_resume_window_end) ||
			       (rip >= t->enter && rip < inner.entry_enclu));
}

static void kick(struct inner_thread *t, struct linux_ucontext *uc, bool is_interrupted)
{
	set(&t->kicked, 1);
	set(&t->reenter, 1);
	if (is_interrupted && !t->in_stage1) {
		set(&t->reenter, 0);
		stage1_from_handler(t, uc);
	} else if (is_resuming(t, uc->rip)) {
		uc->rip = (u64)hw_resume_kicked;
		uc->rsp = t->resume_sp;
	} else {
		leave_kick_window(uc);
	}
}

void hw_signal(struct inner_thread *t, int sig, struct linux_siginfo *info,
	       struct linux_ucontext *uc)
{
	bool at_enclu = uc->rip == (u64)hw_stub_enclu ||
			(inner.entry_enclu && uc->rip == inner.entry_enclu);
	bool is_interrupted = at_enclu && uc->rax == ENCLU_ERESUME;

	if (at_enclu && __atomic_load_n(&inner.is_dead, __ATOMIC_ACQUIRE)) {
		redirect_to_abandon(t, uc);
		return;
	}
	if (sig == inner.kick_signal) {
		kick(t, uc, is_interrupted);
		return;
	}
	if (info->code <= 0)
		return; /* sent by somebody; enclave threads have no use for it */
	if (is_interrupted && !t->in_stage1) {
		stage1_from_handler(t, uc);
	} else if (at_enclu) {
		inner_die(is_interrupted ? INNER_ABORT_NESTED : INNER_ABORT_LOST);
		redirect_to_abandon(t, uc);
	} else if (is_between(uc->rip, touch_window_start, touch_window_end)) {
		uc->rip = (u64)touch_fault;
	} else {
		inner_fault(sig, uc);
	}
}
