// SPDX-License-Identifier: Apache-2.0
/*
 * The last pass of the call-site finder (sites.c): with all branch targets of a file known, chooses
 * each site's patch class in the order A, P, B, C. In doubt a site is left trapping.
 */
#include "host/lib/sites_priv.h"

#include <string.h>

/* An instruction that means the same at any address. */
static bool is_relocatable(const ZydisDecodedInstruction *insn)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_IO:
	case ZYDIS_CATEGORY_IOSTRINGOP:
	case ZYDIS_CATEGORY_CET: return false;
	default: break;
	}
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_CPUID:
	case ZYDIS_MNEMONIC_RDTSC:
	case ZYDIS_MNEMONIC_RDTSCP:
	case ZYDIS_MNEMONIC_XBEGIN:
	case ZYDIS_MNEMONIC_XEND:
	case ZYDIS_MNEMONIC_XABORT:
	case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2: return false;
	default: break;
	}
	return insn->meta.branch_type == ZYDIS_BRANCH_TYPE_NONE && !is_rip_relative(insn) &&
	       !insn->raw.imm[0].is_relative;
}

static bool function_is_indirect(const struct range *r, u64 at)
{
	while (at > 0 && !(r->flags[at] & CODE_FUNC))
		at--;
	return r->flags[at] & CODE_INDIRECT;
}

/* No jump may lead strictly inside [at, at + PATCH_SIZE), no other patch touch `size` bytes. */
static bool patch_is_free(const struct range *r, u64 at, u64 size)
{
	bool indirect = function_is_indirect(r, at);
	u64 end = MAX(at + size, at + PATCH_SIZE);

	if (end > r->size)
		return false;
	for (u64 i = at; i < end; i++) {
		if (r->flags[i] & CODE_PATCHED)
			return false;
		if (i == at || i >= at + PATCH_SIZE)
			continue;
		if (r->flags[i] & (CODE_TARGET | CODE_START | CODE_FUNC))
			return false;
		if (indirect && (r->flags[i] & CODE_INSN))
			return false;
	}
	return true;
}

static void patch_claim(struct range *r, u64 at, u64 size)
{
	for (u64 i = at; i < MIN(r->size, at + size); i++)
		r->flags[i] |= CODE_PATCHED;
}

/* Registers as a bit set of their largest enclosing ones. */
struct effects {
	u64 regs_read, regs_written;
	bool mem_read, mem_written, flags_read, flags_written;
};

static u64 register_bit(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
	ZyanI8 id = ZydisRegisterGetId(whole);

	if (reg == ZYDIS_REGISTER_NONE)
		return 0;
	if (ZydisRegisterGetClass(whole) == ZYDIS_REGCLASS_GPR64 && id >= 0 && id < 16)
		return 1ull << id;
	if (whole >= ZYDIS_REGISTER_ZMM0 && whole <= ZYDIS_REGISTER_ZMM31)
		return 1ull << (16 + (whole - ZYDIS_REGISTER_ZMM0));
	return 1ull << 63;
}

static bool effects_read(struct scan *s, const u8 *code, u64 size, struct effects *e)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	bool zeroing;

	*e = (struct effects){0};
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&s->decoder, code, size, &insn, ops)))
		return false;
	zeroing = (insn.mnemonic == ZYDIS_MNEMONIC_XOR || insn.mnemonic == ZYDIS_MNEMONIC_SUB) &&
		  ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		  ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		  ops[0].reg.value == ops[1].reg.value;
	for (int i = 0; i < insn.operand_count; i++) {
		bool reads = ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ;
		bool writes = ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;

		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			e->regs_read |= register_bit(ops[i].mem.base);
			e->regs_read |= register_bit(ops[i].mem.index);
			if (ops[i].mem.type != ZYDIS_MEMOP_TYPE_AGEN) {
				e->mem_read |= reads;
				e->mem_written |= writes;
			}
		} else if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
			if (ops[i].reg.value == ZYDIS_REGISTER_RFLAGS)
				continue;
			if (reads && !zeroing)
				e->regs_read |= register_bit(ops[i].reg.value);
			if (writes)
				e->regs_written |= register_bit(ops[i].reg.value);
		}
	}
	if (insn.cpu_flags) {
		e->flags_read = insn.cpu_flags->tested != 0;
		e->flags_written = insn.cpu_flags->modified || insn.cpu_flags->set_0 ||
				   insn.cpu_flags->set_1 || insn.cpu_flags->undefined;
	}
	return true;
}

/* Whether a prefix of these instructions may run before all of them do. */
static bool is_restartable(struct scan *s, const struct range *r, u64 at, u64 end)
{
	struct effects all = {0};

	while (at < end) {
		ZydisDecodedInstruction insn;
		struct effects e;

		if (!sites_decode(s, r, at, &insn) ||
		    !effects_read(s, r->code + at, insn.length, &e))
			return false;
		all.regs_read |= e.regs_read;
		all.mem_read |= e.mem_read;
		all.flags_read |= e.flags_read;
		if ((all.regs_read & e.regs_written) || (all.mem_read && e.mem_written) ||
		    (all.flags_read && e.flags_written))
			return false;
		at += insn.length;
	}
	return true;
}

static bool try_a(struct scan *s, struct range *r, const struct found *f, struct secvol_site *site)
{
	u64 len = f->history_count ? f->history[0] : 0;
	const u8 *mov = r->code + f->at - len;

	if (!(len == 5 && mov[0] == 0xb8) &&
	    !(len == 7 && mov[0] == 0x48 && mov[1] == 0xc7 && mov[2] == 0xc0))
		return false;
	if (!patch_is_free(r, f->at - len, len))
		return false;
	patch_claim(r, f->at - len, len);
	site->kind = SITE_SYSCALL_A;
	site->len = (u8)len;
	return true;
}

/* Bytes of whole relocatable instructions before the site that a jump may cover; 0: none. */
static u64 relocatable_before(struct scan *s, struct range *r, const struct found *f)
{
	u64 len = 0;

	for (int i = 0; i < f->history_count && len < PATCH_SIZE; i++) {
		ZydisDecodedInstruction insn;

		len += f->history[i];
		if (!sites_decode(s, r, f->at - len, &insn) || !is_relocatable(&insn))
			return 0;
	}
	if (len < PATCH_SIZE || len > SITE_RELOCATE_MAX || !patch_is_free(r, f->at - len, len))
		return 0;
	return len;
}

static bool try_p(struct scan *s, struct range *r, const struct found *f, struct secvol_site *site)
{
	u64 len = relocatable_before(s, r, f);

	if (!len)
		return false;
	patch_claim(r, f->at - len, len);
	site->kind =
		is_restartable(s, r, f->at - len, f->at) ? SITE_SYSCALL_P : SITE_SYSCALL_P_ONCE;
	site->len = (u8)len;
	return true;
}

/* At least PATCH_SIZE bytes of padding at `at`, which nothing falls or jumps into. */
static bool is_padding(struct scan *s, const struct range *r, u64 at)
{
	u64 end = at;

	while (end < at + PATCH_SIZE) {
		ZydisDecodedInstruction insn;

		if (end >= r->size || !sites_decode(s, r, end, &insn) ||
		    (insn.mnemonic != ZYDIS_MNEMONIC_NOP && insn.mnemonic != ZYDIS_MNEMONIC_INT3))
			return false;
		end += insn.length;
	}
	if (end > r->size)
		return false;
	for (u64 i = at; i < at + PATCH_SIZE; i++)
		if (r->flags[i] & (CODE_TARGET | CODE_START | CODE_PATCHED))
			return false;
	return true;
}

static bool try_b(struct scan *s, struct range *r, const struct found *f, struct secvol_site *site)
{
	u64 from = f->at > JMP8_REACH ? f->at - JMP8_REACH : 0;
	u64 to = MIN(r->size, f->at + JMP8_REACH);

	if (r->flags[f->at] & CODE_PATCHED || r->flags[f->at + 1] & CODE_PATCHED)
		return false;
	for (u64 at = from; at < to; at++) {
		ZydisDecodedInstruction insn;
		s64 rel;

		if (!(r->flags[at] & CODE_INSN) || !sites_decode(s, r, at, &insn) ||
		    (insn.meta.category != ZYDIS_CATEGORY_RET && !is_jump(&insn)))
			continue;
		rel = (s64)(at + insn.length) - (s64)(f->at + 2);
		if (rel < -128 || rel > 127 || !is_padding(s, r, at + insn.length))
			continue;
		patch_claim(r, at + insn.length, PATCH_SIZE);
		patch_claim(r, f->at, 2);
		site->kind = SITE_SYSCALL_B;
		site->len = (u8)(s8)rel;
		return true;
	}
	return false;
}

/*
 * A jump follows, so only the return of the call reaches the byte after it: the patch may cover
 * the call itself. That is how C libraries end a thread: `1: mov %edx,%eax; syscall; jmp 1b`.
 */
static bool try_j(struct scan *s, struct range *r, const struct found *f, struct secvol_site *site)
{
	u64 next = f->at + 2, len = 0, size;
	ZydisDecodedInstruction insn, jump;

	if (next >= r->size || !(r->flags[next] & CODE_INSN) || !sites_decode(s, r, next, &jump) ||
	    !is_jump(&jump) || !jump.raw.imm[0].is_relative)
		return false;
	for (int i = 0; i < f->history_count; i++) {
		len += f->history[i];
		size = len + 2 + jump.length;
		if (len > SITE_RELOCATE_MAX_J || !sites_decode(s, r, f->at - len, &insn) ||
		    !is_relocatable(&insn))
			return false;
		if (size < PATCH_SIZE)
			continue;
		/* A jump to any of these bytes would miss the patch. */
		for (u64 at = f->at - len + 1; at < next + jump.length; at++)
			if (r->flags[at] & (CODE_TARGET | CODE_START | CODE_FUNC))
				return false;
		if (!patch_is_free(r, f->at - len, size) ||
		    !is_restartable(s, r, f->at - len, f->at))
			return false;
		patch_claim(r, f->at - len, size);
		site->kind = SITE_SYSCALL_J;
		site->len = (u8)len;
		return true;
	}
	return false;
}

/*
 * Whole relocatable instructions after the one at f->at, enough for a jump over both, at most
 * `limit` of them; 0 when there are none.
 */
static u64 relocatable_after(struct scan *s, struct range *r, const struct found *f, u64 size,
			     int limit)
{
	u64 end = f->at + size;

	for (int i = 0; i < limit && end - f->at < PATCH_SIZE; i++) {
		ZydisDecodedInstruction insn;

		if (end >= r->size || !(r->flags[end] & CODE_INSN) ||
		    !sites_decode(s, r, end, &insn) || !is_relocatable(&insn))
			return 0;
		end += insn.length;
	}
	if (end - f->at < PATCH_SIZE || end - f->at > SITE_RELOCATE_MAX ||
	    !patch_is_free(r, f->at, end - f->at))
		return 0;
	patch_claim(r, f->at, end - f->at);
	return end - f->at - size;
}

/* A jump over what comes before it, and int3 in its own place for whoever jumps there. */
static bool try_cpuid_before(struct scan *s, struct range *r, const struct found *f,
			     struct secvol_site *site)
{
	u64 len = relocatable_before(s, r, f);

	if (!len || len > SITE_RELOCATE_MAX_CPUID || (r->flags[f->at] & CODE_PATCHED) ||
	    (r->flags[f->at + 1] & CODE_PATCHED))
		return false;
	patch_claim(r, f->at - len, len + 2);
	site->kind = SITE_CPUID_P;
	site->len = (u8)len;
	return true;
}

/*
 * The bytes before a `syscall` read as `mov $15, %eax`, however they were decoded. Unwinders know
 * signal trampolines by their bytes, so these are never patched.
 */
static bool is_sigreturn(const struct range *r, u64 at)
{
	static const u8 mov_rax[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0},
			mov_eax[] = {0xb8, 15, 0, 0, 0};

	return (at >= sizeof(mov_rax) &&
		memcmp(r->code + at - sizeof(mov_rax), mov_rax, sizeof(mov_rax)) == 0) ||
	       (at >= sizeof(mov_eax) &&
		memcmp(r->code + at - sizeof(mov_eax), mov_eax, sizeof(mov_eax)) == 0);
}

struct secvol_site sites_classify(struct scan *s, const struct found *f)
{
	struct range *r = &s->ranges[f->range];
	struct secvol_site site = {.offset = r->offset + f->at, .kind = f->kind};
	u64 len;

	if (f->kind != SITE_SYSCALL_TRAP) {
		site.len = (u8)relocatable_after(s, r, f, site_insn_size(f->kind), 3);
		if (!site.len && f->kind == SITE_CPUID)
			(void)try_cpuid_before(s, r, f, &site);
		return site;
	}
	if (is_sigreturn(r, f->at))
		return site;
	if (try_a(s, r, f, &site) || try_p(s, r, f, &site) || try_b(s, r, f, &site) ||
	    try_j(s, r, f, &site))
		return site;
	len = relocatable_after(s, r, f, 2, 1);
	if (len) {
		site.kind = SITE_SYSCALL_C;
		site.len = (u8)len;
	}
	return site;
}
