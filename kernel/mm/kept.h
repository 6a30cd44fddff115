/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept images: laid-out files of the measured image that outlive the processes that mapped them,
 * with their addresses, for the next one that maps the same. See kept.c; mm_priv.h has what is
 * of use to those who map and unmap.
 */
#pragma once

#include "lib/base/types.h"

/* Gives up what is kept in [start, end), addresses too. True: some. Sleeping locks may be held. */
bool kept_evict(u64 start, u64 end);

void kept_init(u64 size_max); /* bytes of addresses; 0: nothing is kept */
void kept_fini(void);	      /* tests */
