// SPDX-License-Identifier: Apache-2.0
/* Signal frames: what a handler finds, and what a hostile frame may not do on the way back. */
#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "kernel/core/log.h"
#include "kernel/signal/signal_priv.h"
#include "lib/base/string.h"
#include "tests/fakes/fakes.h"
#include "tests/fakes/user_memory.h"
#include "tests/unit.h"

#define STACK_SIZE 32768

static struct process p;
static struct thread t;
static u8 stack[STACK_SIZE] __attribute__((aligned(64)));
static const struct sigaction_k action = {
	.handler = 0x401000, .flags = SA_SIGINFO | SA_RESTORER, .restorer = 0x402000};
static const struct signal_info segv = {
	.signo = SIGSEGV, .code = SEGV_MAPERR, .address = 0x1234, .trap = 14, .trap_code = 6};

static struct user_regs *setup(void)
{
	struct user_regs *regs = current_regs();

	memset(&p, 0, sizeof(p));
	memset(&t, 0, sizeof(t));
	p.refs = 1;
	p.limits[ABI_RLIMIT_SIGPENDING].soft = 100;
	spin_init(&p.lock, LOCK_PROCESS);
	list_init(&p.threads);
	list_init(&p.pending);
	pollq_init(&p.signal_poll);
	list_init(&t.pending);
	t.refs = 1;
	t.process = &p;
	t.altstack_flags = SS_DISABLE;
	list_add_tail(&p.threads, &t.process_node);
	fake_attach_thread(&t);
	fake_user_memory(stack, sizeof(stack));
	fake_fail_allocation(0, false);
	log_set_level(LOG_OFF); /* a death is logged with what mm knows, and there is none here */
	memset(stack, 0xee, sizeof(stack));
	for (size_t i = 0; i < sizeof(*regs) / 8; i++)
		((u64 *)regs)[i] = 0x1000 + i;
	regs->rflags = 0x202;
	regs->rip = 0x400123;
	regs->rsp = (u64)stack + 20000;
	arch_xstate_reset();
	return regs;
}

static void teardown(void)
{
	signal_flush_thread(&t);
	assert_int_equal(fake_allocations_live(), 0);
	fake_attach_thread(NULL);
}

static struct abi_rt_sigframe *push(struct user_regs *regs)
{
	t.fault_trap = segv.trap;
	t.fault_code = segv.trap_code;
	t.fault_address = segv.address;
	assert_int_equal(signal_frame_push(regs, &segv, &action, SIG_BIT(SIGUSR1)), 0);
	return (struct abi_rt_sigframe *)regs->rsp;
}

static void a_frame_is_laid_out_as_linux_does(void **state)
{
	struct user_regs *regs = setup(), before = *regs;
	struct abi_rt_sigframe *frame = push(regs);
	const struct abi_fpx_software *software;
	u32 magic2;

	assert_int_equal(regs->rsp & 15, 8);
	assert_true(regs->rsp < before.rsp - 128);
	assert_int_equal(regs->rdi, SIGSEGV);
	assert_ptr_equal((void *)regs->rsi, &frame->info);
	assert_ptr_equal((void *)regs->rdx, &frame->uc);
	assert_int_equal(regs->rip, action.handler);
	assert_int_equal(frame->return_address, action.restorer);
	assert_int_equal(frame->uc.flags, 7);
	assert_int_equal(frame->uc.mask, SIG_BIT(SIGUSR1));
	assert_int_equal(frame->uc.context.rip, before.rip);
	assert_int_equal(frame->uc.context.rsp, before.rsp);
	assert_int_equal(frame->uc.context.r15, before.r15);
	assert_int_equal(frame->uc.context.cs, 0x33);
	assert_int_equal(frame->uc.context.trap_number, 14);
	assert_int_equal(frame->uc.context.error_code, 6);
	assert_int_equal(frame->uc.context.cr2, 0x1234);
	assert_int_equal(frame->info.fault.address, 0x1234);
	assert_int_equal(frame->info.code, SEGV_MAPERR);
	assert_int_equal(frame->uc.context.fpstate & 63, 0);
	software = (const void *)(frame->uc.context.fpstate + FXSAVE_SOFTWARE_OFFSET);
	assert_int_equal(software->magic1, FP_XSTATE_MAGIC1);
	assert_int_equal(software->xstate_size, arch_xstate_size());
	memcpy(&magic2, (void *)(frame->uc.context.fpstate + arch_xstate_size()), 4);
	assert_int_equal(magic2, FP_XSTATE_MAGIC2);
	/* The red zone is untouched. */
	for (u64 at = before.rsp - 128; at < before.rsp; at++)
		assert_int_equal(*(u8 *)at, 0xee);
	teardown();
}

static void return_restores_everything(void **state)
{
	struct user_regs *regs = setup(), before = *regs;

	push(regs);
	memset(regs, 0x55, offsetof(struct user_regs, rsp));
	regs->rsp += 8; /* the handler's ret popped the return address */
	assert_int_equal(signal_return(regs), before.rax);
	assert_int_equal(regs->orig_rax, UINT64_MAX);
	before.orig_rax = UINT64_MAX;
	assert_memory_equal(regs, &before, sizeof(before));
	assert_int_equal(t.blocked, SIG_BIT(SIGUSR1));
	assert_true(t.work & WORK_RESTORE);
	teardown();
}

static void hostile_flags_and_state_are_masked(void **state)
{
	struct user_regs *regs = setup();
	struct abi_rt_sigframe *frame = push(regs);
	u8 *fpstate = (u8 *)frame->uc.context.fpstate;
	const u32 mxcsr = 0xffffffff;
	u8 saved[832];
	u32 restored;

	frame->uc.context.rflags = ~0ull;
	frame->uc.context.cs = 0x10;
	memcpy(fpstate + FXSAVE_MXCSR_OFFSET, &mxcsr, 4);
	regs->rsp += 8;
	signal_return(regs);
	assert_int_equal(regs->rflags, 0x40cd5 | 0x202); /* no TF, NT, RF, IOPL, VM */
	arch_xstate_save(saved);
	memcpy(&restored, saved + FXSAVE_MXCSR_OFFSET, 4);
	assert_int_equal(restored, 0xffff);
	teardown();
}

static bool died_of_segv(void)
{
	struct signal_info out;

	return signal_dequeue(SIG_BIT(SIGSEGV), &out) == SIGSEGV;
}

static void a_bad_header_is_refused(void **state)
{
	for (size_t at = XSAVE_HEADER_OFFSET + 8; at < XSAVE_HEADER_OFFSET + 24; at++) {
		struct user_regs *regs = setup();
		struct abi_rt_sigframe *frame = push(regs);

		((u8 *)frame->uc.context.fpstate)[at] = 1;
		regs->rsp += 8;
		signal_return(regs);
		assert_true(died_of_segv());
		teardown();
	}
}

static void bad_addresses_are_refused(void **state)
{
	struct user_regs *regs = setup();
	struct abi_rt_sigframe *frame = push(regs);

	frame->uc.context.rip = 1ull << 47;
	regs->rsp += 8;
	signal_return(regs);
	assert_true(died_of_segv());

	frame->uc.context.rip = 0x400000;
	frame->uc.context.fpstate = 0x123;
	regs->rsp = (u64)frame + 8;
	signal_return(regs);
	assert_true(died_of_segv());

	regs->rsp = 16;
	signal_return(regs);
	assert_true(died_of_segv());
	teardown();
}

/* Whatever bytes a frame holds, nothing but the listed registers changes and nothing crashes. */
static void random_frames_are_survived(void **state)
{
	u64 seed = 88172645463325252ull;

	for (u32 round = 0; round < 3000; round++) {
		struct user_regs *regs = setup();
		struct abi_rt_sigframe *frame = push(regs);
		u64 fpstate = frame->uc.context.fpstate;

		for (u32 n = 0; n < 1 + round % 40; n++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			stack[(seed >> 8) % STACK_SIZE] = (u8)seed;
			((u8 *)frame)[(seed >> 20) % sizeof(*frame)] ^= (u8)(seed >> 50);
			((u8 *)fpstate)[(seed >> 12) % 836] ^= (u8)(seed >> 40);
		}
		regs->rsp += 8;
		signal_return(regs);
		assert_int_equal(regs->rflags & ~(0x40cd5ull | 0x202), 0);
		assert_true(regs->rip < 1ull << 47);
		assert_int_equal(t.blocked & (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP)), 0);
		teardown();
	}
}

static void the_alternate_stack_is_used_and_kept(void **state)
{
	struct user_regs *regs = setup();
	struct sigaction_k on_stack = action;
	u64 base = (u64)stack + 1024;

	on_stack.flags |= SA_ONSTACK;
	t.altstack_sp = base;
	t.altstack_size = 8192;
	t.altstack_flags = 0;
	assert_int_equal(signal_frame_push(regs, &segv, &on_stack, 0), 0);
	assert_true(regs->rsp > base && regs->rsp < base + 8192);
	/* A second one nests below the first, and one that would not fit is refused. */
	assert_int_equal(signal_frame_push(regs, &segv, &on_stack, 0), 0);
	assert_true(regs->rsp > base);
	regs->rsp = base + 300;
	assert_int_equal(signal_frame_push(regs, &segv, &on_stack, 0), -EFAULT);
	regs->rsp = base + 100;
	assert_int_equal(signal_frame_push(regs, &segv, &on_stack, 0), -EFAULT);
	teardown();
}

static void autodisarm_takes_the_stack_away_and_gives_it_back(void **state)
{
	struct user_regs *regs = setup();
	struct sigaction_k on_stack = action;

	on_stack.flags |= SA_ONSTACK;
	t.altstack_sp = (u64)stack + 1024;
	t.altstack_size = 8192;
	t.altstack_flags = SS_AUTODISARM;
	assert_int_equal(signal_frame_push(regs, &segv, &on_stack, 0), 0);
	assert_int_equal(t.altstack_size, 0);
	regs->rsp += 8;
	signal_return(regs);
	assert_int_equal(t.altstack_size, 8192);
	assert_int_equal(t.altstack_flags, SS_AUTODISARM);
	teardown();
}

static void no_stack_no_restorer_no_memory(void **state)
{
	struct user_regs *regs = setup();
	struct sigaction_k bare = action;

	bare.flags = SA_SIGINFO;
	assert_int_equal(signal_frame_push(regs, &segv, &bare, 0), -EFAULT);
	regs->rsp = 64;
	assert_int_equal(signal_frame_push(regs, &segv, &action, 0), -EFAULT);
	regs->rsp = (u64)stack + 700;
	assert_int_equal(signal_frame_push(regs, &segv, &action, 0), -EFAULT);
	regs->rsp = (u64)stack + 20000;
	fake_fail_allocation(1, false);
	assert_int_equal(signal_frame_push(regs, &segv, &action, 0), -EFAULT);
	teardown();
}

UNIT_TESTS(a_frame_is_laid_out_as_linux_does, return_restores_everything,
	   hostile_flags_and_state_are_masked, a_bad_header_is_refused, bad_addresses_are_refused,
	   random_frames_are_survived, the_alternate_stack_is_used_and_kept,
	   autodisarm_takes_the_stack_away_and_gives_it_back, no_stack_no_restorer_no_memory)
