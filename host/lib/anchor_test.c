// SPDX-License-Identifier: Apache-2.0
/*
 * Anchors as file and as command under real volumes: work goes on over many opens, a volume put
 * back is refused, and so is an anchor that was changed, belongs to another key, or repeats an old
 * answer.
 */
#define _GNU_SOURCE
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
		anchor.may_adopt = true; /* its owner says so */
		assert_int_equal(session("x"), 0);
		anchor.may_adopt = false;
		assert_int_equal(session("x"), 0);
		end();
	}
}

static const char script[] =
	"#!/usr/bin/env python3\n"
	"import hashlib, hmac, os, sys\n"
	"here = os.path.dirname(os.path.abspath(__file__))\n"
	"key = b'the anchor\\'s key, 32 bytes long'.ljust(32, b'\\0')\n"
	"store, old, puts = here + '/record', here + '/reply', here + '/puts'\n"
	"blank = b'OCANCHR1' + bytes.fromhex(sys.argv[2]) + bytes(104)\n"
	"def mac(*parts): return hmac.new(key, b''.join(parts), hashlib.sha256).digest()\n"
	"held = open(store, 'rb').read() if os.path.exists(store) else blank + mac(blank)\n"
	"if os.path.exists(here + '/replay'):\n"
	"    print(open(old).read()); sys.exit(0)\n"
	"if sys.argv[1] == 'put':\n"
	"    nonce, expected, record, tag = map(bytes.fromhex, sys.argv[3:])\n"
	"    if os.path.exists(here + '/meddle'):\n"
	"        record = open(here + '/meddle', 'rb').read()\n"
	"    if tag != mac(b'secvol1/anchor put', nonce, expected, record):\n"
	"        sys.exit(4)\n"
	"    if held[40:144] != expected:\n"
	"        sys.exit(3)\n"
	"    open(puts, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
	"    held = record\n"
	"    open(store, 'wb').write(held)\n"
	"reply = (held + mac(b'secvol1/anchor', bytes.fromhex(sys.argv[3]), held)).hex()\n"
	"open(old, 'w').write(reply)\n"
	"print(reply)\n";

/* Every put that was ever obeyed is asked a second time: none fits any more. */
static void no_put_fits_twice(const char *hook)
{
	FILE *puts = fopen(in_folder("puts"), "r");
	char line[1200], *argv[8] = {(char *)hook}, *rest;
	u32 count = 0;

	assert_non_null(puts);
	while (fgets(line, sizeof(line), puts)) {
		int status = 0;
		pid_t pid;

		for (u32 i = 1; i < 8; i++)
			argv[i] = strtok_r(i == 1 ? line : NULL, " \n", &rest);
		assert_non_null(argv[6]);
		assert_null(argv[7]);
		assert_int_equal(posix_spawn(&pid, hook, NULL, NULL, argv, environ), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
		count++;
	}
	fclose(puts);
	assert_true(count > 5);
}

/* A put on its way is given an older record, as the host in between could: it is not obeyed. */
static void a_put_is_authenticated(void)
{
	char *record = strdup(in_folder("record"));

	copy_file(record, in_folder("meddle"));
	assert_int_equal(session("x"), -EIO);
	unlink(in_folder("meddle"));
	assert_int_equal(session("goes on"), 0);
	free(record);
}

/* The least versions that the anchor takes are the anchor's to raise. */
static void minima_hold(void)
{
	struct secvol_anchored a;
	u8 id[32], bytes[SECVOL_ANCHOR_BYTES], kept[SECVOL_ANCHOR_BYTES];
	FILE *record = fopen(in_folder("record"), "r+");

	assert_non_null(record);
	secvol_anchor_id(&f.params, id);
	assert_int_equal(fread(kept, 1, sizeof(kept), record), sizeof(kept));
	for (u32 which = 0; which < 3; which++) {
		assert_int_equal(secvol_anchor_decode(key, id, kept, &a), 0);
		a.min_epoch = which == 0 ? 2 : 1;
		a.min_isvsvn = which == 1 ? 1 : 0;
		secvol_anchor_encode(key, id, &a, bytes);
		rewind(record);
		assert_int_equal(fwrite(bytes, 1, sizeof(bytes), record), sizeof(bytes));
		fflush(record);
		/* The fixture's slot has epoch 1 and, as a user's, version 0. */
		assert_int_equal(session("x"), which < 2 ? -ESTALE : 0);
	}
	rewind(record);
	assert_int_equal(fread(kept, 1, sizeof(kept), record), sizeof(kept));
	assert_int_equal(secvol_anchor_decode(key, id, kept, &a), 0);
	assert_int_equal(a.min_epoch, 1); /* handed on from put to put */
	fclose(record);
}

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
	no_put_fits_twice(path);
	a_put_is_authenticated();
	minima_hold();
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

/* A key that tells of its maker's version: one that is late enough opens, and makes volumes. */
static int describe_5(void *arg, struct secvol_slot_info *slot)
{
	slot->type = SECVOL_SLOT_USER;
	slot->isvsvn = 5;
	return 0;
}

static void set_minimum(struct anchor_file *file, bool known, u16 isvsvn)
{
	struct secvol_anchored a = {0};
	u8 id[32], bytes[SECVOL_ANCHOR_BYTES];

	secvol_anchor_id(&f.params, id);
	if (known)
		assert_int_equal(anchor.get(anchor.arg, id, &a), 0);
	a.min_isvsvn = isvsvn;
	secvol_anchor_encode(key, id, &a, bytes);
	FILE *out = fopen(file->path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, sizeof(bytes), out), sizeof(bytes));
	fclose(out);
}

static void a_later_version_is_asked_for(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 4096};
	struct secvol_key_source source;
	struct anchor_file file;

	assert_int_equal(fixture_init(&f, 16), 0);
	source = *f.params.keys;
	source.describe = describe_5;
	f.params.keys = &source;
	f.params.anchor = &anchor;
	unlink(in_folder("anchor"));
	assert_int_equal(
		anchor_file_init(&file, in_folder("anchor"), key, SECVOL_ANCHOR_STRICT, &anchor),
		0);
	/* Before there is a volume: an earlier maker may not make it, and its demand stays. */
	for (u16 min = 6; min >= 5; min--) {
		unlink(in_folder("volume"));
		set_minimum(&file, false, min);
		store_open(true);
		assert_int_equal(secvol_format(&f.params, &fmt), min > 5 ? -ESTALE : 0);
		f.params.bs->ops->close(f.params.bs);
	}
	assert_int_equal(session("x"), 0);
	set_minimum(&file, true, 6);
	assert_int_equal(session("x"), -ESTALE);
	set_minimum(&file, true, 5);
	assert_int_equal(session("x"), 0);
	end();
}

static int make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"volume", "fresh",	     "old",    "new",
					    "anchor", "hook",	     "record", "reply",
					    "replay", "anchor.lock", "puts",   "meddle"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		unlink(in_folder(names[i]));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_file_holds_the_state),
					   cmocka_unit_test(a_command_holds_the_state),
					   cmocka_unit_test(a_later_version_is_asked_for)};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
