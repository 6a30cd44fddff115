// SPDX-License-Identifier: Apache-2.0
/*
 * Files and trees of an instance. Trees are walked by directory handles and never through symbolic
 * links, so that a link planted in an instance cannot lead a tool elsewhere.
 */
#include "host/occlum/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/le.h"
#include "lib/crypto/sha256.h"

#define COPY_SIZE (256 * 1024)

int path_join(char *to, size_t size, const char *dir, const char *name)
{
	int n = snprintf(to, size, "%s/%s", dir, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

bool file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

bool dir_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int file_open_in_root(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (u64)flags | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0;
	size_t size = 0, room = 4096;
	char *text;
	struct stat st;

	if (fd < 0)
		return -errno;
	text = malloc(room + 1);
	if (!text)
		err = -ENOMEM;
	else if (fstat(fd, &st) < 0)
		err = -errno;
	else if (S_ISDIR(st.st_mode))
		err = -EISDIR;
	while (err == 0) {
		ssize_t n = read(fd, text + size, room - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		size += (size_t)n;
		if (size > max) {
			err = -EFBIG;
		} else if (size == room) {
			char *more = realloc(text, 2 * room + 1);

			if (!more)
				err = -ENOMEM;
			else
				text = more;
			room *= 2;
		}
	}
	close(fd);
	if (err < 0) {
		free(text);
		return err;
	}
	text[size] = '\0';
	*ret = text;
	*ret_size = size;
	return 0;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

/* A new file beside `path`, whose name goes to `temp`. */
static int open_beside(const char *path, char *temp, size_t size, mode_t mode)
{
	int n = snprintf(temp, size, "%s.%ld.tmp", path, (long)getpid()), fd;

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	unlink(temp); /* of a process of this number that was killed */
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

static int finish_beside(int fd, int err, const char *temp, const char *path, mode_t mode)
{
	if (err == 0 && fchmod(fd, mode) < 0)
		err = -errno;
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(temp, path) < 0)
		err = -errno;
	if (err < 0)
		unlink(temp);
	return err;
}

int file_write(const char *path, const void *bytes, size_t size, mode_t mode)
{
	char temp[PATH_MAX];
	int fd = open_beside(path, temp, sizeof(temp), mode);

	if (fd < 0)
		return fd;
	return finish_beside(fd, write_all(fd, bytes, size), temp, path, mode);
}

int file_create(const char *path, const void *bytes, size_t size, mode_t mode)
{
	char temp[PATH_MAX];
	int fd, err;

	if (file_exists(path))
		return -EEXIST;
	fd = open_beside(path, temp, sizeof(temp), mode);
	if (fd < 0)
		return fd;
	err = write_all(fd, bytes, size);
	if (err == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		err = -errno;
	if (close(fd) < 0 && err == 0)
		err = -errno;
	/* Whole or not at all, and never over a file that came in between. */
	if (err == 0 && renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
		err = errno == EINVAL && link(temp, path) == 0 ? 0 : -errno;
	unlink(temp);
	return err;
}

static int copy_bytes(int from, int to)
{
	char *buf = malloc(COPY_SIZE);
	int err = buf ? 0 : -ENOMEM;

	while (err == 0) {
		ssize_t n = read(from, buf, COPY_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		err = write_all(to, buf, (size_t)n);
	}
	free(buf);
	return err;
}

int file_copy(const char *from, const char *to, mode_t mode)
{
	char temp[PATH_MAX];
	int in = open(from, O_RDONLY | O_CLOEXEC), out, err;

	if (in < 0)
		return -errno;
	out = open_beside(to, temp, sizeof(temp), mode);
	if (out < 0) {
		close(in);
		return out;
	}
	err = finish_beside(out, copy_bytes(in, out), temp, to, mode);
	close(in);
	return err;
}

int dir_make(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return len ? -ENAMETOOLONG : -ENOENT;
	for (size_t i = 1; i <= len; i++) {
		struct stat st;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) == 0)
			continue;
		if (errno != EEXIST)
			return -errno;
		if (stat(part, &st) < 0)
			return -errno;
		if (!S_ISDIR(st.st_mode))
			return -ENOTDIR;
	}
	return 0;
}

static DIR *open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir;

	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

/* The next name that is not "." or ".."; NULL at the end or with errno set. */
static const char *next_name(DIR *dir)
{
	struct dirent *e;

	errno = 0;
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return e->d_name;
	}
	return NULL;
}

static int remove_at(int at, const char *name, int depth)
{
	const char *child;
	DIR *dir;
	int err = 0;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth > TREE_DEPTH_MAX)
		return -ELOOP;
	dir = open_dir(at, name);
	/*
	 * It goes, so that it may not be read or written is no reason; where this fails, the next
	 * step says why.
	 */
	if (!dir && errno == EACCES && fchmodat(at, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		dir = open_dir(at, name);
	if (!dir)
		return -errno;
	(void)fchmod(dirfd(dir), 0700);
	while (err == 0 && (child = next_name(dir)) != NULL)
		err = remove_at(dirfd(dir), child, depth + 1);
	if (err == 0 && errno != 0)
		err = -errno;
	closedir(dir);
	if (err == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		err = -errno;
	return err;
}

int tree_remove(const char *path)
{
	return remove_at(AT_FDCWD, path, 0);
}

/* Makes `to_name` of a file that is no directory. */
typedef int copy_fn(int from_at, const char *name, int to_at, const char *to_name,
		    const struct stat *st);

static int walk_at(int from_at, int to_at, const char *name, const char *to_name, copy_fn *copy,
		   int depth);

static int walk_dir(int from_at, int to_at, const char *name, const char *to_name, copy_fn *copy,
		    int depth, mode_t mode)
{
	const char *child;
	DIR *from = open_dir(from_at, name);
	int to, err = 0;

	if (!from)
		return -errno;
	if (mkdirat(to_at, to_name, 0700) < 0) {
		err = -errno;
		closedir(from);
		return err;
	}
	to = openat(to_at, to_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		err = -errno;
	while (err == 0 && (child = next_name(from)) != NULL)
		err = walk_at(dirfd(from), to, child, child, copy, depth + 1);
	if (err == 0 && errno != 0)
		err = -errno;
	if (err == 0 && fchmod(to, mode & 07777) < 0)
		err = -errno;
	if (to >= 0)
		close(to);
	closedir(from);
	return err;
}

static int walk_at(int from_at, int to_at, const char *name, const char *to_name, copy_fn *copy,
		   int depth)
{
	struct stat st;

	if (depth > TREE_DEPTH_MAX)
		return -ELOOP;
	if (fstatat(from_at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return walk_dir(from_at, to_at, name, to_name, copy, depth, st.st_mode);
	return copy(from_at, name, to_at, to_name, &st);
}

static int copy_by_link(int from_at, const char *name, int to_at, const char *to_name,
			const struct stat *st)
{
	return linkat(from_at, name, to_at, to_name, 0) < 0 ? -errno : 0;
}

int tree_link(const char *from, const char *to)
{
	return walk_at(AT_FDCWD, AT_FDCWD, from, to, copy_by_link, 0);
}

static int copy_symlink(int from_at, const char *name, int to_at, const char *to_name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_at, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return symlinkat(target, to_at, to_name) < 0 ? -errno : 0;
}

static int copy_by_value(int from_at, const char *name, int to_at, const char *to_name,
			 const struct stat *st)
{
	int in, out, err;

	if (S_ISLNK(st->st_mode))
		return copy_symlink(from_at, name, to_at, to_name);
	if (!S_ISREG(st->st_mode))
		return 0; /* sockets, pipes and devices have no contents to copy */
	in = openat(from_at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0)
		return -errno;
	out = openat(to_at, to_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	err = out < 0 ? -errno : copy_bytes(in, out);
	if (err == 0 && fchmod(out, st->st_mode & 07777) < 0)
		err = -errno;
	if (out >= 0 && close(out) < 0 && err == 0)
		err = -errno;
	close(in);
	return err;
}

int file_copy_tree(const char *from, const char *to)
{
	return walk_at(AT_FDCWD, AT_FDCWD, from, to, copy_by_value, 0);
}

/* What of a file's state says that it may have changed. */
struct seen {
	le64 dev, ino, size, mtime_sec, ctime_sec, rdev;
	le32 mode, uid, gid, mtime_nsec, ctime_nsec, depth;
};

struct digester {
	struct sha256 s;
	bool is_look; /* leave out what a faithful copy of the tree has not */
	char *where;  /* PATH_MAX: what could not be looked at, put together on the way back */
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static int list_names(DIR *dir, char ***ret_names, size_t *ret_count)
{
	char **names = NULL;
	size_t count = 0, room = 0;
	const char *name;
	int err = 0;

	while ((name = next_name(dir)) != NULL) {
		if (count == room) {
			char **more = reallocarray(names, room ? 2 * room : 64, sizeof(*names));

			if (!more) {
				err = ENOMEM;
				break;
			}
			names = more;
			room = room ? 2 * room : 64;
		}
		names[count] = strdup(name);
		if (!names[count]) {
			err = ENOMEM;
			break;
		}
		count++;
	}
	if (!err)
		err = errno;
	if (err) {
		free_names(names, count);
		return -err;
	}
	if (count > 0)
		qsort(names, count, sizeof(*names), compare_names);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

static int digest_at(struct digester *d, int at, const char *name, int depth);

static int digest_dir(struct digester *d, int at, const char *name, int depth)
{
	DIR *dir = open_dir(at, name);
	size_t count = 0;
	char **names;
	int err;

	if (!dir)
		return -errno;
	err = list_names(dir, &names, &count);
	for (size_t i = 0; err == 0 && i < count; i++)
		err = digest_at(d, dirfd(dir), names[i], depth + 1);
	if (count)
		free_names(names, count);
	closedir(dir);
	return err;
}

/*
 * A copy has other inodes and change times, perhaps other owners; times of folders and links say
 * nothing new.
 */
static void forget_place(struct seen *seen, bool is_file)
{
	const le64 none = le64_put(0);

	seen->dev = seen->ino = seen->ctime_sec = none;
	seen->uid = seen->gid = seen->ctime_nsec = le32_put(0);
	if (!is_file) {
		seen->mtime_sec = none;
		seen->mtime_nsec = le32_put(0);
	}
}

static int digest_link(struct digester *d, int at, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(at, name, target, sizeof(target));

	if (n < 0)
		return -errno;
	sha256_update(&d->s, target, (size_t)n);
	return 0;
}

static int digest_one(struct digester *d, int at, const char *name, int depth)
{
	struct stat st;
	struct seen seen;

	if (depth > TREE_DEPTH_MAX)
		return -ELOOP;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	seen = (struct seen){
		.dev = le64_put(st.st_dev),
		.ino = le64_put(st.st_ino),
		.size = le64_put(S_ISDIR(st.st_mode) ? 0 : (u64)st.st_size),
		.mtime_sec = le64_put((u64)st.st_mtim.tv_sec),
		.ctime_sec = le64_put((u64)st.st_ctim.tv_sec),
		.rdev = le64_put(st.st_rdev),
		.mode = le32_put(st.st_mode),
		.uid = le32_put(st.st_uid),
		.gid = le32_put(st.st_gid),
		.mtime_nsec = le32_put((u32)st.st_mtim.tv_nsec),
		.ctime_nsec = le32_put((u32)st.st_ctim.tv_nsec),
		.depth = le32_put((u32)depth),
	};
	if (d->is_look)
		forget_place(&seen, S_ISREG(st.st_mode));
	sha256_update(&d->s, &seen, sizeof(seen));
	sha256_update(&d->s, name, strlen(name) + 1);
	if (S_ISDIR(st.st_mode))
		return digest_dir(d, at, name, depth);
	if (d->is_look && S_ISLNK(st.st_mode))
		return digest_link(d, at, name);
	return 0; /* a link's target cannot change without its inode */
}

/* Puts `name` before what is there. */
static void put_before(char *where, const char *name)
{
	size_t rest = strlen(where), len = strlen(name), slash = rest > 0;

	if (len + slash + rest >= PATH_MAX)
		return;
	memmove(where + len + slash, where, rest + 1);
	memcpy(where, name, len);
	if (slash)
		where[len] = '/';
}

static int digest_at(struct digester *d, int at, const char *name, int depth)
{
	int err = digest_one(d, at, name, depth);

	if (err)
		put_before(d->where, name);
	return err;
}

static int digest_whole(const char *path, bool is_look, u8 digest[32], char *ret_where)
{
	char where[PATH_MAX] = "";
	struct digester d = {.is_look = is_look, .where = where};
	int err;

	sha256_init(&d.s);
	err = digest_at(&d, AT_FDCWD, path, 0);
	if (err == -ENOENT && !file_exists(path))
		err = 0;
	sha256_final(&d.s, digest);
	if (ret_where)
		memcpy(ret_where, where, sizeof(where));
	return err;
}

int tree_digest(const char *path, u8 digest[32], char *ret_where)
{
	return digest_whole(path, false, digest, ret_where);
}

int tree_look(const char *path, u8 digest[32])
{
	return digest_whole(path, true, digest, NULL);
}
