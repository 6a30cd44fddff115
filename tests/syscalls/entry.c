/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls from odd states: flags that a kernel must not run with, and stack pointers that lead
 * nowhere. The call works, and what the ABI says is kept is kept.
 */
#include "check.h"

#include <sys/syscall.h>

#define FLAG_DF 0x400ul
#define FLAG_NT 0x4000ul
#define FLAG_AC 0x40000ul

/* getpid with these flags set; *after: those behind it. By a site that can be patched or not. */
static long call_with_flags(unsigned long flags, unsigned long *after)
{
	long ret;

	__asm__ volatile("pushfq\n\torq %2, (%%rsp)\n\tpopfq\n\t"
			 "movl $39, %%eax\n\tsyscall\n\t"
			 "pushfq\n\tpopq %1\n\t"
			 "pushq $2\n\tpopfq"
			 : "=&a"(ret), "=&r"(*after)
			 : "r"(flags)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

static long call_with_stack(unsigned long sp, long number)
{
	long ret;

	__asm__ volatile("movq %%rsp, %%r12\n\tmovq %2, %%rsp\n\tsyscall\n\tmovq %%r12, %%rsp"
			 : "=a"(ret)
			 : "a"(number), "r"(sp)
			 : "rcx", "r11", "r12", "memory");
	return ret;
}

static void flags(void)
{
	static const unsigned long odd[] = {
		0, FLAG_DF, FLAG_AC, FLAG_NT, FLAG_DF | FLAG_AC, FLAG_DF | FLAG_AC | FLAG_NT};
	const unsigned long kept = FLAG_DF | FLAG_AC;
	long pid = getpid();
	unsigned long after;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		for (int again = 0; again < 3; again++) {
			CHECK_EQ(call_with_flags(odd[i], &after), pid);
			CHECK_EQ(after & kept, odd[i] & kept);
		}
	}
}

static void stacks(void)
{
	static const unsigned long nowhere[] = {
		0, 8, 1, 0x7fffffffffff, 0x800000000000, 0xffffffff80000000, -8ul, -1ul};
	long pid = getpid(), uid = getuid();

	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		CHECK_EQ(call_with_stack(nowhere[i], SYS_getpid), pid);
		CHECK_EQ(call_with_stack(nowhere[i], SYS_getuid), uid);
	}
}

CHECK_MAIN(flags, stacks)
