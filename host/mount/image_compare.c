// SPDX-License-Identifier: Apache-2.0
/* diff: two states of an instance's files, side by side; and the snapshots that name states. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/mount/image.h"
#include "host/occlum/report.h"

#define CHUNK_SIZE MIB(1)
#define DEPTH_MAX  512

struct diff {
	bool json, any;
	u64 objects, bytes; /* compared */
	u8 *a, *b;
	int status;
};

static void tell(struct diff *d, const char *what, const char *path)
{
	image_progress_end();
	if (d->json) {
		printf("%s\n  {\"change\": \"%s\", \"path\": ", d->any ? "," : "", what);
		print_json(path, strlen(path));
		putchar('}');
	} else {
		inform("%-8s %s", what, path);
	}
	d->any = true;
}

static void fail(struct diff *d, int err, const char *path)
{
	image_progress_end();
	if (err == -EBADMSG || err == -EUCLEAN)
		d->status = complain("damaged: '%s'", path);
	else
		d->status = complain_errno(err, "cannot compare '%s'", path);
}

static int same_bytes(struct diff *d, struct node *a, struct node *b, u64 size, bool *ret)
{
	*ret = true;
	for (u64 at = 0; at < size && *ret;) {
		long n = node_read(a, d->a, CHUNK_SIZE, at), m = node_read(b, d->b, CHUNK_SIZE, at);

		if (n <= 0 || m <= 0)
			return n < 0 ? (int)n : m < 0 ? (int)m : -EIO;
		*ret = n == m && memcmp(d->a, d->b, (size_t)n) == 0;
		at += (u64)n;
		d->bytes += (u64)n;
		image_progress_count("diff", d->objects, d->bytes);
	}
	return 0;
}

/* What is another in the second: NULL for nothing. */
static const char *difference(struct diff *d, struct node *a, struct node *b, const struct stat *x,
			      const struct stat *y, int *ret_err)
{
	char to_a[PATH_MAX], to_b[PATH_MAX];
	bool same = true;

	*ret_err = 0;
	if ((x->st_mode & S_IFMT) != (y->st_mode & S_IFMT))
		return "type";
	if (S_ISREG(x->st_mode)) {
		if (x->st_size != y->st_size)
			return "content";
		*ret_err = same_bytes(d, a, b, (u64)x->st_size, &same);
	} else if (S_ISLNK(x->st_mode)) {
		long n = node_readlink(a, to_a, sizeof(to_a));

		same = n == node_readlink(b, to_b, sizeof(to_b)) && n >= 0 &&
		       memcmp(to_a, to_b, (size_t)n) == 0;
	}
	if (!same)
		return "content";
	if (x->st_mode != y->st_mode || x->st_uid != y->st_uid || x->st_gid != y->st_gid ||
	    x->st_rdev != y->st_rdev)
		return "mode";
	return NULL;
}

static void compare_dirs(struct diff *d, struct node *a, struct node *b, const char *path,
			 int depth);

static void compare(struct diff *d, struct node *a, struct node *b, const char *path, int depth)
{
	struct stat x, y;
	const char *what;
	int err = node_stat(a, &x);

	d->objects++;
	image_progress_count("diff", d->objects, d->bytes);
	if (!err)
		err = node_stat(b, &y);
	what = err ? NULL : difference(d, a, b, &x, &y, &err);
	if (err)
		fail(d, err, path);
	if (what)
		tell(d, what, path);
	if (!err && S_ISDIR(x.st_mode) && S_ISDIR(y.st_mode) && depth < DEPTH_MAX)
		compare_dirs(d, a, b, path, depth + 1);
}

static void compare_entry(struct diff *d, struct node *a, struct node *b, const char *in_a,
			  const char *in_b, const char *path, int depth)
{
	struct node *x, *y;
	int err;

	if (!in_b || !in_a) {
		tell(d, in_a ? "deleted" : "added", path);
		return;
	}
	err = node_lookup(a, in_a, &x);
	if (!err) {
		err = node_lookup(b, in_b, &y);
		if (!err) {
			compare(d, x, y, path, depth);
			node_put(y, 1);
		}
		node_put(x, 1);
	}
	if (err)
		fail(d, err, path);
}

static void compare_dirs(struct diff *d, struct node *a, struct node *b, const char *path,
			 int depth)
{
	struct names x, y = {0};
	int err = names_read(a, &x);

	if (!err)
		err = names_read(b, &y);
	if (err) {
		image_progress_end();
		d->status = complain_errno(err, "cannot list '%s'", *path ? path : "/");
	}
	for (size_t i = 0, k = 0; !err && (i < x.count || k < y.count);) {
		int c = i == x.count ? 1 : k == y.count ? -1 : strcmp(x.name[i], y.name[k]);
		const char *in_a = c <= 0 ? x.name[i++] : NULL;
		const char *in_b = c >= 0 ? y.name[k++] : NULL;
		char *child;

		if (asprintf(&child, "%s/%s", path, in_a ? in_a : in_b) < 0) {
			d->status = complain("out of memory");
			break;
		}
		compare_entry(d, a, b, in_a, in_b, child, depth);
		free(child);
	}
	names_free(&x);
	names_free(&y);
}

static int open_state(struct view *v, struct image_command *c, const char *name)
{
	struct view_options o = c->view;

	o.layer = strcmp(name, "image") == 0 ? VIEW_IMAGE : VIEW_UNION;
	if (o.layer == VIEW_UNION && strcmp(name, "present") != 0)
		o.snapshot = name;
	return view_open(v, &c->built, &o);
}

int image_diff(struct image_command *c)
{
	struct diff d = {.json = c->json, .a = malloc(CHUNK_SIZE), .b = malloc(CHUNK_SIZE)};
	struct node *a, *b;
	struct view x, y;

	if (!d.a || !d.b)
		return complain("out of memory");
	if (open_state(&x, c, c->count > 0 ? c->arguments[0] : "image") ||
	    open_state(&y, c, c->count > 1 ? c->arguments[1] : "present"))
		return 1;
	a = files_root(x.fs);
	b = files_root(y.fs);
	if (c->json)
		printf("[");
	compare_dirs(&d, a, b, "", 0);
	image_progress_end();
	if (c->json)
		printf("\n]\n");
	node_put(a, 1);
	node_put(b, 1);
	free(d.a);
	free(d.b);
	return d.status;
}

/* ---- snapshots ---- */

static int list_snapshots(struct image_command *c, struct secvol *sv)
{
	long count = secvol_snapshot_list(sv, NULL, 0);
	struct secvol_snapshot *list = calloc(count > 0 ? (size_t)count : 1, sizeof(*list));

	if (!list)
		return complain("out of memory");
	if (count > 0)
		count = secvol_snapshot_list(sv, list, (size_t)count);
	if (count < 0) {
		free(list);
		return complain_errno((int)count, "cannot list the snapshots");
	}
	if (c->json)
		printf("[");
	for (long i = 0; i < count; i++) {
		char when[32];
		struct tm tm;

		gmtime_r(&list[i].created, &tm);
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
		if (c->json) {
			printf("%s\n  {\"name\": ", i ? "," : "");
			print_json(list[i].name, strlen(list[i].name));
			printf(", \"generation\": %llu, \"created\": %lld, \"files\": %llu}",
			       (unsigned long long)list[i].gen, (long long)list[i].created,
			       (unsigned long long)list[i].files);
		} else {
			inform("%s  generation %llu  %llu files  %s", when,
			       (unsigned long long)list[i].gen, (unsigned long long)list[i].files,
			       list[i].name);
		}
	}
	if (c->json)
		printf("\n]\n");
	free(list);
	return 0;
}

static void say_changed(struct secvol *sv, const char *what, const char *name)
{
	struct secvol_info info;

	secvol_info(sv, &info);
	printf("{\"change\": \"%s\", \"name\": ", what);
	print_json(name, strlen(name));
	printf(", \"generation\": %llu}\n", (unsigned long long)info.gen);
}

static int change_snapshots(struct view *v, const char *what, const char *name, bool json)
{
	struct secvol *sv = view_secvol(v->upper);
	size_t len = strlen(name);
	int err;

	if (strcmp(what, "create") == 0) {
		if (strcmp(name, "image") == 0 || strcmp(name, "present") == 0)
			return complain("'%s' has a meaning for diff; choose another name", name);
		if (!len || len > SECVOL_NAME_MAX || strchr(name, '/') || strcmp(name, ".") == 0 ||
		    strcmp(name, "..") == 0)
			return complain("'%s' cannot be the name of a snapshot: 1 to %u bytes "
					"without a slash, not . or ..",
					name, SECVOL_NAME_MAX);
		err = secvol_snapshot_create(sv, name, len);
	} else if (strcmp(what, "delete") == 0) {
		err = secvol_snapshot_delete(sv, name, len);
	} else {
		/* Nobody may hold an object of what is given up, not even its root. */
		files_drop_root(v->fs);
		err = secvol_snapshot_rollback(sv, name, len);
	}
	if (!err && json)
		say_changed(sv, what, name);
	switch (err) {
	case 0: return 0;
	case -EEXIST: return complain("there is a snapshot '%s' already", name);
	case -ENOENT: return complain("there is no snapshot '%s'", name);
	case -EBUSY:
		return complain("'%s' is not the newest snapshot; delete the newer ones first",
				name);
	default: return complain_errno(err, "cannot %s the snapshot '%s'", what, name);
	}
}

int image_snapshot(struct image_command *c)
{
	const char *what = c->arguments[0];
	bool list = strcmp(what, "list") == 0;
	struct view v;
	int status;

	if (!list && strcmp(what, "create") != 0 && strcmp(what, "delete") != 0 &&
	    strcmp(what, "rollback") != 0)
		return complain("snapshot takes list, create, delete or rollback, not '%s'", what);
	if (c->count != (list ? 1 : 2))
		return complain(list ? "snapshot list takes no name" : "snapshot %s needs a name",
				what);
	c->view.layer = VIEW_UPPER; /* images are states already */
	c->view.read_only = list;
	if (view_open(&v, &c->built, &c->view))
		return 1;
	status = list ? list_snapshots(c, view_secvol(v.upper))
		      : change_snapshots(&v, what, c->arguments[1], c->json);
	return view_close(&v) || status;
}
