// SPDX-License-Identifier: Apache-2.0
/*
 * Anchors as a local file and as a command. Both check what they are told by a MAC before they believe
 * any of it; a reply that does not fit is an error of the anchor, never "nothing known".
 */
#define _GNU_SOURCE
#include "host/lib/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/lib/bs_host.h"
#include "lib/base/hex.h"
#include "lib/base/le.h"
#include "lib/base/string.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"

extern char **environ;

/* ---- file ------------------------------------------------------------------------------------ */

static int file_get(void *arg, const u8 id[32], struct secvol_anchored *ret)
{
	const struct anchor_file *f = arg;
	int fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	u8 bytes[SECVOL_ANCHOR_BYTES + 1];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, bytes, sizeof(bytes));
	close(fd);
	if (n < 0)
		return -EIO;
	return n == SECVOL_ANCHOR_BYTES ? secvol_anchor_decode(f->key, id, bytes, ret) : -EBADMSG;
}

static int sync_folder_of(const char *path)
{
	char folder[4000];
	char *slash;
	int fd, err;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = 0;
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

/* Beside the old one, then over it: a crash leaves one or the other. */
static int replace(const char *path, const u8 *bytes, size_t size)
{
	char temp[4096];
	int fd, err;

	snprintf(temp, sizeof(temp), "%s.new", path);
	if (unlink(temp) && errno != ENOENT)
		return -errno;
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = bs_host_pwrite(fd, bytes, size, 0);
	if (!err && fsync(fd))
		err = -errno;
	close(fd);
	if (!err && rename(temp, path))
		err = -errno;
	if (err) {
		unlink(temp);
		return err;
	}
	return sync_folder_of(path);
}

static int file_put(void *arg, const u8 id[32], const struct secvol_state *expected,
		    const struct secvol_anchored *to)
{
	const struct anchor_file *f = arg;
	struct secvol_anchored now = {0};
	u8 bytes[SECVOL_ANCHOR_BYTES];
	char lock[4096];
	int fd, err;

	snprintf(lock, sizeof(lock), "%s.lock", f->path);
	fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = bs_host_lock(fd, true);
	if (!err) {
		err = file_get(arg, id, &now);
		err = err == -ENOENT ? 0 : err;
	}
	if (!err && !secvol_state_equal(&now.current, expected))
		err = -ESTALE;
	if (!err) {
		secvol_anchor_encode(f->key, id, to, bytes);
		err = replace(f->path, bytes, sizeof(bytes));
	}
	close(fd);
	return err;
}

int anchor_file_init(struct anchor_file *f, const char *path, const u8 key[32],
		     enum secvol_anchor_policy policy, struct secvol_anchor *ret)
{
	if (strlen(path) >= sizeof(f->path))
		return -ENAMETOOLONG;
	memcpy(f->path, path, strlen(path) + 1);
	memcpy(f->key, key, 32);
	*ret = (struct secvol_anchor){.policy = policy, .arg = f, .get = file_get, .put = file_put};
	return 0;
}

/* ---- command --------------------------------------------------------------------------------- */

#define REPLY_BYTES (SECVOL_ANCHOR_BYTES + 32u)
#define REPLY_HEX   (2 * REPLY_BYTES)

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
static int ask(const struct anchor_command *c, char *const argv[], char *text, size_t size,
	       size_t *ret_len)
{
	posix_spawn_file_actions_t actions;
	s64 end = now_ms() + (c->timeout_ms ? c->timeout_ms : 30000);
	int pipes[2], err, status;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	err = -posix_spawn(&pid, c->command, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
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

static int check_reply(const struct anchor_command *c, const u8 id[32], const u8 nonce[32],
		       const char *text, size_t len, struct secvol_anchored *ret)
{
	struct hmac_sha256 m;
	u8 bytes[REPLY_BYTES], mac[32];

	if (len == REPLY_HEX + 1 && text[REPLY_HEX] == '\n')
		len--;
	if (len != REPLY_HEX || hex_decode(bytes, REPLY_BYTES, text, len))
		return -EPROTO;
	hmac_sha256_init(&m, c->key, 32);
	hmac_sha256_update(&m, "secvol1/anchor", 14);
	hmac_sha256_update(&m, nonce, 32);
	hmac_sha256_update(&m, bytes, SECVOL_ANCHOR_BYTES);
	hmac_sha256_final(&m, mac);
	if (!crypto_equal(mac, bytes + SECVOL_ANCHOR_BYTES, 32))
		return -EBADMSG;
	return secvol_anchor_decode(c->key, id, bytes, ret);
}

static int call(const struct anchor_command *c, const char *what, const u8 id[32],
		const struct secvol_state *expected, const struct secvol_anchored *to,
		struct secvol_anchored *ret)
{
	char id_hex[65] = "", nonce_hex[65] = "", expected_hex[97] = "";
	char record_hex[2 * SECVOL_ANCHOR_BYTES + 1] = "", text[REPLY_HEX + 2];
	char *argv[] = {(char *)c->command, (char *)what, id_hex, nonce_hex, NULL, NULL, NULL};
	u8 nonce[32], state[48], record[SECVOL_ANCHOR_BYTES];
	size_t len = 0;
	int status;

	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		return -EIO;
	hex_encode(id_hex, id, 32);
	hex_encode(nonce_hex, nonce, 32);
	if (to) {
		le64 gen = le64_put(expected->gen), seq = le64_put(expected->seq);

		memcpy(state, &gen, 8);
		memcpy(state + 8, &seq, 8);
		memcpy(state + 16, expected->sha256, 32);
		hex_encode(expected_hex, state, sizeof(state));
		secvol_anchor_encode(c->key, id, to, record);
		hex_encode(record_hex, record, sizeof(record));
		argv[4] = expected_hex;
		argv[5] = record_hex;
	}
	status = ask(c, argv, text, sizeof(text), &len);
	if (status < 0) /* a program that is not there is not an anchor that knows nothing */
		return status == -ENOMEM ? status : -EIO;
	if (status == 2 && !to)
		return -ENOENT;
	if (status == 3 && to)
		return -ESTALE;
	return status ? -EIO : check_reply(c, id, nonce, text, len, ret);
}

static int command_get(void *arg, const u8 id[32], struct secvol_anchored *ret)
{
	return call(arg, "get", id, NULL, NULL, ret);
}

static int command_put(void *arg, const u8 id[32], const struct secvol_state *expected,
		       const struct secvol_anchored *to)
{
	struct secvol_anchored now;
	int err = call(arg, "put", id, expected, to, &now);

	/* It must say that it holds what it was given. */
	if (!err && (!secvol_state_equal(&now.current, &to->current) ||
		     !secvol_state_equal(&now.next, &to->next)))
		err = -EPROTO;
	return err;
}

void anchor_command_init(struct anchor_command *c, const char *command, const u8 key[32],
			 enum secvol_anchor_policy policy, struct secvol_anchor *ret)
{
	c->command = command;
	c->timeout_ms = 0;
	memcpy(c->key, key, 32);
	*ret = (struct secvol_anchor){
		.policy = policy, .arg = c, .get = command_get, .put = command_put};
}
