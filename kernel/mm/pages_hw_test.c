/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of pages over the CPU's bookkeeping (kernel/arch/commit_hw.c), when the host refuses at
 * any step with any part of it done. What is reachable then and paid for by nobody counts as used,
 * so that what a stray pointer leaves there is not found by the next owner.
 */
#include "kernel/mm/pages.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/zone.h"
#include "tests/fakes/epc.h"
#include "tests/fakes/fakes.h"
#include "tests/unit.h"

#define SPAN  8 /* pages that change */
#define START EPC_START
#define END   (START + SPAN * PAGE_SIZE)

enum operation {
	COMMIT,
	COMMIT_READ_ONLY,
	FILL,
	FILL_ATOMIC,
	CLEAN,
	DROP,
	PROTECT,
	RELEASE,
	OPERATION_COUNT,
};

static u8 bytes[SPAN * PAGE_SIZE] __attribute__((aligned(4096)));

static int operate(enum operation what)
{
	switch (what) {
	case COMMIT: return pages_commit(START, END, PAGE_READ | PAGE_WRITE);
	case COMMIT_READ_ONLY: return pages_commit(START, END, PAGE_READ);
	case FILL: return pages_fill(START, END, bytes, PAGE_READ | PAGE_EXEC, false);
	case FILL_ATOMIC: return pages_fill(START, END, bytes, PAGE_READ | PAGE_EXEC, true);
	case CLEAN: return pages_clean(START, END);
	case DROP: return pages_drop(START, END);
	case PROTECT: return pages_protect(START, END, PAGE_READ);
	default: pages_release(START, END); return 0;
	}
}

static bool wants_present(enum operation what)
{
	return what == DROP || what == PROTECT || what == RELEASE;
}

static bool is_writable(u64 at)
{
	const struct epc_page *p = &epc[(at - EPC_START) / PAGE_SIZE];

	return p->is_there && !p->pending && !p->is_trim && (p->epcm & p->tables & PAGE_WRITE);
}

/* Counters and bytes of state agree; what can be written to and is nobody's counts as used. */
static void assert_accounts(void)
{
	u64 charged = 0, cached = 0;

	for (u64 at = START; at < EPC_END; at += PAGE_SIZE) {
		u8 state = pages_state(at);

		charged += state & PAGE_CHARGED ? PAGE_SIZE : 0;
		cached += (state & (PAGE_CHARGED | PAGE_DIRTY)) == PAGE_DIRTY ? PAGE_SIZE : 0;
		if (is_writable(at) && !(state & PAGE_DIRTY))
			fail_msg("page %llu is writable, its state is %x",
				 (unsigned long long)(at - START) / PAGE_SIZE, state);
	}
	assert_int_equal(pages_charged(), charged);
	assert_int_equal(pages_cached(), cached);
}

static void stray_writes(void)
{
	for (u64 at = START; at < END; at += PAGE_SIZE)
		if (is_writable(at))
			memset((void *)at, 0xee, PAGE_SIZE);
}

/* A former owner has been here, in the pages whose bit is set. */
static void begin(enum operation what, u32 used)
{
	epc_reset();
	assert_int_equal(zone_init(EPC_START, EPC_END, EPC_START), 0);
	assert_int_equal(pages_init(EPC_START, EPC_END, EPC_PAGES * PAGE_SIZE, true), 0);
	for (u64 i = 0; i < SPAN; i++) {
		u64 at = START + i * PAGE_SIZE;

		if (!(used & 1u << i))
			continue;
		assert_int_equal(pages_commit(at, at + PAGE_SIZE, PAGE_READ | PAGE_WRITE), 0);
		memset((void *)at, 0xdd, PAGE_SIZE);
		pages_release(at, at + PAGE_SIZE);
	}
	if (!wants_present(what))
		return;
	assert_int_equal(pages_commit(START, END, PAGE_READ | PAGE_WRITE), 0);
	memset((void *)START, 0xcc, SPAN * PAGE_SIZE);
}

static void end(void)
{
	pages_fini();
	zone_fini();
	assert_int_equal(fake_allocations_live(), 0);
}

static bool refused(enum operation what, u32 used, u32 call, u32 done, u32 times)
{
	static int err; /* survives longjmp() */

	begin(what, used);
	epc_host.fail_call = call;
	epc_host.fail_errno = ENOMEM;
	epc_host.fail_after = done;
	epc_host.fail_count = times;
	if (EPC_STOPS(err = operate(what)))
		fail_msg("%d stops, call %u, %u pages: %s", what, call, done, epc_reason);
	if (err && err != -ENOMEM)
		fail_msg("%d, call %u, %u pages: error %d", what, call, done, err);
	epc_host.fail_call = 0;
	assert_accounts();
	stray_writes();
	/* The next owner: zeroes, all of it his. */
	pages_release(START, END);
	assert_accounts();
	if (EPC_STOPS(err = pages_commit(START, END, PAGE_READ | PAGE_WRITE)))
		fail_msg("after %d, call %u, %u pages: %s", what, call, done, epc_reason);
	assert_int_equal(err, 0);
	for (u64 at = START; at < END; at++)
		if (*(const u8 *)at)
			fail_msg("%d, call %u, %u pages: byte %llx is %x", what, call, done,
				 (unsigned long long)(at - START), *(const u8 *)at);
	memset((void *)START, 1, SPAN * PAGE_SIZE);
	assert_int_equal(pages_drop(START, END), 0);
	assert_accounts();
	end();
	return true;
}

static void a_host_that_refuses_half_way(void **state)
{
	static const u32 times[] = {1, 100}, used[] = {0, 0xff, 0x3c, 0x55};

	memset(bytes, 0xaa, sizeof(bytes));
	for (u32 what = 0; what < OPERATION_COUNT; what++)
		for (u32 call = 1; call < 8; call++)
			for (u32 done = 0; done <= SPAN; done += 3)
				for (u32 i = 0; i < 8; i++)
					refused(what, used[i / 2], call, done, times[i % 2]);
}

/* The CPU finds pages busy, and then the host has no memory any more. */
static void a_host_that_refuses_later(void **state)
{
	static int err;

	begin(COMMIT, 0);
	epc_host.faults = 1;
	epc_host.fail_call = 2;
	epc_host.fail_errno = ENOMEM;
	assert_int_equal(pages_commit(START, END, PAGE_READ | PAGE_WRITE), -ENOMEM);
	assert_accounts();
	assert_int_equal(pages_charged(), 0);
	if (EPC_STOPS(err = pages_commit(START, END, PAGE_READ | PAGE_WRITE)))
		fail_msg("%s", epc_reason);
	assert_int_equal(err, 0);
	assert_int_equal(pages_drop(START, END), 0);
	end();
}

UNIT_TESTS(a_host_that_refuses_half_way, a_host_that_refuses_later)
