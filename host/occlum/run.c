// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum run`: checks that there is something to run, then becomes occlum-run, the installed one.
 * Becoming rather than starting it keeps terminal, signals and exit status what they are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/occlum/build.h"
#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"
#include "lib/crypto/sha256.h"

#include <stdlib.h>

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
	if (dir_exists("image") && tree_digest("image", digest) == 0 &&
	    memcmp(digest, stamp.image_tree, 32) != 0)
		add_word(list, sizeof(list), "image");
	if (dir_exists("initfs") && tree_digest("initfs", digest) == 0 &&
	    memcmp(digest, stamp.initfs_tree, 32) != 0)
		add_word(list, sizeof(list), "initfs");
	if (list[0])
		warn("changed since the last `occlum build`: %s; running what was built then",
		     list);
}

/* Options come before the program; everything behind it is the program's. */
static int parse_options(int argc, char **argv, int *ret_program)
{
	static const char *const later[] = {"--config-id", "--config-svn", "--cpus"};
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(later); k++) {
			if (strcmp(argv[i], later[k]) == 0)
				return complain("%s is not yet supported", argv[i]);
		}
		return complain_known("Unknown option: %s", argv[i]);
	}
	if (i == argc)
		return complain("at least one argument must be provided: the program to run");
	*ret_program = i;
	return 0;
}

int command_run(int argc, char **argv)
{
	const char *runner;
	int program;

	if (parse_options(argc, argv, &program) || instance_need_built() || place_find())
		return 1;
	warn_if_stale();
	runner = place_of(PIECE_OCCLUM_RUN);
	/* argv[program - 1] is the command itself or the last option: there is always one. */
	argv[program - 1] = (char *)"occlum-run";
	execv(runner, argv + program - 1);
	return complain_errno(errno, "cannot run '%s'", runner);
}
