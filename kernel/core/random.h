/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes: RDRAND/RDSEED behind a DRBG (docs/security-rules.md 23: none of the host's). */
#pragma once

#include "lib/base/types.h"

/* At panic: the state of the generator is overwritten. */
void random_wipe(void);

/* 0, or -EIO when the hardware source fails its checks: the caller must stop what it does. */
int __must_check random_bytes(void *bytes, size_t size);
