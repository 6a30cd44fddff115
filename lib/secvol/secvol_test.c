/* SPDX-License-Identifier: Apache-2.0 */
/* The volume as its users see it: names, contents, reopening, errors. */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"

static struct fixture f;
static struct secvol *v;

static void report_damage(void *arg, u64 obj, const char *what, int err)
{
	print_error("object %llu: %s (%d)\n", (unsigned long long)obj, what, err);
}

static void start(u64 blocks)
{
	struct secvol_format_params fmt = {.size_blocks = blocks};

	assert_int_equal(fixture_init(&f, blocks), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
}

static void reopen(void)
{
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
}

static void stop(void)
{
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

static u64 make_file(u64 dir, const char *name)
{
	struct secvol_attr a;

	assert_int_equal(secvol_create(v, dir, name, strlen(name), 0100644, 1, 2, 0, false, &a), 0);
	return a.obj;
}

static u64 make_dir(u64 dir, const char *name)
{
	struct secvol_attr a;

	assert_int_equal(secvol_create(v, dir, name, strlen(name), 0040755, 1, 2, 0, false, &a), 0);
	return a.obj;
}

static int lookup(u64 dir, const char *name, u64 *obj)
{
	return secvol_lookup(v, dir, name, strlen(name), obj, NULL);
}

static void fill(u8 *buf, size_t size, u64 seed)
{
	for (size_t i = 0; i < size; i++)
		buf[i] = (u8)(fixture_next(&seed) >> 16);
}

static void an_empty_volume_opens(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 4096};
	struct secvol_report r;
	struct secvol_attr a;

	start(4096);
	assert_int_equal(secvol_getattr(v, SECVOL_ROOT_OBJ, &a), 0);
	assert_int_equal(a.mode, 0040755);
	assert_int_equal(a.nlink, 2);
	assert_int_equal(secvol_format(&f.params, &fmt), -EEXIST);
	make_file(SECVOL_ROOT_OBJ, "first");
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(secvol_open(&f.params, &v, &r), 0);
	assert_true(r.clean);
	assert_int_equal(r.open_seq, 1);
	make_file(SECVOL_ROOT_OBJ, "lost");
	secvol_abandon(v);
	assert_int_equal(secvol_open(&f.params, &v, &r), 0);
	assert_false(r.clean);
	assert_int_equal(r.open_seq, 2);
	stop();
}

static void reading_writes_nothing(void **state)
{
	u8 before[32], after[32], buf[100];
	struct secvol_report r;
	u64 obj;

	start(4096);
	obj = make_file(SECVOL_ROOT_OBJ, "file");
	assert_int_equal(secvol_write(v, obj, 0, "text", 4), 4);
	reopen();
	secvol_root_sha256(v, before);
	assert_int_equal(lookup(SECVOL_ROOT_OBJ, "file", &obj), 0);
	assert_int_equal(secvol_hold(v, obj), 0);
	assert_int_equal(secvol_read(v, obj, 0, buf, sizeof(buf)), 4);
	secvol_release(v, obj);
	assert_false(secvol_is_dirty(v));
	assert_int_equal(secvol_commit(v), 0);
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(secvol_open(&f.params, &v, &r), 0);
	assert_true(r.clean);
	secvol_root_sha256(v, after);
	assert_memory_equal(before, after, 32);
	/* The first change starts a session of its own. */
	assert_int_equal(secvol_write(v, obj, 0, "next", 4), 4);
	secvol_root_sha256(v, after);
	assert_memory_not_equal(before, after, 32);
	stop();
}

static void names_come_and_go(void **state)
{
	struct secvol_attr a;
	u64 dir, file, obj;

	start(8192);
	dir = make_dir(SECVOL_ROOT_OBJ, "dir");
	file = make_file(dir, "file");
	assert_int_equal(lookup(dir, "file", &obj), 0);
	assert_int_equal(obj, file);
	assert_int_equal(lookup(dir, "..", &obj), 0);
	assert_int_equal(obj, SECVOL_ROOT_OBJ);
	assert_int_equal(lookup(dir, "other", &obj), -ENOENT);
	assert_int_equal(secvol_create(v, dir, "file", 4, 0100644, 0, 0, 0, false, &a), -EEXIST);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "dir", 3, true), -ENOTEMPTY);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "dir", 3, false), -EISDIR);
	assert_int_equal(secvol_link(v, file, SECVOL_ROOT_OBJ, "hard", 4), 0);
	assert_int_equal(secvol_getattr(v, file, &a), 0);
	assert_int_equal(a.nlink, 2);
	reopen();
	assert_int_equal(secvol_unlink(v, dir, "file", 4, true), -ENOTDIR);
	assert_int_equal(secvol_unlink(v, dir, "file", 4, false), 0);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "dir", 3, true), 0);
	assert_int_equal(lookup(SECVOL_ROOT_OBJ, "hard", &obj), 0);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "hard", 4, false), 0);
	assert_int_equal(secvol_getattr(v, file, &a), -ENOENT);
	stop();
}

static void renames(void **state)
{
	u64 a, b, file, other, obj;

	start(8192);
	a = make_dir(SECVOL_ROOT_OBJ, "a");
	b = make_dir(a, "b");
	file = make_file(b, "file");
	other = make_file(SECVOL_ROOT_OBJ, "other");
	assert_int_equal(secvol_rename(v, SECVOL_ROOT_OBJ, "a", 1, b, "x", 1, 0), -EINVAL);
	assert_int_equal(secvol_rename(v, b, "file", 4, SECVOL_ROOT_OBJ, "other", 5,
				       SECVOL_RENAME_NOREPLACE),
			 -EEXIST);
	assert_int_equal(
		secvol_rename(v, b, "file", 4, SECVOL_ROOT_OBJ, "other", 5, SECVOL_RENAME_EXCHANGE),
		0);
	assert_int_equal(lookup(SECVOL_ROOT_OBJ, "other", &obj), 0);
	assert_int_equal(obj, file);
	assert_int_equal(lookup(b, "file", &obj), 0);
	assert_int_equal(obj, other);
	assert_int_equal(secvol_rename(v, a, "b", 1, SECVOL_ROOT_OBJ, "b2", 2, 0), 0);
	assert_int_equal(lookup(b, "..", &obj), 0);
	assert_int_equal(obj, SECVOL_ROOT_OBJ);
	assert_int_equal(secvol_rename(v, SECVOL_ROOT_OBJ, "b2", 2, SECVOL_ROOT_OBJ, "a", 1, 0), 0);
	assert_int_equal(secvol_rename(v, SECVOL_ROOT_OBJ, "other", 5, b, "file", 4, 0), 0);
	assert_int_equal(secvol_rename(v, b, "file", 4, b, "file", 4, 0), 0);
	assert_int_equal(secvol_rename(v, b, "none", 4, b, "file", 4, 0), -ENOENT);
	/* Over the directory it is in, whatever it is. */
	u64 d = make_dir(SECVOL_ROOT_OBJ, "d");
	make_file(d, "f");
	make_dir(d, "s");
	assert_int_equal(secvol_rename(v, d, "f", 1, SECVOL_ROOT_OBJ, "d", 1, 0), -ENOTEMPTY);
	assert_int_equal(secvol_rename(v, d, "s", 1, SECVOL_ROOT_OBJ, "d", 1, 0), -ENOTEMPTY);
	reopen();
	assert_int_equal(lookup(b, "file", &obj), 0);
	assert_int_equal(obj, file);
	stop();
}

static void contents_survive(void **state)
{
	static u8 in[3000000], out[3000000];
	struct secvol_attr a;
	u64 file, small;

	start(16384);
	fill(in, sizeof(in), 7);
	file = make_file(SECVOL_ROOT_OBJ, "big");
	small = make_file(SECVOL_ROOT_OBJ, "small");
	for (size_t at = 0; at < sizeof(in);) {
		size_t n = MIN(sizeof(in) - at, 1 + at % 70001);

		assert_int_equal(secvol_write(v, file, at, in + at, n), n);
		at += n;
	}
	assert_int_equal(secvol_write(v, small, 0, "hello", 5), 5);
	for (int round = 0; round < 2; round++) {
		memset(out, 0, sizeof(out));
		assert_int_equal(secvol_read(v, file, 0, out, sizeof(out)), sizeof(out));
		assert_memory_equal(in, out, sizeof(in));
		for (size_t at = 0; at < sizeof(in); at += 4096)
			assert_true(secvol_read(v, file, at, out + at, 4096) > 0);
		assert_memory_equal(in, out, sizeof(in));
		assert_int_equal(secvol_read(v, small, 0, out, 100), 5);
		assert_memory_equal(out, "hello", 5);
		reopen();
	}
	assert_int_equal(secvol_getattr(v, small, &a), 0);
	assert_int_equal(a.blocks, 0);
	assert_int_equal(secvol_write(v, small, 10000, "x", 1), 1);
	assert_int_equal(secvol_truncate(v, file, 12345), 0);
	assert_int_equal(secvol_truncate(v, file, 20000), 0);
	reopen();
	assert_int_equal(secvol_read(v, small, 0, out, 20000), 10001);
	assert_memory_equal(out, "hello", 5);
	assert_int_equal(out[5], 0);
	assert_int_equal(out[10000], 'x');
	assert_int_equal(secvol_read(v, file, 0, out, 30000), 20000);
	assert_memory_equal(out, in, 12345);
	for (int i = 12345; i < 20000; i++)
		assert_int_equal(out[i], 0);
	stop();
}

static void holes_are_found(void **state)
{
	u64 file, at;

	start(8192);
	file = make_file(SECVOL_ROOT_OBJ, "sparse");
	assert_int_equal(secvol_truncate(v, file, MIB(100)), 0);
	assert_int_equal(secvol_write(v, file, MIB(50), "data", 4), 4);
	assert_int_equal(secvol_seek(v, file, 0, false, &at), 0);
	assert_int_equal(at, MIB(50));
	assert_int_equal(secvol_seek(v, file, MIB(50), true, &at), 0);
	assert_int_equal(at, MIB(50) + 4096);
	assert_int_equal(secvol_seek(v, file, MIB(60), false, &at), -ENXIO);
	assert_int_equal(secvol_seek(v, file, MIB(60), true, &at), 0);
	assert_int_equal(at, MIB(60));
	assert_int_equal(secvol_punch(v, file, MIB(50) + 1, 2), 0);
	{
		char buf[5] = {0};

		assert_int_equal(secvol_read(v, file, MIB(50), buf, 4), 4);
		assert_memory_equal(buf, "d\0\0a", 4);
	}
	assert_int_equal(secvol_punch(v, file, MIB(49), MIB(2)), 0);
	assert_int_equal(secvol_seek(v, file, 0, false, &at), -ENXIO);
	stop();
}

static void unlinked_files_live_while_held(void **state)
{
	struct secvol_report r;
	struct secvol_attr a;
	char buf[8];
	u64 file;

	start(8192);
	file = make_file(SECVOL_ROOT_OBJ, "temp");
	assert_int_equal(secvol_hold(v, file), 0);
	assert_int_equal(secvol_write(v, file, 5000, "alive", 5), 5);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "temp", 4, false), 0);
	assert_int_equal(secvol_commit(v), 0);
	assert_int_equal(secvol_read(v, file, 5000, buf, 8), 5);
	secvol_abandon(v); /* the crash */
	assert_int_equal(secvol_open(&f.params, &v, &r), 0);
	assert_int_equal(r.orphans, 1);
	assert_int_equal(secvol_getattr(v, file, &a), -ENOENT);
	assert_int_equal(secvol_create_unnamed(v, 0100600, 0, 0, &a), 0);
	assert_int_equal(secvol_write(v, a.obj, 0, "tmpfile", 7), 7);
	assert_int_equal(secvol_link(v, a.obj, SECVOL_ROOT_OBJ, "named", 5), 0);
	secvol_release(v, a.obj);
	assert_int_equal(secvol_create_unnamed(v, 0100600, 0, 0, &a), 0);
	assert_int_equal(secvol_commit(v), 0);
	secvol_release(v, a.obj);
	assert_int_equal(secvol_getattr(v, a.obj, &a), -ENOENT);
	reopen();
	assert_int_equal(lookup(SECVOL_ROOT_OBJ, "named", NULL), 0);
	stop();
}

static void large_directories_list_each_name_once(void **state)
{
	enum { COUNT = 5000 };
	static u8 seen[COUNT];
	struct secvol_dirent e[7];
	u64 cookie = 0;
	char name[32];
	long n;

	start(32768);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "entry-%d", i);
		make_file(SECVOL_ROOT_OBJ, name);
	}
	memset(seen, 0, sizeof(seen));
	while ((n = secvol_readdir(v, SECVOL_ROOT_OBJ, cookie, e, 7)) > 0) {
		for (long i = 0; i < n; i++) {
			int k;

			if (sscanf(e[i].name, "entry-%d", &k) == 1)
				seen[k]++;
			cookie = e[i].cookie;
		}
		if (cookie % 3 == 0)
			assert_int_equal(secvol_commit(v), 0);
	}
	assert_int_equal(n, 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(seen[i], 1);
	reopen();
	for (int i = 0; i < COUNT; i += 2) {
		snprintf(name, sizeof(name), "entry-%d", i);
		assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, name, strlen(name), false), 0);
	}
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	for (int i = 1; i < COUNT; i += 2) {
		snprintf(name, sizeof(name), "entry-%d", i);
		assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, name, strlen(name), false), 0);
	}
	stop();
}

static void attributes_and_sites(void **state)
{
	struct secvol_site sites[3] = {{0x1000, 1, 2}, {0x123456789abc, 2, 5}, {0x2000, 3, 7}},
			   back[3];
	char buf[2100], names[64], target[4096];
	struct secvol_attr a;
	u16 version;
	u64 file;

	start(8192);
	file = make_file(SECVOL_ROOT_OBJ, "x");
	assert_int_equal(secvol_setxattr(v, file, "user.a", "1", 1, 0), 0);
	assert_int_equal(secvol_setxattr(v, file, "user.b", "22", 2, SECVOL_XATTR_CREATE), 0);
	assert_int_equal(secvol_setxattr(v, file, "user.b", "22", 2, SECVOL_XATTR_CREATE), -EEXIST);
	assert_int_equal(secvol_setxattr(v, file, "user.c", "", 0, SECVOL_XATTR_REPLACE), -ENODATA);
	memset(buf, 'z', sizeof(buf));
	assert_int_equal(secvol_setxattr(v, file, "user.big", buf, 2048, 0), 0);
	assert_int_equal(secvol_getxattr(v, file, "user.big", NULL, 0), 2048);
	assert_int_equal(secvol_getxattr(v, file, "user.big", buf, 100), -ERANGE);
	assert_int_equal(secvol_removexattr(v, file, "user.a"), 0);
	assert_int_equal(secvol_removexattr(v, file, "user.a"), -ENODATA);
	assert_int_equal(secvol_listxattr(v, file, names, sizeof(names)), 16);
	assert_int_equal(secvol_sites_write(v, file, 1, 7, sites, 3), 0);
	memset(target, 't', sizeof(target));
	assert_int_equal(secvol_symlink(v, SECVOL_ROOT_OBJ, "l", 1, target, 4095, 0, 0, &a), 0);
	reopen();
	assert_int_equal(secvol_sites_read(v, file, 1, &version, back, 3), 3);
	assert_int_equal(version, 7);
	for (u32 i = 0; i < ARRAY_SIZE(sites); i++) {
		assert_int_equal(back[i].offset, sites[i].offset);
		assert_int_equal(back[i].kind, sites[i].kind);
		assert_int_equal(back[i].len, sites[i].len);
	}
	assert_int_equal(secvol_sites_read(v, file, 0, &version, back, 3), 0);
	assert_int_equal(secvol_getxattr(v, file, "user.b", buf, 10), 2);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(secvol_readlink(v, a.obj, buf, 2100), 4095);
	assert_int_equal(buf[2099], 't');
	stop();
}

static void wrong_keys_and_roles_are_refused(void **state)
{
	struct secvol_params p;
	u8 lower[32] = {1};

	start(4096);
	assert_int_equal(secvol_close(v), 0);
	p = f.params;
	p.role = SECVOL_ROLE_ROOT_LAYER;
	assert_int_equal(secvol_open(&p, &v, NULL), -EKEYREJECTED);
	p = f.params;
	p.suite = SECVOL_AES256_GCM;
	assert_int_equal(secvol_open(&p, &v, NULL), -EKEYREJECTED);
	p = f.params;
	p.volume_id = "id";
	p.volume_id_size = 2;
	assert_int_equal(secvol_open(&p, &v, NULL), -EKEYREJECTED);
	p = f.params;
	p.lower_sha256 = lower;
	assert_int_equal(secvol_open(&p, &v, NULL), -ESTALE);
	p.keep_upper = true;
	assert_int_equal(secvol_open(&p, &v, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	p.keep_upper = false;
	assert_int_equal(secvol_open(&p, &v, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	f.key.key[3] ^= 1;
	assert_int_equal(secvol_open(&f.params, &v, NULL), -EKEYREJECTED);
	f.key.key[3] ^= 1;
	f.params.read_only = true;
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "x", 1, false), -EROFS);
	assert_int_equal(secvol_close(v), 0);
	memset(bs_mem_block(f.bs, 0), 0, 4 * BS_BLOCK);
	assert_int_equal(secvol_open(&f.params, &v, NULL), -EUCLEAN);
	fixture_fini(&f);
}

static void a_full_volume_still_unlinks(void **state)
{
	static u8 block[65536];
	struct secvol_statfs st;
	u64 files[200];
	u32 count = 0;
	char name[32];
	long n = 0;

	start(2048);
	for (; count < 200; count++) {
		struct secvol_attr a;
		int err;

		snprintf(name, sizeof(name), "f%u", count);
		err = secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0, 0, 0, false,
				    &a);
		if (err) {
			assert_int_equal(err, -ENOSPC);
			break;
		}
		files[count] = a.obj;
		n = secvol_write(v, files[count], 0, block, sizeof(block));
		if (n != sizeof(block)) {
			assert_true(n == -ENOSPC || n > 0);
			count++;
			break;
		}
	}
	assert_true(count > 40 && count < 200);
	assert_int_equal(secvol_commit(v), 0);
	assert_int_equal(secvol_statfs(v, &st), 0);
	assert_true(st.blocks_avail < 100);
	for (u32 i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, name, strlen(name), false), 0);
	}
	make_file(SECVOL_ROOT_OBJ, "again");
	stop();
}

static void wiped_keys_are_gone(void **state)
{
	u8 zeros[32] = {0}, block[4096] = {1};
	u64 obj;

	start(4096);
	obj = make_file(SECVOL_ROOT_OBJ, "f");
	assert_int_equal(secvol_write(v, obj, 0, block, sizeof(block)), sizeof(block));
	assert_int_equal(secvol_commit(v), 0);
	assert_memory_not_equal(v->vmk, zeros, 32);
	assert_true(v->session_count > 0);
	secvol_wipe_keys(v);
	assert_memory_equal(v->vmk, zeros, 32);
	for (u32 i = 0; i < v->session_count; i++) {
		if (v->sessions[i].ctx)
			assert_memory_equal(v->sessions[i].ctx->round_keys, zeros, 32);
	}
	secvol_abandon(v);
	/* What was committed before opens. */
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_read(v, obj, 0, block, sizeof(block)), sizeof(block));
	assert_int_equal(block[0], 1);
	stop();
}

/* A file of more extents than one change frees goes in several, and all its space comes back. */
static void a_big_file_goes_in_slices(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 120000};
	struct secvol_statfs before, after;
	struct secvol_attr a;
	struct secvol *vol;
	static u8 mib[1 << 20];

	assert_int_equal(fixture_init(&f, 120000), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &vol, NULL), 0);
	for (u32 way = 0; way < 3; way++) {
		assert_int_equal(secvol_checkpoint(vol), 0);
		assert_int_equal(secvol_statfs(vol, &before), 0);
		assert_int_equal(secvol_create(vol, SECVOL_ROOT_OBJ, "big", 3, 0100644, 0, 0, 0,
					       way == 1, &a),
				 0);
		for (u64 at = 0; at < MIB(300); at += sizeof(mib))
			assert_int_equal(secvol_write(vol, a.obj, at, mib, sizeof(mib)),
					 sizeof(mib));
		assert_int_equal(secvol_commit(vol), 0);
		assert_int_equal(secvol_unlink(vol, SECVOL_ROOT_OBJ, "big", 3, false), 0);
		if (way == 1)
			secvol_release(vol, a.obj);
		if (way == 2) { /* recovery ends what a crash cut short */
			assert_int_equal(secvol_checkpoint(vol), 0);
			assert_int_equal(secvol_create_unnamed(vol, 0100644, 0, 0, &a), 0);
			for (u64 at = 0; at < MIB(300); at += sizeof(mib))
				assert_int_equal(secvol_write(vol, a.obj, at, mib, sizeof(mib)),
						 sizeof(mib));
			assert_int_equal(secvol_commit(vol), 0);
			secvol_abandon(vol);
			assert_int_equal(secvol_open(&f.params, &vol, NULL), 0);
		}
		assert_int_equal(secvol_hold(vol, a.obj), -ENOENT);
		assert_int_equal(secvol_checkpoint(vol), 0);
		assert_int_equal(secvol_statfs(vol, &after), 0);
		assert_true(after.blocks_free + 600 >= before.blocks_free);
		assert_int_equal(secvol_check(vol, NULL, NULL), 0);
	}
	assert_int_equal(secvol_close(vol), 0);
	fixture_fini(&f);
}

UNIT_TESTS(a_big_file_goes_in_slices, an_empty_volume_opens, reading_writes_nothing,
	   names_come_and_go, renames, contents_survive, holes_are_found,
	   unlinked_files_live_while_held, large_directories_list_each_name_once,
	   attributes_and_sites, wrong_keys_and_roles_are_refused, a_full_volume_still_unlinks,
	   wiped_keys_are_gone)
