// SPDX-License-Identifier: Apache-2.0
/*
 * The model. Nodes live in an array and are found by walking a list of directory entries; nothing
 * is efficient, so that little can be wrong.
 */
#include "tests/secvol/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/crypto/sha256.h"

enum { NODES = 64, ENTRIES = 128, FILE_MAX = 4 << 20, SNAPS = 8 };

struct node {
	bool used;
	u32 mode;
	u32 links;
	u64 size;
	u8 *bytes;
	char *target;
};

struct entry {
	int dir, node; /* dir < 0: free */
	char name[32];
};

struct model {
	struct node nodes[NODES];
	struct entry entries[ENTRIES];
	struct model *snaps[SNAPS]; /* oldest first */
	const char *snap_names[SNAPS];
};

struct model *model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));

	m->nodes[0] = (struct node){.used = true, .mode = S_IFDIR | 0755, .links = 2};
	for (int i = 0; i < ENTRIES; i++)
		m->entries[i].dir = -1;
	return m;
}

void model_free(struct model *m)
{
	for (int i = 0; i < NODES; i++) {
		free(m->nodes[i].bytes);
		free(m->nodes[i].target);
	}
	for (int i = 0; i < SNAPS; i++)
		if (m->snaps[i])
			model_free(m->snaps[i]);
	free(m);
}

/* The tree, without the snapshots. */
static struct model *tree_copy(const struct model *m)
{
	struct model *c = malloc(sizeof(*c));

	*c = *m;
	memset(c->snaps, 0, sizeof(c->snaps));
	for (int i = 0; i < NODES; i++) {
		struct node *n = &c->nodes[i];

		if (n->bytes)
			n->bytes = memcpy(malloc(n->size + 1), n->bytes, n->size);
		if (n->target)
			n->target = strdup(n->target);
	}
	return c;
}

static int do_snap(struct model *m, const struct op *op)
{
	int at = 0;

	while (at < SNAPS && m->snaps[at] && strcmp(m->snap_names[at], op->a) != 0)
		at++;
	if (at == SNAPS)
		return -ENOSPC;
	if (op->kind == OP_SNAP) {
		if (m->snaps[at])
			return -EEXIST;
		m->snaps[at] = tree_copy(m);
		m->snap_names[at] = op->a;
		return 0;
	}
	if (!m->snaps[at])
		return -ENOENT;
	if (op->kind == OP_SNAP_DELETE) {
		model_free(m->snaps[at]);
		for (; at < SNAPS - 1; at++) {
			m->snaps[at] = m->snaps[at + 1];
			m->snap_names[at] = m->snap_names[at + 1];
		}
		m->snaps[SNAPS - 1] = NULL;
		return 0;
	}
	if (at + 1 < SNAPS && m->snaps[at + 1])
		return -EBUSY;
	{
		struct model *c = tree_copy(m->snaps[at]);

		for (int i = 0; i < NODES; i++) {
			free(m->nodes[i].bytes);
			free(m->nodes[i].target);
		}
		memcpy(m->nodes, c->nodes, sizeof(m->nodes));
		memcpy(m->entries, c->entries, sizeof(m->entries));
		free(c);
	}
	return 0;
}

static struct entry *entry_find(struct model *m, int dir, const char *name)
{
	for (int i = 0; i < ENTRIES; i++)
		if (m->entries[i].dir == dir && strcmp(m->entries[i].name, name) == 0)
			return &m->entries[i];
	return NULL;
}

/* Walks to the directory of the path's last name. */
static int parent_find(struct model *m, const char *path, int *dir, char name[32])
{
	*dir = 0;
	for (;;) {
		const char *slash = strchr(path, '/');
		struct entry *e;

		if (!slash) {
			snprintf(name, 32, "%s", path);
			return 0;
		}
		snprintf(name, 32, "%.*s", (int)(slash - path), path);
		e = entry_find(m, *dir, name);
		if (!e)
			return -ENOENT;
		if (!S_ISDIR(m->nodes[e->node].mode))
			return -ENOTDIR;
		*dir = e->node;
		path = slash + 1;
	}
}

static int node_new(struct model *m, u32 mode)
{
	for (int i = 1; i < NODES; i++)
		if (!m->nodes[i].used) {
			m->nodes[i] = (struct node){.used = true, .mode = mode};
			return i;
		}
	abort();
}

static void entry_add(struct model *m, int dir, const char *name, int node)
{
	for (int i = 0; i < ENTRIES; i++)
		if (m->entries[i].dir < 0) {
			m->entries[i].dir = dir;
			m->entries[i].node = node;
			snprintf(m->entries[i].name, sizeof(m->entries[i].name), "%s", name);
			return;
		}
	abort();
}

static void node_unref(struct model *m, int n)
{
	if (--m->nodes[n].links)
		return;
	free(m->nodes[n].bytes);
	free(m->nodes[n].target);
	m->nodes[n] = (struct node){0};
}

static bool dir_is_empty(const struct model *m, int dir)
{
	for (int i = 0; i < ENTRIES; i++)
		if (m->entries[i].dir == dir)
			return false;
	return true;
}

static int do_create(struct model *m, const char *path, u32 mode, const char *target)
{
	char name[32];
	int dir, n, err = parent_find(m, path, &dir, name);

	if (err)
		return err;
	if (entry_find(m, dir, name))
		return -EEXIST;
	n = node_new(m, mode);
	m->nodes[n].links = S_ISDIR(mode) ? 2 : 1;
	if (S_ISDIR(mode))
		m->nodes[dir].links++;
	if (target) {
		m->nodes[n].target = strdup(target);
		m->nodes[n].size = strlen(target);
	}
	entry_add(m, dir, name, n);
	return 0;
}

static int do_link(struct model *m, const char *from, const char *to)
{
	char name[32];
	struct entry *e;
	int dir, n, err = parent_find(m, from, &dir, name);

	if (err)
		return err;
	e = entry_find(m, dir, name);
	if (!e)
		return -ENOENT;
	n = e->node;
	err = parent_find(m, to, &dir, name);
	if (err)
		return err;
	if (S_ISDIR(m->nodes[n].mode))
		return -EPERM;
	if (entry_find(m, dir, name))
		return -EEXIST;
	m->nodes[n].links++;
	entry_add(m, dir, name, n);
	return 0;
}

static int do_unlink(struct model *m, const char *path, bool is_dir)
{
	char name[32];
	struct entry *e;
	int dir, err = parent_find(m, path, &dir, name);

	if (err)
		return err;
	e = entry_find(m, dir, name);
	if (!e)
		return -ENOENT;
	if (is_dir != !!S_ISDIR(m->nodes[e->node].mode))
		return is_dir ? -ENOTDIR : -EISDIR;
	if (is_dir && !dir_is_empty(m, e->node))
		return -ENOTEMPTY;
	if (is_dir) {
		m->nodes[dir].links--;
		m->nodes[e->node].links = 1;
	}
	node_unref(m, e->node);
	e->dir = -1;
	return 0;
}

static bool is_below(const struct model *m, int dir, int top)
{
	while (dir != top) {
		int up = -1;

		if (dir == 0)
			return false;
		for (int i = 0; i < ENTRIES && up < 0; i++)
			if (m->entries[i].dir >= 0 && m->entries[i].node == dir)
				up = m->entries[i].dir;
		dir = up;
	}
	return true;
}

static void move_dir_links(struct model *m, const struct entry *e, int from, int to)
{
	if (S_ISDIR(m->nodes[e->node].mode)) {
		m->nodes[from].links--;
		m->nodes[to].links++;
	}
}

static int do_rename(struct model *m, const char *a, const char *b, bool exchange)
{
	char name_a[32], name_b[32];
	struct entry *x, *y;
	int dir_a, dir_b, err = parent_find(m, a, &dir_a, name_a);

	if (!err)
		err = parent_find(m, b, &dir_b, name_b);
	if (err)
		return err;
	x = entry_find(m, dir_a, name_a);
	y = entry_find(m, dir_b, name_b);
	if (!x || (exchange && !y))
		return -ENOENT;
	if (S_ISDIR(m->nodes[x->node].mode) && is_below(m, dir_b, x->node))
		return -EINVAL;
	if (exchange && S_ISDIR(m->nodes[y->node].mode) && is_below(m, dir_a, y->node))
		return -EINVAL;
	if (y && y->node == x->node)
		return 0;
	if (exchange) {
		int swap = x->node;

		move_dir_links(m, x, dir_a, dir_b);
		move_dir_links(m, y, dir_b, dir_a);
		x->node = y->node;
		y->node = swap;
		return 0;
	}
	if (y) {
		bool x_dir = S_ISDIR(m->nodes[x->node].mode),
		     y_dir = S_ISDIR(m->nodes[y->node].mode);

		if (x_dir && !y_dir)
			return -ENOTDIR;
		if (!x_dir && y_dir)
			return is_below(m, dir_a, y->node) ? -ENOTEMPTY : -EISDIR;
		if (y_dir && !dir_is_empty(m, y->node))
			return -ENOTEMPTY;
		err = do_unlink(m, b, y_dir);
		if (err)
			return err;
	}
	move_dir_links(m, x, dir_a, dir_b);
	x->dir = dir_b;
	snprintf(x->name, sizeof(x->name), "%s", name_b);
	return 0;
}

static int file_find(struct model *m, const char *path, struct node **ret_node)
{
	char name[32];
	struct entry *e;
	int dir, err = parent_find(m, path, &dir, name);

	if (err)
		return err;
	e = entry_find(m, dir, name);
	if (!e)
		return -ENOENT;
	*ret_node = &m->nodes[e->node];
	return 0;
}

static void file_resize(struct node *n, u64 size)
{
	n->bytes = realloc(n->bytes, size + 1);
	if (size > n->size)
		memset(n->bytes + n->size, 0, size - n->size);
	n->size = size;
}

u8 op_byte(u32 seed, u64 at)
{
	u64 x = (at / 8 + 1) * 0x9e3779b97f4a7c15ull ^ (u64)seed * 0xc2b2ae3d27d4eb4full;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return (u8)(x >> (8 * (at % 8)));
}

static int do_data(struct model *m, const struct op *op)
{
	struct node *n;
	int err = file_find(m, op->a, &n);

	if (err)
		return err;
	if (op->kind == OP_CHMOD) {
		n->mode = (n->mode & S_IFMT) | (op->seed & 0777);
		return 0;
	}
	if (!S_ISREG(n->mode))
		return S_ISDIR(n->mode) ? -EISDIR : -EINVAL;
	if (op->kind == OP_TRUNCATE) {
		file_resize(n, op->len);
	} else if (op->kind == OP_WRITE) {
		if (op->off + op->len > n->size)
			file_resize(n, op->off + op->len);
		for (u64 i = op->off; i < op->off + op->len; i++)
			n->bytes[i] = op_byte(op->seed, i);
	} else if (op->kind == OP_PUNCH) {
		for (u64 i = op->off; i < op->off + op->len && i < n->size; i++)
			n->bytes[i] = 0;
	}
	return 0;
}

int model_apply(struct model *m, const struct op *op)
{
	switch (op->kind) {
	case OP_CREATE: return do_create(m, op->a, S_IFREG | 0644, NULL);
	case OP_MKDIR: return do_create(m, op->a, S_IFDIR | 0755, NULL);
	case OP_SYMLINK: return do_create(m, op->a, S_IFLNK | 0777, op->b);
	case OP_LINK: return do_link(m, op->a, op->b);
	case OP_UNLINK: return do_unlink(m, op->a, false);
	case OP_RMDIR: return do_unlink(m, op->a, true);
	case OP_RENAME: return do_rename(m, op->a, op->b, false);
	case OP_EXCHANGE: return do_rename(m, op->a, op->b, true);
	case OP_COMMIT:
	case OP_CHECKPOINT:
	case OP_GROW:
	case OP_ROTATE: return 0;
	case OP_SNAP:
	case OP_SNAP_DELETE:
	case OP_SNAP_ROLLBACK: return do_snap(m, op);
	default: return do_data(m, op);
	}
}

/* ---- the same on a volume ------------------------------------------------------------------- */

static int volume_parent(struct secvol *v, const char *path, u64 *dir, const char **name)
{
	*dir = SECVOL_ROOT_OBJ;
	for (;;) {
		const char *slash = strchr(path, '/');
		struct secvol_attr a;
		int err;

		if (!slash) {
			*name = path;
			return 0;
		}
		err = secvol_lookup(v, *dir, path, (size_t)(slash - path), dir, &a);
		if (err)
			return err;
		if (!S_ISDIR(a.mode))
			return -ENOTDIR;
		path = slash + 1;
	}
}

int volume_find(struct secvol *v, const char *path, u64 *ret_obj)
{
	const char *name;
	u64 dir;
	int err = volume_parent(v, path, &dir, &name);

	return err ? err : secvol_lookup(v, dir, name, strlen(name), ret_obj, NULL);
}

static int volume_data(struct secvol *v, const struct op *op)
{
	struct secvol_attr a = {.mode = op->seed & 0777};
	u64 obj;
	u8 *bytes;
	long n;
	int err = volume_find(v, op->a, &obj);

	if (err)
		return err;
	switch (op->kind) {
	case OP_CHMOD: return secvol_setattr(v, obj, &a, SECVOL_SET_MODE);
	case OP_TRUNCATE: return secvol_truncate(v, obj, op->len);
	case OP_PUNCH: return secvol_punch(v, obj, op->off, op->len);
	case OP_RESERVE:
		err = secvol_getattr(v, obj, &a);
		if (err || !S_ISREG(a.mode))
			return err ? err : S_ISDIR(a.mode) ? -EISDIR : -EINVAL;
		err = secvol_reserve(v, obj, op->off, op->len + 1);
		return err == -ENOSPC ? 0 : err; /* the model knows no size */
	default: break;
	}
	bytes = malloc(op->len + 1);
	for (u64 i = 0; i < op->len; i++)
		bytes[i] = op_byte(op->seed, op->off + i);
	n = secvol_write(v, obj, op->off, bytes, op->len);
	free(bytes);
	if (n < 0)
		return (int)n;
	return (u64)n == op->len ? 0 : -EIO;
}

int volume_apply(struct secvol *v, const struct op *op)
{
	const char *name, *to_name;
	struct secvol_attr attr;
	u64 dir, to_dir, obj;
	int err;

	if (op->kind == OP_COMMIT)
		return secvol_commit(v);
	if (op->kind == OP_CHECKPOINT)
		return secvol_checkpoint(v);
	if (op->kind == OP_GROW)
		return secvol_grow(v, op->len);
	if (op->kind == OP_ROTATE) {
		u64 left = 1, before = 0;

		err = secvol_rotate(v);
		while (!err && left && left != before) {
			before = left;
			err = secvol_rotate_step(v, 16, &left);
		}
		return err;
	}
	if (op->kind == OP_SNAP)
		return secvol_snapshot_create(v, op->a, strlen(op->a));
	if (op->kind == OP_SNAP_DELETE)
		return secvol_snapshot_delete(v, op->a, strlen(op->a));
	if (op->kind == OP_SNAP_ROLLBACK)
		return secvol_snapshot_rollback(v, op->a, strlen(op->a));
	if (op->kind >= OP_WRITE)
		return volume_data(v, op);
	err = volume_parent(v, op->a, &dir, &name);
	if (err)
		return err;
	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
		return secvol_create(v, dir, name, strlen(name),
				     op->kind == OP_MKDIR ? S_IFDIR | 0755 : S_IFREG | 0644, 0, 0,
				     0, false, &attr);
	case OP_SYMLINK:
		return secvol_symlink(v, dir, name, strlen(name), op->b, strlen(op->b), 0, 0,
				      &attr);
	case OP_UNLINK: return secvol_unlink(v, dir, name, strlen(name), false);
	case OP_RMDIR: return secvol_unlink(v, dir, name, strlen(name), true);
	default: break;
	}
	if (op->kind == OP_LINK) {
		err = secvol_lookup(v, dir, name, strlen(name), &obj, NULL);
		if (!err)
			err = volume_parent(v, op->b, &to_dir, &to_name);
		return err ? err : secvol_link(v, obj, to_dir, to_name, strlen(to_name));
	}
	err = volume_parent(v, op->b, &to_dir, &to_name);
	if (err)
		return err;
	return secvol_rename(v, dir, name, strlen(name), to_dir, to_name, strlen(to_name),
			     op->kind == OP_EXCHANGE ? SECVOL_RENAME_EXCHANGE : 0);
}

/* ---- dumps ---------------------------------------------------------------------------------- */

static void dump_head(struct sha256 *s, const char *path, u32 mode, u32 links, u64 size)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s %o %u %llu\n", path, mode, links,
			 S_ISDIR(mode) ? 0ull : (unsigned long long)size);

	sha256_update(s, text, (size_t)n);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void dump_node(const struct model *m, struct sha256 *s, const char *path, int n)
{
	const struct node *node = &m->nodes[n];
	struct entry sorted[ENTRIES];
	u32 count = 0;

	dump_head(s, path, node->mode, node->links, node->size);
	if (S_ISREG(node->mode))
		sha256_update(s, node->bytes, node->size);
	if (node->target)
		sha256_update(s, node->target, strlen(node->target));
	if (!S_ISDIR(node->mode))
		return;
	for (int i = 0; i < ENTRIES; i++)
		if (m->entries[i].dir == n)
			sorted[count++] = m->entries[i];
	qsort(sorted, count, sizeof(*sorted), by_name);
	for (u32 i = 0; i < count; i++) {
		char below[256];

		snprintf(below, sizeof(below), "%s/%s", path, sorted[i].name);
		dump_node(m, s, below, sorted[i].node);
	}
}

void model_dump_tree(const struct model *m, u8 digest[32])
{
	struct sha256 s;

	sha256_init(&s);
	dump_node(m, &s, "", 0);
	sha256_final(&s, digest);
}

static int dump_file(struct secvol *v, struct sha256 *s, u64 obj, u64 size)
{
	static u8 buf[256 << 10];

	if (size > 64 << 20)
		return -EFBIG; /* no workload makes such a file; a fuzzer may */

	for (u64 at = 0; at < size;) {
		long n = secvol_read(v, obj, at, buf, sizeof(buf));

		if (n <= 0)
			return n < 0 ? (int)n : -EUCLEAN;
		sha256_update(s, buf, (size_t)n);
		at += (u64)n;
	}
	return 0;
}

static int by_dirent_name(const void *a, const void *b)
{
	return strcmp(((const struct secvol_dirent *)a)->name,
		      ((const struct secvol_dirent *)b)->name);
}

static int dump_object(struct secvol *v, struct sha256 *s, const char *path, u64 obj, int depth)
{
	struct secvol_dirent *ents;
	struct secvol_attr a;
	long count;
	int err = secvol_getattr(v, obj, &a);

	if (err)
		return err;
	if (depth > 16 || a.obj != obj)
		return -EUCLEAN;
	dump_head(s, path, a.mode, a.nlink, a.size);
	if (S_ISREG(a.mode))
		return dump_file(v, s, obj, a.size);
	if (S_ISLNK(a.mode)) {
		char target[4096];
		long n = secvol_readlink(v, obj, target, sizeof(target));

		if (n < 0)
			return (int)n;
		sha256_update(s, target, (size_t)n);
		return 0;
	}
	ents = calloc(ENTRIES, sizeof(*ents));
	count = secvol_readdir(v, obj, 0, ents, ENTRIES);
	err = count < 0 ? (int)count : 0;
	if (count > 0)
		qsort(ents, (size_t)count, sizeof(*ents), by_dirent_name);
	for (long i = 0; !err && i < count; i++) {
		char below[512];

		if (strcmp(ents[i].name, ".") == 0 || strcmp(ents[i].name, "..") == 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, ents[i].name);
		err = dump_object(v, s, below, ents[i].obj, depth + 1);
	}
	free(ents);
	return err;
}

int volume_dump_tree(struct secvol *v, u8 digest[32])
{
	struct sha256 s;
	int err;

	sha256_init(&s);
	err = dump_object(v, &s, "", SECVOL_ROOT_OBJ, 0);
	sha256_final(&s, digest);
	return err;
}

/* ---- random operations ---------------------------------------------------------------------- */

static u32 draw(u32 *seed, u32 below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (u32)(((u64)(*seed >> 4) * below) >> 28);
}

static void add_names(u8 digest[32], const char *const *names, u32 count)
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, digest, 32);
	for (u32 i = 0; i < count; i++)
		sha256_update(&s, names[i], strlen(names[i]) + 1);
	sha256_final(&s, digest);
}

void model_dump(const struct model *m, u8 digest[32])
{
	u32 count = 0;

	while (count < SNAPS && m->snaps[count])
		count++;
	model_dump_tree(m, digest);
	add_names(digest, m->snap_names, count);
}

int volume_dump(struct secvol *v, u8 digest[32])
{
	static struct secvol_snapshot list[SNAPS];
	const char *names[SNAPS];
	int err = volume_dump_tree(v, digest);
	long n = err ? err : secvol_snapshot_list(v, list, SNAPS);

	for (long i = 0; i < n && i < SNAPS; i++)
		names[i] = list[i].name;
	if (n >= 0)
		add_names(digest, names, (u32)n);
	return n < 0 ? (int)n : 0;
}

struct op op_random(u32 *seed, u64 max_file)
{
	static const char *const paths[] = {"a",   "b", "c",   "d",   "d/a",
					    "d/b", "e", "d/e", "e/a", "d/e/x"};
	static const u8 kinds[] = {OP_CREATE,  OP_CREATE,   OP_CREATE,	 OP_MKDIR,  OP_MKDIR,
				   OP_SYMLINK, OP_LINK,	    OP_UNLINK,	 OP_RMDIR,  OP_RENAME,
				   OP_RENAME,  OP_EXCHANGE, OP_WRITE,	 OP_WRITE,  OP_WRITE,
				   OP_WRITE,   OP_WRITE,    OP_TRUNCATE, OP_PUNCH,  OP_RESERVE,
				   OP_CHMOD,   OP_COMMIT,   OP_COMMIT,	 OP_COMMIT, OP_CHECKPOINT};
	struct op op = {.kind = kinds[draw(seed, sizeof(kinds))],
			.a = paths[draw(seed, ARRAY_SIZE(paths))],
			.b = paths[draw(seed, ARRAY_SIZE(paths))]};
	u64 scale = draw(seed, 3) == 0 ? max_file : MIN(max_file, (u64)6000);

	op.seed = draw(seed, 1 << 20);
	op.off = draw(seed, 4) ? draw(seed, (u32)scale) : 0;
	op.len = 1 + draw(seed, (u32)scale);
	if (op.off + op.len > max_file)
		op.len = max_file - MIN(max_file, op.off);
	return op;
}
