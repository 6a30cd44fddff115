/* SPDX-License-Identifier: Apache-2.0 */
/* open, read, write, seek, truncate, vectors, sparse files, O_* flags; on the root and in /tmp. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

static char big[200000], back[200000];

static void contents_survive(void)
{
	int fd = open("f", O_CREAT | O_EXCL | O_RDWR, 0640);
	struct stat st;

	REQUIRE(fd >= 0);
	CHECK_ERRNO(open("f", O_CREAT | O_EXCL | O_RDWR, 0640), EEXIST);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 + i / 251);
	CHECK_EQ(write(fd, big, sizeof(big)), sizeof(big));
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(read(fd, back, sizeof(back)), sizeof(back));
	CHECK(!memcmp(big, back, sizeof(big)));
	CHECK_EQ(read(fd, back, 1), 0);
	CHECK_EQ(pread(fd, back, 5000, 77777), 5000);
	CHECK(!memcmp(big + 77777, back, 5000));
	CHECK_EQ(pwrite(fd, "overwritten", 11, 4090), 11);
	CHECK_EQ(pread(fd, back, 20, 4085), 20);
	CHECK(!memcmp(back + 5, "overwritten", 11) && back[4] == big[4089] &&
	      back[16] == big[4101]);
	CHECK_EQ(fsync(fd), 0);
	CHECK_EQ(fdatasync(fd), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, sizeof(big));
	CHECK_EQ(st.st_mode, S_IFREG | 0640);
	CHECK_EQ(st.st_nlink, 1);
	CHECK_EQ(close(fd), 0);
	CHECK_ERRNO(close(fd), EBADF);
	CHECK_ERRNO(read(fd, back, 1), EBADF);
}

static void holes_read_as_zeros(void)
{
	int fd = open("sparse", O_CREAT | O_RDWR, 0600);
	struct stat st;
	char c[16];

	CHECK_EQ(lseek(fd, 10 << 20, SEEK_SET), 10 << 20);
	CHECK_EQ(write(fd, "end", 3), 3);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, (10 << 20) + 3);
	CHECK(st.st_blocks < 1000);
	memset(c, 1, sizeof(c));
	CHECK_EQ(pread(fd, c, 16, 5 << 20), 16);
	CHECK(!memcmp(c, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16));
	CHECK_EQ(ftruncate(fd, 5000), 0);
	CHECK_EQ(ftruncate(fd, 20000), 0);
	CHECK_EQ(pread(fd, back, 20000, 0), 20000);
	for (int i = 0; i < 20000; i++) {
		if (back[i]) {
			CHECK_EQ(i, -1);
			break;
		}
	}
	CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
	CHECK_EQ(truncate("sparse", 3), 0);
	CHECK_EQ(stat("sparse", &st), 0);
	CHECK_EQ(st.st_size, 3);
	close(fd);
}

static void shrink_leaves_no_old_bytes(void)
{
	int fd = open("shrink", O_CREAT | O_RDWR, 0600);

	memset(big, 'x', 10000);
	CHECK_EQ(write(fd, big, 10000), 10000);
	CHECK_EQ(ftruncate(fd, 100), 0);
	CHECK_EQ(ftruncate(fd, 10000), 0);
	CHECK_EQ(pread(fd, back, 10000, 0), 10000);
	CHECK(back[99] == 'x' && back[100] == 0 && back[4095] == 0 && back[4096] == 0 &&
	      back[9999] == 0);
	close(fd);
}

static void flags_are_obeyed(void)
{
	int fd = open("flags", O_CREAT | O_WRONLY | O_TRUNC, 0600), other;

	CHECK_EQ(write(fd, "12345", 5), 5);
	CHECK_ERRNO(read(fd, back, 1), EBADF);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
	other = open("flags", O_WRONLY | O_APPEND);
	CHECK_EQ(write(other, "67", 2), 2);
	CHECK_EQ(lseek(other, 0, SEEK_CUR), 7);
	CHECK_EQ(lseek(other, 0, SEEK_SET), 0);
	CHECK_EQ(write(other, "89", 2), 2);
	close(other);
	other = open("flags", O_RDONLY);
	CHECK_EQ(read(other, back, 100), 9);
	CHECK(!memcmp(back, "123456789", 9));
	CHECK_ERRNO(write(other, "x", 1), EBADF);
	close(other);
	other = open("flags", O_RDWR | O_TRUNC);
	CHECK_EQ(lseek(other, 0, SEEK_END), 0);
	close(other);
	close(fd);
	CHECK_ERRNO(open("flags", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open(".", O_RDWR), EISDIR);
	CHECK_ERRNO(open("none", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("flags/x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	CHECK_ERRNO(open((char *)8, O_RDONLY), EFAULT);
	CHECK_ERRNO(lseek(0x7fffffff, 0, SEEK_SET), EBADF);
}

static void vectors(void)
{
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"twothree", 8}}, in[2];
	char a[4], b[8];
	int fd = open("vec", O_CREAT | O_TRUNC | O_RDWR, 0600);

	CHECK_EQ(writev(fd, out, 3), 11);
	in[0] = (struct iovec){a, 4};
	in[1] = (struct iovec){b, 8};
	CHECK_EQ(preadv(fd, in, 2, 0), 11);
	CHECK(!memcmp(a, "onet", 4) && !memcmp(b, "wothree", 7));
	CHECK_EQ(pwritev(fd, out, 1, 8), 3);
	CHECK_EQ(pread(fd, b, 8, 6), 5);
	CHECK(!memcmp(b, "thone", 5));
	CHECK_ERRNO(writev(fd, out, -1), EINVAL);
	CHECK_ERRNO(writev(fd, out, 1025), EINVAL);
	CHECK_ERRNO(readv(fd, (struct iovec *)8, 1), EFAULT);
	close(fd);
}

static void unlinked_files_live_on(void)
{
	int fd = open("gone", O_CREAT | O_RDWR, 0600);
	struct stat st;

	CHECK_EQ(write(fd, "still here", 10), 10);
	CHECK_EQ(unlink("gone"), 0);
	CHECK_ERRNO(stat("gone", &st), ENOENT);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(pread(fd, back, 100, 0), 10);
	CHECK(!memcmp(back, "still here", 10));
	CHECK_EQ(write(fd, ", and grows", 11), 11);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 21);
	close(fd);
}

static void partial_faults(void)
{
	int fd = open("fault", O_CREAT | O_TRUNC | O_RDWR, 0600);

	CHECK_ERRNO(write(fd, (void *)16, 10), EFAULT);
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_ERRNO(pread(fd, (void *)16, 3, 0), EFAULT);
	CHECK_EQ(pread(fd, back, 0, 0), 0);
	close(fd);
}

/* Taking a watch of a folder away works where there are none to be had. */
static void no_watches(void)
{
	int fd = open(".", O_RDONLY);

	CHECK_EQ(fcntl(fd, 1026 /* F_NOTIFY */, 0), 0);
	CHECK_EQ(fcntl(fd, 1026, 0x80000000ul /* DN_MULTISHOT */), 0);
	close(fd);
	CHECK_ERRNO(fcntl(fd, 1026, 0), EBADF);
}

static void descriptors(void)
{
	int fd = open("dup", O_CREAT | O_RDWR | O_CLOEXEC, 0600), two, high;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	two = dup(fd);
	CHECK_EQ(fcntl(two, F_GETFD), 0);
	CHECK_EQ(write(fd, "xy", 2), 2);
	CHECK_EQ(lseek(two, 0, SEEK_CUR), 2);
	high = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	CHECK_EQ(high, 100);
	CHECK_EQ(fcntl(high, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(dup2(fd, 200), 200);
	CHECK_EQ(dup2(fd, fd), fd);
	CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
	CHECK_ERRNO(dup2(fd, -1), EBADF);
	CHECK_ERRNO(dup2(99999999, 5), EBADF);
	CHECK_EQ(close(high), 0);
	CHECK_EQ(close(200), 0);
	CHECK_EQ(close(two), 0);
	CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND), 0);
	CHECK(fcntl(fd, F_GETFL) & O_APPEND);
	CHECK_EQ(close(fd), 0);
}

static void all(void)
{
	contents_survive();
	holes_read_as_zeros();
	shrink_leaves_no_old_bytes();
	flags_are_obeyed();
	vectors();
	unlinked_files_live_on();
	partial_faults();
	descriptors();
	no_watches();
}

static void on_the_root(void)
{
	enter_fresh_folder(access("/root", W_OK) ? "." : "/root");
	all();
}

static void in_tmp(void)
{
	enter_fresh_folder("/tmp");
	all();
}

CHECK_MAIN(on_the_root, in_tmp)
