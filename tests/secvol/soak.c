/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume's long life in simulated time: programs write, rename and delete, the commit timer runs
 * every five seconds, snapshots come and go, the volume grows and gets new keys, and every few
 * minutes the power goes: in the middle of a request, with any of what was not flushed lost or
 * torn.
 *
 * Every operation takes the model from one state to the next. After a crash the volume must hold
 * exactly one of the states since the last acknowledged commit, every snapshot what it held when it
 * was made, and the checker must find nothing. SOAK_HOURS (default 1), SOAK_SEED (default 1);
 * SOAK_FAULT is a mistake of enum secvol_fault that must be found.
 */
#include <stdio.h>

#include "tests/fakes/secvol_fixture.h"

#define FILES	  24u
#define FILE_MAX  65536u
#define SNAPS	  4u
#define STATES	  4096u	 /* between two acknowledged commits */
#define BLOCKS	  49152u /* of the store */
#define FIRST	  12288u /* of the volume at first */
#define INTERVAL  5000u	 /* ms */
#define CRASH_MS  240000u
#define FAIL(...) (fprintf(stderr, "soak: " __VA_ARGS__), fputc('\n', stderr), exit(1))

/* ---- a store that loses what was not flushed ------------------------------------------------- */

struct lossy {
	struct bs bs;
	u8 *seen, *kept; /* what reads see; what is on the platter */
	u8 *dirty;	 /* per block */
	long left;	 /* requests until the power goes; -1: it stays */
};

static struct lossy store;
static u64 seed;

static u32 rnd(u32 n)
{
	return (u32)(fixture_next(&seed) >> 20) % n;
}

static void request(struct bs_req *r)
{
	size_t at = r->block * BS_BLOCK, size = (size_t)r->count * BS_BLOCK;

	if (store.left == 0) {
		r->result = -EIO;
		return;
	}
	if (store.left > 0)
		store.left--;
	r->result = 0;
	if (r->op != BS_FLUSH && (r->block > BLOCKS || r->count > BLOCKS - r->block))
		FAIL("a request beyond the store");
	if (r->op == BS_READ) {
		memcpy(r->buf, store.seen + at, size);
	} else if (r->op == BS_FLUSH) {
		for (u32 i = 0; i < BLOCKS; i++) {
			if (store.dirty[i])
				memcpy(store.kept + i * BS_BLOCK, store.seen + i * BS_BLOCK,
				       BS_BLOCK);
		}
		memset(store.dirty, 0, BLOCKS);
	} else {
		if (r->op == BS_WRITE)
			memcpy(store.seen + at, r->buf, size);
		else
			memset(store.seen + at, 0, size);
		memset(store.dirty + r->block, 1, r->count);
	}
}

static int store_submit(struct bs *bs, struct bs_batch *batch)
{
	for (u32 i = 0; i < batch->count; i++)
		request(&batch->reqs[i]);
	return 0;
}

static int store_reap(struct bs *bs, struct bs_batch *batch)
{
	return 0;
}

static u64 store_size(struct bs *bs)
{
	return BLOCKS;
}

static int store_grow(struct bs *bs, u64 blocks)
{
	return blocks <= BLOCKS ? 0 : -ENOSPC;
}

static void *store_alloc(struct bs *bs, size_t size)
{
	return malloc(size);
}

static void store_free(struct bs *bs, void *buf, size_t size)
{
	free(buf);
}

static void store_close(struct bs *bs)
{
}

static const struct bs_ops store_ops = {.submit = store_submit,
					.reap = store_reap,
					.size = store_size,
					.grow = store_grow,
					.buf_alloc = store_alloc,
					.buf_free = store_free,
					.close = store_close};

/* What was not flushed is there, or is not, or is torn at 512 bytes. */
static void power_cut(void)
{
	for (u32 i = 0; i < BLOCKS; i++) {
		u8 *seen = store.seen + i * BS_BLOCK, *kept = store.kept + i * BS_BLOCK;
		u32 whole = rnd(3) ? (rnd(2) ? BS_BLOCK : 0) : rnd(8) * 512;

		if (!store.dirty[i])
			continue;
		memcpy(kept, seen, whole);
		memcpy(seen, kept, BS_BLOCK);
	}
	memset(store.dirty, 0, BLOCKS);
	store.left = -1;
}

/* ---- the model ------------------------------------------------------------------------------- */

/* Content follows from the seed, which its first bytes tell; seed 0: there is no such file. */
struct file {
	u64 seed;
	u32 size;
};

struct tree {
	struct file file[FILES];
};

struct snap {
	char name[16];
	struct tree tree;
	bool sure; /* its creation was acknowledged, its deletion not begun */
};

static struct fixture f;
static struct secvol *v;
static struct tree states[STATES]; /* [0]: of the last acknowledged commit */
static u32 state_count;
static struct snap snaps[SNAPS];
static u32 snap_count, snap_number;
static u64 size_blocks;
static u8 data[FILE_MAX], wanted[FILE_MAX];
static u64 ops, commits, crashes, snapshots, rotations, growths;

static struct tree *now(void)
{
	return &states[state_count - 1];
}

static struct tree *next(void)
{
	if (state_count == STATES)
		FAIL("too many states between commits");
	states[state_count] = states[state_count - 1];
	return &states[state_count++];
}

static void acknowledged(void)
{
	states[0] = *now();
	state_count = 1;
	commits++;
}

static void fill(const struct file *file, u8 *to)
{
	u64 s = file->seed;

	memcpy(to, &file->seed, 8);
	for (u32 i = 8; i < file->size; i += 8) {
		u64 word = fixture_next(&s);

		memcpy(to + i, &word, 8);
	}
}

static struct file some_file(void)
{
	struct file file = {.seed = fixture_next(&seed) | 1,
			    .size = rnd(4) ? 8 + rnd(rnd(2) ? 300 : 1200) * 8
					   : 8 + rnd(FILE_MAX / 8 - 1) * 8};
	return file;
}

static void read_tree(struct secvol *from, struct tree *t)
{
	memset(t, 0, sizeof(*t));
	for (u32 i = 0; i < FILES; i++) {
		struct secvol_attr a;
		char name[8];
		u64 obj;
		int len = snprintf(name, sizeof(name), "f%u", i);
		int err = secvol_lookup(from, SECVOL_ROOT_OBJ, name, (size_t)len, &obj, &a);

		if (err == -ENOENT)
			continue;
		if (err || a.size > FILE_MAX || a.size < 8)
			FAIL("%s cannot be looked up: %d", name, err);
		if (secvol_read(from, obj, 0, data, FILE_MAX) != (long)a.size)
			FAIL("%s cannot be read", name);
		t->file[i].size = (u32)a.size;
		memcpy(&t->file[i].seed, data, 8);
		fill(&t->file[i], wanted);
		if (memcmp(data, wanted, a.size) != 0)
			FAIL("%s holds what never was its content", name);
	}
}

/* ---- after a crash --------------------------------------------------------------------------- */

static void on_damage(void *arg, u64 obj, const char *what, int err)
{
	fprintf(stderr, "soak: object %llu: %s (%d)\n", (unsigned long long)obj, what, err);
}

static void check_snapshots(void)
{
	struct secvol_snapshot list[SNAPS + 1];
	long n = secvol_snapshot_list(v, list, SNAPS + 1);
	struct snap there[SNAPS];
	u32 count = 0;

	if (n < 0 || n > (long)SNAPS)
		FAIL("%ld snapshots", n);
	for (u32 k = 0; k < snap_count; k++) {
		struct secvol_params p = f.params;
		struct secvol *old;
		struct tree t;
		long i = 0;

		while (i < n && strcmp(list[i].name, snaps[k].name) != 0)
			i++;
		if (i == n && snaps[k].sure)
			FAIL("the snapshot %s is gone", snaps[k].name);
		if (i == n)
			continue;
		p.read_only = true;
		p.snapshot = snaps[k].name;
		if (secvol_open(&p, &old, NULL))
			FAIL("the snapshot %s does not open", snaps[k].name);
		read_tree(old, &t);
		secvol_abandon(old);
		if (memcmp(&t, &snaps[k].tree, sizeof(t)) != 0)
			FAIL("the snapshot %s holds another state", snaps[k].name);
		snaps[k].sure = true;
		there[count++] = snaps[k];
	}
	if ((long)count != n)
		FAIL("a snapshot nobody made");
	memcpy(snaps, there, sizeof(*there) * count);
	snap_count = count;
}

static void reopen(void)
{
	struct secvol_info info;
	struct tree t;
	u32 i = state_count;
	int err = secvol_open(&f.params, &v, NULL);

	if (err)
		FAIL("the volume does not open: %d", err);
	read_tree(v, &t);
	while (i > 0 && memcmp(&t, &states[i - 1], sizeof(t)) != 0)
		i--;
	if (!i)
		FAIL("none of the %u states since the last commit", state_count);
	states[0] = t;
	state_count = 1;
	check_snapshots();
	if (secvol_check(v, on_damage, NULL))
		FAIL("the check finds damage");
	secvol_info(v, &info);
	if (info.size_blocks < size_blocks)
		FAIL("the volume has shrunk");
	size_blocks = info.size_blocks;
}

static void crash(void)
{
	secvol_abandon(v);
	power_cut();
	reopen();
	crashes++;
}

/* What failed because there is no power; true: it did not fail. */
static bool worked(int err, const char *what)
{
	if (err && store.left)
		FAIL("%s: %d", what, err);
	return !err;
}

/* ---- operations ------------------------------------------------------------------------------ */

/* A file's new content: over it, or beside it and renamed. */
static void put(u32 i)
{
	struct file file = some_file();
	bool over = now()->file[i].seed && rnd(2), reserve = rnd(3) == 0;
	struct secvol_attr a;
	char name[8];
	int len = snprintf(name, sizeof(name), "f%u", i), err;
	u64 obj = 0;

	if (over)
		file.size = now()->file[i].size;
	fill(&file, data);
	if (over) {
		err = secvol_lookup(v, SECVOL_ROOT_OBJ, name, (size_t)len, &obj, NULL);
	} else {
		err = secvol_create(v, SECVOL_ROOT_OBJ, "new", 3, 0100644, 0, 0, 0, false, &a);
		if (err == -EEXIST) { /* of before a crash */
			err = secvol_unlink(v, SECVOL_ROOT_OBJ, "new", 3, false);
			if (!err)
				err = secvol_create(v, SECVOL_ROOT_OBJ, "new", 3, 0100644, 0, 0, 0,
						    false, &a);
		}
		obj = a.obj;
	}
	if (!err && reserve)
		err = secvol_reserve(v, obj, 0, file.size + rnd(40000));
	if (over)
		next()->file[i] = file;
	if (!err) {
		long n = secvol_write(v, obj, 0, data, file.size);

		err = n == (long)file.size ? 0 : n < 0 ? (int)n : -ENOSPC;
	}
	if (!over)
		next()->file[i] = file;
	if (!err && !over)
		err = secvol_rename(v, SECVOL_ROOT_OBJ, "new", 3, SECVOL_ROOT_OBJ, name,
				    (size_t)len, 0);
	worked(err, "put");
}

static void drop(u32 i)
{
	char name[8];
	int len = snprintf(name, sizeof(name), "f%u", i);

	if (!now()->file[i].seed)
		return;
	next()->file[i] = (struct file){0};
	worked(secvol_unlink(v, SECVOL_ROOT_OBJ, name, (size_t)len, false), "unlink");
}

static void snapshot(void)
{
	struct snap *s = &snaps[snap_count];
	u32 victim = rnd(SNAPS);
	int err;

	if (snap_count == SNAPS) {
		snaps[victim].sure = false;
		err = secvol_snapshot_delete(v, snaps[victim].name, strlen(snaps[victim].name));
		if (!worked(err, "delete a snapshot"))
			return;
		memmove(snaps + victim, snaps + victim + 1, (SNAPS - victim - 1) * sizeof(*snaps));
		snap_count--;
		s = &snaps[snap_count];
	}
	*s = (struct snap){.tree = *now()};
	snprintf(s->name, sizeof(s->name), "s%u", snap_number++);
	snap_count++;
	err = secvol_snapshot_create(v, s->name, strlen(s->name));
	if (!worked(err, "make a snapshot"))
		return;
	s->sure = true;
	snapshots++;
	acknowledged();
}

static void rotate(void)
{
	u64 left;
	int err = secvol_rotate(v);

	if (err != -EBUSY) /* snapshots keep the keys of before */
		rotations += worked(err, "rotate");
	worked(secvol_rotate_step(v, 200, &left), "rewrite");
}

static void grow(void)
{
	u64 to = MIN(size_blocks + 1024 + rnd(4096), (u64)BLOCKS);

	if (to == size_blocks || !worked(secvol_grow(v, to), "grow"))
		return;
	size_blocks = to;
	growths++;
}

static void operation(void)
{
	u64 left;

	switch (rnd(600)) {
	case 0: snapshot(); break;
	case 1: rotate(); break;
	case 2: grow(); break;
	case 3: worked(secvol_rotate_step(v, 500, &left), "rewrite"); break;
	default:
		if (rnd(5))
			put(rnd(FILES));
		else
			drop(rnd(FILES));
	}
	ops++;
}

static u64 number_of(const char *name, u64 initial)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : initial;
}

int main(void)
{
	struct secvol_format_params fmt = {.size_blocks = FIRST, .ag_log2 = 24};
	static struct secvol_hooks hooks;
	u64 end = number_of("SOAK_HOURS", 1) * 3600000, at = 0, commit_at = INTERVAL, crash_at,
	    every;

	fmt.dup = number_of("SOAK_SEED", 1) % 2 == 0;
	seed = number_of("SOAK_SEED", 1) * 0x9e3779b97f4a7c15ull | 1;
	store = (struct lossy){.bs = {.ops = &store_ops, .max_blocks = BS_MAX_BLOCKS},
			       .seen = calloc(BLOCKS, BS_BLOCK),
			       .kept = calloc(BLOCKS, BS_BLOCK),
			       .dirty = calloc(BLOCKS, 1),
			       .left = -1};
	store.bs.caps = BS_CAP_TRIM | BS_CAP_GROW;
	if (!store.seen || !store.kept || !store.dirty || fixture_init(&f, 16))
		FAIL("no memory");
	f.params.bs = &store.bs;
	f.params.discard = true;
	f.params.delta_bytes = 256 * 1024; /* so that checkpoints come by themselves, too */
	f.params.cache_bytes = 1 << 20;
	hooks.faults = (u32)number_of("SOAK_FAULT", 0);
	/* A mistake shows in a few of the crashes only: its life has enough of them. */
	crash_at = every = hooks.faults ? CRASH_MS / 16 : CRASH_MS;
	f.params.hooks = &hooks;
	size_blocks = FIRST;
	state_count = 1;
	if (secvol_format(&f.params, &fmt) || secvol_open(&f.params, &v, NULL))
		FAIL("no volume");
	while (at < end) {
		at += rnd(2000);
		f.clock = (s64)at;
		if (at >= crash_at && store.left < 0) { /* somewhere in the next requests */
			store.left = rnd(rnd(2) ? 12 : 200);
			crash_at = at + every / 2 + rnd((u32)every);
		}
		operation();
		if (at >= commit_at || rnd(8) == 0) { /* the timer, or a program's fsync */
			int err = rnd(20) ? secvol_commit(v) : secvol_checkpoint(v);

			if (worked(err, "commit"))
				acknowledged();
			commit_at = at + INTERVAL;
		}
		if (store.left == 0)
			crash();
	}
	store.left = -1;
	if (secvol_close(v))
		FAIL("close");
	reopen();
	secvol_abandon(v);
	printf("%llu h: %llu operations, %llu commits, %llu crashes, %llu snapshots, %llu key "
	       "changes, "
	       "%llu growths\n",
	       (unsigned long long)(end / 3600000), (unsigned long long)ops,
	       (unsigned long long)commits, (unsigned long long)crashes,
	       (unsigned long long)snapshots, (unsigned long long)rotations,
	       (unsigned long long)growths);
	free(store.seen);
	free(store.kept);
	free(store.dirty);
	fixture_fini(&f);
	return 0;
}
