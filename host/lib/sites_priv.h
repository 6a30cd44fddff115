/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two halves of the call-site finder: what a sweep has seen of a file's code. */
#pragma once

#include <Zydis/Zydis.h>

#include "host/lib/sites.h"
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

/*
 * Finds all sites and what is needed to choose their patches. *ret_exact: all code was decoded, so
 * that branch targets are complete. 0, -ENOMEM or -EFBIG.
 */
int __must_check sites_sweep(struct scan *s, bool *ret_exact);

/* How a found site is to be patched; claims the bytes. Only after an exact sweep. */
struct secvol_site sites_classify(struct scan *s, const struct found *f);

bool __must_check sites_decode(struct scan *s, const struct range *r, u64 at,
			       ZydisDecodedInstruction *insn);

static inline bool is_rip_relative(const ZydisDecodedInstruction *insn)
{
	return (insn->attributes & ZYDIS_ATTRIB_HAS_MODRM) && insn->raw.modrm.mod == 0 &&
	       insn->raw.modrm.rm == 5;
}

static inline bool is_jump(const ZydisDecodedInstruction *insn)
{
	return insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR;
}
