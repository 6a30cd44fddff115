// SPDX-License-Identifier: Apache-2.0
/*
 * The way out of the enclave for unit tests: an arena per pthread, and a function of the test
 * that answers each call with whatever it likes.
 */
#include "kernel/host/host_call.h"

#include <string.h>

#include "abi/errno.h"
#include "tests/fakes/fakes.h"

static fake_host_fn host_answer;
static void *host_context;
static u64 host_calls;
static __thread struct thread_arena arena;

void fake_host_set(fake_host_fn answer, void *context)
{
	host_answer = answer;
	host_context = context;
}

u64 fake_host_calls(void)
{
	return __atomic_load_n(&host_calls, __ATOMIC_RELAXED);
}

struct thread_arena __host *host_arena(void)
{
	return &arena;
}

void host_leave(void)
{
	u64 args[HOST_CALL_ARGS];

	memcpy(args, arena.call.args, sizeof(args));
	__atomic_add_fetch(&host_calls, 1, __ATOMIC_RELAXED);
	arena.call.result = host_answer
				    ? host_answer(arena.call.number, args, arena.data, host_context)
				    : -ENOSYS;
}
