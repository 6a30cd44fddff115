/* SPDX-License-Identifier: Apache-2.0 */
/* What the test enclave does for each number given to ECALL_EXEC. */
#pragma once

enum scenario {
	SCENARIO_EXCEPTIONS = 1,
	SCENARIO_HOST_CALLS,
	SCENARIO_MEMORY,
	SCENARIO_KEYS,
	SCENARIO_THREADS,
	SCENARIO_KICKS,
	SCENARIO_BASE_IS_ZERO,
	SCENARIO_DIRTY,
	SCENARIO_SPIN,
	SCENARIO_ABORT,
};

/* The test enclave's kernel stacks; its entry code knows the sum with what lies before. */
#define TEST_STACK_SIZE 0x10000
