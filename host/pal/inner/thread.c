/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of enclave threads. A thread is made by clone() when its slot is first needed, with all
 * signals blocked until its signal stack and its system call dispatch are set up; it then waits
 * for work for ever. Ecalls of the embedder run here too: a thread of libc must not enter the
 * enclave, and gets the result over a futex.
 *
 * A state word per thread is all the locking: who moves it from idle (or none) to busy owns the
 * thread's fields until the thread moves it back.
 */
#include "host/pal/inner/inner.h"

#include "abi/errno.h"
#include "edge/hostcall_dispatch.h"
#include "host/pal/inner/hw.h"
#include "host/pal/inner/offsets.h"

static_assert(offsetof(struct inner_thread, tcs) == THREAD_TCS, "offsets.h");
static_assert(offsetof(struct inner_thread, block) == THREAD_BLOCK, "offsets.h");
static_assert(offsetof(struct inner_thread, entry) == THREAD_ENTRY, "offsets.h");
static_assert(offsetof(struct inner_thread, arena) == THREAD_ARENA, "offsets.h");
static_assert(offsetof(struct inner_thread, ssa) == THREAD_SSA, "offsets.h");
static_assert(offsetof(struct inner_thread, ssa_size) == THREAD_SSA_SIZE, "offsets.h");
static_assert(offsetof(struct inner_thread, inside) == THREAD_INSIDE, "offsets.h");
static_assert(offsetof(struct inner_thread, kicked) == THREAD_KICKED, "offsets.h");
static_assert(offsetof(struct inner_thread, stack_top) == THREAD_STACK_TOP, "offsets.h");

struct inner_state inner;

extern hidden const u8 __start_pal_syscalls[], __stop_pal_syscalls[];

void futex_wait(u32 *word, u32 value)
{
	host_syscall(NR_futex, word, FUTEX_WAIT_PRIVATE_, value, 0);
}

void futex_wake(u32 *word, u32 count)
{
	host_syscall(NR_futex, word, FUTEX_WAKE_PRIVATE_, count, 0);
}

struct inner_thread *inner_thread_of(u32 slot)
{
	if (slot >= inner.thread_count)
		return NULL;
	return (struct inner_thread *)(inner.blocks + slot * INNER_BLOCK_SIZE);
}

struct inner_thread *inner_thread_current(u64 stack_pointer)
{
	u64 offset = stack_pointer - (u64)inner.blocks;

	return inner.blocks ? inner_thread_of((u32)MIN(offset / INNER_BLOCK_SIZE, (u64)UINT32_MAX))
			    : NULL;
}

/* Everybody leaves: those inside are kicked out by the signal handler. */
void inner_die(u64 reason)
{
	if (__atomic_exchange_n(&inner.is_dead, 1, __ATOMIC_ACQ_REL))
		return;
	inner.abort_reason = reason;
	for (u32 i = 0; i < inner.thread_count; i++) {
		struct inner_thread *t = inner_thread_of(i);
		u32 tid = __atomic_load_n(&t->tid, __ATOMIC_ACQUIRE);

		if (__atomic_load_n(&t->state, __ATOMIC_ACQUIRE) != INNER_BUSY || !tid)
			continue;
		__atomic_store_n(&t->kicked, 1, __ATOMIC_RELEASE);
		host_syscall(NR_tgkill, host_syscall(NR_getpid), tid, inner.kick_signal);
	}
}

static struct exit_value enter(struct inner_thread *t, u64 rdi, u64 rsi)
{
	return inner.is_hardware ? hw_enter(t, rdi, rsi) : sim_enter(t, rdi, rsi, 0);
}

/* One ecall with all host calls it makes. */
static s64 run(struct inner_thread *t, u64 ecall, u64 argument)
{
	struct exit_value out;

	if (__atomic_load_n(&inner.is_dead, __ATOMIC_ACQUIRE))
		return -EIO;
	out = enter(t, ecall, argument);
	while (out.why == EXIT_HOST_CALL) {
		hostcall_dispatch(t, t->arena);
		if (__atomic_load_n(&inner.is_dead, __ATOMIC_ACQUIRE))
			return -EIO;
		out = enter(t, ECALL_HOST_RETURN, 0);
	}
	if (out.why == EXIT_RETURN)
		return (s64)out.value;
	inner_die(out.why == EXIT_ABORT ? out.value : out.why);
	return -EIO;
}

static void finish(struct inner_thread *t, s64 result, u32 new_state)
{
	struct inner_request *request = t->request;

	t->request = NULL;
	__atomic_store_n(&t->state, new_state, __ATOMIC_RELEASE);
	if (!request)
		return;
	request->result = result;
	__atomic_store_n(&request->done, 1, __ATOMIC_RELEASE);
	futex_wake(&request->done, 1);
}

/* For a thread that was inside when the instance died: nothing of it can go on. */
void inner_thread_abandon(void)
{
	struct inner_thread *t = inner_thread_current((u64)__builtin_frame_address(0));

	finish(t, -EIO, INNER_DEAD);
	raw_exit();
}

void inner_thread_main(struct inner_thread *t)
{
	u8 *block = (u8 *)t;
	struct linux_stack altstack = {
		.sp = block + INNER_ALTSTACK,
		.size = INNER_STACK - PAGE_SIZE - INNER_ALTSTACK,
	};
	u64 blocked = ~(inner_signals_handled() | inner.stop_signals);

	host_syscall(NR_sigaltstack, &altstack, 0);
	host_syscall(NR_prctl, PR_SET_SYSCALL_USER_DISPATCH_, PR_SYS_DISPATCH_ON_,
		     __start_pal_syscalls, __stop_pal_syscalls - __start_pal_syscalls, 0);
	host_syscall(NR_rt_sigprocmask, SIG_SETMASK_, &blocked, 0, sizeof(blocked));
#ifdef OCCLUM_EMU
	emu_thread_start(t);
#endif
	for (;;) {
		while (!__atomic_load_n(&t->work, __ATOMIC_ACQUIRE)) {
			if (__atomic_load_n(&inner.is_quitting, __ATOMIC_ACQUIRE))
				raw_exit();
			futex_wait(&t->work, 0);
		}
		__atomic_store_n(&t->work, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&t->kicked, 0, __ATOMIC_RELAXED);
		finish(t, run(t, t->ecall, t->argument), INNER_IDLE);
	}
}

static s64 create(struct inner_thread *t)
{
	u64 all = ~0ull, old;
	s64 result;

	host_syscall(NR_rt_sigprocmask, SIG_SETMASK_, &all, &old, sizeof(all));
	result = raw_clone(CLONE_FLAGS_THREAD, (void *)t->stack_top, &t->tid, &t->tid, t);
	host_syscall(NR_rt_sigprocmask, SIG_SETMASK_, &old, 0, sizeof(old));
	return result < 0 ? result : 0;
}

static bool take(struct inner_thread *t, u32 from)
{
	return __atomic_compare_exchange_n(&t->state, &from, INNER_BUSY, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* Idle threads first, the lowest slots: their pages are warm. */
static s64 give(u64 ecall, u64 argument, struct inner_request *request)
{
	for (u32 pass = 0; pass < 2; pass++) {
		for (u32 i = 0; i < inner.thread_count; i++) {
			struct inner_thread *t = inner_thread_of(i);
			u32 from = pass ? INNER_NONE : INNER_IDLE;
			s64 err;

			if (__atomic_load_n(&t->state, __ATOMIC_RELAXED) != from || !take(t, from))
				continue;
			t->ecall = ecall;
			t->argument = argument;
			t->request = request;
			__atomic_store_n(&t->work, 1, __ATOMIC_RELEASE);
			if (!pass) {
				futex_wake(&t->work, 1);
				return 0;
			}
			err = create(t);
			if (err == 0)
				return 0;
			t->work = 0;
			t->request = NULL;
			__atomic_store_n(&t->state, INNER_NONE, __ATOMIC_RELEASE);
			return err == -ENOMEM ? -ENOMEM : -EAGAIN;
		}
	}
	return -EAGAIN;
}

s64 inner_thread_give(u64 ecall, u64 argument)
{
	return give(ecall, argument, NULL);
}

s64 inner_ecall(u64 ecall, u64 argument)
{
	struct inner_request request = {.ecall = ecall, .argument = argument};
	s64 err = give(ecall, argument, &request);

	if (err < 0)
		return err;
	while (!__atomic_load_n(&request.done, __ATOMIC_ACQUIRE))
		futex_wait(&request.done, 0);
	return request.result;
}

bool inner_threads_stop(void)
{
	bool all = true;

	__atomic_store_n(&inner.is_quitting, 1, __ATOMIC_RELEASE);
	for (u32 i = 0; i < inner.thread_count; i++) {
		struct inner_thread *t = inner_thread_of(i);
		u32 state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
		u32 tid;

		if (state == INNER_NONE)
			continue;
		if (state == INNER_BUSY) {
			all = false;
			continue;
		}
		/* The futex compares with 0, so a thread about to wait does not miss this. */
		while ((tid = __atomic_load_n(&t->tid, __ATOMIC_ACQUIRE)) != 0) {
			futex_wake(&t->work, 1);
			host_syscall(NR_sched_yield);
		}
	}
	return all;
}
