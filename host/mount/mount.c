// SPDX-License-Identifier: Apache-2.0
/*
 * occlum-mount: shows an instance's files at a path of the host until it is unmounted or told to
 * end. In the order of the code: everything that can be refused is refused, then the process goes
 * to the background if it shall, and only then are keys derived and volumes opened; no process is
 * forked after that but by libfuse for unmounting, and it inherits no key.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/mount/channel.h"
#include "host/mount/kernel_env.h"
#include "host/mount/server.h"
#include "host/mount/store.h"
#include "host/mount/view.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"

#define CONTAINER_HELP                                                                             \
	"in a container, start it with --device /dev/fuse --cap-add SYS_ADMIN, or with "           \
	"--privileged"

struct mount_options {
	struct view_options view;
	const char *path;
	bool background, allow_other;
};

static int usage(void)
{
	printf("Usage: occlum mount [--sign-key <key>] [--sign-tool <tool>] [--image-key <key>]\n"
	       "                    [--layer ro|rw] [--read-only] [--snapshot <name>]\n"
	       "                    [--background] [--allow-other] <path>\n");
	return 0;
}

static int parse(struct mount_options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int taken = view_take_option(&o->view, argc, argv, &i);

		if (taken < 0)
			return 1;
		if (taken)
			continue;
		if (strcmp(argv[i], "--read-only") == 0)
			o->view.read_only = true;
		else if (strcmp(argv[i], "--background") == 0)
			o->background = true;
		else if (strcmp(argv[i], "--allow-other") == 0)
			o->allow_other = true;
		else if (argv[i][0] == '-')
			return complain_known("Unknown option: %s", argv[i]);
		else if (o->path)
			return complain("unexpected argument '%s'", argv[i]);
		else
			o->path = argv[i];
	}
	if (!o->path)
		return complain("the path to mount at is missing");
	if (view_check(&o->view))
		return 1;
	if (o->view.layer == VIEW_IMAGE || o->view.snapshot)
		o->view.read_only = true; /* an image and a snapshot stay what they are */
	return 0;
}

static int check_fuse(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return complain("there is no /dev/fuse here; load the module (modprobe fuse), "
				"or " CONTAINER_HELP);
	if (errno == EACCES && geteuid() != 0)
		return complain("this user may not open /dev/fuse; as root: chmod 666 /dev/fuse");
	return complain_errno(errno, "cannot open /dev/fuse; " CONTAINER_HELP);
}

/* fusermount3 would say it too, and our own line after it that it is not permitted in general. */
static int check_allow_other(void)
{
	bool may = geteuid() == 0;
	FILE *f = may ? NULL : fopen("/etc/fuse.conf", "re");
	char line[256], word[32];

	while (f && !may && fgets(line, sizeof(line), f))
		may = sscanf(line, "%31s", word) == 1 && strcmp(word, "user_allow_other") == 0;
	if (f)
		fclose(f);
	return may ? 0
		   : complain("--allow-other is for root, unless /etc/fuse.conf has the line "
			      "user_allow_other");
}

/* Whether libfuse will find the helper by which users other than root mount. */
static int check_helper(void)
{
	const char *path = getenv("PATH");
	char name[PATH_MAX];

	if (geteuid() == 0 || access("/usr/bin/fusermount3", X_OK) == 0)
		return 0;
	for (const char *at = path ? path : ""; *at; at += strspn(at, ":")) {
		int len = (int)strcspn(at, ":");

		if (snprintf(name, sizeof(name), "%.*s/fusermount3", len, at) < (int)sizeof(name) &&
		    access(name, X_OK) == 0)
			return 0;
		at += len;
	}
	return complain("users other than root mount by fusermount3, which is not here; install "
			"the package fuse3");
}

/* What cannot be looked into is the mount's affair, unless nobody serves it any more. */
static bool holds_something(const char *dir, bool *ret_left_behind)
{
	DIR *d = opendir(dir);
	struct dirent *e = NULL;

	*ret_left_behind = !d && errno == ENOTCONN;
	while (d && (e = readdir(d)) && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")))
		;
	if (d)
		closedir(d);
	return e;
}

static bool is_mounted_at(const char *dir, const struct stat *st)
{
	char above[PATH_MAX + 3];
	struct stat up;

	snprintf(above, sizeof(above), "%s/..", dir);
	return stat(above, &up) == 0 && up.st_dev != st->st_dev;
}

static int left_behind_at(const char *path)
{
	return complain("'%s' was left behind by a mount that was killed; run: %s '%s'", path,
			geteuid() == 0 ? "umount" : "fusermount3 -u", path);
}

static int check_point(const char *path, char real[PATH_MAX])
{
	bool left_behind, something;
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOTCONN)
		return left_behind_at(path);
	if (!realpath(path, real) || stat(real, &st) < 0)
		return complain_errno(errno, "cannot mount at '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return complain("cannot mount at '%s': it is not a directory", path);
	/* The kernel may still know the attributes of such a place. */
	something = holds_something(real, &left_behind);
	if (left_behind)
		return left_behind_at(path);
	if (something)
		return complain(
			is_mounted_at(real, &st)
				? "cannot mount at '%s': something is mounted there already; "
				  "unmount it first: umount '%s'"
				: "cannot mount at '%s': it is not empty, and the mount would "
				  "hide what '%s' holds; name an empty directory",
			path, path);
	if (geteuid() != 0 && access(real, W_OK) < 0)
		return complain_errno(errno, "cannot mount at '%s'", path);
	return 0;
}

/* The parent waits for one byte: the child serves. Returns in the child with the pipe's end. */
static int go_to_background(int *ret_ready)
{
	int ends[2], null;
	pid_t child;
	char byte;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return complain_errno(errno, "cannot make a pipe");
	child = fork();
	if (child < 0)
		return complain_errno(errno, "cannot go to the background");
	if (child > 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
	}
	close(ends[0]);
	*ret_ready = ends[1];
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		close(null);
	}
	return 0;
}

/* From here on nobody waits for our output, nor may a closed terminal hold us up. */
static void say_ready(int ready)
{
	int null;

	if (ready < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	if (write(ready, "", 1) < 0)
		complain_errno(errno, "cannot report");
	close(ready);
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* `subtype` and the source are what /proc/self/mountinfo shows; instance_lock.c looks there. */
static struct fuse_session *make_session(struct server *s, const struct mount_options *o)
{
	char instance[PATH_MAX], *options;
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session;

	if (!getcwd(instance, sizeof(instance)))
		snprintf(instance, sizeof(instance), "occlum");
	for (char *c = instance; *c; c++) {
		if (*c == ',' || *c == '\\')
			*c = '_'; /* both mean something to the mount options */
	}
	if (asprintf(&options,
		     "default_permissions,nosuid,nodev,subtype=occlum,max_read=%u,fsname=%s%s%s",
		     (unsigned)SERVER_READ_MAX, instance, o->view.read_only ? ",ro" : "",
		     o->allow_other ? ",allow_other" : "") < 0)
		return NULL;
	if (fuse_opt_add_arg(&args, "occlum-mount") || fuse_opt_add_arg(&args, "-o") ||
	    fuse_opt_add_arg(&args, options)) {
		free(options);
		return NULL;
	}
	session = fuse_session_new(&args, &server_ops, sizeof(server_ops), s);
	free(options);
	fuse_opt_free_args(&args);
	return session;
}

/*
 * The kernel reads 128 KiB ahead on a FUSE mount, whatever a server asks for; root may say more.
 * The device's number is taken from the list of mounts: asking the mount itself would wait for us.
 */
static void read_further_ahead(const char *point)
{
	char line[3 * PATH_MAX], where[PATH_MAX], device[32], path[96];
	FILE *mounts = fopen("/proc/self/mountinfo", "re"), *f;

	device[0] = 0;
	while (mounts && fgets(line, sizeof(line), mounts)) {
		char number[32];

		/* The last one that fits lies on top. */
		if (sscanf(line, "%*s %*s %31s %*s %4095s", number, where) == 2 &&
		    strcmp(where, point) == 0)
			memcpy(device, number, sizeof(device));
	}
	if (mounts)
		fclose(mounts);
	if (!device[0])
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%s/read_ahead_kb", device);
	f = fopen(path, "we");
	if (!f)
		return;
	fputs("1024\n", f);
	fclose(f);
}

static int serve(struct server *s, const struct mount_options *o, int ready)
{
	int status;

	s->session = make_session(s, o);
	if (!s->session)
		return complain("cannot make a FUSE session");
	if (fuse_session_mount(s->session, s->path) < 0) {
		fuse_session_destroy(s->session);
		return complain("cannot mount at '%s': not permitted here; " CONTAINER_HELP,
				s->path);
	}
	if (channel_take(s->session) < 0) {
		fuse_session_unmount(s->session);
		return complain("cannot serve the mount");
	}
	read_further_ahead(s->path);
	inform("mounted at %s; ends with%s %s %s", s->path, ready < 0 ? " Ctrl-C or:" : ":",
	       geteuid() == 0 ? "umount" : "fusermount3 -u", s->path);
	fflush(stdout);
	say_ready(ready);
	status = server_run(s);
	fuse_session_unmount(s->session);
	fuse_session_destroy(s->session);
	return status;
}

int main(int argc, char **argv)
{
	static struct mount_options o;
	static struct built built;
	static char path[PATH_MAX];
	struct server server = {.path = path, .uid = geteuid(), .gid = geteuid() ? getegid() : 0};
	struct view view;
	int ready = -1, status;

	report_command = "mount";
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return usage();
	if (parse(&o, argc, argv) || place_find() || instance_need_built() || check_fuse() ||
	    check_helper() || (o.allow_other && check_allow_other()) || check_point(o.path, path))
		return 1;
	umask(0); /* modes are the callers' */
	prctl(PR_SET_DUMPABLE, 0);
	if (o.background && go_to_background(&ready))
		return 1;
	block_signals();
	store_expect_readers();
	if (instance_lock("mount") || built_read(&built) || kernel_env_init() ||
	    view_open(&view, &built, &o.view))
		return 1;
	server.files = view.fs;
	server.upper = view.upper;
	server.read_only = o.view.read_only;
	status = serve(&server, &o, ready);
	room_end(&server);
	return view_close(&view) || status;
}
