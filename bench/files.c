/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as programs use them: large and small accesses, in order and at random. Runs natively and
 * inside, in the current folder; prints `name value unit` lines. `write` makes the file and
 * measures writing, `read` measures the first touch of a file that an earlier run wrote, then the
 * same from memory.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIZE	  (32 << 20)
#define CHUNK	  65536
#define FILE_NAME "bench.dat"

static char buf[CHUNK];
static unsigned seed = 12345;

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void need(int good, const char *what)
{
	if (!good) {
		perror(what);
		exit(1);
	}
}

static off_t somewhere(void)
{
	seed = seed * 1664525u + 1013904223u;
	return (off_t)(seed >> 8) % (SIZE / 4096) * 4096;
}

static void put_rate(const char *name, double begin)
{
	printf("%s %.0f MB/s\n", name, SIZE / 1e6 / (seconds(CLOCK_MONOTONIC) - begin));
}

static void put_time(const char *name, double begin, int count)
{
	printf("%s %.2f us\n", name, (seconds(CLOCK_MONOTONIC) - begin) / count * 1e6);
}

static void writing(void)
{
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0644);
	double t;

	need(fd >= 0, FILE_NAME);
	for (int round = 0; round < 2; round++) { /* the second over what is there */
		t = seconds(CLOCK_MONOTONIC);
		for (off_t at = 0; at < SIZE; at += CHUNK)
			need(pwrite(fd, buf, CHUNK, at) == CHUNK, "write");
		if (!round)
			put_rate("sequential_write", t);
	}
	need(!fsync(fd), "fsync");
	t = seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < 4000; i++)
		need(pwrite(fd, buf, 4096, somewhere()) == 4096, "write");
	put_time("random_write_4k", t, 4000);
	need(!fsync(fd), "fsync");
	t = seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < 300; i++)
		need(pwrite(fd, buf, 4096, somewhere()) == 4096 && !fsync(fd), "write, fsync");
	put_time("write_4k_fsync", t, 300);
	close(fd);
	t = seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < 3000; i++) {
		fd = open("small", O_WRONLY | O_CREAT | O_EXCL, 0644);
		need(fd >= 0 && write(fd, buf, 1024) == 1024 && !close(fd) && !unlink("small"),
		     "small file");
	}
	put_time("create_1k_unlink", t, 3000);
}

static void read_all(int fd)
{
	for (off_t at = 0; at < SIZE; at += CHUNK)
		need(pread(fd, buf, CHUNK, at) == CHUNK, "read");
}

static void reading(void)
{
	int fd = open(FILE_NAME, O_RDONLY);
	double t, cpu;

	need(fd >= 0, FILE_NAME);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < 1000; i++)
		need(pread(fd, buf, 4096, somewhere()) == 4096, "read");
	printf("random_read_4k_first_cpu %.2f us\n",
	       (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1000 * 1e6);
	t = seconds(CLOCK_MONOTONIC);
	read_all(fd);
	put_rate("sequential_read_first", t);
	read_all(fd);
	t = seconds(CLOCK_MONOTONIC);
	read_all(fd);
	put_rate("sequential_read", t);
	t = seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < 20000; i++)
		need(pread(fd, buf, 4096, somewhere()) == 4096, "read");
	put_time("random_read_4k", t, 20000);
	close(fd);
	t = seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < 5000; i++) {
		fd = open(FILE_NAME, O_RDONLY);
		need(fd >= 0 && read(fd, buf, 4096) == 4096 && !close(fd), "open, read, close");
	}
	put_time("open_read_close", t, 5000);
}

int main(int argc, char **argv)
{
	need(argc == 3 && !chdir(argv[2]), "files write|read FOLDER");
	memset(buf, 0x5a, sizeof(buf));
	if (strcmp(argv[1], "write") == 0)
		writing();
	else
		reading();
	return 0;
}
