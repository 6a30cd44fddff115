// SPDX-License-Identifier: Apache-2.0
/*
 * signalfd. The file holds a mask and nothing else: what can be read is what is pending for the
 * thread that reads, so that a descriptor passed on to another process shows that one's signals.
 * Listeners register with the queue of the process that asks; it ends with that process.
 */
#include "kernel/fs/anon/signalfd.h"

#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

struct signalfd {
	sigset_k mask; /* atomic */
};

static sigset_k mask_of(struct file *f)
{
	struct signalfd *s = f->priv;

	return __atomic_load_n(&s->mask, __ATOMIC_RELAXED);
}

static int put_one(struct uio *uio, const struct signal_info *info)
{
	struct abi_signalfd_siginfo out;

	signal_info_to_signalfd(&out, info);
	return uio_copy_out(uio, &out, sizeof(out));
}

static long signalfd_read(struct file *f, struct uio *uio, u64 offset)
{
	struct process *p = current_process();
	struct signal_info info;
	long done = 0;

	if (uio->left < sizeof(struct abi_signalfd_siginfo))
		return -EINVAL;
	while (uio->left >= sizeof(struct abi_signalfd_siginfo)) {
		if (signal_dequeue(mask_of(f), &info)) {
			if (put_one(uio, &info))
				return done ? done : -EFAULT;
			done += sizeof(struct abi_signalfd_siginfo);
			continue;
		}
		if (done)
			break;
		if (file_is_nonblocking(f))
			return -EAGAIN;
		if (wait_event(&p->signal_poll.threads, signal_pending() & mask_of(f),
			       DEADLINE_NEVER, true))
			return -ERESTARTSYS;
	}
	return done;
}

static u32 signalfd_poll(struct file *f, struct poll_table *pt)
{
	poll_listen(pt, &current_process()->signal_poll);
	return signal_pending() & mask_of(f) ? POLLIN | POLLRDNORM : 0;
}

static void signalfd_release(struct file *f)
{
	kfree(f->priv);
}

static void signalfd_describe(struct file *f, char *buf, size_t size, size_t *len)
{
	fmt_append(buf, size, len, "sigmask:\t%016llx\n", (unsigned long long)mask_of(f));
}

static const struct file_ops signalfd_ops = {
	.no_splice = true,
	.is_stream = true,
	.release = signalfd_release,
	.read = signalfd_read,
	.poll = signalfd_poll,
	.describe = signalfd_describe,
};

int signalfd_new(sigset_k mask, u32 flags, struct file **ret)
{
	struct signalfd *s = kzalloc(sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->mask = mask;
	err = file_new_anon(&signalfd_ops, "anon_inode:[signalfd]", 0600,
			    O_RDWR | (flags & SFD_NONBLOCK), s, ret);
	if (err)
		kfree(s);
	return err;
}

int signalfd_set_mask(struct file *f, sigset_k mask)
{
	struct signalfd *s = f->priv;

	if (f->ops != &signalfd_ops)
		return -EINVAL;
	__atomic_store_n(&s->mask, mask, __ATOMIC_RELAXED);
	/* What pends already may be readable now: those who wait look again. */
	pollq_wake(&current_process()->signal_poll, POLLIN | POLLRDNORM);
	return 0;
}
