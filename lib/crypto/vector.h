/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bracket around use of vector registers. Kernel code is compiled without them, so while it
 * runs they hold the user's; lib/crypto's public functions take the bracket around each batch.
 * kernel/arch implements save and restore: full ZMM0-15 (or YMM0-15 where there is no AVX-512),
 * interrupted by nothing, since nothing inside the bracket sleeps or returns to a program. Buffers
 * are on the kernel stack and brackets do not nest.
 */
#pragma once

#include "lib/base/types.h"

#ifdef OCCLUM_FREESTANDING

struct vector_guard {
	alignas(64) u8 regs[16 * 64 + 64];
};

/*
 * In kernel/arch. `regs` is 64-byte aligned; 1024 bytes for the registers, 64 for what else is
 * needed.
 */
void arch_vector_save(void *regs);
void arch_vector_restore(const void *regs);

static inline void crypto_begin(struct vector_guard *g)
{
	arch_vector_save(g->regs);
}

static inline void crypto_end(struct vector_guard *g)
{
	arch_vector_restore(g->regs);
}

#else

struct vector_guard {
	u8 unused;
};

static inline void crypto_begin(struct vector_guard *g)
{
	g->unused = 0;
}

static inline void crypto_end(struct vector_guard *g)
{
	(void)g;
}

#endif
