/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe is a ring of bytes under a mutex. Writes of up to PIPE_ATOMIC bytes go in whole or wait. A
 * fifo's pipe hangs on its vnode while anyone has it open.
 */
#include "kernel/fs/pipefs/pipe.h"

#include "abi/errno.h"
#include "abi/ioctl.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/pipefs/pipe_priv.h"
#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/vfs/walk.h"

#define PIPE_DEFAULT  65536u
#define PIPE_SIZE_MAX (1u << 20)
#define SIGPIPE	      13

struct heap_share pipe_memory = HEAP_SHARE(8);

static bool is_privileged(void)
{
	return vfs_caller_capable(CAP_SYS_RESOURCE);
}

/* -ENFILE: others than root have enough of them. */
static int pipe_alloc(struct pipe **ret)
{
	struct pipe *p;

	if (is_privileged())
		heap_share_charge(&pipe_memory, PIPE_ATOMIC);
	else if (!heap_share_take(&pipe_memory, PIPE_ATOMIC, 2))
		return -ENFILE;
	p = kzalloc(sizeof(*p));
	if (!p) {
		heap_share_give(&pipe_memory, PIPE_ATOMIC);
		return -ENOMEM;
	}
	mutex_init(&p->lock, LOCK_PIPE);
	pollq_init(&p->queue);
	p->limit = PIPE_DEFAULT;
	p->charged = PIPE_ATOMIC;
	*ret = p;
	return 0;
}

/* The ring may have another size than before. */
static void count_ring(struct pipe *p)
{
	u32 now = MAX(p->ring.room, PIPE_ATOMIC);

	if (likely(now == p->charged))
		return;
	heap_share_charge(&pipe_memory, now);
	heap_share_give(&pipe_memory, p->charged);
	p->charged = now;
}

long pipe_ring_put(struct pipe *p, struct uio *uio, u32 room)
{
	long n = byte_ring_put(&p->ring, uio, p->ring.fill + room);

	count_ring(p);
	return n;
}

int pipe_ring_resize(struct pipe *p, u32 room)
{
	int err = byte_ring_resize(&p->ring, room);

	count_ring(p);
	return err;
}

/* An empty ring is kept for the next bytes, unless there are too many of them. */
static void drop_empty_ring(struct pipe *p)
{
	if (p->ring.fill || p->reserved || p->ring.room <= PIPE_ATOMIC ||
	    !heap_share_exceeds(&pipe_memory, 2))
		return;
	byte_ring_fini(&p->ring);
	count_ring(p);
}

static void pipe_free(struct pipe *p)
{
	pollq_fini(&p->queue);
	byte_ring_fini(&p->ring);
	heap_share_give(&pipe_memory, p->charged);
	kfree(p);
}

long pipe_read_some(struct file *f, struct uio *uio, bool nonblocking)
{
	struct pipe *p = f->priv;
	long ret;

	if (!uio->left)
		return 0;
	mutex_lock(&p->lock);
	while (!pipe_has_bytes(p)) {
		ret = 0;
		if (pipe_is_at_end(p))
			goto out;
		ret = -EAGAIN;
		if (nonblocking)
			goto out;
		mutex_unlock(&p->lock);
		ret = wait_event(&p->queue.threads, pipe_has_bytes(p) || pipe_is_at_end(p),
				 DEADLINE_NEVER, true);
		if (ret)
			return -ERESTARTSYS;
		mutex_lock(&p->lock);
	}
	ret = byte_ring_get(&p->ring, uio, UINT32_MAX);
	drop_empty_ring(p);
out:
	mutex_unlock(&p->lock);
	if (ret > 0)
		pollq_wake(&p->queue, POLLOUT | POLLWRNORM);
	return ret;
}

static long pipe_read(struct file *f, struct uio *uio, u64 offset)
{
	return pipe_read_some(f, uio, file_is_nonblocking(f));
}

static long write_some(struct pipe *p, struct uio *uio, size_t whole)
{
	u32 room = pipe_free_bytes(p);

	if (!p->readers)
		return -EPIPE;
	if (room < (uio->left <= whole ? uio->left : 1))
		return -EAGAIN;
	return pipe_ring_put(p, uio, room);
}

long pipe_broken(long ret)
{
	if (ret == -EPIPE) {
		struct signal_info info = {.signo = SIGPIPE};

		signal_send_thread(current_thread(), &info);
	}
	return ret;
}

long pipe_write_some(struct file *f, struct uio *uio, bool nonblocking)
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
		if (ret != -EAGAIN || nonblocking)
			break;
		ret = wait_event(&p->queue.threads,
				 pipe_free_bytes(p) >= need || !pipe_has_readers(p), DEADLINE_NEVER,
				 true);
		if (ret) {
			ret = -ERESTARTSYS;
			break;
		}
	}
	ret = pipe_broken(ret);
	return done ? done : ret;
}

int pipe_wait_room(struct file *f, u64 size)
{
	struct pipe *p = f->priv;
	size_t need = size <= PIPE_ATOMIC ? (size_t)size : 1;

	return wait_event(&p->queue.threads, pipe_free_bytes(p) >= need || !pipe_has_readers(p),
			  DEADLINE_NEVER, true)
		       ? -ERESTARTSYS
		       : 0;
}

static long pipe_write(struct file *f, struct uio *uio, u64 *offset)
{
	return pipe_write_some(f, uio, file_is_nonblocking(f));
}

static u32 pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->priv;
	u32 events = 0;

	poll_listen(pt, &p->queue);
	mutex_lock(&p->lock);
	if (file_can_read(f)) {
		if (pipe_has_bytes(p))
			events |= POLLIN | POLLRDNORM;
		if (!p->writers && p->writer_opens)
			events |= POLLHUP;
	}
	if (file_can_write(f)) {
		if (pipe_free_bytes(p) >= PIPE_ATOMIC)
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

	return __atomic_load_n(&p->ring.fill, __ATOMIC_RELAXED);
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
	struct file *r, *w;
	struct pipe *p;
	int err = pipe_alloc(&p);

	if (err)
		return err;
	p->readers = p->writers = p->reader_opens = p->writer_opens = 1;
	p->refs = 2;
	p->has_no_name = true;
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

static int fifo_pipe(struct vnode *v, struct pipe **ret)
{
	int err = 0;

	mutex_lock(&v->lock);
	if (!v->pipe)
		err = pipe_alloc(&v->pipe);
	if (!err) {
		v->pipe->refs++;
		*ret = v->pipe;
	}
	mutex_unlock(&v->lock);
	return err;
}

/* Until the other side has been opened once more than `seen`; it may be closed again by then. */
static int fifo_wait(struct pipe *p, u32 *opens, u32 seen)
{
	int ret = wait_event(&p->queue.threads, __atomic_load_n(opens, __ATOMIC_ACQUIRE) != seen,
			     DEADLINE_NEVER, true);

	return ret ? -ERESTARTSYS : 0;
}

int fifo_vnode_open(struct vnode *v, struct file *f)
{
	bool reads = file_can_read(f), writes = file_can_write(f);
	bool nonblocking = f->flags & O_NONBLOCK;
	u32 seen = 0, *awaited = NULL; /* counts the opens of the side that is missing */
	struct pipe *p;
	int err = 0;

	if (!S_ISFIFO(v->mode))
		return -ENXIO;
	err = fifo_pipe(v, &p);
	if (err)
		return err;
	mutex_lock(&p->lock);
	if (writes && !reads && nonblocking && !p->readers && !p->has_no_name)
		err = -ENXIO;
	if (!err) {
		p->readers += reads;
		p->reader_opens += reads;
		p->writers += writes;
		p->writer_opens += writes;
	}
	/* Who is there now is enough, even if he leaves before this thread runs again. */
	if (!p->has_no_name && reads && !writes && !nonblocking && !p->writers)
		awaited = &p->writer_opens;
	else if (!p->has_no_name && writes && !reads && !p->readers)
		awaited = &p->reader_opens;
	if (awaited)
		seen = *awaited;
	mutex_unlock(&p->lock);
	if (!err) {
		pollq_wake(&p->queue, POLLIN | POLLOUT);
		if (awaited)
			err = fifo_wait(p, awaited, seen);
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

bool file_is_pipe(const struct file *f)
{
	return f->ops == &pipe_ops;
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
	ret = p->ring.fill + p->reserved > room ? -EBUSY : 0;
	if (!ret && room > p->limit && heap_share_exceeds(&pipe_memory, 1) && !is_privileged())
		ret = -EPERM;
	if (!ret && p->ring.room > room)
		ret = pipe_ring_resize(p, room);
	if (!ret) {
		p->limit = room;
		ret = room;
	}
	mutex_unlock(&p->lock);
	return ret;
}
