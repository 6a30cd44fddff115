// SPDX-License-Identifier: Apache-2.0
/*
 * Block store on a directory of segment files. Files are opened when first needed and at most
 * OPEN_MAX_FILES stay open; a file is created by the first write into it. FLUSH is fdatasync of
 * every file written since the last one, then fsync of the directory when a file was created.
 *
 * `lock` guards the table. A file in use (`users`) is not closed under its user. A write marks its
 * file dirty *after* the data went in: a mark taken by a concurrent FLUSH before that would be
 * lost. A failed flush is remembered for ever (see bs_file.c).
 *
 * With BS_HOST_FILL holes are filled before small writes (bs_fill.h): `filling` keeps all writers
 * out while that lasts.
 */
#define _GNU_SOURCE
#include "host/lib/bs_host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/lib/bs_fill.h"
#include "lib/base/overflow.h"
#include "lib/secvol/fill_map.h"
#include "lib/secvol/segment.h"

enum { OPEN_MAX_FILES = 64 };

struct dir_file {
	int fd;	    /* -1: not open */
	int direct; /* past the page cache, for much at a time; -1: not open or not offered */
	u32 users;
	bool dirty;
	bool absent; /* known not to exist: reads are zeros until a write creates it */
	struct fill_map fill;
};

struct bs_dir {
	struct bs bs;
	int dir_fd;
	bool read_only, fills, reads_directly;
	pthread_rwlock_t filling; /* before lock; writers share it */

	pthread_mutex_t lock;
	/* Guarded by lock. */
	struct dir_file *files;
	u32 file_count;
	u32 open_count;
	bool dir_dirty;
	int flush_error;
	u64 max_blocks;
};

static void file_close(struct bs_dir *d, struct dir_file *f)
{
	if (f->direct >= 0)
		close(f->direct);
	close(f->fd);
	f->fd = f->direct = -1;
	d->open_count--;
}

static int table_grow(struct bs_dir *d, u32 index)
{
	u32 count = MAX(index + 1, d->file_count * 2);
	struct dir_file *files;

	if (index < d->file_count)
		return 0;
	files = realloc(d->files, array_size(count, sizeof(*files)));
	if (!files)
		return -ENOMEM;
	for (u32 i = d->file_count; i < count; i++)
		files[i] = (struct dir_file){.fd = -1, .direct = -1};
	d->files = files;
	d->file_count = count;
	return 0;
}

/* Closes some file that nobody uses; its dirty mark stays and fdatasync reopens it. */
static void evict_one(struct bs_dir *d)
{
	for (u32 i = 1; i < d->file_count; i++)
		if (d->files[i].fd >= 0 && d->files[i].users == 0) {
			file_close(d, &d->files[i]);
			return;
		}
}

/* The same file past the page cache: by name it could be another by now. */
static int direct_open(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static int file_open(struct bs_dir *d, u32 index, bool create)
{
	int flags =
		O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (d->read_only ? O_RDONLY : O_RDWR);
	char name[SEGMENT_NAME_SIZE];
	struct stat st;
	int fd;

	segment_name(index, name);
	if (d->open_count >= OPEN_MAX_FILES)
		evict_one(d);
	fd = openat(d->dir_fd, name, flags);
	if (fd >= 0)
		fill_map_opened(&d->files[index].fill);
	if (fd < 0 && errno == ENOENT && create) {
		fd = openat(d->dir_fd, name, flags | O_CREAT | O_EXCL, 0600);
		d->dir_dirty |= fd >= 0;
	}
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : bs_host_error(errno);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EIO;
	}
	d->files[index].fd = fd;
	if (d->reads_directly)
		d->files[index].direct = direct_open(fd);
	d->files[index].absent = false;
	d->open_count++;
	return 0;
}

/* Borrows a file's descriptor; -ENOENT when it does not exist and must not be made. */
static int file_get(struct bs_dir *d, u32 index, bool create, int *ret_fd, int *ret_direct)
{
	int err;

	pthread_mutex_lock(&d->lock);
	err = table_grow(d, index);
	if (!err && d->files[index].fd < 0) {
		if (d->files[index].absent && !create)
			err = -ENOENT;
		else
			err = file_open(d, index, create);
		if (err == -ENOENT)
			d->files[index].absent = true;
	}
	if (!err) {
		d->files[index].users++;
		*ret_fd = d->files[index].fd;
		*ret_direct = d->files[index].direct;
	}
	pthread_mutex_unlock(&d->lock);
	return err;
}

static void file_put(struct bs_dir *d, u32 index, bool wrote)
{
	pthread_mutex_lock(&d->lock);
	d->files[index].users--;
	d->files[index].dirty |= wrote;
	pthread_mutex_unlock(&d->lock);
}

static int flush_file(struct bs_dir *d, u32 index)
{
	int fd, direct, err = file_get(d, index, false, &fd, &direct);

	if (err)
		return err == -ENOENT ? -EIO : err;
	if (fdatasync(fd))
		err = bs_host_error(errno);
	file_put(d, index, false);
	return err;
}

static int flush_run(struct bs_dir *d)
{
	int err;

	for (u32 i = 0;; i++) {
		u32 writes = 0;
		bool dirty;

		pthread_mutex_lock(&d->lock);
		err = d->flush_error;
		while (i < d->file_count && !d->files[i].dirty)
			i++;
		dirty = !err && i < d->file_count;
		if (dirty) {
			d->files[i].dirty = false;
			writes = d->files[i].fill.writes;
		}
		pthread_mutex_unlock(&d->lock);
		if (err)
			return err;
		if (!dirty)
			break;
		err = flush_file(d, i);
		if (err)
			goto remember;
		pthread_mutex_lock(&d->lock);
		fill_map_flushed(&d->files[i].fill, writes);
		pthread_mutex_unlock(&d->lock);
	}
	pthread_mutex_lock(&d->lock);
	if (d->dir_dirty) {
		d->dir_dirty = false;
		if (fsync(d->dir_fd))
			err = d->flush_error = bs_host_error(errno);
	}
	pthread_mutex_unlock(&d->lock);
	return err;

remember:
	pthread_mutex_lock(&d->lock);
	d->flush_error = err;
	pthread_mutex_unlock(&d->lock);
	return err;
}

static bool wants_fill(struct bs_dir *d, u32 file, u64 chunk)
{
	bool wants;

	pthread_mutex_lock(&d->lock);
	wants = fill_map_wants(&d->files[file].fill, chunk);
	pthread_mutex_unlock(&d->lock);
	return wants;
}

static void fill(struct bs_dir *d, u32 file, int fd, u64 chunk)
{
	pthread_rwlock_wrlock(&d->filling);
	if (wants_fill(d, file, chunk)) {
		bs_fill_chunk_run(fd, chunk);
		pthread_mutex_lock(&d->lock);
		fill_map_filled(&d->files[file].fill, chunk);
		pthread_mutex_unlock(&d->lock);
	}
	pthread_rwlock_unlock(&d->filling);
}

static void fill_before(struct bs_dir *d, const struct segment_place *p, int fd)
{
	u64 size = (u64)p->blocks * BS_BLOCK;

	if (!d->fills || size > BS_FILL_SMALL)
		return;
	for (u64 c = p->offset / FILL_CHUNK; c <= (p->offset + size - 1) / FILL_CHUNK; c++) {
		if (wants_fill(d, p->file, c))
			fill(d, p->file, fd, c);
	}
}

static int write_part(struct bs_dir *d, const struct segment_place *p, int fd, const void *buf)
{
	size_t size = (size_t)p->blocks * BS_BLOCK;
	int err;

	fill_before(d, p, fd);
	pthread_rwlock_rdlock(&d->filling);
	err = bs_host_pwrite(fd, buf, size, p->offset);
	pthread_mutex_lock(&d->lock);
	fill_map_wrote(&d->files[p->file].fill, p->offset, size);
	pthread_mutex_unlock(&d->lock);
	pthread_rwlock_unlock(&d->filling);
	return err;
}

static int trim_part(struct bs_dir *d, const struct segment_place *p, int fd)
{
	u64 size = (u64)p->blocks * BS_BLOCK;

	pthread_mutex_lock(&d->lock);
	fill_map_punched(&d->files[p->file].fill, p->offset, size);
	pthread_mutex_unlock(&d->lock);
	return bs_host_punch(fd, p->offset, size);
}

/* The part of a request that lies in one file. */
static int part_run(struct bs_dir *d, enum bs_op op, const struct segment_place *p, void *buf)
{
	size_t size = (size_t)p->blocks * BS_BLOCK;
	int fd, direct, err = file_get(d, p->file, op == BS_WRITE, &fd, &direct);

	if (err == -ENOENT && op == BS_WRITE)
		return -EIO;
	if (err == -ENOENT) { /* never written */
		if (op == BS_READ)
			memset(buf, 0, size);
		return 0;
	}
	if (err)
		return err;
	switch (op) {
	case BS_READ: err = bs_host_pread(fd, direct, buf, size, p->offset); break;
	case BS_WRITE: err = write_part(d, p, fd, buf); break;
	default: err = trim_part(d, p, fd); break;
	}
	file_put(d, p->file, op != BS_READ);
	return err;
}

static int request_run(struct bs_dir *d, const struct bs_req *r)
{
	u64 block = r->block;
	u32 left = r->count;
	u8 *buf = r->buf;

	if (r->op == BS_FLUSH)
		return d->read_only ? 0 : flush_run(d);
	if (r->count == 0 || r->count > d->bs.max_blocks)
		return -EINVAL;
	if (r->op != BS_READ && d->read_only)
		return -EROFS;
	if (block >= d->bs.ops->size(&d->bs) || left > d->bs.ops->size(&d->bs) - block)
		return -ENOSPC;
	while (left) {
		struct segment_place place;
		int err = segment_find(block, left, &place);

		if (!err)
			err = part_run(d, r->op, &place, buf);
		if (err)
			return err;
		block += place.blocks;
		left -= place.blocks;
		if (buf)
			buf += (size_t)place.blocks * BS_BLOCK;
	}
	return 0;
}

static int dir_submit(struct bs *bs, struct bs_batch *batch)
{
	struct bs_dir *d = container_of(bs, struct bs_dir, bs);

	for (u32 i = 0; i < batch->count; i++)
		batch->reqs[i].result = request_run(d, &batch->reqs[i]);
	return 0;
}

static u64 dir_size(struct bs *bs)
{
	struct bs_dir *d = container_of(bs, struct bs_dir, bs);
	u64 blocks;

	pthread_mutex_lock(&d->lock);
	blocks = d->max_blocks;
	pthread_mutex_unlock(&d->lock);
	return blocks;
}

static int dir_grow(struct bs *bs, u64 blocks)
{
	struct bs_dir *d = container_of(bs, struct bs_dir, bs);

	if (d->read_only)
		return -EROFS;
	if (blocks > SEGMENT_BLOCK_LIMIT)
		return -ENOSPC;
	pthread_mutex_lock(&d->lock);
	d->max_blocks = MAX(d->max_blocks, blocks);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

static void dir_close(struct bs *bs)
{
	struct bs_dir *d = container_of(bs, struct bs_dir, bs);

	for (u32 i = 0; i < d->file_count; i++)
		if (d->files[i].fd >= 0)
			file_close(d, &d->files[i]);
	close(d->dir_fd);
	pthread_rwlock_destroy(&d->filling);
	pthread_mutex_destroy(&d->lock);
	free(d->files);
	free(d);
}

static const struct bs_ops dir_ops = {
	.submit = dir_submit,
	.reap = bs_host_reap,
	.size = dir_size,
	.grow = dir_grow,
	.buf_alloc = bs_host_buf_alloc,
	.buf_free = bs_host_buf_free,
	.close = dir_close,
};

int bs_dir_open(int dir_fd, const char *path, u32 flags, u64 max_blocks, struct bs **ret_bs)
{
	bool read_only = flags & BS_HOST_READ_ONLY;
	struct bs_dir *d = calloc(1, sizeof(*d));
	int err = 0;

	if (!d)
		return -ENOMEM;
	if ((flags & BS_HOST_CREATE) && mkdirat(dir_fd, path, 0700)) {
		err = -errno;
		goto free_store;
	}
	d->dir_fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->dir_fd < 0) {
		err = -errno;
		goto free_store;
	}
	if (!(flags & BS_HOST_NO_LOCK))
		err = bs_host_lock(d->dir_fd, !read_only);
	if (err)
		goto close_dir;
	pthread_mutex_init(&d->lock, NULL);
	pthread_rwlock_init(&d->filling, NULL);
	d->read_only = read_only;
	d->fills = flags & BS_HOST_FILL;
	d->reads_directly = flags & BS_HOST_DIRECT;
	d->max_blocks = max_blocks ? MIN(max_blocks, SEGMENT_BLOCK_LIMIT) : SEGMENT_BLOCK_LIMIT;
	d->bs = (struct bs){
		.ops = &dir_ops,
		.caps = BS_CAP_TRIM | BS_CAP_GROW | BS_CAP_PRIVATE_BUFFERS,
		.max_blocks = BS_MAX_BLOCKS,
	};
	*ret_bs = &d->bs;
	return 0;

close_dir:
	close(d->dir_fd);
free_store:
	free(d);
	return err;
}
