/* SPDX-License-Identifier: Apache-2.0 */
/* The CPUs that programs see, the same number everywhere: affinity, /proc/cpuinfo, /sys. */
#pragma once

#include "lib/base/types.h"

u32 cpu_count(void); /* at least 1 */
