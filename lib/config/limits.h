/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of configured sizes, in bytes unless said. */
#pragma once

#include "lib/base/types.h"

#define LIMIT_USER_SPACE_MIN   MIB(1)
#define LIMIT_USER_SPACE_MAX   GIB(16384)
#define LIMIT_KERNEL_HEAP_MIN  MIB(4)
#define LIMIT_KERNEL_HEAP_MAX  GIB(3)
#define LIMIT_KERNEL_STACK_MIN KIB(32)
#define LIMIT_KERNEL_STACK_MAX MIB(64)
#define LIMIT_STACK_MIN	       KIB(64)
#define LIMIT_STACK_MAX	       GIB(64)
#define LIMIT_THREADS_MIN      2		/* init's and the program's */
#define LIMIT_ID_MAX	       (UINT32_MAX - 1) /* the last number is nobody's: -1 of chown() */
#define LIMIT_CACHE_MIN	       KIB(192)
#define LIMIT_SCRUB_MIN	       KIB(4) /* per second */
#define LIMIT_SCRUB_MAX	       GIB(1)
#define LIMIT_COMMIT_MAX       3600 /* seconds */

/* Heap and stacks share the top 4 GiB of the address range with the kernel image and the SSAs. */
#define LIMIT_KERNEL_ZONE      (GIB(3) + MIB(512))
