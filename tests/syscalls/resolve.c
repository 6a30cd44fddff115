/* SPDX-License-Identifier: Apache-2.0 */
/* openat2: where a walk may not go. Up, down, through absolute links and through links of /proc. */
#include "check.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define NO_XDEV	      0x01
#define NO_MAGICLINKS 0x02
#define NO_SYMLINKS   0x04
#define BENEATH	      0x08
#define IN_ROOT	      0x10

static int open2(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = {flags, flags & O_CREAT ? 0600 : 0, resolve};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* Opens and closes; 0 or -1. */
static int try2(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	int fd = open2(dir, path, flags, resolve);

	return fd < 0 ? -1 : close(fd);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int in_tree(void)
{
	int dir;

	enter_fresh_folder("/tmp");
	REQUIRE(mkdir("a", 0700) == 0 && mkdir("a/b", 0700) == 0 && mkdir("a/tmp", 0700) == 0);
	put("outside", "o");
	put("a/f", "f");
	dir = open("a", O_RDONLY | O_DIRECTORY);
	REQUIRE(dir >= 0);
	return dir;
}

static void beneath(void)
{
	int dir = in_tree();

	CHECK_EQ(symlinkat("/tmp", dir, "absolute"), 0);
	CHECK_EQ(symlinkat("../outside", dir, "up"), 0);
	CHECK_EQ(symlinkat("b/../f", dir, "around"), 0);
	CHECK_EQ(symlinkat("../new", dir, "b/up-one"), 0);
	CHECK_EQ(symlinkat("../../new", dir, "b/up-two"), 0);
	CHECK_EQ(try2(dir, "f", 0, BENEATH), 0);
	CHECK_EQ(try2(dir, "b/../f", 0, BENEATH), 0);
	CHECK_EQ(try2(dir, "around", 0, BENEATH), 0);
	CHECK_ERRNO(try2(dir, "..", O_PATH, BENEATH), EXDEV);
	CHECK_ERRNO(try2(dir, "b/../../outside", 0, BENEATH), EXDEV);
	CHECK_ERRNO(try2(dir, "/tmp", O_PATH, BENEATH), EXDEV);
	CHECK_ERRNO(try2(dir, "absolute", O_PATH, BENEATH), EXDEV);
	CHECK_ERRNO(try2(dir, "up", 0, BENEATH), EXDEV);
	/* What is made through a link lies below the same start. */
	CHECK_EQ(try2(dir, "b/up-one", O_CREAT | O_WRONLY, BENEATH), 0);
	CHECK_EQ(faccessat(dir, "new", F_OK, 0), 0);
	CHECK_ERRNO(try2(dir, "b/up-two", O_CREAT | O_WRONLY, BENEATH), EXDEV);
	CHECK_ERRNO(access("new", F_OK), ENOENT);
	CHECK_ERRNO(try2(dir, "f", 0, BENEATH | IN_ROOT), EINVAL);
	close(dir);
}

static void in_root(void)
{
	int dir = in_tree(), fd;
	struct stat st, other;

	CHECK_EQ(symlinkat("/f", dir, "absolute"), 0);
	CHECK_EQ(symlinkat("../../../../f", dir, "b/up"), 0);
	CHECK_EQ(symlinkat("/fresh", dir, "b/fresh"), 0);
	CHECK_EQ(try2(dir, "/f", 0, IN_ROOT), 0);
	CHECK_EQ(try2(dir, "absolute", 0, IN_ROOT), 0);
	CHECK_EQ(try2(dir, "b/up", 0, IN_ROOT), 0);
	CHECK_EQ(try2(dir, "../../../f", 0, IN_ROOT), 0);
	CHECK_ERRNO(try2(dir, "/../outside", 0, IN_ROOT), ENOENT);
	fd = open2(dir, "/../..", O_PATH, IN_ROOT);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && fstat(dir, &other) == 0);
	CHECK_EQ(st.st_ino, other.st_ino);
	close(fd);
	CHECK_EQ(try2(dir, "b/fresh", O_CREAT | O_WRONLY, IN_ROOT), 0);
	CHECK_EQ(faccessat(dir, "fresh", F_OK, 0), 0);
	CHECK_ERRNO(access("/fresh", F_OK), ENOENT);
	close(dir);
}

static void other_mounts(void)
{
	int dir = in_tree(), root = open("/", O_PATH | O_DIRECTORY), proc = open("/proc", O_PATH);
	int dev = open("/dev", O_PATH), self = open("/proc/self", O_PATH), fds;
	char number[16];

	CHECK_EQ(symlinkat("/proc/self", dir, "to-proc"), 0);
	CHECK_EQ(try2(dir, "b/../f", 0, NO_XDEV), 0);
	CHECK_EQ(try2(proc, "self/status", 0, NO_XDEV), 0);
	CHECK_ERRNO(try2(root, "proc", O_PATH, NO_XDEV), EXDEV);
	CHECK_ERRNO(try2(root, "proc/version", 0, NO_XDEV), EXDEV);
	CHECK_ERRNO(try2(root, "proc", O_CREAT | O_WRONLY, NO_XDEV), EXDEV);
	CHECK_ERRNO(try2(AT_FDCWD, "/proc/version", 0, NO_XDEV), EXDEV);
	CHECK_ERRNO(try2(proc, "..", O_PATH, NO_XDEV), EXDEV);
	CHECK_ERRNO(try2(dev, "../tmp", O_PATH, NO_XDEV), EXDEV);
	CHECK_ERRNO(try2(dir, "to-proc", O_PATH, NO_XDEV), EXDEV);
	CHECK_ERRNO(try2(self, "exe", 0, NO_XDEV), EXDEV);
	CHECK_ERRNO(try2(self, "cwd/outside", 0, NO_XDEV), EXDEV);
	fds = open("/proc/self/fd", O_PATH);
	snprintf(number, sizeof(number), "%d", fds); /* leads to /proc itself */
	CHECK_EQ(try2(fds, number, O_PATH, NO_XDEV), 0);
	snprintf(number, sizeof(number), "%d", dir);
	CHECK_ERRNO(try2(fds, number, O_PATH, NO_XDEV), EXDEV);
	close(fds);
	close(self);
	close(dev);
	close(proc);
	close(root);
	close(dir);
}

static void magic_links(void)
{
	int dir = in_tree(), self = open("/proc/self", O_PATH);

	CHECK_EQ(symlinkat("f", dir, "plain"), 0);
	CHECK_EQ(try2(self, "cwd/outside", 0, 0), 0);
	CHECK_ERRNO(try2(self, "cwd/outside", 0, NO_MAGICLINKS), ELOOP);
	CHECK_ERRNO(try2(self, "cwd/outside", 0, NO_SYMLINKS), ELOOP);
	CHECK_ERRNO(try2(self, "cwd/outside", 0, BENEATH), EXDEV);
	CHECK_ERRNO(try2(self, "cwd/outside", 0, IN_ROOT), EXDEV);
	CHECK_ERRNO(try2(self, "exe", 0, BENEATH | NO_MAGICLINKS), ELOOP);
	CHECK_EQ(try2(dir, "plain", 0, NO_MAGICLINKS), 0);
	CHECK_ERRNO(try2(dir, "plain", 0, NO_SYMLINKS), ELOOP);
	CHECK_EQ(try2(dir, "plain", O_PATH | O_NOFOLLOW, NO_SYMLINKS), 0);
	close(self);
	close(dir);
}

CHECK_MAIN(beneath, in_root, other_mounts, magic_links)
