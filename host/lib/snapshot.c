// SPDX-License-Identifier: Apache-2.0
/*
 * The snapshot file holds the chunks' bytes one after the other without their holes; what each
 * chunk is (entry, blocks, holes, call sites) is kept in memory, about 300 bytes per MiB.
 */
#define _GNU_SOURCE
#include "host/lib/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/le.h"

struct part {
	u32 entry;
	u32 count;
	u64 block;
	u64 offset; /* in the snapshot file */
	bool zero[CHUNK_BLOCKS];
	struct sites_table sites;
};

struct snapshot {
	int fd;
	struct part **parts;
	u64 count, room;
	u64 size; /* of the file */
	u64 next;
	struct chunk chunk;
	bool zero[CHUNK_BLOCKS];
	u8 digests[CHUNK_BLOCKS][32];
	u8 *bytes;
};

/* An unlinked file of our own. */
static int private_file(const char *dir)
{
	char path[PATH_MAX];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd >= 0)
		return fd;
	if (snprintf(path, sizeof(path), "%s/.snapshot.XXXXXX", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int bytes_write(struct snapshot *s, const u8 *bytes, size_t size)
{
	while (size) {
		ssize_t n = pwrite(s->fd, bytes, size, (off_t)s->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		s->size += (u64)n;
		size -= (size_t)n;
	}
	return 0;
}

static void mac_u64(struct hmac_sha256 *mac, u64 x)
{
	le64 bytes = le64_put(x);

	hmac_sha256_update(mac, &bytes, sizeof(bytes));
}

static void mac_text(struct hmac_sha256 *mac, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	mac_u64(mac, len);
	hmac_sha256_update(mac, text ? text : "", len);
}

/* Names and attributes of the whole tree, in its canonical order. */
static void mac_tree(const struct tree *t, struct hmac_sha256 *mac)
{
	mac_u64(mac, t->count);
	for (u32 i = 0; i < t->count; i++) {
		const struct tree_entry *e = &t->entries[i];

		mac_text(mac, e->path);
		mac_text(mac, e->target);
		mac_u64(mac, e->mode);
		mac_u64(mac, e->links);
		mac_u64(mac, e->obj);
		mac_u64(mac, S_ISREG(e->mode) ? e->id.size : 0);
	}
}

static int chunk_keep(struct snapshot *s, struct chunk *c, struct hmac_sha256 *mac)
{
	struct part *p = calloc(1, sizeof(*p));
	int err = 0;

	if (!p)
		return -ENOMEM;
	if (s->count == s->room) {
		u64 room = s->room ? 2 * s->room : 64;
		struct part **bigger = reallocarray(s->parts, room, sizeof(*bigger));

		if (!bigger) {
			free(p);
			return -ENOMEM;
		}
		s->parts = bigger;
		s->room = room;
	}
	s->parts[s->count++] = p;
	*p = (struct part){
		.entry = c->entry, .count = c->count, .block = c->block, .offset = s->size};
	p->sites = c->sites;
	c->sites = (struct sites_table){0};
	memcpy(p->zero, c->zero, c->count * sizeof(*p->zero));

	mac_u64(mac, c->entry);
	mac_u64(mac, c->block);
	mac_u64(mac, c->count);
	hmac_sha256_update(mac, p->zero, c->count * sizeof(*p->zero));
	for (u32 i = 0; !err && i < c->count;) {
		u32 end = i + 1;

		while (end < c->count && c->zero[end] == c->zero[i])
			end++;
		if (!c->zero[i]) {
			const u8 *at = c->bytes + (size_t)i * BS_BLOCK;
			size_t size = (size_t)(end - i) * BS_BLOCK;

			hmac_sha256_update(mac, at, size);
			err = bytes_write(s, at, size);
		}
		i = end;
	}
	mac_u64(mac, p->sites.count);
	for (u32 i = 0; i < p->sites.count; i++) {
		mac_u64(mac, p->sites.sites[i].offset);
		mac_u64(mac, (u64)p->sites.sites[i].kind << 8 | p->sites.sites[i].len);
	}
	return err;
}

int snapshot_take(const struct tree *tree, struct chunk_pipe *pipe, const char *dir,
		  struct hmac_sha256 *mac, struct snapshot **ret_snapshot, char *error,
		  size_t error_size)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct chunk *c;
	int err;

	if (s)
		s->bytes = aligned_alloc(BS_BLOCK, CHUNK_SIZE);
	if (!s || !s->bytes) {
		free(s);
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	s->fd = private_file(dir);
	err = 0;
	if (s->fd < 0) {
		err = s->fd;
		snprintf(error, error_size, "cannot make a private copy in '%s': %s", dir,
			 strerror(-err));
	}
	if (!err)
		mac_tree(tree, mac);
	while (!err && (err = chunk_pipe_next(pipe, &c, error, error_size)) == 0) {
		err = chunk_keep(s, c, mac);
		if (err)
			snprintf(error, error_size, "cannot write a private copy in '%s': %s", dir,
				 strerror(-err));
		chunk_pipe_put(pipe, c);
	}
	if (err != -ENOENT) {
		snapshot_free(s);
		return err;
	}
	*ret_snapshot = s;
	return 0;
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	for (u64 i = 0; i < s->count; i++) {
		sites_table_fini(&s->parts[i]->sites);
		free(s->parts[i]);
	}
	free(s->parts);
	free(s->bytes);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

int snapshot_next(struct snapshot *s, struct chunk **ret_chunk, char *error, size_t error_size)
{
	u64 offset;
	struct part *p;

	if (s->next == s->count)
		return -ENOENT;
	p = s->parts[s->next++];
	offset = p->offset;
	s->chunk = (struct chunk){.entry = p->entry,
				  .block = p->block,
				  .count = p->count,
				  .bytes = s->bytes,
				  .digests = s->digests,
				  .zero = s->zero,
				  .sites = p->sites};
	p->sites = (struct sites_table){0};
	memcpy(s->zero, p->zero, sizeof(s->zero));
	for (u32 i = 0; i < p->count; i++) {
		u8 *at = s->bytes + (size_t)i * BS_BLOCK;

		if (p->zero[i]) {
			memset(at, 0, BS_BLOCK);
			continue;
		}
		if (pread(s->fd, at, BS_BLOCK, (off_t)offset) != BS_BLOCK) {
			snprintf(error, error_size, "cannot read the private copy back");
			return -EIO;
		}
		offset += BS_BLOCK;
	}
	*ret_chunk = &s->chunk;
	return 0;
}
