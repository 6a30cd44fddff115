/* SPDX-License-Identifier: Apache-2.0 */
/* inotify: what is told of names and files, in which order, and of whom no more. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct {
	const char *name;
	unsigned int bit;
} bits[] = {
	{"access", IN_ACCESS},
	{"modify", IN_MODIFY},
	{"attrib", IN_ATTRIB},
	{"close_write", IN_CLOSE_WRITE},
	{"close", IN_CLOSE_NOWRITE},
	{"open", IN_OPEN},
	{"from", IN_MOVED_FROM},
	{"to", IN_MOVED_TO},
	{"create", IN_CREATE},
	{"delete", IN_DELETE},
	{"delete_self", IN_DELETE_SELF},
	{"move_self", IN_MOVE_SELF},
	{"ignored", IN_IGNORED},
	{"overflow", IN_Q_OVERFLOW},
	{"dir", IN_ISDIR},
};

/* What waits to be read: "wd:event[+dir] name; ..." */
static const char *events(int fd)
{
	static char text[8192], buf[8192] __attribute__((aligned(8)));
	size_t len = 0;
	ssize_t n;

	text[0] = '\0';
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (void *)at;
			const char *plus = "";

			len += snprintf(text + len, sizeof(text) - len, "%s%d:", len ? "; " : "",
					e->wd);
			for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
				if (!(e->mask & bits[i].bit))
					continue;
				len += snprintf(text + len, sizeof(text) - len, "%s%s", plus,
						bits[i].name);
				plus = "+";
			}
			if (e->len)
				len += snprintf(text + len, sizeof(text) - len, " %s", e->name);
			CHECK(e->len % sizeof(*e) == 0 &&
			      (e->len == 0 || e->name[e->len - 1] == '\0'));
			at += sizeof(*e) + e->len;
		}
	}
	CHECK(n == -1 && errno == EAGAIN);
	return text;
}

#define EXPECT(fd, expected)                                                                       \
	do {                                                                                       \
		const char *_seen = events(fd);                                                    \
		if (strcmp(_seen, expected) != 0) {                                                \
			printf("%s:%d: '%s', not '%s'\n", __FILE__, __LINE__, _seen, expected);    \
			check_failures++;                                                          \
		}                                                                                  \
	} while (0)

static void make(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	CHECK(fd >= 0);
	close(fd);
}

static void names_in_a_folder(void)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), wd;

	REQUIRE(fd >= 0);
	enter_fresh_folder("/tmp");
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	wd = inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_MOVE);
	CHECK_EQ(wd, 1);
	CHECK_ERRNO(read(fd, &wd, sizeof(wd)), EAGAIN);
	make("a");
	CHECK(mkdir("d", 0755) == 0 && symlink("a", "s") == 0 && link("a", "b") == 0);
	CHECK(mkfifo("f", 0644) == 0);
	EXPECT(fd, "1:create a; 1:create+dir d; 1:create s; 1:create b; 1:create f");
	CHECK(rename("a", "c") == 0 && rename("c", "d/c") == 0 && rename("d/c", "c") == 0);
	EXPECT(fd, "1:from a; 1:to c; 1:from c; 1:to c");
	CHECK(unlink("c") == 0 && unlink("b") == 0 && unlink("s") == 0 && unlink("f") == 0);
	CHECK(rmdir("d") == 0);
	EXPECT(fd, "1:delete c; 1:delete b; 1:delete s; 1:delete f; 1:delete+dir d");
	CHECK_EQ(unlink("none"), -1);
	EXPECT(fd, "");
	close(fd);
}

static void cookies(void)
{
	char buf[256] __attribute__((aligned(8)));
	const struct inotify_event *from = (void *)buf, *to;
	int fd = inotify_init1(IN_NONBLOCK);

	make("old");
	CHECK_EQ(inotify_add_watch(fd, ".", IN_MOVE), 1);
	CHECK_EQ(rename("old", "new"), 0);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 64);
	to = (void *)(buf + 32);
	CHECK(from->cookie && from->cookie == to->cookie);
	CHECK(strcmp(from->name, "old") == 0 && strcmp(to->name, "new") == 0);
	CHECK_EQ(rename("new", "old"), 0);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 64);
	CHECK(from->cookie == to->cookie);
	close(fd);
}

static void what_is_done_to_a_file(void)
{
	int fd = inotify_init1(IN_NONBLOCK), file;
	char buf[8];

	make("file");
	CHECK_EQ(inotify_add_watch(fd, "file", IN_ALL_EVENTS), 1);
	file = open("file", O_RDWR);
	CHECK_EQ(write(file, "text", 4), 4);
	CHECK_EQ(write(file, "more", 4), 4); /* the same again is said once */
	CHECK_EQ(pread(file, buf, 4, 0), 4);
	EXPECT(fd, "1:open; 1:modify; 1:access");
	CHECK(fchmod(file, 0600) == 0 && ftruncate(file, 1) == 0);
	EXPECT(fd, "1:attrib; 1:modify");
	close(file);
	EXPECT(fd, "1:close_write");
	close(open("file", O_RDONLY));
	EXPECT(fd, "1:open; 1:close");
	CHECK_EQ(inotify_add_watch(fd, "file", IN_ALL_EVENTS & ~IN_OPEN), 1);
	close(open("file",
		   O_WRONLY | O_TRUNC)); /* Linux 6.1 says that it is open last, 6.18 first */
	EXPECT(fd, "1:modify; 1:close_write");
	file = open("file", O_PATH);
	close(file);
	CHECK(chown("file", getuid(), getgid()) == 0 && truncate("file", 10) == 0);
	CHECK_EQ(link("file", "file2"), 0);
	EXPECT(fd, "1:attrib; 1:modify; 1:attrib");
	CHECK_EQ(utimensat(AT_FDCWD, "file", NULL, 0), 0);
	CHECK_EQ(utimensat(AT_FDCWD, "file", (struct timespec[]){{1, 0}, {0, UTIME_OMIT}}, 0), 0);
	CHECK_EQ(utimensat(AT_FDCWD, "file", (struct timespec[]){{0, UTIME_OMIT}, {1, 0}}, 0), 0);
	EXPECT(fd, "1:attrib; 1:access; 1:modify");
	CHECK_EQ(unlink("file2"), 0);
	CHECK_EQ(rename("file", "elsewhere"), 0);
	EXPECT(fd, "1:attrib; 1:move_self");
	make("other");
	CHECK_EQ(rename("other", "elsewhere"), 0);
	EXPECT(fd, "1:attrib; 1:delete_self; 1:ignored");
	CHECK_ERRNO(inotify_rm_watch(fd, 1), EINVAL);
	close(fd);
}

/* The folder hears of its files, with their names. */
static void files_of_a_folder(void)
{
	int fd = inotify_init1(IN_NONBLOCK), file;

	enter_fresh_folder("/root"); /* on the root volume */
	CHECK_EQ(inotify_add_watch(fd, ".", IN_ALL_EVENTS), 1);
	file = open("x", O_CREAT | O_RDWR, 0644);
	CHECK_EQ(write(file, "text", 4), 4);
	CHECK_EQ(fchmod(file, 0600), 0);
	CHECK_EQ(unlink("x"), 0);
	CHECK_EQ(write(file, "text", 4), 4);
	close(file);
	EXPECT(fd, "1:create x; 1:open x; 1:modify x; 1:attrib x; 1:delete x; 1:modify x; "
		   "1:close_write x");
	CHECK_EQ(mkdir("sub", 0755), 0);
	CHECK_EQ(chmod("sub", 0700), 0);
	close(open("sub", O_RDONLY | O_DIRECTORY));
	EXPECT(fd, "1:create+dir sub; 1:attrib+dir sub; 1:open+dir sub; 1:close+dir sub");
	CHECK_EQ(inotify_add_watch(fd, ".", IN_MODIFY | IN_EXCL_UNLINK), 1);
	file = open("y", O_CREAT | O_RDWR, 0644);
	CHECK_EQ(unlink("y"), 0);
	CHECK_EQ(write(file, "text", 4), 4);
	close(file);
	EXPECT(fd, "");
	close(fd);
}

static void ends_of_watches(void)
{
	int fd = inotify_init1(IN_NONBLOCK), file;

	make("goes");
	file = open("goes", O_RDONLY);
	CHECK_EQ(inotify_add_watch(fd, "goes", IN_DELETE_SELF | IN_ATTRIB), 1);
	CHECK_EQ(unlink("goes"), 0);
	EXPECT(fd, "1:attrib"); /* it is still open */
	close(file);
	EXPECT(fd, "1:delete_self; 1:ignored");
	CHECK_EQ(mkdir("folder", 0755), 0);
	CHECK_EQ(inotify_add_watch(fd, "folder", IN_DELETE_SELF | IN_ONLYDIR), 2);
	CHECK_EQ(rmdir("folder"), 0);
	CHECK(strncmp(events(fd), "2:delete_self", 13) == 0);
	make("once");
	CHECK_EQ(inotify_add_watch(fd, "once", IN_OPEN | IN_ONESHOT), 3);
	close(open("once", O_RDONLY));
	close(open("once", O_RDONLY));
	EXPECT(fd, "3:open; 3:ignored");
	CHECK_EQ(inotify_add_watch(fd, "once", IN_OPEN), 4);
	CHECK_EQ(inotify_rm_watch(fd, 4), 0);
	EXPECT(fd, "4:ignored");
	CHECK_ERRNO(inotify_rm_watch(fd, 4), EINVAL);
	close(fd);
}

static void masks(void)
{
	int fd = inotify_init1(IN_NONBLOCK);

	make("m");
	CHECK_EQ(symlink("m", "to-m"), 0);
	CHECK_EQ(inotify_add_watch(fd, "m", IN_OPEN), 1);
	CHECK_EQ(inotify_add_watch(fd, "to-m", IN_CLOSE | IN_MASK_ADD), 1);
	close(open("m", O_RDONLY));
	EXPECT(fd, "1:open; 1:close");
	CHECK_EQ(inotify_add_watch(fd, "m", IN_ATTRIB), 1);
	close(open("m", O_RDONLY));
	EXPECT(fd, "");
	CHECK_ERRNO(inotify_add_watch(fd, "m", IN_OPEN | IN_MASK_CREATE), EEXIST);
	CHECK_EQ(inotify_add_watch(fd, "to-m", IN_OPEN | IN_DONT_FOLLOW), 2);
	CHECK_ERRNO(inotify_add_watch(fd, "m", IN_OPEN | IN_ONLYDIR), ENOTDIR);
	CHECK_ERRNO(inotify_add_watch(fd, "m", 0), EINVAL);
	CHECK_ERRNO(inotify_add_watch(fd, "m", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
	CHECK_ERRNO(inotify_add_watch(fd, "none", IN_OPEN), ENOENT);
	CHECK_ERRNO(inotify_add_watch(0, "m", IN_OPEN), EINVAL);
	CHECK_ERRNO(inotify_add_watch(-1, "m", IN_OPEN), EBADF);
	CHECK_ERRNO(inotify_add_watch(fd, (char *)8, IN_OPEN), EFAULT);
	CHECK_ERRNO(inotify_rm_watch(0, 1), EINVAL);
	CHECK_ERRNO(inotify_rm_watch(-1, 1), EBADF);
	CHECK_ERRNO(inotify_init1(1), EINVAL);
	close(fd);
}

static void *touches(void *arg)
{
	until_asleep(*(pid_t *)arg);
	make("late");
	return NULL;
}

static void waiting_and_room(void)
{
	struct pollfd p = {.events = POLLIN};
	char buf[4096] __attribute__((aligned(8)));
	int fd = inotify_init(), bytes;
	pid_t self = gettid();
	pthread_t thread;

	p.fd = fd;
	unlink("late");
	CHECK_EQ(inotify_add_watch(fd, ".", IN_CREATE), 1);
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(pthread_create(&thread, NULL, touches, &self), 0);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 32); /* waits */
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(strcmp(((struct inotify_event *)buf)->name, "late") == 0);
	make("a-name-of-more-than-sixteen-bytes");
	make("b");
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	CHECK_EQ(ioctl(fd, FIONREAD, &bytes), 0);
	CHECK_EQ(bytes, 16 + 48 + 32);
	CHECK_ERRNO(read(fd, buf, 16), EINVAL); /* no half of an event */
	CHECK_EQ(read(fd, buf, 64), 64);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 32);
	CHECK_ERRNO(write(fd, buf, 16), EBADF);
	close(fd);
}

/* Another process's doing is told; a forked child has the same set. */
static void other_processes(void)
{
	int fd = inotify_init1(IN_NONBLOCK), status;
	pid_t pid;

	CHECK_EQ(inotify_add_watch(fd, ".", IN_CREATE), 1);
	pid = fork();
	if (pid == 0) {
		make("of-the-child");
		CHECK_EQ(inotify_add_watch(fd, "of-the-child", IN_OPEN), 2);
		_exit(check_failures != 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(fd, "1:create of-the-child");
	close(open("of-the-child", O_RDONLY));
	EXPECT(fd, "2:open");
	close(fd);
}

/* Nobody reads: the set says once that events are lost, and goes on when it is read. */
static void too_many(void)
{
	int fd = inotify_init1(IN_NONBLOCK), count = 0, overflows = 0;
	static char buf[65536] __attribute__((aligned(8)));
	ssize_t n;

	make("p");
	make("q");
	CHECK_EQ(inotify_add_watch(fd, ".", IN_ATTRIB), 1);
	for (int i = 0; i < 20000; i++)
		CHECK_EQ(chmod(i % 2 ? "p" : "q", 0600), 0);
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (void *)at;

			count++;
			overflows += e->mask == IN_Q_OVERFLOW && e->wd == -1;
			at += sizeof(*e) + e->len;
		}
	}
	CHECK(count > 1000 && count <= 16385);
	CHECK_EQ(overflows, 1);
	CHECK_EQ(chmod("p", 0644), 0);
	EXPECT(fd, "1:attrib p");
	close(fd);
}

CHECK_MAIN(names_in_a_folder, cookies, what_is_done_to_a_file, files_of_a_folder, ends_of_watches,
	   masks, waiting_and_room, other_processes, too_many)
