// SPDX-License-Identifier: Apache-2.0
/*
 * The image builder. Scan the tree, compare it with what the last build remembered, stream the files'
 * chunks through the image writer in the order of their objects, put the result in place.
 *
 * The place: OUTPUT.new is built, then exchanged with OUTPUT (or renamed), then the digest file is
 * replaced. Whoever is interrupted in between leaves either the old pair, or a new image beside an
 * old digest, which every opener refuses and the next build repairs.
 */
#define _GNU_SOURCE
#include "host/lib/mkimage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/lib/bs_host.h"
#include "host/lib/image_cache.h"
#include "host/lib/snapshot.h"
#include "lib/base/hex.h"
#include "lib/base/le.h"
#include "lib/base/string.h"
#include "lib/secvol/build.h"

/* Changes whenever the same tree gives another image; part of the uuid, salt and fingerprint. */
#define BUILDER_VERSION 1

enum { AG_LOG2_DEFAULT = 30, AG_COUNT_GOAL = 100, NODE_LOG2 = 14 };

struct extent {
	u64 block, addr;
	u32 count;
	u64 digest; /* index of the first in digests[] */
};

struct job {
	const struct mkimage_params *p;
	struct mkimage_result *r;
	struct tree tree;
	u32 *children;	  /* entry indices, grouped by directory, in path order */
	u32 *child_start; /* per entry; [count] is the end */
	struct timespec begun;
	char temp[PATH_MAX];
	char parent_dir[PATH_MAX];

	struct image_cache *cache;
	struct image_cache_writer *writer;
	struct chunk_pipe *pipe;
	struct snapshot *snapshot;
	struct bs *bs;
	struct secvol_build *build;
	struct secvol_fixed_key key;
	struct secvol_key_source key_source;
	u64 done;

	/* of the file that is being written */
	struct extent *extents;
	u32 extent_count, extent_room;
	u8 (*digests)[32];
	u64 digest_count, digest_room;
	struct sites_table sites;
};

static void *env_alloc(void *arg, size_t size)
{
	return aligned_alloc(64, ALIGN_UP(size, (size_t)64));
}

static void env_free(void *arg, void *p, size_t size)
{
	free(p);
}

static const struct secvol_env build_env = {.alloc = env_alloc, .free = env_free};

__attribute__((format(printf, 3, 4))) static int fail(struct job *j, int err, const char *format,
						      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(j->r->error, sizeof(j->r->error), format, args);
	va_end(args);
	return err;
}

static int fail_memory(struct job *j)
{
	return fail(j, -ENOMEM, "out of memory");
}

/* ---- parameters in numbers ------------------------------------------------------------------ */

static void hash_u64(struct sha256 *s, u64 x)
{
	le64 bytes = le64_put(x);

	sha256_update(s, &bytes, sizeof(bytes));
}

static u8 ag_log2_of(const struct job *j)
{
	u8 log2 = AG_LOG2_DEFAULT;

	while (j->tree.bytes >> log2 >= AG_COUNT_GOAL)
		log2++;
	return log2;
}

/* Everything but the tree that the image depends on. */
static void hash_options(const struct job *j, struct sha256 *s)
{
	char label[64] = "";

	if (j->p->label)
		strncpy(label, j->p->label, sizeof(label) - 1);
	sha256_update(s, "secvol1/mkimage", 15);
	hash_u64(s, BUILDER_VERSION);
	hash_u64(s, SITES_VERSION);
	hash_u64(s, NODE_LOG2);
	hash_u64(s, ag_log2_of(j));
	hash_u64(s, j->p->role);
	hash_u64(s, j->p->image_key ? SECVOL_PINNED : SECVOL_HASH);
	hash_u64(s, j->p->image_key ? j->p->image_key_size : 0);
	hash_u64(s, j->p->uid);
	hash_u64(s, j->p->gid);
	hash_u64(s, (u64)j->p->time);
	sha256_update(s, label, sizeof(label));
}

static void hash_identity(struct sha256 *s, const struct tree_identity *id)
{
	sha256_update(s, id, sizeof(*id));
}

/* Of the tree and the options; all zeros when some file is too young to be relied on. */
static void fingerprint_tree(const struct job *j, u8 digest[32])
{
	struct sha256 s;

	memset(digest, 0, 32);
	sha256_init(&s);
	hash_options(j, &s);
	if (j->p->image_key) {
		u8 id[32];

		hmac_sha256(j->p->image_key, j->p->image_key_size, "mkimage cache", 13, id);
		sha256_update(&s, id, sizeof(id));
	}
	for (u32 i = 0; i < j->tree.count; i++) {
		const struct tree_entry *e = &j->tree.entries[i];

		if (!image_cache_settled(&e->id, j->begun.tv_sec, (u32)j->begun.tv_nsec))
			return;
		sha256_update(&s, e->path, strlen(e->path) + 1);
		if (e->target)
			sha256_update(&s, e->target, strlen(e->target) + 1);
		hash_u64(&s, e->mode);
		hash_u64(&s, e->first);
		hash_identity(&s, &e->id);
	}
	sha256_final(&s, digest);
}

/* Of the image's files as they lie in `dir`: names, sizes, times. False when one is missing. */
static bool fingerprint_output(const char *dir, u8 digest[32])
{
	struct tree t;
	struct sha256 s;
	char error[256];

	if (tree_scan(dir, 1, 0, &t, error, sizeof(error)))
		return false;
	sha256_init(&s);
	for (u32 i = 1; i < t.count; i++) {
		struct tree_identity id = t.entries[i].id;

		sha256_update(&s, t.entries[i].path, strlen(t.entries[i].path) + 1);
		id.ctime_sec = id.ctime_nsec = 0; /* a rename of the folder may change it */
		hash_identity(&s, &id);
	}
	sha256_final(&s, digest);
	tree_fini(&t);
	return true;
}

static bool digest_file_says(const char *path, const u8 digest[32])
{
	char want[2 * 32 + 2], got[sizeof(want) + 1] = "";
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return false;
	hex_encode(want, digest, 32);
	want[64] = '\n';
	n = fread(got, 1, sizeof(got) - 1, f);
	fclose(f);
	return n == 65 && memcmp(got, want, 65) == 0;
}

/* The image in place is what this build would make. */
static bool is_up_to_date(struct job *j)
{
	const struct image_fingerprint *last = image_cache_fingerprint(j->cache);
	u8 tree[32], output[32];

	fingerprint_tree(j, tree);
	if (mem_is_zero(tree, 32) || memcmp(tree, last->tree, 32) != 0 ||
	    !fingerprint_output(j->p->output, output) || memcmp(output, last->output, 32) != 0)
		return false;
	if (j->p->digest_path && !digest_file_says(j->p->digest_path, last->image))
		return false;
	memcpy(j->r->sha256, last->image, 32);
	return true;
}

/* ---- objects -------------------------------------------------------------------------------- */

/* Groups the entries by directory. */
static int children_index(struct job *j)
{
	u32 n = j->tree.count;

	j->children = calloc(n, sizeof(*j->children));
	j->child_start = calloc(n + 2, sizeof(*j->child_start));
	if (!j->children || !j->child_start)
		return fail_memory(j);
	for (u32 i = 1; i < n; i++)
		j->child_start[j->tree.entries[i].parent + 2]++;
	for (u32 i = 2; i < n + 2; i++)
		j->child_start[i] += j->child_start[i - 1];
	for (u32 i = 1; i < n; i++)
		j->children[j->child_start[j->tree.entries[i].parent + 1]++] = i;
	return 0;
}

static struct secvol_attr attr_of(const struct job *j, const struct tree_entry *e)
{
	return (struct secvol_attr){
		.obj = e->obj,
		.size = e->id.size,
		.mode = e->mode,
		.uid = j->p->uid,
		.gid = j->p->gid,
		.nlink = e->links,
	};
}

static int fail_write(struct job *j, int err, const struct tree_entry *e)
{
	return fail(j, err, "cannot write '%s/%s' to the image '%s': %s", j->tree.top, e->path,
		    j->p->output, strerror(-err));
}

static int dir_write(struct job *j, u32 index)
{
	const struct tree_entry *e = &j->tree.entries[index];
	u32 from = j->child_start[index], count = j->child_start[index + 1] - from;
	struct secvol_attr a = attr_of(j, e);
	struct secvol_build_name *names = calloc(count + 1, sizeof(*names));
	int err;

	if (!names)
		return fail_memory(j);
	for (u32 i = 0; i < count; i++) {
		const struct tree_entry *c = &j->tree.entries[j->children[from + i]];

		names[i].obj = c->obj;
		names[i].type = (u8)((c->mode & S_IFMT) >> 12);
		names[i].name = tree_name(c);
		names[i].len = (u8)strlen(names[i].name);
	}
	a.size = 0;
	for (u32 i = 0; i < count; i++)
		a.size += secvol_build_name_size(&names[i]);
	err = secvol_build_inode(j->build, &a, j->tree.entries[e->parent].obj);
	if (!err)
		err = secvol_build_names(j->build, e->obj, names, count);
	free(names);
	return err ? fail_write(j, err, e) : 0;
}

static int link_write(struct job *j, const struct tree_entry *e)
{
	struct secvol_attr a = attr_of(j, e);
	int err = secvol_build_inode(j->build, &a, 0);

	if (!err)
		err = secvol_build_symlink(j->build, e->obj, e->target, strlen(e->target));
	return err ? fail_write(j, err, e) : 0;
}

static int chunk_next(struct job *j, struct chunk **ret_chunk)
{
	if (j->snapshot)
		return snapshot_next(j->snapshot, ret_chunk, j->r->error, sizeof(j->r->error));
	return chunk_pipe_next(j->pipe, ret_chunk, j->r->error, sizeof(j->r->error));
}

static void chunk_put(struct job *j, struct chunk *c)
{
	if (!j->snapshot)
		chunk_pipe_put(j->pipe, c);
}

static int digests_reserve(struct job *j, u64 more)
{
	u64 room = MAX(j->digest_count + more, 2 * j->digest_room);
	u8(*bigger)[32];

	if (j->digest_count + more <= j->digest_room)
		return 0;
	bigger = reallocarray(j->digests, room, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	j->digests = bigger;
	j->digest_room = room;
	return 0;
}

static int extent_add(struct job *j, const struct extent *e)
{
	if (j->extent_count == j->extent_room) {
		u32 room = j->extent_room ? 2 * j->extent_room : 64;
		struct extent *bigger = reallocarray(j->extents, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		j->extents = bigger;
		j->extent_room = room;
	}
	j->extents[j->extent_count++] = *e;
	return 0;
}

/* Blocks with content that follow each other, from chunk block `at` on. */
static int run_write(struct job *j, struct chunk *c, u32 at, u32 count)
{
	while (count) {
		struct extent e = {.block = c->block + at,
				   .digest = j->digest_count - c->count + at};
		int err = secvol_build_alloc(j->build, count, &e.addr, &e.count);
		u64 obj = j->tree.entries[c->entry].obj;

		if (!err)
			err = secvol_build_write(j->build, obj, e.block, e.addr, e.count,
						 c->bytes + (size_t)at * BS_BLOCK, c->digests + at);
		if (err)
			return err;
		memcpy(j->digests[e.digest], c->digests[at], (size_t)e.count * 32);
		err = extent_add(j, &e);
		if (err)
			return err;
		at += e.count;
		count -= e.count;
	}
	return 0;
}

static int chunk_write(struct job *j, struct chunk *c)
{
	int err = digests_reserve(j, c->count);

	if (err)
		return err;
	memset(j->digests[j->digest_count], 0, (size_t)c->count * 32);
	j->digest_count += c->count;
	for (u32 i = 0; !err && i < c->count;) {
		u32 end = i;

		while (end < c->count && c->zero[end] == c->zero[i])
			end++;
		if (!c->zero[i])
			err = run_write(j, c, i, end - i);
		i = end;
	}
	return err;
}

/* The file's known digests, for chunks that need not be hashed again. */
static const u8 (*cache_known(void *arg, u32 entry))[32]
{
	struct job *j = arg;
	const struct tree_entry *e = &j->tree.entries[entry];
	const struct secvol_site *sites;
	u32 count;

	return image_cache_find(j->cache, e->path, &e->id, &sites, &count);
}

/* Digests of an encrypted image are those of its ciphertext: no other build can use them. */
static int file_remember(struct job *j, const struct tree_entry *e, const struct secvol_site *sites,
			 u32 count)
{
	if (!j->writer || j->p->image_key ||
	    !image_cache_settled(&e->id, j->begun.tv_sec, (u32)j->begun.tv_nsec))
		return 0;
	return image_cache_add(j->writer, e->path, &e->id, (const u8(*)[32])j->digests,
			       j->digest_count, sites, count);
}

/* Inode, extents and sites of a file whose data blocks are written. */
static int file_finish(struct job *j, const struct tree_entry *e)
{
	struct secvol_attr a = attr_of(j, e);
	const struct secvol_site *sites = j->sites.sites;
	u32 site_count = j->sites.count;
	int err;

	if (j->cache && !j->p->image_key) {
		const struct secvol_site *known;
		u32 count;

		if (image_cache_find(j->cache, e->path, &e->id, &known, &count)) {
			sites = known;
			site_count = count;
		} else {
			j->r->hashed_bytes += e->id.size;
		}
	}
	for (u32 i = 0; i < j->extent_count; i++)
		a.blocks += j->extents[i].count;
	err = secvol_build_inode(j->build, &a, 0);
	for (u32 i = 0; !err && i < j->extent_count; i++)
		err = secvol_build_extent(j->build, e->obj, j->extents[i].block, j->extents[i].addr,
					  j->extents[i].count,
					  (const u8(*)[32])j->digests + j->extents[i].digest);
	if (!err && site_count)
		err = secvol_build_sites(j->build, e->obj, SITES_VERSION, sites, site_count);
	j->r->sites += site_count;
	return err ? err : file_remember(j, e, sites, site_count);
}

/* A short file, wholly in its leaf. */
static int inline_write(struct job *j, const struct tree_entry *e)
{
	struct secvol_attr a = attr_of(j, e);
	struct chunk *c;
	int err = chunk_next(j, &c);

	if (err)
		return err;
	err = secvol_build_inode(j->build, &a, 0);
	if (!err)
		err = secvol_build_inline(j->build, e->obj, c->bytes, e->id.size);
	if (!err && c->sites.count) {
		err = secvol_build_sites(j->build, e->obj, SITES_VERSION, c->sites.sites,
					 c->sites.count);
		j->r->sites += c->sites.count;
	}
	sites_table_fini(&c->sites);
	chunk_put(j, c);
	return err ? fail_write(j, err, e) : 0;
}

static void progress(struct job *j, u64 more)
{
	j->done += more;
	if (j->p->progress)
		j->p->progress(j->p->progress_arg, j->done, j->tree.bytes);
}

static int file_write(struct job *j, const struct tree_entry *e)
{
	u64 blocks = (e->id.size + BS_BLOCK - 1) / BS_BLOCK;
	struct secvol_attr a = attr_of(j, e);
	int err;

	if (blocks == 0) {
		err = secvol_build_inode(j->build, &a, 0);
		return err ? fail_write(j, err, e) : 0;
	}
	if (e->id.size <= SECVOL_BUILD_INLINE_MAX)
		return inline_write(j, e);
	j->extent_count = 0;
	j->digest_count = 0;
	for (u64 at = 0; at < blocks;) {
		struct chunk *c;

		err = chunk_next(j, &c);
		if (err)
			return err;
		if (at == 0) {
			j->sites = c->sites;
			c->sites = (struct sites_table){0};
		}
		err = chunk_write(j, c);
		at += c->count;
		progress(j, MIN((u64)c->count * BS_BLOCK, e->id.size));
		chunk_put(j, c);
		if (err)
			return fail_write(j, err, e);
	}
	err = file_finish(j, e);
	sites_table_fini(&j->sites);
	return err ? fail_write(j, err, e) : 0;
}

static int objects_write(struct job *j)
{
	for (u32 i = 0; i < j->tree.count; i++) {
		const struct tree_entry *e = &j->tree.entries[i];
		int err;

		if (e->first != i)
			continue;
		if (S_ISDIR(e->mode))
			err = dir_write(j, i);
		else if (S_ISLNK(e->mode))
			err = link_write(j, e);
		else
			err = file_write(j, e);
		if (err)
			return err;
		j->r->files++;
	}
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Removes a block store directory that this builder made. */
static void store_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;

	if (!dir)
		return;
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, "root") == 0 || strncmp(d->d_name, "seg.", 4) == 0)
			unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
	rmdir(path);
}

static int pipe_open(struct job *j)
{
	struct chunk_pipe_params pp = {
		.tree = &j->tree,
		.jobs = j->p->jobs,
		.hash = !j->p->image_key,
		.find_sites = true,
		.known = j->cache && !j->p->image_key ? cache_known : NULL,
		.known_arg = j,
	};

	if (pp.jobs == 0) {
		long cpus = sysconf(_SC_NPROCESSORS_ONLN);

		pp.jobs = cpus > 0 ? (u32)cpus : 1;
	}
	return chunk_pipe_new(&pp, &j->pipe) ? fail_memory(j) : 0;
}

/* For an encrypted image: a private copy, and the salt from it. */
static int salt_make(struct job *j, u8 salt[32])
{
	struct hmac_sha256 mac;
	struct sha256 options;
	u8 subkey[32], digest[32];
	int err;

	hkdf_sha256(j->p->image_key, j->p->image_key_size, NULL, 0, "secvol1/image salt", 18,
		    subkey, sizeof(subkey));
	hmac_sha256_init(&mac, subkey, sizeof(subkey));
	mem_wipe(subkey, sizeof(subkey));
	sha256_init(&options);
	hash_options(j, &options);
	sha256_final(&options, digest);
	hmac_sha256_update(&mac, digest, sizeof(digest));
	err = snapshot_take(&j->tree, j->pipe, j->parent_dir, &mac, &j->snapshot, j->r->error,
			    sizeof(j->r->error));
	hmac_sha256_final(&mac, salt);
	return err;
}

static int build_open(struct job *j)
{
	struct secvol_build_params bp = {
		.env = &build_env,
		.mode = j->p->image_key ? SECVOL_PINNED : SECVOL_HASH,
		.role = j->p->role,
		.node_log2 = NODE_LOG2,
		.ag_log2 = ag_log2_of(j),
		.time = j->p->time,
		.uid = j->p->uid,
		.gid = j->p->gid,
		.sites_version = SITES_VERSION,
		.hooks = j->p->hooks,
	};
	struct sha256 options;
	u8 digest[32];
	int err;

	sha256_init(&options);
	hash_options(j, &options);
	sha256_final(&options, digest);
	memcpy(bp.uuid, digest, sizeof(bp.uuid));
	if (j->p->label)
		strncpy(bp.label, j->p->label, sizeof(bp.label) - 1);
	if (j->p->image_key) {
		bp.suite = j->p->image_key_size == 32 ? SECVOL_AES256_GCM : SECVOL_AES128_GCM;
		j->key.type = SECVOL_SLOT_USER;
		j->key.size = (u8)j->p->image_key_size;
		memcpy(j->key.key, j->p->image_key, j->p->image_key_size);
		secvol_fixed_key_source(&j->key_source, &j->key);
		bp.keys = &j->key_source;
		err = salt_make(j, bp.salt);
		if (err)
			return err;
	}
	store_remove(j->temp);
	err = bs_dir_open(AT_FDCWD, j->temp, BS_HOST_CREATE, 0, &j->bs);
	if (err)
		return fail(j, err, "cannot make '%s': %s", j->temp, strerror(-err));
	bp.bs = j->bs;
	err = secvol_build_new(&bp, &j->build);
	return err ? fail(j, err, "cannot start the image: %s", strerror(-err)) : 0;
}

static int digest_file_write(struct job *j)
{
	char temp[PATH_MAX], text[2 * 32 + 1];
	FILE *f;
	int fd, err = 0;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", j->p->digest_path) >= (int)sizeof(temp))
		return fail(j, -ENAMETOOLONG, "path is too long: '%s'", j->p->digest_path);
	fd = mkostemp(temp, O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		err = -errno;
		if (fd >= 0) {
			close(fd);
			unlink(temp);
		}
		return fail(j, err, "cannot write '%s': %s", j->p->digest_path, strerror(-err));
	}
	hex_encode(text, j->r->sha256, 32);
	if (fprintf(f, "%s\n", text) < 0 || fflush(f) || fchmod(fd, 0644) || fdatasync(fd))
		err = -errno;
	if (fclose(f) && !err)
		err = -errno;
	if (!err && rename(temp, j->p->digest_path))
		err = -errno;
	if (!err)
		return 0;
	unlink(temp);
	return fail(j, err, "cannot write '%s': %s", j->p->digest_path, strerror(-err));
}

/* The new image takes the old one's place. */
static int output_replace(struct job *j)
{
	if (renameat2(AT_FDCWD, j->temp, AT_FDCWD, j->p->output, RENAME_NOREPLACE) == 0)
		return 0;
	if ((errno == EEXIST || errno == EINVAL) &&
	    renameat2(AT_FDCWD, j->temp, AT_FDCWD, j->p->output, RENAME_EXCHANGE) == 0) {
		store_remove(j->temp);
		return 0;
	}
	if (errno == EINVAL) { /* a file system without exchange: a short moment without image */
		store_remove(j->p->output);
		if (rename(j->temp, j->p->output) == 0)
			return 0;
	}
	return fail(j, -errno, "cannot put '%s' in place: %s", j->p->output, strerror(errno));
}

static int cache_write(struct job *j)
{
	struct image_fingerprint fp = {0};
	int err;

	if (!j->p->cache_path)
		return 0;
	fingerprint_tree(j, fp.tree);
	memcpy(fp.image, j->r->sha256, 32);
	if (!fingerprint_output(j->p->output, fp.output))
		memset(fp.tree, 0, sizeof(fp.tree));
	err = image_cache_save(j->writer, &fp, j->p->cache_path);
	return err ? fail(j, err, "cannot write '%s': %s", j->p->cache_path, strerror(-err)) : 0;
}

static int paths_prepare(struct job *j)
{
	const char *slash = strrchr(j->p->output, '/');
	int len = slash ? (int)(slash - j->p->output) : 0;

	if (snprintf(j->temp, sizeof(j->temp), "%s.new", j->p->output) >= (int)sizeof(j->temp))
		return fail(j, -ENAMETOOLONG, "path is too long: '%s'", j->p->output);
	snprintf(j->parent_dir, sizeof(j->parent_dir), "%.*s", len ? len : 1,
		 len	 ? j->p->output
		 : slash ? "/"
			 : ".");
	return 0;
}

static int build_run(struct job *j)
{
	int err = paths_prepare(j);

	clock_gettime(CLOCK_REALTIME, &j->begun);
	if (!err)
		err = tree_scan(j->p->source, SECVOL_ROOT_OBJ, j->p->shuffle, &j->tree, j->r->error,
				sizeof(j->r->error));
	if (err)
		return err;
	j->r->bytes = j->tree.bytes;
	if (j->p->cache_path) {
		j->cache = image_cache_load(j->p->cache_path);
		j->writer = image_cache_writer_new();
		if (!j->cache || !j->writer)
			return fail_memory(j);
		if (!j->p->force && is_up_to_date(j)) {
			j->r->unchanged = true;
			return 0;
		}
	}
	err = children_index(j);
	if (!err)
		err = pipe_open(j);
	if (!err)
		err = build_open(j);
	if (!err)
		err = objects_write(j);
	if (err)
		return err;
	err = secvol_build_finish(j->build, j->r->sha256);
	if (err)
		return fail(j, err, "cannot complete the image '%s': %s", j->p->output,
			    strerror(-err));
	err = output_replace(j);
	if (!err && j->p->digest_path)
		err = digest_file_write(j);
	return err ? err : cache_write(j);
}

int mkimage_build(const struct mkimage_params *params, struct mkimage_result *result)
{
	struct job *j = calloc(1, sizeof(*j));
	int err;

	memset(result, 0, sizeof(*result));
	if (!j) {
		snprintf(result->error, sizeof(result->error), "out of memory");
		return -ENOMEM;
	}
	j->p = params;
	j->r = result;
	j->tree.fd = -1;
	if (params->image_key && params->image_key_size != 16 && params->image_key_size != 32)
		err = fail(j, -EINVAL, "an image key has 16 or 32 bytes, not %u",
			   params->image_key_size);
	else
		err = build_run(j);
	if (params->progress)
		params->progress(params->progress_arg, j->tree.bytes, j->tree.bytes);

	if (j->pipe)
		chunk_pipe_free(j->pipe);
	if (j->build)
		secvol_build_free(j->build);
	if (j->bs) {
		j->bs->ops->close(j->bs);
		if (err)
			store_remove(j->temp);
	}
	snapshot_free(j->snapshot);
	image_cache_free(j->cache);
	image_cache_writer_free(j->writer);
	sites_table_fini(&j->sites);
	tree_fini(&j->tree);
	mem_wipe(&j->key, sizeof(j->key));
	free(j->children);
	free(j->child_start);
	free(j->extents);
	free(j->digests);
	free(j);
	return err;
}

void mkimage_bar(void *arg, u64 done, u64 total)
{
	static const char full[] = "########################################";
	struct mkimage_bar *bar = arg;
	int percent = total ? (int)(done * 100 / total) : 100;

	if (!isatty(STDERR_FILENO) || (percent == bar->last && done < total))
		return;
	bar->last = percent;
	if (done >= total)
		fprintf(stderr, "\r\033[K");
	else
		fprintf(stderr, "\r%s [%-40.*s] %3d%%", bar->what, percent * 2 / 5, full, percent);
	fflush(stderr);
}
