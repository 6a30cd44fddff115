// SPDX-License-Identifier: Apache-2.0
/*
 * The image builder's memory. One file in host byte order, never moved between machines:
 *
 *   header | entries, ascending by path: { entry, path with NUL, padding to 8, digests, sites,
 *   padding } | SHA-256 of all before
 *
 * It is believed only when the checksum, the version and every length fit.
 */
#define _GNU_SOURCE
#include "host/lib/image_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cursor.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"
#include "lib/crypto/sha256.h"

enum { CACHE_VERSION = 2 };
static const char cache_magic[8] = "OCIMGCA";

struct cache_header {
	char magic[8];
	u32 version;
	u32 sites_version;
	u64 count;
	struct image_fingerprint fingerprint;
};

struct cache_entry {
	struct tree_identity id;
	u64 blocks;
	u32 sites;
	u32 path_size; /* with NUL and padding */
};

struct cached {
	const char *path;
	const struct cache_entry *entry;
	const u8 (*digests)[32];
	const struct secvol_site *sites;
};

struct image_cache {
	u8 *bytes;
	struct cache_header header;
	struct cached *files;
	u64 count;
};

static size_t pad8(size_t size)
{
	return ALIGN_UP(size, (size_t)8);
}

static u8 *file_read_whole(const char *path, u64 *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	u8 *bytes = NULL;
	u64 got = 0;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		bytes = malloc((size_t)st.st_size);
	while (bytes && got < (u64)st.st_size) {
		ssize_t n = read(fd, bytes + got, (size_t)st.st_size - got);

		if (n <= 0) {
			free(bytes);
			bytes = NULL;
		} else {
			got += (u64)n;
		}
	}
	close(fd);
	*ret_size = got;
	return bytes;
}

static bool cache_parse(struct image_cache *c, u64 size)
{
	struct cursor at;
	u8 digest[32];

	if (size < sizeof(c->header) + 32)
		return false;
	sha256(c->bytes, size - 32, digest);
	if (memcmp(digest, c->bytes + size - 32, 32) != 0)
		return false;
	at = cursor_of(c->bytes, size - 32);
	cursor_copy(&at, &c->header, sizeof(c->header));
	if (memcmp(c->header.magic, cache_magic, 8) != 0 || c->header.version != CACHE_VERSION ||
	    c->header.sites_version != SITES_VERSION || c->header.count > TREE_ENTRIES_MAX)
		return false;
	c->files = calloc(c->header.count + 1, sizeof(*c->files));
	if (!c->files)
		return false;
	for (u64 i = 0; i < c->header.count; i++) {
		const struct cache_entry *e = cursor_take(&at, sizeof(*e));
		struct cached *f = &c->files[i];

		if (!e || e->path_size == 0 || e->path_size > PATH_MAX + 8 ||
		    e->sites > SITES_FILE_MAX)
			return false;
		f->entry = e;
		f->path = cursor_take(&at, e->path_size);
		f->digests = cursor_take(&at, array_size(e->blocks, 32));
		f->sites = cursor_take(&at, array_size(e->sites, sizeof(*f->sites)));
		if (at.bad || strnlen(f->path, e->path_size) == e->path_size ||
		    (i && strcmp(f[-1].path, f->path) >= 0))
			return false;
		c->count++;
	}
	return cursor_is_done(&at);
}

struct image_cache *image_cache_load(const char *path)
{
	struct image_cache *c = calloc(1, sizeof(*c));
	u64 size;

	if (!c)
		return NULL;
	c->bytes = file_read_whole(path, &size);
	if (c->bytes && !cache_parse(c, size)) {
		memset(&c->header, 0, sizeof(c->header));
		c->count = 0;
	}
	return c;
}

void image_cache_free(struct image_cache *c)
{
	if (!c)
		return;
	free(c->files);
	free(c->bytes);
	free(c);
}

const struct image_fingerprint *image_cache_fingerprint(const struct image_cache *c)
{
	return &c->header.fingerprint;
}

static int by_path(const void *key, const void *member)
{
	return strcmp(key, ((const struct cached *)member)->path);
}

const u8 (*image_cache_find(const struct image_cache *c, const char *path,
			    const struct tree_identity *id, const struct secvol_site **ret_sites,
			    u32 *ret_site_count))[32]
{
	const struct cached *f =
		c->count ? bsearch(path, c->files, c->count, sizeof(*f), by_path) : NULL;

	if (!f || memcmp(&f->entry->id, id, sizeof(*id)) != 0 ||
	    f->entry->blocks != (id->size + 4095) / 4096)
		return NULL;
	*ret_sites = f->sites;
	*ret_site_count = f->entry->sites;
	return f->digests;
}

/* Nanoseconds from a to b; far apart counts as far. */
static s64 nsec_between(s64 a_sec, u32 a_nsec, s64 b_sec, u32 b_nsec)
{
	s64 sec = b_sec - a_sec;

	if (sec > 1000 || sec < -1000)
		return sec > 0 ? INT64_MAX : INT64_MIN;
	return sec * 1000000000 + (s64)b_nsec - (s64)a_nsec;
}

bool image_cache_settled(const struct tree_identity *id, s64 now_sec, u32 now_nsec)
{
	/* Kernel ticks are 10 ms at most; file systems without nanoseconds count up to 2 s. */
	bool coarse = id->ctime_nsec == 0;
	s64 age = nsec_between(id->ctime_sec, id->ctime_nsec, now_sec, now_nsec);

	return age > (coarse ? 2100000000 : 30000000);
}

/* ---- writing -------------------------------------------------------------------------------- */

struct image_cache_writer {
	u8 *bytes;
	size_t size, room;
	u64 count;
};

struct image_cache_writer *image_cache_writer_new(void)
{
	struct image_cache_writer *w = calloc(1, sizeof(*w));

	if (w)
		w->size = sizeof(struct cache_header);
	return w;
}

void image_cache_writer_free(struct image_cache_writer *w)
{
	if (!w)
		return;
	free(w->bytes);
	free(w);
}

static int writer_reserve(struct image_cache_writer *w, size_t more)
{
	size_t need = w->size + more, room = MAX(need, 2 * w->room);
	u8 *bigger;

	if (need <= w->room)
		return 0;
	bigger = realloc(w->bytes, room);
	if (!bigger)
		return -ENOMEM;
	memset(bigger + w->room, 0, room - w->room);
	w->bytes = bigger;
	w->room = room;
	return 0;
}

static void writer_append(struct image_cache_writer *w, const void *bytes, size_t size)
{
	if (size)
		memcpy(w->bytes + w->size, bytes, size);
	w->size += size;
}

int image_cache_add(struct image_cache_writer *w, const char *path, const struct tree_identity *id,
		    const u8 (*digests)[32], u64 blocks, const struct secvol_site *sites,
		    u32 site_count)
{
	struct cache_entry e = {.id = *id, .blocks = blocks, .sites = site_count};
	size_t path_len = strlen(path) + 1;
	static const u8 zeros[8];
	int err;

	e.path_size = (u32)pad8(path_len);
	err = writer_reserve(w, sizeof(e) + e.path_size + array_size(blocks, 32) +
					array_size(site_count, sizeof(*sites)) + 64);
	if (err)
		return err;
	writer_append(w, &e, sizeof(e));
	writer_append(w, path, path_len);
	writer_append(w, zeros, e.path_size - path_len);
	writer_append(w, digests, blocks * 32);
	writer_append(w, sites, site_count * sizeof(*sites));
	w->count++;
	return 0;
}

static int write_whole(int fd, const u8 *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int image_cache_save(struct image_cache_writer *w, const struct image_fingerprint *fingerprint,
		     const char *path)
{
	struct cache_header h = {.version = CACHE_VERSION,
				 .sites_version = SITES_VERSION,
				 .count = w->count,
				 .fingerprint = *fingerprint};
	char temp[PATH_MAX];
	u8 digest[32];
	int fd, err = writer_reserve(w, 32);

	if (err)
		return err;
	memcpy(h.magic, cache_magic, 8);
	memcpy(w->bytes, &h, sizeof(h));
	sha256(w->bytes, w->size, digest);
	writer_append(w, digest, 32);
	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write_whole(fd, w->bytes, w->size);
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(temp, path))
		err = -errno;
	if (err)
		unlink(temp);
	return err;
}
