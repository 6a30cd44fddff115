/* SPDX-License-Identifier: Apache-2.0 */
/* The counter lies under a spinlock; readers and writers wait on the queue that poll uses too. */
#include "kernel/fs/anon/eventfd.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/sys/restart.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/fmt.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
	struct spinlock lock;
	u64 count; /* lock */
	bool is_semaphore;
	struct pollq queue;
};

static bool take(struct eventfd *e, u64 *ret)
{
	bool ok;

	spin_lock(&e->lock);
	ok = e->count > 0;
	if (ok) {
		*ret = e->is_semaphore ? 1 : e->count;
		e->count -= *ret;
	}
	spin_unlock(&e->lock);
	return ok;
}

static bool add(struct eventfd *e, u64 value)
{
	bool ok;

	spin_lock(&e->lock);
	ok = value <= COUNT_MAX - e->count;
	if (ok)
		e->count += value;
	spin_unlock(&e->lock);
	return ok;
}

static long event_read(struct file *f, struct uio *uio, u64 offset)
{
	struct eventfd *e = f->priv;
	u64 value = 0;

	if (uio->left < sizeof(value))
		return -EINVAL;
	while (!take(e, &value)) {
		if (file_is_nonblocking(f))
			return -EAGAIN;
		if (wait_event(&e->queue.threads, __atomic_load_n(&e->count, __ATOMIC_ACQUIRE) > 0,
			       DEADLINE_NEVER, true))
			return -ERESTARTSYS;
	}
	pollq_wake(&e->queue, POLLOUT | POLLWRNORM);
	return uio_copy_out(uio, &value, sizeof(value)) ? -EFAULT : (long)sizeof(value);
}

static long event_write(struct file *f, struct uio *uio, u64 *offset)
{
	struct eventfd *e = f->priv;
	u64 value;

	if (uio->left < sizeof(value))
		return -EINVAL;
	if (uio_copy_in(uio, &value, sizeof(value)))
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	while (!add(e, value)) {
		if (file_is_nonblocking(f))
			return -EAGAIN;
		if (wait_event(&e->queue.threads,
			       value <= COUNT_MAX - __atomic_load_n(&e->count, __ATOMIC_ACQUIRE),
			       DEADLINE_NEVER, true))
			return -ERESTARTSYS;
	}
	if (value)
		pollq_wake(&e->queue, POLLIN | POLLRDNORM);
	return sizeof(value);
}

static u32 event_poll(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->priv;
	u64 count;

	poll_listen(pt, &e->queue);
	count = __atomic_load_n(&e->count, __ATOMIC_ACQUIRE);
	return (count ? POLLIN | POLLRDNORM : 0) | (count < COUNT_MAX ? POLLOUT | POLLWRNORM : 0);
}

static void event_release(struct file *f)
{
	struct eventfd *e = f->priv;

	pollq_fini(&e->queue);
	kfree(e);
}

static void event_describe(struct file *f, char *buf, size_t size, size_t *len)
{
	fmt_append(buf, size, len, "eventfd-count: %16llx\n",
		   (unsigned long long)((struct eventfd *)f->priv)->count);
}

static const struct file_ops eventfd_ops = {
	.no_splice = true,
	.is_stream = true,
	.release = event_release,
	.read = event_read,
	.write = event_write,
	.poll = event_poll,
	.describe = event_describe,
};

int eventfd_new(u64 count, u32 flags, struct file **ret)
{
	struct eventfd *e = kzalloc(sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	spin_init(&e->lock, LOCK_ANON_FILE);
	pollq_init(&e->queue);
	e->count = count;
	e->is_semaphore = flags & EFD_SEMAPHORE;
	err = file_new_anon(&eventfd_ops, "anon_inode:[eventfd]", 0600,
			    O_RDWR | (flags & EFD_NONBLOCK), e, ret);
	if (err)
		kfree(e);
	return err;
}
