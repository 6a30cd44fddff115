/* SPDX-License-Identifier: Apache-2.0 */
/* System calls 359 and 360, as the patched libcs of the existing Occlum make them. */
#include "child.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

struct attr {
	short flags;
	int group;
	uint64_t default_signals[16], mask[16];
};

struct glibc_action {
	int tag, pad;
	int fd, new_fd;
	const char *path;
	int oflag;
	mode_t mode;
};

struct glibc_actions {
	int allocated, used;
	struct glibc_action *actions;
	int pad[16];
};

struct musl_action {
	struct musl_action *prev, *next;
	int cmd, fd, srcfd, oflag;
	mode_t mode;
	const char *path;
};

static int child_main(int argc, char **argv)
{
	char buf[20] = {0};
	sigset_t mask;

	if (!strcmp(argv[1], "check")) {
		sigprocmask(SIG_BLOCK, NULL, &mask);
		read(0, buf, sizeof(buf) - 1);
		printf("%s,%d,%d,%d\n", buf, getpgrp() == getpid(), sigismember(&mask, SIGUSR2),
		       fcntl(9, F_GETFD));
		return 3;
	}
	return 99;
}

static void expect_output(int fd, const char *text)
{
	char buf[100] = {0};

	read(fd, buf, sizeof(buf) - 1);
	CHECK(!strcmp(buf, text));
}

static void both(void)
{
	char *args[] = {"x", "check", NULL}, *env[] = {NULL};
	struct attr attr = {.flags = 0x2 | 0x8, .mask = {1ull << (SIGUSR2 - 1)}};
	int out[2], file = open("/tmp/spawn-input", O_CREAT | O_RDWR | O_TRUNC, 0600);
	unsigned pid = 0;
	struct utsname name;

	/* Natively these numbers mean nothing. */
	if (uname(&name) || !strstr(name.version, "Occlum"))
		return;
	write(file, "words", 5);
	close(file);
	REQUIRE(!pipe2(out, O_CLOEXEC));
	dup2(out[0], 9);
	{
		struct glibc_action list[] = {
			{.tag = 2, .fd = 0, .path = "/tmp/spawn-input", .oflag = O_RDONLY},
			{.tag = 1, .fd = out[1], .new_fd = 1},
			{.tag = 0, .fd = 9},
			{.tag = 0, .fd = 77},
		};
		struct glibc_actions actions = {4, 4, list};

		CHECK_EQ(syscall(359, &pid, self, args, env, &actions, &attr), 0);
		CHECK_EQ(exit_of(pid), 3);
		expect_output(out[0], "words,1,1,-1\n");
		list[1].fd = 78;
		CHECK_ERRNO(syscall(359, &pid, self, args, env, &actions, &attr), EBADF);
		list[1].tag = 9;
		CHECK_ERRNO(syscall(359, &pid, self, args, env, &actions, &attr), EINVAL);
		actions.used = -1;
		CHECK_ERRNO(syscall(359, &pid, self, args, env, &actions, &attr), EINVAL);
	}
	{
		struct musl_action last = {.cmd = 3, .fd = 0, .path = "/tmp/spawn-input"},
				   first = {.next = &last, .cmd = 2, .srcfd = out[1], .fd = 1};

		CHECK_EQ(syscall(360, &pid, self, args, env, &first, NULL), 0);
		CHECK_EQ(exit_of(pid), 3);
		expect_output(out[0], "words,0,0,0\n");
		last.next = &first; /* a circle */
		CHECK_ERRNO(syscall(360, &pid, self, args, env, &first, NULL), EINVAL);
		CHECK_ERRNO(syscall(360, &pid, self, args, env, (void *)8, NULL), EFAULT);
	}
	CHECK_ERRNO(syscall(360, &pid, "/no/such/file", args, env, NULL, NULL), ENOENT);
	CHECK_ERRNO(syscall(359, &pid, self, args, env, NULL, (void *)8), EFAULT);
	CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
	CHECK_ERRNO(syscall(361), ENOSYS);
	unlink("/tmp/spawn-input");
}

CHILD_MAIN(both)
