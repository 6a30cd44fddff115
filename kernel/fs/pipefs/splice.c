// SPDX-License-Identifier: Apache-2.0
/*
 * Moving bytes between pipes and files. Linux moves pages; here bytes are copied, which a program
 * cannot tell. Nothing is lost between the two ends: what leaves a pipe for a file stays in the
 * pipe, taken, until the file has it, and room in a pipe is reserved before a file is read. Between
 * two pipes both are locked, in the order of their addresses.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/pipefs/pipe_priv.h"
#include "kernel/proc/process.h"
#include "kernel/sys/restart.h"

#define ANY_EVENT (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM)

static int wait_for_bytes(struct pipe *p)
{
	return wait_event(&p->queue.threads, pipe_has_bytes(p) || pipe_is_at_end(p), DEADLINE_NEVER,
			  true)
		       ? -ERESTARTSYS
		       : 0;
}

static int wait_for_room(struct pipe *p)
{
	return wait_event(&p->queue.threads, pipe_free_bytes(p) || !pipe_has_readers(p),
			  DEADLINE_NEVER, true)
		       ? -ERESTARTSYS
		       : 0;
}

/* --- out of a pipe ------------------------------------------------------------------------- */

/* Keeps other readers away. 1, 0 at the end, or -errno. */
static int take(struct pipe *p, bool nonblocking)
{
	for (;;) {
		int ret = -EAGAIN;

		mutex_lock(&p->lock);
		if (pipe_has_bytes(p)) {
			p->is_taken = true;
			ret = 1;
		} else if (pipe_is_at_end(p)) {
			ret = 0;
		}
		mutex_unlock(&p->lock);
		if (ret != -EAGAIN || nonblocking)
			return ret;
		ret = wait_for_bytes(p);
		if (ret)
			return ret;
	}
}

static void leave(struct pipe *p)
{
	mutex_lock(&p->lock);
	p->is_taken = false;
	mutex_unlock(&p->lock);
	pollq_wake(&p->queue, ANY_EVENT);
}

/* One buffer full: what the file took of it. */
static long put_out(struct pipe *p, u8 *buf, size_t size, struct file *out, u64 *offset,
		    long *ret_tried)
{
	struct uio uio = uio_kernel(buf, size);
	long n;

	mutex_lock(&p->lock);
	*ret_tried = byte_ring_peek(&p->ring, &uio, 0, UINT32_MAX);
	mutex_unlock(&p->lock);
	if (*ret_tried <= 0)
		return 0;
	uio = uio_kernel(buf, (size_t)*ret_tried);
	n = offset ? file_pwrite(out, &uio, *offset) : file_write(out, &uio);
	if (n <= 0)
		return n;
	if (offset)
		*offset += (u64)n;
	mutex_lock(&p->lock);
	byte_ring_drop(&p->ring, (u32)n);
	mutex_unlock(&p->lock);
	pollq_wake(&p->queue, POLLOUT | POLLWRNORM);
	return n;
}

long splice_to_file(struct file *pipe, struct file *out, u64 *offset, size_t count,
		    bool nonblocking)
{
	struct pipe *p = pipe->priv;
	size_t room = MIN(count, (size_t)PIPE_CHUNK);
	u8 *buf = kmalloc(room);
	long done = 0, n;

	if (!buf)
		return -ENOMEM;
	n = take(p, nonblocking);
	if (n <= 0) {
		kfree(buf);
		return n;
	}
	while ((size_t)done < count) {
		long tried;

		n = put_out(p, buf, MIN(room, count - (size_t)done), out, offset, &tried);
		if (n > 0)
			done += n;
		if (n <= 0 || n < tried || thread_has_work(current_thread()))
			break;
	}
	leave(p);
	kfree(buf);
	return done ? done : n;
}

/* --- into a pipe --------------------------------------------------------------------------- */

/* Sets bytes of room aside, at most `count`. Their number, or -errno. */
static long reserve(struct pipe *p, size_t count, bool nonblocking)
{
	for (;;) {
		long ret = -EAGAIN;
		u32 left;

		mutex_lock(&p->lock);
		left = pipe_free_bytes(p); /* asked once: pipes elsewhere change it */
		if (!p->readers) {
			ret = -EPIPE;
		} else if (left) {
			u32 room = MAX(p->ring.room, PIPE_ATOMIC);

			ret = (long)MIN(count, (size_t)left);
			while (room < p->ring.fill + p->reserved + (u32)ret)
				room *= 2;
			if (room > p->ring.room && pipe_ring_resize(p, room))
				ret = -ENOMEM;
			else
				p->reserved += (u32)ret;
		}
		mutex_unlock(&p->lock);
		if (ret != -EAGAIN || nonblocking)
			return ret;
		ret = wait_for_room(p);
		if (ret)
			return ret;
	}
}

long splice_from_file(struct file *in, u64 *offset, struct file *pipe, size_t count,
		      bool nonblocking)
{
	struct pipe *p = pipe->priv;
	u8 *buf = kmalloc(MIN(count, (size_t)PIPE_CHUNK));
	struct uio uio;
	long reserved, n;

	if (!buf)
		return -ENOMEM;
	reserved = reserve(p, MIN(count, (size_t)PIPE_CHUNK), nonblocking);
	if (reserved < 0) {
		kfree(buf);
		return pipe_broken(reserved);
	}
	uio = uio_kernel(buf, (size_t)reserved);
	n = offset ? file_pread(in, &uio, *offset) : file_read(in, &uio);
	mutex_lock(&p->lock);
	p->reserved -= (u32)reserved;
	if (n > 0) {
		uio = uio_kernel(buf, (size_t)n);
		n = p->readers ? pipe_ring_put(p, &uio, (u32)n) : -EPIPE;
	}
	mutex_unlock(&p->lock);
	pollq_wake(&p->queue, ANY_EVENT);
	kfree(buf);
	if (n > 0 && offset)
		*offset += (u64)n;
	return pipe_broken(n);
}

/* --- from pipe to pipe --------------------------------------------------------------------- */

static void lock_both(struct pipe *a, struct pipe *b)
{
	mutex_lock(a < b ? &a->lock : &b->lock);
	mutex_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_both(struct pipe *a, struct pipe *b)
{
	mutex_unlock(&a->lock);
	mutex_unlock(&b->lock);
}

/* Both locked, with room for `count` bytes. Bytes moved, or -ENOMEM. */
static long move(struct pipe *from, struct pipe *to, size_t count, bool keeps)
{
	size_t done = 0;

	while (done < count) {
		u8 bytes[512];
		struct uio uio = uio_kernel(bytes, MIN(count - done, sizeof(bytes)));
		long n = byte_ring_peek(&from->ring, &uio, keeps ? (u32)done : 0, UINT32_MAX), m;

		if (n <= 0)
			break;
		uio = uio_kernel(bytes, (size_t)n);
		m = pipe_ring_put(to, &uio, (u32)n);
		if (m <= 0)
			return done ? (long)done : m;
		if (!keeps)
			byte_ring_drop(&from->ring, (u32)m);
		done += (size_t)m;
	}
	return (long)done;
}

long splice_pipes(struct file *in, struct file *out, size_t count, bool nonblocking, bool keeps)
{
	struct pipe *from = in->priv, *to = out->priv;

	for (;;) {
		bool has_bytes;
		long ret = -EAGAIN;
		u32 left;

		lock_both(from, to);
		has_bytes = pipe_has_bytes(from);
		left = pipe_free_bytes(to);
		if (!to->readers)
			ret = -EPIPE;
		else if (has_bytes && left)
			ret = move(from, to, MIN(count, (size_t)MIN(from->ring.fill, left)), keeps);
		else if (pipe_is_at_end(from))
			ret = 0;
		unlock_both(from, to);
		if (ret > 0) {
			pollq_wake(&to->queue, POLLIN | POLLRDNORM);
			if (!keeps)
				pollq_wake(&from->queue, POLLOUT | POLLWRNORM);
		}
		if (ret != -EAGAIN || nonblocking)
			return pipe_broken(ret);
		ret = has_bytes ? wait_for_room(to) : wait_for_bytes(from);
		if (ret)
			return ret;
	}
}
