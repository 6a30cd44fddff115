/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations against a model in memory: after each reopening the volume equals the model,
 * after each crash (abandon) it equals the model's copy of the last commit. The checker runs on
 * both.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "tests/fakes/secvol_fixture.h"

#define DIRS	  3
#define NAMES	  6
#define FILES	  (DIRS * NAMES)
#define SIZE_MAX_ 700000u

struct file {
	u64 obj;
	u32 size;
	u32 links;
	u32 mode;
	u8 data[SIZE_MAX_];
};

struct model {
	int name[DIRS][NAMES]; /* index of the file, or -1 */
	struct file file[FILES];
};

static struct fixture f;
static struct secvol *v;
static struct model *now, *committed;
static u64 seed, dirs[DIRS];
static u8 *buf;

static u32 rnd(u32 n)
{
	return (u32)(fixture_next(&seed) >> 20) % n;
}

static const char *name_of(int k)
{
	static char text[NAMES][16];

	snprintf(text[k], sizeof(text[k]), "name%d", k);
	return text[k];
}

static void report_damage(void *arg, u64 obj, const char *what, int err)
{
	print_error("object %llu: %s (%d)\n", (unsigned long long)obj, what, err);
}

static void compare(void)
{
	for (int d = 0; d < DIRS; d++) {
		for (int k = 0; k < NAMES; k++) {
			struct secvol_attr a;
			u64 obj;
			int err =
				secvol_lookup(v, dirs[d], name_of(k), strlen(name_of(k)), &obj, &a);
			struct file *file;

			if (now->name[d][k] < 0) {
				assert_int_equal(err, -ENOENT);
				continue;
			}
			file = &now->file[now->name[d][k]];
			assert_int_equal(err, 0);
			assert_int_equal(obj, file->obj);
			assert_int_equal(a.size, file->size);
			assert_int_equal(a.nlink, file->links);
			assert_int_equal(a.mode & 07777, file->mode);
			for (u32 at = 0; at < file->size;) {
				u32 n = MIN(file->size - at, 1 + rnd(rnd(2) ? 300000 : 9000));

				assert_int_equal(secvol_read(v, obj, at, buf, n), n);
				assert_memory_equal(buf, file->data + at, n);
				at += n;
			}
			assert_int_equal(secvol_read(v, obj, file->size, buf, 10), 0);
		}
	}
}

static void op_write(struct file *file)
{
	u32 off = rnd(3) ? rnd(file->size + 1) : rnd(SIZE_MAX_);
	u32 n = 1 + rnd(rnd(3) ? 9000 : 400000);

	if (rnd(3) == 0) {
		off &= ~4095u;
		n = (n | 4095u) + 1;
	}
	if (off >= SIZE_MAX_)
		return;
	n = MIN(n, SIZE_MAX_ - off);
	for (u32 i = 0; i < n; i += 8) {
		u64 word = fixture_next(&seed);

		memcpy(buf + i, &word, MIN(8u, n - i));
	}
	assert_int_equal(secvol_write(v, file->obj, off, buf, n), n);
	memcpy(file->data + off, buf, n);
	file->size = MAX(file->size, off + n);
}

static void op_cut(struct file *file)
{
	u32 to = rnd(4) ? rnd(file->size + 1) : rnd(SIZE_MAX_);
	u32 from = rnd(SIZE_MAX_);

	if (rnd(2)) {
		assert_int_equal(secvol_truncate(v, file->obj, to), 0);
		if (to < file->size)
			memset(file->data + to, 0, file->size - to);
		file->size = to;
		return;
	}
	to = rnd(300000);
	assert_int_equal(secvol_punch(v, file->obj, from, to), 0);
	if (from < file->size)
		memset(file->data + from, 0, MIN(to, file->size - from));
}

static void unname(int d, int k)
{
	struct file *file = &now->file[now->name[d][k]];

	now->name[d][k] = -1;
	if (--file->links == 0)
		memset(file->data, 0, sizeof(file->data));
}

static void op_name(int d, int k, int d2, int k2)
{
	const char *from = name_of(k), *to = name_of(k2);
	size_t len = strlen(from), to_len = strlen(to);
	int i = now->name[d][k], j = now->name[d2][k2];

	switch (rnd(4)) {
	case 0:
		assert_int_equal(secvol_unlink(v, dirs[d], from, len, false), 0);
		unname(d, k);
		break;
	case 1:
		assert_int_equal(secvol_link(v, now->file[i].obj, dirs[d2], to, to_len),
				 j >= 0 ? -EEXIST : 0);
		if (j < 0) {
			now->name[d2][k2] = i;
			now->file[i].links++;
		}
		break;
	case 2:
		assert_int_equal(secvol_rename(v, dirs[d], from, len, dirs[d2], to, to_len, 0), 0);
		if (i == j)
			break;
		if (j >= 0)
			unname(d2, k2);
		now->name[d2][k2] = i;
		now->name[d][k] = -1;
		break;
	default:
		assert_int_equal(secvol_rename(v, dirs[d], from, len, dirs[d2], to, to_len,
					       SECVOL_RENAME_EXCHANGE),
				 j >= 0 ? 0 : -ENOENT);
		if (j >= 0) {
			now->name[d][k] = j;
			now->name[d2][k2] = i;
		}
		break;
	}
}

static void op_create(int d, int k)
{
	struct secvol_attr a;
	int i = 0;

	while (now->file[i].links)
		i++;
	assert_int_equal(secvol_create(v, dirs[d], name_of(k), strlen(name_of(k)), 0100600 + (u32)k,
				       0, 0, 0, false, &a),
			 0);
	now->name[d][k] = i;
	now->file[i].obj = a.obj;
	now->file[i].size = 0;
	now->file[i].links = 1;
	now->file[i].mode = 0600 + (u32)k;
}

static void reopen(bool crash)
{
	if (crash) {
		secvol_abandon(v);
		memcpy(now, committed, sizeof(*now));
	} else {
		assert_int_equal(secvol_close(v), 0);
		memcpy(committed, now, sizeof(*now));
	}
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	compare();
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
}

static void step(void)
{
	int d = (int)rnd(DIRS), k = (int)rnd(NAMES), i = now->name[d][k];
	u32 what = rnd(100);

	if (i < 0)
		op_create(d, k);
	else if (what < 55)
		op_write(&now->file[i]);
	else if (what < 70)
		op_cut(&now->file[i]);
	else if (what < 90)
		op_name(d, k, (int)rnd(DIRS), (int)rnd(NAMES));
	else if (what < 96) {
		assert_int_equal(secvol_commit(v), 0);
		memcpy(committed, now, sizeof(*now));
	} else
		reopen(what < 98);
}

static void run(u64 start, enum secvol_mode mode, u32 steps, size_t cache)
{
	struct secvol_format_params fmt = {.size_blocks = 40000};
	struct secvol_attr a;

	seed = start * 0x9e3779b97f4a7c15ull | 1;
	now = calloc(1, sizeof(*now));
	committed = calloc(1, sizeof(*now));
	buf = malloc(SIZE_MAX_ + 8192);
	assert_int_equal(fixture_init(&f, 40000), 0);
	f.params.cache_bytes = cache;
	f.params.node_cache_bytes = 65536;
	f.params.mode = mode;
	if (mode == SECVOL_HASH) {
		f.params.suite = SECVOL_SUITE_NONE;
		f.params.plain_rw = true;
	}
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	memset(now->name, 0xff, sizeof(now->name));
	for (int d = 0; d < DIRS; d++) {
		char text[8];

		snprintf(text, sizeof(text), "dir%d", d);
		assert_int_equal(
			secvol_create(v, SECVOL_ROOT_OBJ, text, 4, 0040755, 0, 0, 0, false, &a), 0);
		dirs[d] = a.obj;
	}
	assert_int_equal(secvol_commit(v), 0);
	memcpy(committed, now, sizeof(*now));
	for (u32 i = 0; i < steps; i++)
		step();
	reopen(false);
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
	free(now);
	free(committed);
	free(buf);
}

static void sealed_equals_model(void **state)
{
	const char *more = getenv("SECVOL_SEEDS"); /* how many; long runs by hand */
	u64 count = more ? strtoull(more, NULL, 10) : 4;

	for (u64 s = 1; s <= count; s++)
		run(s, SECVOL_SEALED, 400, s & 1 ? 0 : 600000);
}

static void hashed_equals_model(void **state)
{
	run(77, SECVOL_HASH, 400, 0);
}

UNIT_TESTS(sealed_equals_model, hashed_equals_model)
