// SPDX-License-Identifier: Apache-2.0
/*
 * The spawn calls of programs built for the existing Occlum: posix_spawn() of its patched libcs as
 * one call each. The two differ in how the file actions lie in memory: glibc's as an array, musl's
 * as a list that is walked by its second pointer (the patched musl has them swapped).
 *
 * Actions apply to the child's descriptors while it has no thread yet. As there, a missing argv or
 * envp is an empty one and closing what is not open is no error.
 */
#include "abi/errno.h"
#include "abi/fs.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/exec.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/walk.h"

#define ACTIONS_MAX	 4096 /* more is a list without end */

#define SPAWN_SETPGROUP	 0x02
#define SPAWN_SETSIGDEF	 0x04
#define SPAWN_SETSIGMASK 0x08

struct spawn_attr {
	s16 flags;
	s32 group;
	u64 default_signals[16];
	u64 mask[16];
};
static_assert(sizeof(struct spawn_attr) == 264, "posix_spawnattr_t");

struct glibc_actions {
	s32 allocated, used;
	u64 actions;
};
struct glibc_action {
	s32 tag, pad;
	s32 fd, new_fd; /* open: only fd */
	u64 path;
	s32 oflag;
	u32 mode;
};
static_assert(sizeof(struct glibc_action) == 32, "struct __spawn_action");

struct musl_action {
	u64 previous, next;
	s32 command, fd, source_fd, oflag;
	u32 mode, pad;
	u64 path;
};
static_assert(sizeof(struct musl_action) == 48, "struct fdop");

enum action_kind { ACTION_CLOSE, ACTION_DUP, ACTION_OPEN };

struct action {
	enum action_kind kind;
	s32 fd, new_fd;
	u64 path;
	u32 oflag, mode;
};

static int apply_dup(struct process *child, const struct action *a)
{
	struct file *f = fd_lookup(child->files, a->fd);
	int ret;

	if (!f)
		return -EBADF;
	if (a->fd == a->new_fd) {
		file_put(f);
		return fd_set_cloexec(child->files, a->fd, false);
	}
	ret = fd_install_at(child->files, f, a->new_fd, false);
	if (ret < 0)
		file_put(f);
	return ret < 0 ? ret : 0;
}

static int apply_open(struct process *child, const struct action *a)
{
	struct file *f;
	char *path;
	int ret = arg_path((const char __user *)a->path, &path);

	if (ret)
		return ret;
	ret = name_open(child->fs, NULL, path, a->oflag & OPEN_FLAGS & ~(u32)O_CLOEXEC,
			a->mode & S_IALL, 0, &f);
	kfree(path);
	if (ret)
		return ret;
	ret = fd_install_at(child->files, f, a->fd, a->oflag & O_CLOEXEC);
	if (ret < 0)
		file_put(f);
	return ret < 0 ? ret : 0;
}

static int apply(struct process *child, const struct action *a)
{
	switch (a->kind) {
	case ACTION_CLOSE: (void)fd_close(child->files, a->fd); return 0;
	case ACTION_DUP: return apply_dup(child, a);
	default: return apply_open(child, a);
	}
}

static int apply_glibc(struct process *child, void *context)
{
	const struct glibc_actions *list = context;

	for (s32 i = 0; i < list->used; i++) {
		struct glibc_action in;
		struct action a;
		int err;

		if (copy_from_user(&in, (const void __user *)(list->actions + i * sizeof(in)),
				   sizeof(in)))
			return -EFAULT;
		if (in.tag < 0 || in.tag > ACTION_OPEN)
			return -EINVAL;
		a = (struct action){.kind = in.tag,
				    .fd = in.fd,
				    .new_fd = in.new_fd,
				    .path = in.path,
				    .oflag = (u32)in.oflag,
				    .mode = in.mode};
		err = apply(child, &a);
		if (err)
			return err;
	}
	return 0;
}

static int apply_musl(struct process *child, void *context)
{
	u64 at = *(u64 *)context;

	for (u32 i = 0; at; i++) {
		static const u8 kinds[] = {ACTION_CLOSE, ACTION_DUP, ACTION_OPEN};
		struct musl_action in;
		struct action a;
		int err;

		if (i == ACTIONS_MAX)
			return -EINVAL;
		if (copy_from_user(&in, (const void __user *)at, sizeof(in)))
			return -EFAULT;
		if (in.command < 1 || in.command > 3)
			return -EINVAL;
		a = (struct action){.kind = kinds[in.command - 1],
				    .fd = in.command == 2 ? in.source_fd : in.fd,
				    .new_fd = in.fd,
				    .path = in.path,
				    .oflag = (u32)in.oflag,
				    .mode = in.mode};
		err = apply(child, &a);
		if (err)
			return err;
		at = in.next;
	}
	return 0;
}

static int read_attr(const void __user *attr, struct spawn_request *r)
{
	struct spawn_attr a;

	r->blocked = current_thread()->blocked;
	if (!attr)
		return 0;
	if (copy_from_user(&a, attr, sizeof(a)))
		return -EFAULT;
	if (a.flags & SPAWN_SETPGROUP) {
		r->sets_group = true;
		r->group = a.group;
	}
	if (a.flags & SPAWN_SETSIGDEF)
		r->default_signals = a.default_signals[0];
	if (a.flags & SPAWN_SETSIGMASK)
		r->blocked = a.mask[0] & ~(SIG_BIT(9) | SIG_BIT(19));
	return 0;
}

static long spawn(void __user *pid, const char __user *path, const void __user *argv,
		  const void __user *envp, const void __user *attr, struct spawn_request *r)
{
	struct exec_args args = {0};
	char *name;
	long ret = read_attr(attr, r);

	if (!ret)
		ret = arg_path(path, &name);
	if (ret)
		return ret;
	r->path = name;
	r->args = &args;
	ret = exec_args_from_user(&args, (u64)argv, (u64)envp);
	if (!ret)
		ret = process_spawn(r);
	exec_args_free(&args);
	kfree(name);
	if (ret < 0)
		return ret;
	return pid && put_user_u32(pid, (u32)ret) ? -EFAULT : 0;
}

long sys_spawn_glibc(void __user *pid, const char __user *path, const void __user *argv,
		     const void __user *envp, const void __user *actions, const void __user *attr)
{
	struct glibc_actions list = {0};
	struct spawn_request r = {.prepare = apply_glibc, .context = &list};

	if (actions && copy_from_user(&list, actions, sizeof(list)))
		return -EFAULT;
	if (list.used < 0 || list.used > ACTIONS_MAX)
		return -EINVAL;
	return spawn(pid, path, argv, envp, attr, &r);
}

long sys_spawn_musl(void __user *pid, const char __user *path, const void __user *argv,
		    const void __user *envp, const void __user *actions, const void __user *attr)
{
	u64 first = (u64)actions;
	struct spawn_request r = {.prepare = apply_musl, .context = &first};

	return spawn(pid, path, argv, envp, attr, &r);
}
