// SPDX-License-Identifier: Apache-2.0
/*
 * extract: a part of a view becomes files of the host. Nothing that is there is replaced, no link
 * is followed, and what could act on the host (set-id bits, attributes other than user.*, devices,
 * and owners for users other than root) is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/mount/image.h"
#include "host/occlum/report.h"

#define DEPTH_MAX  512
#define CHUNK_SIZE MIB(1)

/* A file of several names, to be linked when it comes again. */
struct seen {
	u64 ino;
	char *path; /* on the host, below `to` */
};

struct extract {
	struct seen *seen;
	size_t seen_count;
	int to;		    /* the folder on the host below which all is made */
	const char *folder; /* its name, with the slash */
	u64 bytes, count;
	u8 *buf;
	int status;
};

static void fail(struct extract *x, int err, const char *path)
{
	image_progress_end();
	if (err == -EBADMSG || err == -EUCLEAN)
		x->status = complain("damaged: '%s%s'; the rest is extracted", x->folder, path);
	else if (err == -EEXIST)
		x->status = complain("'%s%s' exists, and nothing is replaced; name a new path",
				     x->folder, path);
	else
		x->status = complain_errno(err, "cannot extract '%s%s'", x->folder, path);
}

static void leave_out(const char *path)
{
	image_progress_end();
	warn("'%s' is a device, fifo or socket and is not extracted", path);
}

static int extract_bytes(struct extract *x, struct node *n, int fd, u64 size)
{
	u64 offset = 0;

	while (offset < size) {
		u64 data = offset;
		long got;
		ssize_t put;
		int err = node_seek(n, offset, false, &data);

		if (err == -ENXIO)
			break; /* a hole to the end */
		offset = err ? offset : MAX(data, offset);
		got = node_read(n, x->buf, CHUNK_SIZE, offset);
		if (got <= 0)
			return got ? (int)got : -EIO;
		put = pwrite(fd, x->buf, (size_t)got, (off_t)offset);
		if (put != got)
			return put < 0 ? -errno : -ENOSPC;
		offset += (u64)got;
		x->bytes += (u64)got;
		image_progress_count("extract", x->count, x->bytes);
	}
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static void extract_xattrs(struct node *n, int fd)
{
	char names[4096], value[2048];
	long size = node_listxattr(n, names, sizeof(names));

	for (char *at = names; size > 0 && at < names + size; at += strlen(at) + 1) {
		long len = node_getxattr(n, at, value, sizeof(value));

		/* Others would act on the host: capabilities, labels. */
		if (len >= 0 && strncmp(at, "user.", 5) == 0 &&
		    fsetxattr(fd, at, value, (size_t)len, 0) < 0)
			return; /* the host's file system has none */
	}
}

/* Owners only where root asks for it; set-id bits never: the files are data here. */
static int set_attributes(int fd, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) < 0)
		return -errno;
	if (fchmod(fd, st->st_mode & 01777) < 0 || futimens(fd, times) < 0)
		return -errno;
	return 0;
}

static bool link_seen(struct extract *x, int dir, const char *name, const struct stat *st)
{
	for (size_t i = 0; i < x->seen_count; i++) {
		if (x->seen[i].ino == st->st_ino)
			return linkat(x->to, x->seen[i].path, dir, name, 0) == 0;
	}
	return false;
}

static void remember(struct extract *x, const char *path, const struct stat *st)
{
	struct seen *more = reallocarray(x->seen, x->seen_count + 1, sizeof(*more));

	if (!more)
		return; /* the next name becomes a file of its own */
	x->seen = more;
	more[x->seen_count].ino = st->st_ino;
	more[x->seen_count].path = strdup(path);
	if (more[x->seen_count].path)
		x->seen_count++;
}

static int extract_file(struct extract *x, struct node *n, int dir, const char *name,
			const char *path, const struct stat *st)
{
	int fd, err;

	if (st->st_nlink > 1 && link_seen(x, dir, name, st))
		return 0;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = extract_bytes(x, n, fd, (u64)st->st_size);
	extract_xattrs(n, fd);
	if (!err)
		err = set_attributes(fd, st);
	if (close(fd) < 0 && !err)
		err = -errno;
	if (err)
		unlinkat(dir, name, 0);
	else if (st->st_nlink > 1)
		remember(x, path, st);
	return err;
}

static int extract_link(struct node *n, int dir, const char *name)
{
	char target[PATH_MAX];
	long len = node_readlink(n, target, sizeof(target) - 1);

	if (len < 0)
		return (int)len;
	target[len] = 0;
	return symlinkat(target, dir, name) < 0 ? -errno : 0;
}

static void extract_node(struct extract *x, struct node *n, int dir, const char *name,
			 const char *path, int depth);

static int extract_dir(struct extract *x, struct node *n, int dir, const char *name,
		       const char *path, const struct stat *st, int depth)
{
	struct names names;
	int fd, err;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	err = names_read(n, &names);
	if (err)
		return err;
	if (mkdirat(dir, name, 0700) < 0) {
		err = -errno;
		names_free(&names);
		return err;
	}
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	err = fd < 0 ? -errno : 0;
	for (size_t i = 0; !err && i < names.count; i++) {
		struct node *child;
		char *below;

		if (asprintf(&below, "%s/%s", path, names.name[i]) < 0)
			err = -ENOMEM;
		if (err)
			break;
		err = node_lookup(n, names.name[i], &child);
		if (!err) {
			extract_node(x, child, fd, names.name[i], below, depth + 1);
			node_put(child, 1);
		} else {
			fail(x, err, below);
			err = 0;
		}
		free(below);
	}
	names_free(&names);
	if (!err) {
		extract_xattrs(n, fd);
		err = set_attributes(fd, st);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static void extract_node(struct extract *x, struct node *n, int dir, const char *name,
			 const char *path, int depth)
{
	struct stat st;
	int err = node_stat(n, &st);

	if (!err && S_ISREG(st.st_mode))
		err = extract_file(x, n, dir, name, path, &st);
	else if (!err && S_ISDIR(st.st_mode))
		err = extract_dir(x, n, dir, name, path, &st, depth);
	else if (!err && S_ISLNK(st.st_mode))
		err = extract_link(n, dir, name);
	else if (!err)
		leave_out(path);
	if (err)
		fail(x, err, path);
	else
		x->count++;
	image_progress_count("extract", x->count, x->bytes);
}

int image_extract(struct image_command *c)
{
	const char *path = c->arguments[0];
	char *to = c->arguments[1], *slash, folder[PATH_MAX] = "";
	struct extract x = {.buf = malloc(CHUNK_SIZE), .folder = folder};
	struct node *n;
	struct view v;
	size_t len = strlen(to);
	int err;

	if (!x.buf)
		return complain("out of memory");
	while (len > 1 && to[len - 1] == '/')
		to[--len] = 0;
	slash = strrchr(to, '/');
	if (!len || strcmp(slash ? slash + 1 : to, ".") == 0 ||
	    strcmp(slash ? slash + 1 : to, "..") == 0 || (slash && !slash[1]))
		return complain("the new path is to end in a name, not as '%s'", to);
	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash + 1 - to), to);
	if (slash)
		*slash = 0;
	x.to = open(slash ? (slash == to ? "/" : to) : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x.to < 0)
		return complain_errno(errno, "cannot open '%s', the folder of the new path",
				      folder);
	if (view_open(&v, &c->built, &c->view))
		return 1;
	err = image_walk(&v, path, true, &n);
	if (err)
		return complain_errno(err, "cannot extract '%s'", path);
	extract_node(&x, n, x.to, slash ? slash + 1 : to, slash ? slash + 1 : to, 0);
	node_put(n, 1);
	image_progress_end();
	if (c->json)
		printf("{\"objects\": %llu, \"bytes\": %llu, \"complete\": %s}\n",
		       (unsigned long long)x.count, (unsigned long long)x.bytes,
		       x.status ? "false" : "true");
	else if (!x.status)
		fprintf(stderr, "%llu bytes extracted\n", (unsigned long long)x.bytes);
	for (size_t i = 0; i < x.seen_count; i++)
		free(x.seen[i].path);
	free(x.seen);
	free(x.buf);
	close(x.to);
	return x.status;
}
