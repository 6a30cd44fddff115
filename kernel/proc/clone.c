// SPDX-License-Identifier: Apache-2.0
/*
 * clone in the forms that libcs use: threads, processes that run in their parent's memory until
 * they exec (vfork, posix_spawn), and processes with a copy of it (fork, kernel/mm/fork.c).
 *
 * The child starts where the parent's call returns, with the parent's registers but for rax and
 * the stack pointer, and with a copy of its extended state, as on Linux.
 */
#include "abi/errno.h"
#include "abi/sched.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/fs/anon/pidfd.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

#define LOG_TAG "proc"
#include "kernel/core/log.h"

#define CLONE_OF_THREADS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
/* Accepted without effect: they change nothing here. */
#define CLONE_WITHOUT_EFFECT                                                                       \
	(CLONE_SYSVSEM | CLONE_DETACHED | CLONE_PTRACE | CLONE_UNTRACED | CLONE_IO)
#define CLONE_SUPPORTED                                                                            \
	(CLONE_OF_THREADS | CLONE_WITHOUT_EFFECT | CLONE_SETTLS | CLONE_PARENT_SETTID |            \
	 CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_VFORK | CLONE_PARENT | CLONE_PIDFD |    \
	 CLONE_CLEAR_SIGHAND)
#define CLONE_NEW_SPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
#define USER_ADDRESS_END (1ull << 47)
#define XSTATE_ALIGNMENT 64

static int check(const struct clone_request *r)
{
	if ((r->flags & CLONE_SIGHAND) && !(r->flags & CLONE_VM))
		return -EINVAL;
	if ((r->flags & CLONE_THREAD) && !(r->flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((r->flags & CLONE_SIGHAND) && (r->flags & CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((r->flags & CLONE_PIDFD) && (r->flags & (CLONE_THREAD | CLONE_DETACHED)))
		return -EINVAL;
	if ((r->flags & CLONE_FS) && (r->flags & (CLONE_NEWNS | CLONE_NEWUSER)))
		return -EINVAL;
	if (r->flags & CLONE_NEW_SPACES)
		return -EPERM; /* as for who may not make them */
	if ((r->flags & CLONE_SETTLS) && r->tls >= USER_ADDRESS_END)
		return -EPERM;
	if (r->flags & ~CLONE_SUPPORTED)
		return -EINVAL;
	return 0;
}

static int check_thread(const struct clone_request *r)
{
	if ((r->flags & CLONE_OF_THREADS) == CLONE_OF_THREADS && !(r->flags & CLONE_VFORK))
		return 0;
	log_warn("clone of a thread with flags 0x%llx is not supported.",
		 (unsigned long long)r->flags);
	return -EINVAL;
}

static int check_process(const struct clone_request *r)
{
	/* Handlers that two processes share: nothing since LinuxThreads asks for that. */
	if (r->flags & CLONE_SIGHAND) {
		log_warn("clone of a process with flags 0x%llx is not supported.",
			 (unsigned long long)r->flags);
		return -EINVAL;
	}
	return 0;
}

static int copy_xstate(struct thread *t)
{
	void *block = kmalloc(arch_xstate_size() + XSTATE_ALIGNMENT);

	if (!block)
		return -ENOMEM;
	t->start_xstate_block = block;
	t->start_xstate = (void *)ALIGN_UP((uintptr_t)block, (uintptr_t)XSTATE_ALIGNMENT);
	arch_xstate_save(t->start_xstate);
	return 0;
}

static void copy_state(struct thread *t, const struct clone_request *r)
{
	struct thread *self = current_thread();

	t->start_regs = *current_regs();
	t->start_regs.rax = 0;
	t->start_regs.orig_rax = UINT64_MAX;
	if (r->stack)
		t->start_regs.rsp = r->stack;
	t->start_fs = r->flags & CLONE_SETTLS ? r->tls : arch_get_user_fs();
	t->blocked = self->has_saved_blocked ? self->saved_blocked : self->blocked;
	memcpy(t->name, self->name, sizeof(t->name));
	t->affinity = self->affinity;
	t->policy = self->policy;
	t->io_priority = self->io_priority;
	t->timer_slack_ns = self->timer_slack_ns;
	/* As on Linux: a thread has no alternate stack, a copy of the program has its parent's. */
	if (!(r->flags & CLONE_VM) || (r->flags & CLONE_VFORK)) {
		t->altstack_sp = self->altstack_sp;
		t->altstack_size = self->altstack_size;
		t->altstack_flags = self->altstack_flags;
	}
	if ((r->flags & CLONE_CHILD_SETTID) && !(r->flags & CLONE_VM))
		t->set_child_tid = r->child_tid;
	if (r->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = r->child_tid;
}

static int store_tids(const struct clone_request *r, s32 tid)
{
	if ((r->flags & CLONE_PARENT_SETTID) &&
	    put_user_u32((void __user *)r->parent_tid, (u32)tid))
		return -EFAULT;
	/* A child that shares our memory: storing for it here is the same, and can still fail. */
	if ((r->flags & CLONE_CHILD_SETTID) && (r->flags & CLONE_VM) &&
	    put_user_u32((void __user *)r->child_tid, (u32)tid))
		return -EFAULT;
	return 0;
}

static int new_thread(struct process *p, const struct clone_request *request, struct thread **ret)
{
	struct thread *t = thread_new(p);
	int err;

	if (!t)
		return -ENOMEM;
	err = copy_xstate(t);
	if (err) {
		thread_put(t);
		return err;
	}
	copy_state(t, request);
	*ret = t;
	return 0;
}

static long clone_thread(const struct clone_request *request)
{
	struct thread *t;
	long err = check_thread(request);
	s32 tid;

	if (!err)
		err = process_check_limit(current_process());
	if (!err)
		err = new_thread(current_process(), request, &t);
	if (err)
		return err;
	tid = id_alloc();
	if (tid < 0) {
		err = tid;
		goto put;
	}
	t->tid = tid;
	err = store_tids(request, tid);
	if (err)
		goto release;
	err = thread_attach(t);
	if (err)
		goto release;
	err = thread_start(t);
	if (err) {
		thread_detach(t);
		goto release;
	}
	thread_put(t);
	return tid;
release:
	id_release(tid);
put:
	thread_put(t);
	return err;
}

static int store_pidfd(const struct clone_request *r, struct process *child, int *ret_fd)
{
	int fd;

	*ret_fd = -1;
	if (!(r->flags & CLONE_PIDFD))
		return 0;
	fd = pidfd_install(child, 0);
	if (fd < 0)
		return fd;
	if (put_user_u32((void __user *)r->pidfd, (u32)fd)) {
		(void)fd_close(current_process()->files, fd);
		return -EFAULT;
	}
	*ret_fd = fd;
	return 0;
}

/*
 * Once it is linked, the child may end and be reaped at any moment: our reference keeps its
 * struct, and the number is read before.
 */
static long run_child(struct process *child, const struct clone_request *request)
{
	s32 pid = child->pid;
	struct thread *t;
	int fd = -1;
	long err = new_thread(child, request, &t);

	if (err)
		goto discard;
	t->tid = pid;
	id_hold(pid);
	err = store_tids(request, pid);
	if (!err)
		err = store_pidfd(request, child, &fd);
	if (!err)
		err = thread_attach(t);
	if (err)
		goto put;
	err = child_link(child, request->flags);
	if (err)
		goto detach;
	child->is_awaited = request->flags & CLONE_VFORK;
	err = thread_start(t);
	if (err)
		goto detach;
	thread_put(t);
	if (request->flags & CLONE_VFORK)
		child_wait_vfork(child);
	return pid;
detach:
	thread_detach(t);
put:
	if (fd >= 0)
		(void)fd_close(current_process()->files, fd);
	id_release(pid);
	thread_put(t);
discard:
	child_discard(child);
	return err;
}

static long clone_process(const struct clone_request *request)
{
	struct process *child;
	long ret = check_process(request);

	if (!ret)
		ret = child_new(request, &child);
	if (ret)
		return ret;
	process_get(child);
	ret = run_child(child, request);
	process_put(child);
	return ret;
}

long process_clone(const struct clone_request *request)
{
	long err = check(request);

	if (err)
		return err;
	return request->flags & CLONE_THREAD ? clone_thread(request) : clone_process(request);
}
