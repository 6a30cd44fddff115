/* SPDX-License-Identifier: Apache-2.0 */
/* The ENCLU instruction, hardware image only (enclu.S); tests play the CPU. */
#pragma once

#include "lib/base/types.h"

enum enclu_leaf_number {
	ENCLU_EREPORT = 0,
	ENCLU_EGETKEY = 1,
	ENCLU_EACCEPT = 5,
	ENCLU_EMODPE = 6,
	ENCLU_EACCEPTCOPY = 7,
};

/* In place of a result: the instruction faulted (#PF, #GP or #UD). */
#define ENCLU_FAULT 0xffffffffu

/*
 * Executes a leaf with these registers. EAX afterwards, which is 0 or an SGX error code for the
 * leaves that have one, and the leaf's number for EREPORT and EMODPE.
 */
u32 __must_check enclu_leaf(u32 leaf, const void *rbx, u64 rcx, u64 rdx);
