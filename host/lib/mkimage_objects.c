// SPDX-License-Identifier: Apache-2.0
/*
 * The objects of an image: directories, links and files in the order of their numbers. Files come
 * as chunks, hashed and decoded by other threads; what they are made of is remembered for the next
 * build.
 */
#define _GNU_SOURCE
#include "host/lib/mkimage_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/string.h"

/* On a directory setgid says what group new files get, which gives nobody a right. */
void mkimage_set_ids_clear(struct mkimage_job *j)
{
	const struct tree_entry *top = &j->tree.entries[0];

	for (u32 i = 1; i < j->tree.count; i++) {
		struct tree_entry *e = &j->tree.entries[i];
		u32 foreign = (e->uid && e->uid != top->uid ? S_ISUID : 0) |
			      (e->gid && e->gid != top->gid ? S_ISGID : 0);

		if (!S_ISREG(e->mode) || !(e->mode & foreign))
			continue;
		e->mode &= ~foreign;
		if (e->first == i && j->r->set_ids_cleared++ == 0)
			snprintf(j->r->set_id, sizeof(j->r->set_id), "%s", e->path);
	}
}

/* Groups the entries by directory. */
int mkimage_children_index(struct mkimage_job *j)
{
	u32 n = j->tree.count;

	j->children = calloc(n, sizeof(*j->children));
	j->child_start = calloc(n + 2, sizeof(*j->child_start));
	if (!j->children || !j->child_start)
		return mkimage_fail_memory(j);
	for (u32 i = 1; i < n; i++)
		j->child_start[j->tree.entries[i].parent + 2]++;
	for (u32 i = 2; i < n + 2; i++)
		j->child_start[i] += j->child_start[i - 1];
	for (u32 i = 1; i < n; i++)
		j->children[j->child_start[j->tree.entries[i].parent + 1]++] = i;
	return 0;
}

static struct secvol_attr attr_of(const struct mkimage_job *j, const struct tree_entry *e)
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

static int fail_write(struct mkimage_job *j, int err, const struct tree_entry *e)
{
	return mkimage_fail(j, err, "cannot write '%s/%s' to the image '%s': %s", j->tree.top,
			    e->path, j->p->output, strerror(-err));
}

static int dir_write(struct mkimage_job *j, u32 index)
{
	const struct tree_entry *e = &j->tree.entries[index];
	u32 from = j->child_start[index], count = j->child_start[index + 1] - from;
	struct secvol_attr a = attr_of(j, e);
	struct secvol_build_name *names = calloc(count + 1, sizeof(*names));
	int err;

	if (!names)
		return mkimage_fail_memory(j);
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

static int link_write(struct mkimage_job *j, const struct tree_entry *e)
{
	struct secvol_attr a = attr_of(j, e);
	int err = secvol_build_inode(j->build, &a, 0);

	if (!err)
		err = secvol_build_symlink(j->build, e->obj, e->target, strlen(e->target));
	return err ? fail_write(j, err, e) : 0;
}

static int chunk_next(struct mkimage_job *j, struct chunk **ret_chunk)
{
	if (j->snapshot)
		return snapshot_next(j->snapshot, ret_chunk, j->r->error, sizeof(j->r->error));
	return chunk_pipe_next(j->pipe, ret_chunk, j->r->error, sizeof(j->r->error));
}

static void chunk_put(struct mkimage_job *j, struct chunk *c)
{
	if (!j->snapshot)
		chunk_pipe_put(j->pipe, c);
}

static int digests_reserve(struct mkimage_job *j, u64 more)
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

static int extent_add(struct mkimage_job *j, const struct mkimage_extent *e)
{
	if (j->extent_count == j->extent_room) {
		u32 room = j->extent_room ? 2 * j->extent_room : 64;
		struct mkimage_extent *bigger = reallocarray(j->extents, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		j->extents = bigger;
		j->extent_room = room;
	}
	j->extents[j->extent_count++] = *e;
	return 0;
}

/* Blocks with content that follow each other, from chunk block `at` on. */
static int run_write(struct mkimage_job *j, struct chunk *c, u32 at, u32 count)
{
	while (count) {
		struct mkimage_extent e = {.block = c->block + at,
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

static int chunk_write(struct mkimage_job *j, struct chunk *c)
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
const u8 (*mkimage_known(void *arg, u32 entry))[32]
{
	struct mkimage_job *j = arg;
	const struct tree_entry *e = &j->tree.entries[entry];
	const struct secvol_site *sites;
	u32 count;

	return image_cache_find(j->cache, e->path, &e->id, &sites, &count);
}

/* Digests of an encrypted image are those of its ciphertext: no other build can use them. */
static int file_remember(struct mkimage_job *j, const struct tree_entry *e,
			 const struct secvol_site *sites, u32 count)
{
	if (!j->writer || j->p->image_key ||
	    !image_cache_settled(&e->id, j->begun.tv_sec, (u32)j->begun.tv_nsec))
		return 0;
	return image_cache_add(j->writer, e->path, &e->id, (const u8(*)[32])j->digests,
			       j->digest_count, sites, count);
}

/* Inode, extents and sites of a file whose data blocks are written. */
static int file_finish(struct mkimage_job *j, const struct tree_entry *e)
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
static int inline_write(struct mkimage_job *j, const struct tree_entry *e)
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

static void progress(struct mkimage_job *j, u64 more)
{
	j->done += more;
	if (j->p->progress)
		j->p->progress(j->p->progress_arg, j->done, j->tree.bytes);
}

static int file_write(struct mkimage_job *j, const struct tree_entry *e)
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

int mkimage_objects_write(struct mkimage_job *j)
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
