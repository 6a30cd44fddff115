/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that a program moves without touching them, holes, room asked for ahead, and durability. */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define KEEP_SIZE  1
#define PUNCH_HOLE 2
#define ZERO_RANGE 16
#define COLLAPSE   8

static char bytes[300000], back[300000];

static int file(const char *name, size_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, bytes, size), size);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static long size_of(int fd)
{
	struct stat st;

	CHECK_EQ(fstat(fd, &st), 0);
	return st.st_size;
}

static void sendfiles(void)
{
	int in = file("from", 200000), out = file("to", 0), pair[2], p[2];
	loff_t at = 1000;

	CHECK_EQ(syscall(SYS_sendfile, out, in, NULL, 1000), 1000);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 1000);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 1000);
	CHECK_EQ(syscall(SYS_sendfile, out, in, &at, 1 << 20), 199000);
	CHECK_EQ(at, 200000);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 1000); /* not moved */
	CHECK_EQ(syscall(SYS_sendfile, out, in, &at, 100), 0);
	CHECK_EQ(pread(out, back, sizeof(back), 0), 200000);
	CHECK(!memcmp(bytes, back, 200000));

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	at = 10;
	CHECK_EQ(syscall(SYS_sendfile, pair[0], in, &at, 5000), 5000);
	CHECK_EQ(recv(pair[1], back, 5000, MSG_WAITALL), 5000);
	CHECK(!memcmp(bytes + 10, back, 5000));
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(syscall(SYS_sendfile, p[1], in, NULL, 100), 100);
	CHECK_EQ(read(p[0], back, 200), 100);
	CHECK(!memcmp(bytes + 1000, back, 100));

	CHECK_ERRNO(syscall(SYS_sendfile, in, 99, NULL, 1), EBADF);
	at = -1;
	CHECK_ERRNO(syscall(SYS_sendfile, out, in, &at, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_sendfile, out, p[0], &at, 1), ESPIPE);
	CHECK_ERRNO(syscall(SYS_sendfile, out, in, (void *)8, 1), EFAULT);
	close(out);
	out = open("to", O_RDONLY);
	CHECK_ERRNO(syscall(SYS_sendfile, out, in, NULL, 1), EBADF);
	close(pair[0]);
	close(pair[1]);
	close(p[0]);
	close(p[1]);
	close(in);
	close(out);
}

static void copies(void)
{
	int in = file("a", 100000), out = file("b", 10), append, p[2];
	loff_t from = 500, to = 50;

	CHECK_EQ(syscall(SYS_copy_file_range, in, &from, out, &to, 60000, 0), 60000);
	CHECK_EQ(from, 60500);
	CHECK_EQ(to, 60050);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_EQ(pread(out, back, sizeof(back), 0), 60050);
	CHECK(!memcmp(back, bytes, 10) && !back[10] && !back[49]);
	CHECK(!memcmp(back + 50, bytes + 500, 60000));
	CHECK_EQ(syscall(SYS_copy_file_range, in, NULL, out, NULL, 1 << 20, 0), 100000);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 100000);
	CHECK_EQ(syscall(SYS_copy_file_range, in, NULL, out, NULL, 10, 0), 0); /* the end */
	/* Within one file: only what does not overlap. */
	from = 0;
	to = 50000;
	CHECK_EQ(syscall(SYS_copy_file_range, in, &from, in, &to, 50000, 0), 50000);
	from = 0;
	to = 10;
	CHECK_ERRNO(syscall(SYS_copy_file_range, in, &from, in, &to, 50000, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_copy_file_range, in, NULL, out, NULL, 10, 1), EINVAL);
	append = open("b", O_WRONLY | O_APPEND);
	CHECK_ERRNO(syscall(SYS_copy_file_range, in, &from, append, NULL, 10, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_copy_file_range, append, NULL, out, NULL, 10, 0), EBADF);
	CHECK_EQ(pipe(p), 0);
	CHECK_ERRNO(syscall(SYS_copy_file_range, in, &from, p[1], NULL, 10, 0), EINVAL);
	close(p[0]);
	close(p[1]);
	close(append);
	close(in);
	close(out);
}

static int is_zero(int fd, long at, long size)
{
	static const char zeros[sizeof(back)];

	return pread(fd, back, (size_t)size, at) == size && !memcmp(back, zeros, (size_t)size);
}

static void rooms(void)
{
	int fd = file("room", 100000), in = open("room", O_RDONLY), p[2];
	struct stat st;

	CHECK_EQ(syscall(SYS_fallocate, fd, 0, 0L, 150000L), 0);
	CHECK_EQ(size_of(fd), 150000);
	CHECK(is_zero(fd, 100000, 50000));
	CHECK_EQ(syscall(SYS_fallocate, fd, KEEP_SIZE, 0L, 500000L), 0);
	CHECK_EQ(size_of(fd), 150000);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(st.st_blocks >= 500000 / 512); /* space is taken */
	CHECK_EQ(syscall(SYS_fallocate, fd, PUNCH_HOLE | KEEP_SIZE, 8192L, 16384L), 0);
	CHECK(is_zero(fd, 8192, 16384));
	CHECK_EQ(pread(fd, back, 10, 8182), 10);
	CHECK(!memcmp(back, bytes + 8182, 10));
	CHECK_EQ(pread(fd, back, 10, 24576), 10);
	CHECK(!memcmp(back, bytes + 24576, 10));
	CHECK_EQ(syscall(SYS_fallocate, fd, PUNCH_HOLE | KEEP_SIZE, 30001L, 7L),
		 0); /* inside a page */
	CHECK(is_zero(fd, 30001, 7));
	CHECK_EQ(pread(fd, back, 1, 30008), 1);
	CHECK_EQ(back[0], bytes[30008]);
	if (syscall(SYS_fallocate, fd, ZERO_RANGE, 140000L, 20000L) == 0) {
		CHECK_EQ(size_of(fd), 160000);
		CHECK(is_zero(fd, 140000, 20000));
	} else {
		CHECK_EQ(errno, EOPNOTSUPP);
	}
	CHECK_ERRNO(syscall(SYS_fallocate, fd, PUNCH_HOLE, 0L, 4096L), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_fallocate, fd, 0, 0L, 0L), EINVAL);
	CHECK_ERRNO(syscall(SYS_fallocate, fd, 0, -1L, 10L), EINVAL);
	CHECK_ERRNO(syscall(SYS_fallocate, fd, 0, 0x7fffffffffffffffL, 10L), EFBIG);
	CHECK_ERRNO(syscall(SYS_fallocate, in, 0, 0L, 10L), EBADF);
	CHECK_EQ(pipe(p), 0);
	CHECK_ERRNO(syscall(SYS_fallocate, p[1], 0, 0L, 10L), ESPIPE);
	close(p[0]);
	close(p[1]);
	close(in);
	close(fd);
}

static void holes(void)
{
	int fd = file("holes", 0);

	CHECK_EQ(pwrite(fd, bytes, 4096, 1 << 20), 4096);
	CHECK_EQ(ftruncate(fd, 4 << 20), 0);
	/* A file system may find fewer holes than there are, never data where there is none. */
	CHECK(lseek(fd, 0, SEEK_DATA) <= 1 << 20);
	CHECK(lseek(fd, 1 << 20, SEEK_HOLE) >= (1 << 20) + 4096);
	CHECK_EQ(lseek(fd, 1 << 20, SEEK_DATA), 1 << 20);
	CHECK_ERRNO(lseek(fd, 4 << 20, SEEK_DATA), ENXIO);
	CHECK_ERRNO(lseek(fd, 4 << 20, SEEK_HOLE), ENXIO);
	CHECK_ERRNO(lseek(fd, 0, 77), EINVAL);
	close(fd);
}

static void vectors_at(void)
{
	int fd = file("vec", 1000);
	struct iovec out[2] = {{bytes + 5000, 10}, {bytes + 6000, 20}};
	struct iovec in[2] = {{back, 10}, {back + 100, 20}};

	CHECK_EQ(syscall(SYS_pwritev2, fd, out, 2, 500L, 0L, 0), 30);
	CHECK_EQ(syscall(SYS_preadv2, fd, in, 2, 500L, 0L, 0), 30);
	CHECK(!memcmp(back, bytes + 5000, 10) && !memcmp(back + 100, bytes + 6000, 20));
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	/* -1: at the file's own offset. */
	CHECK_EQ(syscall(SYS_preadv2, fd, in, 1, -1L, -1L, 0), 10);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	CHECK_EQ(syscall(SYS_pwritev2, fd, out, 1, 0L, 0L, 16 /* RWF_APPEND */), 10);
	CHECK_EQ(size_of(fd), 1010);
	CHECK_EQ(syscall(SYS_pwritev2, fd, out, 1, 0L, 0L, 6 /* RWF_SYNC, RWF_DSYNC */), 10);
	CHECK_ERRNO(syscall(SYS_pwritev2, fd, out, 1, 0L, 0L, 1 << 20), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_preadv2, fd, in, 1, -2L, -1L, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_preadv2, 99, in, 1, 0L, 0L, 0), EBADF);
	close(fd);
}

static void durable(void)
{
	int fd = file("durable", 10000), p[2];

	CHECK_EQ(syscall(SYS_fsync, fd), 0);
	CHECK_EQ(syscall(SYS_fdatasync, fd), 0);
	CHECK_EQ(syscall(SYS_sync_file_range, fd, 0L, 4096L, 2), 0);
	CHECK_ERRNO(syscall(SYS_sync_file_range, fd, 0L, 4096L, 128), EINVAL);
	CHECK_ERRNO(syscall(SYS_sync_file_range, fd, -1L, 4096L, 2), EINVAL);
	CHECK_ERRNO(syscall(SYS_sync_file_range, 99, 0L, 4096L, 2), EBADF);
	CHECK_EQ(syscall(SYS_syncfs, fd), 0);
	CHECK_ERRNO(syscall(SYS_syncfs, 99), EBADF);
	CHECK_EQ(syscall(SYS_sync), 0);
	/* Advice is taken or not; wrong calls are refused. */
	CHECK_EQ(syscall(SYS_readahead, fd, 0L, 4096L), 0);
	CHECK_ERRNO(syscall(SYS_readahead, 99, 0L, 4096L), EBADF);
	CHECK_EQ(syscall(SYS_fadvise64, fd, 0L, 0L, POSIX_FADV_WILLNEED), 0);
	CHECK_EQ(syscall(SYS_fadvise64, fd, 0L, 0L, POSIX_FADV_DONTNEED), 0);
	CHECK_ERRNO(syscall(SYS_fadvise64, fd, 0L, 0L, 77), EINVAL);
	CHECK_ERRNO(syscall(SYS_fadvise64, fd, 0L, -5L, 0), EINVAL);
	CHECK_EQ(pipe(p), 0);
	CHECK_ERRNO(syscall(SYS_fadvise64, p[0], 0L, 0L, 0), ESPIPE);
	CHECK_ERRNO(syscall(SYS_fsync, p[0]), EINVAL);
	CHECK_ERRNO(syscall(SYS_sync_file_range, p[0], 0L, 0L, 2), ESPIPE);
	close(p[0]);
	close(p[1]);
	CHECK_EQ(pread(fd, back, 10000, 0), 10000);
	CHECK(!memcmp(bytes, back, 10000));
	close(fd);
}

static void in_folder(const char *folder)
{
	enter_fresh_folder(folder);
	sendfiles();
	copies();
	rooms();
	holes();
	vectors_at();
	durable();
}

static void sealed(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 31 + i / 1000 + 1);
	in_folder(access("/root", W_OK) ? "." : "/root");
}

static void in_memory(void)
{
	in_folder("/tmp");
}

CHECK_MAIN(sealed, in_memory)
