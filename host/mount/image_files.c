// SPDX-License-Identifier: Apache-2.0
/* ls and cat: files of a view, by path. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/mount/image.h"
#include "host/occlum/report.h"

#define LINKS_MAX  40
#define DEPTH_MAX  512
#define CHUNK_SIZE MIB(1)

/* ---- paths ---- */

struct walk {
	struct node *at[DEPTH_MAX]; /* from the root down, all counted */
	int depth;
	char rest[2 * PATH_MAX];
	int links;
};

static void walk_up(struct walk *w, int depth)
{
	while (w->depth > depth)
		node_put(w->at[w->depth--], 1);
}

/* Puts a link's target before what is left of the path. */
static int take_link(struct walk *w, struct node *link)
{
	char target[2 * PATH_MAX], rest[2 * PATH_MAX];
	long len = node_readlink(link, target, PATH_MAX - 1);
	int n;

	if (len < 0)
		return (int)len;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	target[len] = 0;
	n = snprintf(rest, sizeof(rest), "%s/%s", target, w->rest);
	if (n < 0 || (size_t)n >= sizeof(rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, rest, (size_t)n + 1);
	if (target[0] == '/')
		walk_up(w, 0);
	return 0;
}

static int walk_step(struct walk *w, const char *name, bool follow)
{
	struct node *n;
	struct stat st;
	int err;

	if (strcmp(name, "..") == 0) {
		walk_up(w, w->depth ? w->depth - 1 : 0);
		return 0;
	}
	err = node_lookup(w->at[w->depth], name, &n);
	if (!err)
		err = node_stat(n, &st);
	if (err)
		return err;
	if (S_ISLNK(st.st_mode) && (follow || w->rest[strspn(w->rest, "/")])) {
		err = take_link(w, n);
		node_put(n, 1);
		return err;
	}
	if (w->depth + 1 == DEPTH_MAX) {
		node_put(n, 1);
		return -ENAMETOOLONG;
	}
	w->at[++w->depth] = n;
	return 0;
}

int image_walk(struct view *v, const char *path, bool follow, struct node **ret)
{
	struct walk *w = calloc(1, sizeof(*w));
	int err = 0;

	if (!w)
		return -ENOMEM;
	if (strlen(path) >= PATH_MAX) {
		free(w);
		return -ENAMETOOLONG;
	}
	memcpy(w->rest, path, strlen(path) + 1);
	w->at[0] = files_root(v->fs);
	while (!err) {
		char name[256], *at = w->rest + strspn(w->rest, "/");
		size_t len = strcspn(at, "/");

		if (!len)
			break;
		if (len > 255) {
			err = -ENAMETOOLONG;
			break;
		}
		memcpy(name, at, len);
		name[len] = 0;
		memmove(w->rest, at + len, strlen(at + len) + 1);
		if (strcmp(name, ".") != 0)
			err = walk_step(w, name, follow);
	}
	if (!err)
		*ret = node_get(w->at[w->depth]);
	walk_up(w, 0);
	node_put(w->at[0], 1);
	free(w);
	return err;
}

/* ---- directories ---- */

static int add_name(void *arg, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
	struct names *n = arg;

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	if (n->count == n->room) {
		size_t room = n->room ? 2 * n->room : 64;
		char **more = reallocarray(n->name, room, sizeof(*more));

		if (!more)
			return 1;
		n->name = more;
		n->room = room;
	}
	n->name[n->count] = strndup(name, len);
	if (!n->name[n->count])
		return 1;
	n->count++;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int names_read(struct node *dir, struct names *ret)
{
	struct listing *l;
	int err = listing_open(dir, &l);

	memset(ret, 0, sizeof(*ret));
	if (err)
		return err;
	err = listing_read(l, 0, add_name, ret);
	listing_close(l);
	if (err) {
		names_free(ret);
		return err;
	}
	if (ret->count)
		qsort(ret->name, ret->count, sizeof(*ret->name), by_bytes);
	return 0;
}

void names_free(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
	memset(n, 0, sizeof(*n));
}

/* ---- ls ---- */

struct list {
	struct image_command *c;
	bool any;
	int status;
};

static void mode_text(u32 mode, char text[11])
{
	static const char types[] = "?pc?d?b?-?l?s???", bits[] = "rwxrwxrwx";

	text[0] = types[(mode >> 12) & 15];
	for (int i = 0; i < 9; i++)
		text[i + 1] = mode & (0400u >> i) ? bits[i] : '-';
	if (mode & S_ISUID)
		text[3] = mode & 0100 ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = mode & 0010 ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = mode & 0001 ? 't' : 'T';
	text[10] = 0;
}

static void print_entry(struct list *l, struct node *n, const char *path, const struct stat *st)
{
	char mode[11], when[32], target[PATH_MAX] = "";
	struct tm tm;
	long len = S_ISLNK(st->st_mode) ? node_readlink(n, target, sizeof(target) - 1) : 0;

	target[len > 0 ? len : 0] = 0;
	mode_text(st->st_mode, mode);
	if (l->c->json) {
		printf("%s\n  {\"path\": ", l->any ? "," : "");
		print_json(path, strlen(path));
		printf(", \"mode\": \"%s\", \"octal\": \"%o\", \"uid\": %u, \"gid\": %u, "
		       "\"links\": "
		       "%lu, \"size\": %lld, \"mtime\": %lld",
		       mode, st->st_mode & 07777, st->st_uid, st->st_gid,
		       (unsigned long)st->st_nlink, (long long)st->st_size,
		       (long long)st->st_mtim.tv_sec);
		if (len > 0) {
			printf(", \"target\": ");
			print_json(target, (size_t)len);
		}
		putchar('}');
	} else if (l->c->is_long) {
		gmtime_r(&st->st_mtim.tv_sec, &tm);
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
		inform("%s %3lu %5u %5u %12lld %s %s%s%s", mode, (unsigned long)st->st_nlink,
		       st->st_uid, st->st_gid, (long long)st->st_size, when, path,
		       len > 0 ? " -> " : "", target);
	} else {
		inform("%s", path);
	}
	l->any = true;
}

static void list_dir(struct list *l, struct node *dir, const char *path, int depth)
{
	struct names names;
	int err = names_read(dir, &names);

	if (err) {
		l->status = complain_errno(err, "cannot list '%s'", path);
		return;
	}
	for (size_t i = 0; i < names.count; i++) {
		struct node *n;
		struct stat st;
		char *child;

		if (asprintf(&child, "%s%s%s", path, *path ? "/" : "", names.name[i]) < 0) {
			l->status = complain("out of memory");
			break;
		}
		err = node_lookup(dir, names.name[i], &n);
		if (err) {
			l->status = complain_errno(err, "cannot look at '%s'", child);
			free(child);
			continue;
		}
		err = node_stat(n, &st);
		if (err)
			l->status = complain_errno(err, "cannot look at '%s'", child);
		else
			print_entry(l, n, child, &st);
		if (!err && l->c->recursive && S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			list_dir(l, n, child, depth + 1);
		node_put(n, 1);
		free(child);
	}
	names_free(&names);
}

int image_ls(struct image_command *c)
{
	struct list l = {.c = c};
	const char *path = c->count ? c->arguments[0] : "/";
	struct node *n;
	struct stat st;
	struct view v;
	int err;

	if (view_open(&v, &c->built, &c->view))
		return 1;
	err = image_walk(&v, path, true, &n);
	if (!err)
		err = node_stat(n, &st);
	if (err)
		return complain_errno(err, "cannot look at '%s'", path);
	if (c->json)
		printf("[");
	if (S_ISDIR(st.st_mode))
		list_dir(&l, n, "", 0);
	else
		print_entry(&l, n, path, &st);
	if (c->json)
		printf("\n]\n");
	node_put(n, 1);
	return l.status;
}

/* ---- cat ---- */

static int write_all(int fd, const u8 *bytes, size_t size)
{
	while (size) {
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

static int cat_one(struct view *v, const char *path, u8 *buf)
{
	struct node *n;
	u64 offset = 0;
	long got = 0;
	int err = image_walk(v, path, true, &n);

	if (err)
		return complain_errno(err, "cannot read '%s'", path);
	while (!err && (got = node_read(n, buf, CHUNK_SIZE, offset)) > 0) {
		err = write_all(STDOUT_FILENO, buf, (size_t)got);
		offset += (u64)got;
	}
	node_put(n, 1);
	if (err)
		return complain_errno(err, "cannot write the output");
	if (got == -EBADMSG || got == -EUCLEAN)
		return complain("damaged: '%s' at byte %llu; other files can still be read", path,
				(unsigned long long)offset);
	return got < 0 ? complain_errno((int)got, "cannot read '%s'", path) : 0;
}

int image_cat(struct image_command *c)
{
	u8 *buf = malloc(CHUNK_SIZE);
	struct view v;
	int status = 0;

	if (!buf)
		return complain("out of memory");
	if (view_open(&v, &c->built, &c->view)) {
		free(buf);
		return 1;
	}
	for (int i = 0; i < c->count; i++)
		status |= cat_one(&v, c->arguments[i], buf);
	free(buf);
	return status;
}
