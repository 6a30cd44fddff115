// SPDX-License-Identifier: Apache-2.0
/*
 * Call-site finder. Three passes over the executable bytes of an ELF file:
 *
 *   1. functions: .eh_frame, .symtab and .dynsym mark where decoding must start afresh;
 *   2. sweep: decode every instruction, note sites, branch targets and functions with indirect
 *      jumps in one flag byte per code byte;
 *   3. classify: with all targets known, choose each site's patch class in the order A, P, B, C.
 *
 * A wrong site would corrupt a program, a missed one costs a trap: in doubt a site is left out or
 * left trapping. Nothing here depends on anything but the file's bytes.
 */
#include "host/lib/sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "lib/base/overflow.h"
#include "lib/elf/eh_frame.h"
#include "lib/elf/elf.h"

enum { RANGES_MAX = 64, HISTORY = 8, PATCH_SIZE = 5, JMP8_REACH = 128 };

enum code_flag {
	CODE_INSN = 1,	    /* an instruction begins here */
	CODE_TARGET = 2,    /* a direct branch leads here, or a symbol or endbr64 says so */
	CODE_START = 4,	    /* decoding starts afresh here */
	CODE_COVERED = 8,   /* within a function's known bounds */
	CODE_FUNC = 16,	    /* a function begins here */
	CODE_INDIRECT = 32, /* on CODE_FUNC bytes: jumps in this function have unknown targets */
	CODE_PATCHED = 64,  /* some site's patch covers or relocates this byte */
	CODE_SUSPECT = 128, /* on CODE_FUNC bytes: the bytes of a site occur in this function */
};

struct range {
	const u8 *code;
	u64 vaddr;
	u64 offset; /* in the file */
	u64 size;
	u8 *flags;   /* one byte per code byte */
	u64 unwound; /* bytes that .eh_frame describes */
};

struct found {
	u32 range;
	u64 at;	 /* within the range */
	u8 kind; /* SITE_SYSCALL_TRAP, SITE_CPUID, ... before classification */
	u8 history_count;
	u8 history[HISTORY]; /* sizes of the instructions before it, nearest first */
};

struct scan {
	const u8 *bytes;
	struct elf_source source;
	struct elf_header header;
	struct range ranges[RANGES_MAX];
	u32 range_count;
	ZydisDecoder decoder;
	struct found *found;
	u32 found_count, found_room;
};

static int memory_read(void *ctx, void *buf, size_t size, u64 offset)
{
	memcpy(buf, (const u8 *)ctx + offset, size);
	return 0;
}

static bool bytes_name_site(const u8 *p, u64 left)
{
	if (left < 2 || p[0] != 0x0f)
		return false;
	return p[1] == 0x05 || p[1] == 0xa2 || p[1] == 0x31 ||
	       (p[1] == 0x01 && left >= 3 && p[2] == 0xf9);
}

static bool range_may_have_sites(const struct range *r)
{
	const u8 *p = r->code, *end = r->code + r->size;

	while ((p = memchr(p, 0x0f, (size_t)(end - p)))) {
		if (bytes_name_site(p, (u64)(end - p)))
			return true;
		p++;
	}
	return false;
}

static int range_add(struct scan *s, u64 vaddr, u64 offset, u64 size)
{
	struct range *r = &s->ranges[s->range_count];

	if (size == 0)
		return 0;
	if (s->range_count == RANGES_MAX)
		return -EFBIG;
	*r = (struct range){
		.code = s->bytes + offset, .vaddr = vaddr, .offset = offset, .size = size};
	s->range_count++;
	return 0;
}

/* The executable sections, or the executable segments of a file without section headers. */
static int ranges_collect(struct scan *s)
{
	struct elf_shdr sh;
	struct elf_phdr ph;

	for (unsigned i = 1; i < s->header.shnum; i++)
		if (elf_shdr_read(&s->source, &s->header, i, &sh) == 0 &&
		    sh.type == ELF_SHT_PROGBITS && (sh.flags & ELF_SHF_EXECINSTR) &&
		    (sh.flags & ELF_SHF_ALLOC) && sh.addr < ELF_VADDR_MAX) {
			int err = range_add(s, sh.addr, sh.offset, sh.size);

			if (err)
				return err;
		}
	if (s->range_count)
		return 0;
	for (unsigned i = 0; i < s->header.phnum; i++)
		if (elf_phdr_read(&s->source, &s->header, i, &ph) == 0 && ph.type == ELF_PT_LOAD &&
		    (ph.flags & ELF_PF_X)) {
			int err = range_add(s, ph.vaddr, ph.offset, ph.filesz);

			if (err)
				return err;
		}
	return 0;
}

static struct range *range_of(struct scan *s, u64 vaddr)
{
	for (u32 i = 0; i < s->range_count; i++)
		if (vaddr >= s->ranges[i].vaddr && vaddr - s->ranges[i].vaddr < s->ranges[i].size)
			return &s->ranges[i];
	return NULL;
}

static void flag_set(struct scan *s, u64 vaddr, u8 flags)
{
	struct range *r = range_of(s, vaddr);

	if (r)
		r->flags[vaddr - r->vaddr] |= flags;
}

static void function_add(struct scan *s, u64 start, u64 size, u8 flags)
{
	struct range *r = range_of(s, start);
	u64 at;

	if (!r)
		return;
	at = start - r->vaddr;
	r->flags[at] |= CODE_START | CODE_FUNC | CODE_TARGET | flags;
	for (u64 i = at; i < at + size && i < r->size; i++)
		r->flags[i] |= CODE_COVERED;
}

static void functions_from_eh_frame(struct scan *s)
{
	struct elf_shdr sh;
	struct eh_function fn;
	struct eh_frame frame;

	if (elf_section_find(&s->source, &s->header, ".eh_frame", &sh) ||
	    (sh.type != ELF_SHT_PROGBITS && sh.type != ELF_SHT_X86_64_UNWIND))
		return;
	frame = eh_frame_of(s->bytes + sh.offset, sh.size, sh.addr);
	while (eh_frame_next(&frame, &fn) == 1) {
		struct range *r = range_of(s, fn.start);

		if (r)
			r->unwound += fn.size;
		function_add(s, fn.start, fn.size, fn.has_lsda ? CODE_INDIRECT : 0);
	}
}

static void functions_from_symbols(struct scan *s, u32 table_type)
{
	struct elf_symbol sym;
	struct elf_shdr sh;

	for (unsigned i = 1; i < s->header.shnum; i++) {
		if (elf_shdr_read(&s->source, &s->header, i, &sh) || sh.type != table_type ||
		    sh.entsize != sizeof(struct elf_disk_sym))
			continue;
		for (u64 n = 0; n < elf_symbol_count(&sh); n++) {
			if (elf_symbol_parse(s->bytes + sh.offset + n * sh.entsize, &sym) ||
			    sym.shndx == ELF_SHN_UNDEF || sym.shndx >= ELF_SHN_LORESERVE)
				continue;
			if (sym.type == ELF_STT_FUNC || sym.type == ELF_STT_GNU_IFUNC)
				function_add(s, sym.value, sym.size, 0);
			else if (sym.type == ELF_STT_NOTYPE)
				flag_set(s, sym.value, CODE_START | CODE_TARGET);
		}
	}
}

static bool decode(struct scan *s, const struct range *r, u64 at, ZydisDecodedInstruction *insn)
{
	u64 left = MIN(r->size - at, (u64)ZYDIS_MAX_INSTRUCTION_LENGTH);

	return ZYAN_SUCCESS(
		ZydisDecoderDecodeInstruction(&s->decoder, NULL, r->code + at, left, insn));
}

static u8 site_kind_of(const ZydisDecodedInstruction *insn)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_SYSCALL: return insn->length == 2 ? SITE_SYSCALL_TRAP : 0;
	case ZYDIS_MNEMONIC_CPUID: return insn->length == 2 ? SITE_CPUID : 0;
	case ZYDIS_MNEMONIC_RDTSC: return insn->length == 2 ? SITE_RDTSC : 0;
	case ZYDIS_MNEMONIC_RDTSCP: return insn->length == 3 ? SITE_RDTSCP : 0;
	default: return 0;
	}
}

static bool is_rip_relative(const ZydisDecodedInstruction *insn)
{
	return (insn->attributes & ZYDIS_ATTRIB_HAS_MODRM) && insn->raw.modrm.mod == 0 &&
	       insn->raw.modrm.rm == 5;
}

static bool is_jump(const ZydisDecodedInstruction *insn)
{
	return insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR;
}

static int found_add(struct scan *s, const struct found *f)
{
	if (s->found_count == SITES_FILE_MAX)
		return -EFBIG;
	if (s->found_count == s->found_room) {
		u32 room = s->found_room ? 2 * s->found_room : 64;
		struct found *bigger = reallocarray(s->found, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		s->found = bigger;
		s->found_room = room;
	}
	s->found[s->found_count++] = *f;
	return 0;
}

/* What one decoded instruction tells about the code around it. `func` is its function's start. */
static void insn_note(struct scan *s, struct range *r, u64 at, u64 func,
		      const ZydisDecodedInstruction *insn)
{
	r->flags[at] |= CODE_INSN;
	if (insn->mnemonic == ZYDIS_MNEMONIC_ENDBR64)
		r->flags[at] |= CODE_TARGET;
	for (int i = 0; i < 2; i++)
		if (insn->raw.imm[i].is_relative)
			flag_set(s, r->vaddr + at + insn->length + (u64)insn->raw.imm[i].value.s,
				 CODE_TARGET);
	/* `jmp *x(%rip)` leaves through the GOT; any other indirect jump may stay. */
	if (is_jump(insn) && !insn->raw.imm[0].is_relative && !is_rip_relative(insn))
		r->flags[func] |= CODE_INDIRECT;
}

/* Bytes of the instruction at `at` up to the next place where decoding starts afresh. */
static u64 room_before_start(const struct range *r, u64 at, u64 length)
{
	for (u64 i = 1; i < length; i++)
		if (r->flags[at + i] & CODE_START)
			return i;
	return length;
}

/* Marks the functions in which a sweep could find something. */
static void suspects_mark(struct range *r)
{
	const u8 *p = r->code, *end = r->code + r->size;

	for (; (p = memchr(p, 0x0f, (size_t)(end - p))); p++) {
		u64 at = (u64)(p - r->code);

		if (!bytes_name_site(p, (u64)(end - p)))
			continue;
		while (at > 0 && !(r->flags[at] & CODE_FUNC))
			at--;
		r->flags[at] |= CODE_SUSPECT;
	}
}

static u64 function_end(const struct range *r, u64 at)
{
	do
		at++;
	while (at < r->size && !(r->flags[at] & CODE_FUNC));
	return at;
}

/*
 * Whether the code at `at`, which no unwind data describes, is known to be executed: clone's
 * ends before its `syscall`, from which two threads return. `flows_to` is where the instruction
 * decoded last goes on.
 */
static bool goes_on_uncovered(const struct range *r, u64 at, u64 flows_to)
{
	bool is_syscall = r->size - at >= 2 && r->code[at] == 0x0f && r->code[at + 1] == 0x05;

	if (!at || at != flows_to || r->flags[at] & (CODE_START | CODE_FUNC))
		return false;
	return is_syscall || !(r->flags[at - 1] & CODE_COVERED);
}

/*
 * Decodes a range, or only its suspect functions. Most files have none: their sites are the C
 * library's, and byte pairs that look like sites lie inside other instructions.
 */
static int range_sweep(struct scan *s, u32 index, bool suspects_only)
{
	struct range *r = &s->ranges[index];
	bool sparse = r->unwound < r->size / 2;
	bool certain = true;
	struct found f = {.range = index};
	u64 func = 0, flows_to = 0; /* where the last instruction goes on */

	for (u64 at = 0; at < r->size;) {
		ZydisDecodedInstruction insn;
		u64 room;

		if (r->flags[at] & CODE_FUNC) {
			func = at;
			f.history_count = 0; /* what lies before is not executed before it */
		}
		if (suspects_only && !sparse && (r->flags[at] & CODE_FUNC) &&
		    !(r->flags[at] & CODE_SUSPECT)) {
			at = function_end(r, at);
			continue;
		}
		if (r->flags[at] & CODE_START)
			certain = true;
		if (!certain || (!sparse && !(r->flags[at] & CODE_COVERED) &&
				 !goes_on_uncovered(r, at, flows_to))) {
			f.history_count = 0;
			at++;
			continue;
		}
		if (!decode(s, r, at, &insn) ||
		    (room = room_before_start(r, at, insn.length)) < insn.length) {
			certain = false;
			f.history_count = 0;
			at++;
			continue;
		}
		insn_note(s, r, at, func, &insn);
		f.kind = site_kind_of(&insn);
		f.at = at;
		if (f.kind) {
			int err = found_add(s, &f);

			if (err)
				return err;
		}
		memmove(f.history + 1, f.history, HISTORY - 1);
		f.history[0] = insn.length;
		f.history_count += f.history_count < HISTORY;
		at += insn.length;
		if (!is_jump(&insn) && insn.meta.category != ZYDIS_CATEGORY_RET &&
		    insn.mnemonic != ZYDIS_MNEMONIC_HLT && insn.mnemonic != ZYDIS_MNEMONIC_UD2)
			flows_to = at;
	}
	return 0;
}

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

/* No jump may lead strictly inside [at, at + PATCH_SIZE), nor may another patch touch `size` bytes. */
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

		if (!decode(s, r, at, &insn) || !effects_read(s, r->code + at, insn.length, &e))
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

static bool try_p(struct scan *s, struct range *r, const struct found *f, struct secvol_site *site)
{
	u64 len = 0;

	for (int i = 0; i < f->history_count && len < PATCH_SIZE; i++) {
		ZydisDecodedInstruction insn;

		len += f->history[i];
		if (!decode(s, r, f->at - len, &insn) || !is_relocatable(&insn))
			return false;
	}
	if (len < PATCH_SIZE || len > SITE_RELOCATE_MAX || !patch_is_free(r, f->at - len, len))
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

		if (end >= r->size || !decode(s, r, end, &insn) ||
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

		if (!(r->flags[at] & CODE_INSN) || !decode(s, r, at, &insn) ||
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

	if (next >= r->size || !(r->flags[next] & CODE_INSN) || !decode(s, r, next, &jump) ||
	    !is_jump(&jump) || !jump.raw.imm[0].is_relative)
		return false;
	for (int i = 0; i < f->history_count; i++) {
		len += f->history[i];
		size = len + 2 + jump.length;
		if (len > SITE_RELOCATE_MAX_J || !decode(s, r, f->at - len, &insn) ||
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

		if (end >= r->size || !(r->flags[end] & CODE_INSN) || !decode(s, r, end, &insn) ||
		    !is_relocatable(&insn))
			return 0;
		end += insn.length;
	}
	if (end - f->at < PATCH_SIZE || end - f->at > SITE_RELOCATE_MAX ||
	    !patch_is_free(r, f->at, end - f->at))
		return 0;
	patch_claim(r, f->at, end - f->at);
	return end - f->at - size;
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

static struct secvol_site classify(struct scan *s, const struct found *f)
{
	struct range *r = &s->ranges[f->range];
	struct secvol_site site = {.offset = r->offset + f->at, .kind = f->kind};
	u64 len;

	if (f->kind != SITE_SYSCALL_TRAP) {
		site.len = (u8)relocatable_after(s, r, f, site_insn_size(f->kind), 3);
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

static struct secvol_site unpatched(struct scan *s, const struct found *f)
{
	return (struct secvol_site){.offset = s->ranges[f->range].offset + f->at, .kind = f->kind};
}

static int site_order(const void *a, const void *b)
{
	const struct secvol_site *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int scan_run(struct scan *s, struct sites_table *ret_table)
{
	struct sites_table t = {0};
	int err = ranges_collect(s);
	bool any = false, exact = false;

	for (u32 i = 0; !err && i < s->range_count; i++)
		any |= range_may_have_sites(&s->ranges[i]);
	if (err || !any) {
		*ret_table = t;
		return err;
	}
	for (u32 i = 0; i < s->range_count; i++) {
		s->ranges[i].flags = calloc(1, s->ranges[i].size);
		if (!s->ranges[i].flags)
			return -ENOMEM;
	}
	functions_from_eh_frame(s);
	functions_from_symbols(s, ELF_SHT_SYMTAB);
	functions_from_symbols(s, ELF_SHT_DYNSYM);
	flag_set(s, s->header.entry, CODE_START | CODE_TARGET);
	for (u32 i = 0; i < s->range_count; i++) {
		suspects_mark(&s->ranges[i]);
		err = range_sweep(s, i, true);
		if (err)
			return err;
	}
	/* Patch classes need all branch targets of the file; an int3 for a rare cpuid does not. */
	for (u32 i = 0; i < s->found_count; i++)
		exact |= s->found[i].kind == SITE_SYSCALL_TRAP;
	if (exact)
		s->found_count = 0;
	for (u32 i = 0; exact && i < s->range_count; i++) {
		err = range_sweep(s, i, false);
		if (err)
			return err;
	}
	t.sites = calloc(s->found_count ? s->found_count : 1, sizeof(*t.sites));
	if (!t.sites)
		return -ENOMEM;
	for (u32 i = 0; i < s->found_count; i++)
		t.sites[t.count++] = exact ? classify(s, &s->found[i]) : unpatched(s, &s->found[i]);
	qsort(t.sites, t.count, sizeof(*t.sites), site_order);
	*ret_table = t;
	return 0;
}

int sites_scan(const void *bytes, u64 size, struct sites_table *ret_table)
{
	struct scan *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->bytes = bytes;
	s->source = (struct elf_source){.ctx = (void *)bytes, .size = size, .read = memory_read};
	*ret_table = (struct sites_table){0};
	if (elf_header_read(&s->source, &s->header) == 0 &&
	    ZYAN_SUCCESS(ZydisDecoderInit(&s->decoder, ZYDIS_MACHINE_MODE_LONG_64,
					  ZYDIS_STACK_WIDTH_64)))
		err = scan_run(s, ret_table);
	else
		err = 0;
	for (u32 i = 0; i < s->range_count; i++)
		free(s->ranges[i].flags);
	free(s->found);
	free(s);
	return err;
}

void sites_table_fini(struct sites_table *table)
{
	free(table->sites);
	*table = (struct sites_table){0};
}
