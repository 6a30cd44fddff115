/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe is a ring of bytes under a mutex. The ring starts small and grows to the pipe's size as a
 * writer fills it. Writes of up to PIPE_ATOMIC bytes go in whole or wait. A fifo's pipe hangs on its
 * vnode while anyone has it open.
 */
#include "kernel/fs/pipefs/pipe.h"

#include "abi/errno.h"
#include "abi/ioctl.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/string.h"

#define PIPE_ATOMIC   4096u
#define PIPE_DEFAULT  65536u
#define PIPE_SIZE_MAX (1u << 20)
#define SIGPIPE	      13

struct pipe {
	struct mutex lock;
	struct pollq queue;
	u8 *ring;			/* lock: `room` bytes, a power of two, or NULL */
	u32 room, limit;		/* lock */
	u32 head, fill;			/* lock: first byte, count */
	u32 readers, writers;		/* lock */
	u32 reader_opens, writer_opens; /* lock: ever; a fifo's open waits for one more */
	u32 refs;			/* lock of the vnode */
};

static struct pipe *pipe_alloc(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	mutex_init(&p->lock, LOCK_PIPE);
	pollq_init(&p->queue);
	p->limit = PIPE_DEFAULT;
	return p;
}

static void pipe_free(struct pipe *p)
{
	pollq_fini(&p->queue);
	kfree(p->ring);
	kfree(p);
}

/* Moves the bytes into a ring of `room` bytes, which must hold them. */
static int set_room(struct pipe *p, u32 room)
{
	u8 *ring = kmalloc(room);
	u32 first;

	if (!ring)
		return -ENOMEM;
	first = MIN(p->fill, p->room - p->head);
	if (p->fill) {
		memcpy(ring, p->ring + p->head, first);
		memcpy(ring + first, p->ring, p->fill - first);
	}
	kfree(p->ring);
	p->ring = ring;
	p->room = room;
	p->head = 0;
	return 0;
}

static int make_room(struct pipe *p, size_t want)
{
	u32 room = p->room ? p->room : PIPE_ATOMIC;

	want = MIN(want + p->fill, (size_t)p->limit);
	while (room < want)
		room *= 2;
	if (room == p->room)
		return 0;
	return set_room(p, room) && (!p->room || p->fill == p->room) ? -ENOMEM : 0;
}

static long copy_out(struct pipe *p, struct uio *uio)
{
	long done = 0;

	while (uio->left && p->fill) {
		u32 part = MIN(uio->left, (size_t)MIN(p->fill, p->room - p->head));

		if (uio_copy_out(uio, p->ring + p->head, part))
			return done ? done : -EFAULT;
		p->head = (p->head + part) & (p->room - 1);
		p->fill -= part;
		done += part;
	}
	return done;
}

static long copy_in(struct pipe *p, struct uio *uio)
{
	u32 free = MIN(p->limit, p->room) - p->fill;
	long done = 0;

	while (uio->left && free) {
		u32 at = (p->head + p->fill) & (p->room - 1);
		u32 part = MIN(uio->left, (size_t)MIN(free, p->room - at));

		if (uio_copy_in(uio, p->ring + at, part))
			return done ? done : -EFAULT;
		p->fill += part;
		free -= part;
		done += part;
	}
	return done;
}

static long pipe_read(struct file *f, struct uio *uio, u64 offset)
{
	struct pipe *p = f->priv;
	long ret;

	if (!uio->left)
		return 0;
	mutex_lock(&p->lock);
	while (!p->fill) {
		ret = 0;
		if (!p->writers)
			goto out;
		ret = -EAGAIN;
		if (file_is_nonblocking(f))
			goto out;
		mutex_unlock(&p->lock);
		ret = wait_event(&p->queue.threads,
				 __atomic_load_n(&p->fill, __ATOMIC_ACQUIRE) ||
					 !__atomic_load_n(&p->writers, __ATOMIC_ACQUIRE),
				 DEADLINE_NEVER, true);
		if (ret)
			return -ERESTARTSYS;
		mutex_lock(&p->lock);
	}
	ret = copy_out(p, uio);
out:
	mutex_unlock(&p->lock);
	if (ret > 0)
		pollq_wake(&p->queue, POLLOUT | POLLWRNORM);
	return ret;
}

static u32 free_bytes(const struct pipe *p)
{
	return p->limit - MIN(p->limit, __atomic_load_n(&p->fill, __ATOMIC_ACQUIRE));
}

static long write_some(struct pipe *p, struct uio *uio, size_t whole)
{
	long ret;

	if (!p->readers)
		return -EPIPE;
	if (free_bytes(p) < (uio->left <= whole ? uio->left : 1))
		return -EAGAIN;
	ret = make_room(p, uio->left);
	return ret ? ret : copy_in(p, uio);
}

static long pipe_write(struct file *f, struct uio *uio, u64 *offset)
{
	struct pipe *p = f->priv;
	long done = 0, ret = 0;

	if (!uio->left)
		return 0;
	for (;;) {
		size_t need = uio->left <= PIPE_ATOMIC && !done ? uio->left : 1;

		mutex_lock(&p->lock);
		ret = write_some(p, uio, done ? 0 : PIPE_ATOMIC);
		mutex_unlock(&p->lock);
		if (ret > 0) {
			done += ret;
			pollq_wake(&p->queue, POLLIN | POLLRDNORM);
			if (!uio->left)
				break;
			continue;
		}
		if (ret != -EAGAIN || file_is_nonblocking(f))
			break;
		ret = wait_event(&p->queue.threads,
				 free_bytes(p) >= need ||
					 !__atomic_load_n(&p->readers, __ATOMIC_ACQUIRE),
				 DEADLINE_NEVER, true);
		if (ret) {
			ret = -ERESTARTSYS;
			break;
		}
	}
	if (ret == -EPIPE) {
		struct signal_info info = {.signo = SIGPIPE};

		signal_send_thread(current_thread(), &info);
	}
	return done ? done : ret;
}

static u32 pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->priv;
	u32 events = 0;

	poll_listen(pt, &p->queue);
	mutex_lock(&p->lock);
	if (file_can_read(f)) {
		if (p->fill)
			events |= POLLIN | POLLRDNORM;
		if (!p->writers && p->writer_opens)
			events |= POLLHUP;
	}
	if (file_can_write(f)) {
		if (free_bytes(p) >= PIPE_ATOMIC)
			events |= POLLOUT | POLLWRNORM;
		if (!p->readers)
			events |= POLLERR;
	}
	mutex_unlock(&p->lock);
	return events;
}

static u64 pipe_data_size(struct file *f)
{
	struct pipe *p = f->priv;

	return __atomic_load_n(&p->fill, __ATOMIC_RELAXED);
}

/* One end is closed: the others learn of it. */
static void leave(struct pipe *p, bool reads, bool writes)
{
	mutex_lock(&p->lock);
	p->readers -= reads;
	p->writers -= writes;
	mutex_unlock(&p->lock);
	pollq_wake(&p->queue, POLLHUP | POLLERR | POLLIN | POLLOUT);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->priv;
	bool last;

	leave(p, file_can_read(f), file_can_write(f));
	mutex_lock(&f->vnode->lock);
	last = --p->refs == 0;
	if (last && f->vnode->pipe == p)
		f->vnode->pipe = NULL;
	mutex_unlock(&f->vnode->lock);
	if (last)
		pipe_free(p);
}

static const struct file_ops pipe_ops = {
	.is_stream = true,
	.release = pipe_release,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.data_size = pipe_data_size,
};

int pipe_new(u32 flags, struct file **ret_read, struct file **ret_write)
{
	struct pipe *p = pipe_alloc();
	struct file *r, *w;
	int err;

	if (!p)
		return -ENOMEM;
	p->readers = p->writers = p->reader_opens = p->writer_opens = 1;
	p->refs = 2;
	err = file_new_anon(&pipe_ops, "pipe:", S_IFIFO | 0600, O_RDONLY | (flags & O_NONBLOCK), p,
			    &r);
	if (err) {
		pipe_free(p);
		return err;
	}
	err = file_new_beside(r, &pipe_ops, O_WRONLY | (flags & O_NONBLOCK), p, &w);
	if (err) {
		p->writers = 0;
		p->refs = 1;
		file_put(r);
		return err;
	}
	r->vnode->pipe = p;
	*ret_read = r;
	*ret_write = w;
	return 0;
}

/* --- fifos --------------------------------------------------------------------------------- */

static struct pipe *fifo_pipe(struct vnode *v)
{
	mutex_lock(&v->lock);
	if (!v->pipe)
		v->pipe = pipe_alloc();
	if (v->pipe)
		v->pipe->refs++;
	mutex_unlock(&v->lock);
	return v->pipe;
}

static int fifo_wait(struct pipe *p, u32 *opens, u32 *present, u32 seen)
{
	int ret = wait_event(&p->queue.threads,
			     __atomic_load_n(present, __ATOMIC_ACQUIRE) ||
				     __atomic_load_n(opens, __ATOMIC_ACQUIRE) != seen,
			     DEADLINE_NEVER, true);

	return ret ? -ERESTARTSYS : 0;
}

int fifo_vnode_open(struct vnode *v, struct file *f)
{
	bool reads = file_can_read(f), writes = file_can_write(f);
	bool nonblocking = f->flags & O_NONBLOCK;
	u32 seen_readers, seen_writers;
	struct pipe *p;
	int err = 0;

	if (!S_ISFIFO(v->mode))
		return -ENXIO;
	p = fifo_pipe(v);
	if (!p)
		return -ENOMEM;
	mutex_lock(&p->lock);
	if (writes && !reads && nonblocking && !p->readers)
		err = -ENXIO;
	if (!err) {
		p->readers += reads;
		p->reader_opens += reads;
		p->writers += writes;
		p->writer_opens += writes;
	}
	seen_readers = p->reader_opens;
	seen_writers = p->writer_opens;
	mutex_unlock(&p->lock);
	if (!err) {
		pollq_wake(&p->queue, POLLIN | POLLOUT);
		if (reads && !writes && !nonblocking)
			err = fifo_wait(p, &p->writer_opens, &p->writers, seen_writers);
		else if (writes && !reads)
			err = fifo_wait(p, &p->reader_opens, &p->readers, seen_readers);
		if (err)
			leave(p, reads, writes);
	}
	if (!err) {
		f->ops = &pipe_ops;
		f->priv = p;
		return 0;
	}
	mutex_lock(&v->lock);
	if (--p->refs == 0) {
		v->pipe = NULL;
		pipe_free(p);
	}
	mutex_unlock(&v->lock);
	return err;
}

long pipe_get_size(struct file *f)
{
	return f->ops == &pipe_ops ? (long)((struct pipe *)f->priv)->limit : -EBADF;
}

long pipe_set_size(struct file *f, u64 size)
{
	struct pipe *p = f->priv;
	u32 room = PIPE_ATOMIC;
	long ret;

	if (f->ops != &pipe_ops)
		return -EBADF;
	if (size > PIPE_SIZE_MAX)
		return size > (1u << 31) ? -EINVAL : -EPERM;
	while (room < size)
		room *= 2;
	mutex_lock(&p->lock);
	ret = p->fill > room ? -EBUSY : 0;
	if (!ret && p->room > room)
		ret = set_room(p, room);
	if (!ret) {
		p->limit = room;
		ret = room;
	}
	mutex_unlock(&p->lock);
	return ret;
}
