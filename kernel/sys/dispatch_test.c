// SPDX-License-Identifier: Apache-2.0
/* The border: unknown numbers, restart codes, internal errors. The calls are the test's own. */
#include "kernel/sys/dispatch.h"

#include "abi/errno.h"
#include "kernel/sched/thread.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/sys/syscalls_gen.h"
#include "lib/base/string.h"
#include "tests/fakes/fakes.h"
#include "tests/unit.h"

static long results[4];
static u64 numbers[4];
static u32 calls, deliveries;
static s64 handler_result; /* what delivery puts into rax as a handler's frame would; 0: none */

long syscall_invoke(u64 number, const struct user_regs *regs)
{
	assert_true(calls < 4);
	numbers[calls] = number;
	return results[calls++];
}

const struct syscall_trace_row *syscall_trace_row(u64 number)
{
	return NULL;
}

void signal_deliver(struct user_regs *regs)
{
	deliveries++;
	if (handler_result) {
		regs->rax = (u64)handler_result;
		regs->orig_rax = UINT64_MAX;
	}
}

static struct user_regs dispatch(u64 number, long first, long second)
{
	struct user_regs regs = {.orig_rax = number, .rax = (u64)-ENOSYS};

	calls = deliveries = 0;
	results[0] = first;
	results[1] = second;
	syscall_dispatch(&regs);
	return regs;
}

static void results_go_to_rax(void **state)
{
	assert_int_equal(dispatch(39, 7, 0).rax, 7);
	assert_int_equal(dispatch(39, -EPERM, 0).rax, (u64)-EPERM);
	assert_int_equal(deliveries, 0);
	/* An address that looks negative is a result. */
	assert_int_equal(dispatch(9, -4097, 0).rax, (u64)-4097);
}

static void without_a_handler_the_call_runs_again(void **state)
{
	handler_result = 0;
	assert_int_equal(dispatch(202, -ERESTARTSYS, 3).rax, 3);
	assert_int_equal(calls, 2);
	assert_int_equal(numbers[1], 202);
	assert_int_equal(dispatch(7, -ERESTARTNOHAND, -EAGAIN).rax, (u64)-EAGAIN);
	assert_int_equal(dispatch(35, -ERESTART_RESTARTBLOCK, 0).rax, 0);
	assert_int_equal(numbers[1], SYS_NR_restart_syscall);
}

static void a_handler_decides(void **state)
{
	handler_result = -EINTR;
	assert_int_equal(dispatch(202, -ERESTARTSYS, 0).rax, (u64)-EINTR);
	assert_int_equal(calls, 1);
	handler_result = 0;
}

static void internal_errors_become_eio(void **state)
{
	static const long internal[] = {EKEYREJECTED, EBADMSG, EUCLEAN, ESTALE, EPROTO};

	for (size_t i = 0; i < ARRAY_SIZE(internal); i++) {
		assert_int_equal(dispatch(0, -internal[i], 0).rax, (u64)-EIO);
		assert_string_not_equal(fake_last_log(), "");
	}
}

UNIT_TESTS(results_go_to_rax, without_a_handler_the_call_runs_again, a_handler_decides,
	   internal_errors_become_eio)
