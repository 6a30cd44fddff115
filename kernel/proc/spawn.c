// SPDX-License-Identifier: Apache-2.0
/*
 * Programs that start in a process of their own at once, without a copy of anybody: those that the
 * host starts, and those of the spawn calls. The program is loaded by the thread that asks, so
 * that a failure is its result and nothing has run.
 */
#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/signal/signal.h"
#include "kernel/vfs/file.h"

/* The first thread of a process with a loaded program; on its list, not yet running. */
static int add_first_thread(struct process *p, const struct exec_image *image, sigset_k blocked,
			    struct thread **ret)
{
	struct thread *t = thread_new(p);
	int err;

	if (!t)
		return -ENOMEM;
	t->tid = p->pid;
	id_hold(t->tid);
	t->start_regs = image->regs;
	t->blocked = blocked;
	err = thread_attach(t);
	if (err) {
		id_release(t->tid);
		thread_put(t);
		return err;
	}
	*ret = t;
	return 0;
}

static void remove_first_thread(struct thread *t)
{
	thread_detach(t);
	id_release(t->tid);
}

/* The terminal that the host's user sits at becomes the session's. */
static int take_terminal(struct process *p, struct file *file)
{
	struct tty *t;

	if (p->tty || !host_stdio_is_terminal(file))
		return 0;
	t = tty_new(true);
	if (!t)
		return -ENOMEM;
	tty_give_to_leader(t, p);
	tty_put(t);
	return 0;
}

static int open_stdio(struct process *p, const s32 stdio[3])
{
	for (int fd = 0; fd < 3; fd++) {
		struct file *file;
		int err;

		if (stdio[fd] < 0)
			continue;
		err = host_stdio_file(stdio[fd], &file);
		if (err == -EBADF)
			continue; /* closed outside is closed inside */
		if (err)
			return err;
		err = take_terminal(p, file);
		if (!err)
			err = fd_install_at(p->files, file, fd, false);
		if (err < 0) {
			file_put(file);
			return err;
		}
	}
	return 0;
}

int process_create(const char *path, struct file *opened, struct exec_args *args,
		   const struct credentials *cred, const s32 stdio[3], struct process **ret_process)
{
	struct exec_image image;
	struct process *p = process_new();
	struct thread *t;
	int err = -ENOMEM;

	if (!p)
		return -ENOMEM;
	p->cred = *cred;
	p->files = fd_table_new();
	p->fs = fs_context_new();
	if (p->files && p->fs)
		err = open_stdio(p, stdio);
	if (!err)
		err = exec_load_opened(p, path, opened, args, &image);
	if (err)
		goto fail;
	process_take_image(p, &image);
	err = add_first_thread(p, &image, 0, &t);
	if (err)
		goto fail;
	thread_put(t); /* the list has its own */
	*ret_process = process_get(p);
	return 0;
fail:
	child_discard(p);
	return err;
}

int process_start(struct process *p)
{
	struct thread *t;
	int err;

	process_lock(p);
	if (list_is_empty(&p->threads)) {
		process_unlock(p);
		return -ESRCH;
	}
	t = thread_get(list_first_entry(&p->threads, struct thread, process_node));
	process_unlock(p);
	err = thread_start(t);
	if (err) {
		remove_first_thread(t);
		child_discard(p);
	}
	thread_put(t);
	return err;
}

static void apply_signals(struct process *child, const struct spawn_request *r)
{
	signal_reset_handlers(child);
	for (int signo = 1; signo <= SIGNAL_COUNT; signo++) {
		if (r->default_signals & SIG_BIT(signo))
			child->actions[signo - 1] = (struct sigaction_k){0};
	}
}

static int load_child(struct process *child, const struct spawn_request *r, struct thread **ret)
{
	struct exec_image image;
	int err = r->prepare ? r->prepare(child, r->context) : 0;

	if (err)
		return err;
	fd_table_close_on_exec(child->files);
	err = exec_load(child, r->path, r->args, &image);
	if (err)
		return err;
	process_take_image(child, &image);
	return add_first_thread(child, &image, r->blocked, ret);
}

long process_spawn(const struct spawn_request *r)
{
	const struct clone_request like_fork = {.exit_signal = SIGCHLD};
	struct process *child;
	struct thread *t;
	s32 pid;
	int err = child_prepare(&like_fork, &child);

	if (err)
		return err;
	pid = child->pid;
	apply_signals(child, r);
	err = load_child(child, r, &t);
	if (err)
		goto discard;
	err = child_link(child, 0);
	if (!err && r->sets_group)
		err = process_set_group(pid, r->group);
	__atomic_store_n(&child->has_execed, true, __ATOMIC_RELAXED);
	if (!err)
		err = thread_start(t);
	if (err) {
		remove_first_thread(t);
		thread_put(t);
		goto discard;
	}
	thread_put(t);
	return pid;
discard:
	child_discard(child);
	return err;
}
