/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that lies in its CPUID hints. Whatever it says: leaf 0xD is one of the constant layouts,
 * cut to the mask the CPU showed; no bit of a hidden or unknown feature reaches a program; walks
 * over subleaves end; and a CPU without what the kernel needs is refused.
 */
#include "tests/unit.h"

#include <stdlib.h>

#include "abi/errno.h"
#include "edge/enclave.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"
#include "lib/base/string.h"

#define ROUNDS	 20000
#define HINTS	 200
#define NEEDED_1 (1u << 1 | 1u << 9 | 1u << 22 | 1u << 25 | 1u << 26 | 1u << 28 | 1u << 30)

static u64 mask;
static size_t area;
static enum xstate_layout layout;

u64 arch_xstate_mask(void)
{
	return mask;
}

size_t arch_xstate_size(void)
{
	return area;
}

enum xstate_layout xstate_layout(void)
{
	return layout;
}

static const struct {
	u64 mask;
	size_t size;
	enum xstate_layout layout;
} cpus[] = {
	{7, 832, XSTATE_LAYOUT_INTEL},
	{0xe7, 2688, XSTATE_LAYOUT_INTEL},
	{0xe7, 2432, XSTATE_LAYOUT_AMD},
};

static void use_cpu(u32 which)
{
	mask = cpus[which].mask;
	area = cpus[which].size;
	layout = cpus[which].layout;
}

static u32 any(void)
{
	u32 r = (u32)random() ^ (u32)random() << 16;

	switch (random() % 4) {
	case 0: return UINT32_MAX;
	case 1: return r & (u32)random();
	default: return r;
	}
}

static void add(struct cpuid_hint *h, u32 *count, u32 leaf, u32 subleaf, u32 a, u32 b, u32 c, u32 d)
{
	h[(*count)++] = (struct cpuid_hint){leaf, subleaf, a, b, c, d};
}

static u32 any_leaf(void)
{
	static const u32 some[] = {0,	       1,	   2,	       4,	   7,
				   0xa,	       0xb,	   0xd,	       0x12,	   0x14,
				   0x1f,       0x40000000, 0x80000000, 0x80000001, 0x80000008,
				   0x8000001d, 0x8000001f, UINT32_MAX};

	return random() % 3 ? some[random() % ARRAY_SIZE(some)] : any();
}

/* Plausible leaves 0 and 1, so that the rest is reached; then anything, also again. */
static u32 make_hints(struct cpuid_hint *h)
{
	u32 count = 0, more = (u32)random() % (HINTS - 3);

	if (random() % 8)
		add(h, &count, 0, 0, 0xd + any() % 32, any(), any(), any());
	if (random() % 8)
		add(h, &count, 1, 0, any(), any(), any() | NEEDED_1, any());
	if (random() % 2)
		add(h, &count, 0x80000000, 0, any(), any(), any(), any());
	while (more--)
		add(h, &count, any_leaf(), random() % 3 ? (u32)random() % 40 : any(), any(), any(),
		    any(), any());
	return count;
}

static void check_xstate(void)
{
	static const u16 size[8] = {0, 0, 256, 0, 0, 64, 512, 1024};
	static const u16 intel[8] = {0, 0, 576, 0, 0, 1088, 1152, 1664};
	static const u16 amd[8] = {0, 0, 576, 0, 0, 832, 896, 1408};
	const u16 *offset = layout == XSTATE_LAYOUT_AMD ? amd : intel;
	u32 r[4];

	arch_cpuid(0xd, 0, r);
	assert_int_equal(r[0], mask);
	assert_int_equal(r[1], area);
	assert_int_equal(r[2], area);
	assert_int_equal(r[3], 0);
	arch_cpuid(0xd, 1, r);
	assert_true(mem_is_zero(r, sizeof(r)));
	for (u32 i = 2; i < 70; i++) {
		bool there = i < 8 && (mask >> i & 1);

		arch_cpuid(0xd, i, r);
		assert_int_equal(r[0], there ? size[i] : 0);
		assert_int_equal(r[1], there ? offset[i] : 0);
		assert_true(!r[0] || r[0] + r[1] <= area);
		assert_int_equal(r[2] | r[3], 0);
	}
}

static void check_features(void)
{
	bool has_avx512 = (mask & 0xe0) == 0xe0;
	u32 r[4];

	arch_cpuid(1, 0, r);
	assert_int_equal(r[1] >> 24, 0); /* APIC id */
	assert_int_equal(r[2] & NEEDED_1, NEEDED_1);
	assert_true(r[2] & 1u << 27);				    /* OSXSAVE */
	assert_int_equal(r[2] & (1u << 3 | 1u << 5 | 1u << 31), 0); /* MONITOR, VMX, hypervisor */
	assert_int_equal(r[3] & (1u << 11), 0);			    /* SEP */
	arch_cpuid(7, 0, r);
	assert_true(r[0] <= 1);
	assert_int_equal(r[1] & (1u << 0 | 1u << 2 | 1u << 4 | 1u << 11), 0); /* FSGSBASE SGX TSX */
	assert_int_equal(r[2] & (1u << 3 | 1u << 4 | 1u << 7), 0);	      /* PKU, CET */
	assert_int_equal(r[3] & (1u << 20 | 1u << 22 | 1u << 24 | 1u << 25), 0); /* CET, AMX */
	if (!has_avx512) {
		assert_int_equal(r[1] & 0xdc230000u, 0);
		assert_int_equal(r[2] & 0x5842u, 0);
		assert_int_equal(r[3] & 0x80010cu, 0);
	}
	for (u32 i = 2; i < 40; i++) { /* subleaves that a host made up */
		arch_cpuid(7, i, r);
		assert_true(mem_is_zero(r, sizeof(r)));
	}
}

/* Walks as C libraries do them: a level of type 0 ends each. */
static void check_walks_end(void)
{
	static const u32 leaves[] = {4, 0xb, 0x1f, 0x8000001d};
	u32 r[4];

	for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
		bool is_topology = leaves[i] == 0xb || leaves[i] == 0x1f;
		u32 n = 0;

		do {
			arch_cpuid(leaves[i], n, r);
		} while ((is_topology ? r[2] >> 8 & 0xff : r[0] & 0x1f) && ++n < 1000);
		assert_true(n <= 128);
	}
	/* Nothing behind the maxima, which are ours. */
	arch_cpuid(0, 0, r);
	assert_true(r[0] >= 0xd && r[0] <= 0x1f);
	arch_cpuid(r[0] + 1, 0, r);
	assert_true(mem_is_zero(r, sizeof(r)));
	arch_cpuid(0x80000000, 0, r);
	assert_true(r[0] <= 0x80000021);
	arch_cpuid(0x12, 0, r);
	assert_true(mem_is_zero(r, sizeof(r)));
	arch_cpuid(0x40000000, 0, r);
	assert_true(mem_is_zero(r, sizeof(r)));
}

static void random_tables(void **state)
{
	static struct cpuid_hint hints[HINTS];
	u32 accepted = 0;

	srandom(22);
	for (u32 i = 0; i < ROUNDS; i++) {
		u32 count = make_hints(hints);
		u32 first[4], again[4];

		use_cpu(i % ARRAY_SIZE(cpus));
		check_xstate();
		if (cpuid_init(hints, count))
			continue;
		accepted++;
		check_xstate();
		check_features();
		check_walks_end();
		for (u32 k = 0; k < 20; k++) {
			u32 leaf = any_leaf(), subleaf = any();

			arch_cpuid(leaf, subleaf, first);
			arch_cpuid(leaf, subleaf, again);
			assert_memory_equal(first, again, sizeof(first));
		}
	}
	assert_true(accepted > ROUNDS / 2);
}

static int init_with(u32 max, u32 ecx)
{
	struct cpuid_hint h[] = {
		{0, 0, max, 0, 0, 0}, {1, 0, 0, 0, ecx, 0}, {0xd, 0, UINT32_MAX, UINT32_MAX, 0, 0}};

	return cpuid_init(h, ARRAY_SIZE(h));
}

static void what_is_needed_is_refused_when_missing(void **state)
{
	use_cpu(0);
	assert_int_equal(init_with(0xd, NEEDED_1), 0);
	for (u32 bit = 0; bit < 32; bit++) {
		if (NEEDED_1 >> bit & 1)
			assert_int_equal(init_with(0xd, ~(1u << bit)), -EOPNOTSUPP);
	}
	assert_int_equal(init_with(0xc, UINT32_MAX), -EOPNOTSUPP);
	assert_int_equal(cpuid_init(NULL, 0), -EOPNOTSUPP);
	mask = 3; /* no AVX, whatever the host says */
	area = 576;
	assert_int_equal(init_with(0xd, UINT32_MAX), -EOPNOTSUPP);
}

UNIT_TESTS(random_tables, what_is_needed_is_refused_when_missing)
