// SPDX-License-Identifier: Apache-2.0
/*
 * Which programs the host may start, and with which arguments. The path is resolved once: the file
 * that was found is checked by its own name, and it is this file that is loaded. A link that
 * changes between the check and the load changes nothing.
 */
#include "kernel/core/entry_point.h"

#include "abi/errno.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/process.h"
#include "kernel/sched/thread.h"
#include "kernel/vfs/file.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"
#define LOG_TAG "boot"
#include "kernel/core/log.h"

#define PATH_SIZE 4096

/* As it is written; slashes at the end and several in a row mean nothing. */
static bool is_under_entry_point(const char *path)
{
	char *plain = kmalloc(PATH_SIZE);
	size_t len = 0;
	bool is_under;

	if (!plain)
		return false;
	for (; *path && len + 1 < PATH_SIZE; path++) {
		if (*path != '/' || (path[1] != '/' && (path[1] != '\0' || len == 0)))
			plain[len++] = *path;
	}
	plain[len] = '\0';
	is_under = config_stage_allows(&kernel_config()->app, plain);
	kfree(plain);
	return is_under;
}

static void refuse_entry_point(const char *path)
{
	const struct config_stage *app = &kernel_config()->app;
	char list[256];
	size_t len = 0;

	list[0] = '\0';
	for (u32 i = 0; i < app->entry_point_count; i++)
		fmt_append(list, sizeof(list), &len, "%s%s", i ? ", " : "", app->entry_points[i]);
	log_always("'%s' %s not under any of the entry_points in Occlum.json: %s", path,
		   is_under_entry_point(path) ? "is a link to a place that is" : "is", list);
}

static int check_arguments(const char *path, const struct exec_args *args)
{
	const char **list = kcalloc(args->argc, sizeof(*list));
	const char *at = args->strings;
	bool allowed;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < args->argc; i++) {
		list[i] = at;
		at += strlen(at) + 1;
	}
	allowed = config_args_allow(kernel_config(), path, list + 1, args->argc - 1);
	kfree(list);
	if (allowed)
		return 0;
	log_always("the arguments of '%s' are not those that entry_args in Occlum.json allows",
		   path);
	return -EPERM;
}

/*
 * The object that `path` leads to, not its name, must lie under an entry point, and entry_args of
 * either name holds: a link to a program must not free its arguments.
 */
static int check(const char *path, struct file *file, const struct exec_args *args)
{
	char *resolved = kmalloc(PATH_SIZE);
	long len;
	int err;

	if (!resolved)
		return -ENOMEM;
	len = file_path(file, resolved, PATH_SIZE);
	if (len < 0) {
		err = (int)len;
	} else if (file_is_unlinked(file)) {
		err = -ENOENT; /* what it was called says nothing any more */
	} else if (!config_stage_allows(&kernel_config()->app, resolved)) {
		refuse_entry_point(path);
		err = -EPERM;
	} else {
		err = check_arguments(resolved, args);
	}
	kfree(resolved);
	return err ? err : check_arguments(path, args);
}

/*
 * Nothing was found, or nothing to run. Outside the entry points the host learns only that: which
 * names there are in an encrypted image is not for it to try out.
 */
static int refuse_lookup(const char *path, int err)
{
	if (is_under_entry_point(path))
		return err;
	refuse_entry_point(path);
	return -EPERM;
}

static int create(const char *path, struct exec_args *args, const struct credentials *user,
		  const s32 stdio[3], struct process **ret_process)
{
	struct fs_context *ctx = fs_context_new();
	struct file *file;
	int err;

	if (!ctx)
		return -ENOMEM;
	err = vfs_open_exec(ctx, path, &file);
	fs_context_put(ctx);
	if (err)
		return err == -ENOMEM ? err : refuse_lookup(path, err);
	err = check(path, file, args);
	if (!err)
		err = process_create(path, file, args, user, stdio, ret_process);
	file_put(file);
	return err;
}

/* What the configured user may not reach or execute, it may not start either. */
int entry_point_create(const char *path, struct exec_args *args, const s32 stdio[3],
		       struct process **ret_process)
{
	struct thread *self = current_thread();
	struct credentials user;
	int err;

	credentials_init(&user, kernel_config()->uid, kernel_config()->gid);
	self->acts_as = &user;
	err = create(path, args, &user, stdio, ret_process);
	self->acts_as = NULL;
	return err;
}
