/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bookkeeping of pages against a model of the driver and the CPU, honest and hostile: what the
 * host says it did and did not do, what it did and should not have.
 */
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "kernel/arch/commit.h"
#include "kernel/arch/commit_priv.h"
#include "tests/fakes/epc.h"

#define START	EPC_START
#define PAGES	EPC_PAGES
#define END	EPC_END

#define R	1
#define RW	3
#define RX	5
#define RWX	7

#define THERE	8
#define TRIMMED 32
#define LEAVING 64 /* the kernel does not know */

static void begin(void)
{
	static bool is_made;

	if (is_made)
		commit_fini();
	is_made = true;
	epc_reset();
	assert_int_equal(commit_init(START, END), 0);
}

static void fail_next(u32 error)
{
	epc_host.fail_call = 1;
	epc_host.fail_errno = error;
}

/* What the kernel believes of a page is what the CPU does. */
static void assert_consistent(void)
{
	for (u32 i = 0; i < PAGES; i++) {
		u8 state = commit_state(START + i * PAGE_SIZE);

		if (!state || state & (LEAVING | TRIMMED))
			continue;
		assert_int_equal(state, THERE | epc[i].epcm);
		assert_true(epc[i].is_there && !epc[i].pending && !epc[i].is_trim &&
			    !epc[i].restricted);
		assert_int_equal(epc[i].accepted_as_new, 1);
	}
}

static void test_fresh_memory_is_one_call(void **state)
{
	begin();
	assert_int_equal(commit_protect(START, END, RW), 0);
	assert_int_equal(epc_host_calls, 1);
	assert_consistent();
	assert_int_equal(commit_state(START), 8 | RW);
	/* The second time nothing is accepted. */
	assert_int_equal(commit_protect(START, END, RW), 0);
	assert_int_equal(epc[0].accepted_as_new, 1);
	assert_consistent();
}

static void test_rights(void **state)
{
	begin();
	assert_int_equal(commit_protect(START, END, RW), 0);
	assert_int_equal(commit_protect(START, START + 4 * PAGE_SIZE, RX), 0);
	assert_int_equal(epc[0].epcm, RX); /* W is gone in the EPCM */
	assert_int_equal(commit_protect(START, START + PAGE_SIZE, RW), 0);
	assert_int_equal(epc[0].epcm, RW); /* and so is X on the way back */
	assert_int_equal(commit_protect(START + 8 * PAGE_SIZE, START + 9 * PAGE_SIZE, R), 0);
	assert_int_equal(epc[8].epcm, R);
	assert_int_equal(commit_protect(START, START + PAGE_SIZE, RWX), 0);
	assert_int_equal(epc[0].epcm, RWX);
	assert_int_equal(commit_protect(START, END, 0), 0);
	assert_int_equal(epc[8].tables, 0);
	assert_consistent();
	assert_int_equal(commit_protect(START, END, R), 0);
	assert_consistent();
}

static void test_discard(void **state)
{
	begin();
	assert_int_equal(commit_protect(START, START + 8 * PAGE_SIZE, RW), 0);
	assert_int_equal(commit_protect(START, START + 8 * PAGE_SIZE, 0), 0);
	assert_int_equal(commit_discard(START, END),
			 0); /* hidden pages, and some that are not there */
	for (u32 i = 0; i < 8; i++)
		assert_false(epc[i].is_there);
	assert_int_equal(commit_state(START), 0);
	assert_int_equal(commit_protect(START, END, RW), 0);
	assert_consistent();
}

static void test_copy(void **state)
{
	static u8 bytes[4 * PAGE_SIZE] __attribute__((aligned(4096)));

	begin();
	for (u32 i = 0; i < 4; i++)
		bytes[i * PAGE_SIZE] = (u8)(i + 1);
	assert_int_equal(commit_protect(START + PAGE_SIZE, START + 2 * PAGE_SIZE, RW), 0);
	assert_int_equal(commit_copy(START, START + 4 * PAGE_SIZE, bytes, RX), 0);
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(*(const u8 *)(START + i * PAGE_SIZE), i + 1);
		assert_int_equal(epc[i].epcm, RX);
		assert_int_equal(epc[i].tables, RX);
	}
	assert_consistent();
	assert_int_equal(commit_copy(START, START + PAGE_SIZE, bytes + 1, RX), -EINVAL);
}

/*
 * The host refuses at every step of every change, having done none or some of it, once or for as
 * long as it is asked: an error, nothing worse; and when memory is there again, the same works.
 */
static bool change(u32 what, int *ret_err)
{
	static u8 bytes[4 * PAGE_SIZE] __attribute__((aligned(4096)));
	u64 end = START + 4 * PAGE_SIZE;

	memset(bytes, 0x55, sizeof(bytes));
	switch (what) {
	case 0: *ret_err = commit_protect(START, end, RW); break;
	case 1: *ret_err = commit_protect(START, end, RX); break;
	case 2: *ret_err = commit_protect(START, end, RWX); break;
	case 3: *ret_err = commit_protect(START, end, 0); break;
	case 4: *ret_err = commit_discard(START, end); break;
	case 5: *ret_err = commit_copy(START, end, bytes, RX); break;
	default: return false;
	}
	return true;
}

static void before(u32 state_before)
{
	begin();
	if (state_before)
		assert_int_equal(commit_protect(START, START + 8 * PAGE_SIZE, RW), 0);
	if (state_before == 2)
		assert_int_equal(commit_protect(START, START + 8 * PAGE_SIZE, 0), 0);
	if (state_before == 3)
		assert_int_equal(commit_discard(START + PAGE_SIZE, START + 2 * PAGE_SIZE), 0);
}

static void refuse(u32 what, u32 call, u32 done, u32 times, u32 faults)
{
	static int err, ignored; /* survive longjmp() */

	epc_host.fail_call = call;
	epc_host.fail_errno = ENOMEM;
	epc_host.fail_after = done;
	epc_host.fail_count = times;
	epc_host.faults = faults;
	err = 0;
	if (EPC_STOPS(change(what, &err)))
		fail_msg("change %u stops when call %u is refused after %u pages: %s", what, call,
			 done, epc_reason);
	assert_true(!err || err == -ENOMEM);
	epc_host.fail_call = 0;
	epc_host.faults = 0;
	assert_consistent();
	/* Whatever was left there, the next owner can have. */
	if (EPC_STOPS(ignored = commit_protect(START, START + 8 * PAGE_SIZE, RW)))
		fail_msg("unusable after change %u, call %u, %u pages: %s", what, call, done,
			 epc_reason);
	assert_int_equal(ignored, 0);
	memset((void *)START, 1, 8 * PAGE_SIZE);
	assert_consistent();
	for (u32 next = 0; next < 6; next++) {
		assert_true(change(next, &err));
		assert_int_equal(err, 0);
		assert_consistent();
	}
}

static void test_refused_half_way(void **state)
{
	static const u32 times[] = {1, 2, 100};

	for (u32 what = 0; what < 6; what++)
		for (u32 call = 1; call < 6; call++)
			for (u32 i = 0; i < 4 * 5 * ARRAY_SIZE(times) * 3; i++) {
				before(i % 4);
				refuse(what, call, i / 4 % 5, times[i / 20 % 3], i / 60 * 2);
			}
}

/* A page that is busy or on the disk for a while is no attack. */
static void test_patience(void **state)
{
	begin();
	epc_host.faults = 3;
	assert_false(EPC_STOPS(commit_protect(START, END, RW)));
	epc_host.faults = 3;
	assert_false(EPC_STOPS(commit_protect(START, END, RX)));
	epc_host.faults = 3;
	assert_false(EPC_STOPS(commit_protect(START, END, RWX)));
	epc_host.faults = 3;
	assert_false(EPC_STOPS(commit_discard(START, END)));
	assert_consistent();
}

static void test_refusals_are_errors(void **state)
{
	begin();
	fail_next(ENOMEM);
	assert_int_equal(commit_protect(START, END, RW), -ENOMEM);
	fail_next(EACCES);
	assert_int_equal(commit_protect(START, END, RW), -EACCES);
	assert_int_equal(commit_state(START), 0);
	assert_int_equal(commit_protect(START, END, RW), 0);
	fail_next(ENOMEM);
	assert_int_equal(commit_discard(START, END), -ENOMEM);
	assert_consistent();
	assert_int_equal(commit_state(START), 8 | RW);
}

static void test_a_lying_host_stops_the_instance(void **state)
{
	begin();
	epc_host.no_eaug = true;
	assert_true(EPC_STOPS(commit_protect(START, END, RW)));
	begin();
	epc_host.wrong_rights = true;
	assert_true(EPC_STOPS(commit_protect(START, END, RW)));
	begin();
	assert_false(EPC_STOPS(commit_protect(START, END, RW)));
	epc_host.no_restrict = true;
	assert_true(EPC_STOPS(commit_protect(START, END, RX)));
	begin();
	assert_false(EPC_STOPS(commit_protect(START, END, RW)));
	epc_host.no_trim = true;
	assert_true(EPC_STOPS(commit_discard(START, END)));
	begin();
	assert_false(EPC_STOPS(commit_protect(START, END, RW)));
	epc_host.no_remove = true;
	assert_true(EPC_STOPS(commit_discard(START, END)));
}

/* New pages in the place of accepted ones are zeroes that the kernel did not ask for. */
static void test_a_replaced_page_is_never_accepted(void **state)
{
	begin();
	assert_int_equal(commit_protect(START, START + PAGE_SIZE, RW), 0);
	epc_host.eaug_accepted = true;
	(void)EPC_STOPS(commit_protect(START, START + 4 * PAGE_SIZE, RW));
	assert_int_equal(epc[0].accepted_as_new, 1);
	assert_true(epc[0].pending); /* whoever touches it faults */
	assert_true(EPC_STOPS(commit_protect(START, START + PAGE_SIZE, RX)));
	assert_int_equal(epc[0].accepted_as_new, 1);
}

/* Random calls over random answers: it stops, or belief and machine agree. */
static void test_random_hosts(void **state)
{
	static u8 bytes[PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
	static const u32 prots[] = {0, R, RW, RX, RWX};
	static u32 stops, round, i; /* survive longjmp() */

	srand(1);
	for (round = 0; round < 300; round++) {
		bool is_honest = round & 1, has_stopped = false;

		begin();
		for (i = 0; i < 60 && !has_stopped; i++) {
			u64 at = START + (u64)(rand() % PAGES) * PAGE_SIZE;
			u64 end = at + (1 + (u64)rand() % ((END - at) / PAGE_SIZE)) * PAGE_SIZE;
			u32 prot = prots[rand() % 5];

			memset(&epc_host, 0, sizeof(epc_host));
			if (rand() % 4 == 0) {
				epc_host.fail_call = 1 + (u32)rand() % 3;
				epc_host.fail_count = 1 + (u32)rand() % 20;
				epc_host.fail_after = (u32)rand() % 8;
				epc_host.fail_errno = ENOMEM;
			}
			epc_host.faults = rand() % 4 ? 0 : rand() % 5;
			if (!is_honest && rand() % 16 == 0) {
				epc_host.no_eaug = rand() & 1;
				epc_host.no_restrict = rand() & 1;
				epc_host.no_trim = rand() & 1;
				epc_host.wrong_rights = rand() & 1;
			}
			switch (rand() % 3) {
			case 0: has_stopped = EPC_STOPS(commit_protect(at, end, prot)); break;
			case 1: has_stopped = EPC_STOPS(commit_discard(at, end)); break;
			default:
				has_stopped = EPC_STOPS(commit_copy(at, end, bytes, prot | R));
				break;
			}
			if (!has_stopped)
				assert_consistent();
		}
		assert_false(is_honest && has_stopped);
		stops += has_stopped;
	}
	assert_true(stops > 20);
}

UNIT_TESTS(test_fresh_memory_is_one_call, test_rights, test_discard, test_copy, test_patience,
	   test_refused_half_way, test_refusals_are_errors, test_a_lying_host_stops_the_instance,
	   test_a_replaced_page_is_never_accepted, test_random_hosts)
