// SPDX-License-Identifier: Apache-2.0
/*
 * Looks through image/ for what programs will miss at run time: their loader (PT_INTERP) and their
 * libraries (DT_NEEDED), looked up as the loaders do it, inside the tree and never outside; and for
 * programs linked at the same fixed addresses, which take turns when they run at once. Only
 * warnings: a program may bring its own ways of finding things, or run alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/occlum/build.h"
#include "host/occlum/file.h"
#include "host/occlum/report.h"
#include "lib/elf/elf.h"

#define DEPTH_MAX    64
#define WARNINGS_MAX 20
#define NAME_SIZE    512

static const char *const library_path[] = {
	"/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu",
	"/lib",
	"/usr/lib",
	"/lib64",
	"/usr/lib64",
	"/usr/local/lib",
	"/usr/local/lib/x86_64-linux-gnu",
	"/lib/x86_64-linux-musl",
};

/* A program linked at a fixed address. */
struct fixed_program {
	char *path;
	u64 low, high;
	dev_t dev;
	ino_t ino;
};

struct checker {
	int root;
	const char *env_path; /* LD_LIBRARY_PATH of the configuration, or NULL */
	char **told;	      /* names already warned of */
	size_t told_count;
	size_t warnings;
	struct fixed_program *fixed;
	size_t fixed_count;
};

struct program {
	const char *path; /* below the root, with a leading slash */
	char interp[NAME_SIZE];
	char runpath[4096];
};

static bool is_in_image(const struct checker *c, const char *path)
{
	int fd = file_open_in_root(c->root, path, O_PATH);

	if (fd < 0)
		return errno == ENOSYS; /* an old kernel: say nothing rather than wrong things */
	close(fd);
	return true;
}

static bool was_told(struct checker *c, const char *name)
{
	char **more;

	for (size_t i = 0; i < c->told_count; i++) {
		if (strcmp(c->told[i], name) == 0)
			return true;
	}
	more = reallocarray(c->told, c->told_count + 1, sizeof(*more));
	if (!more)
		return true;
	c->told = more;
	c->told[c->told_count] = strdup(name);
	if (c->told[c->told_count])
		c->told_count++;
	return false;
}

static void tell(struct checker *c, const struct program *p, const char *name)
{
	if (was_told(c, name))
		return;
	c->warnings++;
	if (c->warnings <= WARNINGS_MAX)
		warn("'%s' needs '%s', which is not in the image", p->path, name);
}

/* One entry of a search path; "$ORIGIN" is the program's directory. */
static bool is_in_dir(const struct checker *c, const struct program *p, const char *dir, size_t len,
		      const char *name)
{
	static const char *const origins[] = {"$ORIGIN", "${ORIGIN}"};
	const char *slash = strrchr(p->path, '/');
	char path[PATH_MAX];
	int n = -1;

	for (size_t i = 0; i < ARRAY_SIZE(origins); i++) {
		size_t o = strlen(origins[i]);

		if (len >= o && strncmp(dir, origins[i], o) == 0)
			n = snprintf(path, sizeof(path), "%.*s%.*s/%s", (int)(slash - p->path),
				     p->path, (int)(len - o), dir + o, name);
	}
	if (n < 0)
		n = snprintf(path, sizeof(path), "%.*s/%s", (int)len, dir, name);
	return n > 0 && (size_t)n < sizeof(path) && is_in_image(c, path);
}

static bool is_in_path(const struct checker *c, const struct program *p, const char *list,
		       const char *name)
{
	while (list && *list) {
		size_t len = strcspn(list, ":");

		if (len > 0 && is_in_dir(c, p, list, len, name))
			return true;
		list += len + (list[len] == ':');
	}
	return false;
}

static bool library_is_found(const struct checker *c, const struct program *p, const char *name)
{
	if (strchr(name, '/'))
		return is_in_image(c, name);
	/* musl's loader is its own C library under several names. */
	if (strstr(p->interp, "ld-musl") &&
	    (strcmp(name, "libc.so") == 0 || strncmp(name, "libc.musl-", 10) == 0))
		return true;
	if (is_in_path(c, p, p->runpath, name) || is_in_path(c, p, c->env_path, name))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(library_path); i++) {
		if (is_in_dir(c, p, library_path[i], strlen(library_path[i]), name))
			return true;
	}
	/* Libraries often lie beside those that need them, and the program says where. */
	return is_in_dir(c, p, "$ORIGIN", 7, name);
}

static int read_at(void *ctx, void *buf, size_t size, u64 offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n =
			pread(*(int *)ctx, (char *)buf + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static void check_needed(struct checker *c, const struct elf_source *source,
			 const struct elf_header *header, const struct elf_layout *layout,
			 struct program *p)
{
	struct elf_dynamic dynamic;
	char name[NAME_SIZE];

	if (elf_dynamic_read(source, header, layout, &dynamic) < 0)
		return;
	if (elf_string_read(source, dynamic.strings, dynamic.runpath, p->runpath,
			    sizeof(p->runpath)) < 0 &&
	    elf_string_read(source, dynamic.strings, dynamic.rpath, p->runpath,
			    sizeof(p->runpath)) < 0)
		p->runpath[0] = '\0';
	for (u32 i = 0; i < dynamic.needed_count; i++) {
		if (elf_needed_read(source, layout, &dynamic, i, name, sizeof(name)) == 0 &&
		    !library_is_found(c, p, name))
			tell(c, p, name);
	}
}

/* Of several names of one file the first in the alphabet counts. */
static void remember_fixed(struct checker *c, int fd, const char *path,
			   const struct elf_layout *layout)
{
	struct fixed_program *more, p = {.low = layout->low, .high = layout->high};
	struct stat st;
	size_t i = 0;

	if (fstat(fd, &st) < 0)
		return;
	p.dev = st.st_dev;
	p.ino = st.st_ino;
	while (i < c->fixed_count && (c->fixed[i].dev != p.dev || c->fixed[i].ino != p.ino))
		i++;
	if (i < c->fixed_count && strcmp(path, c->fixed[i].path) >= 0)
		return;
	p.path = strdup(path);
	if (!p.path)
		return;
	if (i < c->fixed_count) {
		free(c->fixed[i].path);
		c->fixed[i] = p;
		return;
	}
	more = reallocarray(c->fixed, c->fixed_count + 1, sizeof(*c->fixed));
	if (!more) {
		free(p.path);
		return;
	}
	c->fixed = more;
	c->fixed[c->fixed_count++] = p;
}

static bool overlaps_another(const struct checker *c, size_t of)
{
	const struct fixed_program *a = &c->fixed[of], *b;

	for (size_t i = 0; i < c->fixed_count; i++) {
		b = &c->fixed[i];
		if (i != of && a->low < b->high && b->low < a->high)
			return true;
	}
	return false;
}

/* What Debian has instead of programs that it links at fixed addresses. */
static const char *alternative(const char *path)
{
	static const struct {
		const char *name, *use;
	} known[] = {{"busybox", "Debian's package 'busybox' instead of 'busybox-static'"},
		     {"gawk", "Debian's 'mawk' instead of 'gawk'"}};
	const char *name = strrchr(path, '/') + 1;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, name) == 0)
			return known[i].use;
	}
	return NULL;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct fixed_program *)a)->path,
		      ((const struct fixed_program *)b)->path);
}

/* One warning for all that overlap, and one for each that can be replaced. */
static void tell_fixed(struct checker *c)
{
	const struct fixed_program *first = NULL, *second = NULL;
	size_t count = 0;

	if (c->fixed_count)
		qsort(c->fixed, c->fixed_count, sizeof(*c->fixed), compare_paths);
	for (size_t i = 0; i < c->fixed_count; i++) {
		if (!overlaps_another(c, i))
			continue;
		count++;
		if (!first)
			first = &c->fixed[i];
		else if (!second)
			second = &c->fixed[i];
	}
	if (!second)
		return;
	warn("%zu programs, '%s' and '%s' among them, are linked at the same fixed addresses: "
	     "those of them that run at once take turns; position-independent ones (PIE) need not",
	     count, first->path, second->path);
	for (size_t i = 0; i < c->fixed_count; i++) {
		const char *use = alternative(c->fixed[i].path);

		if (use && overlaps_another(c, i))
			warn("'%s': use %s", c->fixed[i].path, use);
	}
}

/* Files that are no ELF files, or broken ones, are none of our business here. */
static void check_file(struct checker *c, int fd, u64 size, const char *path)
{
	struct elf_source source = {.ctx = &fd, .size = size, .read = read_at};
	struct program p = {.path = path};
	struct elf_header header;
	struct elf_layout layout;

	if (size < ELF_HEADER_SIZE || elf_header_read(&source, &header) < 0 ||
	    elf_layout_read(&source, &header, &layout) < 0)
		return;
	if (header.type == ELF_TYPE_EXEC)
		remember_fixed(c, fd, path, &layout);
	if (elf_interp_read(&source, &layout, p.interp, sizeof(p.interp)) < 0)
		p.interp[0] = '\0';
	else if (!is_in_image(c, p.interp))
		tell(c, &p, p.interp);
	check_needed(c, &source, &header, &layout, &p);
}

static void check_dir(struct checker *c, int fd, const char *path, int depth);

static void check_entry(struct checker *c, int dir, const char *name, const char *path, int depth)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		check_file(c, fd, (u64)st.st_size, path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
		check_dir(c, fd, path, depth + 1); /* closes fd */
	else
		close(fd);
}

static void check_dir(struct checker *c, int fd, const char *path, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		char *child;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    asprintf(&child, "%s/%s", path, e->d_name) < 0)
			continue;
		check_entry(c, dirfd(dir), e->d_name, child, depth);
		free(child);
	}
	closedir(dir);
}

void image_check(const char *tree, const struct occlum_config *config)
{
	struct checker c = {.root = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	int at = config_env_find_default(config, "LD_LIBRARY_PATH=");

	if (c.root < 0)
		return;
	if (at >= 0)
		c.env_path = config->env_default[at] + strlen("LD_LIBRARY_PATH=");
	check_dir(&c, dup(c.root), "", 0);
	if (c.warnings > WARNINGS_MAX)
		warn("%zu more loaders and libraries are not in the image",
		     c.warnings - WARNINGS_MAX);
	tell_fixed(&c);
	for (size_t i = 0; i < c.fixed_count; i++)
		free(c.fixed[i].path);
	free(c.fixed);
	for (size_t i = 0; i < c.told_count; i++)
		free(c.told[i]);
	free(c.told);
	close(c.root);
}

static bool takes_orders(const char *name)
{
	static const char *const patterns[] = {"sh",	  "*ash",    "zsh",   "fish",	"ksh",
					       "busybox", "python*", "perl*", "ruby*",	"lua*",
					       "node*",	  "php*",    "java",  "tclsh*", "env",
					       "awk",	  "gawk",    "mawk",  "gdb"};

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	}
	return false;
}

static bool is_entry_point(const char *path, const struct occlum_config *config)
{
	for (u32 i = 0; i < config->app.entry_point_count; i++) {
		if (strcmp(config->app.entry_points[i], path) == 0)
			return true;
	}
	return false;
}

static void check_program(const char *path, const struct occlum_config *config)
{
	const char *name = strrchr(path, '/') + 1;

	if (!takes_orders(name))
		return;
	for (u32 i = 0; i < config->entry_args_count; i++) {
		if (strcmp(config->entry_args[i].path, path) == 0)
			return;
	}
	warn("entry_points lets the host start '%s' with any arguments; entry_args can restrict "
	     "them",
	     path);
}

void entry_point_check(const char *tree, const char *path, const struct occlum_config *config)
{
	struct checker c = {.root = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	struct dirent *e;
	DIR *dir;
	int fd;

	if (c.root < 0)
		return;
	fd = file_open_in_root(c.root, path, O_RDONLY | O_NONBLOCK);
	close(c.root);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0) {
			close(fd);
			check_program(path, config);
		}
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		char child[PATH_MAX];
		int n = snprintf(child, sizeof(child), "%s/%s", path[1] ? path : "", e->d_name);

		/* What is listed by itself is looked at by itself. */
		if (e->d_type != DT_DIR && n > 0 && (size_t)n < sizeof(child) &&
		    !is_entry_point(child, config))
			check_program(child, config);
	}
	closedir(dir);
}
