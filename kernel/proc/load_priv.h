/* SPDX-License-Identifier: Apache-2.0 */
/* Between the parts of exec: images, arguments, the first stack. */
#pragma once

#include "kernel/proc/exec.h"

/* Where a program and its interpreter came to lie. */
struct loaded_image {
	u64 entry;     /* where the first thread starts */
	u64 exe_entry; /* AT_ENTRY */
	u64 exe_phdr;  /* AT_PHDR, 0: not in memory */
	u16 exe_phnum;
	u64 interp_base; /* AT_BASE, 0: none */
	bool exec_stack;
	bool is_late; /* not mapped yet: linked at fixed addresses */
};

/*
 * Maps the ELF file and the interpreter it names into mm. -ENOEXEC no ELF program or no place for
 * it, -ELIBBAD a bad interpreter, errors of opening the interpreter, -ENOMEM, -EIO.
 */
int __must_check elf_load(struct process *p, struct mm *mm, struct file *file,
			  struct loaded_image *ret);

/* Maps a program that elf_load() left out (is_late), up to *ret_end. */
int __must_check elf_load_late(struct mm *mm, struct file *file, u64 *ret_end);

struct stack_request {
	const struct exec_args *args;
	const struct loaded_image *image;
	const char *execfn; /* AT_EXECFN */
	u64 size;	    /* of the stack */
};
/* Maps the stack and writes what a new program finds there; fills regs.rsp and the arg fields. */
int __must_check stack_build(struct process *p, struct mm *mm, const struct stack_request *r,
			     struct exec_image *ret);
