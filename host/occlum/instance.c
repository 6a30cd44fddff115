// SPDX-License-Identifier: Apache-2.0
/*
 * State of an instance: what there is, whose it is, who uses it.
 */
#include "host/occlum/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	static const char *const folders[] = {"build", "build/lib", "run", "run/mount"};
	int err = instance_need_initialized();

	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (access(folders[i], X_OK) < 0 && errno == EACCES)
			return complain_errno(errno, "cannot look into '%s'", folders[i]);
	}
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

int instance_lock(const char *what)
{
	char text[256];
	int fd; /* stays open until the process ends */

	return instance_lock_take(".", what, &fd, text, sizeof(text)) ? complain("%s", text) : 0;
}

const char *instance_in_use(void)
{
	static struct instance_holder h;

	return instance_lock_is_held(".", &h) ? h.what : NULL;
}

int instance_set_status(const char *status)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%s\n", status);
	int err = file_write(INSTANCE_STATUS, text, (size_t)len, 0644);

	return err < 0 ? complain_errno(err, "cannot write %s", INSTANCE_STATUS) : 0;
}
