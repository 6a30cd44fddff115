/* SPDX-License-Identifier: Apache-2.0 */
/* What a file has beside its bytes: modes, owners, times and extended attributes, by every call. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static struct stat of(const char *path)
{
	struct stat st = {0};

	CHECK_EQ(syscall(SYS_lstat, path, &st), 0);
	return st;
}

static void make(const char *name)
{
	int fd = syscall(SYS_creat, name, 0644);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, name, strlen(name)), strlen(name));
	close(fd);
}

static void modes(void)
{
	struct stat st;
	int fd;

	make("modes");
	CHECK_EQ(symlink("modes", "link"), 0);
	CHECK_EQ(syscall(SYS_chmod, "link", 0751), 0); /* follows */
	CHECK_EQ(of("modes").st_mode, S_IFREG | 0751);
	CHECK_EQ(syscall(SYS_fchmodat, AT_FDCWD, "modes", 04640), 0);
	CHECK_EQ(of("modes").st_mode, S_IFREG | 04640);
	fd = open("modes", O_RDONLY);
	CHECK_EQ(syscall(SYS_fchmod, fd, 0600), 0);
	CHECK_EQ(syscall(SYS_fstat, fd, &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0600);
	close(fd);
	CHECK_ERRNO(syscall(SYS_fchmodat, AT_FDCWD, "none", 0600), ENOENT);
	CHECK_ERRNO(syscall(SYS_fchmodat, 99, "modes", 0600), EBADF);
	CHECK_ERRNO(syscall(SYS_fchmod, 99, 0600), EBADF);
	if (syscall(SYS_fchmodat2, AT_FDCWD, "modes", 0604, 0) == 0) { /* Linux 6.6 */
		CHECK_EQ(of("modes").st_mode, S_IFREG | 0604);
		CHECK_ERRNO(syscall(SYS_fchmodat2, AT_FDCWD, "modes", 0600, 0x7000000), EINVAL);
		CHECK_ERRNO(syscall(SYS_fchmodat2, AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW),
			    EOPNOTSUPP);
	} else {
		CHECK_EQ(errno, ENOSYS);
	}
	CHECK_EQ(syscall(SYS_faccessat, AT_FDCWD, "modes", R_OK), 0);
	CHECK_ERRNO(syscall(SYS_faccessat, AT_FDCWD, "none", F_OK), ENOENT);
	CHECK_ERRNO(syscall(SYS_faccessat, AT_FDCWD, "modes", 64), EINVAL);
	unlink("link");
}

static void owners(void)
{
	int fd;

	if (geteuid())
		return;
	make("owned");
	CHECK_EQ(symlink("owned", "alias"), 0);
	CHECK_EQ(chmod("owned", 06755), 0);
	fd = open("owned", O_RDONLY);
	CHECK_EQ(syscall(SYS_fchown, fd, 12, 34), 0);
	CHECK_EQ(of("owned").st_uid, 12);
	CHECK_EQ(of("owned").st_gid, 34);
	CHECK_EQ(of("owned").st_mode & 07777, 0755); /* a new owner, so no set-id bits */
	CHECK_EQ(syscall(SYS_fchownat, AT_FDCWD, "alias", -1, 56, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_EQ(of("alias").st_uid, 0);
	CHECK_EQ(of("alias").st_gid, 56);
	CHECK_EQ(of("owned").st_gid, 34);
	CHECK_EQ(syscall(SYS_lchown, "alias", 78, -1), 0);
	CHECK_EQ(of("alias").st_uid, 78);
	CHECK_EQ(of("owned").st_uid, 12);
	CHECK_EQ(syscall(SYS_chown, "alias", 1, 2), 0);
	CHECK_EQ(of("owned").st_uid, 1);
	CHECK_EQ(syscall(SYS_fchownat, fd, "", 3, 4, AT_EMPTY_PATH), 0);
	CHECK_EQ(of("owned").st_gid, 4);
	CHECK_ERRNO(syscall(SYS_fchownat, AT_FDCWD, "owned", 1, 1, 0x100000), EINVAL);
	CHECK_ERRNO(syscall(SYS_fchown, 99, 1, 1), EBADF);
	close(fd);
	unlink("alias");
}

static void check_times(const char *path, long atime, long mtime, long mtime_ns)
{
	struct stat st = of(path);

	CHECK_EQ(st.st_atim.tv_sec, atime);
	CHECK_EQ(st.st_mtim.tv_sec, mtime);
	CHECK_EQ(st.st_mtim.tv_nsec, mtime_ns);
}

static void times_of_files(void)
{
	struct timeval tv[2] = {{1000, 0}, {2000, 250000}}, bad[2] = {{1, 0}, {1, 1000000}};
	struct timespec ts[2] = {{3000, 0}, {0, UTIME_OMIT}};
	struct utimbuf u = {4000, 5000};
	time_t now;
	int fd;

	make("timed");
	CHECK_EQ(syscall(SYS_utimes, "timed", tv), 0);
	check_times("timed", 1000, 2000, 250000000);
	CHECK_ERRNO(syscall(SYS_utimes, "timed", bad), EINVAL);
	CHECK_EQ(syscall(SYS_utime, "timed", &u), 0);
	check_times("timed", 4000, 5000, 0);
	CHECK_EQ(syscall(SYS_utimensat, AT_FDCWD, "timed", ts, 0), 0);
	check_times("timed", 3000, 5000, 0);
	CHECK_EQ(syscall(SYS_futimesat, AT_FDCWD, "timed", tv), 0);
	check_times("timed", 1000, 2000, 250000000);
	fd = open("timed", O_RDONLY);
	tv[0].tv_sec = 9;
	CHECK_EQ(syscall(SYS_futimesat, fd, NULL, tv), 0);
	check_times("timed", 9, 2000, 250000000);
	close(fd);
	CHECK_ERRNO(syscall(SYS_utime, "none", &u), ENOENT);
	CHECK_ERRNO(syscall(SYS_utimes, "none", tv), ENOENT);
	now = time(NULL);
	CHECK_EQ(syscall(SYS_utime, "timed", NULL), 0);
	CHECK(of("timed").st_mtime >= now - 1 && of("timed").st_mtime <= now + 5);
}

/* The three spellings of each call: by name, by name of a link itself, by descriptor. */
static void by_name(void)
{
	char buf[64], *names = buf;
	long size;

	make("named");
	CHECK_EQ(syscall(SYS_setxattr, "named", "user.one", "first", 5, XATTR_CREATE), 0);
	CHECK_ERRNO(syscall(SYS_setxattr, "named", "user.one", "x", 1, XATTR_CREATE), EEXIST);
	CHECK_ERRNO(syscall(SYS_setxattr, "named", "user.two", "x", 1, XATTR_REPLACE), ENODATA);
	CHECK_ERRNO(syscall(SYS_setxattr, "named", "user.two", "x", 1, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_setxattr, "named", "nospace.x", "x", 1, 0), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_setxattr, "named", "", "x", 1, 0), ERANGE);
	CHECK_EQ(syscall(SYS_setxattr, "named", "user.empty", NULL, 0, 0), 0);
	CHECK_EQ(syscall(SYS_getxattr, "named", "user.one", NULL, 0), 5);
	CHECK_EQ(syscall(SYS_getxattr, "named", "user.one", buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "first", 5));
	CHECK_EQ(syscall(SYS_getxattr, "named", "user.empty", buf, sizeof(buf)), 0);
	CHECK_ERRNO(syscall(SYS_getxattr, "named", "user.one", buf, 4), ERANGE);
	CHECK_ERRNO(syscall(SYS_getxattr, "named", "user.none", buf, 4), ENODATA);
	size = syscall(SYS_listxattr, "named", NULL, 0);
	CHECK_EQ(size, sizeof("user.one") + sizeof("user.empty"));
	CHECK_EQ(syscall(SYS_listxattr, "named", names, sizeof(buf)), size);
	CHECK(!strcmp(names, "user.one") || !strcmp(names, "user.empty"));
	CHECK_ERRNO(syscall(SYS_listxattr, "named", names, 3), ERANGE);
	CHECK_EQ(syscall(SYS_removexattr, "named", "user.empty"), 0);
	CHECK_ERRNO(syscall(SYS_removexattr, "named", "user.empty"), ENODATA);
	CHECK_EQ(syscall(SYS_setxattr, "named", "user.one", "again", 5, XATTR_REPLACE), 0);
}

static void by_link(void)
{
	char buf[64];

	make("target");
	CHECK_EQ(symlink("target", "to"), 0);
	CHECK_EQ(syscall(SYS_setxattr, "to", "user.x", "through", 7, 0), 0);
	CHECK_EQ(syscall(SYS_getxattr, "target", "user.x", buf, sizeof(buf)), 7);
	/* Links have no attributes of the user's. */
	CHECK_ERRNO(syscall(SYS_lsetxattr, "to", "user.x", "y", 1, 0), EPERM);
	CHECK_EQ(syscall(SYS_llistxattr, "to", buf, sizeof(buf)), 0);
	CHECK_EQ(syscall(SYS_lsetxattr, "target", "user.y", "y", 1, 0), 0);
	CHECK_EQ(syscall(SYS_lgetxattr, "target", "user.y", buf, sizeof(buf)), 1);
	CHECK_EQ(syscall(SYS_lremovexattr, "target", "user.y"), 0);
	CHECK_ERRNO(syscall(SYS_lgetxattr, "target", "user.y", buf, sizeof(buf)), ENODATA);
	unlink("to");
}

static void by_descriptor(void)
{
	char buf[64];
	int fd;

	make("open");
	fd = open("open", O_RDWR);
	CHECK_EQ(syscall(SYS_fsetxattr, fd, "user.fd", "value", 5, 0), 0);
	CHECK_EQ(syscall(SYS_fgetxattr, fd, "user.fd", buf, sizeof(buf)), 5);
	CHECK_EQ(syscall(SYS_flistxattr, fd, buf, sizeof(buf)), sizeof("user.fd"));
	CHECK(!strcmp(buf, "user.fd"));
	CHECK_EQ(syscall(SYS_fremovexattr, fd, "user.fd"), 0);
	CHECK_ERRNO(syscall(SYS_fgetxattr, fd, "user.fd", buf, sizeof(buf)), ENODATA);
	CHECK_ERRNO(syscall(SYS_fgetxattr, 99, "user.fd", buf, sizeof(buf)), EBADF);
	close(fd);
}

/* What a kernel says of the file system that holds them. */
static void statistics(void)
{
	struct statfs by_path, by_fd;
	int fd;

	make("counted");
	fd = open("counted", O_RDONLY);
	CHECK_EQ(syscall(SYS_statfs, "counted", &by_path), 0);
	CHECK_EQ(syscall(SYS_fstatfs, fd, &by_fd), 0);
	CHECK_EQ(by_path.f_type, by_fd.f_type);
	CHECK_EQ(by_path.f_namelen, 255);
	CHECK(by_fd.f_blocks >= by_fd.f_bfree && by_fd.f_bfree >= by_fd.f_bavail);
	CHECK(by_fd.f_bsize >= 512);
	CHECK_ERRNO(syscall(SYS_fstatfs, 99, &by_fd), EBADF);
	close(fd);
}

static void in_folder(const char *folder)
{
	enter_fresh_folder(folder);
	modes();
	owners();
	times_of_files();
	by_name();
	by_link();
	by_descriptor();
	statistics();
}

static void sealed(void)
{
	in_folder(access("/root", W_OK) ? "." : "/root");
}

static void in_memory(void)
{
	in_folder("/tmp");
}

CHECK_MAIN(sealed, in_memory)
