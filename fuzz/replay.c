// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a fuzz target over the files of a folder, and over each with every byte changed once and cut
 * at every length, for builds without libFuzzer. A missing folder is no inputs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/types.h"

#define INPUT_MAX  (1 << 20)
#define MUTATE_MAX 4096

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

/* The target gets memory of just that size, so that a sanitizer sees every byte read past it. */
static void run(const u8 *bytes, size_t size)
{
	u8 *exact = size ? calloc(1, size) : malloc(1);

	if (!exact)
		abort();
	memcpy(exact, bytes, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static void run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	u8 *bytes = malloc(INPUT_MAX);
	size_t size;

	if (!f || !bytes) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	size = fread(bytes, 1, INPUT_MAX, f);
	fclose(f);
	run(bytes, size);
	for (size_t i = 0; i < size && i < MUTATE_MAX; i++) {
		bytes[i] ^= (u8)(1 << (i % 8));
		run(bytes, size);
		bytes[i] ^= (u8)(1 << (i % 8));
		run(bytes, i);
	}
	free(bytes);
}

int main(int argc, char **argv)
{
	int count = 0;

	run((const u8 *)"", 0);
	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *e;

		while (dir && (e = readdir(dir)) != NULL) {
			char path[PATH_MAX];

			if (e->d_type != DT_REG)
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
			run_file(path);
			count++;
		}
		if (dir)
			closedir(dir);
	}
	printf("%d inputs\n", count);
	return 0;
}
