/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk. Its state is one cursor in one string: the caller's own path until the first symbolic
 * link, from then on a buffer that holds the link's target followed by what was left. Every step
 * holds exactly one counted dentry.
 */
#include "kernel/vfs/walk.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/mount.h"
#include "lib/base/string.h"

#define LINKS_MAX 40

struct walk {
	struct dentry *root;  /* counted: ".." stops here, absolute links start here */
	struct dentry *start; /* counted: WALK_BENEATH and WALK_IN_ROOT end here */
	struct dentry *at;    /* counted */
	const char *rest;
	char *buf; /* owned; NULL while rest is the caller's */
	u32 links, flags;
	bool jumped; /* the last step was a link of /proc */
};

static void walk_end(struct walk *w)
{
	dentry_put(w->at);
	dentry_put(w->start);
	dentry_put(w->root);
	kfree(w->buf);
}

static int walk_begin(struct walk *w, struct fs_context *ctx, struct dentry *at, const char *path,
		      u32 flags)
{
	memset(w, 0, sizeof(*w));
	w->flags = flags;
	w->rest = path;
	w->root = ctx ? fs_context_root(ctx) : dentry_get(at);
	if (!w->root)
		return -ENOENT; /* nothing is mounted */
	/* What is mounted on the start is where the walk begins, and what ".." must not leave. */
	w->start = dentry_cross(at ? dentry_get(at) : fs_context_cwd(ctx));
	if (flags & WALK_IN_ROOT) {
		dentry_put(w->root);
		w->root = dentry_get(w->start);
	}
	if (path[0] == '/') {
		if (flags & WALK_BENEATH) {
			walk_end(w);
			return -EXDEV;
		}
		w->at = dentry_get(w->root);
	} else {
		w->at = dentry_get(w->start);
	}
	w->at = dentry_cross(w->at);
	return 0;
}

/* Consumes `to`. */
static int step(struct walk *w, struct dentry *to)
{
	int err = (w->flags & WALK_NO_XDEV) && to->mount != w->at->mount ? -EXDEV : 0;

	if (err) {
		dentry_put(to);
		return err;
	}
	dentry_put(w->at);
	w->at = to;
	return 0;
}

static int step_up(struct walk *w)
{
	int err;

	if ((w->flags & WALK_BENEATH) && w->at == w->start)
		return -EXDEV;
	err = step(w, dentry_cross(dentry_parent(w->at, w->root)));
	/* Somebody may have moved a folder on our way out from below the start. */
	if (!err && (w->flags & (WALK_BENEATH | WALK_IN_ROOT)) && !dentry_is_above(w->start, w->at))
		err = -EXDEV;
	return err;
}

/* Puts the target of `link` in front of the rest. */
static int splice_link(struct walk *w, struct dentry *link)
{
	struct vnode *v = link->vnode;
	size_t left = strlen(w->rest);
	char *buf;
	long len;

	if (++w->links > LINKS_MAX || (w->flags & WALK_NO_LINKS))
		return -ELOOP;
	if (v->ops->jump) {
		struct dentry *to = NULL;
		int err = (w->flags & WALK_NO_MAGIC)		       ? -ELOOP
			  : (w->flags & (WALK_BENEATH | WALK_IN_ROOT)) ? -EXDEV
								       : v->ops->jump(v, &to);

		if (err)
			return err;
		if (to) {
			w->jumped = true;
			return step(w, to);
		}
	}
	buf = kmalloc(PATH_MAX_SIZE);
	if (!buf)
		return -ENOMEM;
	len = v->ops->readlink(v, buf, PATH_MAX_SIZE - 1);
	if (len <= 0 || len + left >= PATH_MAX_SIZE) {
		kfree(buf);
		return len < 0 ? (int)len : len ? -ENAMETOOLONG : -ENOENT;
	}
	memcpy(buf + len, w->rest, left + 1);
	if (memchr(buf, 0, len)) {
		kfree(buf);
		return -EUCLEAN;
	}
	kfree(w->buf);
	w->buf = buf;
	w->rest = buf;
	if (buf[0] == '/') {
		if (w->flags & WALK_BENEATH)
			return -EXDEV;
		return step(w, dentry_cross(dentry_get(w->root)));
	}
	return 0;
}

static bool is_dot(struct vfs_name n)
{
	return n.len == 1 && n.text[0] == '.';
}

static bool is_dotdot(struct vfs_name n)
{
	return n.len == 2 && n.text[0] == '.' && n.text[1] == '.';
}

/* Cuts the next name off; false at the end. *ret_slash: slashes follow it. */
static bool next_name(struct walk *w, struct vfs_name *ret, bool *ret_slash, bool *ret_last)
{
	const char *p = w->rest;

	while (*p == '/')
		p++;
	ret->text = p;
	while (*p && *p != '/')
		p++;
	ret->len = p - ret->text;
	w->rest = p;
	if (!ret->len)
		return false; /* the slash after the name before still counts */
	*ret_slash = *p == '/';
	while (*p == '/')
		p++;
	*ret_last = !*p;
	return true;
}

/* Looks `name` up below w->at and crosses into what is mounted there. */
static int find(struct walk *w, struct vfs_name name, struct dentry **ret)
{
	struct dentry *d;
	int err = dentry_lookup(w->at, name, &d);

	if (err)
		return err;
	if (!d->vnode && !d->covered) {
		dentry_put(d);
		return -ENOENT;
	}
	*ret = dentry_cross(d);
	return 0;
}

/* Walks to the end, or (parent) to the last name, which is left in *ret_name. */
static int walk_run(struct walk *w, bool parent, struct walk_last *ret)
{
	struct vfs_name name;
	bool slash = false, last;
	struct dentry *d;
	int err;

	if (parent)
		ret->kind = WALK_ROOT;
	while (next_name(w, &name, &slash, &last)) {
		if (!S_ISDIR(w->at->vnode->mode))
			return -ENOTDIR;
		if (name.len > NAME_MAX_LEN)
			return -ENAMETOOLONG;
		err = vnode_permission(w->at->vnode, X_OK);
		if (err)
			return err;
		if (parent && last) {
			ret->kind = is_dot(name)      ? WALK_DOT
				    : is_dotdot(name) ? WALK_DOTDOT
						      : WALK_NAME;
			ret->name = name;
			ret->wants_dir = slash;
			return 0;
		}
		if (is_dot(name))
			continue;
		if (is_dotdot(name)) {
			err = step_up(w);
			if (err)
				return err;
			continue;
		}
		err = find(w, name, &d);
		if (err)
			return err;
		if (S_ISLNK(d->vnode->mode) && (!last || slash || (w->flags & WALK_FOLLOW))) {
			err = splice_link(w, d);
			dentry_put(d);
			if (err)
				return err;
			continue;
		}
		err = step(w, d);
		if (err)
			return err;
	}
	if ((slash || (w->flags & WALK_DIRECTORY)) && !parent && !S_ISDIR(w->at->vnode->mode))
		return -ENOTDIR;
	return 0;
}

int walk_path(struct fs_context *ctx, struct dentry *at, const char *path, u32 flags,
	      struct dentry **ret)
{
	struct walk w;
	int err;

	if (!*path && !(flags & WALK_EMPTY))
		return -ENOENT;
	err = walk_begin(&w, ctx, at, path, flags);
	if (err)
		return err;
	err = walk_run(&w, false, NULL);
	if (!err)
		*ret = dentry_get(w.at);
	walk_end(&w);
	return err;
}

/* Hands the state of a parent walk to the caller. */
static int walk_finish_parent(struct walk *w, struct walk_last *ret)
{
	int err = walk_run(w, true, ret);

	if (!err && ret->kind == WALK_ROOT && w->jumped)
		ret->kind = WALK_JUMPED;
	if (!err && ret->kind != WALK_JUMPED && !S_ISDIR(w->at->vnode->mode))
		err = -ENOTDIR;
	if (!err) {
		ret->dir = dentry_get(w->at);
		ret->buf = w->buf;
		ret->links = w->links;
		ret->start = dentry_get(w->start);
		w->buf = NULL;
	}
	walk_end(w);
	return err;
}

int walk_parent(struct fs_context *ctx, struct dentry *at, const char *path, u32 flags,
		struct walk_last *ret)
{
	struct walk w;
	int err;

	memset(ret, 0, sizeof(*ret));
	if (!*path)
		return -ENOENT;
	err = walk_begin(&w, ctx, at, path, flags);
	return err ? err : walk_finish_parent(&w, ret);
}

int walk_last_follow(struct fs_context *ctx, struct walk_last *last, struct dentry *link, u32 flags)
{
	struct walk_last next = {0};
	struct walk w;
	int err;

	err = walk_begin(&w, ctx, last->start, last->wants_dir ? "/" : "", flags & ~WALK_BENEATH);
	if (err)
		return err;
	dentry_put(w.at);
	w.at = dentry_get(last->dir);
	w.flags = flags;
	w.links = last->links;
	err = splice_link(&w, link);
	if (err) {
		walk_end(&w);
		return err;
	}
	err = walk_finish_parent(&w, &next);
	if (err)
		return err;
	walk_last_free(last);
	*last = next;
	return 0;
}

void walk_last_free(struct walk_last *w)
{
	dentry_put(w->dir);
	dentry_put(w->start);
	kfree(w->buf);
	w->dir = w->start = NULL;
	w->buf = NULL;
}
