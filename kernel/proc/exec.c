// SPDX-License-Identifier: Apache-2.0
/*
 * From a path and arguments to an address space that is ready to run. Scripts are followed to
 * their interpreter as Linux does it: one optional argument, the script's path, then what the
 * caller gave from argv[1] on; five levels at most.
 *
 * Everything is made beside the caller's own address space; the point of no return is the
 * caller's.
 */
#include "kernel/proc/exec.h"

#include "abi/errno.h"
#include "abi/resource.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/turn.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/load_priv.h"
#include "kernel/proc/process.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

#define LOG_TAG "exec"
#include "kernel/core/log.h"

#define SCRIPT_HEAD  256 /* bytes looked at; the first line must fit */
#define SCRIPT_DEPTH 5
#define PATH_SIZE    4096
#define COPY_CHUNK   512
#define STACK_MAX    GIB(1)
#define RFLAGS_START 0x202 /* IF and the bit that is always set */
#define GROW_MIN     1024

/* --- argument vectors --- */

static int reserve(struct exec_args *a, size_t more)
{
	size_t need = a->size + more, capacity = MAX(a->capacity * 2, (size_t)GROW_MIN);
	char *strings;

	if (need > EXEC_ARGS_MAX)
		return -E2BIG;
	if (need <= a->capacity)
		return 0;
	capacity = MAX(capacity, need);
	strings = krealloc(a->strings, capacity);
	if (!strings)
		return -ENOMEM;
	a->strings = strings;
	a->capacity = capacity;
	return 0;
}

/* Strings and the pointers to them together, with one more string. */
static bool is_too_big(const struct exec_args *a)
{
	return a->size + (a->argc + a->envc + 3) * 8 > EXEC_ARGS_MAX;
}

int exec_args_add(struct exec_args *a, const char *s, size_t len, bool is_env)
{
	int err;

	if (!is_env && a->envc)
		return -EINVAL;
	if (len >= EXEC_ARG_MAX)
		return -E2BIG;
	err = reserve(a, len + 1);
	if (err)
		return err;
	memcpy(a->strings + a->size, s, len);
	a->strings[a->size + len] = '\0';
	a->size += len + 1;
	if (is_env)
		a->envc++;
	else
		a->argc++;
	return is_too_big(a) ? -E2BIG : 0;
}

/* Appends a string of the program in pieces, because its length is only known at its end. */
static int add_from_user(struct exec_args *a, u64 at, bool is_env)
{
	size_t start = a->size;

	for (;;) {
		long n;
		int err = reserve(a, COPY_CHUNK);

		if (err)
			return err;
		n = copy_string_from_user(a->strings + a->size, (const char __user *)at,
					  COPY_CHUNK);
		if (n >= 0) {
			a->size += n + 1;
			break;
		}
		if (n != -ENAMETOOLONG)
			return (int)n;
		a->size += COPY_CHUNK;
		at += COPY_CHUNK;
		if (a->size - start >= EXEC_ARG_MAX)
			return -E2BIG;
	}
	if (is_env)
		a->envc++;
	else
		a->argc++;
	return is_too_big(a) ? -E2BIG : 0;
}

static int add_vector(struct exec_args *a, u64 vector, bool is_env)
{
	for (; vector; vector += 8) {
		u64 string;
		int err = get_user_u64(&string, (const void __user *)vector);

		if (err)
			return err;
		if (!string)
			break;
		err = add_from_user(a, string, is_env);
		if (err)
			return err;
	}
	return 0;
}

int exec_args_from_user(struct exec_args *a, u64 argv, u64 envp)
{
	int err = add_vector(a, argv, false);

	return err ? err : add_vector(a, envp, true);
}

void exec_args_free(struct exec_args *a)
{
	kfree(a->strings);
	*a = (struct exec_args){0};
}

/* Puts `count` strings in place of argv[0]. */
static int replace_first(struct exec_args *a, const char *const *strings, size_t count)
{
	size_t first = a->argc ? strlen(a->strings) + 1 : 0, added = 0, at = 0;
	char *old = a->strings;
	size_t old_size = a->size;
	int err;

	for (size_t i = 0; i < count; i++)
		added += strlen(strings[i]) + 1;
	err = reserve(a, added);
	if (err)
		return err;
	old = a->strings;
	memmove(old + added, old + first, old_size - first);
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(strings[i]) + 1;

		memcpy(a->strings + at, strings[i], size);
		at += size;
	}
	a->size = old_size - first + added;
	a->argc += count - (a->argc ? 1 : 0);
	return is_too_big(a) ? -E2BIG : 0;
}

/* --- scripts --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * "#! interpreter [argument]": both point into `head`, which holds a terminated copy of the
 * file's start. *ret_arg is NULL without an argument. -ENOEXEC when there is no interpreter
 * or its name may be cut off.
 */
static int parse_script(char *head, size_t size, const char **ret_interpreter, const char **ret_arg)
{
	char *end = memchr(head, '\n', size), *at = head + 2, *name;
	bool is_cut = !end && size == SCRIPT_HEAD - 1;

	if (!end)
		end = head + size;
	if (memchr(head, '\0', end - head))
		end = memchr(head, '\0', size);
	while (end > at && is_blank(end[-1]))
		end--;
	*end = '\0';
	while (is_blank(*at))
		at++;
	if (!*at)
		return -ENOEXEC;
	name = at;
	while (*at && !is_blank(*at))
		at++;
	if (!*at) {
		*ret_arg = NULL;
		*ret_interpreter = name;
		return is_cut ? -ENOEXEC : 0;
	}
	*at++ = '\0';
	while (is_blank(*at))
		at++;
	*ret_arg = *at ? at : NULL;
	*ret_interpreter = name;
	return 0;
}

/*
 * Opens what is really to be loaded. Follows scripts, which change the arguments; `script` is the
 * path by which the file was opened. `opened` stands for the path itself, unless it is NULL.
 */
static int open_program(struct process *p, const char *path, struct file *opened,
			struct exec_args *args, struct file **ret_file)
{
	char *head = kmalloc(SCRIPT_HEAD), *name = kstrdup(path);
	struct file *file = NULL;
	int err = head && name ? 0 : -ENOMEM;

	for (int depth = 0; !err; depth++) {
		const char *strings[3], *arg;
		char *next;
		struct uio uio;
		size_t count = 0;
		long size;

		if (opened && !depth)
			file = file_get(opened);
		else
			err = vfs_open_exec(p->fs, name, &file);
		if (err)
			break;
		uio = uio_kernel(head, SCRIPT_HEAD - 1);
		size = file_pread(file, &uio, 0);
		if (size < 0) {
			err = (int)size;
			break;
		}
		head[size] = '\0';
		if (size < 2 || head[0] != '#' || head[1] != '!')
			break;
		file_put(file);
		file = NULL;
		if (depth >= SCRIPT_DEPTH) {
			err = -ELOOP;
			break;
		}
		err = parse_script(head, size, &strings[0], &arg);
		if (err)
			break;
		count = 1;
		if (arg)
			strings[count++] = arg;
		strings[count++] = name;
		next = kstrdup(strings[0]);
		err = next ? replace_first(args, strings, count) : -ENOMEM;
		kfree(name);
		name = next;
	}
	kfree(head);
	kfree(name);
	if (err && file)
		file_put(file);
	else if (!err)
		*ret_file = file;
	return err;
}

/* --- the whole --- */

static u64 stack_size(const struct process *p)
{
	u64 limit = p->limits[ABI_RLIMIT_STACK].soft;

	return limit > STACK_MAX ? kernel_config()->default_stack_size : limit;
}

static u64 heap_room(const struct process *p)
{
	struct mm_limits limits = process_memory_limits(p);

	return limits.heap == UINT64_MAX ? kernel_config()->default_heap_size : limits.heap;
}

static int fill(struct process *p, const char *path, const struct exec_args *args,
		struct exec_image *image)
{
	struct loaded_image loaded;
	struct stack_request stack = {
		.args = args, .image = &loaded, .execfn = path, .size = stack_size(p)};
	struct mm_limits limits = process_memory_limits(p);
	int err;

	mm_set_limits(image->mm, &limits);
	err = elf_load(p, image->mm, image->exe, &loaded);
	if (!err && !loaded.is_late)
		err = mm_set_brk(image->mm, 0, heap_room(p));
	if (!err)
		err = stack_build(p, image->mm, &stack, image);
	if (err)
		return err;
	image->is_late = loaded.is_late;
	image->regs.rip = loaded.entry;
	image->regs.rflags = RFLAGS_START;
	image->regs.orig_rax = UINT64_MAX;
	return 0;
}

static int name_image(struct exec_image *image, const char *path)
{
	const char *base = strrchr(path, '/');
	char *buf = kmalloc(PATH_SIZE);
	long len;

	if (!buf)
		return -ENOMEM;
	len = file_path(image->exe, buf, PATH_SIZE);
	if (len >= 0)
		image->exe_path = kstrdup(buf);
	kfree(buf);
	if (len < 0)
		return (int)len;
	if (!image->exe_path)
		return -ENOMEM;
	/* Longer names are cut, as comm always is. */
	if (str_copy(image->comm, base ? base + 1 : path, sizeof(image->comm)) < 0)
		image->comm[sizeof(image->comm) - 1] = '\0';
	return 0;
}

bool exec_may_gain(const struct process *p)
{
	return !p->no_new_privs &&
	       (!fs_context_is_shared(p->fs) || credentials_capable(&p->cred, CAP_SETUID));
}

/*
 * Set-user-ID and set-group-ID programs. A script gets what its interpreter has, and nothing is
 * given where the mount forbids it or the process may not gain it.
 */
static int choose_ids(struct process *p, struct exec_image *image)
{
	int err = 0;

	image->euid = p->cred.euid;
	image->egid = p->cred.egid;
	image->may_gain = exec_may_gain(p);
	if (image->may_gain)
		err = file_exec_ids(image->exe, &image->euid, &image->egid);
	image->is_secure = image->euid != p->cred.uid || image->egid != p->cred.gid;
	return err;
}

int exec_load(struct process *p, const char *path, struct exec_args *args, struct exec_image *ret)
{
	return exec_load_opened(p, path, NULL, args, ret);
}

int exec_load_opened(struct process *p, const char *path, struct file *opened,
		     struct exec_args *args, struct exec_image *ret)
{
	static const char *const nothing[] = {""};
	struct exec_image image = {0};
	int err = 0;

	/* Linux too gives a program without arguments an empty argv[0]. */
	if (args->argc == 0)
		err = replace_first(args, nothing, 1);
	if (!err)
		err = open_program(p, path, opened, args, &image.exe);
	if (err)
		return err;
	err = choose_ids(p, &image);
	if (!err) {
		image.mm = mm_new();
		err = image.mm ? 0 : -ENOMEM;
	}
	if (!err) {
		mm_set_loading(image.mm, true);
		err = fill(p, path, args, &image);
		mm_set_loading(image.mm, false);
	}
	if (!err)
		err = name_image(&image, path);
	if (err) {
		exec_image_free(&image);
		return err;
	}
	*ret = image;
	return 0;
}

int exec_finish(struct process *p)
{
	u64 begin, end;
	int err;

	p->is_late = false;
	err = mm_join_fixed(p->mm);
	if (err)
		return err;
	begin = clock_monotonic_ns();
	mm_set_loading(p->mm, true);
	err = elf_load_late(p->mm, p->exe, &end);
	if (!err)
		err = mm_set_brk(p->mm, end, heap_room(p));
	mm_set_loading(p->mm, false);
	turn_image_loaded(begin);
	return err;
}

void exec_image_free(struct exec_image *image)
{
	if (image->mm)
		mm_put(image->mm);
	if (image->exe)
		file_put(image->exe);
	kfree(image->exe_path);
	*image = (struct exec_image){0};
}
