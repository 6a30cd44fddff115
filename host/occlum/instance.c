// SPDX-License-Identifier: Apache-2.0
/*
 * State of an instance. The lock is flock() on a file that stays: the kernel drops it with the
 * last descriptor, however the holder ends, so there are no stale locks; the pid inside is for the
 * message only.
 */
#include "host/occlum/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/occlum/file.h"
#include "host/occlum/report.h"

int instance_need_initialized(void)
{
	if (file_exists(INSTANCE_STATUS))
		return instance_need_owner();
	return complain_known("the current working directory is not initialized as an Occlum "
			      "instance. Need to run \"occlum init\" first.");
}

int instance_need_built(void)
{
	int err = instance_need_initialized();

	if (err)
		return err;
	if (access("run/mount", X_OK) < 0 && errno == EACCES)
		return complain_errno(errno, "cannot look into 'run'");
	if (dir_exists("run/mount/__ROOT") && file_exists(INSTANCE_SIGNED) &&
	    file_exists(INSTANCE_CONFIG))
		return 0;
	return complain_known("the Occlum image and enclave are not built yet. Need to run "
			      "\"occlum build\" first.");
}

/* The user who called sudo counts as this user. */
static bool is_own(uid_t owner)
{
	const char *sudo_uid = getenv("SUDO_UID");

	if (owner == geteuid() || owner == 0)
		return true;
	return geteuid() == 0 && sudo_uid && strtoul(sudo_uid, NULL, 10) == owner;
}

int instance_need_owner(void)
{
	struct stat st;

	if (stat(".", &st) < 0)
		return complain_errno(errno, "cannot look at the current directory");
	if (st.st_mode & S_IWOTH)
		return complain("the instance is writable by everyone; run: chmod o-w .");
	if (!is_own(st.st_uid))
		return complain(
			"the instance belongs to user %u; run as that user, or: chown -R %u .",
			st.st_uid, geteuid());
	return 0;
}

struct holder {
	long pid;
	char what[16];
};

static struct holder read_holder(int fd)
{
	struct holder h = {.pid = 0};
	char text[64] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) > 0 &&
	    sscanf(text, "%ld %15s", &h.pid, h.what) < 1)
		h.pid = 0;
	return h;
}

static int say_holder(int fd)
{
	struct holder h = read_holder(fd);

	/* Who has just taken the lock writes its name in a moment. */
	for (int i = 0; h.pid <= 0 && i < 50; i++) {
		usleep(10000);
		h = read_holder(fd);
	}
	if (h.pid <= 0)
		return complain_known("the instance is in use by another process. Need to wait for "
				      "the process to finish or kill it first.");
	return complain_known(
		"the instance is in use by process %ld (occlum %s). Need to wait for the "
		"process to finish or kill it first.",
		h.pid, h.what);
}

int instance_lock(const char *what)
{
	int fd = open(INSTANCE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), err;
	char text[64];
	int len;

	if (fd < 0)
		return complain_errno(errno, "cannot open %s", INSTANCE_LOCK);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? say_holder(fd)
					   : complain_errno(errno, "cannot lock %s", INSTANCE_LOCK);
		close(fd);
		return err;
	}
	len = snprintf(text, sizeof(text), "%ld %s\n", (long)getpid(), what);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len) {
		err = complain_errno(errno, "cannot write %s", INSTANCE_LOCK);
		close(fd);
		return err;
	}
	return 0;
}

const char *instance_in_use(void)
{
	static struct holder h;
	int fd = open(INSTANCE_LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	const char *what = NULL;

	if (fd < 0)
		return NULL;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		h = read_holder(fd);
		what = h.what;
	}
	close(fd);
	return what;
}

int instance_set_status(const char *status)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%s\n", status);
	int err = file_write(INSTANCE_STATUS, text, (size_t)len, 0644);

	return err < 0 ? complain_errno(err, "cannot write %s", INSTANCE_STATUS) : 0;
}
