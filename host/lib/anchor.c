// SPDX-License-Identifier: Apache-2.0
/*
 * Anchors as a local file and as a command. Both check what they are told by a MAC before they
 * believe any of it; a reply that does not fit is an error of the anchor, never "nothing known".
 */
#define _GNU_SOURCE
#include "host/lib/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/anchor.h"
#include "host/lib/anchor_ask.h"
#include "host/lib/bs_host.h"
#include "lib/base/le.h"
#include "lib/base/string.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"

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

static int file_put(void *arg, const u8 id[32], const struct secvol_anchored *expected,
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
	if (!err && !secvol_anchored_equal(&now, expected))
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

static int call(const struct anchor_command *c, const u8 id[32],
		const struct secvol_anchored *expected, const struct secvol_anchored *to,
		struct secvol_anchored *ret)
{
	u8 question[ANCHOR_PUT_SIZE], reply[ANCHOR_REPLY_SIZE];
	size_t size = ANCHOR_GET_SIZE;
	int err;

	memcpy(question, id, 32);
	if (getrandom(question + 32, 32, 0) != 32)
		return -EIO;
	if (to) {
		secvol_anchor_question(c->key, id, question + 32, expected, to,
				       question + ANCHOR_GET_SIZE);
		size = ANCHOR_PUT_SIZE;
	}
	err = anchor_ask(c->command, c->timeout_ms, question, size, reply);
	return err ? err : secvol_anchor_reply(c->key, id, question + 32, reply, to, ret);
}

static int command_get(void *arg, const u8 id[32], struct secvol_anchored *ret)
{
	return call(arg, id, NULL, NULL, ret);
}

static int command_put(void *arg, const u8 id[32], const struct secvol_anchored *expected,
		       const struct secvol_anchored *to)
{
	struct secvol_anchored now;

	return call(arg, id, expected, to, &now);
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
