// SPDX-License-Identifier: Apache-2.0
/* Commands of a few lines: gen-image-key and status. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/report.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"

#define KEY_SIZE 16

int command_gen_image_key(int argc, char **argv)
{
	char text[3 * KEY_SIZE];
	u8 key[KEY_SIZE];
	int err;

	if (argc < 2)
		return complain_known("target file is not set");
	if (argc > 2)
		return complain("unexpected argument '%s'", argv[2]);
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return complain_errno(errno, "cannot get random bytes");
	hex_encode_pairs(text, key, KEY_SIZE, '-');
	text[sizeof(text) - 1] = '\n';
	/* Whatever was encrypted with an overwritten key would be lost. */
	err = file_create(argv[1], text, sizeof(text), 0600);
	mem_wipe(text, sizeof(text));
	mem_wipe(key, sizeof(key));
	if (err == -EEXIST)
		return complain("'%s' exists and is not overwritten; remove it first if no image "
				"needs its key",
				argv[1]);
	return err < 0 ? complain_errno(err, "cannot write '%s'", argv[1]) : 0;
}

/* The state that a holder of the instance's lock makes. */
static const char *state_of(const char *what)
{
	if (strcmp(what, "build") == 0)
		return "building";
	if (strcmp(what, "mount") == 0)
		return "mounted";
	return strcmp(what, "run") == 0 ? "running" : "in use";
}

int command_status(int argc, char **argv)
{
	const char *what;
	char *text;
	size_t size;
	int err;

	if (argc > 1)
		return complain("unexpected argument '%s'", argv[1]);
	if (instance_need_initialized())
		return 1;
	what = instance_in_use();
	if (what) {
		inform("%s", state_of(what));
		return 0;
	}
	err = file_read(INSTANCE_STATUS, 4096, &text, &size);
	if (err < 0)
		return complain_errno(err, "cannot read %s", INSTANCE_STATUS);
	inform("%.*s", (int)strcspn(text, "\n"), text);
	free(text);
	return 0;
}
