/* SPDX-License-Identifier: Apache-2.0 */
/* The ground on which the kernel's file systems stand in this process. */
#pragma once

#include "lib/base/types.h"

/* Once, after the last fork and before anything else here. Says what is wrong; 0 or 1. */
int __must_check kernel_env_init(void);

/* While an open is tried whose failure the caller explains better. */
void kernel_env_quiet(bool quiet);
