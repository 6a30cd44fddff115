// SPDX-License-Identifier: Apache-2.0
/*
 * occlum: makes, builds and runs instances. The commands are one table; usage and dispatch come
 * from it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/occlum/command.h"
#include "host/lib/streams.h"
#include "host/occlum/file.h"
#include "host/occlum/report.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* NULL: known, not yet there */
	const char *arguments;
	const char *summary;
};

static int command_help(int argc, char **argv);
static int command_version(int argc, char **argv);

static const struct command commands[] = {
	{"new", command_new, "<path>", "make a directory and initialize it as an instance"},
	{"init", command_init, "", "initialize the current directory as an instance"},
	{"build", command_build,
	 "[--sign-key <key_path>] [--sign-tool <tool_path>]\n"
	 "                 [--sgx-mode HW|SIM] [--enable-edmm Y|N] [--image-key <key_path>]\n"
	 "                 [--buildin-image-key] [-f|--force] [--reset]",
	 "build and sign the enclave and its file-system images"},
	{"run", command_run, "[--config-id <base64>] [--config-svn <n>] <program> [<args>]",
	 "run a program inside the enclave"},
	{"start", NULL, "", "start the instance as a service"},
	{"exec", NULL, "<program> [<args>]", "run a program in the started instance"},
	{"stop", NULL, "", "stop the started instance"},
	{"package", NULL, "[<name>.tar.gz] [--debug]", "pack the instance for deployment"},
	{"gdb", NULL, "<program> [<args>]", "debug a program inside the enclave"},
	{"mount", command_mount,
	 "[--sign-key <key_path>] [--sign-tool <tool_path>]\n"
	 "                 [--image-key <key_path>] [--layer ro|rw] [--read-only]\n"
	 "                 [--snapshot <name>] [--background] [--allow-other] <path>",
	 "mount the instance's files on the host"},
	{"image", command_image,
	 "info|ls|cat|extract|diff|verify|snapshot|scrub|grow|rotate|to-root|label|keys\n"
	 "                 [--sign-key <key_path>] [--sign-tool <tool_path>]\n"
	 "                 [--image-key <key_path>] [--layer ro|rw] [--snapshot <name>]\n"
	 "                 [--json] [-l] [-R] [<arguments>]",
	 "look into the instance's files without mounting them"},
	{"gen-image-key", command_gen_image_key, "<key_path>",
	 "make a file with a random key for --image-key"},
	{"print", command_print, "mrenclave|mrsigner|sigstruct|sgxs",
	 "print what the built enclave is known by"},
	{"status", command_status, "", "print the state of the instance"},
	{"fsck", command_fsck,
	 "[--key <key_path>] [--salvage <dir>] [--root <generation>]\n"
	 "                 [--snapshot <name>] [--dump] [--to-root <generation> [--force]]\n"
	 "                 <volume>",
	 "check a volume or image, name damaged files, copy out what opens"},
	{"doctor", command_doctor, "", "look at this machine and say what is missing"},
	{"help", command_help, "[<command>]", "print this, or how one command is used"},
	{"version", command_version, "", "print the version"},
};

static void print_usage(void)
{
	printf("Usage: occlum <command> [<arguments>]\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-14s %s%s\n", commands[i].name, commands[i].summary,
		       commands[i].run ? "" : " (not yet supported)");
	printf("\n`occlum help <command>` prints the arguments of one; `man occlum` says the "
	       "rest.\n");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int print_command_usage(const struct command *c)
{
	printf("Usage: occlum %s%s%s\n\n  %s%s\n", c->name, c->arguments[0] ? " " : "",
	       c->arguments, c->summary, c->run ? "" : " (not yet supported)");
	return 0;
}

static int command_help(int argc, char **argv)
{
	const struct command *c;

	if (argc == 1) {
		print_usage();
		return 0;
	}
	c = find_command(argv[1]);
	if (!c)
		return complain("there is no command '%s'; `occlum help` lists them", argv[1]);
	return print_command_usage(c);
}

static int command_version(int argc, char **argv)
{
	if (argc > 1)
		return complain("unexpected argument '%s'", argv[1]);
	printf("occlum %s\n", OCCLUM_VERSION);
	return 0;
}

static int unknown(const char *name)
{
	complain_known("unknown sub-command %s", name);
	print_usage();
	return COMMAND_USAGE;
}

static int dispatch(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		complain_known("no sub-command is given");
		print_usage();
		return COMMAND_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage();
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0)
		return command_version(1, argv);
	c = find_command(argv[1]);
	if (!c)
		return unknown(argv[1]);
	report_command = c->name;
	/* `image` has sub-commands, which it lists itself. */
	if (argc == 3 && c->run != command_image &&
	    (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
		return print_command_usage(c);
	if (!c->run)
		return complain("not yet supported");
	return c->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int err = streams_occupy(), status;

	if (err < 0)
		return complain_errno(err, "cannot open /dev/null for a closed standard stream");
	status = dispatch(argc, argv);
	/* A full disk or a closed pipe must not look like success. */
	if ((fflush(stdout) != 0 || report_is_incomplete()) && status == 0)
		return complain("cannot write the output");
	return status;
}
