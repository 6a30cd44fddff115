/* SPDX-License-Identifier: Apache-2.0 */
/* Medians of repeated operations as "name value unit" lines, which run.py and libos.py read. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SAMPLES = 15 };

static inline double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline void print_median(const char *name, double samples[SAMPLES])
{
	qsort(samples, SAMPLES, sizeof(samples[0]), by_value);
	printf("%s %.1f ns\n", name, samples[SAMPLES / 2]);
	fflush(stdout);
}

static inline void measure(const char *name, void (*operation)(void), int count)
{
	double samples[SAMPLES];

	for (int i = 0; i < count / 10 + 1; i++)
		operation();
	for (int s = 0; s < SAMPLES; s++) {
		double begin = now_ns();

		for (int i = 0; i < count; i++)
			operation();
		samples[s] = (now_ns() - begin) / count;
	}
	print_median(name, samples);
}
