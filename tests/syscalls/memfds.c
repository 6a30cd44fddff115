/* SPDX-License-Identifier: Apache-2.0 */
/* Files of memfd_create and their seals: what was sealed cannot be changed, by any way. */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef F_ADD_SEALS
#define F_ADD_SEALS   1033
#define F_GET_SEALS   1034
#define F_SEAL_SEAL   1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW   4
#define F_SEAL_WRITE  8
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 16
#endif
#define ALLOW_SEALING 2
#define SIZE	      8192

static int make(void)
{
	int fd = syscall(SYS_memfd_create, "sealed", ALLOW_SEALING);

	REQUIRE(fd >= 0);
	CHECK_EQ(ftruncate(fd, SIZE), 0);
	CHECK_EQ(pwrite(fd, "kept", 4, 0), 4);
	return fd;
}

static void *map(int fd, int prot, int flags)
{
	return mmap(NULL, SIZE, prot, flags, fd, 0);
}

static void sizes(void)
{
	int fd = make();

	CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	CHECK_ERRNO(ftruncate(fd, 2 * SIZE), EPERM);
	CHECK_ERRNO(pwrite(fd, "x", 1, SIZE), EPERM);
	CHECK_ERRNO(syscall(SYS_fallocate, fd, 0, 0L, 2L * SIZE), EPERM);
	CHECK_EQ(ftruncate(fd, SIZE / 2), 0);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	CHECK_ERRNO(ftruncate(fd, 0), EPERM);
	CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_GROW | F_SEAL_SHRINK);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0x10000), EINVAL);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	close(fd);
	fd = syscall(SYS_memfd_create, "closed", 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	close(fd);
	fd = open("/dev/null", O_RDWR);
	CHECK_ERRNO(fcntl(fd, F_GET_SEALS), EINVAL);
	close(fd);
}

static void writing(void)
{
	int fd = make();
	char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	CHECK(p != MAP_FAILED);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY); /* somebody could go on */
	munmap(p, SIZE);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
	CHECK_ERRNO(syscall(SYS_fallocate, fd, 3, 0L, 4096L), EPERM); /* a hole */
	CHECK(map(fd, PROT_READ | PROT_WRITE, MAP_SHARED) == MAP_FAILED && errno == EPERM);
	CHECK(map(fd, PROT_WRITE, MAP_SHARED) == MAP_FAILED && errno == EPERM);
	p = map(fd, PROT_READ, MAP_SHARED);
	if (p != MAP_FAILED) { /* older kernels refuse that too */
		CHECK(!memcmp(p, "kept", 4));
		CHECK_ERRNO(mprotect(p, SIZE, PROT_READ | PROT_WRITE), EACCES);
		munmap(p, SIZE);
	}
	p = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	CHECK(p != MAP_FAILED);
	p[0] = 'x';
	munmap(p, SIZE);
	{
		char back[4];

		CHECK_EQ(pread(fd, back, 4, 0), 4);
		CHECK(!memcmp(back, "kept", 4));
	}
	close(fd);
}

/* Who has it mapped goes on, nobody else begins. */
static void future_writing(void)
{
	int fd = make();
	char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), *q, back[4];

	CHECK(p != MAP_FAILED);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	memcpy(p, "more", 4);
	CHECK_EQ(pread(fd, back, 4, 0), 4);
	CHECK(!memcmp(back, "more", 4));
	CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
	CHECK(map(fd, PROT_WRITE, MAP_SHARED) == MAP_FAILED && errno == EPERM);
	munmap(p, SIZE);
	q = map(fd, PROT_READ, MAP_SHARED);
	CHECK(q != MAP_FAILED);
	CHECK_ERRNO(mprotect(q, SIZE, PROT_WRITE), EACCES);
	munmap(q, SIZE);
	close(fd);
}

CHECK_MAIN(sizes, writing, future_writing)
