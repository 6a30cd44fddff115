/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables: an array of files and two bitmaps (in use, close-on-exec) under one spinlock.
 * Files are put after the lock is left, because the last put may sleep. Closing a descriptor also
 * drops the process's record locks on that file, whichever descriptor they were made through.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/fd_table.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/lock.h"
#include "lib/base/string.h"

#define FD_START      64u
#define RLIMIT_NOFILE 7

struct fd_table {
	u32 refs; /* atomic */
	struct spinlock lock;
	u32 capacity;	     /* lock; multiple of 64 */
	u32 count;	     /* lock: open ones */
	u32 hint;	     /* lock: below it all are in use */
	struct file **files; /* lock; files, then both bitmaps, in one block */
	u64 *used, *cloexec; /* lock; in use without a file: reserved */
};

static size_t block_size(u32 capacity)
{
	return capacity * sizeof(struct file *) + 2 * (capacity / 8);
}

static void set_block(struct fd_table *t, void *block, u32 capacity)
{
	t->files = block;
	t->used = (u64 *)((u8 *)block + capacity * sizeof(struct file *));
	t->cloexec = t->used + capacity / 64;
	t->capacity = capacity;
}

struct fd_table *fd_table_new(void)
{
	struct fd_table *t = kzalloc(sizeof(*t));
	void *block = t ? kzalloc(block_size(FD_START)) : NULL;

	if (!block) {
		kfree(t);
		return NULL;
	}
	t->refs = 1;
	spin_init(&t->lock, LOCK_FD_TABLE);
	set_block(t, block, FD_START);
	return t;
}

static bool bit_get(const u64 *map, u32 i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static void bit_set(u64 *map, u32 i, bool on)
{
	if (on)
		map[i / 64] |= 1ull << (i % 64);
	else
		map[i / 64] &= ~(1ull << (i % 64));
}

static void release_locked(struct fd_table *t, u32 fd)
{
	bit_set(t->used, fd, false);
	bit_set(t->cloexec, fd, false);
	t->hint = MIN(t->hint, fd);
}

struct fd_table *fd_table_copy(struct fd_table *from)
{
	struct fd_table *t = kzalloc(sizeof(*t));
	u32 capacity;
	void *block;

	if (!t)
		return NULL;
	t->refs = 1;
	spin_init(&t->lock, LOCK_FD_TABLE);
	for (;;) {
		capacity = __atomic_load_n(&from->capacity, __ATOMIC_RELAXED);
		block = kzalloc(block_size(capacity));
		if (!block) {
			kfree(t);
			return NULL;
		}
		spin_lock(&from->lock);
		if (from->capacity == capacity)
			break;
		spin_unlock(&from->lock);
		kfree(block);
	}
	set_block(t, block, capacity);
	memcpy(block, from->files, block_size(capacity));
	t->count = from->count;
	t->hint = from->hint;
	for (u32 i = 0; i < capacity; i++) {
		if (t->files[i])
			file_get(t->files[i]);
		else
			release_locked(t, i); /* reserved by another thread, which has no copy */
	}
	spin_unlock(&from->lock);
	return t;
}

struct fd_table *fd_table_get(struct fd_table *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

bool fd_table_is_shared(struct fd_table *t)
{
	return __atomic_load_n(&t->refs, __ATOMIC_ACQUIRE) > 1;
}

/* What close does to a file that left the table. */
static void file_close(struct fd_table *t, struct file *f)
{
	file_locks_release(f->vnode, t);
	file_put(f);
}

void fd_table_put(struct fd_table *t)
{
	if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (u32 i = 0; i < t->capacity; i++) {
		if (t->files[i])
			file_close(t, t->files[i]);
	}
	kfree(t->files);
	kfree(t);
}

static struct file *take_locked(struct fd_table *t, u32 fd)
{
	struct file *f = fd < t->capacity ? t->files[fd] : NULL;

	if (!f)
		return NULL;
	t->files[fd] = NULL;
	release_locked(t, fd);
	t->count--;
	return f;
}

void fd_table_close_on_exec(struct fd_table *t)
{
	for (u32 i = 0;; i++) {
		struct file *f = NULL;
		bool end;

		spin_lock(&t->lock);
		end = i >= t->capacity;
		if (!end && bit_get(t->cloexec, i))
			f = take_locked(t, i);
		spin_unlock(&t->lock);
		if (end)
			break;
		if (f)
			file_close(t, f);
	}
}

u32 fd_table_count(struct fd_table *t)
{
	return __atomic_load_n(&t->count, __ATOMIC_RELAXED);
}

struct file *fd_lookup(struct fd_table *t, int fd)
{
	struct file *f = NULL;

	spin_lock(&t->lock);
	if (likely((u32)fd < t->capacity)) {
		f = t->files[fd];
		if (f)
			file_get(f);
	}
	spin_unlock(&t->lock);
	return f;
}

static u32 fd_limit(struct fd_table *t)
{
	struct thread *thread = current_thread();
	struct process *p = thread ? thread->process : NULL;

	if (p && p->files == t && p->limits[RLIMIT_NOFILE].soft < FD_MAX)
		return p->limits[RLIMIT_NOFILE].soft;
	return FD_MAX;
}

/* Makes room for descriptor `fd`. The lock is held, left for the allocation, and held again. */
static int grow_locked(struct fd_table *t, u32 fd)
{
	while (fd >= t->capacity) {
		u32 old = t->capacity, capacity = old;
		struct fd_table bigger;
		void *block, *gone;

		while (capacity <= fd)
			capacity *= 2;
		spin_unlock(&t->lock);
		block = kzalloc(block_size(capacity));
		spin_lock(&t->lock);
		if (!block)
			return -ENOMEM;
		if (t->capacity != old) {
			gone = block; /* another thread was faster */
		} else {
			gone = t->files;
			set_block(&bigger, block, capacity);
			memcpy(bigger.files, t->files, old * sizeof(struct file *));
			memcpy(bigger.used, t->used, old / 8);
			memcpy(bigger.cloexec, t->cloexec, old / 8);
			set_block(t, block, capacity);
		}
		spin_unlock(&t->lock);
		kfree(gone);
		spin_lock(&t->lock);
	}
	return 0;
}

static u32 find_free(const struct fd_table *t, u32 min)
{
	u32 fd = MAX(min, t->hint);

	while (fd < t->capacity) {
		u64 word = ~t->used[fd / 64] & (~0ull << (fd % 64));

		if (word)
			return (fd & ~63u) + __builtin_ctzll(word);
		fd = (fd & ~63u) + 64;
	}
	return fd;
}

static void put_locked(struct fd_table *t, u32 fd, struct file *f, bool cloexec)
{
	t->files[fd] = f;
	bit_set(t->used, fd, true);
	bit_set(t->cloexec, fd, cloexec);
	t->count++;
}

/* The lowest free one from `min` on is in use from now on. */
static int reserve_locked(struct fd_table *t, u32 min)
{
	u32 limit = fd_limit(t);

	for (;;) {
		u32 fd = find_free(t, min);
		int err;

		if (fd >= limit)
			return -EMFILE;
		if (fd < t->capacity) {
			bit_set(t->used, fd, true);
			if (min <= t->hint)
				t->hint = fd + 1;
			return (int)fd;
		}
		err = grow_locked(t, fd);
		if (err)
			return err;
	}
}

int fd_install(struct fd_table *t, struct file *f, int min, bool cloexec)
{
	int fd;

	if (min < 0)
		return -EINVAL;
	spin_lock(&t->lock);
	fd = reserve_locked(t, (u32)min);
	if (fd >= 0)
		put_locked(t, (u32)fd, f, cloexec);
	spin_unlock(&t->lock);
	return fd;
}

int fd_reserve(struct fd_table *t)
{
	int fd;

	spin_lock(&t->lock);
	fd = reserve_locked(t, 0);
	spin_unlock(&t->lock);
	return fd;
}

void fd_fill(struct fd_table *t, int fd, struct file *f, bool cloexec)
{
	spin_lock(&t->lock);
	put_locked(t, (u32)fd, f, cloexec);
	spin_unlock(&t->lock);
}

void fd_unreserve(struct fd_table *t, int fd)
{
	spin_lock(&t->lock);
	release_locked(t, (u32)fd);
	spin_unlock(&t->lock);
}

int fd_install_at(struct fd_table *t, struct file *f, int fd, bool cloexec)
{
	struct file *old = NULL;
	int ret;

	if ((u32)fd >= fd_limit(t))
		return -EBADF;
	spin_lock(&t->lock);
	ret = grow_locked(t, fd);
	if (!ret && !t->files[fd] && bit_get(t->used, (u32)fd))
		ret = -EBUSY; /* another thread is opening something there */
	if (!ret) {
		old = take_locked(t, fd);
		put_locked(t, fd, f, cloexec);
		ret = fd;
	}
	spin_unlock(&t->lock);
	if (old)
		file_close(t, old);
	return ret;
}

int fd_close(struct fd_table *t, int fd)
{
	struct file *f;

	spin_lock(&t->lock);
	f = take_locked(t, fd);
	spin_unlock(&t->lock);
	if (!f)
		return -EBADF;
	file_close(t, f);
	return 0;
}

int fd_get_cloexec(struct fd_table *t, int fd)
{
	int ret = -EBADF;

	spin_lock(&t->lock);
	if ((u32)fd < t->capacity && t->files[fd])
		ret = bit_get(t->cloexec, fd);
	spin_unlock(&t->lock);
	return ret;
}

int fd_set_cloexec(struct fd_table *t, int fd, bool cloexec)
{
	int ret = -EBADF;

	spin_lock(&t->lock);
	if ((u32)fd < t->capacity && t->files[fd]) {
		bit_set(t->cloexec, fd, cloexec);
		ret = 0;
	}
	spin_unlock(&t->lock);
	return ret;
}

int fd_next(struct fd_table *t, u32 from)
{
	int ret = -1;

	spin_lock(&t->lock);
	for (; from < t->capacity; from++) {
		if (t->files[from]) {
			ret = from;
			break;
		}
	}
	spin_unlock(&t->lock);
	return ret;
}
