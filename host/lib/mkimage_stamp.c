// SPDX-License-Identifier: Apache-2.0
/*
 * What an image depends on, in numbers: the builder's options, the tree by the identity of its
 * files, the files of the image in place. Equal numbers mean that nothing has to be built.
 */
#define _GNU_SOURCE
#include "host/lib/mkimage_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/hex.h"
#include "lib/base/le.h"
#include "lib/base/string.h"

/* Changes whenever the same tree gives another image; part of the uuid, salt and fingerprint. */
#define BUILDER_VERSION 2

enum { AG_LOG2_DEFAULT = 30, AG_COUNT_GOAL = 100 };

static void hash_u64(struct sha256 *s, u64 x)
{
	le64 bytes = le64_put(x);

	sha256_update(s, &bytes, sizeof(bytes));
}

u8 mkimage_ag_log2(const struct mkimage_job *j)
{
	u8 log2 = AG_LOG2_DEFAULT;

	while (j->tree.bytes >> log2 >= AG_COUNT_GOAL)
		log2++;
	return log2;
}

/* Everything but the tree that the image depends on. */
void mkimage_hash_options(const struct mkimage_job *j, struct sha256 *s)
{
	char label[64] = "";

	if (j->p->label)
		strncpy(label, j->p->label, sizeof(label) - 1);
	sha256_update(s, "secvol1/mkimage", 15);
	hash_u64(s, BUILDER_VERSION);
	hash_u64(s, SITES_VERSION);
	hash_u64(s, NODE_LOG2);
	hash_u64(s, mkimage_ag_log2(j));
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
void mkimage_fingerprint_tree(const struct mkimage_job *j, u8 digest[32])
{
	struct sha256 s;

	memset(digest, 0, 32);
	sha256_init(&s);
	mkimage_hash_options(j, &s);
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
bool mkimage_fingerprint_output(const char *dir, u8 digest[32])
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
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	size_t n;

	if (!f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	hex_encode(want, digest, 32);
	want[64] = '\n';
	n = fread(got, 1, sizeof(got) - 1, f);
	fclose(f);
	return n == 65 && memcmp(got, want, 65) == 0;
}

/* The image in place is what this build would make. */
bool mkimage_is_up_to_date(struct mkimage_job *j)
{
	const struct image_fingerprint *last = image_cache_fingerprint(j->cache);
	u8 tree[32], output[32];

	mkimage_fingerprint_tree(j, tree);
	if (mem_is_zero(tree, 32) || memcmp(tree, last->tree, 32) != 0 ||
	    !mkimage_fingerprint_output(j->p->output, output) ||
	    memcmp(output, last->output, 32) != 0)
		return false;
	if (j->p->digest_path && !digest_file_says(j->p->digest_path, last->image))
		return false;
	memcpy(j->r->sha256, last->image, 32);
	return true;
}
