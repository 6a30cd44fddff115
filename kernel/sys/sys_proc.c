// SPDX-License-Identifier: Apache-2.0
/* Threads and processes: making, ending, waiting, names, limits, usage. */
#include "abi/errno.h"
#include "abi/process.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/time/clock.h"
#include "kernel/time/timespec.h"
#include "lib/base/string.h"

#define PATH_SIZE	 4096
#define USER_ADDRESS_END (1ull << 47)

long sys_clone(u64 flags, u64 stack, void __user *parent_tid, void __user *child_tid, u64 tls)
{
	const struct clone_request request = {
		.flags = (u32)flags & ~CSIGNAL,
		.exit_signal = (u32)flags & CSIGNAL,
		.stack = stack,
		.tls = tls,
		.parent_tid = (u64)parent_tid,
		.child_tid = (u64)child_tid,
	};

	return process_clone(&request);
}

/* Fields that this kernel does not know must be zero, as in every extensible struct of Linux. */
static int read_clone_args(struct abi_clone_args *ret, const void __user *args, u64 size)
{
	u8 rest[64];

	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(ret, 0, sizeof(*ret));
	if (copy_from_user(ret, args, MIN(size, sizeof(*ret))))
		return -EFAULT;
	for (u64 at = sizeof(*ret); at < size; at += sizeof(rest)) {
		u64 part = MIN(size - at, sizeof(rest));

		if (copy_from_user(rest, (const u8 __user *)args + at, part))
			return -EFAULT;
		if (!mem_is_zero(rest, part))
			return -E2BIG;
	}
	return 0;
}

long sys_clone3(const void __user *args, u64 size)
{
	struct abi_clone_args a;
	struct clone_request request;
	int err = read_clone_args(&a, args, size);

	if (err)
		return err;
	if ((a.flags & CSIGNAL) || a.exit_signal > SIGNAL_COUNT)
		return -EINVAL;
	if ((a.flags & CLONE_THREAD) && a.exit_signal)
		return -EINVAL;
	if (a.set_tid || a.set_tid_size || (a.flags & CLONE_INTO_CGROUP))
		return -EINVAL;
	if (!a.stack != !a.stack_size)
		return -EINVAL;
	request = (struct clone_request){
		.flags = a.flags,
		.exit_signal = (u32)a.exit_signal,
		.stack = a.stack ? a.stack + a.stack_size : 0,
		.tls = a.tls,
		.parent_tid = a.parent_tid,
		.child_tid = a.child_tid,
	};
	return process_clone(&request);
}

long sys_fork(void)
{
	process_tell_enosys("fork");
	return -ENOSYS;
}

long sys_vfork(void)
{
	process_tell_enosys("vfork");
	return -ENOSYS;
}

long sys_execve(const char __user *path, const void __user *argv, const void __user *envp)
{
	struct exec_args args = {0};
	char *name = kmalloc(PATH_SIZE);
	long err;

	if (!name)
		return -ENOMEM;
	err = copy_string_from_user(name, path, PATH_SIZE);
	if (err >= 0)
		err = exec_args_from_user(&args, (u64)argv, (u64)envp);
	if (!err)
		err = process_exec(name, &args);
	else
		exec_args_free(&args);
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

long sys_set_tid_address(void __user *word)
{
	struct thread *t = current_thread();

	t->clear_child_tid = (u64)word;
	return t->tid;
}

static void fill_rusage(struct abi_rusage *ret, u64 utime_ns, u64 stime_ns)
{
	memset(ret, 0, sizeof(*ret));
	ret->utime = ns_to_timeval(utime_ns);
	ret->stime = ns_to_timeval(stime_ns);
}

static int write_rusage(void __user *to, const struct wait_result *result)
{
	struct abi_rusage usage;

	fill_rusage(&usage, result->utime_ns, result->stime_ns);
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

long sys_waitid(int which, int id, void __user *info, int options, void __user *usage)
{
	struct wait_request request = {.which = which, .id = id, .options = (u32)options};
	struct wait_result result;
	struct abi_siginfo out = {0};
	int err;

	if (((u32)options & ~(u32)WAITID_OPTIONS) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	if (which < ABI_P_ALL || which > ABI_P_PGID || (which == ABI_P_PID && id <= 0) || id < 0)
		return -EINVAL;
	if (which == ABI_P_PGID && id == 0)
		request.id = current_process()->pgid;
	err = process_wait(&request, &result);
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

long sys_getpid(void)
{
	return current_process()->pid;
}

long sys_gettid(void)
{
	return current_thread()->tid;
}

long sys_getppid(void)
{
	return __atomic_load_n(&current_process()->parent_pid, __ATOMIC_RELAXED);
}

long sys_getpgrp(void)
{
	return current_process()->pgid;
}

static long with_process(int pid, s32 (*read)(struct process *p))
{
	struct process *p;
	s32 value;

	if (!pid)
		return read(current_process());
	p = process_lookup(pid);
	if (!p)
		return -ESRCH;
	value = read(p);
	process_put(p);
	return value;
}

static s32 read_pgid(struct process *p)
{
	return p->pgid;
}

static s32 read_sid(struct process *p)
{
	return p->sid;
}

long sys_getpgid(int pid)
{
	return with_process(pid, read_pgid);
}

long sys_getsid(int pid)
{
	return with_process(pid, read_sid);
}

long sys_setpgid(int pid, int pgid)
{
	return pid < 0 ? -EINVAL : process_set_group(pid, pgid);
}

long sys_setsid(void)
{
	return process_new_session();
}

/* Limits: stored for all resources; memory ones reach the address space at once. */
static int set_limit(struct process *p, u32 resource, const struct abi_rlimit *limit)
{
	if (limit->soft > limit->hard)
		return -EINVAL;
	if (limit->hard > p->limits[resource].hard && p->cred.euid != 0)
		return -EPERM;
	if (resource == ABI_RLIMIT_NOFILE && limit->hard > (1u << 20))
		return -EPERM;
	p->limits[resource].soft = limit->soft;
	p->limits[resource].hard = limit->hard;
	if (p->mm && (resource == ABI_RLIMIT_DATA || resource == ABI_RLIMIT_AS))
		mm_set_limits(p->mm, p->limits[ABI_RLIMIT_DATA].soft,
			      p->limits[ABI_RLIMIT_AS].soft);
	return 0;
}

static long change_limit(struct process *p, u32 resource, const void __user *limit,
			 void __user *old)
{
	struct abi_rlimit now, wanted;
	int err = 0;

	if (resource >= ABI_RLIMIT_COUNT)
		return -EINVAL;
	if (limit && copy_from_user(&wanted, limit, sizeof(wanted)))
		return -EFAULT;
	mutex_lock(&p->exec_lock);
	now.soft = p->limits[resource].soft;
	now.hard = p->limits[resource].hard;
	if (limit)
		err = set_limit(p, resource, &wanted);
	mutex_unlock(&p->exec_lock);
	if (err || !old)
		return err;
	return copy_to_user(old, &now, sizeof(now));
}

long sys_getrlimit(u32 resource, void __user *limit)
{
	return limit ? change_limit(current_process(), resource, NULL, limit) : -EFAULT;
}

long sys_setrlimit(u32 resource, const void __user *limit)
{
	return limit ? change_limit(current_process(), resource, limit, NULL) : -EFAULT;
}

long sys_prlimit64(int pid, u32 resource, const void __user *limit, void __user *old)
{
	struct process *p = pid ? process_lookup(pid) : process_get(current_process());
	long ret;

	if (!p)
		return -ESRCH;
	ret = change_limit(p, resource, limit, old);
	process_put(p);
	return ret;
}

long sys_getrusage(int who, void __user *usage)
{
	struct process *p = current_process();
	struct mm_totals totals = {0};
	struct abi_rusage r;

	switch (who) {
	case ABI_RUSAGE_SELF: fill_rusage(&r, process_cpu_ns(p), 0); break;
	case ABI_RUSAGE_CHILDREN: fill_rusage(&r, p->child_utime_ns, p->child_stime_ns); break;
	case ABI_RUSAGE_THREAD: fill_rusage(&r, thread_cpu_ns(current_thread()), 0); break;
	default: return -EINVAL;
	}
	if (who != ABI_RUSAGE_CHILDREN) {
		mm_totals(p->mm, &totals);
		r.maxrss = (s64)(totals.committed >> 10);
	}
	return copy_to_user(usage, &r, sizeof(r));
}

static s64 ns_to_ticks(u64 ns)
{
	return (s64)(ns / (NS_PER_SEC / ABI_CLOCK_TICKS));
}

long sys_times(void __user *times)
{
	struct process *p = current_process();
	struct abi_tms t = {
		.utime = ns_to_ticks(process_cpu_ns(p)),
		.child_utime = ns_to_ticks(p->child_utime_ns),
		.child_stime = ns_to_ticks(p->child_stime_ns),
	};

	if (times && copy_to_user(times, &t, sizeof(t)))
		return -EFAULT;
	return ns_to_ticks(clock_monotonic_ns());
}

static long set_name(u64 name)
{
	struct thread *t = current_thread();
	char buf[sizeof(t->name)] = {0};
	long len = copy_string_from_user(buf, (const char __user *)name, sizeof(buf));

	if (len == -ENAMETOOLONG) {
		/* Linux cuts the name: what fits was there to be read. */
		if (copy_from_user(buf, (const void __user *)name, sizeof(buf) - 1))
			return -EFAULT;
		buf[sizeof(buf) - 1] = '\0';
	} else if (len < 0) {
		return len;
	}
	memcpy(t->name, buf, sizeof(buf));
	if (t->tid == t->process->pid)
		memcpy(t->process->comm, buf, sizeof(buf));
	return 0;
}

long sys_prctl(int option, u64 arg2, u64 arg3, u64 arg4, u64 arg5)
{
	struct process *p = current_process();
	struct thread *t = current_thread();

	switch (option) {
	case PR_SET_NAME: return set_name(arg2);
	case PR_GET_NAME: return copy_to_user((void __user *)arg2, t->name, sizeof(t->name));
	case PR_GET_DUMPABLE: return p->undumpable ? 0 : 1;
	case PR_SET_DUMPABLE:
		if (arg2 > 1)
			return -EINVAL;
		p->undumpable = !arg2;
		return 0;
	case PR_SET_PDEATHSIG:
		if (arg2 > SIGNAL_COUNT)
			return -EINVAL;
		p->parent_death_signal = (s32)arg2;
		return 0;
	case PR_GET_PDEATHSIG:
		return put_user_u32((void __user *)arg2, (u32)p->parent_death_signal);
	case PR_GET_TIMERSLACK: return (long)(t->timer_slack_ns ? t->timer_slack_ns : 50000);
	case PR_SET_TIMERSLACK: t->timer_slack_ns = (s64)arg2 > 0 ? arg2 : 50000; return 0;
	case PR_SET_NO_NEW_PRIVS:
		if (arg2 != 1 || arg3 || arg4 || arg5)
			return -EINVAL;
		p->no_new_privs = true; /* and nothing here ever gives new ones */
		return 0;
	case PR_GET_NO_NEW_PRIVS: return arg2 || arg3 || arg4 || arg5 ? -EINVAL : p->no_new_privs;
	case PR_GET_KEEPCAPS: return 0;
	case PR_CAPBSET_READ: return arg2 <= ABI_CAPABILITY_LAST ? 1 : -EINVAL;
	case PR_GET_SECCOMP:
	case PR_GET_THP_DISABLE:
	default: return -EINVAL;
	}
}

long sys_arch_prctl(int option, u64 argument)
{
	switch (option) {
	case ARCH_SET_FS:
		if (argument >= USER_ADDRESS_END)
			return -EPERM;
		arch_set_user_fs(argument);
		return 0;
	case ARCH_GET_FS: return put_user_u64((void __user *)argument, arch_get_user_fs());
	case ARCH_GET_XCOMP_SUPP:
	case ARCH_GET_XCOMP_PERM: return put_user_u64((void __user *)argument, arch_xstate_mask());
	case ARCH_REQ_XCOMP_PERM:
		return argument < 64 && (arch_xstate_mask() & (1ull << argument)) ? 0 : -EOPNOTSUPP;
	default: return -EINVAL; /* GS is the kernel's */
	}
}
