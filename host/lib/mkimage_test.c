/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image builder: what it makes opens and holds the tree; the same tree gives the same bytes
 * whatever the surroundings; errors name what and why and leave the old image alone.
 */
#define _GNU_SOURCE
#include "tests/unit.h"

#include "tests/shell.h"

#include "host/lib/bs_host.h"
#include "host/lib/mkimage.h"
#include "host/lib/sites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];
static const u8 key[16] = "image key 0123";
static struct mkimage_result result;

static void run(const char *command)
{
	if (shell_run(command) != 0)
		fail_msg("%s", command);
}

static int enter(void **state)
{
	snprintf(scratch, sizeof(scratch), "/tmp/occlum-mk-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	assert_int_equal(chdir(scratch), 0);
	run("mkdir -p t/bin t/empty t/d/e t/d.x t/root");
	run("printf hello > t/bin/hello; chmod 4755 t/bin/hello; : > t/none");
	run("head -c 2048 /bin/sh > t/at-limit; head -c 2049 /bin/sh > t/over-limit");
	run("head -c 3000000 /bin/bash > t/big; ln t/big t/d/same; ln -s ../bin/hello t/d/e/link");
	run("cp /lib/x86_64-linux-gnu/libc.so.6 t/bin/libc");
	run("truncate -s 5000000 t/sparse; printf end >> t/sparse");
	run("truncate -s 20M t/holes; printf middle | dd of=t/holes conv=notrunc oflag=seek_bytes "
	    "seek=1572964 status=none");
	run("head -c 10000 /bin/bash | dd of=t/holes conv=notrunc oflag=seek_bytes seek=7335032 "
	    "iflag=fullblock status=none");
	run("chmod 700 t/root; chmod 1777 t/empty");
	run("i=0; while [ $i -lt 600 ]; do echo $i > t/d/file-number-$i; i=$((i+1)); done");
	run("find t -exec touch -h -d '2020-01-01' {} +");
	usleep(120000); /* older than a tick */
	return 0;
}

static int leave(void **state)
{
	char cmd[128];

	assert_int_equal(chdir("/"), 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", scratch);
	return shell_run(cmd);
}

static struct mkimage_params params_of(const char *output)
{
	return (struct mkimage_params){
		.source = "t", .output = output, .role = SECVOL_ROLE_IMAGE, .jobs = 2};
}

static void build(const struct mkimage_params *p)
{
	if (mkimage_build(p, &result))
		fail_msg("%s", result.error);
}

static void *env_alloc(void *arg, size_t size)
{
	return aligned_alloc(64, ALIGN_UP(size, (size_t)64));
}

static void env_free(void *arg, void *p, size_t size)
{
	free(p);
}

static int env_random(void *arg, void *bytes, size_t size)
{
	return -EIO; /* nothing read-only needs any */
}

static void env_now(void *arg, s64 *sec, u32 *nsec)
{
	*sec = 0;
	*nsec = 0;
}

struct image {
	struct bs *bs;
	struct secvol *v;
	struct secvol_fixed_key key;
	struct secvol_key_source source;
};

static int image_open(struct image *i, const char *path, const u8 *image_key, const u8 digest[32])
{
	static const struct secvol_env env = {
		.alloc = env_alloc, .free = env_free, .random = env_random, .now = env_now};
	struct secvol_params p = {
		.env = &env,
		.mode = image_key ? SECVOL_PINNED : SECVOL_HASH,
		.suite = image_key ? SECVOL_AES128_GCM : SECVOL_SUITE_NONE,
		.role = SECVOL_ROLE_IMAGE,
		.keys = image_key ? &i->source : NULL,
		.pinned_sha256 = digest,
		.read_only = true,
	};
	struct secvol_report report;
	int err;

	i->key = (struct secvol_fixed_key){.type = SECVOL_SLOT_USER, .size = 16};
	if (image_key)
		memcpy(i->key.key, image_key, 16);
	secvol_fixed_key_source(&i->source, &i->key);
	assert_int_equal(
		bs_dir_open(AT_FDCWD, path, BS_HOST_READ_ONLY | BS_HOST_NO_LOCK, 0, &i->bs), 0);
	p.bs = i->bs;
	err = secvol_open(&p, &i->v, &report);
	if (err)
		i->bs->ops->close(i->bs);
	return err;
}

static void image_close(struct image *i)
{
	secvol_close(i->v);
	i->bs->ops->close(i->bs);
}

static u64 find(struct image *i, const char *path, struct secvol_attr *a)
{
	u64 obj = SECVOL_ROOT_OBJ;

	assert_int_equal(secvol_getattr(i->v, obj, a), 0);
	while (*path) {
		size_t len = strcspn(path, "/");

		if (secvol_lookup(i->v, obj, path, len, &obj, a))
			fail_msg("'%s' is not in the image", path);
		path += len + (path[len] == '/');
	}
	return obj;
}

static void same_content(struct image *i, const char *path)
{
	static u8 want[4 << 20], got[4 << 20];
	char host_path[256];
	struct secvol_attr a;
	struct stat st;
	u64 obj = find(i, path, &a);
	FILE *f;

	snprintf(host_path, sizeof(host_path), "t/%s", path);
	assert_int_equal(stat(host_path, &st), 0);
	assert_int_equal(a.size, st.st_size);
	assert_int_equal(a.mode, st.st_mode);
	f = fopen(host_path, "rb");
	for (u64 at = 0; at < a.size;) {
		size_t n = fread(want, 1, sizeof(want), f);

		assert_int_equal(secvol_read(i->v, obj, at, got, sizeof(got)), n);
		assert_memory_equal(want, got, n);
		at += n;
	}
	fclose(f);
}

static void image_holds_the_tree(const char *path, const u8 *image_key)
{
	static struct secvol_site sites[SECVOL_SITES_PER_CHUNK];
	struct secvol_attr a, b;
	char target[64];
	struct image i;
	u16 version;
	u64 obj;

	assert_int_equal(image_open(&i, path, image_key, result.sha256), 0);
	assert_int_equal(secvol_check(i.v, NULL, NULL), 0);
	same_content(&i, "bin/hello");
	same_content(&i, "none");
	same_content(&i, "at-limit");
	same_content(&i, "over-limit");
	same_content(&i, "big");
	same_content(&i, "bin/libc");
	same_content(&i, "d/file-number-577");
	same_content(&i, "sparse");
	find(&i, "sparse", &a);
	assert_int_equal(a.blocks, 1); /* holes stay holes */
	same_content(&i, "holes");
	find(&i, "holes", &a);
	assert_int_equal(a.blocks, 5);
	assert_int_equal(find(&i, "big", &a), find(&i, "d/same", &b));
	assert_int_equal(a.nlink, 2);
	assert_true(a.mtime.sec == 0 && a.uid == 0 && a.gid == 0);
	obj = find(&i, "d/e/link", &a);
	assert_int_equal(secvol_readlink(i.v, obj, target, sizeof(target)), 12);
	assert_memory_equal(target, "../bin/hello", 12);
	find(&i, "empty", &a);
	assert_int_equal(a.mode, S_IFDIR | 01777);
	find(&i, "d", &a);
	assert_int_equal(a.nlink, 3);
	obj = find(&i, "bin/libc", &a);
	assert_int_equal(secvol_sites_read(i.v, obj, 0, &version, sites, ARRAY_SIZE(sites)),
			 SECVOL_SITES_PER_CHUNK);
	assert_int_equal(version, SITES_VERSION);
	assert_true(secvol_sites_read(i.v, obj, 1, &version, sites, ARRAY_SIZE(sites)) > 0);
	image_close(&i);
}

static void clear_and_encrypted_images(void **state)
{
	struct mkimage_params p = params_of("clear");
	u8 digest[32];
	struct image i;

	p.digest_path = "clear.mac";
	build(&p);
	image_holds_the_tree("clear", NULL);
	run("test $(wc -c < clear.mac) = 65");
	run("grep -rq 'hello' clear");
	memcpy(digest, result.sha256, 32);
	digest[5] ^= 1;
	assert_int_equal(image_open(&i, "clear", NULL, digest), -EBADMSG);

	p = params_of("sealed");
	p.image_key = key;
	p.image_key_size = 16;
	build(&p);
	image_holds_the_tree("sealed", key);
	run("! grep -rq 'file-number-577' sealed");
	run("! grep -rq 'GNU C Library' sealed");
	assert_int_equal(image_open(&i, "sealed", (const u8 *)"another key 123", result.sha256),
			 -EKEYREJECTED);
}

/* Byte for byte, whatever differs around the build. */
static void same_bytes_everywhere(void **state)
{
	for (int sealed = 0; sealed < 2; sealed++) {
		struct mkimage_params p = params_of("one");
		char here[256];
		u8 digest[32];

		p.image_key = sealed ? key : NULL;
		p.image_key_size = 16;
		run("rm -rf one two three copy");
		build(&p);
		memcpy(digest, result.sha256, 32);

		p.output = "two";
		p.jobs = 5;
		p.shuffle = 12345;
		umask(0);
		setenv("TZ", "Asia/Tokyo", 1);
		setenv("LC_ALL", "tr_TR.UTF-8", 1);
		build(&p);
		umask(022);
		unsetenv("TZ");
		unsetenv("LC_ALL");
		assert_memory_equal(digest, result.sha256, 32);
		run("diff -r one two");

		/* another place, other inodes, times and owner */
		run("cp -r t copy; chmod -R u+w copy; rm copy/d/same; ln copy/big copy/d/same; "
		    "chmod 1777 copy/empty; chmod 700 copy/root; chmod 4755 copy/bin/hello");
		run("(cd t; find . -type f | while read f; do chmod $(stat -c %a \"$f\") "
		    "\"../copy/$f\"; done); find copy -exec touch -h {} +");
		assert_non_null(getcwd(here, sizeof(here)));
		assert_int_equal(chdir("/"), 0);
		{
			char source[300], output[300];

			snprintf(source, sizeof(source), "%s/copy", here);
			snprintf(output, sizeof(output), "%s/three", here);
			p.source = source;
			p.output = output;
			p.jobs = 1;
			p.shuffle = 0;
			build(&p);
		}
		assert_int_equal(chdir(here), 0);
		run("diff -r one three");
	}
}

static void options_change_the_image(void **state)
{
	struct mkimage_params p = params_of("one");
	u8 digest[32];

	build(&p);
	memcpy(digest, result.sha256, 32);
	p.uid = 7;
	build(&p);
	assert_memory_not_equal(digest, result.sha256, 32);
	p.uid = 0;
	p.time = 1234567890;
	build(&p);
	assert_memory_not_equal(digest, result.sha256, 32);
	p.time = 0;
	p.role = SECVOL_ROLE_INITFS;
	build(&p);
	assert_memory_not_equal(digest, result.sha256, 32);
	p = params_of("one");
	run("chmod 644 t/d/file-number-3; chmod 600 t/d/file-number-3");
	build(&p);
	assert_memory_not_equal(digest, result.sha256, 32);
}

/* Setuid for one user does not become setuid for root: only root can make such trees. */
static void set_ids_of_others_are_cleared(void **state)
{
	static const struct {
		const char *path;
		unsigned owner, group, mode, left;
	} files[] = {
		{"s/a", 7, 0, 06755, 02755}, {"s/b", 0, 42, 02755, 0755},
		{"s/c", 0, 0, 06755, 06755}, {"s/d", 7, 42, 06755, 0755},
		{"s/e", 7, 42, 0755, 0755},
	};
	struct mkimage_params p = params_of("set-ids");
	struct secvol_attr a;
	struct image i;

	if (geteuid())
		skip();
	p.source = "s";
	run("mkdir s s/dir; chown 7:42 s/dir; chmod 2775 s/dir; touch s/a s/b s/c s/d s/e; ln s/d "
	    "s/dd");
	for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
		assert_int_equal(chown(files[f].path, files[f].owner, files[f].group), 0);
		assert_int_equal(chmod(files[f].path, files[f].mode), 0);
	}
	build(&p);
	assert_int_equal(result.set_ids_cleared, 3);
	assert_string_equal(result.set_id, "a");
	assert_int_equal(image_open(&i, "set-ids", NULL, result.sha256), 0);
	for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
		find(&i, files[f].path + 2, &a);
		assert_int_equal(a.mode, S_IFREG | files[f].left);
	}
	find(&i, "dir", &a);
	assert_int_equal(a.mode, S_IFDIR | 02775);
	image_close(&i);

	/* Whose the tree is, his files are root's inside, as those of root are. */
	run("chown 7:42 s");
	build(&p);
	assert_int_equal(result.set_ids_cleared, 0);
}

static void unchanged_is_not_rebuilt(void **state)
{
	struct mkimage_params p = params_of("img");
	u8 digest[32];

	p.cache_path = "img.cache";
	p.digest_path = "img.mac";
	build(&p);
	assert_false(result.unchanged);
	assert_true(result.hashed_bytes > 3000000);
	memcpy(digest, result.sha256, 32);
	build(&p);
	assert_true(result.unchanged);
	assert_memory_equal(digest, result.sha256, 32);

	/* only what changed is hashed again, and the bytes are those of a full build */
	run("printf more >> t/over-limit");
	usleep(120000);
	build(&p);
	assert_false(result.unchanged);
	assert_in_range(result.hashed_bytes, 2053, 2053);
	assert_memory_not_equal(digest, result.sha256, 32);
	{
		struct mkimage_params full = params_of("full");

		build(&full);
		run("diff -r img full");
	}

	/* a damaged image, digest or cache is noticed */
	run("printf x | dd of=img/seg.00000000 bs=1 seek=100000 conv=notrunc 2>/dev/null");
	build(&p);
	assert_false(result.unchanged);
	run("diff -r img full; echo 00 > img.mac");
	build(&p);
	assert_false(result.unchanged);
	run("printf x | dd of=img.cache bs=1 seek=5000 conv=notrunc 2>/dev/null");
	build(&p);
	assert_false(result.unchanged);
	run("diff -r img full");
	build(&p);
	assert_true(result.unchanged);
}

/* One cache for both kinds: what an encrypted build leaves there does not reach a clear image. */
static void a_clear_build_after_an_encrypted_one(void **state)
{
	struct mkimage_params p = params_of("img"), full = params_of("full");

	p.cache_path = "img.cache";
	p.image_key = key;
	p.image_key_size = sizeof(key);
	build(&p);
	p.image_key = NULL;
	build(&p);
	image_holds_the_tree("img", NULL);
	build(&full);
	run("diff -r img full");
}

static void expect_error(const struct mkimage_params *p, int err, const char *a, const char *b)
{
	assert_int_equal(mkimage_build(p, &result), err);
	if (!strstr(result.error, a) || !strstr(result.error, b))
		fail_msg("message '%s' names not both '%s' and '%s'", result.error, a, b);
}

static void errors_name_path_and_cause(void **state)
{
	struct mkimage_params p = params_of("img");

	build(&p);
	run("cp -r img img.before");
	p.source = "absent";
	expect_error(&p, -ENOENT, "absent", "No such file");
	p.source = "t";
	run("mkfifo t/d/pipe");
	expect_error(&p, -EINVAL, "t/d/pipe", "a fifo");
	run("rm t/d/pipe; python3 -c \"import socket; "
	    "socket.socket(socket.AF_UNIX).bind('t/sock')\"");
	expect_error(&p, -EINVAL, "t/sock", "a socket");
	run("rm t/sock");
	p.output = "no/such/place";
	expect_error(&p, -ENOENT, "no/such/place", "No such file");
	p.output = "img";
	p.image_key = key;
	p.image_key_size = 5;
	expect_error(&p, -EINVAL, "image key", "16 or 32");
	p.image_key = NULL;
	p.digest_path = "no/digest";
	expect_error(&p, -ENOENT, "no/digest", "No such file");
	run("diff -r img img.before && test ! -e img.new");
}

struct meddler {
	bool done;
};

static void meddle(void *arg, u64 done, u64 total)
{
	struct meddler *m = arg;

	if (!m->done)
		run("printf changed >> t/d/zz-last; printf x >> t/sparse");
	m->done = true;
}

static void a_changing_file_stops_the_build(void **state)
{
	struct mkimage_params p = params_of("img");
	struct meddler m = {0};

	run("head -c 90000000 /dev/zero | tr '\\0' x > t/d/mid; echo last > t/d/zz-last");
	build(&p);
	run("cp -r img img.before");
	p.jobs = 1;
	p.progress = meddle;
	p.progress_arg = &m;
	expect_error(&p, -ESTALE, "d/zz-last", "changed while");
	run("diff -r img img.before && test ! -e img.new");
}

/* A build that is killed leaves the old image, and the next one succeeds. */
static void a_killed_build_leaves_the_old_image(void **state)
{
	struct mkimage_params p = params_of("img");

	build(&p);
	run("cp -r img img.before; mkdir img.new; echo junk > img.new/root; echo x > "
	    "img.new/seg.00000000");
	run("diff -r img img.before");
	build(&p);
	run("diff -r img img.before && test ! -e img.new");
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(clear_and_encrypted_images),
		IN_SCRATCH(same_bytes_everywhere),
		IN_SCRATCH(options_change_the_image),
		IN_SCRATCH(set_ids_of_others_are_cleared),
		IN_SCRATCH(unchanged_is_not_rebuilt),
		IN_SCRATCH(a_clear_build_after_an_encrypted_one),
		IN_SCRATCH(errors_name_path_and_cause),
		IN_SCRATCH(a_changing_file_stops_the_build),
		IN_SCRATCH(a_killed_build_leaves_the_old_image),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
