/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts at will: nothing inside changes by them. */
#define _GNU_SOURCE
#include "tests/emu/tiny_fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void signal_later(long ms)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
	timer_t timer;

	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &when, NULL), 0);
}

/* Foreign signals reach the PAL with the host's state; those of the emulation never do. */
static void test_interrupts_keep_state(void **state)
{
	struct tiny *t = *state;
	u32 *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	emu_config.aex_min_ns = 2000;
	emu_config.aex_max_ns = 50000;
	tiny_build(t);
	child = fork();
	if (child == 0) {
		usleep(200000);
		*stop = 1;
		_exit(0);
	}
	signal_later(50);
	assert_int_equal(tiny_ask(t, TINY_SPIN, (u64)stop, 0), 0);
	assert_int_equal(t->run.function, 4);
	assert_true(emu_stats.aex_interrupt > 100);
	assert_int_equal(tiny_seen.count, 1);
	assert_int_equal(tiny_seen.sig, SIGUSR1);
	assert_int_equal(tiny_seen.rip, (u64)emu_enter_enclu);
	munmap(stop, 4096);
}

static void test_single_steps_are_not_seen_inside(void **state)
{
	struct tiny *t = *state;

	emu_config.step_permille = 1000;
	emu_config.step_length = 300;
	tiny_build(t);
	assert_int_equal(tiny_ask(t, TINY_FLAGS, 200, 0), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(tiny_ask(t, TINY_ADD, 7, 0), 8);
	assert_true(emu_stats.steps > 300);
	assert_int_equal(tiny_seen.count, 0);
	tiny_handle(t, TINY_UD2, 0, 2, SGX_VECTOR_UD);
	tiny_handle(t, TINY_LOAD, 0x10, 3, SGX_VECTOR_PF);
	assert_int_equal(emu_stats.dirty_exits, 0);
}

/* Each interrupt is followed by an entry for nothing: the enclave's handler runs, all goes on. */
static void test_storm(void **state)
{
	struct tiny *t = *state;

	emu_config.scenario = EMU_STORM;
	emu_config.scenario_value = 1;
	emu_config.step_permille = 1000;
	emu_config.step_length = 100;
	tiny_build(t);
	for (int i = 0; i < 21; i++)
		assert_int_equal(tiny_ask(t, TINY_ADD, 7, 0), 8);
	assert_true(emu_stats.eenter_nested > 100);
	assert_true(emu_stats.aex_nested > 100);
	assert_int_equal(tiny_block(t, BLOCK_EXITINFO), 0);
	assert_int_equal(emu_stats.exits_exception, emu_stats.eenter_nested);
}

TINY_TESTS(TINY_CASE(interrupts_keep_state), TINY_CASE(single_steps_are_not_seen_inside),
	   TINY_CASE(storm))
