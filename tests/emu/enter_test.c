/* SPDX-License-Identifier: Apache-2.0 */
/* Entering, leaving and exceptions. */
#define _GNU_SOURCE
#include "tests/emu/tiny_fixture.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void test_enter_and_exit(void **state)
{
	struct tiny *t = *state;

	tiny_build(t);
	for (u64 i = 0; i < 200; i++) {
		assert_int_equal(tiny_ask(t, TINY_ADD, i, 0), i + 1);
		assert_int_equal(t->ret, 0);
		assert_int_equal(t->run.function, 4);
	}
	assert_int_equal(emu_stats.eenter, 200);
	assert_int_equal(emu_stats.eexit, 200);
	assert_int_equal(emu_stats.dirty_exits, 0);
}

static void test_entry_is_poisoned(void **state)
{
	struct tiny *t = *state;
	bool moved = false, masked = false;

	tiny_build(t);
	for (int i = 0; i < 100; i++) {
		tiny_ask(t, TINY_ADD, 0, 0);
		assert_int_equal(tiny_block(t, BLOCK_FLAGS) & 0x40400, 0x40400);
		assert_int_equal(tiny_block(t, BLOCK_CONTROL) & 0x3f, 0);
		masked |= (tiny_block(t, BLOCK_MXCSR) & 0x1f80) != 0x1f80;
		moved |= tiny_block(t, BLOCK_ENTRY_SP) < 0x1000;
	}
	assert_true(moved && masked);
}

static void test_dirty_exits_are_seen(void **state)
{
	struct tiny *t = *state;

	tiny_build(t);
	tiny_ask(t, TINY_DIRTY_R12, 0, 0);
	assert_int_equal(emu_stats.dirty_exits, 1);
	if (!strstr(emu_dirty_text, "r12: 0x5"))
		fail_msg("%s", emu_dirty_text);
	tiny_ask(t, TINY_DIRTY_XMM, 0, 0);
	assert_int_equal(emu_stats.dirty_exits, 2);
	tiny_ask(t, TINY_ADD, EMU_MARKER << 16, 0);
	assert_int_equal(emu_stats.dirty_exits, 3);
}

static void test_entry_function_checks_run(void **state)
{
	struct tiny *t = *state;

	tiny_build(t);
	t->run.rsv[100] = 1;
	tiny_ask(t, TINY_ADD, 0, 0);
	assert_int_equal(t->ret, -EINVAL);
	t->run.rsv[100] = 0;
	tiny_call(TINY_ADD, 0, 0, 1, &t->run, &t->ret);
	assert_int_equal(t->ret, -EINVAL);
	tiny_call(TINY_ADD, 0, 0, 4, &t->run, &t->ret);
	assert_int_equal(t->ret, -EINVAL);
	t->run.tcs += 8;
	tiny_ask(t, TINY_ADD, 0, 0);
	assert_int_equal(t->ret, 0);
	assert_int_equal(t->run.function, 2);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);
	t->run.tcs = t->base + TINY_DATA; /* no TCS */
	tiny_ask(t, TINY_ADD, 0, 0);
	assert_int_equal(t->run.function, 2);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_PF);
	assert_int_equal(t->run.exception_addr, t->base + TINY_DATA);
	t->run.tcs = t->base + TINY_TCS;
	tiny_call(TINY_ADD, 0, 0, ERESUME, &t->run, &t->ret); /* nothing to resume */
	assert_int_equal(t->run.function, 3);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);
	assert_int_equal(tiny_ask(t, TINY_ADD, 1, 0), 2);
}

static void test_exceptions(void **state)
{
	struct tiny *t = *state;

	tiny_build(t);
	tiny_handle(t, TINY_UD2, 0, 2, SGX_VECTOR_UD);
	tiny_handle(t, TINY_DIVIDE, 0, 2, SGX_VECTOR_DE);
	tiny_handle(t, TINY_OUT, 0, 2, SGX_VECTOR_UD);
	tiny_handle(t, TINY_LOAD, t->base + 0x100, 3, SGX_VECTOR_PF);
	assert_int_equal(tiny_block(t, BLOCK_MADDR), t->base + 0x100); /* the address in full */
	assert_int_equal(tiny_block(t, BLOCK_ERRCD), 4);
	assert_int_equal(t->run.exception_addr, t->base); /* not for the host */
	tiny_handle(t, TINY_LOAD, t->base + TINY_TCS, 3, SGX_VECTOR_PF);
	assert_int_equal(tiny_block(t, BLOCK_ERRCD), 0x8005); /* refused by the EPCM */
	tiny_handle(t, TINY_STORE, t->base + TINY_TEXT, 2, SGX_VECTOR_PF);
	assert_int_equal(tiny_block(t, BLOCK_ERRCD), 7);   /* refused by the page table */
	tiny_handle(t, TINY_LOAD, 0x10, 3, SGX_VECTOR_PF); /* of the host */
	assert_int_equal(tiny_block(t, BLOCK_MADDR), 0x10);
	tiny_handle(t, TINY_LOAD, 1ul << 63, 3, SGX_VECTOR_GP);
	assert_int_equal(emu_stats.dirty_exits, 0);
}

static void test_breakpoints_are_signals(void **state)
{
	struct tiny *t = *state;

	tiny_build(t);
	tiny_ask(t, TINY_INT3, 0, 0);
	assert_int_equal(tiny_seen.sig, SIGTRAP);
	assert_int_equal(tiny_seen.rip, (u64)emu_enter_enclu);
	assert_int_equal(tiny_seen.rax, 3);
	tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);
	assert_int_equal(t->run.function, 4);
}

static void test_without_entry_function_signals_tell(void **state)
{
	struct tiny *t = *state;
	u64 result;

	emu_config.no_entry_function = true;
	tiny_build(t);
	assert_int_equal(sgx_driver.entry_function().address, 0);
	result = tiny_call_bare(TINY_ADD, 7, 0, EENTER, t->run.tcs, &t->ret);
	assert_int_equal(result, 8);
	tiny_call_bare(TINY_UD2, 0, 0, EENTER, t->run.tcs, &t->ret);
	assert_int_equal(tiny_seen.count, 1);
	assert_int_equal(tiny_seen.vector, SGX_VECTOR_UD);
	assert_int_equal(tiny_seen.rip, (u64)tiny_bare_enclu);
	assert_int_equal(tiny_seen.rax, 3);
	tiny_call_bare(0, 0, 0, EENTER, t->run.tcs + 8, &t->ret);
	assert_int_equal(tiny_seen.count, 2);
	assert_int_equal(tiny_seen.vector, SGX_VECTOR_GP);
	assert_int_equal(tiny_seen.rax, 2);
}

static void test_system_calls_inside_are_undefined(void **state)
{
	struct tiny *t = *state;
	u64 after;

	tiny_build(t);
	after = t->base + TINY_SIZE;
	if (prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, after, (1ul << 47) - 4096 - after, 0))
		skip();
	tiny_handle(t, TINY_SYSCALL, 0, 2, SGX_VECTOR_UD);
	tiny_handle(t, TINY_INT80, 0, 2, SGX_VECTOR_UD);
	assert_int_equal(prctl(59, 0, 0, 0, 0), 0);
}

static void test_time_stamps_can_be_refused(void **state)
{
	struct tiny *t = *state;

	emu_config.trap_rdtsc = true;
	tiny_build(t);
	tiny_handle(t, TINY_RDTSC, 0, 2, SGX_VECTOR_UD);
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
	assert_true(tiny_ask(t, TINY_RDTSC, 0, 0) != 0);
}

static void test_nested_exceptions_end_at_nssa(void **state)
{
	struct tiny *t = *state;

	tiny_build(t);
	tiny_ask(t, TINY_UD2, 0, 0);
	assert_int_equal(t->run.function, 3);
	/* The handler faults as well: its text is gone. */
	assert_int_equal(sgx_driver.mprotect((void *)(t->base + TINY_TEXT), PAGE_SIZE, PROT_READ),
			 0);
	tiny_ask(t, TINY_ADD, 0, 0);
	assert_int_equal(t->run.function, 3);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_PF);
	assert_int_equal(emu_stats.aex_nested, 1);
	tiny_ask(t, TINY_ADD, 0, 0); /* CSSA is 2, and so is NSSA */
	assert_int_equal(t->run.function, 2);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);
}

static void test_the_ssa_can_be_edited_but_not_broken(void **state)
{
	struct tiny *t = *state;
	u8 *frame;

	tiny_build(t);
	tiny_ask(t, TINY_UD2, 0, 0);
	frame = emu_bytes_at(t->base + TINY_TCS + TINY_SSA);
	frame[512 + 8] = 1; /* XCOMP_BV */
	tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);
	assert_int_equal(t->run.function, 3);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);
	frame[512 + 8] = 0;
	frame[PAGE_SIZE - 184 + 136] += 2; /* RIP */
	tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);
	assert_int_equal(t->run.function, 4);
}

TINY_TESTS(TINY_CASE(enter_and_exit), TINY_CASE(entry_is_poisoned), TINY_CASE(dirty_exits_are_seen),
	   TINY_CASE(entry_function_checks_run), TINY_CASE(exceptions),
	   TINY_CASE(breakpoints_are_signals), TINY_CASE(without_entry_function_signals_tell),
	   TINY_CASE(system_calls_inside_are_undefined), TINY_CASE(time_stamps_can_be_refused),
	   TINY_CASE(nested_exceptions_end_at_nssa),
	   TINY_CASE(the_ssa_can_be_edited_but_not_broken))
