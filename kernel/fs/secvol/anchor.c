/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anchors inside: a small file of the host, and a program of the host that asks someone. Nothing of
 * what either says is believed before its MAC was compared; a file that is missing is "nothing
 * known", which opens no volume that exists.
 *
 * The record of the file lies in its first sector and is written over in place: what a power cut
 * leaves is the old one or the new one. Two users by mistake are kept apart by a lock on a file
 * beside it, as the host's tools take it; two that the host wants are told apart by the compare
 * before the write.
 */
#include "kernel/fs/secvol/anchor.h"

#include "abi/errno.h"
#include "abi/fs.h"
#include "edge/anchor.h"
#include "edge/hostcall_gen.h"
#include "kernel/core/kmem.h"
#include "kernel/core/random.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define LOG_TAG "secvol"
#include "kernel/core/log.h"

#define RETRIES_MAX 64u

static_assert(ANCHOR_PUT_SIZE == ANCHOR_GET_SIZE + SECVOL_ANCHOR_PUT_MORE, "one size");

struct volume_anchor {
	u8 key[32];
	const char *place;
};

/* ---- file ------------------------------------------------------------------------------------ */

static int file_get(void *arg, const u8 id[32], struct secvol_anchored *ret)
{
	const struct volume_anchor *a = arg;
	u8 bytes[SECVOL_ANCHOR_BYTES + 1];
	s64 fd = host_file_open(a->place, strlen(a->place), O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	long n;

	if (fd < 0)
		return fd == -ENOENT ? -ENOENT : -EIO;
	n = host_file_pread((s32)fd, bytes, sizeof(bytes), 0);
	(void)host_file_close((s32)fd);
	if (n < 0)
		return -EIO;
	if (n == 0) /* made, and then the power went */
		return -ENOENT;
	return n == SECVOL_ANCHOR_BYTES ? secvol_anchor_decode(a->key, id, bytes, ret) : -EBADMSG;
}

static int file_write(const char *place, const u8 *bytes, size_t size)
{
	s64 fd = host_file_open(place, strlen(place), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
				0600);
	int err = -EIO;
	u32 tries = 0;

	if (fd < 0) {
		log_always("The anchor's file %s cannot be written (error %d).", place, (int)-fd);
		return -EIO;
	}
	if (host_file_pwrite((s32)fd, bytes, size, 0) == (long)size) {
		do
			err = host_file_sync((s32)fd, 0);
		while (err == -EINTR && ++tries < RETRIES_MAX);
	}
	(void)host_file_close((s32)fd);
	return err ? -EIO : 0;
}

static s64 lock_file(const char *place)
{
	char *path = kmalloc(PATH_MAX_SIZE);
	size_t len = 0;
	s64 fd = -ENOMEM;
	int err;

	if (!path)
		return fd;
	fmt_append(path, PATH_MAX_SIZE, &len, "%s.lock", place);
	fd = host_file_open(path, len, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	kfree(path);
	if (fd < 0)
		return -EIO;
	err = host_file_lock((s32)fd, true);
	if (err == -EAGAIN || err == -EACCES) {
		(void)host_file_close((s32)fd);
		return -EBUSY;
	}
	return fd;
}

static int file_put(void *arg, const u8 id[32], const struct secvol_anchored *expected,
		    const struct secvol_anchored *to)
{
	const struct volume_anchor *a = arg;
	struct secvol_anchored now = {0};
	u8 bytes[SECVOL_ANCHOR_BYTES];
	s64 fd = lock_file(a->place);
	int err;

	if (fd < 0)
		return (int)fd;
	err = file_get(arg, id, &now);
	err = err == -ENOENT ? 0 : err;
	if (!err && !secvol_anchored_equal(&now, expected))
		err = -ESTALE;
	if (!err) {
		secvol_anchor_encode(a->key, id, to, bytes);
		err = file_write(a->place, bytes, sizeof(bytes));
	}
	(void)host_file_close((s32)fd);
	return err;
}

/* ---- command --------------------------------------------------------------------------------- */

static int ask(const struct volume_anchor *a, const u8 id[32],
	       const struct secvol_anchored *expected, const struct secvol_anchored *to,
	       struct secvol_anchored *ret)
{
	u8 question[ANCHOR_PUT_SIZE], reply[ANCHOR_REPLY_SIZE];
	size_t size = ANCHOR_GET_SIZE;
	long n;
	int err;

	memcpy(question, id, 32);
	err = random_bytes(question + 32, 32);
	if (err)
		return err;
	if (to) {
		secvol_anchor_question(a->key, id, question + 32, expected, to,
				       question + ANCHOR_GET_SIZE);
		size = ANCHOR_PUT_SIZE;
	}
	n = host_anchor_ask(question, size, reply, sizeof(reply));
	if (n == -ENOENT)
		log_always("The anchor's command is not named: set OCCLUM_ANCHOR_COMMAND.");
	if (n < 0)
		return n == -ESTALE || n == -ENOMEM ? (int)n : -EIO;
	if (n != sizeof(reply))
		return -EPROTO;
	return secvol_anchor_reply(a->key, id, question + 32, reply, to, ret);
}

static int command_get(void *arg, const u8 id[32], struct secvol_anchored *ret)
{
	return ask(arg, id, NULL, NULL, ret);
}

static int command_put(void *arg, const u8 id[32], const struct secvol_anchored *expected,
		       const struct secvol_anchored *to)
{
	struct secvol_anchored now;

	return ask(arg, id, expected, to, &now);
}

/* ---- both ------------------------------------------------------------------------------------ */

int volume_anchor_new(const struct config_anchor *c, const u8 id[32], const u8 *image_key,
		      struct secvol_anchor *ret)
{
	bool is_file = c->kind == CONFIG_ANCHOR_FILE;
	struct volume_anchor *a = kzalloc(sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	err = volume_anchor_key(c, id, image_key, a->key);
	if (err) {
		kfree(a);
		return err;
	}
	a->place = c->place;
	*ret = (struct secvol_anchor){.policy = (enum secvol_anchor_policy)c->policy,
				      .arg = a,
				      .get = is_file ? file_get : command_get,
				      .put = is_file ? file_put : command_put};
	return 0;
}

void volume_anchor_free(struct secvol_anchor *anchor)
{
	struct volume_anchor *a = anchor->arg;

	if (a)
		mem_wipe(a, sizeof(*a));
	kfree(a);
	anchor->arg = NULL;
}
