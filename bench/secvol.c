/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage core on the memory store against the raw AEAD loop of the same code at 4 KiB, in one
 * run: `name value unit` lines, of which run.py makes ratios.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/crypto/aes_gcm.h"
#include "tests/fakes/secvol_fixture.h"

#define FILE_SIZE MIB(96)
#define ROUNDS	  5

/* CPU time: one thread and no I/O, and the machine may have other work. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, long err)
{
	fprintf(stderr, "bench: secvol: %s: %ld\n", what, err);
	exit(1);
}

/* Memory as a kernel would give it: not filled. Counted where it is the volume's. */
static u64 held, held_most;

static void *bench_alloc(void *arg, size_t size)
{
	return malloc(size);
}

static void bench_free(void *arg, void *p, size_t size)
{
	free(p);
}

static void *counted_alloc(void *arg, size_t size)
{
	held += size;
	held_most = held > held_most ? held : held_most;
	return malloc(size);
}

static void counted_free(void *arg, void *p, size_t size)
{
	held -= p ? size : 0;
	free(p);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return v[ROUNDS / 2];
}

/* MB/s of sealing the same bytes as 4 KiB blocks, 64 in a batch, to other memory. */
static double raw_rate(const u8 *from, u8 *out)
{
	static u8 aad[43];
	static struct aes_gcm_unit u[64];
	struct aes_gcm ctx;
	double t = now();

	if (aes_gcm_init(&ctx, "0123456789abcdef", 16))
		die("key", 0);
	for (u64 at = 0; at < FILE_SIZE; at += 64 * 4096) {
		for (int i = 0; i < 64; i++) {
			u[i].size = 4096;
			u[i].in = from + at + i * 4096;
			u[i].out = out + at + i * 4096;
			u[i].aad = aad;
			u[i].aad_size = sizeof(aad);
		}
		aes_gcm_seal_units(&ctx, u, 64);
	}
	return (double)FILE_SIZE / 1e6 / (now() - t);
}

/* ---- what goes to the store ------------------------------------------------------------------ */

static int (*mem_submit)(struct bs *bs, struct bs_batch *batch);
static u64 written, flushes;
static u8 *on_host; /* a bit per block that takes room there */
static u64 host_blocks;

static void host_room(const struct bs_req *r)
{
	for (u64 b = r->block; b < r->block + r->count; b++) {
		u8 bit = (u8)(1u << (b % 8)), had = on_host[b / 8] & bit;

		if (r->op == BS_WRITE && !had)
			host_blocks++;
		if (r->op == BS_TRIM && had)
			host_blocks--;
		on_host[b / 8] = r->op == BS_WRITE ? on_host[b / 8] | bit : on_host[b / 8] & ~bit;
	}
}

static int counting_submit(struct bs *bs, struct bs_batch *batch)
{
	for (u32 i = 0; i < batch->count; i++) {
		written += batch->reqs[i].op == BS_WRITE ? batch->reqs[i].count * 4096ull : 0;
		flushes += batch->reqs[i].op == BS_FLUSH;
		if (on_host && (batch->reqs[i].op == BS_WRITE || batch->reqs[i].op == BS_TRIM))
			host_room(&batch->reqs[i]);
	}
	return mem_submit(bs, batch);
}

struct counted {
	struct fixture f;
	struct bs_ops ops;
	struct secvol *v;
	u64 obj;
	bool own_delta;
};

/* A sparse volume of `blocks` with a file of `size`, on a store that counts. */
static void counted_open(struct counted *c, u64 blocks, u64 size)
{
	struct secvol_format_params fmt = {.size_blocks = blocks};
	struct bs_mem_env mem = {.alloc = bench_alloc, .free = bench_free};
	static u8 mib[1 << 20];
	struct secvol_attr a;

	if (fixture_init(&c->f, 1024))
		die("memory", 0);
	c->f.bs->ops->close(c->f.bs);
	c->f.env.alloc = counted_alloc;
	c->f.env.free = counted_free;
	held = held_most = 0;
	if (bs_mem_new(&mem, blocks, &c->f.bs))
		die("store", 0);
	c->ops = *c->f.bs->ops;
	mem_submit = c->ops.submit;
	c->ops.submit = counting_submit;
	c->ops.map = NULL; /* so that everything is a request */
	c->f.bs->ops = &c->ops;
	c->f.params.bs = c->f.bs;
	if (!c->own_delta)
		c->f.params.delta_bytes = MIB(16); /* the same for all sizes */
	c->f.params.discard = true;
	if (secvol_format(&c->f.params, &fmt) || secvol_open(&c->f.params, &c->v, NULL) ||
	    secvol_create(c->v, SECVOL_ROOT_OBJ, "f", 1, 0100644, 0, 0, 0, false, &a))
		die("volume", 0);
	c->obj = a.obj;
	for (u64 at = 0; at < size; at += sizeof(mib))
		if (secvol_write(c->v, a.obj, at, mib, sizeof(mib)) != sizeof(mib))
			die("write", 0);
	if (secvol_checkpoint(c->v))
		die("checkpoint", 0);
	written = flushes = 0;
}

static void counted_close(struct counted *c)
{
	secvol_abandon(c->v);
	c->f.bs->ops->close(c->f.bs);
}

static double wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* KiB and flushes per 4 KiB write with fsync, checkpoints included. */
static double sync_cost(u64 blocks, double *ret_flushes)
{
	static u8 block[4096];
	struct counted c = {0};
	u32 count = 8192;
	double kib;

	counted_open(&c, blocks, MIB(64));
	for (u32 i = 0; i < count; i++) {
		u64 at = fixture_next(&c.f.seed) % (MIB(64) / 4096) * 4096;

		if (secvol_write(c.v, c.obj, at, block, 4096) != 4096 || secvol_commit(c.v))
			die("write and commit", 0);
	}
	if (secvol_checkpoint(c.v))
		die("checkpoint", 0);
	kib = (double)written / 1024 / count;
	*ret_flushes = (double)flushes / count;
	counted_close(&c);
	return kib;
}

/* Bytes written per byte: random 4 KiB writes without fsync, in a set of 1 GiB. */
static double amplification(bool random, double *ret_overhead)
{
	static u8 block[65536];
	size_t size = random ? 4096 : sizeof(block);
	struct counted c = {0};
	struct secvol_info info;
	u64 bytes = 0;
	double wa;

	counted_open(&c, 1 << 20, random ? GIB(1) : 0);
	while (bytes < (random ? MIB(512) : GIB(1))) {
		u64 at = random ? fixture_next(&c.f.seed) % (GIB(1) / 4096) * 4096 : bytes;

		if (secvol_write(c.v, c.obj, at, block, size) != (long)size)
			die("write", 0);
		bytes += size;
	}
	if (secvol_checkpoint(c.v))
		die("checkpoint", 0);
	wa = (double)written / (double)bytes;
	secvol_info(c.v, &info);
	*ret_overhead = (double)info.used_blocks * 4096 / (double)GIB(1) * 100 - 100;
	counted_close(&c);
	return wa;
}

/* Milliseconds: a clean mount, and one with a full log, and the first change after that. */
static void mount_cost(u64 blocks, double ret_ms[3])
{
	static u8 block[4096];
	struct counted c = {0};
	u64 obj;
	double t;

	counted_open(&c, blocks, MIB(256));
	if (secvol_close(c.v))
		die("close", 0);
	t = wall();
	if (secvol_open(&c.f.params, &c.v, NULL))
		die("open", 0);
	ret_ms[0] = (wall() - t) * 1e3;
	for (u32 i = 0; i < 4000; i++) {
		u64 at = fixture_next(&c.f.seed) % (MIB(256) / 4096) * 4096;

		if (secvol_write(c.v, c.obj, at, block, 4096) != 4096 ||
		    (i % 8 == 7 && secvol_commit(c.v)))
			die("write and commit", 0);
	}
	secvol_abandon(c.v);
	t = wall();
	if (secvol_open(&c.f.params, &c.v, NULL))
		die("open", 0);
	ret_ms[1] = (wall() - t) * 1e3;
	t = wall();
	if (secvol_lookup(c.v, SECVOL_ROOT_OBJ, "f", 1, &obj, NULL) ||
	    secvol_write(c.v, obj, 0, block, 1) != 1)
		die("first change", 0);
	ret_ms[2] = (wall() - t) * 1e3;
	counted_close(&c);
}

/* What a new volume takes and how long it takes, and what is left of a file that is punched. */
static void space(void)
{
	struct counted c = {0};
	double begin;

	on_host = calloc(1, GIB(1024) / 4096 / 8);
	begin = wall();
	counted_open(&c, GIB(1024) / 4096, 0);
	printf("secvol_new_1tib_kib %llu KiB (goal 1024)\n", (unsigned long long)host_blocks * 4);
	printf("secvol_new_1tib_ms %.1f ms (goal 50)\n", (wall() - begin) * 1e3);
	counted_close(&c);
	memset(on_host, 0, GIB(1) / 4096 / 8);
	host_blocks = 0;
	counted_open(&c, GIB(1) / 4096, MIB(256));
	{
		u64 full = host_blocks;

		if (secvol_punch(c.v, c.obj, 0, MIB(256)))
			die("punch", 0);
		for (int i = 0; i < 5; i++) { /* older roots keep it a little longer */
			if (secvol_set_label(c.v, i % 2 ? "a" : "b", 1))
				die("checkpoint", 0);
		}
		printf("secvol_punched_returned %.1f %% (goal 99)\n",
		       (double)(full - host_blocks) * 4096 / (double)MIB(256) * 100);
	}
	counted_close(&c);
	free(on_host);
	on_host = NULL;
}

/* B10: memory besides the page cache, at most, under random writes. */
static void memory(void)
{
	static u8 block[4096];
	struct counted c = {.own_delta = true};

	counted_open(&c, GIB(10) / 4096, GIB(1));
	for (u32 i = 0; i < 65536; i++) {
		u64 at = fixture_next(&c.f.seed) % (GIB(1) / 4096) * 4096;

		if (secvol_write(c.v, c.obj, at, block, 4096) != 4096)
			die("write", 0);
	}
	printf("secvol_memory %.1f MiB besides 8 of pages, 10 GiB volume (goal 16)\n",
	       (double)held_most / 1048576 - 8);
	counted_close(&c);
}

/* B14: a scrub against reading the same file, and the check of many files. */
static void looking(void)
{
	struct secvol_scrub s = {0};
	struct counted c = {0};
	static u8 mib[1 << 20];
	double read, scrub;

	counted_open(&c, GIB(1) / 4096, MIB(256));
	read = wall();
	for (u64 at = 0; at < MIB(256); at += sizeof(mib))
		if (secvol_read(c.v, c.obj, at, mib, sizeof(mib)) != sizeof(mib))
			die("read", 0);
	scrub = wall();
	read = scrub - read;
	while (!s.passes)
		if (secvol_scrub(c.v, &s, 256, NULL, NULL))
			die("scrub", 0);
	scrub = wall() - scrub;
	printf("secvol_scrub_to_read %.2f (goal 0.90)\n", read / scrub);
	for (u32 i = 0; i < 100000; i++) {
		struct secvol_attr a;
		char name[16];
		int len = snprintf(name, sizeof(name), "%u", i);

		if (secvol_create(c.v, SECVOL_ROOT_OBJ, name, (size_t)len, 0100644, 0, 0, 0, false,
				  &a) ||
		    secvol_write(c.v, a.obj, 0, mib, 1024) != 1024)
			die("create", 0);
	}
	if (secvol_checkpoint(c.v))
		die("checkpoint", 0);
	read = wall();
	if (secvol_check(c.v, NULL, NULL))
		die("check", 0);
	printf("secvol_check %.1f s, 100 000 files and 256 MiB (goal 30 with 10 GiB)\n",
	       wall() - read);
	counted_close(&c);
}

static void storage(void)
{
	double space_random, space_sequential,
		wa_random = amplification(true, &space_random),
		wa_sequential = amplification(false, &space_sequential);
	double f1, f2, small = sync_cost(GIB(1) / 4096, &f1),
		       large = sync_cost(GIB(1024) / 4096, &f2);
	double ms[3], big[3];

	printf("secvol_kib_per_4k_fsync %.1f KiB, %.2f flushes (goal 12, 1)\n", small, f1);
	printf("secvol_fsync_1tib_to_1gib %.2f (goal 1.05)\n", large / small);
	printf("secvol_write_amplification_random %.2f times, 1 GiB set (goal 1.50 for 10 GiB)\n",
	       wa_random);
	printf("secvol_write_amplification_sequential %.3f (goal 1.02)\n", wa_sequential);
	printf("secvol_space_sequential %.2f %% (goal 0.60)\n", space_sequential);
	printf("secvol_space_random %.2f %% (goal 2.00)\n", space_random);
	space();
	memory();
	looking();
	mount_cost(GIB(1) / 4096, ms);
	mount_cost(GIB(1024) / 4096, big);
	printf("secvol_mount_clean %.1f ms (goal 10), 1 TiB %.1f ms\n", ms[0], big[0]);
	printf("secvol_mount_dirty %.1f ms (goal 150), 1 TiB %.1f ms; first change %.1f ms\n",
	       ms[1], big[1], ms[2]);
	printf("secvol_mount_1tib_to_1gib %.2f (goal 1.10)\n", big[1] / ms[1]);
}

int main(int argc, char **argv)
{
	struct secvol_format_params fmt = {.size_blocks = 102400};
	double raw[ROUNDS], to_raw[2][ROUNDS], write[ROUNDS], read[ROUNDS], rr[ROUNDS],
		sync[ROUNDS];
	struct bs_mem_env mem = {.alloc = bench_alloc, .free = bench_free};
	struct secvol_attr a;
	struct secvol *v;
	struct fixture f;
	u8 *data = malloc(FILE_SIZE), *out = malloc(FILE_SIZE);
	double t;
	long n;

	if (!data || !out || fixture_init(&f, 102400))
		die("memory", 0);
	f.env.alloc = bench_alloc;
	f.env.free = bench_free;
	f.bs->ops->close(f.bs);
	if (bs_mem_new(&mem, 102400, &f.bs))
		die("memory", 0);
	f.params.bs = f.bs;
	for (u64 i = 0; i < FILE_SIZE; i += 8) {
		u64 word = fixture_next(&f.seed);

		memcpy(data + i, &word, 8);
	}
	n = secvol_format(&f.params, &fmt);
	if (!n)
		n = secvol_open(&f.params, &v, NULL);
	if (!n)
		n = secvol_create(v, SECVOL_ROOT_OBJ, "f", 1, 0100644, 0, 0, 0, false, &a);
	if (n)
		die("volume", n);
	/* The first rounds touch the store's memory for the first time: they do not count. */
	for (int r = -5; r < ROUNDS; r++) {
		int k = r < 0 ? 0 : r;

		raw[k] = raw_rate(data, out);
		t = now();
		for (u64 at = 0; at < FILE_SIZE; at += MIB(1)) {
			n = secvol_write(v, a.obj, at, data + at, MIB(1));
			if (n != (long)MIB(1))
				die("write", n);
		}
		n = secvol_commit(v);
		if (n)
			die("commit", n);
		write[k] = (double)FILE_SIZE / 1e6 / (now() - t);
		t = now();
		for (u64 at = 0; at < FILE_SIZE; at += MIB(1)) {
			n = secvol_read(v, a.obj, at, data + at, MIB(1));
			if (n != (long)MIB(1))
				die("read", n);
		}
		read[k] = (double)FILE_SIZE / 1e6 / (now() - t);
		to_raw[0][k] =
			write[k] / raw[k]; /* within a round, so that a busy machine hits both */
		to_raw[1][k] = read[k] / raw[k];
		t = now();
		for (int i = 0; i < 4096; i++) {
			u64 at = fixture_next(&f.seed) % (FILE_SIZE / 4096) * 4096;

			n = secvol_read(v, a.obj, at, data + at, 4096);
			if (n != 4096)
				die("read", n);
		}
		rr[k] = (now() - t) / 4096 * 1e6;
		t = now();
		for (int i = 0; i < 256; i++) {
			u64 at = fixture_next(&f.seed) % (FILE_SIZE / 4096) * 4096;

			n = secvol_write(v, a.obj, at, data + at, 4096);
			if (n != 4096 || secvol_commit(v))
				die("write and commit", n);
		}
		sync[k] = (now() - t) / 256 * 1e6;
	}
	printf("aead_4k_raw %.0f MB/s\n", median(raw));
	printf("secvol_seq_write %.0f MB/s\n", median(write));
	printf("secvol_seq_read %.0f MB/s\n", median(read));
	printf("secvol_random_read_4k %.2f us\n", median(rr));
	printf("secvol_write_4k_commit %.1f us\n", median(sync));
	printf("secvol_seq_write_ratio %.2f of the AEAD loop (goal 0.80)\n", median(to_raw[0]));
	printf("secvol_seq_read_ratio %.2f of the AEAD loop (goal 0.85)\n", median(to_raw[1]));
	printf("secvol_random_read_4k_ratio %.2f of the AEAD loop (goal 0.50)\n",
	       4096 / median(raw) / median(rr));
	if (secvol_close(v))
		die("close", 0);
	f.bs->ops->close(f.bs);
	free(data);
	free(out);
	if (argc < 2 || strcmp(argv[1], "core") != 0)
		storage();
	return 0;
}
