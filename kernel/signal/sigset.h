/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of signals: bit n-1 is signal n, as on Linux. */
#pragma once

#include "lib/base/types.h"

typedef u64 sigset_k;

#define SIGNAL_COUNT 64
#define SIG_BIT(n)   (1ull << ((n)-1))
