/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of kernel/arch/exception.c: the labels of kernel/arch/entry.S and its neighbours.
 * Included by one source of an executable.
 */
#pragma once

#include "lib/base/types.h"

/* The shape of the kernel's text; the labels' distances do not matter. */
__asm__(".text\n"
	".globl text_start, text_end, syscall_entry, syscall_entry_end, syscall_entry_bad_gs\n"
	".globl syscall_exit, syscall_exit_jump, full_exit, full_exit_jump, cpuid_entry\n"
	".globl cpuid_entry_end, trap_entry, kernel_fault_entry, image_start\n"
	"image_start:\ntext_start: .zero 16\n"
	"syscall_entry: .zero 16\nsyscall_entry_end: .zero 16\n"
	"syscall_exit: .zero 16\nsyscall_exit_jump: .zero 16\n"
	"syscall_entry_bad_gs: .zero 16\n"
	"trap_entry: .zero 16\n"
	"full_exit: .zero 16\nfull_exit_jump: .zero 16\n"
	"cpuid_entry: .zero 16\ncpuid_entry_end: .zero 16\n"
	"may_fault: .zero 16\nmay_fault_resume: .zero 16\n"
	"kernel_fault_entry: .zero 16\ntext_end:\n"
	".data\n.globl arch_fixups, arch_fixups_end\n"
	"arch_fixups: .quad may_fault, may_fault_resume\narch_fixups_end:\n.text\n");
extern const u8 may_fault[], may_fault_resume[];
