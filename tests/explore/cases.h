/* SPDX-License-Identifier: Apache-2.0 */
/* What is explored: small cases in all their interleavings, large ones at random. */
#pragma once

#include "tests/explore/scheduler.h"

struct test_case {
	const char *name;
	void (*boot)(void *arg); /* a thread of the kernel: starts programs and waits for them */
	bool is_large;		 /* at random only */
	bool time_may_pass;
	bool only_long; /* with two preemptions it takes a minute or more */
};

extern const struct test_case test_cases[];
extern const u32 test_case_count;
