// SPDX-License-Identifier: Apache-2.0
/*
 * Block store on one sparse file. Block n lies at byte n * 4096. No state of its own changes after
 * opening but the bound, so any number of threads may use it at once.
 *
 * After a failed fdatasync the kernel forgets that pages were dirty and reports the error once;
 * this store remembers it: every later FLUSH fails too, so that nobody takes lost data as durable.
 */
#define _GNU_SOURCE
#include "host/lib/bs_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct bs_file {
	struct bs bs;
	int fd;
	bool read_only;
	u64 max_blocks;
	int flush_error; /* atomic; sticky */
};

static int flush_run(struct bs_file *f)
{
	int err = __atomic_load_n(&f->flush_error, __ATOMIC_RELAXED);

	if (err)
		return err;
	if (fdatasync(f->fd) == 0)
		return 0;
	err = bs_host_error(errno);
	__atomic_store_n(&f->flush_error, err, __ATOMIC_RELAXED);
	return err;
}

static int request_run(struct bs_file *f, const struct bs_req *r)
{
	u64 offset = r->block * BS_BLOCK;
	size_t size = (size_t)r->count * BS_BLOCK;

	if (r->op == BS_FLUSH)
		return f->read_only ? 0 : flush_run(f);
	if (r->count == 0 || r->count > f->bs.max_blocks)
		return -EINVAL;
	if (r->block >= f->max_blocks || r->count > f->max_blocks - r->block)
		return -ENOSPC;
	if (r->op == BS_READ)
		return bs_host_pread(f->fd, -1, r->buf, size, offset);
	if (f->read_only)
		return -EROFS;
	if (r->op == BS_WRITE)
		return bs_host_pwrite(f->fd, r->buf, size, offset);
	return bs_host_punch(f->fd, offset, size);
}

static int file_submit(struct bs *bs, struct bs_batch *batch)
{
	struct bs_file *f = container_of(bs, struct bs_file, bs);

	for (u32 i = 0; i < batch->count; i++)
		batch->reqs[i].result = request_run(f, &batch->reqs[i]);
	return 0;
}

static u64 file_size(struct bs *bs)
{
	struct bs_file *f = container_of(bs, struct bs_file, bs);

	return __atomic_load_n(&f->max_blocks, __ATOMIC_RELAXED);
}

static int file_grow(struct bs *bs, u64 blocks)
{
	struct bs_file *f = container_of(bs, struct bs_file, bs);

	if (f->read_only)
		return -EROFS;
	if (blocks > INT64_MAX / BS_BLOCK)
		return -ENOSPC;
	if (blocks > f->max_blocks)
		__atomic_store_n(&f->max_blocks, blocks, __ATOMIC_RELAXED);
	return 0;
}

static void file_close(struct bs *bs)
{
	struct bs_file *f = container_of(bs, struct bs_file, bs);

	close(f->fd);
	free(f);
}

static const struct bs_ops file_ops = {
	.submit = file_submit,
	.reap = bs_host_reap,
	.size = file_size,
	.grow = file_grow,
	.buf_alloc = bs_host_buf_alloc,
	.buf_free = bs_host_buf_free,
	.close = file_close,
};

static int file_open_flags(u32 flags)
{
	int o = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

	o |= flags & BS_HOST_READ_ONLY ? O_RDONLY : O_RDWR;
	if (flags & BS_HOST_CREATE)
		o |= O_CREAT | O_EXCL;
	return o;
}

int bs_file_open(int dir_fd, const char *path, u32 flags, u64 max_blocks, struct bs **ret_bs)
{
	bool read_only = flags & BS_HOST_READ_ONLY;
	struct bs_file *f = calloc(1, sizeof(*f));
	struct stat st;
	int err;

	if (!f)
		return -ENOMEM;
	f->fd = openat(dir_fd, path, file_open_flags(flags), 0600);
	if (f->fd < 0) {
		err = -errno;
		goto free_store;
	}
	err = fstat(f->fd, &st) ? -errno : 0;
	if (!err && !S_ISREG(st.st_mode))
		err = -EINVAL;
	if (!err && !(flags & BS_HOST_NO_LOCK))
		err = bs_host_lock(f->fd, !read_only);
	if (err)
		goto close_file;
	f->read_only = read_only;
	f->max_blocks = max_blocks ? max_blocks : INT64_MAX / BS_BLOCK;
	f->bs = (struct bs){
		.ops = &file_ops,
		.caps = BS_CAP_TRIM | BS_CAP_GROW | BS_CAP_PRIVATE_BUFFERS,
		.max_blocks = BS_MAX_BLOCKS,
	};
	*ret_bs = &f->bs;
	return 0;

close_file:
	close(f->fd);
free_store:
	free(f);
	return err;
}
