/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the instance: for states in which going on would corrupt or leak. */
#pragma once

#include "lib/base/types.h"

/* Wipes keys, tells the host, leaves the enclave for good. */
void panic(const char *format, ...) __printf(1, 2) __noreturn;

#define BUG_ON(condition)                                                                          \
	do {                                                                                       \
		if (unlikely(condition))                                                           \
			panic("BUG: %s (%s:%d)", #condition, __FILE__, __LINE__);                  \
	} while (0)

#ifdef NDEBUG
#define kassert(condition) ((void)0)
#else
#define kassert(condition) BUG_ON(!(condition))
#endif
