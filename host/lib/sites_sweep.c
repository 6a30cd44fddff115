// SPDX-License-Identifier: Apache-2.0
/*
 * The first two passes of the call-site finder (sites.c): where functions begin, and what every
 * instruction tells. The sweep goes over suspicious functions alone first; most files have no site
 * at all, and only those with system calls need the whole.
 */
#include "host/lib/sites_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/overflow.h"
#include "lib/elf/eh_frame.h"

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

bool sites_decode(struct scan *s, const struct range *r, u64 at, ZydisDecodedInstruction *insn)
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
		if (!sites_decode(s, r, at, &insn) ||
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

int sites_sweep(struct scan *s, bool *ret_exact)
{
	int err = ranges_collect(s);
	bool any = false, exact = false;

	*ret_exact = false;
	for (u32 i = 0; !err && i < s->range_count; i++)
		any |= range_may_have_sites(&s->ranges[i]);
	if (err || !any)
		return err;
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
	*ret_exact = exact;
	return 0;
}
