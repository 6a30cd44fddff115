/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call-site tables: where the code of an ELF file executes `syscall`, `cpuid` and `rdtsc`, and how
 * each site can be patched. Found by decoding when an image is built, kept in the file's SITES
 * items, used by the loader before the text becomes executable. See docs/format/sites.md.
 *
 *   item (object, SITES, chunk):  version 2 | count 2 | count x { file offset 6 | kind 1 | len 1 }
 */
#pragma once

#include "lib/base/types.h"

/* What is written. A loader ignores tables of later versions; 1 had no kinds above SITE_RDTSCP. */
enum { SITES_VERSION = 2 };

/*
 * The file offset is always that of the instruction itself. "Position-independent" bytes may be
 * executed at any address: no branch, call or trap and no rip-relative operand. No jump that the
 * decoder could see leads into the bytes that a patch covers, other than to their first.
 */
enum site_kind {
	/*
	 * A: a `mov $imm32,%eax` (len 5) or `mov $imm32,%rax` (len 7) ends where the `syscall`
	 * begins. Overwrite the first five bytes of the mov; leave the `syscall`.
	 */
	SITE_SYSCALL_A = 1,
	/*
	 * P: the len (5..SITE_RELOCATE_MAX) bytes before the `syscall` are whole instructions,
	 * position-independent. Overwrite the first five; leave the `syscall`. Executing any
	 * prefix of them twice gives the same state, so a signal may restart at the first.
	 */
	SITE_SYSCALL_P = 2,
	/*
	 * B: `jmp rel8` in place of the `syscall` reaches five or more bytes of padding that
	 * nothing else executes: len is rel8, a signed byte. No two sites share one padding.
	 */
	SITE_SYSCALL_B = 3,
	/*
	 * C: the instruction after the `syscall`, len bytes (3..SITE_RELOCATE_MAX), is
	 * position-independent and a `jmp rel32` may cover both.
	 */
	SITE_SYSCALL_C = 4,
	/* Leave it trapping: no class fits, or it is rt_sigreturn, whose bytes unwinders match. */
	SITE_SYSCALL_TRAP = 5,
	/* As P, but executing a prefix twice is not harmless: a signal inside must be put off. */
	SITE_SYSCALL_P_ONCE = 6,
	/*
	 * J: a direct jump follows the `syscall`, and the len (1..SITE_RELOCATE_MAX_J) bytes before
	 * it are whole instructions, position-independent and harmless to execute twice. A `jmp
	 * rel32` at the first of them covers the `syscall` too; the three live on in the stub.
	 */
	SITE_SYSCALL_J = 7,
	/*
	 * `cpuid` (2 bytes), `rdtsc` (2), `rdtscp` (3): len bytes after the instruction are whole,
	 * position-independent instructions which a `jmp rel32` may cover with it; 0: only an
	 * int3 and nops fit.
	 */
	SITE_CPUID = 16,
	SITE_RDTSC = 17,
	SITE_RDTSCP = 18,
	/*
	 * `cpuid` as P: the len (5..SITE_RELOCATE_MAX_CPUID) bytes before it. A jump to the
	 * instruction itself may exist, so it becomes an int3 and a nop.
	 */
	SITE_CPUID_P = 19,
};

enum { SITE_RELOCATE_MAX = 24, SITE_RELOCATE_MAX_J = 8, SITE_RELOCATE_MAX_CPUID = 15 };

/* Bytes of the instruction that a site of this kind names; 0 for an unknown kind. */
static inline unsigned site_insn_size(u8 kind)
{
	if ((kind >= SITE_SYSCALL_A && kind <= SITE_SYSCALL_J) || kind == SITE_CPUID ||
	    kind == SITE_RDTSC || kind == SITE_CPUID_P)
		return 2;
	return kind == SITE_RDTSCP ? 3 : 0;
}

/*
 * Whether a table entry can be true. The image that holds it is authenticated; the check keeps a
 * wrong builder from making the loader write outside a file's text.
 */
static inline bool site_is_possible(u64 offset, u8 kind, u8 len)
{
	switch (kind) {
	case SITE_SYSCALL_A: return (len == 5 || len == 7) && offset >= len;
	case SITE_SYSCALL_P:
	case SITE_SYSCALL_P_ONCE: return len >= 5 && len <= SITE_RELOCATE_MAX && offset >= len;
	case SITE_SYSCALL_B: return true;
	case SITE_SYSCALL_C: return len >= 3 && len <= SITE_RELOCATE_MAX;
	case SITE_SYSCALL_J: return len >= 1 && len <= SITE_RELOCATE_MAX_J && offset >= len;
	case SITE_SYSCALL_TRAP: return len == 0;
	case SITE_CPUID:
	case SITE_RDTSC: return len == 0 || (len >= 3 && len <= SITE_RELOCATE_MAX);
	case SITE_CPUID_P: return len >= 5 && len <= SITE_RELOCATE_MAX_CPUID && offset >= len;
	case SITE_RDTSCP: return len == 0 || (len >= 2 && len <= SITE_RELOCATE_MAX);
	default: return false;
	}
}
