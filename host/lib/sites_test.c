/* SPDX-License-Identifier: Apache-2.0 */
/* Call-site finder: the C libraries of this machine against their known counts, and small code. */
#define _GNU_SOURCE
#include "tests/unit.h"

#include "host/lib/sites.h"
#include "lib/base/string.h"
#include "lib/elf/elf.h"

#include <stdio.h>
#include <stdlib.h>

static u8 *file_load(const char *path, u64 *size)
{
	FILE *f = fopen(path, "rb");
	u8 *bytes;

	if (!f)
		return NULL;
	fseek(f, 0, SEEK_END);
	*size = ftell(f);
	rewind(f);
	bytes = malloc(*size);
	assert_int_equal(fread(bytes, 1, *size, f), *size);
	fclose(f);
	return bytes;
}

/* Every listed site is what it says, byte for byte; counts[] is filled by kind. */
static u32 table_check(const u8 *bytes, u64 size, u32 counts[32])
{
	struct sites_table t, again;
	u64 last = 0;
	u32 total;

	memset(counts, 0, 32 * sizeof(*counts));
	assert_int_equal(sites_scan(bytes, size, &t), 0);
	for (u32 i = 0; i < t.count; i++) {
		const struct secvol_site *s = &t.sites[i];
		const u8 *at = bytes + s->offset;

		assert_true(site_is_possible(s->offset, s->kind, s->len));
		assert_true(i == 0 || s->offset > last);
		assert_true(s->offset + site_insn_size(s->kind) <= size);
		last = s->offset;
		counts[s->kind]++;
		if (s->kind < SITE_CPUID)
			assert_memory_equal(at, "\x0f\x05", 2);
		else if (s->kind == SITE_CPUID || s->kind == SITE_CPUID_P)
			assert_memory_equal(at, "\x0f\xa2", 2);
		else if (s->kind == SITE_RDTSC)
			assert_memory_equal(at, "\x0f\x31", 2);
		else
			assert_memory_equal(at, "\x0f\x01\xf9", 3);
		if (s->kind == SITE_SYSCALL_A && s->len == 5)
			assert_int_equal(at[-5], 0xb8);
		/* Padding before a function is not executed: a patch there would never be met. */
		if (s->kind == SITE_SYSCALL_P || s->kind == SITE_SYSCALL_P_ONCE)
			assert_memory_not_equal(at - s->len, "\x66\x2e\x0f\x1f\x84", 5);
		if (s->kind == SITE_SYSCALL_A && s->len == 7)
			assert_memory_equal(at - 7, "\x48\xc7\xc0", 3);
	}
	total = t.count;
	assert_int_equal(sites_scan(bytes, size, &again), 0);
	assert_int_equal(again.count, t.count);
	if (t.count)
		assert_memory_equal(again.sites, t.sites, t.count * sizeof(*t.sites));
	sites_table_fini(&again);
	sites_table_fini(&t);
	return total;
}

static void libc_has_hundreds(void **state)
{
	u32 n[32];
	u64 size;
	u8 *b = file_load("/lib/x86_64-linux-gnu/libc.so.6", &size);

	if (!b)
		skip();
	assert_in_range(table_check(b, size, n), 450, 650);
	assert_in_range(n[SITE_SYSCALL_A], 380, 560);
	assert_in_range(n[SITE_SYSCALL_P] + n[SITE_SYSCALL_P_ONCE], 50, 120);
	assert_in_range(n[SITE_SYSCALL_TRAP], 0, 8);
	free(b);
}

static void loader_asks_for_cpuid(void **state)
{
	u32 n[32];
	u64 size;
	u8 *b = file_load("/lib64/ld-linux-x86-64.so.2", &size);

	if (!b)
		skip();
	(void)table_check(b, size, n);
	assert_in_range(n[SITE_SYSCALL_A], 25, 50);
	assert_in_range(n[SITE_CPUID] + n[SITE_CPUID_P], 20, 60);
	assert_in_range(n[SITE_CPUID_P], 15, 45);
	free(b);
}

static void musl_has_hundreds(void **state)
{
	u32 n[32];
	u64 size;
	u8 *b = file_load("/lib/ld-musl-x86_64.so.1", &size);

	if (!b)
		skip();
	assert_in_range(table_check(b, size, n), 400, 600);
	assert_in_range(n[SITE_SYSCALL_A], 200, 300);
	assert_in_range(n[SITE_SYSCALL_P] + n[SITE_SYSCALL_P_ONCE], 180, 300);
	assert_in_range(n[SITE_SYSCALL_TRAP], 0, 15);
	free(b);
}

static void look_alikes_are_not_listed(void **state)
{
	u32 n[32];
	u64 size;
	u8 *b = file_load("/usr/bin/python3.11", &size);

	if (!b)
		skip();
	assert_int_equal(table_check(b, size, n), 0);
	free(b);
}

/* A file whose only segment is `code`, from file offset 128 on, without sections. */
static u32 code_scan(const void *code, u64 code_size, struct sites_table *t)
{
	u8 file[512] = {0};
	struct elf_disk_header h = {
		.magic = {0x7f, 'E', 'L', 'F'},
		.class = ELF_CLASS_64,
		.data = ELF_DATA_LSB,
		.ident_version = 1,
		.type = le16_put(ELF_TYPE_EXEC),
		.machine = le16_put(ELF_MACHINE_X86_64),
		.version = le32_put(1),
		.entry = le64_put(0x400080),
		.phoff = le64_put(64),
		.phentsize = le16_put(56),
		.phnum = le16_put(1),
	};
	struct elf_disk_phdr p = {
		.type = le32_put(ELF_PT_LOAD),
		.flags = le32_put(ELF_PF_R | ELF_PF_X),
		.offset = le64_put(128),
		.vaddr = le64_put(0x400080),
		.filesz = le64_put(code_size),
		.memsz = le64_put(code_size),
		.align = le64_put(4096),
	};

	memcpy(file, &h, sizeof(h));
	memcpy(file + 64, &p, sizeof(p));
	memcpy(file + 128, code, code_size);
	assert_int_equal(sites_scan(file, 128 + code_size, t), 0);
	return t->count;
}

#define CODE(...) (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__})

static void expect_one(u64 at, u8 kind, u8 len, const void *code, u64 size)
{
	struct sites_table t;

	assert_int_equal(code_scan(code, size, &t), 1);
	assert_int_equal(t.sites[0].offset, 128 + at);
	assert_int_equal(t.sites[0].kind, kind);
	assert_int_equal(t.sites[0].len, len);
	sites_table_fini(&t);
}

static void each_class_is_recognised(void **state)
{
	/* mov $1,%eax; syscall; ret */
	expect_one(5, SITE_SYSCALL_A, 5, CODE(0xb8, 1, 0, 0, 0, 0x0f, 5, 0xc3));
	/* mov $1,%rax; syscall; ret */
	expect_one(7, SITE_SYSCALL_A, 7, CODE(0x48, 0xc7, 0xc0, 1, 0, 0, 0, 0x0f, 5, 0xc3));
	/* mov $15,%rax; syscall: rt_sigreturn */
	expect_one(7, SITE_SYSCALL_TRAP, 0, CODE(0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 5));
	/* mov %rsi,%rdi; mov %rdx,%rsi; syscall: the second overwrites what the first has read */
	expect_one(6, SITE_SYSCALL_P_ONCE, 6, CODE(0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x0f, 5));
	/* mov %rcx,%r10; mov %rbx,%rdi; syscall */
	expect_one(6, SITE_SYSCALL_P, 6, CODE(0x49, 0x89, 0xca, 0x48, 0x89, 0xdf, 0x0f, 5));
	/* mov %r11,8(%rsp); syscall: __syscall_cp_asm */
	expect_one(5, SITE_SYSCALL_P, 5, CODE(0x4c, 0x89, 0x5c, 0x24, 8, 0x0f, 5, 0xc3));
	/* add $1,%rdi; xor %eax,%eax; syscall */
	expect_one(6, SITE_SYSCALL_P_ONCE, 6, CODE(0x48, 0x83, 0xc7, 1, 0x31, 0xc0, 0x0f, 5));
	/* lea 1(%rip),%rdi; syscall; ret; 8 bytes of nops */
	expect_one(7, SITE_SYSCALL_B, 1,
		   CODE(0x48, 0x8d, 0x3d, 1, 0, 0, 0, 0x0f, 5, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90,
			0x90, 0x90, 0x90));
	/* lea 1(%rip),%rdi; syscall; cmp $-4095,%rax; ret */
	expect_one(
		7, SITE_SYSCALL_C, 6,
		CODE(0x48, 0x8d, 0x3d, 1, 0, 0, 0, 0x0f, 5, 0x48, 0x3d, 1, 0xf0, 0xff, 0xff, 0xc3));
	/* the end of a thread: 1: xor %edi,%edi; mov %edx,%eax; syscall; jmp 1b */
	expect_one(4, SITE_SYSCALL_J, 2, CODE(0x31, 0xff, 0x89, 0xd0, 0x0f, 5, 0xeb, 0xf8));
	/* lea 1(%rip),%rdi; syscall; ret */
	expect_one(7, SITE_SYSCALL_TRAP, 0, CODE(0x48, 0x8d, 0x3d, 1, 0, 0, 0, 0x0f, 5, 0xc3));
	/* cpuid alone; rdtscp alone */
	expect_one(0, SITE_CPUID, 0, CODE(0x0f, 0xa2, 0xc3));
	expect_one(0, SITE_RDTSCP, 0, CODE(0x0f, 1, 0xf9, 0xc3));
}

/* `code`, which begins with a mov of five bytes and a cpuid, in a file that makes system calls. */
static void expect_cpuid(u8 kind, u8 len, const void *code, u64 size)
{
	static const u8 more[] = {0xc3, 0xb8, 1, 0, 0, 0, 0x0f, 5, 0xc3};
	struct sites_table t;
	u8 all[64];

	memcpy(all, code, size);
	memcpy(all + size, more, sizeof(more));
	assert_int_equal(code_scan(all, size + sizeof(more), &t), 2);
	assert_int_equal(t.sites[0].offset, 128 + 5);
	assert_int_equal(t.sites[0].kind, kind);
	assert_int_equal(t.sites[0].len, len);
	sites_table_fini(&t);
}

static void cpuid_goes_with_what_can_move(void **state)
{
	/* mov $4,%eax; cpuid; mov %eax,%edx; and $31,%edx: what comes after it */
	expect_cpuid(SITE_CPUID, 5, CODE(0xb8, 4, 0, 0, 0, 0x0f, 0xa2, 0x89, 0xc2, 0x83, 0xe2, 31));
	/* mov $1,%eax; cpuid; mov %eax,0(%rip): only what comes before it */
	expect_cpuid(SITE_CPUID_P, 5, CODE(0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0x89, 5, 0, 0, 0, 0));
	/* the same with a jump to the cpuid, which stays a place of its own */
	expect_cpuid(SITE_CPUID_P, 5,
		     CODE(0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0x89, 5, 0, 0, 0, 0, 0xeb, 0xf6));
	/* a jump to what comes after it, and what comes before is relative to its place */
	expect_cpuid(SITE_CPUID, 0,
		     CODE(0xe8, 0, 0, 0, 0, 0x0f, 0xa2, 0x89, 0xc2, 0x83, 0xe2, 31, 0xeb, 0xf9));
}

static void jumps_into_a_patch_forbid_it(void **state)
{
	/* mov %rsi,%rdi; mov %rcx,%r10; syscall; jmp to the second mov: only behind that */
	expect_one(6, SITE_SYSCALL_J, 3,
		   CODE(0x48, 0x89, 0xf7, 0x49, 0x89, 0xca, 0x0f, 5, 0xeb, 0xf9));
	/* the same, but the jump leads to the first */
	expect_one(6, SITE_SYSCALL_P, 6,
		   CODE(0x48, 0x89, 0xf7, 0x49, 0x89, 0xca, 0x0f, 5, 0xeb, 0xf6));
	/* or to the syscall itself, which stays */
	expect_one(6, SITE_SYSCALL_P, 6,
		   CODE(0x48, 0x89, 0xf7, 0x49, 0x89, 0xca, 0x0f, 5, 0xeb, 0xfc));
	/* an indirect jump may lead anywhere */
	expect_one(6, SITE_SYSCALL_TRAP, 0,
		   CODE(0x48, 0x89, 0xf7, 0x49, 0x89, 0xca, 0x0f, 5, 0xff, 0xe0));
	/* except into the middle of one long instruction */
	expect_one(5, SITE_SYSCALL_A, 5, CODE(0xb8, 1, 0, 0, 0, 0x0f, 5, 0xff, 0xe0));
}

static void hidden_bytes_are_no_site(void **state)
{
	struct sites_table t;

	/* mov $0x050f,%eax; ret */
	assert_int_equal(code_scan(CODE(0xb8, 0x0f, 5, 0, 0, 0xc3), &t), 0);
	sites_table_fini(&t);
	/* the very first byte does not decode */
	assert_int_equal(code_scan(CODE(0x06, 0xb8, 1, 0, 0, 0, 0x0f, 5), &t), 0);
	sites_table_fini(&t);
	/* behind a byte that does not decode nothing is certain any more */
	assert_int_equal(code_scan(CODE(0xc3, 0x06, 0xb8, 1, 0, 0, 0, 0x0f, 5), &t), 0);
	sites_table_fini(&t);
}

static void damaged_files_never_hurt(void **state)
{
	u64 size;
	u8 *b = file_load("/usr/lib/x86_64-linux-musl/Scrt1.o", &size);
	u8 *ld = file_load("/lib64/ld-linux-x86-64.so.2", &size);
	u32 seed = 1;

	free(b);
	if (!ld)
		skip();
	for (int round = 0; round < 40; round++) {
		struct sites_table t;
		u64 at[16];
		u8 old[16];

		for (int i = 0; i < 16; i++) {
			seed = seed * 1664525 + 1013904223;
			/* headers half of the time, section headers and anything else */
			at[i] = i % 2 ? (seed >> 8) % 4096 : size - 1 - (seed >> 8) % 4096;
			old[i] = ld[at[i]];
			ld[at[i]] ^= 1 << (seed % 8);
		}
		assert_int_equal(sites_scan(ld, size, &t), 0);
		sites_table_fini(&t);
		for (int i = 15; i >= 0; i--)
			ld[at[i]] = old[i];
	}
	for (u64 cut = 1; cut < size; cut = cut * 2 + 1) {
		u8 *part = malloc(cut);
		struct sites_table t;

		memcpy(part, ld, cut);
		assert_int_equal(sites_scan(part, cut, &t), 0);
		sites_table_fini(&t);
		free(part);
	}
	free(ld);
}

/*
 * glibc's __restore_rt: its unwind entry begins a byte early, in the middle of padding, and
 * decoding from there had made a patch of the trampoline's second half.
 */
static void signal_trampolines_stay_as_they_are(void **state)
{
	static const u8 trampoline[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
	u64 size;
	u8 *libc = file_load("/lib/x86_64-linux-gnu/libc.so.6", &size);
	struct sites_table t;
	u32 seen = 0;
	u8 *at;

	if (!libc)
		skip();
	assert_int_equal(sites_scan(libc, size, &t), 0);
	at = memmem(libc, size, trampoline, sizeof(trampoline));
	assert_non_null(at);
	for (u32 i = 0; i < t.count; i++) {
		if (t.sites[i].offset != (u64)(at - libc) + 7)
			continue;
		assert_int_equal(t.sites[i].kind, SITE_SYSCALL_TRAP);
		assert_int_equal(t.sites[i].len, 0);
		seen++;
	}
	assert_true(seen <= 1); /* not listed: it traps too */
	sites_table_fini(&t);
	free(libc);
}

UNIT_TESTS(signal_trampolines_stay_as_they_are, libc_has_hundreds, loader_asks_for_cpuid,
	   musl_has_hundreds, look_alikes_are_not_listed, each_class_is_recognised,
	   cpuid_goes_with_what_can_move, jumps_into_a_patch_forbid_it, hidden_bytes_are_no_site,
	   damaged_files_never_hurt)
