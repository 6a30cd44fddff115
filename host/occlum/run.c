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
#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/machine.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"

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
	runner = place_of(PIECE_OCCLUM_RUN);
	/* argv[program - 1] is the command itself or the last option: there is always one. */
	argv[program - 1] = (char *)"occlum-run";
	execv(runner, argv + program - 1);
	return complain_errno(errno, "cannot run '%s'", runner);
}
