/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block stores over host files. Requests run one after the other in submit(), in pieces of at most
 * 64 KiB, which is what one host call carries. Segment files are opened when first touched and
 * stay open; a file that is missing reads as zeros until it is written. A failed flush is
 * remembered: later flushes fail too, so that nobody takes lost writes for durable.
 */
#include "kernel/fs/secvol/store.h"

#include "abi/errno.h"
#include "abi/fs.h"
#include "edge/hostcall_gen.h"
#include "kernel/core/kmem.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/waitq.h"
#include "lib/base/fmt.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"
#include "lib/secvol/fill_map.h"
#include "lib/secvol/segment.h"

#define LOG_TAG "secvol"
#include "kernel/core/log.h"

#define CALL_MAX    65536u
#define FILES_MAX   4096u /* 4 TiB */
#define RETRIES_MAX 64u
#define FILL_SMALL  KIB(32) /* the longest write that is small */

struct store_file {
	s32 fd; /* -1: not open */
	bool missing;
	bool dirty;
	struct fill_map fill;
};

struct store {
	struct bs bs;
	bool is_dir;
	u32 flags;
	s32 lock_fd; /* what is locked against other users: the directory, or the file itself */
	struct mutex lock;
	struct store_file *files; /* lock */
	u32 file_count;		  /* lock */
	bool dir_dirty;		  /* lock: a file was created since the last flush */
	int failed;		  /* lock: first error of a flush */
	bool was_full;		  /* atomic */
	bool is_filling;	  /* atomic, changes under lock: no write may begin */
	u32 writers;		  /* atomic, likewise */
	struct waitq settled;	  /* for those two */
	struct store_fault fault; /* lock */
	char path[];
};

static struct store *store_of(struct bs *bs)
{
	return container_of(bs, struct store, bs);
}

/* Host calls that were interrupted by a signal are made again, a bounded number of times. */
#define RETRY(call)                                                                                \
	({                                                                                         \
		long _n;                                                                           \
		u32 _tries = 0;                                                                    \
		do                                                                                 \
			_n = (call);                                                               \
		while (_n == -EINTR && ++_tries < RETRIES_MAX);                                    \
		_n == -EINTR ? -EIO : _n;                                                          \
	})

/* What a program may hear of a transfer that failed: no room, or an I/O error. */
static int transfer_error(long err)
{
	return err == -ENOSPC || err == -EDQUOT ? -ENOSPC : -EIO;
}

static void name_in_store(const struct store *s, u32 index, char name[STORE_NAME_SIZE])
{
	static_assert(STORE_NAME_SIZE >= SEGMENT_NAME_SIZE, "names fit");
	name[0] = 0;
	if (s->is_dir)
		segment_name(index, name);
}

static void note_fault_locked(struct store *s, u32 index, const char *what, long err)
{
	s->fault.error = (int)-err;
	s->fault.what = what;
	name_in_store(s, index, s->fault.name);
}

static void note_fault(struct store *s, u32 index, const char *what, long err)
{
	mutex_lock(&s->lock);
	note_fault_locked(s, index, what, err);
	mutex_unlock(&s->lock);
}

static int open_path(struct store *s, u32 index, u32 flags, s32 *ret_fd)
{
	char *path = kmalloc(PATH_MAX_SIZE);
	size_t len = 0;
	s64 fd;

	if (!path)
		return -ENOMEM;
	fmt_append(path, PATH_MAX_SIZE, &len, "%s", s->path);
	if (s->is_dir) {
		char name[SEGMENT_NAME_SIZE];

		segment_name(index, name);
		fmt_append(path, PATH_MAX_SIZE, &len, "/%s", name);
	}
	fd = host_file_open(path, len, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	kfree(path);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static int grow_table(struct store *s, u32 index)
{
	u32 count = MAX(index + 1, 2 * s->file_count);
	struct store_file *files;

	if (index < s->file_count)
		return 0;
	if (index >= FILES_MAX)
		return -ENOSPC;
	files = krealloc(s->files, array_size(count, sizeof(*files)));
	if (!files)
		return -ENOMEM;
	for (u32 i = s->file_count; i < count; i++)
		files[i] = (struct store_file){.fd = -1};
	s->files = files;
	s->file_count = count;
	return 0;
}

/* What lies there is no file: programs hear of an I/O error. */
static int open_error(int err)
{
	return err == -ENXIO || err == -ELOOP || err == -EISDIR ? -EIO : err;
}

/* The descriptor of a segment; -ENOENT when it is missing and not to be made. */
static int segment_fd(struct store *s, u32 index, bool create, s32 *ret_fd)
{
	u32 flags = s->flags & STORE_READ_ONLY ? O_RDONLY : O_RDWR;
	struct store_file *f;
	int err;

	mutex_lock(&s->lock);
	err = grow_table(s, index);
	if (err)
		goto out;
	f = &s->files[index];
	if (f->fd < 0 && f->missing && !create) {
		err = -ENOENT;
	} else if (f->fd < 0) {
		err = open_path(s, index, flags, &f->fd);
		if (!err)
			fill_map_opened(&f->fill);
		if (err == -ENOENT && create) {
			err = open_path(s, index, flags | O_CREAT | O_EXCL, &f->fd);
			s->dir_dirty |= !err;
		}
		f->missing = err == -ENOENT;
		if (err && err != -ENOENT)
			note_fault_locked(s, index, "opened", err);
		err = open_error(err);
		/* An earlier process may have died before it flushed. */
		f->dirty = !err && !(s->flags & STORE_READ_ONLY);
	}
	if (!err) {
		f->dirty |= create;
		*ret_fd = f->fd;
	}
out:
	mutex_unlock(&s->lock);
	return err;
}

static int read_piece(struct store *s, const struct segment_place *at, u8 *buf)
{
	size_t size = at->blocks * (size_t)BS_BLOCK, done = 0;
	s32 fd;
	int err = segment_fd(s, at->file, false, &fd);

	if (err == -ENOENT) {
		memset(buf, 0, size);
		return 0;
	}
	if (err)
		return err;
	while (done < size) {
		size_t part = MIN(size - done, (size_t)CALL_MAX);
		long n = RETRY(host_file_pread(fd, buf + done, part, at->offset + done));

		if (n < 0) {
			note_fault(s, at->file, "read", n);
			return transfer_error(n);
		}
		if (n == 0) {
			memset(buf + done, 0, size - done); /* behind the end of the file */
			break;
		}
		done += n;
	}
	return 0;
}

/* ---- room before small writes ---------------------------------------------------------------- */

/*
 * See fill_map.h. Nobody may write meanwhile; who finds another fill under way goes without. Those
 * who are still writing when it is wanted may be writing to the same chunk: so it is asked again.
 */
static void fill_chunk(struct store *s, u32 file, u64 chunk, s32 fd)
{
	bool wanted;

	mutex_lock(&s->lock);
	if (!fill_map_wants(&s->files[file].fill, chunk) || s->is_filling) {
		mutex_unlock(&s->lock);
		return;
	}
	__atomic_store_n(&s->is_filling, true, __ATOMIC_SEQ_CST);
	mutex_unlock(&s->lock);
	(void)wait_event(&s->settled, !__atomic_load_n(&s->writers, __ATOMIC_SEQ_CST),
			 DEADLINE_NEVER, false);
	mutex_lock(&s->lock);
	wanted = fill_map_wants(&s->files[file].fill, chunk);
	mutex_unlock(&s->lock);
	if (wanted)
		(void)host_file_fill(fd, chunk * FILL_CHUNK, FILL_CHUNK);
	mutex_lock(&s->lock);
	if (wanted)
		fill_map_filled(&s->files[file].fill, chunk);
	__atomic_store_n(&s->is_filling, false, __ATOMIC_SEQ_CST);
	mutex_unlock(&s->lock);
	waitq_wake_all(&s->settled);
}

static void forget_filled(struct store *s, const struct segment_place *at)
{
	mutex_lock(&s->lock);
	fill_map_punched(&s->files[at->file].fill, at->offset, at->blocks * (u64)BS_BLOCK);
	mutex_unlock(&s->lock);
}

static void writer_enter(struct store *s, const struct segment_place *at, s32 fd)
{
	u64 size = at->blocks * (u64)BS_BLOCK, chunk = at->offset / FILL_CHUNK;
	bool is_in = false;

	for (; size <= FILL_SMALL && chunk <= (at->offset + size - 1) / FILL_CHUNK; chunk++)
		fill_chunk(s, at->file, chunk, fd);
	while (!is_in) {
		(void)wait_event(&s->settled, !__atomic_load_n(&s->is_filling, __ATOMIC_SEQ_CST),
				 DEADLINE_NEVER, false);
		mutex_lock(&s->lock);
		is_in = !s->is_filling;
		s->writers += is_in;
		mutex_unlock(&s->lock);
	}
}

/* The data is in, or lost: a flush in between took the mark away. */
static void writer_leave(struct store *s, const struct segment_place *at)
{
	bool last;

	mutex_lock(&s->lock);
	s->files[at->file].dirty = true;
	fill_map_wrote(&s->files[at->file].fill, at->offset, at->blocks * (u64)BS_BLOCK);
	last = --s->writers == 0;
	mutex_unlock(&s->lock);
	if (last)
		waitq_wake_all(&s->settled);
}

/* ---- transfers ------------------------------------------------------------------------------- */

static int write_to(struct store *s, const struct segment_place *at, s32 fd, const u8 *buf)
{
	size_t size = at->blocks * (size_t)BS_BLOCK, done = 0;

	while (done < size) {
		size_t part = MIN(size - done, (size_t)CALL_MAX);
		long n = RETRY(host_file_pwrite(fd, buf + done, part, at->offset + done));

		if (n == -ENOSPC || n == -EDQUOT)
			__atomic_store_n(&s->was_full, true, __ATOMIC_RELAXED);
		if (n <= 0) {
			note_fault(s, at->file, "written", n ? n : -EIO);
			return transfer_error(n);
		}
		done += n;
	}
	return 0;
}

static int write_piece(struct store *s, const struct segment_place *at, const u8 *buf)
{
	s32 fd;
	int err = segment_fd(s, at->file, true, &fd);

	if (err)
		return err == -ENOMEM ? err : transfer_error(err);
	writer_enter(s, at, fd);
	err = write_to(s, at, fd, buf);
	writer_leave(s, at);
	return err;
}

bool store_was_full(struct bs *bs)
{
	return __atomic_load_n(&store_of(bs)->was_full, __ATOMIC_RELAXED);
}

struct store_fault store_fault(struct bs *bs)
{
	struct store *s = store_of(bs);
	struct store_fault fault;

	mutex_lock(&s->lock);
	fault = s->fault;
	mutex_unlock(&s->lock);
	return fault;
}

static int trim_piece(struct store *s, const struct segment_place *at)
{
	s32 fd;
	int err = segment_fd(s, at->file, false, &fd);

	if (err)
		return err == -ENOENT ? 0 : err;
	forget_filled(s, at);
	err = host_file_punch(fd, at->offset, at->blocks * (u64)BS_BLOCK);
	return err == -EOPNOTSUPP ? 0 : err;
}

static int transfer(struct store *s, const struct bs_req *r)
{
	u64 block = r->block;
	u32 left = r->count;
	u8 *buf = r->buf;

	while (left) {
		struct segment_place at = {.blocks = left, .offset = block * BS_BLOCK};
		int err = s->is_dir ? segment_find(block, left, &at) : 0;

		if (!err && r->op == BS_READ)
			err = read_piece(s, &at, buf);
		else if (!err && r->op == BS_WRITE)
			err = write_piece(s, &at, buf);
		else if (!err)
			err = trim_piece(s, &at);
		if (err)
			return err;
		block += at.blocks;
		left -= at.blocks;
		if (buf)
			buf += at.blocks * (size_t)BS_BLOCK;
	}
	return 0;
}

static int flush(struct store *s)
{
	u32 count;
	int err = 0;

	mutex_lock(&s->lock);
	err = s->failed;
	count = s->file_count;
	for (u32 i = 0; i < count && !err; i++) {
		struct store_file *f = &s->files[i];
		u32 writes = f->fill.writes;
		s32 fd = f->fd;

		if (!f->dirty || fd < 0)
			continue;
		f->dirty = false;
		mutex_unlock(&s->lock);
		err = RETRY(host_file_sync(fd, 1));
		if (err)
			err = transfer_error(err);
		mutex_lock(&s->lock);
		if (!err) /* the table may have moved */
			fill_map_flushed(&s->files[i].fill, writes);
	}
	if (!err && s->dir_dirty) {
		s->dir_dirty = false;
		err = RETRY(host_file_sync(s->lock_fd, 0)); /* the directory */
		if (err)
			err = transfer_error(err);
	}
	if (err && !s->failed)
		s->failed = err;
	mutex_unlock(&s->lock);
	return err;
}

static int store_submit(struct bs *bs, struct bs_batch *batch)
{
	struct store *s = store_of(bs);

	for (u32 i = 0; i < batch->count; i++) {
		struct bs_req *r = &batch->reqs[i];

		if (r->op == BS_FLUSH)
			r->result = flush(s);
		else if (r->op != BS_READ && (s->flags & STORE_READ_ONLY))
			r->result = -EROFS;
		else
			r->result = transfer(s, r);
	}
	return 0;
}

static int store_reap(struct bs *bs, struct bs_batch *batch)
{
	return 0;
}

static u64 store_size(struct bs *bs)
{
	return store_of(bs)->is_dir ? SEGMENT_ROOT_BLOCKS + (u64)(FILES_MAX - 1) * SEGMENT_BLOCKS
				    : 1ull << 40;
}

static int store_grow(struct bs *bs, u64 blocks)
{
	return blocks <= store_size(bs) ? 0 : -ENOSPC; /* files grow as they are written */
}

static void *store_buf_alloc(struct bs *bs, size_t size)
{
	return kmalloc(size); /* the host calls copy */
}

static void store_buf_free(struct bs *bs, void *buf, size_t size)
{
	kfree(buf);
}

static void close_files(struct store *s)
{
	for (u32 i = 0; i < s->file_count; i++) {
		if (s->files[i].fd >= 0 && host_file_close(s->files[i].fd))
			s->failed = -EIO; /* nothing more can be done */
	}
	if (s->is_dir && s->lock_fd >= 0)
		(void)host_file_close(s->lock_fd);
}

static void store_close(struct bs *bs)
{
	struct store *s = store_of(bs);

	close_files(s);
	kfree(s->files);
	kfree(s);
}

static const struct bs_ops store_ops = {
	.submit = store_submit,
	.reap = store_reap,
	.size = store_size,
	.grow = store_grow,
	.buf_alloc = store_buf_alloc,
	.buf_free = store_buf_free,
	.close = store_close,
};

/* Makes `path` and the directories above it. */
static int make_dirs(const char *path)
{
	size_t len = strlen(path);
	int err = 0;

	for (size_t i = 1; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		err = host_file_mkdir(path, i, 0700);
		if (err && err != -EEXIST)
			return err;
	}
	return 0;
}

/* Deletes what an earlier temporary volume left. Only files with segment names are touched. */
static int delete_segments(struct store *s)
{
	char *path = kmalloc(PATH_MAX_SIZE);
	int err = 0;

	if (!path)
		return -ENOMEM;
	for (u32 i = 0; i < FILES_MAX && !err; i++) {
		char name[SEGMENT_NAME_SIZE];
		size_t len = 0;

		segment_name(i, name);
		fmt_append(path, PATH_MAX_SIZE, &len, "%s/%s", s->path, name);
		err = host_file_unlink(path, len);
		if (err == -ENOENT && i <= 1)
			err = 0; /* a root without segments, or the other way round */
	}
	kfree(path);
	return err == -ENOENT ? 0 : err;
}

static int store_new(const char *path, u32 flags, bool is_dir, struct store **ret)
{
	size_t len = strlen(path);
	struct store *s = kzalloc(sizeof(*s) + len + 1);

	if (!s)
		return -ENOMEM;
	memcpy(s->path, path, len);
	s->bs.ops = &store_ops;
	s->bs.caps = BS_CAP_TRIM | BS_CAP_GROW | BS_CAP_PRIVATE_BUFFERS;
	s->bs.max_blocks = BS_MAX_BLOCKS;
	s->flags = flags;
	s->is_dir = is_dir;
	s->lock_fd = -1;
	mutex_init(&s->lock, LOCK_STORE);
	waitq_init(&s->settled);
	*ret = s;
	return 0;
}

/*
 * Against a second user by mistake; a host that wants two lets both have the lock. Where the host's
 * file system has no locks the volume is used without.
 */
static int lock_store(struct store *s)
{
	int err = RETRY(host_file_lock(s->lock_fd, !(s->flags & STORE_READ_ONLY)));

	if (err == -EAGAIN || err == -EACCES)
		return -EBUSY;
	if (err)
		log_warn("%s cannot be locked: the host's file system has no locks", s->path);
	return 0;
}

/* The directory of segments, locked. */
static int open_dir(struct store *s)
{
	s64 fd = host_file_open(s->path, strlen(s->path),
				O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);

	if (fd < 0)
		return (int)fd;
	s->lock_fd = (s32)fd;
	return lock_store(s);
}

int store_dir_open(const char *path, u32 flags, struct bs **ret)
{
	struct store *s;
	s32 fd;
	int err = store_new(path, flags, true, &s);

	if (err)
		return err;
	if (flags & STORE_CREATE)
		err = make_dirs(path);
	if (!err)
		err = open_dir(s);
	if (!err && (flags & STORE_FRESH))
		err = delete_segments(s);
	/* A missing root is an error for those who may not create. */
	if (!err && !(flags & STORE_CREATE))
		err = segment_fd(s, 0, false, &fd);
	*ret = &s->bs;
	return err;
}

int store_file_open(const char *path, u32 flags, struct bs **ret)
{
	struct store *s;
	int err = store_new(path, flags, false, &s);

	if (err)
		return err;
	err = segment_fd(s, 0, flags & STORE_CREATE, &s->lock_fd);
	if (!err)
		err = lock_store(s);
	if (!err && (flags & STORE_FRESH))
		err = host_file_truncate(s->lock_fd, 0);
	if (err) {
		store_close(&s->bs);
		return err;
	}
	*ret = &s->bs;
	return 0;
}
