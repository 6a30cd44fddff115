/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes: RDRAND/RDSEED behind a DRBG (security.md 23 of the design: no host randomness). */
#pragma once

#include "lib/base/types.h"

/* At panic: the state of the generator is overwritten. */
void random_wipe(void);

/* 0, or -EIO when the hardware source fails its checks: the caller must stop what it does. */
int __must_check random_bytes(void *bytes, size_t size);
