// SPDX-License-Identifier: Apache-2.0
/* The signal calls: numbers, sets and siginfo are checked and copied here, kernel/signal acts. */
#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/fs/anon/pidfd.h"
#include "kernel/fs/procfs/procfs.h"
#include "kernel/fs/anon/signalfd.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/restart.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/time/timespec.h"

#define SA_KNOWN                                                                                   \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS | SA_RESTORER | SA_ONSTACK | \
	 SA_RESTART | SA_NODEFER | (u64)SA_RESETHAND)

static bool signal_is_valid(int signo)
{
	return signo >= 0 && signo <= SIGNAL_COUNT;
}

long sys_rt_sigaction(int signo, const void __user *act, void __user *oldact, u64 sigset_size)
{
	struct abi_sigaction a;
	struct sigaction_k action, old;
	int err;

	if (sigset_size != sizeof(sigset_k))
		return -EINVAL;
	if (act) {
		if (copy_from_user(&a, act, sizeof(a)))
			return -EFAULT;
		/* Unknown flags are dropped, which is how programs ask what exists. */
		action = (struct sigaction_k){.handler = a.handler,
					      .flags = a.flags & SA_KNOWN,
					      .restorer = a.restorer,
					      .mask = a.mask};
	}
	err = signal_set_action(signo, act ? &action : NULL, &old);
	if (err || !oldact)
		return err;
	a = (struct abi_sigaction){.handler = old.handler,
				   .flags = old.flags,
				   .restorer = old.restorer,
				   .mask = old.mask};
	return copy_to_user(oldact, &a, sizeof(a));
}

long sys_rt_sigprocmask(int how, const void __user *set, void __user *oldset, u64 sigset_size)
{
	sigset_k old = current_thread()->blocked, mask;

	if (sigset_size != sizeof(sigset_k))
		return -EINVAL;
	if (set) {
		if (copy_from_user(&mask, set, sizeof(mask)))
			return -EFAULT;
		switch (how) {
		case SIG_BLOCK: mask |= old; break;
		case SIG_UNBLOCK: mask = old & ~mask; break;
		case SIG_SETMASK: break;
		default: return -EINVAL;
		}
		signal_set_blocked(mask);
	}
	return oldset ? copy_to_user(oldset, &old, sizeof(old)) : 0;
}

long sys_rt_sigreturn(void)
{
	return signal_return(current_regs());
}

long sys_rt_sigpending(void __user *set, u64 sigset_size)
{
	sigset_k pending = signal_pending() & current_thread()->blocked;

	if (sigset_size > sizeof(pending))
		return -EINVAL;
	return copy_to_user(set, &pending, sigset_size);
}

static long sleep_for_signal(void)
{
	while (!thread_has_work(current_thread()))
		(void)thread_park(DEADLINE_NEVER, true);
	return -ERESTARTNOHAND;
}

long sys_rt_sigsuspend(const void __user *set, u64 sigset_size)
{
	int err = set ? signal_mask_push(set, sigset_size) : -EFAULT;

	return err ? err : sleep_for_signal();
}

long sys_pause(void)
{
	return sleep_for_signal();
}

/*
 * The signals waited for are unblocked meanwhile, so that senders see them as deliverable and
 * wake this thread; real_blocked keeps them from being dropped as ignored.
 */
static int wait_for_signal(sigset_k wanted, u64 deadline, struct signal_info *ret)
{
	struct thread *t = current_thread();
	sigset_k old = t->blocked;
	int signo, err;

	signo = signal_dequeue(wanted, ret);
	if (signo || deadline == 0)
		return signo ? signo : -EAGAIN;
	t->real_blocked = old;
	signal_set_blocked(old & ~wanted);
	do {
		err = thread_has_work(t) ? -EINTR : thread_park(deadline, true);
		signo = signal_dequeue(wanted, ret);
	} while (!signo && !err);
	t->real_blocked = 0;
	signal_set_blocked(old);
	if (signo)
		return signo;
	return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

long sys_rt_sigtimedwait(const void __user *set, void __user *info, const void __user *timeout,
			 u64 sigset_size)
{
	struct abi_siginfo out;
	struct signal_info taken;
	sigset_k wanted;
	u64 deadline;
	int signo, err;

	if (sigset_size != sizeof(wanted))
		return -EINVAL;
	if (copy_from_user(&wanted, set, sizeof(wanted)))
		return -EFAULT;
	err = deadline_from_user(timeout, &deadline);
	if (err)
		return err;
	wanted &= ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
	signo = wait_for_signal(wanted, deadline, &taken);
	if (signo > 0 && info) {
		signal_info_to_abi(&out, &taken);
		if (copy_to_user(info, &out, sizeof(out)))
			return -EFAULT;
	}
	return signo;
}

static struct signal_info info_from_caller(int signo, int code)
{
	struct process *p = current_process();

	return (struct signal_info){
		.signo = signo, .code = code, .pid = p->pid, .uid = p->cred.uid};
}

struct kill_all {
	const struct signal_info *info;
	long result;
};

static long send_checked(struct process *p, const struct signal_info *info)
{
	if (!process_may_signal(p, info->signo))
		return -EPERM;
	return info->signo ? signal_send_process(p, info) : 0;
}

static int kill_one_of_all(struct process *p, void *arg)
{
	struct kill_all *all = arg;

	/* As on Linux: not init, not the caller. */
	if (p->pid == 1 || p == current_process() || p->zombie)
		return 0;
	if (process_may_signal(p, all->info->signo))
		all->result = send_checked(p, all->info);
	else if (all->result == -ESRCH)
		all->result = -EPERM;
	return 0;
}

/* Consumes the reference. */
static long finish_kill(struct process *p, const struct signal_info *info)
{
	long err = send_checked(p, info);

	process_put(p);
	return err;
}

/* kill() takes the number of any thread for its process. */
static int thread_leader_of(s32 tid, struct process **ret)
{
	struct thread *t = thread_lookup(tid);

	if (!t)
		return -ESRCH;
	*ret = process_get(t->process);
	thread_put(t);
	return 0;
}

long sys_kill(int pid, int signo)
{
	struct signal_info info = info_from_caller(signo, SI_USER);
	struct kill_all all = {.info = &info, .result = -ESRCH};
	struct process *p;

	if (!signal_is_valid(signo))
		return -EINVAL;
	if (pid == -1) {
		process_for_each(kill_one_of_all, &all);
		return all.result;
	}
	if (pid <= 0) {
		if (pid == INT32_MIN)
			return -ESRCH;
		return signal_send_group(pid ? -pid : current_process()->pgid, &info);
	}
	p = process_lookup(pid);
	if (!p)
		return thread_leader_of(pid, &p) ? -ESRCH : finish_kill(p, &info);
	return finish_kill(p, &info);
}

static long send_to_thread(int pid, int tid, const struct signal_info *info)
{
	struct thread *t;
	long err = 0;

	if (tid <= 0 || (pid <= 0 && pid != -1) || !signal_is_valid(info->signo))
		return -EINVAL;
	t = thread_lookup(tid);
	if (!t)
		return -ESRCH;
	if (pid != -1 && t->process->pid != pid)
		err = -ESRCH;
	else if (!process_may_signal(t->process, info->signo))
		err = -EPERM;
	else if (info->signo)
		err = signal_send_thread(t, info);
	thread_put(t);
	return err;
}

long sys_tkill(int tid, int signo)
{
	struct signal_info info = info_from_caller(signo, SI_TKILL);

	return send_to_thread(-1, tid, &info);
}

long sys_tgkill(int pid, int tid, int signo)
{
	struct signal_info info = info_from_caller(signo, SI_TKILL);

	if (pid <= 0)
		return -EINVAL;
	return send_to_thread(pid, tid, &info);
}

static int read_info(int signo, int pid, const void __user *user_info, struct signal_info *ret)
{
	struct abi_siginfo info;

	if (copy_from_user(&info, user_info, sizeof(info)))
		return -EFAULT;
	/* Only to itself may a process pretend that a signal comes from the kernel or kill(). */
	if ((info.code >= 0 || info.code == SI_TKILL) && pid != current_process()->pid)
		return -EPERM;
	signal_info_from_abi(ret, &info);
	ret->signo = signo;
	return 0;
}

long sys_rt_sigqueueinfo(int pid, int signo, const void __user *user_info)
{
	struct signal_info info;
	struct process *p;
	long err = read_info(signo, pid, user_info, &info);

	if (err)
		return err;
	if (!signal_is_valid(signo))
		return -EINVAL;
	p = process_lookup(pid);
	if (!p)
		return -ESRCH;
	return finish_kill(p, &info);
}

long sys_rt_tgsigqueueinfo(int pid, int tid, int signo, const void __user *user_info)
{
	struct signal_info info;
	long err = read_info(signo, pid, user_info, &info);

	if (err)
		return err;
	if (pid <= 0)
		return -EINVAL;
	return send_to_thread(pid, tid, &info);
}

/* A pidfd, or a folder /proc/PID: the oldest kind. */
static int process_of_fd(int fd, struct process **ret)
{
	int err = pidfd_process(fd, ret);
	struct file *f;

	if (err != -EBADF)
		return err;
	f = fd_lookup(current_process()->files, fd);
	if (!f)
		return -EBADF;
	err = procfs_process_of(f, ret);
	file_put(f);
	return err;
}

long sys_pidfd_send_signal(int pidfd, int signo, const void __user *user_info, u32 flags)
{
	struct signal_info info = info_from_caller(signo, SI_USER);
	struct process *p;
	long err;

	if (flags || !signal_is_valid(signo))
		return -EINVAL;
	err = process_of_fd(pidfd, &p);
	if (err)
		return err;
	if (user_info)
		err = read_info(signo, p->pid, user_info, &info);
	if (!err && user_info && info.signo != signo)
		err = -EINVAL;
	if (!err && process_is_reaped(p))
		err = -ESRCH;
	if (!err)
		return finish_kill(p, &info);
	process_put(p);
	return err;
}

static long signalfd(int fd, const void __user *mask, u64 size, u32 flags)
{
	struct file *f;
	sigset_k set;
	long ret;

	if (size != sizeof(set) || (flags & ~(u32)(SFD_NONBLOCK | SFD_CLOEXEC)))
		return -EINVAL;
	if (copy_from_user(&set, mask, sizeof(set)))
		return -EFAULT;
	set &= ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
	if (fd == -1) {
		ret = signalfd_new(set, flags, &f);
		return ret ? ret : fd_publish(f, flags & SFD_CLOEXEC);
	}
	f = arg_file(fd);
	if (!f)
		return -EBADF;
	ret = signalfd_set_mask(f, set);
	file_put(f);
	return ret ? ret : fd;
}

long sys_signalfd(int fd, const void __user *mask, u64 size)
{
	return signalfd(fd, mask, size, 0);
}

long sys_signalfd4(int fd, const void __user *mask, u64 size, int flags)
{
	return signalfd(fd, mask, size, (u32)flags);
}

static bool is_on_altstack(const struct thread *t)
{
	u64 sp = current_regs()->rsp;

	return !(t->altstack_flags & SS_AUTODISARM) && sp > t->altstack_sp &&
	       sp - t->altstack_sp <= t->altstack_size;
}

long sys_sigaltstack(const void __user *stack, void __user *old)
{
	struct thread *t = current_thread();
	struct abi_stack now = {
		.sp = t->altstack_sp,
		.size = t->altstack_size,
		.flags = (s32)((t->altstack_size ? 0 : SS_DISABLE) |
			       (t->altstack_flags & SS_AUTODISARM)),
	};
	struct abi_stack wanted;

	if (is_on_altstack(t))
		now.flags |= SS_ONSTACK;
	if (stack) {
		u32 mode;

		if (copy_from_user(&wanted, stack, sizeof(wanted)))
			return -EFAULT;
		if (is_on_altstack(t))
			return -EPERM;
		mode = (u32)wanted.flags & ~SS_AUTODISARM;
		if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
			return -EINVAL;
		if (mode != SS_DISABLE && wanted.size < ABI_MINSIGSTKSZ)
			return -ENOMEM;
		t->altstack_sp = mode == SS_DISABLE ? 0 : wanted.sp;
		t->altstack_size = mode == SS_DISABLE ? 0 : wanted.size;
		t->altstack_flags = (u32)wanted.flags & SS_AUTODISARM;
		if (mode == SS_DISABLE)
			t->altstack_flags |= SS_DISABLE;
	}
	return old ? copy_to_user(old, &now, sizeof(now)) : 0;
}
