// SPDX-License-Identifier: Apache-2.0
/*
 * The lock is flock() on a file that stays: the kernel drops it with the last descriptor, however
 * the holder ends, so there are no stale locks; the pid inside is for the message only. The folder
 * may be prepared by somebody else: what lies in the file's place is opened without waiting and
 * without following, and written only when it is a plain file with this one name.
 */
#define _GNU_SOURCE
#include "host/lib/instance_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int lock_open(const char *folder, int flags)
{
	char path[PATH_MAX];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/" INSTANCE_LOCK, folder), fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
		return fd;
	close(fd);
	return -ENXIO;
}

/* Where nobody can write, the name in the file is that of somebody who has gone. */
static bool is_old_name(int fd, long pid)
{
	struct statvfs s;

	return fstatvfs(fd, &s) == 0 && (s.f_flag & ST_RDONLY) && kill((pid_t)pid, 0) < 0 &&
	       errno == ESRCH;
}

/* pid 0: not known. */
static struct instance_holder read_holder(int fd)
{
	struct instance_holder h = {.pid = 0};
	char text[64] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) > 0 &&
	    sscanf(text, "%ld %15[a-z]", &h.pid, h.what) < 1)
		h.pid = 0;
	if (h.pid > 0 && is_old_name(fd, h.pid))
		h = (struct instance_holder){.pid = 0};
	return h;
}

/* How /proc/self/mountinfo shows the instance as the source of `occlum mount`. */
static bool mount_source(const char *folder, char *text, size_t size)
{
	char path[PATH_MAX];
	size_t len = 0;

	if (!realpath(folder, path))
		return false;
	for (const char *c = path; *c && len + 5 < size; c++) {
		if (*c == ' ' || *c == '\t' || *c == '\n')
			len += (size_t)snprintf(text + len, size - len, "\\%03o", *c);
		else
			text[len++] = *c == ',' || *c == '\\' ? '_' : *c;
	}
	text[len] = 0;
	return true;
}

static bool is_mounted(const char *folder)
{
	char line[3 * PATH_MAX], source[2 * PATH_MAX], found[2 * PATH_MAX];
	bool mounted = false;
	FILE *f;

	if (!mount_source(folder, source, sizeof(source)))
		return true;
	f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return true;
	while (!mounted && fgets(line, sizeof(line), f)) {
		const char *tail = strstr(line, " - fuse.occlum ");

		mounted = tail && sscanf(tail, " - fuse.occlum %8191s", found) == 1 &&
			  strcmp(found, source) == 0;
	}
	fclose(f);
	return mounted;
}

/* A mount shows itself where it could not write its name. */
static void find_mount(struct instance_holder *h, const char *folder)
{
	if (h->pid <= 0 && is_mounted(folder))
		memcpy(h->what, "mount", sizeof("mount"));
}

static void say_holder(int fd, const char *folder, char *text, size_t size)
{
	struct instance_holder h = read_holder(fd);

	/* Who has just taken the lock writes its name in a moment. */
	for (int i = 0; h.pid <= 0 && i < 50; i++) {
		usleep(10000);
		h = read_holder(fd);
	}
	find_mount(&h, folder);
	if (h.pid <= 0 && h.what[0])
		snprintf(text, size,
			 "the instance is in use by another process (occlum mount). Need to "
			 "unmount it first: umount, or Ctrl-C there.");
	else if (h.pid <= 0)
		snprintf(text, size,
			 "the instance is in use by another process. Need to wait for the process "
			 "to finish or kill it first.");
	else if (strcmp(h.what, "mount") == 0)
		snprintf(text, size,
			 "the instance is in use by process %ld (occlum mount). Need to unmount it "
			 "first: umount, or Ctrl-C there.",
			 h.pid);
	else
		snprintf(text, size,
			 "the instance is in use by process %ld (occlum %s). Need to wait for the "
			 "process to finish or kill it first.",
			 h.pid, h.what);
}

/*
 * `umount` returns before the server behind it has committed and gone: who comes next waits for
 * that instead of being refused. A server that has not mounted yet is waited for as well, and then
 * found mounted. Who has no name in the file (it is read-only, or the disk is full) may be one.
 */
static int lock_exclusively(int fd, const char *folder)
{
	struct instance_holder h;

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		h = read_holder(fd);
		if ((h.pid && strcmp(h.what, "mount") != 0) || is_mounted(folder) ||
		    i == (h.pid ? 1000 : 200))
			return -EWOULDBLOCK;
		usleep(10000);
	}
	return 0;
}

static int cut_to(int fd, off_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	return st.st_size > size ? ftruncate(fd, size) : 0;
}

static bool is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}

int instance_lock_take(const char *folder, const char *what, int *ret_fd, char *text,
		       size_t text_size)
{
	int fd = lock_open(folder, O_RDWR | O_CREAT), err = 0, len;
	bool read_only = fd == -EROFS; /* the lock holds there too, without a name in it */
	char line[64];

	if (read_only)
		fd = lock_open(folder, O_RDONLY);

	if (fd < 0) {
		snprintf(text, text_size, "cannot open " INSTANCE_LOCK ": %s",
			 fd == -ENXIO ? "it is not a plain file; remove it" : strerror(-fd));
		return fd;
	}
	err = lock_exclusively(fd, folder);
	if (err) {
		err = err == -EWOULDBLOCK ? -EBUSY : err;
		if (err == -EBUSY)
			say_holder(fd, folder, text, text_size);
		else
			snprintf(text, text_size, "cannot lock " INSTANCE_LOCK ": %s",
				 strerror(-err));
		goto fail;
	}
	if (read_only) {
		*ret_fd = fd;
		return 0;
	}
	len = snprintf(line, sizeof(line), "%ld %s\n", (long)getpid(), what);
	/* Cutting it to nothing first would wait for the disk on some file systems. */
	if (pwrite(fd, line, (size_t)len, 0) != len || cut_to(fd, len) < 0) {
		err = errno ? -errno : -EIO;
		if (is_full(err) && cut_to(fd, 0) == 0) { /* held, without a name in it */
			*ret_fd = fd;
			return 0;
		}
		snprintf(text, text_size, "cannot write " INSTANCE_LOCK ": %s", strerror(-err));
		goto fail;
	}
	*ret_fd = fd;
	return 0;
fail:
	close(fd);
	return err;
}

bool instance_lock_is_held(const char *folder, struct instance_holder *ret)
{
	int fd = lock_open(folder, O_RDONLY);
	bool held;

	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	if (held) {
		*ret = read_holder(fd);
		find_mount(ret, folder);
	}
	close(fd);
	return held;
}
