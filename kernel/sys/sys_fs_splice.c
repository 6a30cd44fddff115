// SPDX-License-Identifier: Apache-2.0
/* splice, tee and vmsplice. */
#include "kernel/core/kmem.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"

#define SPLICE_F_MOVE	  1u
#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_MORE	  4u
#define SPLICE_F_GIFT	  8u
#define SPLICE_F_ALL	  (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

static bool is_nonblocking(const struct file *in, const struct file *out, u32 flags)
{
	return (flags & SPLICE_F_NONBLOCK) || file_is_nonblocking(in) || file_is_nonblocking(out);
}

static bool is_same_pipe(const struct file *a, const struct file *b)
{
	return file_is_pipe(a) && file_is_pipe(b) && a->priv == b->priv;
}

static long splice_with_file(struct file *in, struct file *out, u64 *offset, u64 count, u32 flags)
{
	struct file *pipe = file_is_pipe(in) ? in : out, *other = pipe == in ? out : in;
	bool nonblocking = (flags & SPLICE_F_NONBLOCK) || file_is_nonblocking(pipe);

	if (offset && other->ops->is_stream)
		return -ESPIPE;
	if (S_ISDIR(other->vnode->mode) || other->ops->no_splice ||
	    (other == out && (out->flags & O_APPEND)))
		return -EINVAL;
	return pipe == in ? splice_to_file(in, out, offset, count, nonblocking)
			  : splice_from_file(in, offset, out, count, nonblocking);
}

struct splice_args {
	void __user *in_offset, *out_offset; /* splice's alone */
	u64 count;
	u32 flags;
};

static long splice(struct file *in, struct file *out, const struct splice_args *a)
{
	void __user *user = file_is_pipe(in) ? a->out_offset : a->in_offset;
	u64 offset = 0;
	long ret;

	if (!file_can_read(in) || !file_can_write(out))
		return -EBADF;
	if ((a->in_offset && file_is_pipe(in)) || (a->out_offset && file_is_pipe(out)))
		return -ESPIPE;
	if (!file_is_pipe(in) && !file_is_pipe(out))
		return -EINVAL;
	if (is_same_pipe(in, out))
		return -EINVAL;
	if (file_is_pipe(in) && file_is_pipe(out))
		return splice_pipes(in, out, a->count, is_nonblocking(in, out, a->flags), false);
	if (user && get_user_u64(&offset, user))
		return -EFAULT;
	if ((s64)offset < 0)
		return -EINVAL;
	ret = splice_with_file(in, out, user ? &offset : NULL, a->count, a->flags);
	if (ret >= 0 && user && put_user_u64(user, offset))
		ret = -EFAULT;
	return ret;
}

static long tee(struct file *in, struct file *out, const struct splice_args *a)
{
	if (!file_can_read(in) || !file_can_write(out))
		return -EBADF;
	if (!file_is_pipe(in) || !file_is_pipe(out) || is_same_pipe(in, out))
		return -EINVAL;
	return splice_pipes(in, out, a->count, is_nonblocking(in, out, a->flags), true);
}

static long on_files(int in_fd, int out_fd, struct splice_args a,
		     long (*fn)(struct file *in, struct file *out, const struct splice_args *a))
{
	struct file *in, *out;
	long ret = -EBADF;

	if (a.flags & ~SPLICE_F_ALL)
		return -EINVAL;
	if (!a.count)
		return 0;
	a.count = MIN(a.count, RW_MAX_BYTES);
	in = arg_file(in_fd);
	out = arg_file(out_fd);
	if (in && out)
		ret = fn(in, out, &a);
	file_put(in);
	file_put(out);
	return ret;
}

long sys_splice(int in_fd, void __user *in_offset, int out_fd, void __user *out_offset, u64 count,
		u32 flags)
{
	struct splice_args a = {in_offset, out_offset, count, flags};

	return on_files(in_fd, out_fd, a, splice);
}

long sys_tee(int in_fd, int out_fd, u64 count, u32 flags)
{
	struct splice_args a = {.count = count, .flags = flags};

	return on_files(in_fd, out_fd, a, tee);
}

/* Waits until something fits, and for the rest no more: its sender may be who empties the pipe. */
static long fill_pipe(struct file *f, struct uio *uio, bool nonblocking)
{
	long n;

	while ((n = pipe_write_some(f, uio, true)) == -EAGAIN && !nonblocking) {
		int err = pipe_wait_room(f, uio->left);

		if (err)
			return err;
	}
	return n;
}

/* Into a pipe, or out of it like readv. */
static long vmsplice(struct file *f, const struct abi_iovec *vec, u64 count, bool nonblocking)
{
	long done = 0;

	for (u64 i = 0; i < count; i++) {
		struct uio uio = uio_user((void __user *)vec[i].base, vec[i].len);
		long n;

		if (!vec[i].len)
			continue;
		n = file_can_write(f) ? fill_pipe(f, &uio, nonblocking || done)
				      : pipe_read_some(f, &uio, nonblocking || done);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((u64)n < vec[i].len)
			break;
	}
	return done;
}

long sys_vmsplice(int fd, const void __user *user, u64 count, u32 flags)
{
	struct abi_iovec *vec;
	struct file *f;
	long ret;

	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	f = arg_file(fd);
	if (!f)
		return -EBADF;
	ret = file_is_pipe(f) && (file_can_read(f) || file_can_write(f)) ? 0 : -EBADF;
	if (!ret)
		ret = arg_vector(user, count, &vec);
	if (ret >= 0) {
		ret = vmsplice(f, vec, count,
			       (flags & SPLICE_F_NONBLOCK) || file_is_nonblocking(f));
		kfree(vec);
	}
	file_put(f);
	return ret;
}
