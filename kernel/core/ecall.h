/* SPDX-License-Identifier: Apache-2.0 */
/* The ecalls in their order: which are allowed when. Called by the entry code. */
#pragma once

#include "lib/base/types.h"

s64 ecall_run(u64 number, u64 argument);
