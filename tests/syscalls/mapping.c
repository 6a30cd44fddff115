/* SPDX-License-Identifier: Apache-2.0 */
/* What memory calls promise beyond memory.c: filling on touch by many threads, mincore, msync. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { PAGE = 4096, PAGES = 1024, THREADS = 8 };

static unsigned char *shared_view;

static unsigned expected(unsigned page, unsigned at)
{
	return (page * 31 + at * 7 + 3) & 0xff;
}

static void make_file(const char *name)
{
	unsigned char page[PAGE];
	int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);

	for (unsigned i = 0; i < PAGES; i++) {
		for (unsigned k = 0; k < PAGE; k++)
			page[k] = expected(i, k);
		CHECK_EQ(write(fd, page, PAGE), PAGE);
	}
	close(fd);
}

/* All threads run over the same pages, so that they meet at each one's first touch. */
static void *reader(void *arg)
{
	unsigned start = (unsigned)(unsigned long)arg;
	long wrong = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		unsigned page = start & 1 ? PAGES - 1 - i : i;
		unsigned char *p = shared_view + (size_t)page * PAGE;

		wrong += p[PAGE - 1] != expected(page, PAGE - 1);
		wrong += p[0] != expected(page, 0);
		wrong += p[PAGE / 2] != expected(page, PAGE / 2);
	}
	return (void *)wrong;
}

static void filled_by_many_threads(void)
{
	for (int round = 0; round < 10; round++) {
		int fd = open("many", O_RDONLY);
		pthread_t t[THREADS];
		void *wrong;

		shared_view =
			mmap(NULL, PAGES * PAGE, round & 1 ? PROT_READ : PROT_READ | PROT_WRITE,
			     MAP_PRIVATE, fd, 0);
		REQUIRE(shared_view != MAP_FAILED);
		close(fd);
		for (long i = 0; i < THREADS; i++)
			CHECK_EQ(pthread_create(&t[i], NULL, reader, (void *)i), 0);
		for (int i = 0; i < THREADS; i++) {
			pthread_join(t[i], &wrong);
			CHECK_EQ((long)wrong, 0);
		}
		munmap(shared_view, PAGES * PAGE);
	}
}

/* As the threads before, on fresh anonymous memory: what one writes no other's filling may undo. */
static void *writer(void *arg)
{
	unsigned slot = (unsigned)(unsigned long)arg;

	for (unsigned i = 0; i < PAGES; i++)
		shared_view[(size_t)i * PAGE + slot * 64] = (unsigned char)(slot + 1);
	return NULL;
}

static void written_by_many_threads(void)
{
	for (int round = 0; round < 20; round++) {
		pthread_t t[THREADS];
		long wrong = 0;

		shared_view = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		REQUIRE(shared_view != MAP_FAILED);
		for (long i = 0; i < THREADS; i++)
			CHECK_EQ(pthread_create(&t[i], NULL, writer, (void *)i), 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(t[i], NULL);
		for (unsigned i = 0; i < PAGES; i++)
			for (unsigned k = 0; k < THREADS; k++)
				wrong += shared_view[(size_t)i * PAGE + k * 64] != k + 1;
		CHECK_EQ(wrong, 0);
		munmap(shared_view, PAGES * PAGE);
	}
}

static void residency(void)
{
	unsigned char vec[8] = {0}, *p;

	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, 8 * PAGE);
	CHECK_EQ(mincore(p, 8 * PAGE, vec), 0);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(vec[i] & 1, 1);
	CHECK_ERRNO(mincore(p + 1, PAGE, vec), EINVAL);
	CHECK_ERRNO(mincore(p, PAGE, (void *)8), EFAULT);
	munmap(p + 4 * PAGE, 4 * PAGE);
	CHECK_ERRNO(mincore(p, 8 * PAGE, vec), ENOMEM);
	munmap(p, 4 * PAGE);
}

static void private_changes(void)
{
	int fd = open("many", O_RDONLY);
	unsigned char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 2 * PAGE),
		      *q;

	REQUIRE(p != MAP_FAILED);
	p[5 * PAGE] = 200;
	q = mremap(p, 16 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	REQUIRE(q != MAP_FAILED);
	CHECK_EQ(q[5 * PAGE], 200);
	CHECK_EQ(q[5 * PAGE + 1], expected(7, 1));
	CHECK_EQ(q[60 * PAGE + 9], expected(62, 9));
	CHECK_EQ(madvise(q, 64 * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(q[5 * PAGE], expected(7, 0));
	munmap(q, 64 * PAGE);
	close(fd);
}

static void syncing(void)
{
	int fd = open("sync", O_CREAT | O_RDWR | O_TRUNC, 0600);
	char text[8], *p;

	CHECK_EQ(ftruncate(fd, 3 * PAGE), 0);
	p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(p != MAP_FAILED);
	memcpy(p + PAGE, "changed", 8);
	CHECK_EQ(msync(p, 3 * PAGE, MS_ASYNC), 0);
	CHECK_EQ(msync(p + PAGE, PAGE, MS_SYNC), 0);
	CHECK_EQ(pread(fd, text, 8, PAGE), 8);
	CHECK(!strcmp(text, "changed"));
	memcpy(p + PAGE, "again..", 8); /* written after the sync: not lost either */
	munmap(p, 3 * PAGE);
	CHECK_EQ(pread(fd, text, 8, PAGE), 8);
	CHECK(!strcmp(text, "again.."));
	CHECK_ERRNO(msync(p + 1, PAGE, MS_SYNC), EINVAL);
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_ERRNO(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERRNO(msync(p, PAGE, 64), EINVAL);
	munmap(p, PAGE);
	close(fd);
}

static void what_cannot_be_mapped(void)
{
	int fds[2], fd = open(".", O_RDONLY);
	char *p;

	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
	close(fd);
	CHECK_EQ(pipe(fds), 0);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fds[0], 0), ENODEV);
	close(fds[0]);
	close(fds[1]);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
	fd = open("many", O_PATH);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EBADF);
	close(fd);
	fd = open("/dev/zero", O_RDWR);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	if (p != MAP_FAILED) {
		CHECK(p[0] == 0 && p[3 * PAGE] == 0);
		p[PAGE] = 1;
		munmap(p, 4 * PAGE);
	}
	close(fd);
	fd = open("many", O_RDWR);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE, fd, 0);
	CHECK(p != MAP_FAILED);
	munmap(p, PAGE);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x800000, fd, 0), EOPNOTSUPP);
	close(fd);
}

static void populated(void)
{
	char *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	unsigned char vec[1024] = {0};
	int resident = 0;

	REQUIRE(p != MAP_FAILED);
	CHECK_EQ(mincore(p, 4 << 20, vec), 0);
	for (int i = 0; i < 1024; i++)
		resident += vec[i] & 1;
	CHECK_EQ(resident, 1024);
	munmap(p, 4 << 20);
}

static void all(void)
{
	enter_fresh_folder("/tmp");
	make_file("many");
	filled_by_many_threads();
	written_by_many_threads();
	residency();
	private_changes();
	syncing();
	what_cannot_be_mapped();
	populated();
	enter_fresh_folder(access("/root", W_OK) ? "." : "/root");
	make_file("many");
	filled_by_many_threads();
	private_changes();
	syncing();
}

CHECK_MAIN(all)
