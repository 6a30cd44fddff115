/* SPDX-License-Identifier: Apache-2.0 */
/* mmap, munmap, mprotect, mremap, brk, madvise, file mappings private and shared. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { PAGE = 4096 };

static sigjmp_buf back;
static volatile int fault_code;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	fault_code = info->si_code;
	siglongjmp(back, signal);
}

/* 0 when the byte can be read (written), else the signal. */
static int probe(volatile char *p, int write)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, segv, bus;
	int got;

	sigaction(SIGSEGV, &action, &segv);
	sigaction(SIGBUS, &action, &bus);
	got = sigsetjmp(back, 1);
	if (!got) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return got;
}

static char *map(size_t size, int prot)
{
	char *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED);
	return p;
}

static int is_zero(const char *p, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i])
			return 0;
	}
	return 1;
}

static void anonymous(void)
{
	for (int round = 0; round < 50; round++) {
		size_t size = (size_t)(round % 7 + 1) * 8 * PAGE;
		char *p = map(size, PROT_READ | PROT_WRITE);

		CHECK(is_zero(p, size)); /* recycled pages are clean */
		memset(p, 0xa5, size);
		CHECK_EQ(munmap(p, size), 0);
	}
	CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERRNO(munmap((void *)123, PAGE), EINVAL);
	CHECK_ERRNO(munmap(map(PAGE, PROT_READ), 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, (size_t)-PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		    ENOMEM);
}

static void protection_is_real(void)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);

	memset(p, 7, 4 * PAGE);
	CHECK_EQ(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	CHECK_EQ(probe(p + PAGE, 0), 0);
	CHECK_EQ(probe(p + PAGE, 1), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK_EQ(mprotect(p + 2 * PAGE, PAGE, PROT_NONE), 0);
	CHECK_EQ(probe(p + 2 * PAGE, 0), SIGSEGV);
	CHECK_EQ(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(probe(p + 2 * PAGE, 1), 0);
	CHECK_EQ(p[2 * PAGE + 1], 7);
	CHECK_EQ(munmap(p + PAGE, 2 * PAGE), 0);
	CHECK_EQ(p[3 * PAGE], 7);
	CHECK_ERRNO(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
	CHECK_ERRNO(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL);
	CHECK_EQ(probe((char *)8, 0), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_MAPERR);
	munmap(p, 4 * PAGE);
}

static void fixed(void)
{
	char *p = map(8 * PAGE, PROT_READ | PROT_WRITE), *q;

	memset(p, 9, 8 * PAGE);
	q = mmap(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(q == p + 2 * PAGE);
	CHECK(is_zero(q, 2 * PAGE) && p[2 * PAGE - 1] == 9 && p[4 * PAGE] == 9);
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
	CHECK_ERRNO(
		mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
		EEXIST);
	CHECK_ERRNO(mmap(p + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		    EINVAL);
	munmap(p, 8 * PAGE);
}

static void large_reservations(void)
{
	size_t size = 4ul << 30;
	char *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(p != MAP_FAILED);
	CHECK_EQ(probe(p + size / 2, 0), SIGSEGV);
	CHECK_EQ(mprotect(p + size / 2, 64 * PAGE, PROT_READ | PROT_WRITE), 0);
	memset(p + size / 2, 3, 64 * PAGE);
	CHECK_EQ(munmap(p, size), 0);
	p = map(64 << 20, PROT_READ | PROT_WRITE); /* touched here and there */
	for (size_t i = 0; i < 64 << 20; i += 3 << 20)
		p[i] = 1;
	CHECK_EQ(p[1 << 20], 0);
	CHECK_EQ(munmap(p, 64 << 20), 0);
}

static void remapping(void)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE), *q;

	for (int i = 0; i < 4 * PAGE; i++)
		p[i] = (char)(i / 64);
	q = mremap(p, 4 * PAGE, 400 * PAGE, MREMAP_MAYMOVE);
	REQUIRE(q != MAP_FAILED);
	for (int i = 0; i < 4 * PAGE; i++)
		REQUIRE(q[i] == (char)(i / 64));
	CHECK(is_zero(q + 4 * PAGE, 396 * PAGE));
	CHECK(mremap(q, 400 * PAGE, 2 * PAGE, 0) == q);
	CHECK_EQ(q[PAGE], PAGE / 64);
	p = map(16 * PAGE, PROT_READ | PROT_WRITE);
	CHECK(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 4 * PAGE) ==
	      p + 4 * PAGE);
	CHECK_EQ(p[5 * PAGE], PAGE / 64);
	CHECK_ERRNO(mremap((void *)0x10000000, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	munmap(p, 16 * PAGE);
}

static char *set_break(char *to)
{
	return (char *)syscall(SYS_brk, to);
}

/* The raw call: musl's wrappers refuse. */
static void program_break(void)
{
	char *p = set_break(NULL), *q;

	CHECK(set_break(p + 10 * PAGE) == p + 10 * PAGE);
	CHECK(is_zero(p, 10 * PAGE));
	memset(p, 1, 10 * PAGE);
	CHECK(set_break(p) == p);
	CHECK(set_break(p + 10 * PAGE) == p + 10 * PAGE);
	q = (char *)(((unsigned long)p + PAGE - 1) & ~(PAGE - 1ul));
	CHECK(is_zero(q, 9 * PAGE));
	CHECK(set_break(p) == p);
	CHECK(set_break((char *)1) == p);
}

static void advice(void)
{
	char *p = map(8 * PAGE, PROT_READ | PROT_WRITE);

	memset(p, 5, 8 * PAGE);
	CHECK_EQ(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED), 0);
	CHECK(is_zero(p + PAGE, 2 * PAGE) && p[0] == 5 && p[3 * PAGE] == 5);
	CHECK_EQ(madvise(p, 8 * PAGE, MADV_WILLNEED), 0);
	CHECK_ERRNO(madvise(p, PAGE, 12345), EINVAL);
	CHECK_ERRNO(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	munmap(p, 8 * PAGE);
}

static void private_files(void)
{
	int fd = open("private", O_CREAT | O_RDWR | O_TRUNC, 0600);
	char page[PAGE], *p;

	for (int i = 0; i < 5; i++) {
		memset(page, 'a' + i, PAGE);
		CHECK_EQ(write(fd, page, PAGE), PAGE);
	}
	CHECK_EQ(write(fd, "tail", 4), 4);
	p = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	REQUIRE(p != MAP_FAILED);
	CHECK(p[0] == 'a' && p[3 * PAGE + 77] == 'd' && !memcmp(p + 5 * PAGE, "tail\0\0", 6));
	p[0] = 'X';
	CHECK_EQ(pread(fd, page, 1, 0), 1);
	CHECK_EQ(page[0], 'a');
	munmap(p, 6 * PAGE);
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
	CHECK(p[0] == 'c' && p[PAGE] == 'd');
	CHECK_EQ(probe(p, 1), SIGSEGV);
	munmap(p, 2 * PAGE);
	p = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK_EQ(probe(p + 7 * PAGE, 0), SIGBUS);
	munmap(p, 8 * PAGE);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
	close(fd);
	fd = open("private", O_WRONLY);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EACCES);
	close(fd);
	fd = open("private", O_RDONLY);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	close(fd);
}

static void shared_files(void)
{
	int fd = open("shared", O_CREAT | O_RDWR | O_TRUNC, 0600);
	char text[16], *p, *q;

	CHECK_EQ(ftruncate(fd, 4 * PAGE), 0);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(p != MAP_FAILED);
	memcpy(p + 100, "through memory", 14);
	CHECK_EQ(pread(fd, text, 14, 100), 14);
	CHECK(!memcmp(text, "through memory", 14));
	CHECK_EQ(pwrite(fd, "through write", 13, 2 * PAGE), 13);
	CHECK(!memcmp(p + 2 * PAGE, "through write", 13));
	q = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (q != MAP_FAILED) {
		p[300] = 'S';
		CHECK_EQ(q[300], 'S');
		munmap(q, 4 * PAGE);
	}
	CHECK_EQ(msync(p, 4 * PAGE, MS_SYNC), 0);
	munmap(p, 4 * PAGE);
	close(fd);
	fd = open("shared", O_RDONLY);
	CHECK_EQ(pread(fd, text, 14, 100), 14);
	CHECK(!memcmp(text, "through memory", 14));
	close(fd);
}

static const char code[] = {(char)0xb8, 42, 0, 0, 0, (char)0xc3}; /* mov $42, %eax; ret */

static void generated_code(void)
{
	char *p = map(PAGE, PROT_READ | PROT_WRITE);

	memcpy(p, code, sizeof(code));
	CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
	CHECK_EQ(((int (*)(void))p)(), 42);
	CHECK_EQ(probe(p, 1), SIGSEGV);
	CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0);
	p[1] = 43;
	CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
	CHECK_EQ(((int (*)(void))p)(), 43);
	munmap(p, PAGE);
}

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(unsigned long)arg;

	for (int i = 0; i < 3000; i++) {
		size_t size = (rand_r(&seed) % 20 + 1) * PAGE;
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED || p[0] || p[size - 1])
			return "not clean";
		memset(p, 1, size);
		if (rand_r(&seed) % 4 == 0)
			mprotect(p, PAGE, PROT_READ);
		munmap(p, size);
	}
	return NULL;
}

static void from_many_threads(void)
{
	pthread_t t[6];
	void *result;

	for (long i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, churn, (void *)(i + 1));
	for (int i = 0; i < 6; i++) {
		pthread_join(t[i], &result);
		CHECK(!result);
	}
}

static void all(void)
{
	enter_fresh_folder("/tmp");
	anonymous();
	protection_is_real();
	fixed();
	large_reservations();
	remapping();
	program_break();
	advice();
	private_files();
	shared_files();
	generated_code();
	from_many_threads();
	enter_fresh_folder(access("/root", W_OK) ? "." : "/root");
	private_files();
	shared_files();
}

CHECK_MAIN(all)
