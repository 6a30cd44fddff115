// SPDX-License-Identifier: Apache-2.0
/*
 * FUSE's requests that list directories. With READDIRPLUS each entry comes with its attributes and
 * is looked up for the kernel, which counts it like a LOOKUP.
 */
#include "host/mount/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void server_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct listing *l;
	int err = listing_open(server_node(req, ino), &l);

	if (err) {
		server_reply_error(req, err);
		return;
	}
	fi->fh = (u64)l;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) < 0)
		listing_close(l);
}

void server_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	listing_close((struct listing *)fi->fh);
	fuse_reply_err(req, 0);
}

struct dir_reply {
	fuse_req_t req;
	struct node *dir;
	char *buf;
	size_t used, size;
	bool plus;
	int err;
};

/* The counted reference of an entry that did not fit goes at once. */
static int add_plus(struct dir_reply *r, const char *name, u64 next)
{
	struct fuse_entry_param e;
	struct node *n;
	size_t need;

	r->err = node_lookup(r->dir, name, &n);
	if (r->err == -ENOENT) {
		r->err = 0;
		return 0; /* deleted since it was listed */
	}
	if (r->err)
		return 1;
	r->err = server_fill_entry(r->req, &e, n);
	if (r->err) {
		node_put(n, 1);
		return 1;
	}
	need = fuse_add_direntry_plus(r->req, r->buf + r->used, r->size - r->used, name, &e,
				      (off_t)next);
	if (need > r->size - r->used) {
		node_put(n, 1);
		return 1;
	}
	r->used += need;
	return 0;
}

static int add_entry(void *arg, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
	struct dir_reply *r = arg;
	struct stat st = {.st_ino = ino, .st_mode = (mode_t)type << 12};
	bool dots = (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
	char text[256];
	size_t need;

	if (len >= sizeof(text))
		return 0;
	memcpy(text, name, len);
	text[len] = 0;
	if (r->plus && !dots)
		return add_plus(r, text, next);
	if (r->plus) {
		struct fuse_entry_param e = {.attr = st};

		need = fuse_add_direntry_plus(r->req, r->buf + r->used, r->size - r->used, text, &e,
					      (off_t)next);
	} else {
		need = fuse_add_direntry(r->req, r->buf + r->used, r->size - r->used, text, &st,
					 (off_t)next);
	}
	if (need > r->size - r->used)
		return 1;
	r->used += need;
	return 0;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi, bool plus)
{
	struct dir_reply r = {.req = req,
			      .dir = server_node(req, ino),
			      .buf = malloc(size),
			      .size = size,
			      .plus = plus};
	int err = r.buf ? listing_read((struct listing *)fi->fh, (u64)offset, add_entry, &r)
			: -ENOMEM;

	if (!err)
		err = r.err;
	if (err && !r.used)
		server_reply_error(req, err);
	else
		fuse_reply_buf(req, r.buf, r.used);
	free(r.buf);
}

void server_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	list(req, ino, size, offset, fi, false);
}

void server_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			struct fuse_file_info *fi)
{
	list(req, ino, size, offset, fi, true);
}
