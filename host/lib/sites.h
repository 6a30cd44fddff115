/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the call sites of an ELF file (lib/secvol/sites_format.h) with a disassembler. */
#pragma once

#include "lib/base/types.h"
#include "lib/secvol/secvol.h"
#include "lib/secvol/sites_format.h"

struct sites_table {
	struct secvol_site *sites; /* ascending by offset; malloc'ed */
	u32 count;
};

/*
 * Decodes the executable code of a file held in memory. 0 and the table (empty for a file that is
 * no x86-64 ELF file or has no sites), -ENOMEM, or -EFBIG when it has more than SITES_FILE_MAX.
 * The result depends on the bytes alone. Free with sites_table_fini().
 */
int __must_check sites_scan(const void *bytes, u64 size, struct sites_table *ret_table);
void sites_table_fini(struct sites_table *table);

enum { SITES_FILE_MAX = 1 << 20 };
