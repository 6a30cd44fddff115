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

static void swap_image(struct process *p, struct exec_image *image)
{
	struct mm *old_mm;
	struct file *old_exe;
	char *old_path;

	mutex_lock(&p->exec_lock);
	old_mm = p->mm;
	old_exe = p->exe;
	old_path = p->exe_path;
	p->mm = image->mm;
	p->exe = image->exe;
	p->exe_path = image->exe_path;
	p->arg_start = image->arg_start;
	p->arg_end = image->arg_end;
	p->env_start = image->env_start;
	p->env_end = image->env_end;
	p->stack_start = image->stack_start;
	memcpy(p->comm, image->comm, sizeof(p->comm));
	p->has_execed = true;
	mutex_unlock(&p->exec_lock);
	mm_put(old_mm);
	file_put(old_exe);
	kfree(old_path);
}

int process_exec(const char *path, struct exec_args *args)
{
	struct process *p = current_process();
	struct thread *t = current_thread();
	struct exec_image image;
	int err = exec_load(p, path, args, &image);

	exec_args_free(args);
	if (err)
		return err;
	err = process_end_siblings(p);
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
	swap_image(p, &image);
	if (image.is_late && exec_finish(p))
		process_exit_group(9); /* as if by SIGKILL */
	fd_table_close_on_exec(p->files);
	signal_exec_reset(p);
	memcpy(t->name, p->comm, sizeof(t->name));

	*current_regs() = image.regs;
	current_regs()->orig_rax = UINT64_MAX;
	arch_set_user_fs(0);
	arch_xstate_reset();
	__atomic_or_fetch(&t->work, WORK_RESTORE, __ATOMIC_RELAXED);
	return 0;
}
