/* SPDX-License-Identifier: Apache-2.0 */
/* The user memory of unit tests; list tests/fakes/user_memory.c among a test's sources. */
#pragma once

#include "lib/base/types.h"

void fake_user_memory(void *memory, size_t size);
void fake_user_hook(void (*before_access)(u64 address)); /* NULL: none */
