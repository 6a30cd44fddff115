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

/* Memory as a kernel would give it: not filled. */
static void *bench_alloc(void *arg, size_t size)
{
	return malloc(size);
}

static void bench_free(void *arg, void *p, size_t size)
{
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

int main(void)
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
	printf("secvol_seq_write_ratio %.2f of the AEAD loop (goal 0.70)\n", median(to_raw[0]));
	printf("secvol_seq_read_ratio %.2f of the AEAD loop (goal 0.75)\n", median(to_raw[1]));
	if (secvol_close(v))
		die("close", 0);
	f.bs->ops->close(f.bs);
	free(data);
	free(out);
	return 0;
}
