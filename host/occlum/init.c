// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum init` and `occlum new`: the tree of an instance. Beyond directories and a few lines of
 * /etc it holds the loaders of glibc and musl and the libraries that nearly every program needs,
 * taken from the host, so that an ordinary program runs without anything else being copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"

static const char *const directories[] = {
	"image/bin",   "image/dev",   "image/etc",  "image/ext2", "image/host", "image/lib",
	"image/lib64", "image/opt",   "image/proc", "image/root", "image/sbin", "image/sfs",
	"image/sys",   "image/tmp",   "initfs",	    "initfs/bin", "initfs/dev", "initfs/etc",
	"initfs/lib",  "initfs/proc", "build",	    "run",
};

static const struct {
	const char *path;
	const char *text;
} texts[] = {
	{"image/etc/hosts", "127.0.0.1   localhost\n"},
	{"image/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
			     "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
	{"image/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
	{"image/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
	{"initfs/etc/hosts", "127.0.0.1   localhost\n"},
};

/* Where distributions keep glibc's libraries; each is copied to the same place of the image. */
static const char *const library_dirs[] = {"lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu",
					   "lib64", "usr/lib64"};

static const char *const libraries[] = {
	"libc.so.6",	 "libm.so.6",	   "libpthread.so.0", "libdl.so.2",
	"librt.so.1",	 "libresolv.so.2", "libutil.so.1",    "libstdc++.so.6",
	"libgcc_s.so.1", "libgomp.so.1",   "libatomic.so.1",  "libz.so.1",
};

#define GLIBC_LOADER "lib64/ld-linux-x86-64.so.2"
#define MUSL_LOADER  "lib/ld-musl-x86_64.so.1"

/* To the same place below `tree`. */
static int copy_from_host(const char *relative, const char *tree, mode_t mode)
{
	char from[PATH_MAX], to[PATH_MAX], *slash;
	int err = path_join(from, sizeof(from), "", relative);

	if (err == 0)
		err = path_join(to, sizeof(to), tree, relative);
	if (err < 0)
		return complain_errno(err, "cannot copy '/%s'", relative);
	slash = strrchr(to, '/');
	*slash = '\0';
	err = dir_make(to, 0755);
	*slash = '/';
	if (err == 0)
		err = file_copy(from, to, mode);
	return err < 0 ? complain_errno(err, "cannot copy '%s' to '%s'", from, to) : 0;
}

static bool host_has(const char *relative)
{
	char path[PATH_MAX];
	struct stat st;

	return path_join(path, sizeof(path), "", relative) == 0 && stat(path, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

static int copy_library(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(library_dirs); i++) {
		char relative[PATH_MAX];

		if (path_join(relative, sizeof(relative), library_dirs[i], name) == 0 &&
		    host_has(relative))
			return copy_from_host(relative, "image", 0755);
	}
	return 0; /* the host's own programs do without it */
}

static int copy_glibc(void)
{
	if (!host_has(GLIBC_LOADER)) {
		warn("the host has no /%s; the image gets no glibc", GLIBC_LOADER);
		return 0;
	}
	if (copy_from_host(GLIBC_LOADER, "image", 0755))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
		if (copy_library(libraries[i]))
			return 1;
	}
	return 0;
}

/* musl's loader is its C library; programs name it as libc.so, Alpine's by the longer name. */
static int copy_musl(void)
{
	static const char *const links[] = {"image/lib/libc.so", "image/lib/libc.musl-x86_64.so.1"};

	if (!host_has(MUSL_LOADER))
		return 0;
	if (copy_from_host(MUSL_LOADER, "image", 0755))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (symlink("ld-musl-x86_64.so.1", links[i]) < 0)
			return complain_errno(errno, "cannot make '%s'", links[i]);
	}
	return 0;
}

static int make_directories(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		/* Programs share /tmp; what only the owner sees is said by the modes of files. */
		mode_t mode = strcmp(directories[i], "image/tmp") == 0 ? 01777 : 0755;

		if (mkdir(directories[i], 0755) < 0)
			return complain_errno(errno, "cannot make '%s'", directories[i]);
		if (chmod(directories[i], mode) < 0)
			return complain_errno(errno, "cannot make '%s'", directories[i]);
	}
	return 0;
}

static int write_texts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int err = file_write(texts[i].path, texts[i].text, strlen(texts[i].text), 0644);

		if (err < 0)
			return complain_errno(err, "cannot write '%s'", texts[i].path);
	}
	return host_has("etc/localtime") && (copy_from_host("etc/localtime", "image", 0644) ||
					     copy_from_host("etc/localtime", "initfs", 0644));
}

static int copy_own(void)
{
	char template[PATH_MAX];
	int err =
		path_join(template, sizeof(template), place_of(PIECE_TEMPLATE), INSTANCE_SETTINGS);

	if (err == 0)
		err = file_copy(template, INSTANCE_SETTINGS, 0644);
	if (err < 0)
		return complain_errno(err, "cannot copy '%s'", template);
	err = file_copy(place_of(PIECE_INIT), "initfs/bin/init", 0755);
	if (err < 0)
		return complain_errno(err, "cannot copy '%s'", place_of(PIECE_INIT));
	return 0;
}

static int fill_instance(void)
{
	return make_directories() || write_texts() || copy_glibc() || copy_musl() || copy_own() ||
	       instance_set_status("initialized");
}

/* What a failed init has made goes away again: nothing is left half-made. */
static void undo_init(void)
{
	static const char *const made[] = {"image", "initfs", "build", "run", INSTANCE_SETTINGS};

	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (tree_remove(made[i]) < 0)
			warn("cannot remove '%s'", made[i]);
	}
}

static int complain_of_other(const char *name)
{
	return complain("'%s' is there already, in a directory that is no instance; choose another "
			"directory or move it away",
			name);
}

/* Of several at once one makes the first folder; what it makes is not the others' to take away. */
static int claim_directory(void)
{
	if (mkdir("image", 0755) == 0)
		return 0;
	return errno == EEXIST ? complain_of_other("image")
			       : complain_errno(errno, "cannot make 'image'");
}

static int init_here(void)
{
	static const char *const own[] = {"image", "initfs", "build", "run", INSTANCE_SETTINGS};
	char *dir;

	if (file_exists(INSTANCE_STATUS))
		return complain_known("the current working directory has been initialized as an "
				      "Occlum instance");
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (file_exists(own[i]))
			return complain_of_other(own[i]);
	}
	if (place_find())
		return 1;
	umask(022);
	if (claim_directory())
		return 1;
	if (fill_instance()) {
		undo_init();
		return 1;
	}
	dir = getcwd(NULL, 0);
	inform("%s initialized as an Occlum instance", dir ? dir : ".");
	free(dir);
	return 0;
}

/* argv[from...]: the options of init. */
static int check_init_options(int argc, char **argv, int from)
{
	for (int i = from; i < argc; i++) {
		if (strcmp(argv[i], "--init-ra") == 0)
			return complain("--init-ra is not yet supported");
		return complain_known("Unknown option: %s", argv[i]);
	}
	return 0;
}

int command_init(int argc, char **argv)
{
	return check_init_options(argc, argv, 1) || init_here();
}

/* The directories above it where they are missing, and `path` itself, which must not be there. */
static int make_new(const char *path)
{
	char above[PATH_MAX];
	size_t len = strlen(path);
	int err = 0;

	if (len >= sizeof(above))
		return -ENAMETOOLONG;
	while (len > 0 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	memcpy(above, path, len);
	above[len] = '\0';
	if (len > 0)
		err = dir_make(above, 0755);
	if (!err && mkdir(path, 0755) < 0)
		err = -errno;
	return err;
}

int command_new(int argc, char **argv)
{
	int err, back;

	if (argc < 2)
		return complain_known("target directory is not set");
	if (argv[1][0] == '-')
		return complain_known("Unknown option: %s", argv[1]);
	if (check_init_options(argc, argv, 2))
		return 1;
	if (file_exists(argv[1]))
		return complain_known("destination \"%s\" already exists", argv[1]);
	umask(022);
	err = make_new(argv[1]);
	if (err == -EEXIST)
		return complain_known("destination \"%s\" already exists", argv[1]);
	if (err < 0)
		return complain_errno(err, "cannot make '%s'", argv[1]);
	back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (chdir(argv[1]) < 0)
		err = complain_errno(errno, "cannot enter '%s'", argv[1]);
	else
		err = init_here();
	/* What could not be initialized is not left behind as an empty directory. */
	if (err && back >= 0 && fchdir(back) == 0)
		rmdir(argv[1]);
	if (back >= 0)
		close(back);
	return err;
}
