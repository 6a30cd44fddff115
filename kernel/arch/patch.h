/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting of `syscall` and `cpuid` sites into jumps to stubs, so that system calls do not trap.
 * The loader (kernel/mm, kernel/proc) applies an image's SITES table before the text becomes
 * executable; the trap path patches sites it meets later. Stubs lie in their own mapping within
 * 2 GiB of the text (an ordinary VMA next to the image, r-x once written).
 */
#pragma once

#include "lib/base/types.h"

/*
 * How a site can be patched; the values are those of the SITES table of an image.
 *
 *   A  `mov $imm32,%eax; syscall` (head 5) or `mov $imm32,%rax` sign-extended (head 7): a jump
 *      over the mov, the syscall stays in place
 *   P  `head` >= 5 bytes of position-independent instructions before the syscall move into the
 *      stub; the syscall stays in place
 *   B  2-byte jump over the instruction to padding at address + pad (>= 5 bytes, -126..+127)
 *      that holds the long jump; also for cpuid
 *   C  `tail` bytes of position-independent instructions after it move into the stub; the stub
 *      is placed so that the second byte of the displacement is int3
 *   J  `head` bytes of position-independent instructions, the syscall and the direct jump after it
 *      all move into the stub; nothing else leads to the syscall or the jump
 *   CPUID_INT3  0f a2 -> cc 90: cheap trap
 *   CPUID_P  as P, and cc 90 at the site for whoever jumps there
 *   CPUID_C  as C, for cpuid; nothing is ever about to return behind it, so any stub will do
 *   TRAP  known, but cannot be patched
 *
 * sigreturn (rt_sigreturn) sites are never in the table.
 */
enum patch_class {
	PATCH_TRAP = 0,
	PATCH_A = 1,
	PATCH_P = 2,
	PATCH_B = 3,
	PATCH_C = 4,
	PATCH_CPUID_INT3 = 5,
	PATCH_J = 7,
	PATCH_CPUID_P = 6,
	PATCH_CPUID_C = 8,
};

struct patch_site {
	u64 address; /* of the instruction itself (0f 05 or 0f a2) in memory */
	u8 class;    /* enum patch_class */
	u8 head; /* A, P: bytes before it that are overwritten and run in the stub; 5..15, J: 1..8 */
	u8 tail; /* C: bytes after it; 3..15 */
	s8 pad;	 /* B: distance of the padding from `address` */
};

/*
 * Stub memory that `count` sites need at most, a multiple of the page size; all classes of a
 * table together. The area must lie within 1 GiB of all sites.
 */
size_t patch_area_size(const struct patch_site *sites, size_t count);

/*
 * Patches the sites in text that is still writable and not yet executable: [text, text + size),
 * stubs in [area, area + area_size), both writable memory of the caller. Each site's bytes are
 * checked first; a site whose bytes do not fit its class is left as it is (it traps). Returns
 * the number of sites patched. Remembers the stubs, so that a program counter inside one can be
 * normalised, until patch_forget().
 */
size_t patch_apply(const struct patch_site *sites, size_t count, u64 text, size_t size, u64 area,
		   size_t area_size);

/* The mapping [start, start + size) of text or stubs goes away (munmap, exec, reuse). */
void patch_forget(u64 start, u64 size);

/*
 * The program counter that the program should see for `rip`: itself, or the site to which the
 * stub at `rip` belongs (running it again from there has the same effect).
 */
u64 patch_normalise(u64 rip);

/* Address that a stub jumps to: kernel system call entry, rcx = return address, rax = number. */
u64 arch_syscall_entry(void);
u64 arch_cpuid_entry(void);
