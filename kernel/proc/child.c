// SPDX-License-Identifier: Apache-2.0
/*
 * A process made from the current one, step by step: allocate (process_new), copy or share what is
 * not memory (here), share or copy the memory (memory_from_parent), link into the tree, run. Until
 * it is linked nobody waits for it and it may be given up at any step: child_discard().
 *
 * A child that runs in its parent's memory (vfork, posix_spawn) holds that memory like a process of
 * its own, so it does not matter who ends first. The parent of a vfork() sleeps until the child
 * has left, by exec or by its end; only what kills the parent ends that sleep early.
 */
#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "kernel/core/kmem.h"
#include "kernel/ipc/shm.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/signal/signal.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

#define LOG_TAG "proc"
#include "kernel/core/log.h"

struct user_count {
	u32 uid;
	u64 threads;
};

static int count_user(struct process *p, void *arg)
{
	struct user_count *c = arg;

	if (p->cred.uid == c->uid)
		c->threads += __atomic_load_n(&p->thread_count, __ATOMIC_RELAXED);
	return 0;
}

int process_check_limit(struct process *p)
{
	struct user_count c = {.uid = p->cred.uid};
	u64 limit = p->limits[ABI_RLIMIT_NPROC].soft;

	/* As on Linux root may exceed it; what bounds everybody is the number of thread slots. */
	if (c.uid == 0 || limit == ABI_RLIM_INFINITY ||
	    credentials_capable(&p->cred, CAP_SYS_RESOURCE) ||
	    credentials_capable(&p->cred, CAP_SYS_ADMIN))
		return 0;
	process_for_each(count_user, &c);
	return c.threads < limit ? 0 : -EAGAIN;
}

static int copy_files(struct process *child, struct process *p, u64 flags)
{
	child->files = flags & CLONE_FILES ? fd_table_get(p->files) : fd_table_copy(p->files);
	child->fs = flags & CLONE_FS ? fs_context_get(p->fs) : fs_context_copy(p->fs);
	return child->files && child->fs ? 0 : -ENOMEM;
}

static void copy_signals(struct process *child, struct process *p, u64 flags)
{
	process_lock(p);
	memcpy(child->actions, p->actions, sizeof(child->actions));
	process_unlock(p);
	if (flags & CLONE_CLEAR_SIGHAND)
		signal_reset_handlers(child);
}

static void copy_identity(struct process *child, struct process *p)
{
	child->cred = p->cred;
	memcpy(child->limits, p->limits, sizeof(child->limits));
	child->heap_limit = p->heap_limit;
	memcpy(child->comm, p->comm, sizeof(child->comm));
	child->nice = p->nice;
	child->barriers = p->barriers;
	child->undumpable = p->undumpable;
	child->oom_score_adj = p->oom_score_adj;
	child->no_new_privs = p->no_new_privs;
}

/* exec_lock: another thread may be reading /proc/self, and nobody changes these meanwhile. */
static int copy_program(struct process *child, struct process *p)
{
	int err = -ENOMEM;

	mutex_lock(&p->exec_lock);
	child->exe_path = kstrdup(p->exe_path);
	if (child->exe_path) {
		child->exe = file_get(p->exe);
		child->arg_start = p->arg_start;
		child->arg_end = p->arg_end;
		child->env_start = p->env_start;
		child->env_end = p->env_end;
		child->stack_start = p->stack_start;
		err = 0;
	}
	mutex_unlock(&p->exec_lock);
	return err;
}

static int memory_from_parent(struct process *child, struct process *p, u64 flags)
{
	int err;

	if (flags & CLONE_VM) {
		child->mm = mm_get(p->mm);
		mm_enter(child->mm);
		return 0;
	}
	err = mm_fork(p->mm, &child->mm);
	if (err)
		return err;
	mm_enter(child->mm); /* first, so that child_discard() leaves it like any other */
	return shm_process_fork(p, child);
}

static void join_group(struct process *child, struct process *p)
{
	s32 own = child->pid;

	spin_lock(&process_tree_lock);
	child->pgid = p->pgid;
	child->sid = p->sid;
	id_hold(child->pgid);
	id_hold(child->sid);
	child->tty = p->tty;
	if (child->tty)
		tty_get(child->tty);
	spin_unlock(&process_tree_lock);
	id_release(own);
	id_release(own);
}

int child_prepare(const struct clone_request *request, struct process **ret)
{
	struct process *p = current_process();
	struct process *child;
	int err = process_check_limit(p);

	if (err)
		return err;
	child = process_new();
	if (!child)
		return -EAGAIN;
	child->exit_signal = (s32)request->exit_signal;
	join_group(child, p);
	copy_identity(child, p);
	copy_signals(child, p, request->flags);
	err = copy_files(child, p, request->flags);
	if (err) {
		child_discard(child);
		return err;
	}
	*ret = child;
	return 0;
}

int child_new(const struct clone_request *request, struct process **ret)
{
	struct process *p = current_process();
	struct process *child;
	int err = child_prepare(request, &child);

	if (err)
		return err;
	err = copy_program(child, p);
	if (!err)
		err = memory_from_parent(child, p, request->flags);
	if (err) {
		child_discard(child);
		return err;
	}
	*ret = child;
	return 0;
}

void child_discard(struct process *child)
{
	spin_lock(&process_tree_lock);
	list_del(&child->sibling); /* before anybody could wait for it */
	spin_unlock(&process_tree_lock);
	shm_process_exit(child);
	process_release_resources(child);
	__atomic_store_n(&child->zombie, true, __ATOMIC_RELEASE);
	process_reap(child);
}

int child_link(struct process *child, u64 flags)
{
	struct process *p = current_process(), *parent = p;
	int err = 0;

	spin_lock(&process_tree_lock);
	if (flags & CLONE_PARENT) {
		parent = p->parent;
		child->exit_signal = p->exit_signal;
	}
	child->parent = parent;
	child->parent_pid = parent ? parent->pid : p->parent_pid;
	if (!parent)
		child->is_orphan = true;
	else if (parent->children_end)
		err = -EAGAIN; /* it ends this moment: nobody would take the child over */
	else
		list_add_tail(&parent->children, &child->sibling);
	if (err)
		child->parent = NULL;
	spin_unlock(&process_tree_lock);
	return err;
}

void child_wait_vfork(struct process *child)
{
	struct thread *t = current_thread();

	(void)wait_event(&child->exit_wait,
			 __atomic_load_n(&child->has_left_parent, __ATOMIC_ACQUIRE) ||
				 signal_will_kill(t),
			 DEADLINE_NEVER, false);
	__atomic_store_n(&child->is_awaited, false, __ATOMIC_RELAXED);
}

void child_leave_parent(struct process *child)
{
	__atomic_store_n(&child->has_left_parent, true, __ATOMIC_SEQ_CST);
	waitq_wake_all(&child->exit_wait);
}
