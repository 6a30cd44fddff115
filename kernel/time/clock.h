/* SPDX-License-Identifier: Apache-2.0 */
/* Time inside: TSC where allowed, clamped monotonic over whatever the host says. */
#pragma once

#include "lib/base/types.h"

void clock_init(u64 tsc_hz);  /* at boot; calibrates against the host's clocks */
u64 clock_monotonic_ns(void); /* never goes back */
u64 clock_realtime_ns(void);  /* the host's wall time, untrusted */
u64 clock_boot_ns(void);      /* monotonic ns when the instance booted */
