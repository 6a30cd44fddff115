// SPDX-License-Identifier: Apache-2.0
/*
 * Anchors as file and as command under real volumes: work goes on over many opens, a volume put back is
 * refused, and so is an anchor that was changed, belongs to another key, or repeats an old answer.
 */
#define _GNU_SOURCE
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/lib/anchor.h"
#include "host/lib/bs_host.h"
#include "tests/fakes/secvol_fixture.h"

static struct fixture f;
static struct secvol_anchor anchor;
static char folder[] = "/tmp/anchor-test-XXXXXX";
static const u8 key[32] = "the anchor's key, 32 bytes long";

static char *in_folder(const char *name)
{
	static char paths[4][4096];
	static u32 next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void copy_file(const char *from, const char *to)
{
	static u8 buf[1 << 20];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
}

static void store_open(bool create)
{
	assert_int_equal(bs_file_open(AT_FDCWD, in_folder("volume"), create ? BS_HOST_CREATE : 0, 0,
				      &f.params.bs),
			 0);
}

static int session(const char *text)
{
	struct secvol_attr a;
	struct secvol *v;
	u64 obj;
	int err;

	store_open(false);
	err = secvol_open(&f.params, &v, NULL);
	if (!err && secvol_lookup(v, SECVOL_ROOT_OBJ, "f", 1, &obj, NULL)) {
		assert_int_equal(
			secvol_create(v, SECVOL_ROOT_OBJ, "f", 1, 0100644, 0, 0, 0, false, &a), 0);
		obj = a.obj;
	}
	for (u32 i = 0; !err && i < 3; i++) {
		assert_int_equal(secvol_write(v, obj, i * 100, text, strlen(text)), strlen(text));
		assert_int_equal(secvol_commit(v), 0);
	}
	if (!err)
		assert_int_equal(secvol_close(v), 0);
	f.params.bs->ops->close(f.params.bs);
	return err;
}

static void begin(void)
{
	struct secvol_format_params fmt = {.size_blocks = 4096};
	int err;

	assert_int_equal(fixture_init(&f, 16), 0);
	f.params.anchor = &anchor;
	unlink(in_folder("volume"));
	store_open(true);
	err = secvol_format(&f.params, &fmt);
	assert_int_equal(err, 0);
	f.params.bs->ops->close(f.params.bs);
	/* The power went before its first root was there: nobody has used it, it is made again. */
	unlink(in_folder("volume"));
	store_open(true);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	f.params.bs->ops->close(f.params.bs);
	copy_file(in_folder("volume"), in_folder("fresh"));
}

/* Where the anchor knows a volume none is made. */
static void is_not_made_again(void)
{
	struct secvol_format_params fmt = {.size_blocks = 4096};

	copy_file(in_folder("volume"), in_folder("new"));
	unlink(in_folder("volume"));
	store_open(true);
	assert_int_equal(secvol_format(&f.params, &fmt), -ESTALE);
	f.params.bs->ops->close(f.params.bs);
	copy_file(in_folder("new"), in_folder("volume"));
}

static void end(void)
{
	f.params.bs = f.bs;
	fixture_fini(&f);
}

static void history(void)
{
	begin();
	assert_int_equal(session("first"), 0);
	is_not_made_again();
	assert_int_equal(session("second"), 0);
	copy_file(in_folder("volume"), in_folder("old"));
	assert_int_equal(session("third"), 0);
	copy_file(in_folder("volume"), in_folder("new"));
	copy_file(in_folder("old"), in_folder("volume"));
	assert_int_equal(session("on the old one"), -ESTALE);
	copy_file(in_folder("fresh"), in_folder("volume"));
	assert_int_equal(session("from the start"), -ESTALE);
	copy_file(in_folder("new"), in_folder("volume"));
	assert_int_equal(session("goes on"), 0);
}

static void a_file_holds_the_state(void **state)
{
	struct anchor_file file;

	for (u32 policy = SECVOL_ANCHOR_MOUNT; policy <= SECVOL_ANCHOR_STRICT; policy++) {
		unlink(in_folder("anchor"));
		assert_int_equal(anchor_file_init(&file, in_folder("anchor"), key, policy, &anchor),
				 0);
		history();
		/* The anchor itself put back, changed, or of another key. */
		file.key[0] ^= 1;
		assert_int_equal(session("x"), -EBADMSG);
		file.key[0] ^= 1;
		assert_int_equal(truncate(in_folder("anchor"), 100), 0);
		assert_int_equal(session("x"), -EBADMSG);
		unlink(in_folder("anchor"));
		assert_int_equal(session("x"), -ESTALE);
		anchor.may_adopt = true;
		assert_int_equal(session("x"), -ESTALE); /* put expects what is not there */
		end();
	}
}

static const char script[] =
	"#!/usr/bin/env python3\n"
	"import hashlib, hmac, os, sys\n"
	"here = os.path.dirname(os.path.abspath(__file__))\n"
	"key = b'the anchor\\'s key, 32 bytes long'.ljust(32, b'\\0')\n"
	"store, old = here + '/record', here + '/reply'\n"
	"nonce = bytes.fromhex(sys.argv[3])\n"
	"held = open(store).read() if os.path.exists(store) else ''\n"
	"if os.path.exists(here + '/replay'):\n"
	"    print(open(old).read()); sys.exit(0)\n"
	"if sys.argv[1] == 'get' and not held:\n"
	"    body = b'OCANCHR1' + bytes.fromhex(sys.argv[2]) + bytes(104)\n"
	"    held = (body + hmac.new(key, body, hashlib.sha256).digest()).hex()\n"
	"if sys.argv[1] == 'put':\n"
	"    if (held[80:176] or '0' * 96) != sys.argv[4]:\n"
	"        sys.exit(3)\n"
	"    held = sys.argv[5]\n"
	"    open(store, 'w').write(held)\n"
	"mac = hmac.new(key, b'secvol1/anchor' + nonce + bytes.fromhex(held), hashlib.sha256)\n"
	"open(old, 'w').write(held + mac.hexdigest())\n"
	"print(held + mac.hexdigest())\n";

static void a_command_holds_the_state(void **state)
{
	struct anchor_command command;
	char *path = strdup(in_folder("hook"));
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(script, file);
	fclose(file);
	assert_int_equal(chmod(path, 0700), 0);
	anchor_command_init(&command, path, key, SECVOL_ANCHOR_MOUNT, &anchor);
	history();
	close(open(in_folder("replay"), O_CREAT | O_WRONLY, 0600));
	assert_int_equal(session("x"), -EBADMSG);
	unlink(in_folder("replay"));
	command.command = "/bin/false";
	assert_int_equal(session("x"), -EIO);
	command.command = "/bin/true";
	assert_int_equal(session("x"), -EPROTO);
	command.command = "/nonexistent";
	assert_int_equal(session("x"), -EIO);
	/* One that talks without end, and one that says nothing and stays. */
	command.command = "/usr/bin/yes";
	assert_int_equal(session("x"), -EIO);
	command.command = path;
	command.timeout_ms = 200;
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("#!/bin/sh\nexec >/dev/null\nexec sleep 600\n", file);
	fclose(file);
	assert_int_equal(session("x"), -ETIMEDOUT);
	end();
	free(path);
}

static int make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"volume", "fresh",	"old",	 "new",	   "anchor",
					    "hook",   "record", "reply", "replay", "anchor.lock"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		unlink(in_folder(names[i]));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_file_holds_the_state),
					   cmocka_unit_test(a_command_holds_the_state)};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
