// SPDX-License-Identifier: Apache-2.0
/*
 * How fast an image is built from files in the page cache, and how much of that is the machine's
 * load: wall time and CPU time, medians, as `name value unit` lines.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/lib/mkimage.h"
#include "tests/shell.h"
#include "lib/crypto/crypto.h"

enum { ROUNDS = 5 };

static void bytes_fill(void *bytes, size_t size)
{
	u64 x = 88172645463325252ull + (u64)rand();
	u8 *at = bytes;

	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at[i] = (u8)x;
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int err, const char *what)
{
	if (err < 0) {
		fprintf(stderr, "bench-image: %s: %s\n", what, strerror(-err));
		exit(1);
	}
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

static void files_make(const char *dir)
{
	static u8 bytes[1 << 20];
	char path[256];

	for (int i = 0; i < 2200; i++) {
		size_t size = i < 200 ? sizeof(bytes) : 3000 + (size_t)i % 7 * 1000;
		FILE *f;

		snprintf(path, sizeof(path), "%s/file-%d", dir, i);
		bytes_fill(bytes, size);
		f = fopen(path, "wb");
		if (!f || fwrite(bytes, 1, size, f) != size || fclose(f))
			must(-5, path);
	}
}

static void image_bench(void)
{
	char top[] = "/dev/shm/occlum-bench-XXXXXX", source[64], output[64], command[128];
	static struct mkimage_result result;
	double rates[ROUNDS], cpu[ROUNDS];

	if (!mkdtemp(top))
		must(-2, top);
	snprintf(source, sizeof(source), "%s/tree", top);
	snprintf(output, sizeof(output), "%s/image", top);
	mkdir(source, 0700);
	files_make(source);
	for (int r = 0; r < ROUNDS; r++) {
		struct mkimage_params p = {
			.source = source, .output = output, .role = SECVOL_ROLE_IMAGE};
		clock_t c = clock();
		double t = now();
		int err = mkimage_build(&p, &result);

		must(err, result.error);
		rates[r] = (double)result.bytes / 1e6 / (now() - t);
		cpu[r] = (double)result.bytes / 1e6 / ((double)(clock() - c) / CLOCKS_PER_SEC);
	}
	printf("image_build %.0f MB/s (goal 300 on 2 cores)\n", median(rates));
	printf("image_build_per_cpu_second %.0f MB\n", median(cpu));
	snprintf(command, sizeof(command), "rm -rf %s", top);
	if (shell_run(command))
		fprintf(stderr, "bench-image: cannot remove %s\n", top);
}

int main(void)
{
	must(crypto_init(NULL), "cryptography");
	image_bench();
	return 0;
}
