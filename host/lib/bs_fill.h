/* SPDX-License-Identifier: Apache-2.0 */
/* Making room on a sparse file before small writes: lib/secvol/fill_map.h says why and where. */
#pragma once

#include "lib/base/types.h"

#define BS_FILL_SMALL KIB(64) /* the longest write that is small */

/*
 * Zeros into the holes of a chunk; nobody may write there meanwhile. Does less or nothing where the
 * file system has no holes, or little room.
 */
void bs_fill_chunk_run(int fd, u64 chunk);
