// SPDX-License-Identifier: Apache-2.0
/*
 * Finds the installation. Tools run only what was installed with them, never what an instance
 * brings, so all paths start at the program's own.
 */
#include "host/occlum/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/occlum/file.h"
#include "host/occlum/report.h"

static char places[PIECE_COUNT][PATH_MAX];

static const struct {
	const char *installed; /* below PREFIX */
	const char *built;     /* below the build folder */
} layout[PIECE_COUNT] = {
	[PIECE_OCCLUM_RUN] = {"build/bin/occlum-run", "host/occlum/occlum-run"},
	[PIECE_KERNEL_SIM] = {"build/lib/libocclum-libos_sim.so", "kernel/libocclum-libos_sim.so"},
	[PIECE_KERNEL_HW] = {"build/lib/libocclum-libos.so", "kernel/libocclum-libos.so"},
	[PIECE_PAL] = {"build/lib/libocclum-pal.so", "host/pal/libocclum-pal.so"},
	[PIECE_INIT] = {"build/lib/init", "user/init/init"},
	[PIECE_KEY_HELPER] = {"build/lib/key-helper", "user/keyhelper/key-helper"},
	[PIECE_SIGN_TOOL] = {"build/bin/occlum-sign", "host/sign/occlum-sign"},
	[PIECE_IMAGE] = {"build/bin/occlum-image", "host/mount/occlum-image"},
	[PIECE_MOUNT] = {"build/bin/occlum-mount", "host/mount/occlum-mount"},
	[PIECE_TEMPLATE] = {"etc/template", "host/occlum"},
};

/* Cuts `suffix` from the end of `path`. */
static bool cut(char *path, const char *suffix)
{
	size_t len = strlen(path), n = strlen(suffix);

	if (len <= n || strcmp(path + len - n, suffix) != 0)
		return false;
	path[len - n] = '\0';
	return true;
}

static const char *const programs_built[] = {"/host/occlum/occlum", "/host/occlum/occlum-run",
					     "/host/mount/occlum-image",
					     "/host/mount/occlum-mount"};
static const char *const programs_installed[] = {"/build/bin/occlum", "/build/bin/occlum-run",
						 "/build/bin/occlum-image",
						 "/build/bin/occlum-mount"};

static bool cut_any(char *path, const char *const *suffixes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (cut(path, suffixes[i]))
			return true;
	}
	return false;
}

int place_find(void)
{
	char root[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", root, sizeof(root) - 1);
	bool built = false;

	if (n < 0)
		return complain_errno(errno, "cannot read /proc/self/exe");
	root[n] = '\0';
	if (cut_any(root, programs_built, ARRAY_SIZE(programs_built)))
		built = true;
	else if (!cut_any(root, programs_installed, ARRAY_SIZE(programs_installed)))
		return complain(
			"%s is neither in an installation (PREFIX/build/bin) nor in a build folder",
			root);
	for (int i = 0; i < PIECE_COUNT; i++) {
		if (path_join(places[i], sizeof(places[i]), root,
			      built ? layout[i].built : layout[i].installed) < 0)
			return complain("the path of the installation is too long");
	}
	return 0;
}

const char *place_of(enum piece piece)
{
	return places[piece];
}
