// SPDX-License-Identifier: Apache-2.0
/*
 * Extended state of programs: x87, SSE, AVX and AVX-512 in the standard format of XSAVE. Kernel
 * code does not use these registers, so a program's values stay in the CPU through a system
 * call; lib/crypto saves what it uses around each batch.
 *
 * Which components exist is XCR0 (in an enclave the CPU sets it to XFRM at entry), asked by
 * XGETBV, which works inside. Where they lie in the area is one of two constant layouts, told
 * apart by what XSAVE really writes: a host that lied in CPUID leaf 0xD must not make the
 * kernel believe in another size.
 */
#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"
#include "kernel/arch/commit.h"
#include "lib/base/string.h"

#define XFEATURE_LEGACY	  3ull
#define XFEATURE_AVX	  4ull
#define XFEATURE_OPMASK	  0x20ull
#define XFEATURE_AVX512	  0xe0ull
#define XFEATURE_KNOWN	  (XFEATURE_LEGACY | XFEATURE_AVX | XFEATURE_AVX512)
#define XSTATE_HEADER	  512
#define OPMASK_INTEL	  1088
#define OPMASK_AMD	  832
#define SIZE_LEGACY	  576
#define SIZE_AVX	  832
#define SIZE_AVX512_INTEL 2688
#define SIZE_AVX512_AMD	  2432

/* Also read by entry.S. Until boot has asked: what every enclave has. */
u64 xstate_mask = XFEATURE_LEGACY;
static size_t area_size;
static enum xstate_layout layout;
u32 vector_is_avx512; /* read by vector.S */

static void xsave(void *area, u64 features)
{
	__asm__ volatile("xsave64 (%0)"
			 :
			 : "r"(area), "a"((u32)features), "d"((u32)(features >> 32))
			 : "memory");
}

static void xrstor(const void *area, u64 features)
{
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(area), "a"((u32)features), "d"((u32)(features >> 32))
			 : "memory");
}

static u64 xgetbv(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (u64)high << 32 | low;
}

/* XSAVE writes the opmask registers where this CPU's layout has them, in use or not. */
static enum xstate_layout probe_layout(void)
{
	static u8 area[XSTATE_AREA_MAX] __attribute__((aligned(64)));

	memset(area, 0xa5, XSTATE_AREA_MAX);
	memset(area + XSTATE_HEADER, 0, 64);
	xsave(area, XFEATURE_OPMASK);
	return area[OPMASK_INTEL] == 0xa5 && area[OPMASK_INTEL + 63] == 0xa5 ? XSTATE_LAYOUT_AMD
									     : XSTATE_LAYOUT_INTEL;
}

int xstate_init(void)
{
	xstate_mask = xgetbv();
	/* On hardware this is XFRM: a component that nothing here saves or wipes must not exist. */
	if (COMMIT_IS_HARDWARE && xstate_mask & ~XFEATURE_KNOWN)
		return -EOPNOTSUPP;
	xstate_mask &= XFEATURE_KNOWN;
	if ((xstate_mask & XFEATURE_AVX512) != XFEATURE_AVX512 || !(xstate_mask & XFEATURE_AVX))
		xstate_mask &= ~XFEATURE_AVX512;
	area_size = xstate_mask & XFEATURE_AVX ? SIZE_AVX : SIZE_LEGACY;
	if (xstate_mask & XFEATURE_AVX512) {
		layout = probe_layout();
		area_size = layout == XSTATE_LAYOUT_AMD ? SIZE_AVX512_AMD : SIZE_AVX512_INTEL;
		vector_is_avx512 = 1;
	}
	return 0;
}

enum xstate_layout xstate_layout(void)
{
	return layout;
}

size_t arch_xstate_size(void)
{
	return area_size;
}

u64 arch_xstate_mask(void)
{
	return xstate_mask;
}

void arch_xstate_save(void *area)
{
	/* The header's reserved bytes and unwritten gaps would be whatever the memory held. */
	memset(area, 0, area_size);
	xsave(area, xstate_mask);
}

void arch_xstate_restore(const void *area)
{
	xrstor(area, xstate_mask);
}

void arch_xstate_reset(void)
{
	xrstor(xstate_constant, xstate_mask);
}

/* XRSTOR faults on what this refuses; MXCSR's reserved bits are 31:16 (and DAZ always exists). */
bool arch_xstate_is_valid(const void *area, size_t size)
{
	u64 header[8];
	u32 mxcsr;

	if (size != area_size)
		return false;
	memcpy(header, (const u8 *)area + XSTATE_HEADER, sizeof(header));
	memcpy(&mxcsr, (const u8 *)area + 24, sizeof(mxcsr));
	if (header[0] & ~xstate_mask || mxcsr & 0xffff0000u)
		return false;
	return mem_is_zero(&header[1], sizeof(header) - 8);
}
