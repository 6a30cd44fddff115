// SPDX-License-Identifier: Apache-2.0
/*
 * Runs an anchor's program once. It belongs to the host, as this process does: how long it takes
 * and how much it says are bounded here, what it says is checked by who asked.
 */
#define _GNU_SOURCE
#include "host/lib/anchor_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "edge/anchor.h"
#include "lib/base/hex.h"

extern char **environ;

#define REPLY_HEX (2 * ANCHOR_REPLY_SIZE)

static s64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (s64)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads to the end or the deadline; what is longer than a reply is none. */
static int read_reply(int fd, char *text, size_t size, s64 end, size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		s64 left = end - now_ms();
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || len + (size_t)n == size) {
			*ret_len = n > 0 ? size : len;
			return n < 0 ? -EIO : 0;
		}
		len += (size_t)n;
	}
}

/* Its end, and no longer than that. The exit status or a negative errno. */
static int wait_end(pid_t pid, s64 end)
{
	int status = 0;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < end)
		usleep(1000);
	if (got == 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		return -ETIMEDOUT;
	}
	return got == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

/* Starts the program with its output in a pipe; returns the exit status or a negative errno. */
static int run(const char *command, int timeout_ms, char *const argv[], char *text, size_t size,
	       size_t *ret_len)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	s64 end = now_ms() + (timeout_ms ? timeout_ms : 30000);
	int pipes[2], err, status;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	err = -posix_spawn(&pid, command, &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	close(pipes[1]);
	if (err) {
		close(pipes[0]);
		return err;
	}
	err = read_reply(pipes[0], text, size, end, ret_len);
	if (err)
		kill(pid, SIGKILL);
	close(pipes[0]); /* first: who has more to say than a reply does not wait for us for ever */
	status = wait_end(pid, end);
	return err ? err : status;
}

int anchor_ask(const char *command, int timeout_ms, const u8 *question, size_t size, u8 *reply)
{
	char id[65], nonce[65], expected[209], record[353], mac[65], text[REPLY_HEX + 2];
	bool put = size == ANCHOR_PUT_SIZE;
	char *argv[] = {(char *)command,     put ? "put" : "get", id,  nonce, put ? expected : NULL,
			put ? record : NULL, put ? mac : NULL,	  NULL};
	size_t len = 0;
	int status;

	if (!command || !command[0])
		return -ENOENT;
	hex_encode(id, question, 32);
	hex_encode(nonce, question + 32, 32);
	if (put) {
		hex_encode(expected, question + 64, 104);
		hex_encode(record, question + 168, 176);
		hex_encode(mac, question + 344, 32);
	}
	status = run(command, timeout_ms, argv, text, sizeof(text), &len);
	if (status < 0) /* a program that is not there is not an anchor that knows nothing */
		return status == -ENOMEM || status == -ETIMEDOUT ? status : -EIO;
	if (status == 3 && put)
		return -ESTALE;
	if (status)
		return -EIO;
	if (len == REPLY_HEX + 1 && text[REPLY_HEX] == '\n')
		len--;
	return hex_decode(reply, ANCHOR_REPLY_SIZE, text, len) ? -EPROTO : 0;
}
