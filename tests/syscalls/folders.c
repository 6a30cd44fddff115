/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, links, renames, attributes, listing; on the sealed root and in /tmp. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>

static int touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : -1;
}

static void make_and_remove(void)
{
	struct stat st;

	CHECK_EQ(mkdir("d", 0751), 0);
	CHECK_ERRNO(mkdir("d", 0700), EEXIST);
	CHECK_ERRNO(mkdir("no/d", 0700), ENOENT);
	CHECK_EQ(stat("d", &st), 0);
	CHECK_EQ(st.st_mode, S_IFDIR | 0751);
	CHECK_EQ(st.st_nlink, 2);
	CHECK_EQ(mkdir("d/e", 0700), 0);
	CHECK_EQ(stat("d", &st), 0);
	CHECK_EQ(st.st_nlink, 3);
	CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
	CHECK_ERRNO(unlink("d"), EISDIR);
	CHECK_EQ(touch("d/f"), 0);
	CHECK_ERRNO(rmdir("d/f"), ENOTDIR);
	CHECK_ERRNO(mkdir("d/f/g", 0700), ENOTDIR);
	CHECK_EQ(unlink("d/f"), 0);
	CHECK_EQ(rmdir("d/e"), 0);
	CHECK_EQ(rmdir("d"), 0);
	CHECK_ERRNO(rmdir("d"), ENOENT);
	CHECK_ERRNO(rmdir("/"), EBUSY);
	CHECK_ERRNO(rmdir("."), EINVAL);
}

static void renames(void)
{
	struct stat st;
	int fd;

	CHECK_EQ(mkdir("a", 0700), 0);
	CHECK_EQ(mkdir("b", 0700), 0);
	CHECK_EQ(touch("a/f"), 0);
	CHECK_EQ(rename("a/f", "b/g"), 0);
	CHECK_ERRNO(stat("a/f", &st), ENOENT);
	CHECK_EQ(stat("b/g", &st), 0);
	CHECK_ERRNO(rename("a", "b"), ENOTEMPTY);
	CHECK_ERRNO(rename("b/g", "a"), EISDIR);
	CHECK_ERRNO(rename("a", "b/g"), ENOTDIR);
	CHECK_ERRNO(rename("b", "b/below"), EINVAL);
	CHECK_EQ(rename("b", "a"), 0);
	CHECK_EQ(stat("a/g", &st), 0);
	fd = open("a/h", O_CREAT | O_RDWR, 0600);
	CHECK_EQ(write(fd, "h", 1), 1);
	CHECK_EQ(rename("a/h", "a/g"), 0);
	CHECK_EQ(stat("a/g", &st), 0);
	CHECK_EQ(st.st_size, 1);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 1);
	close(fd);
	CHECK_ERRNO(rename("none", "x"), ENOENT);
	CHECK_EQ(rename("a/g", "a/g"), 0);
	CHECK_EQ(touch("a/i"), 0);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "a/g", AT_FDCWD, "a/i", 1), EEXIST);
	CHECK_EQ(unlink("a/g"), 0);
	CHECK_EQ(unlink("a/i"), 0);
	CHECK_EQ(rmdir("a"), 0);
}

static void links(void)
{
	struct stat a, b;
	char text[100];

	CHECK_EQ(touch("l"), 0);
	CHECK_EQ(link("l", "m"), 0);
	CHECK_EQ(stat("l", &a), 0);
	CHECK_EQ(stat("m", &b), 0);
	CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev && b.st_nlink == 2);
	CHECK_ERRNO(link("l", "m"), EEXIST);
	CHECK_ERRNO(link(".", "dirlink"), EPERM);
	CHECK_EQ(unlink("l"), 0);
	CHECK_EQ(stat("m", &b), 0);
	CHECK_EQ(b.st_nlink, 1);
	CHECK_EQ(symlink("m", "s"), 0);
	CHECK_EQ(readlink("s", text, sizeof(text)), 1);
	CHECK_EQ(text[0], 'm');
	CHECK_EQ(lstat("s", &a), 0);
	CHECK(S_ISLNK(a.st_mode) && a.st_size == 1);
	CHECK_EQ(stat("s", &a), 0);
	CHECK(S_ISREG(a.st_mode));
	CHECK_ERRNO(readlink("m", text, sizeof(text)), EINVAL);
	CHECK_ERRNO(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_EQ(symlink("loop2", "loop1"), 0);
	CHECK_EQ(symlink("loop1", "loop2"), 0);
	CHECK_ERRNO(open("loop1", O_RDONLY), ELOOP);
	CHECK_EQ(symlink("absent/file", "dangling"), 0);
	CHECK_ERRNO(open("dangling", O_RDONLY), ENOENT);
	CHECK_ERRNO(symlink("x", "s"), EEXIST);
	CHECK_EQ(unlink("s"), 0);
	CHECK_EQ(unlink("m"), 0);
	CHECK_EQ(unlink("loop1"), 0);
	CHECK_EQ(unlink("loop2"), 0);
	CHECK_EQ(unlink("dangling"), 0);
}

static void attributes(void)
{
	struct timespec times[2] = {{1000000001, 2}, {1000000003, 4}};
	struct stat st;
	struct statfs fs;
	unsigned char stx[256];
	mode_t old = umask(027);

	CHECK_EQ(close(open("t", O_CREAT | O_WRONLY, 0666)), 0);
	CHECK_EQ(stat("t", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0640);
	CHECK_EQ(umask(old), 027);
	CHECK_EQ(chmod("t", 04711), 0);
	CHECK_EQ(stat("t", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 04711);
	CHECK_EQ(utimensat(AT_FDCWD, "t", times, 0), 0);
	CHECK_EQ(stat("t", &st), 0);
	CHECK(st.st_atim.tv_sec == 1000000001 && st.st_mtim.tv_sec == 1000000003);
	CHECK_EQ(st.st_mtim.tv_nsec, 4);
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = UTIME_NOW;
	CHECK_EQ(utimensat(AT_FDCWD, "t", times, 0), 0);
	CHECK_EQ(stat("t", &st), 0);
	CHECK(st.st_atim.tv_sec == 1000000001 && st.st_mtim.tv_sec > 1000000003);
	CHECK_EQ(syscall(SYS_statx, AT_FDCWD, "t", 0, 0x7ff, stx), 0);
	CHECK(*(unsigned short *)(stx + 28) == st.st_mode);    /* stx_mode */
	CHECK(*(unsigned long long *)(stx + 32) == st.st_ino); /* stx_ino */
	CHECK_EQ(access("t", R_OK | W_OK), 0);
	CHECK_EQ(access("t", F_OK), 0);
	CHECK_ERRNO(access("absent", F_OK), ENOENT);
	if (geteuid() == 0) {
		CHECK_EQ(chown("t", 12, 34), 0);
		CHECK_EQ(stat("t", &st), 0);
		CHECK(st.st_uid == 12 && st.st_gid == 34);
		CHECK_EQ(st.st_mode & 04000, 0);
	}
	CHECK_EQ(statfs(".", &fs), 0);
	CHECK(fs.f_bsize > 0 && fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks &&
	      fs.f_namelen >= 255);
	CHECK_EQ(unlink("t"), 0);
}

static void listing(void)
{
	enum { COUNT = 300 };
	static char seen[COUNT];
	char name[40];
	int dots = 0, files = 0;
	struct dirent *e;
	DIR *d;

	memset(seen, 0, sizeof(seen));
	CHECK_EQ(mkdir("many", 0700), 0);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		CHECK_EQ(touch(name), 0);
	}
	d = opendir("many");
	REQUIRE(d);
	while ((e = readdir(d))) {
		int i;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) {
			dots++;
			continue;
		}
		REQUIRE(sscanf(e->d_name, "file-%d", &i) == 1 && i >= 0 && i < COUNT && !seen[i]);
		CHECK(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
		seen[i] = 1;
		files++;
		snprintf(name, sizeof(name), "many/file-%d", i); /* deleting while listing */
		CHECK_EQ(unlink(name), 0);
	}
	CHECK_EQ(dots, 2);
	CHECK_EQ(files, COUNT);
	rewinddir(d);
	files = 0;
	while ((e = readdir(d)))
		files++;
	CHECK_EQ(files, 2);
	closedir(d);
	CHECK_EQ(rmdir("many"), 0);
}

static void names_and_paths(void)
{
	char name[4200];
	struct stat st;
	char cwd[4096], inner[4096];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	CHECK_EQ(touch(name), 0);
	CHECK_EQ(unlink(name), 0);
	name[255] = 'n';
	name[256] = '\0';
	CHECK_ERRNO(open(name, O_CREAT | O_WRONLY, 0600), ENAMETOOLONG);
	name[256] = 'n';
	for (int i = 100; i < 4199; i += 100)
		name[i] = '/';
	name[4199] = '\0';
	CHECK_ERRNO(stat(name, &st), ENAMETOOLONG);
	CHECK(getcwd(cwd, sizeof(cwd)));
	CHECK_EQ(mkdir("p", 0700), 0);
	CHECK_EQ(chdir("p"), 0);
	CHECK(getcwd(inner, sizeof(inner)));
	CHECK(!strncmp(cwd, inner, strlen(cwd)) && !strcmp(inner + strlen(cwd), "/p"));
	CHECK_EQ(chdir("../p/./../p"), 0);
	CHECK_EQ(chdir(".."), 0);
	CHECK_ERRNO(chdir("none"), ENOENT);
	CHECK_EQ(touch("p/\xff\x01 odd"), 0);
	CHECK_EQ(unlink("p//\xff\x01 odd"), 0);
	CHECK_EQ(rmdir("p/"), 0);
	CHECK_EQ(touch("plain"), 0);
	CHECK_ERRNO(stat("plain/", &st), ENOTDIR);
	CHECK_ERRNO(stat("plain/..", &st), ENOTDIR);
	CHECK_EQ(unlink("plain"), 0);
}

static void at_calls(void)
{
	int dir, fd;
	struct stat st;

	CHECK_EQ(mkdir("at", 0700), 0);
	dir = open("at", O_RDONLY | O_DIRECTORY);
	REQUIRE(dir >= 0);
	fd = openat(dir, "x", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(fstatat(dir, "x", &st, 0), 0);
	CHECK_EQ(fstatat(fd, "", &st, AT_EMPTY_PATH), 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_ERRNO(fstatat(fd, "x", &st, 0), ENOTDIR);
	CHECK_ERRNO(openat(12345, "x", O_RDONLY), EBADF);
	CHECK_EQ(mkdirat(dir, "sub", 0700), 0);
	CHECK_EQ(linkat(dir, "x", dir, "sub/y", 0), 0);
	CHECK_EQ(symlinkat("y", dir, "sub/z"), 0);
	CHECK_EQ(faccessat(dir, "sub/z", R_OK, 0), 0);
	CHECK_EQ(renameat(dir, "sub/y", dir, "y"), 0);
	CHECK_EQ(unlinkat(dir, "y", 0), 0);
	CHECK_EQ(unlinkat(dir, "sub/z", 0), 0);
	CHECK_ERRNO(unlinkat(dir, "sub", 0), EISDIR);
	CHECK_EQ(unlinkat(dir, "sub", AT_REMOVEDIR), 0);
	CHECK_EQ(unlinkat(dir, "x", 0), 0);
	CHECK_EQ(fchdir(dir), 0);
	CHECK_EQ(chdir(".."), 0);
	CHECK_ERRNO(fchdir(fd), ENOTDIR);
	close(fd);
	close(dir);
	CHECK_EQ(rmdir("at"), 0);
}

/* An open folder that is no more takes no names, and a file that has lost all gets none. */
static void removed(void)
{
	char path[40];
	struct stat st;
	int dir, fd;

	CHECK_EQ(mkdir("gone", 0700), 0);
	dir = open("gone", O_RDONLY | O_DIRECTORY);
	REQUIRE(dir >= 0);
	CHECK_EQ(rmdir("gone"), 0);
	CHECK_EQ(touch("file"), 0);
	CHECK_EQ(mkdir("folder", 0700), 0);
	CHECK_ERRNO(openat(dir, "x", O_CREAT | O_RDWR, 0600), ENOENT);
	CHECK_ERRNO(renameat(AT_FDCWD, "file", dir, "x"), ENOENT);
	CHECK_ERRNO(renameat(AT_FDCWD, "folder", dir, "x"), ENOENT);
	CHECK_ERRNO(linkat(AT_FDCWD, "file", dir, "x", 0), ENOENT);
	CHECK_EQ(stat("file", &st), 0);
	CHECK_EQ(rmdir("folder"), 0);
	close(dir);

	fd = open("file", O_RDWR);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_EQ(linkat(AT_FDCWD, path, AT_FDCWD, "second", AT_SYMLINK_FOLLOW), 0);
	CHECK_EQ(unlink("file"), 0);
	CHECK_EQ(linkat(AT_FDCWD, path, AT_FDCWD, "file", AT_SYMLINK_FOLLOW), 0);
	CHECK_EQ(unlink("file") || unlink("second"), 0);
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "file", AT_SYMLINK_FOLLOW), ENOENT);
	close(fd);

	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_EQ(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
	CHECK_EQ(unlink("named"), 0);
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
	close(fd);
	fd = open(".", O_TMPFILE | O_EXCL | O_RDWR, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
	close(fd);
}

static void all(void)
{
	make_and_remove();
	renames();
	links();
	attributes();
	listing();
	names_and_paths();
	at_calls();
	removed();
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
