/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program without a C library stands on, beside lib/base. Included by the one source file
 * that has its entry.
 */
#pragma once

#include <stddef.h>

#define SYS_READ       0
#define SYS_WRITE      1
#define SYS_OPEN       2
#define SYS_CLOSE      3
#define SYS_IOCTL      16
#define SYS_EXIT_GROUP 231

static inline long system_call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/* The program; never returns. */
__attribute__((noreturn, used)) void program_main(void);

__asm__(".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	andq $-16, %rsp\n"
	"	call program_main\n"
	"	hlt\n");
