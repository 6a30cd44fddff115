/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes tell each other: pipes, sockets, eventfds, epoll, and fork. The other side is a
 * process of its own, this program started again with posix_spawn(), descriptors 3 and 4 its way in
 * and out. The same binary runs natively and inside the enclave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "timing.h"

enum { BLOCK = 65536, BLOCKS = 2000, ROUND_TRIPS = 500 };

static char block[BLOCK], self[256];
static int in_fd, out_fd, epoll_fd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- the other side --- */

static int serve(const char *how)
{
	size_t size = strcmp(how, "echo8") == 0 ? 8 : 1;

	if (strcmp(how, "write") == 0) {
		for (int i = 0; i < BLOCKS; i++)
			for (size_t done = 0; done < BLOCK;) {
				ssize_t n = write(4, block, BLOCK - done);

				if (n <= 0)
					return 1;
				done += (size_t)n;
			}
		return 0;
	}
	while (read(3, block, size) == (ssize_t)size)
		if (write(4, block, size) != (ssize_t)size)
			return 1;
	return 0;
}

/* Its descriptors 3 and 4; ours are closed on exec. */
static pid_t start(const char *how, int child_in, int child_out)
{
	char *args[] = {self, (char *)how, NULL}, *environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	int in = fcntl(child_in, F_DUPFD, 20), out = fcntl(child_out, F_DUPFD, 20);
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 3);
	posix_spawn_file_actions_adddup2(&actions, out, 4);
	posix_spawn_file_actions_addclose(&actions, in);
	posix_spawn_file_actions_addclose(&actions, out);
	if (posix_spawn(&pid, self, &actions, NULL, args, environment))
		die("posix_spawn");
	posix_spawn_file_actions_destroy(&actions);
	close(in);
	close(out);
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		die("the other side failed");
}

/* --- this side --- */

static void round_trip(void)
{
	char c = 'x';

	if (write(out_fd, &c, 1) != 1 || read(in_fd, &c, 1) != 1)
		die("round trip");
}

static void eventfd_round_trip(void)
{
	uint64_t v = 1;

	if (write(out_fd, &v, 8) != 8 || read(in_fd, &v, 8) != 8)
		die("eventfd round trip");
}

static void throughput(const char *name, int fd, pid_t pid)
{
	double begin = now_ns();
	size_t total = 0;
	ssize_t n;

	while ((n = read(fd, block, BLOCK)) > 0)
		total += (size_t)n;
	if (total != (size_t)BLOCK * BLOCKS)
		die(name);
	printf("%s %.0f MB/s\n", name, (double)total * 1e3 / (now_ns() - begin));
	fflush(stdout);
	reap(pid);
}

static void measure_pipes(void)
{
	int to[2], from[2];
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		die("pipe");
	pid = start("echo", to[0], from[1]);
	close(to[0]);
	close(from[1]);
	in_fd = from[0];
	out_fd = to[1];
	measure("pipe_round_trip", round_trip, ROUND_TRIPS);
	close(to[1]);
	reap(pid);
	close(from[0]);
	if (pipe2(from, O_CLOEXEC))
		die("pipe");
	pid = start("write", from[0], from[1]);
	close(from[1]);
	/* The other side holds the reading end too: it ends, and then all is read. */
	throughput("pipe_throughput", from[0], pid);
	close(from[0]);
}

static void measure_sockets(void)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	pid = start("echo", pair[1], pair[1]);
	close(pair[1]);
	in_fd = out_fd = pair[0];
	measure("unix_round_trip", round_trip, ROUND_TRIPS);
	close(pair[0]);
	reap(pid);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	pid = start("write", pair[1], pair[1]);
	close(pair[1]);
	throughput("unix_throughput", pair[0], pid);
	close(pair[0]);
}

static void measure_eventfd(void)
{
	pid_t pid;

	out_fd = eventfd(0, EFD_CLOEXEC);
	in_fd = eventfd(0, EFD_CLOEXEC);
	if (out_fd < 0 || in_fd < 0)
		die("eventfd");
	pid = start("echo8", out_fd, in_fd);
	measure("eventfd_round_trip", eventfd_round_trip, ROUND_TRIPS);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void op_epoll(void)
{
	struct epoll_event e[4];

	if (epoll_wait(epoll_fd, e, 4, -1) != 1)
		die("epoll_wait");
}

static void measure_epoll(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < 64; i++) {
		struct epoll_event e = {.events = EPOLLIN};
		int fd = eventfd(i == 40, EFD_CLOEXEC);

		if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e))
			die("epoll_ctl");
	}
	measure("epoll_wait_1_of_64", op_epoll, 20000);
}

static void op_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		die("fork");
	reap(pid);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return serve(argv[1]);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("/proc/self/exe");
	measure_pipes();
	measure_sockets();
	measure_eventfd();
	measure_epoll();
	measure("fork_exit_wait", op_fork, 50);
	return 0;
}
