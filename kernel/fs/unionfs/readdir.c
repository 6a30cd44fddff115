/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing. A directory that lies in one layer alone is listed as that layer does it. A merged one
 * is collected when it is opened or rewound, so that positions stay good while names come and go;
 * the list belongs to the open file.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/unionfs/union_priv.h"
#include "lib/base/rbtree.h"
#include "lib/base/string.h"

#define LIST_MAX MIB(8) /* bytes of one merged list */

struct merged_name {
	struct rb_node node;
	struct merged_name *next; /* in order of finding */
	u64 ino;
	u8 type;
	bool is_hidden; /* a whiteout: covers, and is not shown */
	u8 len;
	char name[];
};

struct merged {
	struct dir_sink sink;
	struct rb_root names;
	struct merged_name *first, **last;
	struct vnode *layer; /* being read */
	struct filesystem *upper_fs;
	size_t bytes;
	int err;
};

static int compare(const struct merged_name *m, const char *name, size_t len)
{
	int c = memcmp(m->name, name, MIN((size_t)m->len, len));

	return c ? c : (int)m->len - (int)len;
}

/* Is the character device `name` of the layer a whiteout? */
static bool is_mark(struct vnode *layer, const char *name, size_t len, u8 type)
{
	struct vnode *v;
	bool ret;

	if (type != DT_CHR || layer->ops->lookup(layer, (struct vfs_name){name, len}, &v))
		return false;
	ret = union_is_whiteout(v);
	vnode_put(v);
	return ret;
}

static int collect(struct dir_sink *sink, const char *name, size_t len, u64 ino, u8 type,
		   u64 cookie)
{
	struct merged *m = container_of(sink, struct merged, sink);
	struct rb_node **link = &m->names.node, *parent = NULL;
	struct merged_name *n;

	while (*link) {
		int c;

		parent = *link;
		c = compare(rb_entry(parent, struct merged_name, node), name, len);
		if (!c)
			return 0; /* a higher layer has it */
		link = c < 0 ? &parent->right : &parent->left;
	}
	m->bytes += sizeof(*n) + len;
	n = m->bytes <= LIST_MAX ? kmalloc(sizeof(*n) + len) : NULL;
	if (!n) {
		m->err = -ENOMEM;
		return 1;
	}
	n->ino = m->layer->fs == m->upper_fs ? ino << 1 | 1 : ino * UNION_LOWER_MAX << 1;
	n->type = type;
	/* Asked after the listing: the layer may hold a lock while it lists. */
	n->is_hidden = type == DT_CHR;
	n->len = len;
	memcpy(n->name, name, len);
	n->next = NULL;
	rb_insert(&m->names, parent, link, &n->node);
	*m->last = n;
	m->last = &n->next;
	return 0;
}

static void merged_free(struct merged *m)
{
	struct merged_name *n, *next;

	if (!m)
		return;
	for (n = m->first; n; n = next) {
		next = n->next;
		kfree(n);
	}
	kfree(m);
}

static int merged_new(struct vnode *v, struct merged **ret)
{
	struct union_node *dir = union_of(v);
	struct vnode *upper = union_upper(dir);
	struct merged *m = kzalloc(sizeof(*m));
	int err = 0;

	if (!m)
		return -ENOMEM;
	m->sink.add = collect;
	m->last = &m->first;
	m->upper_fs = union_fs_of(v)->upper;
	if (upper) {
		m->layer = upper;
		err = upper->ops->readdir(upper, 0, &m->sink);
		for (struct merged_name *n = m->first; n; n = n->next) {
			if (n->is_hidden)
				n->is_hidden = is_mark(upper, n->name, n->len, n->type);
		}
	}
	for (u32 i = 0; i < dir->lower_count && !err && !m->err; i++) {
		m->layer = dir->lowers[i];
		err = m->layer->ops->readdir(m->layer, 0, &m->sink);
	}
	err = err ? err : m->err;
	if (err)
		merged_free(m);
	else
		*ret = m;
	return err;
}

static int merged_show(struct merged *m, u64 cookie, struct dir_sink *sink)
{
	u64 index = 0;

	for (struct merged_name *n = m->first; n; n = n->next, index++) {
		if (index < cookie || n->is_hidden)
			continue;
		if (sink->add(sink, n->name, n->len, n->ino, n->type, index + 1))
			break;
	}
	return 0;
}

/* Hands entries on under the numbers that the union shows. */
struct renumber {
	struct dir_sink sink;
	struct dir_sink *to;
};

static int pass_on(struct dir_sink *sink, const char *name, size_t len, u64 ino, u8 type,
		   u64 cookie)
{
	struct dir_sink *to = container_of(sink, struct renumber, sink)->to;

	return to->add(to, name, len, ino << 1 | 1, type, cookie);
}

static int union_dir_readdir(struct file *f, u64 cookie, struct dir_sink *sink)
{
	struct union_node *dir = union_of(f->vnode);
	struct merged *m = f->priv;

	if (!dir->lower_count) { /* no image below, so no whiteouts either */
		struct renumber r = {{pass_on}, sink};

		return dir->upper->ops->readdir(dir->upper, cookie, &r.sink);
	}
	if (!m || !cookie) {
		struct merged *fresh;
		int err = merged_new(f->vnode, &fresh);

		if (err)
			return err;
		merged_free(m);
		m = f->priv = fresh;
	}
	return merged_show(m, cookie, sink);
}

static void union_dir_release(struct file *f)
{
	merged_free(f->priv);
}

static const struct file_ops union_dir_ops = {
	.release = union_dir_release,
	.read = vnode_file_read,
	.seek = vnode_file_seek,
	.readdir = union_dir_readdir,
	.sync = vnode_file_sync,
};

int union_open_dir(struct file *f)
{
	f->ops = &union_dir_ops;
	return 0;
}

/* For callers without an open file (the kernel's own): collected for one call. */
int union_readdir(struct vnode *dir, u64 cookie, struct dir_sink *sink)
{
	struct merged *m;
	int err = merged_new(dir, &m);

	if (err)
		return err;
	err = merged_show(m, cookie, sink);
	merged_free(m);
	return err;
}

int union_is_empty(struct vnode *dir)
{
	struct merged *m;
	int err = merged_new(dir, &m);

	if (err)
		return err;
	for (struct merged_name *n = m->first; n; n = n->next) {
		bool is_dots = (n->len == 1 && n->name[0] == '.') ||
			       (n->len == 2 && n->name[0] == '.' && n->name[1] == '.');

		if (!n->is_hidden && !is_dots)
			err = -ENOTEMPTY;
	}
	merged_free(m);
	return err;
}

int union_clear_whiteouts(struct vnode *upper)
{
	struct merged m = {.sink = {collect}, .layer = upper};
	struct merged_name *n, *next;
	int err;

	m.last = &m.first;
	m.upper_fs = upper->fs;
	err = upper->ops->readdir(upper, 0, &m.sink);
	if (!err)
		err = m.err;
	for (n = m.first; n; n = next) {
		struct vfs_name name = {n->name, n->len};
		struct vnode *v;

		next = n->next;
		if (!err && n->type == DT_CHR && !upper->ops->lookup(upper, name, &v)) {
			if (union_is_whiteout(v))
				err = upper->ops->unlink(upper, name, v, false);
			vnode_put(v);
		}
		kfree(n);
	}
	return err;
}

struct first_entry {
	struct dir_sink sink;
	char *name;
	size_t *len;
};

static int take_first(struct dir_sink *sink, const char *name, size_t len, u64 ino, u8 type,
		      u64 cookie)
{
	struct first_entry *e = container_of(sink, struct first_entry, sink);

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	memcpy(e->name, name, len);
	*e->len = len;
	return 1;
}

int union_first_entry(struct vnode *dir, char name[NAME_MAX_LEN + 1], size_t *ret_len)
{
	struct first_entry e = {{take_first}, name, ret_len};

	*ret_len = 0;
	return dir->ops->readdir(dir, 0, &e.sink);
}
