// SPDX-License-Identifier: Apache-2.0
/*
 * occlum-run: runs one program in the enclave of the instance in the current directory, through
 * the public interface of libocclum-pal.so, and ends like the program did. Exit status: the
 * program's own, 128 + signal when it was killed, 127 when it could not be started (126 when it is
 * there and is no program, as in a shell), 1 when the enclave could not start or has stopped.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/lib/streams.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/report.h"
#include "host/occlum/stale.h"
#include "host/occlum/terminal.h"
#include "host/occlum/why.h"
#include "include/occlum/occlum_pal_api.h"

#define STATUS_NO_ENCLAVE     1
#define STATUS_NO_PROGRAM     127
#define STATUS_NOT_EXECUTABLE 126

extern char **environ;

/*
 * Why the enclave would not start the program. It has explained EPERM itself, with its settings,
 * and which file system was changed or is damaged.
 */
static void explain(int error, const char *path)
{
	char why[2 * PATH_MAX];
	bool is_there;

	if (error == EPERM || error == EBADMSG || error == EUCLEAN)
		return;
	is_there = why_not_run(error, path, why, sizeof(why));
	if (path[0] != '/')
		complain("'%s' is not an absolute path inside the instance", path);
	else if (error == ENOTRECOVERABLE)
		complain("the enclave stopped when '%s' was to be started", path);
	else if (error == ENOENT && is_there)
		complain("cannot run '%s': %s", path,
			 why[0] ? why
				: "its loader or interpreter is not in the image, or it is newer "
				  "than the last `occlum build`");
	else if (why[0])
		complain("cannot run '%s': %s (%s)", path, strerror(error), why);
	else
		complain_errno(error, "cannot run '%s'", path);
}

static int status_of(int error)
{
	switch (error) {
	case E2BIG:
	case EACCES:
	case EISDIR:
	case ELIBBAD:
	case ENOEXEC: return STATUS_NOT_EXECUTABLE;
	case ENOTRECOVERABLE: return STATUS_NO_ENCLAVE;
	default: return STATUS_NO_PROGRAM;
	}
}

/* A shell says how a program died; so do we, for the same signals. */
static int exit_status(int wait_status, const char *path)
{
	int sig;

	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	sig = WTERMSIG(wait_status);
	terminal_restore();
	if (sig != SIGINT && sig != SIGPIPE)
		complain("%s: %s", path, strsignal(sig));
	return 128 + sig;
}

static int run_program(char **argv)
{
	const char *path = argv[0];
	int pid = 0, status = 0;
	struct occlum_pal_create_process_args create = {
		.path = path,
		.argv = (const char **)argv,
		.env = (const char **)environ,
		.pid = &pid,
	};
	struct occlum_pal_exec_args exec = {.exit_value = &status};

	if (occlum_pal_create_process(&create) < 0) {
		int error = errno;

		explain(error, path);
		return status_of(error);
	}
	exec.pid = pid;
	if (occlum_pal_exec(&exec) < 0) {
		int error = errno;

		terminal_restore();
		if (error == ENOTRECOVERABLE)
			complain("the enclave stopped while '%s' was running", path);
		else
			complain_errno(error, "cannot run '%s'", path);
		return status_of(error);
	}
	return exit_status(status, path);
}

int main(int argc, char **argv)
{
	struct occlum_pal_attr attr = OCCLUM_PAL_ATTR_INITVAL;
	int status, err = streams_occupy();

	report_command = "run";
	if (err < 0) {
		complain_errno(err, "cannot open /dev/null for a closed standard stream");
		return STATUS_NO_ENCLAVE;
	}
	if (argc < 2) {
		fprintf(stderr, "[ERROR] occlum-run: at least one argument must be provided\n");
		return STATUS_NO_ENCLAVE;
	}
	if (instance_need_built())
		return STATUS_NO_ENCLAVE;
	if (occlum_pal_forward_signals() < 0) {
		if (errno == EAGAIN)
			complain("cannot start a thread: the user has too many; raise `ulimit -u`");
		else
			complain_errno(errno, "cannot take the terminal's signals");
		return STATUS_NO_ENCLAVE;
	}
	terminal_save();
	stale_watch();
	attr.instance_dir = ".";
	attr.log_level = getenv("OCCLUM_LOG_LEVEL");
	if (occlum_pal_init(&attr) < 0)
		return STATUS_NO_ENCLAVE; /* the library has said why */
	status = run_program(argv + 1);
	/* What the program wrote is durable only when the volumes were committed. */
	if (occlum_pal_destroy() < 0 && status == 0)
		status = STATUS_NO_ENCLAVE; /* the enclave has said why */
	stale_watch_finish();
	return status;
}
