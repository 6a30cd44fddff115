/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's standard descriptors. Bytes pass through unprotected: this is where a program talks
 * to the outside. The host's answers are checked by the generated wrappers; what a descriptor is
 * (terminal, pipe, file) is the host's word and changes nothing but what programs are told.
 *
 * A blocking read first waits in thread_park_poll(), where signals reach it, and reads then; the
 * host's descriptor keeps the blocking mode of its owner, and O_NONBLOCK set inside is kept here.
 */
#include "kernel/fs/stdio/stdio.h"

#include "abi/errno.h"
#include "abi/ioctl.h"
#include "edge/hostcall_gen.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/devfs/devfs.h"
#include "kernel/fs/stdio/terminal.h"
#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/string.h"

#define SIGPIPE 13
#define CHUNK	65536u

struct host_file {
	s32 fd;
	u32 mode; /* st_mode: type from the host, checked to be one */
	bool is_seekable;
	bool is_terminal;
	struct abi_stat stat; /* as it was at the start */
};

static struct host_file *host_of(struct file *f)
{
	return f->priv;
}

/* Waits until the host says that `events` hold. 0, -EAGAIN (nonblocking), -ERESTARTSYS. */
static int wait_ready(struct file *f, u32 events)
{
	struct host_pollfd p = {.fd = host_of(f)->fd, .events = events};
	int n;

	if (S_ISREG(host_of(f)->mode))
		return 0;
	for (;;) {
		p.revents = 0;
		n = thread_park_poll(&p, 1, file_is_nonblocking(f) ? 0 : DEADLINE_NEVER, true);
		if (n == -EINTR)
			return -ERESTARTSYS;
		if (n > 0)
			return 0;
		if (n < 0 && n != -ETIMEDOUT)
			return n;
		if (file_is_nonblocking(f))
			return -EAGAIN;
	}
}

static long host_read(struct file *f, struct uio *uio, u64 offset)
{
	size_t want = MIN(uio->left, (size_t)CHUNK);
	u8 *buf;
	long n;

	if (!want)
		return 0;
	buf = kmalloc(want);
	if (!buf)
		return -ENOMEM;
	do {
		n = host_of(f)->is_terminal ? terminal_check_read(host_of(f)->fd) : 0;
		if (!n)
			n = wait_ready(f, POLLIN);
		if (!n)
			n = host_fd_read(host_of(f)->fd, buf, want);
		if (n == -EINTR && thread_was_kicked(current_thread()))
			n = -ERESTARTSYS;
		/* EAGAIN: another process took the bytes, or the descriptor does not block. */
	} while (n == -EINTR || (n == -EAGAIN && !file_is_nonblocking(f)));
	if (n > 0 && uio_copy_out(uio, buf, n))
		n = -EFAULT;
	mem_wipe(buf, MIN(want, (size_t)256));
	kfree(buf);
	return n;
}

static long write_chunk(struct file *f, const u8 *buf, size_t size)
{
	size_t done = 0;
	long n = 0;

	while (done < size) {
		n = host_fd_write(host_of(f)->fd, buf + done, size - done);
		if (n > 0) {
			done += n;
			continue;
		}
		if (n == -EAGAIN && !file_is_nonblocking(f))
			n = wait_ready(f, POLLOUT);
		else if (n == -EINTR)
			n = thread_was_kicked(current_thread()) ? -ERESTARTSYS : 0;
		if (n < 0)
			break;
	}
	return done ? (long)done : n;
}

static long host_write(struct file *f, struct uio *uio, u64 *offset)
{
	size_t want = MIN(uio->left, (size_t)CHUNK);
	u8 *buf = want ? kmalloc(want) : NULL;
	long done = 0, n = 0;

	if (!want)
		return 0;
	if (!buf)
		return -ENOMEM;
	while (uio->left) {
		size_t part = MIN(uio->left, want);

		n = uio_copy_in(uio, buf, part) ? -EFAULT : 0;
		if (!n)
			n = write_chunk(f, buf, part);
		if (n > 0)
			done += n;
		if (n != (long)part)
			break;
	}
	kfree(buf);
	if (n == -EPIPE) {
		struct signal_info info = {.signo = SIGPIPE};

		signal_send_thread(current_thread(), &info);
	}
	return done ? done : n;
}

static u32 host_poll(struct file *f, struct poll_table *pt)
{
	struct host_pollfd p = {.fd = host_of(f)->fd, .events = POLLIN | POLLOUT};

	if (S_ISREG(host_of(f)->mode))
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	if (pt) {
		pt->add_host(pt, p.fd, POLLIN | POLLOUT);
		return 0;
	}
	return thread_park_poll(&p, 1, 0, false) > 0 ? (u16)p.revents : 0;
}

static s64 host_seek(struct file *f, s64 offset, u32 whence)
{
	s64 ret;

	if (!host_of(f)->is_seekable)
		return -ESPIPE;
	ret = host_fd_seek(host_of(f)->fd, offset, whence);
	return ret;
}

static int host_getattr(struct file *f, struct vattr *ret)
{
	struct abi_stat st;
	int err = host_fd_stat(host_of(f)->fd, &st, sizeof(st));

	if (err)
		return err;
	memset(ret, 0, sizeof(*ret));
	ret->dev = st.dev;
	ret->ino = st.ino;
	ret->mode = host_of(f)->mode | (st.mode & 0777);
	ret->uid = st.uid;
	ret->gid = st.gid;
	ret->nlink = st.nlink;
	ret->rdev = st.rdev;
	ret->size = st.size < 0 ? 0 : st.size;
	ret->blocks = st.blocks < 0 ? 0 : st.blocks;
	ret->blksize = 4096;
	ret->atime = (struct vtime){st.atime.sec, (u64)st.atime.nsec % 1000000000u};
	ret->mtime = (struct vtime){st.mtime.sec, (u64)st.mtime.nsec % 1000000000u};
	ret->ctime = (struct vtime){st.ctime.sec, (u64)st.ctime.nsec % 1000000000u};
	if (host_of(f)->is_terminal)
		devfs_console(ret); /* what its name leads to: ttyname() compares */
	return 0;
}

static int host_sync(struct file *f, bool data_only)
{
	return S_ISREG(host_of(f)->mode) ? 0 : -EINVAL;
}

static long host_ioctl(struct file *f, u32 command, u64 arg)
{
	if (!host_of(f)->is_terminal)
		return -ENOTTY;
	return terminal_ioctl(host_of(f)->fd, command, arg);
}

static void host_release(struct file *f)
{
	kfree(f->priv);
}

static const struct file_ops host_ops = {
	.is_stream = true,
	.release = host_release,
	.read = host_read,
	.write = host_write,
	.seek = host_seek,
	.ioctl = host_ioctl,
	.poll = host_poll,
	.sync = host_sync,
	.getattr = host_getattr,
};

static int host_file_new(s32 fd, struct host_file **ret)
{
	struct host_file *h = kzalloc(sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	h->fd = fd;
	err = host_fd_stat(fd, &h->stat, sizeof(h->stat));
	if (err) {
		kfree(h);
		return err;
	}
	h->mode = h->stat.mode & S_IFMT;
	if (!S_ISREG(h->mode) && !S_ISCHR(h->mode) && !S_ISFIFO(h->mode) && !S_ISSOCK(h->mode))
		h->mode = S_IFIFO; /* a directory or nonsense: nothing that could mislead */
	h->is_seekable = S_ISREG(h->mode);
	h->is_terminal = S_ISCHR(h->mode) && terminal_probe(fd);
	*ret = h;
	return 0;
}

/* /dev/stdin and the like: the same host descriptor once more. */
static int host_reopen(struct file *f, u64 fd)
{
	struct host_file *h;
	int err = host_file_new((s32)fd, &h);

	if (err)
		return err;
	f->ops = &host_ops;
	f->priv = h;
	return 0;
}

int stdio_open_tty(struct file *f)
{
	s32 fd;

	return terminal_recall(&fd) ? host_reopen(f, fd) : -ENXIO;
}

bool host_stdio_is_terminal(struct file *f)
{
	return f->ops == &host_ops && host_of(f)->is_terminal;
}

int host_stdio_file(s32 host_fd, struct file **ret_file)
{
	struct host_file *h;
	const char *name;
	s64 flags;
	int err;

	flags = host_fd_getfl(host_fd);
	if (flags < 0)
		return flags;
	err = host_file_new(host_fd, &h);
	if (err)
		return err;
	name = h->is_terminal	   ? "/dev/console"
	       : S_ISREG(h->mode)  ? "/dev/host-file"
	       : S_ISSOCK(h->mode) ? "socket:"
	       : S_ISCHR(h->mode)  ? "/dev/host-device"
				   : "pipe:";
	if (h->is_terminal)
		terminal_remember(host_fd);
	/* The caller's O_NONBLOCK is the caller's business: programs see their own setting. */
	flags &= O_ACCMODE | O_APPEND | O_NONBLOCK;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		flags &= ~(s64)O_WRONLY;
	err = file_new_anon(&host_ops, name, h->mode | 0620, flags, h, ret_file);
	if (err)
		kfree(h);
	else
		file_set_reopen(*ret_file, host_reopen, host_fd);
	return err;
}
