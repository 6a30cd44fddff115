/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bookkeeping of pages against a model of the driver and the CPU, honest and hostile: what the
 * host says it did and did not do, what it did and should not have.
 */
#include "tests/unit.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/commit.h"
#include "kernel/arch/commit_priv.h"
#include "kernel/arch/enclu.h"
#include "kernel/core/panic.h"

#define START	     0x10000000ul
#define PAGES	     64
#define END	     (START + PAGES * PAGE_SIZE)

#define R	     1
#define RW	     3
#define RX	     5
#define RWX	     7

#define MISMATCH     19
#define UNMODIFIABLE 20

/* The machine: one entry for each page, as EPCM and page tables have it. */
struct machine_page {
	bool is_there, pending, modified, restricted, is_trim;
	u8 epcm;   /* R W X */
	u8 tables; /* R W X of the page tables */
	u8 filled; /* first byte */
	u32 accepted_as_new;
};
static struct machine_page machine[PAGES];

/* How the host misbehaves. */
static struct {
	bool no_eaug, no_restrict, no_trim, no_remove;
	bool eaug_accepted; /* replaces pages that are there by new ones at mem_commit */
	bool wrong_rights;  /* new pages have other rights than the driver gives */
	u32 faults;	    /* so many instructions find the page out of reach */
	u32 fail_next;	    /* errno of the next host call */
} host;
static u32 host_calls, hostile_unreachable;

static jmp_buf stopped;
static char reason[256];

void panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	longjmp(stopped, 1);
}

/* Runs `call`; true when the instance stopped in it. */
#define STOPS(call) (setjmp(stopped) ? true : ((void)!(call), false))

static struct machine_page *page_at(u64 address)
{
	assert_true(address >= START && address < END);
	return &machine[(address - START) / PAGE_SIZE];
}

static int called(void)
{
	int err = (int)host.fail_next;

	host_calls++;
	host.fail_next = 0;
	return -err;
}

static void each(u64 address, u64 size, void (*act)(struct machine_page *, u32), u32 prot)
{
	assert_int_equal((address | size) & (PAGE_SIZE - 1), 0);
	for (u64 at = address; at < address + size; at += PAGE_SIZE)
		act(page_at(at), prot);
}

static void do_protect(struct machine_page *p, u32 prot)
{
	p->tables = (u8)prot;
}

static void do_commit(struct machine_page *p, u32 prot)
{
	p->tables = (u8)prot;
	if (host.no_eaug || (p->is_there && !host.eaug_accepted))
		return;
	*p = (struct machine_page){.is_there = true,
				   .pending = true,
				   .epcm = host.wrong_rights ? RX : RW,
				   .tables = (u8)prot,
				   .accepted_as_new = p->accepted_as_new};
}

static void do_restrict(struct machine_page *p, u32 prot)
{
	if (!host.no_restrict) {
		p->epcm &= (u8)prot;
		p->restricted = true;
	}
}

static void do_trim(struct machine_page *p, u32 prot)
{
	p->tables = R;
	if (!host.no_trim) {
		p->is_trim = true;
		p->modified = true;
	}
}

static void do_remove(struct machine_page *p, u32 prot)
{
	assert_true(p->is_trim && !p->modified);
	*p = (struct machine_page){.accepted_as_new = 0};
}

int host_mem_protect(u64 address, u64 size, u32 prot)
{
	int err = called();

	if (!err)
		each(address, size, do_protect, prot);
	return err;
}

int host_mem_commit(u64 address, u64 size, u32 prot)
{
	int err = called();

	if (!err)
		each(address, size, do_commit, prot);
	return err;
}

int host_mem_restrict(u64 address, u64 size, u32 prot)
{
	int err = called();

	if (!err)
		each(address, size, do_restrict, prot);
	return err;
}

int host_mem_trim(u64 address, u64 size)
{
	int err = called();

	if (!err)
		each(address, size, do_trim, 0);
	return err;
}

int host_mem_remove(u64 address, u64 size)
{
	int err = called();

	if (host.no_remove)
		return -EPERM;
	if (!err)
		each(address, size, do_remove, 0);
	return err;
}

static u32 eaccept(struct machine_page *p, u64 flags)
{
	if (flags & 8) {
		if (!p->pending || p->is_trim || p->epcm != (flags & 7))
			return MISMATCH;
		p->pending = false;
		p->accepted_as_new++;
		return 0;
	}
	if (flags & 16) {
		if (flags >> 8 != 4 || !p->is_trim || !p->modified)
			return MISMATCH;
		p->modified = false;
		return 0;
	}
	if (!p->restricted || p->epcm != (flags & 7))
		return MISMATCH;
	p->restricted = false;
	return 0;
}

u32 enclu_leaf(u32 leaf, const void *rbx, u64 rcx, u64 rdx)
{
	struct machine_page *p = page_at(rcx);
	u64 flags = *(const u64 *)rbx;

	assert_int_equal((u64)rbx % 64, 0);
	if (host.faults) {
		host.faults--;
		return ENCLU_FAULT;
	}
	if (!p->is_there || !(p->tables & R)) {
		hostile_unreachable++;
		return ENCLU_FAULT;
	}
	switch (leaf) {
	case ENCLU_EACCEPT: return eaccept(p, flags);
	case ENCLU_EMODPE:
		if (p->pending || p->is_trim)
			return ENCLU_FAULT;
		p->epcm |= flags & 7;
		return ENCLU_EMODPE;
	case ENCLU_EACCEPTCOPY:
		if (!(p->tables & 2))
			return ENCLU_FAULT;
		if (!p->pending || p->epcm != RW)
			return MISMATCH;
		p->pending = false;
		p->accepted_as_new++;
		p->epcm = flags & 7;
		p->filled = *(const u8 *)rdx;
		return 0;
	default: return ENCLU_FAULT;
	}
}

static void begin(void)
{
	static bool is_made;

	if (is_made)
		commit_fini();
	is_made = true;
	memset(machine, 0, sizeof(machine));
	memset(&host, 0, sizeof(host));
	host_calls = 0;
	assert_int_equal(commit_init(START, END), 0);
}

/* What the kernel believes of a page is what the CPU does. */
static void assert_consistent(void)
{
	for (u32 i = 0; i < PAGES; i++) {
		u8 state = commit_state(START + i * PAGE_SIZE);

		if (!state)
			continue;
		assert_int_equal(state, 8 | machine[i].epcm);
		assert_true(machine[i].is_there && !machine[i].pending && !machine[i].is_trim &&
			    !machine[i].restricted);
		assert_int_equal(machine[i].accepted_as_new, 1);
	}
}

static void test_fresh_memory_is_one_call(void **state)
{
	begin();
	assert_int_equal(commit_protect(START, END, RW), 0);
	assert_int_equal(host_calls, 1);
	assert_consistent();
	assert_int_equal(commit_state(START), 8 | RW);
	/* The second time nothing is accepted. */
	assert_int_equal(commit_protect(START, END, RW), 0);
	assert_int_equal(machine[0].accepted_as_new, 1);
	assert_consistent();
}

static void test_rights(void **state)
{
	begin();
	assert_int_equal(commit_protect(START, END, RW), 0);
	assert_int_equal(commit_protect(START, START + 4 * PAGE_SIZE, RX), 0);
	assert_int_equal(machine[0].epcm, RX); /* W is gone in the EPCM */
	assert_int_equal(commit_protect(START, START + PAGE_SIZE, RW), 0);
	assert_int_equal(machine[0].epcm, RW); /* and so is X on the way back */
	assert_int_equal(commit_protect(START + 8 * PAGE_SIZE, START + 9 * PAGE_SIZE, R), 0);
	assert_int_equal(machine[8].epcm, R);
	assert_int_equal(commit_protect(START, START + PAGE_SIZE, RWX), 0);
	assert_int_equal(machine[0].epcm, RWX);
	assert_int_equal(commit_protect(START, END, 0), 0);
	assert_int_equal(machine[8].tables, 0);
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
		assert_false(machine[i].is_there);
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
		assert_int_equal(machine[i].filled, i + 1);
		assert_int_equal(machine[i].epcm, RX);
		assert_int_equal(machine[i].tables, RX);
	}
	assert_consistent();
	assert_int_equal(commit_copy(START, START + PAGE_SIZE, bytes + 1, RX), -EINVAL);
}

/* A page that is busy or on the disk for a while is no attack. */
static void test_patience(void **state)
{
	begin();
	host.faults = 3;
	assert_false(STOPS(commit_protect(START, END, RW)));
	host.faults = 3;
	assert_false(STOPS(commit_protect(START, END, RX)));
	host.faults = 3;
	assert_false(STOPS(commit_protect(START, END, RWX)));
	host.faults = 3;
	assert_false(STOPS(commit_discard(START, END)));
	assert_consistent();
}

static void test_refusals_are_errors(void **state)
{
	begin();
	host.fail_next = ENOMEM;
	assert_int_equal(commit_protect(START, END, RW), -ENOMEM);
	host.fail_next = EACCES;
	assert_int_equal(commit_protect(START, END, RW), -EACCES);
	assert_int_equal(commit_state(START), 0);
	assert_int_equal(commit_protect(START, END, RW), 0);
	host.fail_next = ENOMEM;
	assert_int_equal(commit_discard(START, END), -ENOMEM);
	assert_consistent();
	assert_int_equal(commit_state(START), 8 | RW);
}

static void test_a_lying_host_stops_the_instance(void **state)
{
	begin();
	host.no_eaug = true;
	assert_true(STOPS(commit_protect(START, END, RW)));
	begin();
	host.wrong_rights = true;
	assert_true(STOPS(commit_protect(START, END, RW)));
	begin();
	assert_false(STOPS(commit_protect(START, END, RW)));
	host.no_restrict = true;
	assert_true(STOPS(commit_protect(START, END, RX)));
	begin();
	assert_false(STOPS(commit_protect(START, END, RW)));
	host.no_trim = true;
	assert_true(STOPS(commit_discard(START, END)));
	begin();
	assert_false(STOPS(commit_protect(START, END, RW)));
	host.no_remove = true;
	assert_true(STOPS(commit_discard(START, END)));
}

/* New pages in the place of accepted ones are zeroes that the kernel did not ask for. */
static void test_a_replaced_page_is_never_accepted(void **state)
{
	begin();
	assert_int_equal(commit_protect(START, START + PAGE_SIZE, RW), 0);
	host.eaug_accepted = true;
	(void)STOPS(commit_protect(START, START + 4 * PAGE_SIZE, RW));
	assert_int_equal(machine[0].accepted_as_new, 1);
	assert_true(machine[0].pending); /* whoever touches it faults */
	assert_true(STOPS(commit_protect(START, START + PAGE_SIZE, RX)));
	assert_int_equal(machine[0].accepted_as_new, 1);
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

			memset(&host, 0, sizeof(host));
			host.fail_next = rand() % 8 ? 0 : ENOMEM;
			host.faults = rand() % 4 ? 0 : rand() % 5;
			if (!is_honest && rand() % 16 == 0) {
				host.no_eaug = rand() & 1;
				host.no_restrict = rand() & 1;
				host.no_trim = rand() & 1;
				host.wrong_rights = rand() & 1;
			}
			switch (rand() % 3) {
			case 0: has_stopped = STOPS(commit_protect(at, end, prot)); break;
			case 1: has_stopped = STOPS(commit_discard(at, end)); break;
			default: has_stopped = STOPS(commit_copy(at, end, bytes, prot | R)); break;
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
	   test_refusals_are_errors, test_a_lying_host_stops_the_instance,
	   test_a_replaced_page_is_never_accepted, test_random_hosts)
