// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum run`: checks that there is something to run, then becomes occlum-run, the installed one.
 * Becoming rather than starting it keeps terminal, signals and exit status what they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/lib/config_id.h"
#include "host/occlum/build.h"
#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/machine.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"
#include "lib/crypto/sha256.h"

static void add_word(char *list, size_t size, const char *word)
{
	size_t len = strlen(list);

	snprintf(list + len, size - len, "%s%s", len ? ", " : "", word);
}

/* Says when the enclave is not made of what lies in the instance now. */
static void warn_if_stale(void)
{
	struct build_stamp stamp;
	char list[64] = "";
	u8 digest[32];
	char *text;
	size_t size;

	if (!stamp_read(&stamp, INSTANCE_STAMP))
		return;
	if (file_read(INSTANCE_SETTINGS, INSTANCE_SETTINGS_MAX, &text, &size) == 0) {
		sha256(text, size, digest);
		free(text);
		if (memcmp(digest, stamp.settings, 32) != 0)
			add_word(list, sizeof(list), INSTANCE_SETTINGS);
	}
	/* A packed instance has no image/ any more; that is no change. */
	if (dir_exists("image") && tree_look("image", digest) == 0 &&
	    memcmp(digest, stamp.image_look, 32) != 0)
		add_word(list, sizeof(list), "image");
	if (dir_exists("initfs") && tree_look("initfs", digest) == 0 &&
	    memcmp(digest, stamp.initfs_look, 32) != 0)
		add_word(list, sizeof(list), "initfs");
	if (list[0])
		warn("changed since the last `occlum build`: %s; running what was built then",
		     list);
}

/* Said here already, so that a typing error is not found deep in the loader. */
static int take_config_id(const char *text)
{
	struct enclave_error error = {0};
	u8 id[SGX_CONFIGID_SIZE];

	if (config_id_parse(text, id, &error) < 0)
		return complain("%s: '%s'", error.text, text);
	return setenv(CONFIG_ID_VARIABLE, text, 1) < 0 ? complain("out of memory") : 0;
}

static int take_config_svn(const char *text)
{
	struct enclave_error error = {0};
	u16 svn;

	if (config_svn_parse(text, &svn, &error) < 0)
		return complain("%s: '%s'", error.text, text);
	return setenv(CONFIG_SVN_VARIABLE, text, 1) < 0 ? complain("out of memory") : 0;
}

/* Options come before the program; everything behind it is the program's. */
static int parse_options(int argc, char **argv, int *ret_program)
{
	static const struct {
		const char *name;
		int (*take)(const char *text); /* NULL: not there yet */
	} options[] = {
		{"--config-id", take_config_id},
		{"--config-svn", take_config_svn},
		{"--cpus", NULL},
	};
	int i = 1;

	while (i < argc && argv[i][0] == '-') {
		size_t k = 0;

		while (k < ARRAY_SIZE(options) && strcmp(argv[i], options[k].name) != 0)
			k++;
		if (k == ARRAY_SIZE(options))
			return complain_known("Unknown option: %s", argv[i]);
		if (!options[k].take)
			return complain("%s is not yet supported", argv[i]);
		if (i + 1 == argc)
			return complain("%s needs a value", argv[i]);
		if (options[k].take(argv[i + 1]))
			return 1;
		i += 2;
	}
	if (i == argc)
		return complain("at least one argument must be provided: the program to run");
	*ret_program = i;
	return 0;
}

static bool is_for_hardware(void)
{
	char *text;
	size_t size;
	bool hw;

	if (file_read(INSTANCE_MODE, 16, &text, &size) < 0)
		return false;
	hw = strcmp(text, "HW\n") == 0;
	free(text);
	return hw;
}

int command_run(int argc, char **argv)
{
	const char *runner;
	int program = 0;

	if (parse_options(argc, argv, &program) || instance_need_built() || place_find())
		return 1;
	if (is_for_hardware() && machine_need_hardware())
		return 1;
	warn_if_stale();
	runner = place_of(PIECE_OCCLUM_RUN);
	/* argv[program - 1] is the command itself or the last option: there is always one. */
	argv[program - 1] = (char *)"occlum-run";
	execv(runner, argv + program - 1);
	return complain_errno(errno, "cannot run '%s'", runner);
}
