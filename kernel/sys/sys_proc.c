// SPDX-License-Identifier: Apache-2.0
/* Numbers, groups, names, limits and usage of processes. Their making and ending: sys_child.c. */
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
#include "kernel/sys/sys_priv.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/time/clock.h"
#include "kernel/time/process_timers.h"
#include "kernel/time/timespec.h"
#include "kernel/vfs/fd_table.h"
#include "lib/base/string.h"

#define PATH_SIZE	 4096
#define USER_ADDRESS_END (1ull << 47)

long sys_set_tid_address(void __user *word)
{
	struct thread *t = current_thread();

	t->clear_child_tid = (u64)word;
	return t->tid;
}

void rusage_fill(struct abi_rusage *ret, u64 utime_ns, u64 stime_ns, u64 max_rss)
{
	memset(ret, 0, sizeof(*ret));
	ret->utime = ns_to_timeval(utime_ns);
	ret->stime = ns_to_timeval(stime_ns);
	ret->maxrss = (s64)(max_rss >> 10);
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
	if (limit->hard > p->limits[resource].hard &&
	    !credentials_capable(&current_process()->cred, CAP_SYS_RESOURCE))
		return -EPERM;
	if (resource == ABI_RLIMIT_NOFILE && limit->hard > FD_MAX)
		return -EPERM;
	p->limits[resource].soft = limit->soft;
	p->limits[resource].hard = limit->hard;
	if (resource == ABI_RLIMIT_DATA)
		p->heap_limit = UINT64_MAX; /* the program's word overrides the configuration */
	if (p->mm && (resource == ABI_RLIMIT_DATA || resource == ABI_RLIMIT_AS)) {
		struct mm_limits limits = process_memory_limits(p);

		mm_set_limits(p->mm, &limits);
	}
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
	/* Another process sees it when it sets one itself, and its children do. */
	if (limit && !err && resource == ABI_RLIMIT_CPU && p == current_process())
		err = timers_limit_cpu();
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
	if (!process_may_limit(p))
		ret = -EPERM;
	else
		ret = change_limit(p, resource, limit, old);
	process_put(p);
	return ret;
}

long sys_getrusage(int who, void __user *usage)
{
	struct process *p = current_process();
	struct mm_totals totals = {0};
	struct abi_rusage r;
	u64 used_ns;

	switch (who) {
	case ABI_RUSAGE_SELF: used_ns = process_cpu_ns(p); break;
	case ABI_RUSAGE_THREAD: used_ns = thread_cpu_ns(current_thread()); break;
	case ABI_RUSAGE_CHILDREN:
		rusage_fill(&r, p->child_utime_ns, p->child_stime_ns, p->child_max_rss);
		return copy_to_user(usage, &r, sizeof(r));
	default: return -EINVAL;
	}
	mm_totals(p->mm, &totals);
	rusage_fill(&r, used_ns, 0, MAX(p->max_rss, totals.committed));
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
		p->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS: return arg2 || arg3 || arg4 || arg5 ? -EINVAL : p->no_new_privs;
	case PR_SET_CHILD_SUBREAPER:
		__atomic_store_n(&p->is_subreaper, arg2 != 0, __ATOMIC_RELAXED);
		return 0;
	case PR_GET_CHILD_SUBREAPER: return put_user_u32((void __user *)arg2, p->is_subreaper);
	case PR_GET_TID_ADDRESS: return put_user_u64((void __user *)arg2, t->clear_child_tid);
	case PR_GET_KEEPCAPS:
	case PR_SET_KEEPCAPS:
	case PR_GET_SECUREBITS:
	case PR_SET_SECUREBITS:
	case PR_CAPBSET_READ:
	case PR_CAPBSET_DROP:
	case PR_CAP_AMBIENT: return capabilities_prctl(&p->cred, option, arg2, arg3, arg4, arg5);
	case PR_GET_SECCOMP: return 0;
	case PR_GET_THP_DISABLE: return arg2 || arg3 || arg4 || arg5 ? -EINVAL : 0;
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
	case ARCH_GET_CPUID: return 1; /* it works, as on a processor that cannot make it fault */
	case ARCH_SET_CPUID: return -ENODEV;
	case ARCH_GET_XCOMP_SUPP:
	case ARCH_GET_XCOMP_PERM: return put_user_u64((void __user *)argument, arch_xstate_mask());
	case ARCH_REQ_XCOMP_PERM:
		return argument < 64 && (arch_xstate_mask() & (1ull << argument)) ? 0 : -EOPNOTSUPP;
	default: return -EINVAL; /* GS is the kernel's */
	}
}
