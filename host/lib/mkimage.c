// SPDX-License-Identifier: Apache-2.0
/*
 * The image builder. Scan the tree, compare it with what the last build remembered, stream the
 * files' chunks through the image writer in the order of their objects, put the result in place.
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
#include "host/lib/mkimage_priv.h"
#include "host/lib/image_cache.h"
#include "host/lib/snapshot.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"
#include "lib/secvol/build.h"

static void *env_alloc(void *arg, size_t size)
{
	return aligned_alloc(64, ALIGN_UP(size, (size_t)64));
}

static void env_free(void *arg, void *p, size_t size)
{
	free(p);
}

static const struct secvol_env build_env = {.alloc = env_alloc, .free = env_free};

int mkimage_fail(struct mkimage_job *j, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(j->r->error, sizeof(j->r->error), format, args);
	va_end(args);
	return err;
}

int mkimage_fail_memory(struct mkimage_job *j)
{
	return mkimage_fail(j, -ENOMEM, "out of memory");
}

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

static int pipe_open(struct mkimage_job *j)
{
	struct chunk_pipe_params pp = {
		.tree = &j->tree,
		.jobs = j->p->jobs,
		.hash = !j->p->image_key,
		.find_sites = true,
		.known = j->cache && !j->p->image_key ? mkimage_known : NULL,
		.known_arg = j,
	};

	if (pp.jobs == 0) {
		long cpus = sysconf(_SC_NPROCESSORS_ONLN);

		pp.jobs = cpus > 0 ? (u32)cpus : 1;
	}
	return chunk_pipe_new(&pp, &j->pipe) ? mkimage_fail_memory(j) : 0;
}

/* For an encrypted image: a private copy, and the salt from it. */
static int salt_make(struct mkimage_job *j, u8 salt[32])
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
	mkimage_hash_options(j, &options);
	sha256_final(&options, digest);
	hmac_sha256_update(&mac, digest, sizeof(digest));
	err = snapshot_take(&j->tree, j->pipe, j->parent_dir, &mac, &j->snapshot, j->r->error,
			    sizeof(j->r->error));
	hmac_sha256_final(&mac, salt);
	return err;
}

static int build_open(struct mkimage_job *j)
{
	struct secvol_build_params bp = {
		.env = &build_env,
		.mode = j->p->image_key ? SECVOL_PINNED : SECVOL_HASH,
		.role = j->p->role,
		.node_log2 = NODE_LOG2,
		.ag_log2 = mkimage_ag_log2(j),
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
	mkimage_hash_options(j, &options);
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
		return mkimage_fail(j, err, "cannot make '%s': %s", j->temp, strerror(-err));
	bp.bs = j->bs;
	err = secvol_build_new(&bp, &j->build);
	return err ? mkimage_fail(j, err, "cannot start the image: %s", strerror(-err)) : 0;
}

static int digest_file_write(struct mkimage_job *j)
{
	char temp[PATH_MAX], text[2 * 32 + 1];
	FILE *f;
	int fd, err = 0;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", j->p->digest_path) >= (int)sizeof(temp))
		return mkimage_fail(j, -ENAMETOOLONG, "path is too long: '%s'", j->p->digest_path);
	fd = mkostemp(temp, O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		err = -errno;
		if (fd >= 0) {
			close(fd);
			unlink(temp);
		}
		return mkimage_fail(j, err, "cannot write '%s': %s", j->p->digest_path,
				    strerror(-err));
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
	return mkimage_fail(j, err, "cannot write '%s': %s", j->p->digest_path, strerror(-err));
}

/* The new image takes the old one's place. */
static int output_replace(struct mkimage_job *j)
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
	return mkimage_fail(j, -errno, "cannot put '%s' in place: %s", j->p->output,
			    strerror(errno));
}

static int cache_write(struct mkimage_job *j)
{
	struct image_fingerprint fp = {0};
	int err;

	if (!j->p->cache_path)
		return 0;
	mkimage_fingerprint_tree(j, fp.tree);
	memcpy(fp.image, j->r->sha256, 32);
	if (!mkimage_fingerprint_output(j->p->output, fp.output))
		memset(fp.tree, 0, sizeof(fp.tree));
	err = image_cache_save(j->writer, &fp, j->p->cache_path);
	return err ? mkimage_fail(j, err, "cannot write '%s': %s", j->p->cache_path, strerror(-err))
		   : 0;
}

static int paths_prepare(struct mkimage_job *j)
{
	const char *slash = strrchr(j->p->output, '/');
	int len = slash ? (int)(slash - j->p->output) : 0;

	if (snprintf(j->temp, sizeof(j->temp), "%s.new", j->p->output) >= (int)sizeof(j->temp))
		return mkimage_fail(j, -ENAMETOOLONG, "path is too long: '%s'", j->p->output);
	snprintf(j->parent_dir, sizeof(j->parent_dir), "%.*s", len ? len : 1,
		 len	 ? j->p->output
		 : slash ? "/"
			 : ".");
	return 0;
}

static int build_run(struct mkimage_job *j)
{
	int err = paths_prepare(j);

	clock_gettime(CLOCK_REALTIME, &j->begun);
	if (!err)
		err = tree_scan(j->p->source, SECVOL_ROOT_OBJ, j->p->shuffle, &j->tree, j->r->error,
				sizeof(j->r->error));
	if (err)
		return err;
	j->r->bytes = j->tree.bytes;
	mkimage_set_ids_clear(j);
	if (j->p->cache_path) {
		j->cache = image_cache_load(j->p->cache_path);
		j->writer = image_cache_writer_new();
		if (!j->cache || !j->writer)
			return mkimage_fail_memory(j);
		if (!j->p->force && mkimage_is_up_to_date(j)) {
			j->r->unchanged = true;
			return 0;
		}
	}
	err = mkimage_children_index(j);
	if (!err)
		err = pipe_open(j);
	if (!err)
		err = build_open(j);
	if (!err)
		err = mkimage_objects_write(j);
	if (err)
		return err;
	err = secvol_build_finish(j->build, j->r->sha256);
	if (err)
		return mkimage_fail(j, err, "cannot complete the image '%s': %s", j->p->output,
				    strerror(-err));
	err = output_replace(j);
	if (!err && j->p->digest_path)
		err = digest_file_write(j);
	return err ? err : cache_write(j);
}

int mkimage_build(const struct mkimage_params *params, struct mkimage_result *result)
{
	struct mkimage_job *j = calloc(1, sizeof(*j));
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
		err = mkimage_fail(j, -EINVAL, "an image key has 16 or 32 bytes, not %u",
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
