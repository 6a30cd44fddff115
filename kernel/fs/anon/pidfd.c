// SPDX-License-Identifier: Apache-2.0
/*
 * pidfd. The file holds a reference of its process, so that the number may be used again without
 * the descriptor meaning another one. It becomes readable for poll when the process has ended.
 */
#include "kernel/fs/anon/pidfd.h"

#include "abi/errno.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/fmt.h"

static bool has_ended(const struct process *p)
{
	return __atomic_load_n(&p->zombie, __ATOMIC_ACQUIRE);
}

static u32 pidfd_poll(struct file *f, struct poll_table *pt)
{
	struct process *p = f->priv;

	poll_listen(pt, &p->exit_poll);
	return has_ended(p) ? POLLIN | POLLRDNORM : 0;
}

static void pidfd_release(struct file *f)
{
	process_put(f->priv);
}

static void pidfd_describe(struct file *f, char *buf, size_t size, size_t *len)
{
	struct process *p = f->priv;
	int pid = process_is_reaped(p) ? -1 : p->pid;

	fmt_append(buf, size, len, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_ops = {
	.no_splice = true,
	.is_stream = true,
	.release = pidfd_release,
	.poll = pidfd_poll,
	.describe = pidfd_describe,
};

int pidfd_install(struct process *p, u32 flags)
{
	struct file *f;
	int fd, err;

	process_get(p);
	err = file_new_anon(&pidfd_ops, "anon_inode:[pidfd]", 0600, O_RDWR | flags, p, &f);
	if (err) {
		process_put(p);
		return err;
	}
	fd = fd_install(current_process()->files, f, 0, true);
	if (fd < 0)
		file_put(f);
	return fd;
}

int pidfd_process(int fd, struct process **ret)
{
	struct file *f = fd_lookup(current_process()->files, fd);
	int err = f && f->ops == &pidfd_ops ? 0 : -EBADF;

	if (!err)
		*ret = process_get(f->priv);
	if (f)
		file_put(f);
	return err;
}

bool pidfd_is_nonblocking(int fd)
{
	struct file *f = fd_lookup(current_process()->files, fd);
	bool nonblocking = f && file_is_nonblocking(f);

	if (f)
		file_put(f);
	return nonblocking;
}
