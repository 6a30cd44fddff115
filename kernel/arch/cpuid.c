// SPDX-License-Identifier: Apache-2.0
/*
 * The CPUID table that programs, /proc/cpuinfo and the crypto library see. An enclave cannot
 * execute CPUID, so the host's answers are hints: bits that name features which depend on state
 * we know (XFRM) are derived from that, leaf 0xD is a constant of the layout that XSAVE showed,
 * features that must not or cannot be used inside are masked, and a CPU without AES-NI, PCLMUL,
 * AVX or RDRAND is refused. A lie about anything else makes programs fail, not leak.
 */
#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"
#include "lib/base/string.h"

#define CPUID_ENTRIES_MAX 128

static struct cpuid_hint table[CPUID_ENTRIES_MAX];
static u32 table_count;
static u32 max_basic, max_extended;

#define BIT(n) (1u << (n))

/* Leaf 1. What is not listed is hidden. */
#define ECX1_REQUIRED                                                                              \
	(BIT(1) /* PCLMUL */ | BIT(9) /* SSSE3 */ | BIT(22) /* MOVBE */ | BIT(25) /* AES */ |      \
	 BIT(26) /* XSAVE */ | BIT(28) /* AVX */ | BIT(30) /* RDRAND */)
#define ECX1_SHOWN                                                                                 \
	(ECX1_REQUIRED | BIT(0) /* SSE3 */ | BIT(12) /* FMA */ | BIT(13) /* CX16 */ |              \
	 BIT(19) /* SSE4.1 */ | BIT(20) /* SSE4.2 */ | BIT(23) /* POPCNT */ | BIT(29) /* F16C */)
#define ECX1_OSXSAVE BIT(27)
/* SEP (sysenter), serial number, debug store, thermal, pending break */
#define EDX1_HIDDEN  (BIT(11) | BIT(18) | BIT(21) | BIT(22) | BIT(29) | BIT(30) | BIT(31))

/* Leaf 7, subleaf 0. FSGSBASE is hidden: a program that writes GS breaks itself. */
#define EBX7_SHOWN                                                                                 \
	(BIT(3) /* BMI1 */ | BIT(5) /* AVX2 */ | BIT(8) /* BMI2 */ | BIT(9) /* ERMS */ |           \
	 BIT(18) /* RDSEED */ | BIT(19) /* ADX */ | BIT(23) /* CLFLUSHOPT */ |                     \
	 BIT(24) /* CLWB */ | BIT(29) /* SHA */)
#define EBX7_AVX512 (BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31))
#define ECX7_SHOWN                                                                                 \
	(BIT(8) /* GFNI */ | BIT(9) /* VAES */ | BIT(10) /* VPCLMUL */ | BIT(27) /* MOVDIRI */ |   \
	 BIT(28) /* MOVDIR64B */)
#define ECX7_AVX512  (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define EDX7_SHOWN   (BIT(4) /* FSRM */ | BIT(14) /* SERIALIZE */)
#define EDX7_AVX512  (BIT(2) | BIT(3) | BIT(8) | BIT(23))
/* Leaf 7, subleaf 1: AVX-VNNI, fast short string operations; BF16. */
#define EAX71_SHOWN  (BIT(4) | BIT(10) | BIT(11) | BIT(12))
#define EAX71_AVX512 BIT(5)

static struct cpuid_hint *find(u32 leaf, u32 subleaf)
{
	for (u32 i = 0; i < table_count; i++) {
		if (table[i].leaf == leaf && table[i].subleaf == subleaf)
			return &table[i];
	}
	return NULL;
}

static bool leaf_has_subleaves(u32 leaf)
{
	switch (leaf) {
	case 0x4:
	case 0x7:
	case 0xb:
	case 0xd:
	case 0x14:
	case 0x18:
	case 0x1f:
	case 0x8000001d: return true;
	default: return false;
	}
}

/* Leaves whose content programs have no use for, or must not believe, inside. */
static bool leaf_is_hidden(u32 leaf)
{
	switch (leaf) {
	case 0x3: /* serial number */
	case 0x5: /* MONITOR */
	case 0x6: /* power */
	case 0x9:
	case 0xa: /* performance counters */
	case 0xd: /* a constant of ours */
	case 0xf:
	case 0x10:
	case 0x12: /* SGX */
	case 0x14: /* trace */
	case 0x1b:
	case 0x1c:
	case 0x8000000a: /* SVM */
	case 0x8000001f: /* SEV */ return true;
	default: return leaf >= 0x40000000 && leaf < 0x80000000;
	}
}

static void sanitise_leaf1(struct cpuid_hint *e)
{
	e->ebx &= 0x00ffffff; /* initial APIC id of the CPU that happened to run */
	e->ecx &= ECX1_SHOWN;
	e->ecx |= ECX1_OSXSAVE;
	e->edx &= ~EDX1_HIDDEN;
}

static void sanitise_leaf7(struct cpuid_hint *e)
{
	bool has_avx512 = (arch_xstate_mask() & 0xe0) == 0xe0;

	if (e->subleaf > 1) { /* more than leaf 7 says that it has */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		return;
	}
	if (e->subleaf) {
		e->eax &= EAX71_SHOWN | (has_avx512 ? EAX71_AVX512 : 0);
		e->ebx = e->ecx = e->edx = 0;
		return;
	}
	e->eax = MIN(e->eax, 1u);
	e->ebx &= EBX7_SHOWN | (has_avx512 ? EBX7_AVX512 : 0);
	e->ecx &= ECX7_SHOWN | (has_avx512 ? ECX7_AVX512 : 0);
	e->edx &= EDX7_SHOWN | (has_avx512 ? EDX7_AVX512 : 0);
}

static void sanitise(struct cpuid_hint *e)
{
	switch (e->leaf) {
	case 1: sanitise_leaf1(e); break;
	case 7: sanitise_leaf7(e); break;
	case 0xb:
	case 0x1f:
		e->edx = 0; /* x2APIC id of the CPU that happened to run */
		break;
	case 0x80000001:
		e->ecx &= ~(1u << 2 | 1u << 3 | 1u << 10 | 1u << 15); /* SVM, APIC, IBS, LWP */
		e->ecx &= ~(1u << 29);				      /* MONITORX */
		break;
	case 0x80000008: e->ebx = 0; break;
	default: break;
	}
}

int cpuid_init(const struct cpuid_hint *hints, size_t count)
{
	const struct cpuid_hint *leaf;

	table_count = 0;
	for (size_t i = 0; i < count && table_count < CPUID_ENTRIES_MAX; i++) {
		struct cpuid_hint e = hints[i];

		if (leaf_is_hidden(e.leaf) || find(e.leaf, e.subleaf))
			continue;
		if (!leaf_has_subleaves(e.leaf))
			e.subleaf = 0;
		sanitise(&e);
		table[table_count++] = e;
	}
	leaf = find(0, 0);
	max_basic = leaf ? MIN(leaf->eax, 0x1fu) : 0;
	leaf = find(0x80000000, 0);
	max_extended = leaf ? MIN(leaf->eax, 0x80000021u) : 0;
	leaf = find(1, 0);
	if (!leaf || max_basic < 0xd || (leaf->ecx & ECX1_REQUIRED) != ECX1_REQUIRED ||
	    !(arch_xstate_mask() & 4))
		return -EOPNOTSUPP;
	return 0;
}

/* One component of the extended state: {size, offset}. */
static void leaf_xstate(u32 subleaf, u32 out[4])
{
	static const u16 size[10] = {0, 0, 256, 0, 0, 64, 512, 1024};
	static const u16 offset[2][10] = {
		{0, 0, 576, 0, 0, 1088, 1152, 1664},
		{0, 0, 576, 0, 0, 832, 896, 1408},
	};
	u64 mask = arch_xstate_mask();

	memset(out, 0, 16);
	if (subleaf == 0) {
		out[0] = (u32)mask;
		out[1] = out[2] = (u32)arch_xstate_size();
		return;
	}
	/* Subleaf 1 (XSAVEOPT, XSAVEC): not offered, the standard format is what we check. */
	if (subleaf < 2 || subleaf >= 8 || !(mask >> subleaf & 1))
		return;
	out[0] = size[subleaf];
	out[1] = offset[xstate_layout()][subleaf];
}

void arch_cpuid(u32 leaf, u32 subleaf, u32 ret_regs[4])
{
	const struct cpuid_hint *e;

	memset(ret_regs, 0, 16);
	if (leaf == 0xd) {
		leaf_xstate(subleaf, ret_regs);
		return;
	}
	/* Intel answers a leaf above the maximum with the highest basic one; AMD with zero. */
	if (leaf < 0x80000000 ? leaf > max_basic : leaf > max_extended)
		return;
	e = find(leaf, leaf_has_subleaves(leaf) ? subleaf : 0);
	if (!e) {
		if (leaf == 0xb || leaf == 0x1f)
			ret_regs[2] = subleaf & 0xff;
		return;
	}
	ret_regs[0] = e->eax;
	ret_regs[1] = e->ebx;
	ret_regs[2] = e->ecx;
	ret_regs[3] = e->edx;
	if (leaf == 0)
		ret_regs[0] = max_basic;
	else if (leaf == 0x80000000)
		ret_regs[0] = max_extended;
}
