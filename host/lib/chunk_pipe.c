// SPDX-License-Identifier: Apache-2.0
/*
 * The reading half of the image builder. Tasks have consecutive numbers; task n uses slot
 * n % slot_count, so a worker waits until the consumer has given that slot back, and the consumer
 * waits for the slot of the next number. One mutex guards cursor and slot states; reading and
 * hashing happen outside of it.
 *
 * Holes of sparse files are not read. A file is identified anew after each read: what was hashed is
 * what the scan saw, or the build fails with the file's name.
 */
#define _GNU_SOURCE
#include "host/lib/chunk_pipe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/string.h"
#include "lib/crypto/sha256.h"
#include "lib/elf/elf.h"

enum { SLOTS_PER_JOB = 6, JOBS_MAX = 64, SITES_SIZE_MAX = 1 << 30 };

enum slot_state { SLOT_FREE, SLOT_BUSY, SLOT_READY };

struct slot {
	struct chunk chunk;
	enum slot_state state;
	int err;
	char error[PATH_MAX + 256];
	u8 digests[CHUNK_BLOCKS][32];
	bool zero[CHUNK_BLOCKS];
};

struct chunk_pipe {
	struct chunk_pipe_params p;
	struct slot *slots;
	u32 slot_count;
	pthread_t *threads;
	u32 thread_count;

	pthread_mutex_t lock;
	pthread_cond_t freed, ready;
	/* Guarded by lock. */
	bool stop;
	u32 next_entry;
	u64 next_block;
	u64 next_task; /* to be started */
	u64 taken;     /* handed to the consumer */
	bool exhausted;
};

__attribute__((format(printf, 3, 4))) static int slot_fail(struct slot *s, int err,
							   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->error, sizeof(s->error), format, args);
	va_end(args);
	return err;
}

static bool entry_has_bytes(const struct tree *t, u32 i)
{
	return t->entries[i].first == i && S_ISREG(t->entries[i].mode) && t->entries[i].id.size;
}

static int file_read(int fd, u8 *buf, u64 size, u64 offset)
{
	while (size) {
		ssize_t n = pread(fd, buf, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ESTALE;
		buf += n;
		offset += (u64)n;
		size -= (u64)n;
	}
	return 0;
}

/*
 * The same, without reading where the file has holes. *ret_hole: there is nothing else, and only
 * the first block of `buf` was set.
 */
static int sparse_read(int fd, u8 *buf, u64 size, u64 offset, bool *ret_hole)
{
	u64 at = offset, end = offset + size;
	off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;
	int err = 0;

	*ret_hole = data < 0 ? errno == ENXIO : (u64)data >= end;
	if (*ret_hole)
		memset(buf, 0, MIN(size, (u64)BS_BLOCK));
	else if (data < 0) /* its file system does not know */
		err = file_read(fd, buf, size, offset);
	while (!err && data >= 0 && (u64)data < end) {
		memset(buf + (at - offset), 0, (u64)data - at);
		hole = lseek(fd, data, SEEK_HOLE);
		at = hole < 0 ? end : MIN((u64)hole, end);
		err = file_read(fd, buf + ((u64)data - offset), at - (u64)data, (u64)data);
		data = err ? -1 : lseek(fd, (off_t)at, SEEK_DATA);
		if (!err && data < 0 && errno != ENXIO) /* only then is the rest a hole */
			err = -errno;
	}
	if (!err && !*ret_hole && at > offset && at < end)
		memset(buf + (at - offset), 0, end - at);
	return err;
}

static void blocks_hash(struct slot *s)
{
	struct chunk *c = &s->chunk;

	/* Runs of blocks with content are hashed together. */
	for (u32 i = 0; i < c->count;) {
		u32 end = i;

		if (s->zero[i]) {
			i++;
			continue;
		}
		while (end < c->count && !s->zero[end])
			end++;
		sha256_units(c->bytes + (size_t)i * BS_BLOCK, BS_BLOCK, end - i, s->digests + i);
		i = end;
	}
}

static int sites_find(struct slot *s, int fd, const struct tree_entry *e)
{
	u8 *bytes;
	int err;

	if (e->id.size < ELF_HEADER_SIZE || e->id.size > SITES_SIZE_MAX ||
	    memcmp(s->chunk.bytes,
		   "\x7f"
		   "ELF",
		   4))
		return 0;
	bytes = malloc(e->id.size);
	if (!bytes)
		return -ENOMEM;
	err = file_read(fd, bytes, e->id.size, 0);
	if (!err)
		err = sites_scan(bytes, e->id.size, &s->chunk.sites);
	free(bytes);
	return err;
}

static int chunk_fill(struct chunk_pipe *p, struct slot *s, int fd, const struct tree_entry *e)
{
	const u8(*known)[32] = p->p.known ? p->p.known(p->p.known_arg, s->chunk.entry) : NULL;
	struct chunk *c = &s->chunk;
	u64 offset = c->block * BS_BLOCK;
	u64 size = MIN((u64)c->count * BS_BLOCK, e->id.size - offset);
	struct tree_identity now;
	bool is_hole;
	int err = sparse_read(fd, c->bytes, size, offset, &is_hole);

	if (err)
		return err;
	memset(c->bytes + size, 0, (size_t)c->count * BS_BLOCK - size);
	if (is_hole) {
		memset(s->zero, true, c->count * sizeof(*s->zero));
	} else if (known) {
		memcpy(s->digests, known + c->block, (size_t)c->count * 32);
		for (u32 i = 0; i < c->count; i++)
			s->zero[i] = mem_is_zero(s->digests[i], 32);
	} else {
		for (u32 i = 0; i < c->count; i++)
			s->zero[i] = mem_is_zero(c->bytes + (size_t)i * BS_BLOCK, BS_BLOCK);
		if (p->p.hash)
			blocks_hash(s);
		if (p->p.find_sites && c->block == 0)
			err = sites_find(s, fd, e);
	}
	if (err)
		return err;
	err = tree_identify(fd, &now);
	if (!err && memcmp(&now, &e->id, sizeof(now)))
		err = -ESTALE;
	return err;
}

static int task_run(struct chunk_pipe *p, struct slot *s)
{
	const struct tree_entry *e = &p->p.tree->entries[s->chunk.entry];
	int fd = tree_open(p->p.tree, e), err;

	if (fd < 0)
		return slot_fail(s, fd, "cannot open '%s/%s': %s", p->p.tree->top, e->path,
				 strerror(-fd));
	err = chunk_fill(p, s, fd, e);
	close(fd);
	if (err == -ESTALE)
		return slot_fail(s, err, "'%s/%s' changed while it was being read", p->p.tree->top,
				 e->path);
	if (err)
		return slot_fail(s, err, "cannot read '%s/%s': %s", p->p.tree->top, e->path,
				 strerror(-err));
	return 0;
}

/* Takes the next task; the caller holds the lock. NULL when there are no more. */
static struct slot *task_take(struct chunk_pipe *p)
{
	const struct tree *t = p->p.tree;
	struct slot *s;
	u64 blocks;

	while (p->next_entry < t->count && !entry_has_bytes(t, p->next_entry))
		p->next_entry++;
	if (p->stop || p->next_entry == t->count) {
		p->exhausted = true;
		pthread_cond_broadcast(&p->ready);
		return NULL;
	}
	s = &p->slots[p->next_task % p->slot_count];
	if (s->state != SLOT_FREE || p->next_task >= p->taken + p->slot_count) {
		pthread_cond_wait(&p->freed, &p->lock);
		return task_take(p);
	}
	blocks = (t->entries[p->next_entry].id.size + BS_BLOCK - 1) / BS_BLOCK;
	s->state = SLOT_BUSY;
	s->err = 0;
	s->chunk.entry = p->next_entry;
	s->chunk.block = p->next_block;
	s->chunk.count = (u32)MIN(blocks - p->next_block, (u64)CHUNK_BLOCKS);
	s->chunk.sites = (struct sites_table){0};
	p->next_block += s->chunk.count;
	if (p->next_block == blocks) {
		p->next_block = 0;
		p->next_entry++;
	}
	p->next_task++;
	return s;
}

static void *worker(void *arg)
{
	struct chunk_pipe *p = arg;
	struct slot *s;

	pthread_mutex_lock(&p->lock);
	while ((s = task_take(p))) {
		pthread_mutex_unlock(&p->lock);
		s->err = task_run(p, s);
		pthread_mutex_lock(&p->lock);
		s->state = SLOT_READY;
		pthread_cond_broadcast(&p->ready);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int chunk_pipe_new(const struct chunk_pipe_params *params, struct chunk_pipe **ret_pipe)
{
	struct chunk_pipe *p = calloc(1, sizeof(*p));
	u32 jobs = params->jobs ? MIN(params->jobs, (u32)JOBS_MAX) : 1;

	if (!p)
		return -ENOMEM;
	p->p = *params;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->freed, NULL);
	pthread_cond_init(&p->ready, NULL);
	p->slots = calloc(jobs * SLOTS_PER_JOB, sizeof(*p->slots));
	p->threads = calloc(jobs, sizeof(*p->threads));
	if (!p->slots || !p->threads)
		goto fail;
	for (; p->slot_count < jobs * SLOTS_PER_JOB; p->slot_count++) {
		struct slot *s = &p->slots[p->slot_count];

		s->chunk.bytes = aligned_alloc(BS_BLOCK, CHUNK_SIZE);
		s->chunk.digests = s->digests;
		s->chunk.zero = s->zero;
		if (!s->chunk.bytes)
			goto fail;
	}
	for (; p->thread_count < jobs; p->thread_count++)
		if (pthread_create(&p->threads[p->thread_count], NULL, worker, p)) {
			if (p->thread_count == 0)
				goto fail;
			break;
		}
	*ret_pipe = p;
	return 0;

fail:
	chunk_pipe_free(p);
	return -ENOMEM;
}

void chunk_pipe_free(struct chunk_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->freed);
	pthread_mutex_unlock(&p->lock);
	for (u32 i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	for (u32 i = 0; i < p->slot_count; i++) {
		if (p->slots[i].state == SLOT_READY)
			sites_table_fini(&p->slots[i].chunk.sites);
		free(p->slots[i].chunk.bytes);
	}
	pthread_cond_destroy(&p->freed);
	pthread_cond_destroy(&p->ready);
	pthread_mutex_destroy(&p->lock);
	free(p->slots);
	free(p->threads);
	free(p);
}

int chunk_pipe_next(struct chunk_pipe *p, struct chunk **ret_chunk, char *error, size_t error_size)
{
	struct slot *s = &p->slots[p->taken % p->slot_count];

	pthread_mutex_lock(&p->lock);
	while (s->state != SLOT_READY && !(p->exhausted && p->taken == p->next_task))
		pthread_cond_wait(&p->ready, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (s->state != SLOT_READY)
		return -ENOENT;
	if (s->err) {
		snprintf(error, error_size, "%s", s->error);
		return s->err;
	}
	*ret_chunk = &s->chunk;
	return 0;
}

void chunk_pipe_put(struct chunk_pipe *p, struct chunk *chunk)
{
	struct slot *s = container_of(chunk, struct slot, chunk);

	pthread_mutex_lock(&p->lock);
	chunk->sites = (struct sites_table){0};
	s->state = SLOT_FREE;
	p->taken++;
	pthread_cond_broadcast(&p->freed);
	pthread_mutex_unlock(&p->lock);
}
