/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of a small program zone as driver and CPU keep them, for tests of kernel/arch/commit_hw.c
 * and of what stands on it: the host calls mem_commit, mem_restrict, mem_trim, mem_remove and
 * mem_protect, and the leaves EACCEPT, EMODPE, EACCEPTCOPY. The memory is real: what EPCM and page
 * tables do not let through together faults. The host is honest, refuses, does a part, or lies.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>

#include "lib/base/types.h"

#define EPC_START 0x10000000ul
#define EPC_PAGES 64
#define EPC_END	  (EPC_START + EPC_PAGES * PAGE_SIZE)

/* One page: as the EPCM has it, and the page tables. */
struct epc_page {
	bool is_there, pending, modified, restricted, is_trim;
	u8 epcm;   /* R W X */
	u8 tables; /* R W X of the page tables */
	u32 accepted_as_new;
};
extern struct epc_page epc[EPC_PAGES];

/* How the host misbehaves. */
struct epc_host {
	bool no_eaug, no_restrict, no_trim, no_remove;
	bool eaug_accepted; /* replaces pages that are there by new ones at mem_commit */
	bool wrong_rights;  /* new pages have other rights than the driver gives */
	u32 faults;	    /* so many instructions find the page out of reach */
	u32 fail_call;	    /* 1: the next host call is refused, 2: the one after it ... */
	u32 fail_count;	    /* and so many in all; 0: one */
	u32 fail_errno;
	u32 fail_after; /* pages that it did before */
};
extern struct epc_host epc_host;
extern u32 epc_host_calls;

/* An empty zone and an honest host. */
void epc_reset(void);

/* panic() of the code under test; EPC_STOPS(call) is true when the instance stopped in it. */
extern jmp_buf epc_stopped;
extern char epc_reason[256];
#define EPC_STOPS(call) (setjmp(epc_stopped) ? true : ((void)!(call), false))
