// SPDX-License-Identifier: Apache-2.0
/*
 * execve: the current process goes on as another program. The new image is loaded first, beside
 * the old one, so that a failure leaves the caller as it was. Then all other threads end, each
 * acknowledging it itself (exit.c), and only then the old memory goes.
 */
#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/futex/futex.h"
#include "kernel/ipc/shm.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/turn.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/signal/signal.h"
#include "kernel/time/timer.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

/* The thread that called execve carries the process's id on, whichever thread it was. */
static void take_leader_id(struct process *p, struct thread *t)
{
	s32 old = t->tid;

	if (old == p->pid)
		return;
	id_set_thread(old, NULL);
	id_hold(p->pid);
	t->tid = p->pid;
	id_set_thread(t->tid, t);
	id_release(old);
}

static void take_ids(struct process *p, const struct exec_image *image)
{
	struct credentials *c = &p->cred;

	if (image->euid != c->euid || image->egid != c->egid) {
		c->euid = image->euid;
		c->egid = image->egid;
		p->parent_death_signal = 0;
	}
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	capabilities_exec(c, image->may_gain);
	p->undumpable = image->is_secure;
}

void process_take_image(struct process *p, struct exec_image *image)
{
	p->mm = image->mm;
	p->image_count++;
	mm_enter(p->mm);
	p->exe = image->exe;
	p->exe_path = image->exe_path;
	p->is_late = image->is_late;
	p->arg_start = image->arg_start;
	p->arg_end = image->arg_end;
	p->env_start = image->env_start;
	p->env_end = image->env_end;
	p->stack_start = image->stack_start;
	memcpy(p->comm, image->comm, sizeof(p->comm));
	take_ids(p, image);
}

static void swap_image(struct process *p, struct exec_image *image)
{
	struct mm *old_mm;
	struct file *old_exe;
	char *old_path;

	mutex_lock(&p->exec_lock);
	old_mm = p->mm;
	old_exe = p->exe;
	old_path = p->exe_path;
	process_take_image(p, image);
	__atomic_store_n(&p->has_execed, true, __ATOMIC_RELAXED);
	p->exit_signal = SIGCHLD;
	mutex_unlock(&p->exec_lock);
	process_leave_memory(p, old_mm);
	turn_attach(p->mm);
	child_leave_parent(p);
	file_put(old_exe);
	kfree(old_path);
}

/* A descriptor table that another process uses too (CLONE_FILES) stays with that one. */
static int own_files(struct process *p)
{
	struct fd_table *shared = p->files, *own;

	if (!fd_table_is_shared(shared))
		return 0;
	own = fd_table_copy(shared);
	if (!own)
		return -ENOMEM;
	mutex_lock(&p->exec_lock);
	p->files = own;
	mutex_unlock(&p->exec_lock);
	fd_table_put(shared);
	return 0;
}

static int own_fs(struct process *p)
{
	struct fs_context *shared = p->fs, *own = fs_context_copy(shared);

	if (!own)
		return -ENOMEM;
	mutex_lock(&p->exec_lock);
	p->fs = own;
	mutex_unlock(&p->exec_lock);
	fs_context_put(shared);
	return 0;
}

int process_unshare(bool fs, bool files)
{
	struct process *p = current_process();
	int err = fs ? own_fs(p) : 0;

	return err || !files ? err : own_files(p);
}

int process_exec(const char *path, struct file *file, struct exec_args *args)
{
	struct process *p = current_process();
	struct thread *t = current_thread();
	struct exec_image image;
	int err = exec_load_opened(p, path, file, args, &image);

	exec_args_free(args);
	if (file)
		file_put(file);
	if (err)
		return err;
	err = process_end_siblings(p);
	/* A sibling may have given its working directory to another process meanwhile. */
	if (!err && image.may_gain && !exec_may_gain(p))
		err = -EAGAIN;
	if (!err)
		err = own_files(p);
	if (err) {
		exec_image_free(&image);
		return err;
	}

	/* No way back from here. */
	take_leader_id(p, t);
	futex_thread_exit(t);
	t->robust_list = 0;
	t->clear_child_tid = 0;
	timers_process_exec(p);
	shm_process_exit(p);
	/* A parent that waits for an end of a pipe as well finds it closed when it goes on. */
	fd_table_close_on_exec(p->files);
	swap_image(p, &image);
	if (p->is_late && exec_finish(p))
		process_exit_group(SIGKILL);
	signal_exec_reset(p);
	__atomic_store_n(&p->barriers, 0, __ATOMIC_RELAXED);
	memcpy(t->name, p->comm, sizeof(t->name));

	*current_regs() = image.regs;
	current_regs()->orig_rax = UINT64_MAX;
	arch_set_user_fs(0);
	arch_xstate_reset();
	__atomic_or_fetch(&t->work, WORK_RESTORE, __ATOMIC_RELAXED);
	return 0;
}
