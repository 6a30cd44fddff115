/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's secret. Two processes may need it for the first time at once: each writes a
 * private file and links it to the final name; the one that loses reads the winner's.
 */
#define _GNU_SOURCE
#include "host/lib/sim_root.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/string.h"

static int find_path(char *path, size_t size, struct enclave_error *error)
{
	const char *key = getenv("OCCLUM_SIM_KEY");
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	const struct passwd *user;
	int len;

	if (key && *key) {
		len = snprintf(path, size, "%s", key);
	} else if (state && *state) {
		len = snprintf(path, size, "%s/occlum/sim-root.key", state);
	} else {
		if (!home || !*home) {
			user = getpwuid(geteuid());
			home = user ? user->pw_dir : NULL;
		}
		if (!home) {
			enclave_error_set(error, "no home folder for the simulation's key: set "
						 "OCCLUM_SIM_KEY");
			return -ENOENT;
		}
		len = snprintf(path, size, "%s/.local/state/occlum/sim-root.key", home);
	}
	if (len >= (int)size) {
		enclave_error_set(error, "the path of the simulation's key is too long");
		return -ENAMETOOLONG;
	}
	return 0;
}

static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700); /* a real failure shows when the file is created */
		*slash = '/';
	}
}

static int read_secret(const char *path, u8 secret[SIM_ROOT_SIZE], struct enclave_error *error)
{
	u8 bytes[SIM_ROOT_SIZE + 1];
	struct stat st;
	ssize_t n;
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		enclave_error_set(error, "cannot open the simulation's key '%s': %s", path,
				  strerror(-err));
	} else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		err = -EPERM;
		enclave_error_set(error,
				  "the simulation's key '%s' must be a file of your own that "
				  "nobody else can read (mode 0600)",
				  path);
	} else {
		n = read(fd, bytes, sizeof(bytes));
		if (n == SIM_ROOT_SIZE) {
			memcpy(secret, bytes, SIM_ROOT_SIZE);
		} else {
			err = n < 0 ? -errno : -EUCLEAN;
			enclave_error_set(error,
					  "the simulation's key '%s' is damaged: not %d bytes",
					  path, SIM_ROOT_SIZE);
		}
	}
	if (fd >= 0)
		close(fd);
	mem_wipe(bytes, sizeof(bytes));
	return err;
}

static int create_secret(char *path, struct enclave_error *error)
{
	char temporary[4096 + 8];
	u8 secret[SIM_ROOT_SIZE];
	int err = 0, fd;

	make_folders(path);
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
	if (fd < 0) {
		err = -errno;
		enclave_error_set(error,
				  "cannot create the simulation's key '%s': %s; name a place that "
				  "can be written by HOME, XDG_STATE_HOME or OCCLUM_SIM_KEY",
				  path, strerror(-err));
		return err;
	}
	if (getrandom(secret, sizeof(secret), 0) != SIM_ROOT_SIZE ||
	    write(fd, secret, sizeof(secret)) != SIM_ROOT_SIZE || fsync(fd) < 0 ||
	    (link(temporary, path) < 0 && errno != EEXIST)) {
		err = errno ? -errno : -EIO;
		enclave_error_set(error, "cannot write the simulation's key '%s': %s", path,
				  strerror(-err));
	}
	close(fd);
	unlink(temporary);
	mem_wipe(secret, sizeof(secret));
	return err;
}

int sim_root_read(u8 ret_secret[SIM_ROOT_SIZE], struct enclave_error *error)
{
	char path[4096];
	int err = find_path(path, sizeof(path), error);

	if (err < 0)
		return err;
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		err = create_secret(path, error);
		if (err < 0)
			return err;
	}
	return read_secret(path, ret_secret, error);
}
