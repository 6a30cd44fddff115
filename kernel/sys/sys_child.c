// SPDX-License-Identifier: Apache-2.0
/* Making threads and processes, replacing programs, ending, waiting. */
#include "abi/errno.h"
#include "abi/fs.h"
#include "abi/process.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/anon/pidfd.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/process.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/sys_priv.h"
#include "kernel/sys/syscalls_gen.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

long sys_clone(u64 flags, u64 stack, void __user *parent_tid, void __user *child_tid, u64 tls)
{
	const struct clone_request request = {
		.flags = (u32)flags & ~CSIGNAL,
		.exit_signal = (u32)flags & CSIGNAL,
		.stack = stack,
		.tls = tls,
		.parent_tid = (u64)parent_tid,
		.child_tid = (u64)child_tid,
		.pidfd = (u64)parent_tid, /* one place for both: not at once */
	};

	if ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID))
		return -EINVAL;

	return process_clone(&request);
}

long sys_clone3(const void __user *args, u64 size)
{
	struct abi_clone_args a;
	struct clone_request request;
	int err;

	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	err = copy_struct_from_user(&a, sizeof(a), args, size);
	if (err)
		return err;
	if ((a.flags & (CSIGNAL | CLONE_DETACHED)) || a.exit_signal > SIGNAL_COUNT)
		return -EINVAL;
	if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal)
		return -EINVAL;
	if (a.set_tid || a.set_tid_size || (a.flags & CLONE_INTO_CGROUP))
		return -EINVAL;
	if (!a.stack != !a.stack_size || a.stack + a.stack_size < a.stack)
		return -EINVAL;
	request = (struct clone_request){
		.flags = a.flags,
		.exit_signal = (u32)a.exit_signal,
		.stack = a.stack ? a.stack + a.stack_size : 0,
		.tls = a.tls,
		.parent_tid = a.parent_tid,
		.child_tid = a.child_tid,
		.pidfd = a.pidfd,
	};
	return process_clone(&request);
}

/* The same function as clone without sharing anything; see kernel/proc/clone.c. */
long sys_fork(void)
{
	const struct clone_request request = {.exit_signal = SIGCHLD};

	return process_clone(&request);
}

long sys_vfork(void)
{
	const struct clone_request request = {.flags = CLONE_VM | CLONE_VFORK,
					      .exit_signal = SIGCHLD};

	return process_clone(&request);
}

#define UNSHARE_NOTHING_TO_DO (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_SYSVSEM)
#define UNSHARE_NEW_SPACES                                                                         \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

long sys_unshare(u64 flags)
{
	struct process *p = current_process();

	if (flags & ~(u64)(UNSHARE_NOTHING_TO_DO | UNSHARE_NEW_SPACES | CLONE_FS | CLONE_FILES))
		return -EINVAL;
	if (flags & UNSHARE_NEW_SPACES)
		return -EPERM;
	/* Threads share what a process has: to part them is not possible here. */
	if ((flags & ~(u64)CLONE_SYSVSEM) &&
	    __atomic_load_n(&p->thread_count, __ATOMIC_RELAXED) > 1)
		return -EINVAL;
	return process_unshare(flags & CLONE_FS, flags & CLONE_FILES);
}

static bool thread_exists(s32 tid)
{
	struct thread *t = thread_lookup(tid);

	if (t)
		thread_put(t);
	return t;
}

static long exec_with(const char *name, struct file *file, const void __user *argv,
		      const void __user *envp)
{
	struct exec_args args = {0};
	long err = exec_args_from_user(&args, (u64)argv, (u64)envp);

	if (!err)
		return process_exec(name, file, &args);
	exec_args_free(&args);
	if (file)
		file_put(file);
	return err;
}

long sys_execve(const char __user *path, const void __user *argv, const void __user *envp)
{
	char *name;
	long err = arg_path(path, &name);

	if (err)
		return err;
	err = name[0] ? exec_with(name, NULL, argv, envp) : -ENOENT;
	kfree(name);
	return err;
}

/* How the program is called that execveat() names by a descriptor: for AT_EXECFN and scripts. */
static int execveat_name(int fd, const char *path, char **ret)
{
	size_t size = strlen(path) + 32, len = 0;
	char *name = kmalloc(size);

	if (!name)
		return -ENOMEM;
	name[0] = '\0';
	if (fd == AT_FDCWD || path[0] == '/')
		fmt_append(name, size, &len, "%s", path);
	else if (path[0])
		fmt_append(name, size, &len, "/dev/fd/%d/%s", fd, path);
	else
		fmt_append(name, size, &len, "/dev/fd/%d", fd);
	*ret = name;
	return 0;
}

/* A script that its interpreter would have to open by a descriptor that exec closes. */
static bool is_closing_script(int fd, const char *name, struct file *file)
{
	char mark[2];

	return !strncmp(name, "/dev/fd/", 8) && fd_get_cloexec(current_files(), fd) > 0 &&
	       !file_read_exact(file, mark, sizeof(mark), 0) && mark[0] == '#' && mark[1] == '!';
}

#define EXECVEAT_FLAGS (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)

long sys_execveat(int dirfd, const char __user *path, const void __user *argv,
		  const void __user *envp, int flags)
{
	u32 walk = (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
		   (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
	struct path_arg a;
	struct file *file;
	char *name = NULL;
	long err;

	if (flags & ~EXECVEAT_FLAGS)
		return -EINVAL;
	err = path_arg_get(&a, dirfd, path);
	if (err)
		return err;
	err = execveat_name(dirfd, a.text, &name);
	if (!err)
		err = name_open_exec(current_fs(), a.at, a.text, walk, &file);
	path_arg_put(&a);
	/* The interpreter of a script could not open what closes on the way to it. */
	if (!err && is_closing_script(dirfd, name, file)) {
		file_put(file);
		err = -ENOENT;
	}
	if (!err)
		err = exec_with(name, file, argv, envp);
	kfree(name);
	return err;
}

long sys_exit(int status)
{
	thread_exit((status & 0xff) << 8);
}

long sys_exit_group(int status)
{
	process_exit_group((status & 0xff) << 8);
}

static int write_rusage(void __user *to, const struct wait_result *result)
{
	struct abi_rusage usage;

	rusage_fill(&usage, result->utime_ns, result->stime_ns, result->max_rss);
	return copy_to_user(to, &usage, sizeof(usage));
}

#define WAIT4_OPTIONS (WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD_ABI | WCLONE_ABI | WALL_ABI)

long sys_wait4(int pid, void __user *status, int options, void __user *usage)
{
	struct wait_request request = {.options = ((u32)options & ~WNOWAIT) | WEXITED};
	struct wait_result result;
	int err;

	if ((u32)options & ~(u32)WAIT4_OPTIONS)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid > 0) {
		request.which = ABI_P_PID;
		request.id = pid;
	} else if (pid != -1) {
		request.which = ABI_P_PGID;
		request.id = pid ? -pid : current_process()->pgid;
	}
	err = process_wait(&request, &result);
	if (err || !result.pid)
		return err;
	if (status && put_user_u32(status, (u32)wait_status(&result)))
		return -EFAULT;
	if (usage && write_rusage(usage, &result))
		return -EFAULT;
	return result.pid;
}

#define WAITID_OPTIONS                                                                             \
	(WNOHANG | WEXITED | WSTOPPED | WCONTINUED | WNOWAIT | WNOTHREAD_ABI | WCLONE_ABI |        \
	 WALL_ABI)

static int waitid_target(struct wait_request *request, struct process **ret_held)
{
	*ret_held = NULL;
	switch (request->which) {
	case ABI_P_ALL: return 0;
	case ABI_P_PID: return request->id > 0 ? 0 : -EINVAL;
	case ABI_P_PGID:
		if (request->id < 0)
			return -EINVAL;
		if (request->id == 0)
			request->id = current_process()->pgid;
		return 0;
	case ABI_P_PIDFD:
		if (request->id < 0)
			return -EINVAL;
		if (pidfd_process(request->id, ret_held))
			return -EBADF;
		request->process = *ret_held;
		return 0;
	default: return -EINVAL;
	}
}

/* A pidfd that does not block makes the wait one that does not: EAGAIN instead of nothing. */
static int wait_for_target(struct wait_request *request, struct wait_result *result)
{
	bool asks = request->which == ABI_P_PIDFD && !(request->options & WNOHANG) &&
		    pidfd_is_nonblocking(request->id);
	int err;

	if (asks)
		request->options |= WNOHANG;
	err = process_wait(request, result);
	return !err && asks && !result->pid ? -EAGAIN : err;
}

long sys_waitid(int which, int id, void __user *info, int options, void __user *usage)
{
	struct wait_request request = {.which = which, .id = id, .options = (u32)options};
	struct wait_result result;
	struct abi_siginfo out = {0};
	struct process *held;
	int err;

	if (((u32)options & ~(u32)WAITID_OPTIONS) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	err = waitid_target(&request, &held);
	if (!err)
		err = wait_for_target(&request, &result);
	process_put(held);
	if (err)
		return err;
	if (result.pid) {
		out.signo = SIGCHLD;
		out.code = result.code;
		out.child.pid = result.pid;
		out.child.uid = result.uid;
		out.child.status = result.status;
	}
	if (usage && result.pid && write_rusage(usage, &result))
		return -EFAULT;
	return info ? copy_to_user(info, &out, sizeof(out)) : 0;
}

/* --- pidfds --- */

long sys_pidfd_open(int pid, u32 flags)
{
	struct process *p;
	long ret;

	if (flags & ~(u32)O_NONBLOCK || pid <= 0)
		return -EINVAL;
	p = process_lookup(pid);
	if (!p)
		return thread_exists(pid) ? -EINVAL : -ESRCH;
	ret = pidfd_install(p, flags);
	process_put(p);
	return ret;
}

long sys_pidfd_getfd(int pidfd, int fd, u32 flags)
{
	struct file *f = NULL;
	struct process *p;
	long err;

	if (flags)
		return -EINVAL;
	err = pidfd_process(pidfd, &p);
	if (err)
		return err;
	/* With the lock: what it becomes by exec may be another user's. */
	mutex_lock(&p->exec_lock);
	err = !process_may_inspect(p) ? -EPERM : p->files ? 0 : -ESRCH;
	if (!err)
		f = fd_lookup(p->files, fd);
	mutex_unlock(&p->exec_lock);
	process_put(p);
	if (err)
		return err;
	return f ? fd_publish(f, true) : -EBADF;
}
