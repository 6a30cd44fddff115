// SPDX-License-Identifier: Apache-2.0
/*
 * The first stack of a program, as the System V ABI and Linux lay it out:
 *
 *   top   0 (8 bytes)
 *         path of the program (AT_EXECFN)
 *         environment strings, argument strings below them
 *         "x86_64" (AT_PLATFORM), 16 random bytes (AT_RANDOM)
 *         (alignment)
 *         auxiliary vector, pairs, the last AT_NULL
 *         environment pointers, NULL
 *         argument pointers, NULL
 *   rsp   argument count                                    16-byte aligned
 *
 * Built in one piece of kernel memory and copied. AT_SYSINFO_EHDR is left out on purpose: without
 * a vDSO every libc makes system calls, and those are cheap here. AT_HWCAP2 does not offer
 * FSGSBASE, because the kernel's own thread block hangs on GS.
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/patch.h"
#include "kernel/core/kmem.h"
#include "kernel/core/random.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/load_priv.h"
#include "kernel/proc/process.h"
#include "lib/base/string.h"

enum auxv_type {
	AT_NULL = 0,
	AT_PHDR = 3,
	AT_PHENT = 4,
	AT_PHNUM = 5,
	AT_PAGESZ = 6,
	AT_BASE = 7,
	AT_FLAGS = 8,
	AT_ENTRY = 9,
	AT_UID = 11,
	AT_EUID = 12,
	AT_GID = 13,
	AT_EGID = 14,
	AT_PLATFORM = 15,
	AT_HWCAP = 16,
	AT_CLKTCK = 17,
	AT_SECURE = 23,
	AT_RANDOM = 25,
	AT_HWCAP2 = 26,
	AT_EXECFN = 31,
	AT_OCCLUM_ENTRY = 48, /* for binaries built for the existing Occlum: where to jump */
	AT_MINSIGSTKSZ = 51,
};

#define AUXV_MAX      24
#define PHDR_ENTRY    56
#define CLOCK_TICKS   100
#define STACK_JITTER  KIB(8) /* of the first stack pointer, at random */
#define FRAME_FIXED   1024   /* a signal frame without the extended state, rounded up */
#define STACK_MIN     KIB(128)
#define ARGS_FRACTION 4	       /* argument strings and pointers may take a quarter of the stack */
#define ARGS_ALWAYS   KIB(128) /* or so much, when that is half of it at most */

static const char platform[] = "x86_64";

struct builder {
	u8 *buf;
	size_t size; /* bytes of buf; they end at the stack's top */
	u64 top;     /* address behind the last byte */
	size_t at;   /* strings grow down from the end: the lowest used offset */
	u64 words[2 * AUXV_MAX];
	size_t word_count;
};

static u64 address_of(const struct builder *b, size_t offset)
{
	return b->top - b->size + offset;
}

static u64 push_bytes(struct builder *b, const void *bytes, size_t size)
{
	b->at -= size;
	memcpy(b->buf + b->at, bytes, size);
	return address_of(b, b->at);
}

static void aux(struct builder *b, enum auxv_type type, u64 value)
{
	b->words[b->word_count++] = type;
	b->words[b->word_count++] = value;
}

static int build_auxv(struct builder *b, struct process *p, const struct stack_request *r,
		      const struct exec_image *ids, u64 execfn)
{
	const struct loaded_image *image = r->image;
	u32 cpuid[4];
	u8 random[16];
	u64 platform_at, random_at;
	int err = random_bytes(random, sizeof(random));

	if (err)
		return err;
	random_at = push_bytes(b, random, sizeof(random));
	mem_wipe(random, sizeof(random));
	platform_at = push_bytes(b, platform, sizeof(platform));
	arch_cpuid(1, 0, cpuid);

	aux(b, AT_OCCLUM_ENTRY, arch_syscall_entry());
	aux(b, AT_HWCAP, cpuid[3]);
	aux(b, AT_PAGESZ, PAGE_SIZE);
	aux(b, AT_CLKTCK, CLOCK_TICKS);
	aux(b, AT_PHDR, image->exe_phdr);
	aux(b, AT_PHENT, PHDR_ENTRY);
	aux(b, AT_PHNUM, image->exe_phnum);
	aux(b, AT_BASE, image->interp_base);
	aux(b, AT_FLAGS, 0);
	aux(b, AT_ENTRY, image->exe_entry);
	aux(b, AT_UID, p->cred.uid);
	aux(b, AT_EUID, ids->euid);
	aux(b, AT_GID, p->cred.gid);
	aux(b, AT_EGID, ids->egid);
	aux(b, AT_SECURE, ids->is_secure);
	aux(b, AT_RANDOM, random_at);
	aux(b, AT_HWCAP2, 0);
	aux(b, AT_EXECFN, execfn);
	aux(b, AT_PLATFORM, platform_at);
	aux(b, AT_MINSIGSTKSZ, ALIGN_UP(arch_xstate_size() + FRAME_FIXED, 64));
	aux(b, AT_NULL, 0);
	return 0;
}

/* `count` pointers to the strings from `string` on, and a NULL. Returns behind the last string. */
static u64 put_pointers(u64 **words, const struct builder *b, u64 string, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *s = (const char *)b->buf + (string - address_of(b, 0));

		*(*words)++ = string;
		string += strlen(s) + 1;
	}
	*(*words)++ = 0;
	return string;
}

static int build(struct builder *b, struct process *p, const struct stack_request *r,
		 struct exec_image *ret)
{
	const struct exec_args *a = r->args;
	size_t word_count;
	u64 execfn, strings, *words;
	int err;

	b->at = b->size - 8;
	execfn = push_bytes(b, r->execfn, strlen(r->execfn) + 1);
	strings = push_bytes(b, a->strings, a->size);
	err = build_auxv(b, p, r, ret, execfn);
	if (err)
		return err;
	word_count = 1 + a->argc + 1 + a->envc + 1 + b->word_count;
	b->at = ALIGN_DOWN(b->at, 16) - ALIGN_UP(word_count, 2) * 8;
	words = (u64 *)(b->buf + b->at);
	*words++ = a->argc;
	ret->arg_start = strings;
	ret->arg_end = put_pointers(&words, b, strings, a->argc);
	ret->env_start = ret->arg_end;
	ret->env_end = put_pointers(&words, b, ret->env_start, a->envc);
	memcpy(words, b->words, b->word_count * 8);
	ret->regs.rsp = address_of(b, b->at);
	ret->stack_start = ret->regs.rsp;
	return 0;
}

static u64 jitter(void)
{
	u64 r = 0;

	if (random_bytes(&r, sizeof(r)))
		return 0;
	return r % STACK_JITTER & ~15ull;
}

int stack_build(struct process *p, struct mm *mm, const struct stack_request *r,
		struct exec_image *ret)
{
	const struct exec_args *a = r->args;
	u64 size = ALIGN_UP(MAX(r->size, STACK_MIN), PAGE_SIZE);
	u32 prot = PROT_READ | PROT_WRITE | (r->image->exec_stack ? PROT_EXEC : 0);
	struct builder b = {0};
	long top;
	int err;

	b.size = 8 + strlen(r->execfn) + 1 + a->size + sizeof(platform) + 16 + 32 +
		 (a->argc + a->envc + 4) * 8 + sizeof(b.words);
	b.size = ALIGN_UP(b.size, 16);
	if (b.size > MAX(size / ARGS_FRACTION, MIN((u64)ARGS_ALWAYS, size / 2)))
		return -E2BIG;
	top = mm_map_stack(mm, size, prot);
	if (top < 0)
		return (int)top;
	b.top = (u64)top - jitter();
	b.buf = kzalloc(b.size);
	if (!b.buf)
		return -ENOMEM;
	err = build(&b, p, r, ret);
	if (!err)
		err = mm_write_foreign(mm, address_of(&b, 0), b.buf, b.size);
	kfree(b.buf);
	return err == -EFAULT ? -ENOMEM : err;
}
