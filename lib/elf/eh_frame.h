/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function bounds from .eh_frame (LSB core, DWARF 4 section 6.4.1): what nearly every x86-64
 * file still carries when its symbols are stripped. Only pc_begin and pc_range of each FDE are
 * read, and whether it names a language-specific area (its landing pads are jump targets that
 * no instruction shows).
 */
#pragma once

#include "lib/base/types.h"

struct eh_function {
	u64 start; /* virtual address */
	u64 size;  /* at least 1 */
	bool has_lsda;
};

/* Walks the FDEs of one section held in memory. */
struct eh_frame {
	const u8 *bytes;
	u64 size;
	u64 vaddr; /* where the section lies at run time, before relocation */
	u64 at;	   /* of the next record */
};

static inline struct eh_frame eh_frame_of(const void *bytes, u64 size, u64 vaddr)
{
	return (struct eh_frame){.bytes = bytes, .size = size, .vaddr = vaddr};
}

/*
 * The next function. 1 and *ret_function, 0 at the end, -ENOEXEC when the section breaks the
 * format (what came before stands). FDEs whose encoding needs run-time data are passed over.
 */
int __must_check eh_frame_next(struct eh_frame *frame, struct eh_function *ret_function);
