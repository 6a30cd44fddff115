/* SPDX-License-Identifier: Apache-2.0 */
/* Loading programs: ELF files, scripts, argument vectors, the first stack. */
#pragma once

#include "kernel/arch/regs.h"
#include "lib/base/types.h"

struct file;
struct fs_context;
struct mm;
struct process;

#define EXEC_ARG_MAX  KIB(128) /* one string with its NUL: else -E2BIG */
#define EXEC_ARGS_MAX MIB(2)   /* strings and pointers of argv and envp together: else -E2BIG */

/* argv and envp in kernel memory: NUL-terminated strings, one after the other. */
struct exec_args {
	char *strings;
	size_t size, capacity;
	size_t argc, envc; /* the first argc strings are arguments */
};

/* Arguments come before the environment. */
int __must_check exec_args_add(struct exec_args *a, const char *s, size_t len, bool is_env);
int __must_check exec_args_from_user(struct exec_args *a, u64 argv, u64 envp);
void exec_args_free(struct exec_args *a);

struct exec_image {
	struct mm *mm;	       /* new address space, holds program, interpreter and stack */
	struct user_regs regs; /* first registers */
	struct file *exe;      /* the file itself (not the script) */
	char *exe_path;	       /* absolute path for /proc/self/exe; kmalloc'ed */
	u64 stack_start, arg_start, arg_end, env_start, env_end; /* for /proc */
	char comm[16];
	u32 euid, egid; /* of the new program: set-user-ID and set-group-ID bits were looked at */
	bool is_secure; /* AT_SECURE: the ids are not those of who started it */
	bool may_gain;	/* rights that who started it has not */
	bool is_late;	/* the program's first thread must call exec_finish() */
};

/*
 * Opens `path` (relative to the process's directory), resolves scripts, loads into a fresh mm and
 * lays out the stack. `args` stay the caller's to free and may change (scripts).
 * On failure nothing changed: -ENOENT, -EACCES, -ENOEXEC, -ENOMEM, -E2BIG, -ELOOP, -EIO...
 */
int __must_check exec_load(struct process *p, const char *path, struct exec_args *args,
			   struct exec_image *ret);
/* Loads `opened` (borrowed), which `path` led to when the caller looked; NULL: as exec_load(). */
int __must_check exec_load_opened(struct process *p, const char *path, struct file *opened,
				  struct exec_args *args, struct exec_image *ret);

/*
 * A fixed-address program: maps it, by its first thread in its own address space, when it is its
 * turn to have those addresses. A failure is the end of the process, as on Linux behind the point
 * of no return.
 */
int __must_check exec_finish(struct process *p);
void exec_image_free(struct exec_image *image);

/*
 * A program that p starts may get more rights than p has: it has not renounced that
 * (PR_SET_NO_NEW_PRIVS), and no other process can change its working directory or umask.
 */
bool exec_may_gain(const struct process *p);
