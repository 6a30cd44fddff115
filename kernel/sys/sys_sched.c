// SPDX-License-Identifier: Apache-2.0
/*
 * Scheduling calls. The host schedules; what programs set is stored, checked as Linux does, and
 * read back. Affinity: the CPUs of an instance are those that its CPUID table counts.
 */
#include "abi/errno.h"
#include "abi/sched.h"
#include "edge/hostcall_gen.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/barrier.h"
#include "kernel/proc/process.h"
#include "kernel/sys/cpus.h"
#include "kernel/sys/syscalls_gen.h"
#include "lib/base/string.h"

#define NICE_MIN    -20
#define NICE_MAX    19
#define MASK_WORDS  16 /* up to 1024 CPUs */
#define KEEP_POLICY -1

/* Leaf 1 counts the logical processors of the package, as the boot-time table has it. */
u32 cpu_count(void)
{
	u32 regs[4];

	arch_cpuid(1, 0, regs);
	return MAX(regs[1] >> 16 & 0xff, 1u);
}

long sys_sched_yield(void)
{
	(void)!host_yield();
	return 0;
}

long sys_membarrier(int command, u32 flags, int cpu)
{
	/* The one flag is of commands that are not offered. */
	return flags ? -EINVAL : process_membarrier(command);
}

static struct thread *find_thread(int tid)
{
	if (tid < 0)
		return NULL;
	return tid ? thread_lookup(tid) : thread_get(current_thread());
}

/* The thread whose scheduling the caller may change, or -ESRCH or -EPERM. */
static int find_thread_to_change(int tid, struct thread **ret)
{
	struct thread *t = find_thread(tid);

	if (!t)
		return -ESRCH;
	if (t->process && !process_may_schedule(t->process)) {
		thread_put(t);
		return -EPERM;
	}
	*ret = t;
	return 0;
}

static void all_cpus(u64 mask[MASK_WORDS])
{
	u32 count = cpu_count();

	memset(mask, 0, MASK_WORDS * sizeof(mask[0]));
	for (u32 cpu = 0; cpu < count && cpu < MASK_WORDS * 64; cpu++)
		mask[cpu / 64] |= 1ull << (cpu % 64);
}

static u32 mask_size(void)
{
	return (cpu_count() + 63) / 64 * 8;
}

long sys_sched_getaffinity(int tid, u32 size, void __user *mask)
{
	struct thread *t = find_thread(tid);
	u64 cpus[MASK_WORDS];
	u32 bytes = mask_size();

	if (!t)
		return -ESRCH;
	if (size < bytes || (size & 7)) {
		thread_put(t);
		return -EINVAL;
	}
	all_cpus(cpus);
	if (t->affinity)
		cpus[0] = t->affinity;
	thread_put(t);
	return copy_to_user(mask, cpus, bytes) ? -EFAULT : (long)bytes;
}

/* Which CPU runs a thread is the host's to decide: the mask is kept, and read back. */
long sys_sched_setaffinity(int tid, u32 size, const void __user *mask)
{
	struct thread *t;
	u64 wanted[MASK_WORDS] = {0}, cpus[MASK_WORDS];
	u64 usable = 0;
	int err;

	if (copy_from_user(wanted, mask, MIN(size, (u32)sizeof(wanted))))
		return -EFAULT;
	err = find_thread_to_change(tid, &t);
	if (err)
		return err;
	all_cpus(cpus);
	for (u32 i = 0; i < MASK_WORDS; i++)
		usable |= wanted[i] & cpus[i];
	if (usable && cpu_count() <= 64)
		t->affinity = wanted[0] & cpus[0];
	thread_put(t);
	return usable ? 0 : -EINVAL;
}

long sys_getcpu(void __user *cpu, void __user *node, void __user *unused)
{
	u64 affinity = current_thread()->affinity;
	u32 number =
		affinity ? (u32)__builtin_ctzll(affinity) : current_thread()->slot % cpu_count();

	if (cpu && put_user_u32(cpu, number))
		return -EFAULT;
	if (node && put_user_u32(node, 0))
		return -EFAULT;
	return 0;
}

static bool policy_is_known(int policy)
{
	return policy == SCHED_OTHER || policy == SCHED_FIFO || policy == SCHED_RR ||
	       policy == SCHED_BATCH || policy == SCHED_IDLE || policy == SCHED_DEADLINE;
}

static bool policy_is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

long sys_sched_get_priority_max(int policy)
{
	if (!policy_is_known(policy))
		return -EINVAL;
	return policy_is_realtime(policy) ? 99 : 0;
}

long sys_sched_get_priority_min(int policy)
{
	if (!policy_is_known(policy))
		return -EINVAL;
	return policy_is_realtime(policy) ? 1 : 0;
}

/* A real-time policy the host would have to agree to: refuse rather than pretend. */
static int check_policy(const struct thread *t, int policy, u32 priority)
{
	if (!policy_is_known(policy))
		return -EINVAL;
	if (policy_is_realtime(policy) ? priority < 1 || priority > 99 : priority != 0)
		return -EINVAL;
	if (t->process && !process_may_schedule(t->process))
		return -EPERM;
	return policy_is_realtime(policy) || policy == SCHED_DEADLINE ? -EPERM : 0;
}

/* `policy` KEEP_POLICY: the one that the thread has. */
static int apply_policy(int tid, int policy, u32 priority)
{
	struct thread *t = find_thread(tid);
	int err;

	if (!t)
		return -ESRCH;
	if (policy == KEEP_POLICY)
		policy = t->policy;
	err = check_policy(t, policy, priority);
	if (!err)
		t->policy = (u8)policy;
	thread_put(t);
	return err;
}

long sys_sched_setscheduler(int tid, int policy, const void __user *param)
{
	u32 priority;

	if (tid < 0 || policy < 0 || !param)
		return -EINVAL;
	if (copy_from_user(&priority, param, sizeof(priority)))
		return -EFAULT;
	return apply_policy(tid, policy & ~SCHED_RESET_ON_FORK, priority);
}

long sys_sched_getscheduler(int tid)
{
	struct thread *t;
	long policy;

	if (tid < 0)
		return -EINVAL;
	t = find_thread(tid);
	if (!t)
		return -ESRCH;
	policy = t->policy;
	thread_put(t);
	return policy;
}

long sys_sched_setparam(int tid, const void __user *param)
{
	u32 priority;

	if (tid < 0 || !param)
		return -EINVAL;
	if (copy_from_user(&priority, param, sizeof(priority)))
		return -EFAULT;
	return apply_policy(tid, KEEP_POLICY, priority);
}

long sys_sched_getparam(int tid, void __user *param)
{
	struct thread *t;

	if (tid < 0 || !param)
		return -EINVAL;
	t = find_thread(tid);
	if (!t)
		return -ESRCH;
	thread_put(t);
	return put_user_u32(param, 0);
}

long sys_sched_rr_get_interval(int tid, void __user *interval)
{
	const u64 slice[2] = {0, 4000000};
	struct thread *t;

	if (tid < 0)
		return -EINVAL;
	t = find_thread(tid);
	if (!t)
		return -ESRCH;
	thread_put(t);
	return copy_to_user(interval, slice, sizeof(slice));
}

long sys_sched_getattr(int tid, void __user *attr, u32 size, u32 flags)
{
	struct abi_sched_attr a = {.size = SCHED_ATTR_SIZE_VER0};
	struct thread *t;

	if (!attr || tid < 0 || flags || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
		return -EINVAL;
	t = find_thread(tid);
	if (!t)
		return -ESRCH;
	a.policy = t->policy;
	a.nice = t->process ? t->process->nice : 0;
	thread_put(t);
	return copy_to_user(attr, &a, sizeof(a));
}

long sys_sched_setattr(int tid, const void __user *attr, u32 flags)
{
	struct abi_sched_attr a;

	if (tid < 0 || flags || !attr)
		return -EINVAL;
	if (copy_from_user(&a, attr, sizeof(a)))
		return -EFAULT;
	if (a.size && a.size < SCHED_ATTR_SIZE_VER0)
		return -E2BIG;
	return (int)a.policy < 0 ? -EINVAL : apply_policy(tid, (int)a.policy, a.priority);
}

/* Priorities of I/O are stored: the host decides whose request comes first. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_SHIFT 13
#define IOPRIO_CLASS_RT	   1
#define IOPRIO_CLASS_BE	   2
#define IOPRIO_CLASS_IDLE  3
#define IOPRIO_LEVELS	   8

static int check_ioprio(int priority)
{
	int class = priority >> IOPRIO_CLASS_SHIFT;
	int level = priority & ((1 << IOPRIO_CLASS_SHIFT) - 1);

	switch (class) {
	case IOPRIO_CLASS_RT:
		if (!credentials_capable(&current_process()->cred, CAP_SYS_NICE) &&
		    !credentials_capable(&current_process()->cred, CAP_SYS_ADMIN))
			return -EPERM;
		return level < IOPRIO_LEVELS ? 0 : -EINVAL;
	case IOPRIO_CLASS_BE: return level < IOPRIO_LEVELS ? 0 : -EINVAL;
	case IOPRIO_CLASS_IDLE: return 0;
	default: return class == 0 && level == 0 ? 0 : -EINVAL;
	}
}

/* Of one thread: groups and users are not what ionice or Java ask for. */
static long with_ioprio(int which, int who, const int *priority)
{
	struct thread *t;
	long ret = 0;

	if (which != IOPRIO_WHO_PROCESS)
		return -EINVAL;
	t = find_thread(who);
	if (!t)
		return -ESRCH;
	if (!priority)
		ret = t->io_priority;
	else if (!process_may_signal(t->process, 0))
		ret = -EPERM;
	else
		t->io_priority = (u16)*priority;
	thread_put(t);
	return ret;
}

long sys_ioprio_set(int which, int who, int priority)
{
	int err = check_ioprio(priority);

	return err ? err : with_ioprio(which, who, &priority);
}

long sys_ioprio_get(int which, int who)
{
	return with_ioprio(which, who, NULL);
}

struct priority_walk {
	int which, who, nice;
	bool set;
	int result; /* getpriority: 20 - lowest nice; -ESRCH: none */
};

static bool priority_matches(const struct process *p, const struct priority_walk *w)
{
	switch (w->which) {
	case PRIO_PROCESS_ABI: return p->pid == (w->who ? w->who : current_process()->pid);
	case PRIO_PGRP_ABI: return p->pgid == (w->who ? w->who : current_process()->pgid);
	default: return p->cred.uid == (w->who ? (u32)w->who : current_process()->cred.uid);
	}
}

static int priority_visit(struct process *p, void *arg)
{
	struct priority_walk *w = arg;

	if (p->zombie || !priority_matches(p, w))
		return 0;
	if (!w->set) {
		w->result = MAX(w->result, 20 - p->nice);
		return 0;
	}
	if (!process_may_schedule(p)) {
		w->result = -EPERM;
		return 0;
	}
	if (w->nice < p->nice && !credentials_capable(&current_process()->cred, CAP_SYS_NICE)) {
		w->result = -EACCES;
		return 0;
	}
	p->nice = w->nice;
	if (w->result == -ESRCH)
		w->result = 0;
	return 0;
}

long sys_getpriority(int which, int who)
{
	struct priority_walk w = {.which = which, .who = who, .result = -ESRCH};

	if (which < PRIO_PROCESS_ABI || which > PRIO_USER_ABI)
		return -EINVAL;
	process_for_each(priority_visit, &w);
	return w.result;
}

long sys_setpriority(int which, int who, int nice)
{
	struct priority_walk w = {.which = which, .who = who, .set = true, .result = -ESRCH};

	if (which < PRIO_PROCESS_ABI || which > PRIO_USER_ABI)
		return -EINVAL;
	w.nice = MIN(MAX(nice, NICE_MIN), NICE_MAX);
	process_for_each(priority_visit, &w);
	return w.result;
}
