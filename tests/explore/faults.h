/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that are put into the kernel to see that the explorer finds them. */
#pragma once

#include "lib/base/types.h"

struct fault {
	const char *name;
	const char *in_case;
	const char *shows; /* part of what the failure says */
};
extern const struct fault faults[];
extern const u32 fault_count;

void fault_set(const char *name); /* NULL: none */
