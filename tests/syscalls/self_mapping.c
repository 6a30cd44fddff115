/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are read and written through mappings of themselves: the kernel copies while it
 * holds the file, and the copy's page faults need the file again. Several threads do it at once
 * and race with munmap and with the last close of a mapped file. Nothing may hang (alarm), no
 * byte may be one that nobody wrote, and a buffer that is unmapped meanwhile gives EFAULT or a
 * short count.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PAGE = 4096, PAGES = 64, SIZE = PAGE * PAGES, THREADS = 6, ROUNDS = 60 };

static unsigned char bytes[SIZE];
static atomic_int stop;
static const char *name;

static unsigned char at(size_t offset)
{
	return (offset / PAGE * 37 + offset % PAGE * 5 + 11) & 0xff;
}

static void make_file(void)
{
	int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);

	REQUIRE(fd >= 0);
	CHECK_EQ(write(fd, bytes, SIZE), SIZE);
	close(fd);
}

static unsigned char *map(int fd, int flags)
{
	unsigned char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	REQUIRE(p != MAP_FAILED);
	return p;
}

/* read() into and write() from an untouched mapping of the very same file. */
static void into_itself(void)
{
	static const int kinds[] = {MAP_PRIVATE, MAP_SHARED};

	for (int i = 0; i < 4; i++) {
		int fd;
		unsigned char *p;

		make_file();
		fd = open(name, O_RDWR);
		p = map(fd, kinds[i & 1]);
		if (i & 2) {
			/* Every page onto its neighbour, as the pages hold it at that time. */
			CHECK_EQ(pwrite(fd, p, PAGE * 8, PAGE * 8), PAGE * 8);
			CHECK_EQ(pwrite(fd, p + SIZE - PAGE, PAGE, 0), PAGE);
			CHECK_EQ(pread(fd, bytes, SIZE, 0), SIZE);
			CHECK_EQ(bytes[0], at(SIZE - PAGE));
			CHECK_EQ(bytes[PAGE * 8 + 5], at(5));
			CHECK_EQ(bytes[PAGE * 15 + 77], at(PAGE * 7 + 77));
		} else {
			CHECK_EQ(read(fd, p, SIZE), SIZE);
			CHECK_EQ(memcmp(p, bytes, SIZE), 0);
			CHECK_EQ(pread(fd, p + PAGE, PAGE * 3, PAGE * 9), PAGE * 3);
			CHECK_EQ(p[PAGE], at(PAGE * 9));
			CHECK_EQ(p[PAGE * 3 + 4095], at(PAGE * 11 + 4095));
		}
		for (size_t k = 0; k < SIZE; k++)
			bytes[k] = at(k);
		munmap(p, SIZE);
		close(fd);
	}
}

/* The mapping keeps the file, not its descriptor or its name. */
static void mapping_outlives_descriptor(void)
{
	int fd, again;
	unsigned char *p, byte = 0;

	make_file();
	fd = open(name, O_RDWR);
	p = map(fd, MAP_SHARED);
	close(fd);
	p[3] = 0xa5;
	again = open(name, O_RDWR);
	CHECK_EQ(pread(again, &byte, 1, 3), 1);
	CHECK_EQ(byte, 0xa5);
	byte = 0x5a;
	CHECK_EQ(pwrite(again, &byte, 1, PAGE), 1);
	CHECK_EQ(p[PAGE], 0x5a);
	unlink(name);
	close(again);
	p[PAGE * 5] = 1;
	for (int i = 0; i < 50; i++) { /* memory that the kernel might reuse */
		int other = open("other", O_CREAT | O_RDWR | O_TRUNC, 0600);

		CHECK_EQ(write(other, bytes, PAGE), PAGE);
		close(other);
	}
	CHECK_EQ(p[PAGE * 5], 1);
	CHECK_EQ(p[PAGE * 9 + 1], at(PAGE * 9 + 1));
	munmap(p, SIZE);
	unlink("other");
	make_file();
	fd = open(name, O_RDWR);
	p = map(fd, MAP_SHARED);
	close(fd);
	p[PAGE * 2] = 0x77;
	munmap(p, SIZE);
	fd = open(name, O_RDONLY);
	CHECK_EQ(pread(fd, &byte, 1, PAGE * 2), 1);
	CHECK_EQ(byte, 0x77);
	close(fd);
}

/* A mapping whose file was closed goes when another takes its place. */
static void replaced(void)
{
	int fd;
	unsigned char *p, *q, byte = 0;

	make_file();
	fd = open(name, O_RDWR);
	p = map(fd, MAP_SHARED);
	close(fd);
	p[PAGE] = 0x33;
	q = mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(q == p);
	CHECK_EQ(p[PAGE], 0);
	fd = open(name, O_RDWR);
	CHECK_EQ(pread(fd, &byte, 1, PAGE), 1);
	CHECK_EQ(byte, 0x33);
	munmap(p, SIZE);
	p = map(fd, MAP_SHARED);
	close(fd);
	q = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(q, 9, SIZE);
	CHECK(mremap(q, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
	CHECK_EQ(p[SIZE - 1], 9);
	munmap(p, SIZE);
}

/* Threads: bytes always are those of the same place, whoever copies where. */
static void *copier(void *arg)
{
	unsigned self = (unsigned)(unsigned long)arg;
	int shared = self & 1;

	for (int i = 0; i < ROUNDS; i++) {
		size_t offset = (size_t)((self * 7 + i * 3) % (PAGES / 2)) * PAGE;
		int fd = open(name, O_RDWR);

		CHECK(fd >= 0);
		unsigned char *p = map(fd, shared ? MAP_SHARED : MAP_PRIVATE);
		ssize_t n;

		switch ((self / 2 + i) % 3) {
		case 0: n = pwrite(fd, p + offset, SIZE / 2, offset); break;
		case 1: n = pread(fd, p + offset, SIZE / 2, offset); break;
		default:
			close(fd); /* the mapping alone holds the file now */
			fd = open(name, O_RDWR);
			n = pwrite(fd, p + offset, SIZE / 2, offset);
		}
		CHECK_EQ(n, SIZE / 2);
		for (size_t k = 0; k < SIZE; k += 509)
			if (p[k] != at(k)) {
				CHECK_EQ(p[k], at(k));
				break;
			}
		if (i & 1)
			close(fd);
		munmap(p, SIZE);
		if (!(i & 1))
			close(fd);
	}
	return NULL;
}

/* Unmaps what the others copy from and to, and maps it again at the same place. */
static unsigned char *volatile moving;

static void *unmapper(void *arg)
{
	int fd = open(name, O_RDWR);
	unsigned i = 0;

	while (!stop) {
		unsigned char *p = moving;

		munmap(p + (i % PAGES) * PAGE, SIZE - (i % PAGES) * PAGE);
		munmap(p, SIZE);
		p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, i++ & 1 ? MAP_SHARED : MAP_PRIVATE, fd,
			 0);
		if (p == MAP_FAILED) {
			CHECK(!"mmap");
			break;
		}
		moving = p;
	}
	close(fd);
	return NULL;
}

static void *racer(void *arg)
{
	unsigned self = (unsigned)(unsigned long)arg;

	for (int i = 0; i < ROUNDS * 4; i++) {
		size_t offset = (size_t)((self * 5 + i) % (PAGES / 2)) * PAGE;
		int fd = open(name, O_RDWR);

		CHECK(fd >= 0);
		unsigned char *p = moving;
		ssize_t n;

		/* Only writes: a read might hit what is no longer the mapping but something new. */
		n = pwrite(fd, p + offset, SIZE / 2, offset);
		if (n < 0)
			CHECK_EQ(errno, EFAULT);
		close(fd);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[THREADS], u;

	make_file();
	alarm(60);
	for (long i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, copier, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);

	stop = 0;
	int fd = open(name, O_RDWR);
	moving = map(fd, MAP_SHARED);
	close(fd);
	for (long i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, racer, (void *)i), 0);
	/* Last: the stack of a new thread might come to lie where it has just unmapped. */
	CHECK_EQ(pthread_create(&u, NULL, unmapper, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	stop = 1;
	pthread_join(u, NULL);
	munmap(moving, SIZE);
	alarm(0);
}

static void everything(const char *folder)
{
	enter_fresh_folder(folder);
	name = "self";
	into_itself();
	mapping_outlives_descriptor();
	replaced();
	threads();
	unlink(name);
}

static void on_the_sealed_root(void)
{
	everything(access("/root", W_OK) ? "." : "/root");
}

static void on_tmp(void)
{
	everything("/tmp");
}

int main(void)
{
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = at(i);
	alarm(100);
	on_the_sealed_root();
	on_tmp();
	if (check_failures)
		printf("%d checks failed\n", check_failures);
	return check_failures != 0;
}
