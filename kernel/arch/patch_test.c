/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patches real code and runs it. The kernel's entries are stand-ins that return the number plus
 * 1000 (system call) or the leaf plus one (cpuid), so every class can be executed to the end.
 */
#include "tests/unit.h"

#include <string.h>
#include <sys/mman.h>

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"
#include "kernel/arch/patch.h"
#include "kernel/arch/patch_priv.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "tests/fakes/fakes.h"

__asm__(".text\n"
	".globl syscall_entry\nsyscall_entry:\n"
	"	leaq 1000(%rax), %rax\n"
	"	jmp *%rcx\n"
	".globl cpuid_entry\ncpuid_entry:\n"
	"	leaq 1(%rax), %rax\n"
	"	jmp *%rbx\n");

#define TEXT_SIZE 0x4000ul
#define AREA_SIZE 0x14000ul

static u8 *text, *area, *lazy;
static bool is_text = true;

bool mm_is_text(struct mm *mm, u64 address, u64 size)
{
	return is_text;
}

int mm_patch_text(struct mm *mm, u64 address, const void *old, const void *bytes, size_t size)
{
	if (!is_text || (old && memcmp((const void *)address, old, size) != 0))
		return -EFAULT;
	return host_mem_patch(address, bytes, size);
}

int mm_stub_area(struct mm *mm, u64 near_start, u64 near_end, u64 size, u64 *ret_address)
{
	*ret_address = (u64)lazy;
	return 0;
}

int copy_from_user(void *to, const void __user *from, size_t size)
{
	memcpy(to, from, size);
	return 0;
}

void arch_cpuid_emulate(struct user_regs *regs)
{
	regs->rax += 1;
}

static s64 patching_host(u64 number, u64 *args, u8 *data, void *context)
{
	assert_int_equal(number, HOSTCALL_MEM_PATCH);
	memcpy((void *)args[0], data + args[1], args[2]);
	return 0;
}

static int setup(void **state)
{
	u8 *all = mmap(NULL, TEXT_SIZE + AREA_SIZE + PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(all, MAP_FAILED);
	text = all;
	area = all + TEXT_SIZE;
	lazy = area + AREA_SIZE;
	memset(text, 0x90, TEXT_SIZE);
	return 0;
}

static u64 run(const u8 *code)
{
	u64 ret;

	__asm__ volatile("call *%1"
			 : "=a"(ret)
			 : "r"(code)
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory",
			   "cc");
	return ret;
}

static u8 *place(size_t offset, const char *bytes, size_t size)
{
	return memcpy(text + offset, bytes, size);
}

static size_t apply(const struct patch_site *s)
{
	size_t size = patch_area_size(s, 1);

	assert_true(size <= AREA_SIZE);
	memset(area, 0, AREA_SIZE);
	return patch_apply(s, 1, (u64)text, TEXT_SIZE, (u64)area, size);
}

static void test_class_a(void **state)
{
	u8 *code;
	struct patch_site s = {.class = PATCH_A, .head = 5};

	setup(state);
	code = place(0x103, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8); /* mov $39,%eax; syscall; ret */
	s.address = (u64)code + 5;
	assert_int_equal(apply(&s), 1);
	assert_int_equal(run(code), 1039);
	assert_memory_equal(code + 5, "\x0f\x05", 2); /* a jump to it still traps */
	/* A program counter anywhere in the stub is shown as the site. */
	assert_int_equal(patch_normalise((u64)area + 16 + 0), s.address - 5);
	assert_int_equal(patch_normalise((u64)area + 16 + 5), s.address);
	assert_int_equal(patch_normalise((u64)area + 16 + 12), s.address);
	assert_int_equal(patch_normalise((u64)text + 7), (u64)text + 7);

	code = place(0x200, "\x48\xc7\xc0\x01\x00\x00\x00\x0f\x05\xc3", 10);
	s = (struct patch_site){.class = PATCH_A, .head = 7, .address = (u64)code + 7};
	assert_int_equal(apply(&s), 1);
	assert_int_equal(run(code), 1001);
	patch_forget((u64)text, TEXT_SIZE);
	assert_int_equal(patch_normalise((u64)area + 16 + 12), (u64)area + 28);
}

static void test_class_p(void **state)
{
	u8 *code;
	struct patch_site s = {.class = PATCH_P, .head = 9};

	setup(state);
	code = place(0x100, "\x41\xba\x05\x00\x00\x00\x6a\x09\x58\x0f\x05\xc3", 12);
	/* mov $5,%r10d; push $9; pop %rax; syscall; ret */
	s.address = (u64)code + 9;
	assert_int_equal(apply(&s), 1);
	assert_int_equal(run(code), 1009);
	patch_forget((u64)area, AREA_SIZE);
}

static void test_class_b(void **state)
{
	u8 *code;
	struct patch_site s = {.class = PATCH_B, .pad = 20};

	setup(state);
	code = place(0x100, "\x31\xc0\x0f\x05\xc3", 5); /* xor %eax,%eax; syscall; ret */
	s.address = (u64)code + 2;
	assert_int_equal(apply(&s), 1);
	assert_int_equal(code[2], 0xeb);
	assert_int_equal(patch_normalise((u64)area + 16 + 3), s.address);
	assert_int_equal(run(code), 1000);

	/* The padding may lie before, and cpuid uses the same. */
	code = place(0x400, "\xb8\x04\x00\x00\x00\x0f\xa2\xc3", 8);
	s = (struct patch_site){.class = PATCH_B, .pad = -40, .address = (u64)code + 5};
	assert_int_equal(apply(&s), 1);
	assert_int_equal(run(code), 5);
	patch_forget((u64)text, TEXT_SIZE);
}

static void test_class_c_and_its_int3(void **state)
{
	u8 *code;
	struct patch_site s = {.class = PATCH_C, .tail = 6};
	struct user_regs regs = {0};

	setup(state);
	/* xor %eax,%eax; syscall; cmp $-4095,%rax (6); ret */
	code = place(0x100, "\x31\xc0\x0f\x05\x48\x3d\x01\xf0\xff\xff\xc3", 11);
	s.address = (u64)code + 2;
	assert_int_equal(apply(&s), 1);
	assert_int_equal(code[2], 0xe9);
	assert_int_equal(code[4], 0xcc);
	assert_int_equal(run(code), 1000);
	/* A branch to the instruction after the system call meets the int3 and is sent on. */
	regs.rip = s.address + 3;
	assert_true(patch_breakpoint(&regs));
	assert_int_equal(patch_normalise(regs.rip), s.address + 2);
	assert_memory_equal((u8 *)regs.rip, "\x48\x3d\x01\xf0\xff\xff\xe9", 7);
	patch_forget((u64)text, TEXT_SIZE);
	assert_false(patch_breakpoint(&regs));
}

/* Runs from `at` with rax. */
static u64 run_with(u64 at, u64 rax)
{
	__asm__ volatile("call *%1"
			 : "+a"(rax)
			 : "b"(at)
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	return rax;
}

static void test_class_j(void **state)
{
	struct patch_site s = {.class = PATCH_J, .head = 2};
	u64 stub;
	u8 *code;

	setup(state);
	/* xor %eax,%eax; syscall; jmp .+4; int3 x 4; ret */
	code = place(0x100, "\x31\xc0\x0f\x05\xeb\x04\xcc\xcc\xcc\xcc\xc3", 11);
	s.address = (u64)code + 2;
	stub = (u64)area + 16;
	assert_int_equal(apply(&s), 1);
	assert_int_equal(code[0], 0xe9);
	assert_int_equal(run(code), 1000);
	/* A signal sees the site before it has begun, afterwards the stub. */
	assert_int_equal(patch_normalise(stub), code);
	assert_int_equal(patch_normalise(stub + 2), stub + 2);
	assert_int_equal(patch_normalise(stub + 17), stub + 17);
	/* The call is made again two bytes before where it returns to. */
	assert_int_equal(run_with(stub + 17 - 2, 5), 1005);
	patch_forget((u64)text, TEXT_SIZE);
	/* Not before a conditional jump, nor where five bytes do not fit. */
	code = place(0x200, "\x31\xc0\x0f\x05\x74\x04\xcc\xcc\xcc\xcc\xc3", 11);
	s.address = (u64)code + 2;
	assert_int_equal(apply(&s), 0);
	patch_forget((u64)text, TEXT_SIZE);
}

static void test_cpuid_int3(void **state)
{
	u8 *code;
	struct patch_site s = {.class = PATCH_CPUID_INT3};
	struct user_regs regs = {.rax = 7};

	setup(state);
	code = place(0x100, "\x0f\xa2\xc3", 3);
	s.address = (u64)code;
	assert_int_equal(patch_area_size(&s, 1), 0);
	assert_int_equal(apply(&s), 1);
	assert_memory_equal(code, "\xcc\x90", 2);
	regs.rip = (u64)code + 1;
	assert_true(patch_breakpoint(&regs));
	assert_int_equal(regs.rax, 8);
	assert_int_equal(regs.rip, (u64)code + 2);
	regs.rip = (u64)code + 9; /* the program's own int3 */
	code[8] = 0xcc;
	assert_false(patch_breakpoint(&regs));
	patch_forget((u64)text, TEXT_SIZE);
}

/* Runs in a stub; a jump to the instruction itself still finds an int3. */
static void test_cpuid_behind_what_moves(void **state)
{
	struct patch_site s = {.class = PATCH_CPUID_P, .head = 5};
	struct user_regs regs = {.rax = 7};
	u8 *code;

	setup(state);
	code = place(0x100, "\xb8\x04\x00\x00\x00\x0f\xa2\xc3", 8); /* mov $4,%eax; cpuid; ret */
	s.address = (u64)code + 5;
	assert_int_equal(apply(&s), 1);
	assert_int_equal(run(code), 5);
	assert_memory_equal(code + 5, "\xcc\x90\xc3", 3);
	regs.rip = s.address + 1;
	assert_true(patch_breakpoint(&regs));
	assert_int_equal(regs.rax, 8);
	assert_int_equal(regs.rip, s.address + 2);
	assert_int_equal(patch_normalise((u64)area + 16), code);
	assert_int_equal(patch_normalise((u64)area + 16 + 5), s.address);
	patch_forget((u64)text, TEXT_SIZE);
}

static void test_cpuid_before_what_moves(void **state)
{
	struct patch_site s = {.class = PATCH_CPUID_C, .tail = 3};
	u64 stub;
	u8 *code;

	setup(state);
	stub = (u64)area + 16;
	/* xor %eax,%eax; cpuid; add $2,%eax; ret */
	code = place(0x100, "\x31\xc0\x0f\xa2\x83\xc0\x02\xc3", 8);
	s.address = (u64)code + 2;
	assert_int_equal(apply(&s), 1);
	assert_int_equal(code[2], 0xe9);
	assert_int_equal(run(code), 3);
	/* Until it has been answered a signal sees the site, afterwards the stub. */
	assert_int_equal(patch_normalise(stub + 7), s.address);
	assert_int_equal(patch_normalise(stub + 13), stub + 13);
	assert_int_equal(patch_normalise(stub + 16), stub + 16);
	patch_forget((u64)text, TEXT_SIZE);
}

/* The answers of the real CPU are never seen, also where memory for stubs is short. */
static void test_cpuid_without_stubs_traps(void **state)
{
	struct patch_site s[] = {{.class = PATCH_CPUID_P, .head = 5},
				 {.class = PATCH_CPUID_C, .tail = 3}};
	u8 *code;

	setup(state);
	code = place(0x100, "\xb8\x04\x00\x00\x00\x0f\xa2\x0f\xa2\x83\xc0\x02\xc3", 13);
	s[0].address = (u64)code + 5;
	s[1].address = (u64)code + 7;
	assert_int_equal(patch_apply(s, 2, (u64)text, TEXT_SIZE, 0, 0), 2);
	assert_memory_equal(code, "\xb8\x04\x00\x00\x00\xcc\x90\xcc\x90\x83", 10);
	patch_forget((u64)text, TEXT_SIZE);
}

static void test_wrong_sites_stay(void **state)
{
	static const struct patch_site bad[] = {
		{.address = 0, .class = PATCH_A, .head = 5},
		{.address = UINT64_MAX, .class = PATCH_A, .head = 5},
		{.address = 3, .class = PATCH_A, .head = 5},
		{.address = TEXT_SIZE - 1, .class = PATCH_CPUID_INT3},
		{.address = 0x105, .class = PATCH_A, .head = 6},
		{.address = 0x105, .class = PATCH_P, .head = 4},
		{.address = 0x105, .class = PATCH_C, .tail = 2},
		{.address = 0x105, .class = PATCH_CPUID_INT3},
		{.address = 0x105, .class = PATCH_CPUID_P, .head = 5},
		{.address = 0x105, .class = PATCH_CPUID_C, .tail = 3},
		{.address = 0x505, .class = PATCH_CPUID_P, .head = 4},
		{.address = 0x505, .class = PATCH_CPUID_C, .tail = 2},
		{.address = 0x505, .class = PATCH_CPUID_C, .tail = 16},
		{.address = 0x505, .class = PATCH_C, .tail = 3},
		{.address = 0x105, .class = PATCH_B, .pad = -2},
		{.address = 0x105, .class = 77},
		{.address = 0x205, .class = PATCH_A, .head = 5}, /* no syscall there */
		{.address = 0x305, .class = PATCH_A, .head = 5}, /* rt_sigreturn */
		{.address = 0x407,
		 .class = PATCH_P,
		 .head = 5}, /* the same, decoded one byte off */
	};
	u8 before[TEXT_SIZE];

	setup(state);
	place(0x100, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);
	place(0x300, "\xb8\x0f\x00\x00\x00\x0f\x05\xc3", 8);
	place(0x500, "\xb8\x04\x00\x00\x00\x0f\xa2\xc3", 8);
	place(0x400, "\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", 9);
	memcpy(before, text, TEXT_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct patch_site s = bad[i];

		s.address += (u64)text;
		assert_int_equal(apply(&s), 0);
		assert_memory_equal(before, text, TEXT_SIZE);
		patch_forget((u64)text, TEXT_SIZE);
	}
}

/* Positions at the very ends of the text: what a class covers must lie inside. */
static void test_sites_at_the_edges_stay_inside(void **state)
{
	static const struct patch_site sites[] = {
		{.class = PATCH_A, .head = 5},	     {.class = PATCH_A, .head = 7},
		{.class = PATCH_P, .head = 5},	     {.class = PATCH_P, .head = 15},
		{.class = PATCH_B, .pad = 2},	     {.class = PATCH_B, .pad = 127},
		{.class = PATCH_B, .pad = -5},	     {.class = PATCH_B, .pad = -126},
		{.class = PATCH_C, .tail = 3},	     {.class = PATCH_C, .tail = 15},
		{.class = PATCH_J, .head = 8},	     {.class = PATCH_CPUID_P, .head = 15},
		{.class = PATCH_J, .head = 255},     {.class = PATCH_P, .head = 255},
		{.class = PATCH_C, .tail = 255},     {.class = PATCH_CPUID_INT3},
		{.class = PATCH_CPUID_C, .tail = 3}, {.class = PATCH_CPUID_C, .tail = 15},
		{.class = PATCH_CPUID_P, .head = 5}, {.class = PATCH_CPUID_C, .tail = 255},
	};
	enum { ROOM = 256, SIZE = 0x1000 };
	u8 before[TEXT_SIZE];

	setup(state);
	for (size_t i = 0; i < ARRAY_SIZE(sites); i++) {
		for (u64 at = 0; at < SIZE; at += at == 160 ? SIZE - 320 : 1) {
			struct patch_site s = sites[i];
			size_t size;
			u8 *code = text + ROOM + at;

			/* All bytes could be such a site; only the position is wrong. */
			memset(text, 0x90, TEXT_SIZE);
			memcpy(code,
			       s.class >= PATCH_CPUID_INT3 && s.class != PATCH_J ? "\x0f\xa2"
										 : "\x0f\x05",
			       2);
			if (s.class == PATCH_A)
				memcpy(code - s.head, s.head == 5 ? "\xb8" : "\x48\xc7\xc0",
				       s.head == 5 ? 1 : 3);
			if (s.class == PATCH_J)
				memcpy(code + 2, "\xe9\0\0\0\0", 5);
			memcpy(before, text, TEXT_SIZE);
			s.address = (u64)code;
			size = patch_area_size(&s, 1);
			memset(area, 0, AREA_SIZE);
			(void)patch_apply(&s, 1, (u64)text + ROOM, SIZE, (u64)area, size);
			assert_memory_equal(before, text, ROOM);
			assert_memory_equal(before + ROOM + SIZE, text + ROOM + SIZE,
					    TEXT_SIZE - ROOM - SIZE);
			patch_forget((u64)text, TEXT_SIZE);
		}
	}
}

/* A second site within what the first has changed would move half a jump into its stub. */
static void test_overlapping_sites_are_not_both_patched(void **state)
{
	struct patch_site s[] = {{.class = PATCH_P, .head = 5}, {.class = PATCH_P, .head = 9}};
	u8 *code, once[16];

	setup(state);
	code = place(0x100, "\x90\x90\x90\x90\x90\x0f\x05\x90\x90\x0f\x05\xc3", 12);
	s[0].address = (u64)code + 5;
	s[1].address = (u64)code + 9;
	assert_int_equal(apply(s), 1);
	memcpy(once, code, sizeof(once));
	patch_forget((u64)text, TEXT_SIZE);
	place(0x100, "\x90\x90\x90\x90\x90\x0f\x05\x90\x90\x0f\x05\xc3", 12);
	memset(area, 0, AREA_SIZE);
	assert_int_equal(patch_apply(s, 2, (u64)text, TEXT_SIZE, (u64)area, patch_area_size(s, 2)),
			 1);
	assert_memory_equal(code, once, sizeof(once));
	patch_forget((u64)text, TEXT_SIZE);
	/* Nor two sites with one padding. */
	s[0] = s[1] = (struct patch_site){.class = PATCH_B, .pad = 0x20};
	code = place(0x200, "\x0f\x05\xc3\x90\x0f\x05\xc3", 7);
	s[0].address = (u64)code;
	s[1].address = (u64)code + 4;
	s[1].pad = 0x20 - 4;
	memset(area, 0, AREA_SIZE);
	assert_int_equal(patch_apply(s, 2, (u64)text, TEXT_SIZE, (u64)area, patch_area_size(s, 2)),
			 1);
	assert_memory_equal(code + 4, "\x0f\x05", 2);
	patch_forget((u64)text, TEXT_SIZE);
}

static void test_trapped_site_is_patched(void **state)
{
	u8 *code;
	struct process p = {0};

	setup(state);
	fake_set_process(&p);
	fake_host_set(patching_host, NULL);
	code = place(0x100, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);
	patch_trapped((u64)code + 5, 38); /* RAX came from elsewhere */
	assert_int_equal(code[0], 0xb8);
	is_text = false;
	patch_trapped((u64)code + 5, 39);
	assert_int_equal(code[0], 0xb8);
	is_text = true;
	patch_trapped((u64)code + 5, 39);
	assert_int_equal(code[0], 0xe9);
	assert_int_equal(run(code), 1039);
	/* Not in one aligned word: stays. */
	code = place(0x205, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);
	patch_trapped((u64)code + 5, 39);
	assert_int_equal(code[0], 0xb8);
	patch_forget((u64)lazy, PAGE_SIZE);
	fake_host_set(NULL, NULL);
}

UNIT_TESTS(test_class_a, test_class_p, test_class_b, test_class_c_and_its_int3, test_class_j,
	   test_cpuid_int3, test_cpuid_behind_what_moves, test_cpuid_before_what_moves,
	   test_cpuid_without_stubs_traps, test_wrong_sites_stay,
	   test_sites_at_the_edges_stay_inside, test_overlapping_sites_are_not_both_patched,
	   test_trapped_site_is_patched)
