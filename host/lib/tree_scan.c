// SPDX-License-Identifier: Apache-2.0
/*
 * Directory walk for the image builder. The list of entries is its own work list: directories are
 * read in the order in which they were found, so no recursion follows the tree's depth. Afterwards
 * it is sorted by path, which puts each directory before what it holds, and hard links are joined.
 */
#define _GNU_SOURCE
#include "host/lib/tree_scan.h"

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

struct walk {
	struct tree tree;
	u32 room;
	u32 shuffle;
	const char *top;
	char *error;
	size_t error_size;
};

__attribute__((format(printf, 3, 4))) static int walk_fail(struct walk *w, int err,
							   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->error, w->error_size, format, args);
	va_end(args);
	return err;
}

/* openat() that neither leaves `dir_fd` nor passes through a symbolic link. */
static int open_beneath(int dir_fd, const char *path, int flags)
{
	struct open_how how = {.flags = (u64)flags | O_CLOEXEC | O_NOFOLLOW,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int fd;

	if (!*path)
		path = ".";
	do
		fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* old kernel, or a seccomp filter */
		fd = openat(dir_fd, path, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static void identity_set(struct tree_identity *id, const struct stat *st)
{
	*id = (struct tree_identity){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (u64)st->st_size,
		.mtime_sec = st->st_mtim.tv_sec,
		.mtime_nsec = (u32)st->st_mtim.tv_nsec,
		.ctime_sec = st->st_ctim.tv_sec,
		.ctime_nsec = (u32)st->st_ctim.tv_nsec,
	};
}

static const char *special_name(u32 mode)
{
	switch (mode & S_IFMT) {
	case S_IFSOCK: return "a socket";
	case S_IFIFO: return "a fifo";
	case S_IFCHR: return "a character device";
	case S_IFBLK: return "a block device";
	default: return "neither file, directory nor link";
	}
}

static struct tree_entry *entry_add(struct walk *w)
{
	if (w->tree.count == TREE_ENTRIES_MAX)
		return NULL;
	if (w->tree.count == w->room) {
		u32 room = w->room ? 2 * w->room : 256;
		struct tree_entry *bigger = reallocarray(w->tree.entries, room, sizeof(*bigger));

		if (!bigger)
			return NULL;
		w->tree.entries = bigger;
		w->room = room;
	}
	memset(&w->tree.entries[w->tree.count], 0, sizeof(*w->tree.entries));
	return &w->tree.entries[w->tree.count];
}

static int link_read(struct walk *w, int dir_fd, const char *name, struct tree_entry *e)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));

	if (len < 0)
		return walk_fail(w, -errno, "cannot read link '%s/%s': %s", w->top, e->path,
				 strerror(errno));
	if (len == 0 || len >= PATH_MAX)
		return walk_fail(w, -ENAMETOOLONG, "the target of link '%s/%s' is too long", w->top,
				 e->path);
	e->target = strndup(target, (size_t)len);
	e->id.size = (u64)len;
	return e->target ? 0 : walk_fail(w, -ENOMEM, "out of memory");
}

static int entry_read(struct walk *w, u32 dir, int dir_fd, const char *name)
{
	struct tree_entry *e = entry_add(w);
	const char *parent = w->tree.entries[dir].path;
	struct stat st;
	int n;

	if (!e)
		return walk_fail(w, -ENOMEM, "out of memory at '%s/%s'", parent, name);
	parent = w->tree.entries[dir].path; /* the array may have moved */
	n = asprintf(&e->path, "%s%s%s", parent, *parent ? "/" : "", name);
	if (n < 0) {
		e->path = NULL;
		return walk_fail(w, -ENOMEM, "out of memory at '%s/%s'", parent, name);
	}
	w->tree.count++; /* tree_fini() frees it from here on */
	if (n >= PATH_MAX)
		return walk_fail(w, -ENAMETOOLONG, "path is longer than %d bytes: '%s/%.200s...'",
				 PATH_MAX - 1, w->top, e->path);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return walk_fail(w, -errno, "cannot stat '%s/%s': %s", w->top, e->path,
				 strerror(errno));
	identity_set(&e->id, &st);
	e->mode = st.st_mode;
	e->uid = st.st_uid;
	e->gid = st.st_gid;
	e->links = (u32)MIN(st.st_nlink, (nlink_t)UINT32_MAX);
	if (S_ISLNK(st.st_mode))
		return link_read(w, dir_fd, name, e);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return walk_fail(w, -EINVAL,
				 "'%s/%s' is %s: an image holds files, directories and links only",
				 w->top, e->path, special_name(st.st_mode));
	return 0;
}

static int dir_read(struct walk *w, u32 index)
{
	const char *path = w->tree.entries[index].path;
	int fd = open_beneath(w->tree.fd, path, O_RDONLY | O_DIRECTORY);
	struct dirent *d;
	DIR *dir;
	int err = 0;

	if (fd < 0)
		return walk_fail(w, fd, "cannot open '%s/%s': %s", w->top, path, strerror(-fd));
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return walk_fail(w, -ENOMEM, "out of memory");
	}
	for (errno = 0; !err && (d = readdir(dir)); errno = 0) {
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			err = entry_read(w, index, fd, d->d_name);
	}
	if (!err && errno)
		err = walk_fail(w, -errno, "cannot read directory '%s/%s': %s", w->top,
				w->tree.entries[index].path, strerror(errno));
	closedir(dir);
	return err;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->path, ((const struct tree_entry *)b)->path);
}

struct same {
	u64 dev, ino;
	u32 index;
};

static int by_inode(const void *a, const void *b)
{
	const struct same *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/* Finds the names of one file: sets `first` and the number of names in the tree. */
static int links_join(struct tree *t)
{
	struct same *all = calloc(t->count, sizeof(*all));
	u32 n = 0;

	if (!all)
		return -ENOMEM;
	for (u32 i = 0; i < t->count; i++) {
		struct tree_entry *e = &t->entries[i];

		e->first = i;
		if (!S_ISDIR(e->mode) && e->links > 1)
			all[n++] = (struct same){e->id.dev, e->id.ino, i};
		e->links = S_ISDIR(e->mode) ? 2 : 1;
	}
	qsort(all, n, sizeof(*all), by_inode);
	for (u32 i = 0, first = 0; i < n; i++) {
		if (all[i].dev != all[first].dev || all[i].ino != all[first].ino)
			first = i;
		if (i == first)
			continue;
		t->entries[all[i].index].first = all[first].index;
		t->entries[all[first].index].links++;
	}
	free(all);
	return 0;
}

static void parents_find(struct tree *t)
{
	for (u32 i = 1; i < t->count; i++) {
		struct tree_entry *e = &t->entries[i], *parent;
		const char *slash = strrchr(e->path, '/');
		char path[PATH_MAX];
		struct tree_entry key = {.path = path};

		snprintf(path, sizeof(path), "%.*s", slash ? (int)(slash - e->path) : 0, e->path);
		parent = bsearch(&key, t->entries, t->count, sizeof(*e), by_path);
		e->parent = parent ? (u32)(parent - t->entries) : 0;
		if (S_ISDIR(e->mode))
			t->entries[e->parent].links++;
	}
}

static void shuffle_entries(struct tree *t, u32 seed)
{
	for (u32 i = t->count - 1; i > 1; i--) {
		u32 j;
		struct tree_entry swap = t->entries[i];

		seed = seed * 1664525 + 1013904223;
		j = 1 + (seed >> 4) % i;
		t->entries[i] = t->entries[j];
		t->entries[j] = swap;
	}
}

static int walk_run(struct walk *w, u64 obj)
{
	struct tree *t = &w->tree;
	struct tree_entry *top = entry_add(w);
	struct stat st;
	int err;

	if (!top)
		return walk_fail(w, -ENOMEM, "out of memory");
	top->path = strdup("");
	t->count = 1;
	if (!top->path || fstat(t->fd, &st))
		return walk_fail(w, -ENOMEM, "cannot stat '%s'", w->top);
	identity_set(&top->id, &st);
	top->mode = st.st_mode;
	top->uid = st.st_uid;
	top->gid = st.st_gid;
	for (u32 i = 0; i < t->count; i++) {
		err = S_ISDIR(t->entries[i].mode) ? dir_read(w, i) : 0;
		if (err)
			return err;
	}
	if (w->shuffle)
		shuffle_entries(t, w->shuffle);
	qsort(t->entries, t->count, sizeof(*t->entries), by_path);
	if (links_join(t))
		return walk_fail(w, -ENOMEM, "out of memory");
	parents_find(t);
	for (u32 i = 0; i < t->count; i++) {
		struct tree_entry *e = &t->entries[i];

		e->obj = e->first == i ? obj++ : t->entries[e->first].obj;
		if (e->first == i && S_ISREG(e->mode))
			t->bytes += e->id.size;
		if (e->links > 65000)
			return walk_fail(w, -EMLINK, "'%s/%s' has more than 65000 links", w->top,
					 e->path);
	}
	return 0;
}

int tree_scan(const char *top, u64 first_obj, u32 shuffle, struct tree *ret_tree, char *error,
	      size_t error_size)
{
	struct walk w = {.shuffle = shuffle, .top = top, .error = error, .error_size = error_size};
	int err;

	w.tree.fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w.tree.fd < 0)
		return walk_fail(&w, -errno, "cannot open '%s': %s", top, strerror(errno));
	err = walk_run(&w, first_obj);
	if (err) {
		tree_fini(&w.tree);
		return err;
	}
	*ret_tree = w.tree;
	ret_tree->top = top;
	return 0;
}

void tree_fini(struct tree *tree)
{
	for (u32 i = 0; i < tree->count; i++) {
		free(tree->entries[i].path);
		free(tree->entries[i].target);
	}
	free(tree->entries);
	if (tree->fd >= 0)
		close(tree->fd);
	*tree = (struct tree){.fd = -1};
}

int tree_open(const struct tree *tree, const struct tree_entry *entry)
{
	return open_beneath(tree->fd, entry->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

int tree_identify(int fd, struct tree_identity *ret_id)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	identity_set(ret_id, &st);
	return 0;
}

const char *tree_name(const struct tree_entry *entry)
{
	const char *slash = strrchr(entry->path, '/');

	return slash ? slash + 1 : entry->path;
}
