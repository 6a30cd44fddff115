// SPDX-License-Identifier: Apache-2.0
/*
 * The image writer: one tree loaded bottom up. One node per level is open; when an item does not
 * fit any more, the node is written behind everything written so far and its pointer goes to the
 * level above. Blocks are given out by a cursor that only moves forward, so each allocation group
 * is in use from its start up to `filled`, and the bitmaps are known at the end without having been
 * kept.
 *
 * Keys must ascend; a caller that breaks that gets -EINVAL, since a reader would call the image
 * unclean. Birth of everything is generation 1, the one root slot is slot 1.
 */
#include "lib/secvol/build.h"

#include "abi/errno.h"
#include "lib/base/list.h"
#include "lib/secvol/secvol_priv.h"

#define BUILD_GEN    1u
#define BUILD_KID    1u	  /* of a PINNED image's only session */
#define BUILD_AGS    128u /* their items fit one node */
#define DIRENT_BYTES (sizeof(struct sv_dirent) + SECVOL_NAME_MAX)

struct secvol_build {
	struct secvol v; /* only what sealing, pointers and the root slot look at */
	struct sv_node *level[SV_MAX_DEPTH];
	u32 height;	    /* levels that have had a node */
	struct sv_key last; /* of the last leaf item */
	bool any;
	s64 time;
	u32 ag;		       /* the group that is being filled */
	u32 ag_started;	       /* groups begun */
	u32 filled[BUILD_AGS]; /* blocks in use in each, bitmaps included */
};

static void clock_fixed(void *arg, s64 *sec, u32 *nsec)
{
	*sec = 0;
	*nsec = 0;
}

static int random_none(void *arg, void *bytes, size_t size)
{
	return -ENODATA; /* nothing in an image is random */
}

static int build_keys(struct secvol_build *b, const struct secvol_build_params *p)
{
	struct secvol *v = &b->v;
	int err = sv_image_key(v);

	if (err)
		return err;
	v->kid = BUILD_KID;
	return sv_session_add(v, v->kid, v->epoch, p->salt);
}

static int build_buffers(struct secvol_build *b)
{
	struct secvol *v = &b->v;

	v->io = v->bs->ops->buf_alloc(v->bs, SV_IO_BLOCKS * SV_BLOCK);
	v->bounce = sv_alloc(v, KIB(64));
	v->node_buf = sv_alloc(v, v->node_size);
	v->scratch = sv_alloc(v, v->node_size);
	v->val[0] = sv_alloc(v, SV_ITEM_MAX);
	return v->io && v->bounce && v->node_buf && v->scratch && v->val[0] ? 0 : -ENOMEM;
}

int secvol_build_new(const struct secvol_build_params *p, struct secvol_build **ret_build)
{
	struct secvol_build *b;
	struct secvol *v;
	int err;

	if ((p->mode != SECVOL_HASH && p->mode != SECVOL_PINNED) ||
	    (p->mode == SECVOL_HASH) != (p->suite == SECVOL_SUITE_NONE) ||
	    (p->mode == SECVOL_PINNED && !p->keys))
		return -EINVAL;
	b = p->env->alloc(p->env->arg, sizeof(*b));
	if (!b)
		return -ENOMEM;
	memset(b, 0, sizeof(*b));
	b->time = p->time;
	v = &b->v;
	v->env = *p->env;
	v->env.now = clock_fixed;
	v->env.random = random_none;
	v->p.env = &v->env;
	v->p.bs = v->bs = p->bs;
	v->p.mode = p->mode;
	v->p.suite = p->suite;
	v->p.role = p->role;
	v->p.keys = p->keys;
	if (p->hooks)
		v->hooks = *p->hooks;
	v->node_log2 = p->node_log2 ? p->node_log2 : 14;
	v->ag_log2 = p->ag_log2 ? p->ag_log2 : 30;
	v->node_size = 1u << v->node_log2;
	v->node_blocks = v->node_size / SV_BLOCK;
	v->rw = true;
	v->created = p->time;
	v->uid = p->uid;
	v->gid = p->gid;
	v->sites_version = p->sites_version;
	v->next_obj = SECVOL_ROOT_OBJ;
	memcpy(v->uuid, p->uuid, 16);
	memcpy(v->label, p->label, sizeof(v->label));
	v->fs.id = SV_TREE_FS;
	v->ags.id = SV_TREE_AG;
	err = build_buffers(b);
	if (!err && p->mode == SECVOL_PINNED)
		err = build_keys(b, p);
	if (err) {
		secvol_build_free(b);
		return err;
	}
	*ret_build = b;
	return 0;
}

void secvol_build_free(struct secvol_build *b)
{
	struct secvol *v = &b->v;

	for (u32 i = 0; i < SV_MAX_DEPTH; i++)
		if (b->level[i])
			sv_node_free(&v->env, b->level[i]);
	if (v->io)
		v->bs->ops->buf_free(v->bs, v->io, SV_IO_BLOCKS * SV_BLOCK);
	if (v->bounce)
		sv_free(v, v->bounce, KIB(64));
	if (v->node_buf)
		sv_free(v, v->node_buf, v->node_size);
	if (v->scratch)
		sv_free(v, v->scratch, v->node_size);
	if (v->val[0])
		sv_free(v, v->val[0], SV_ITEM_MAX);
	sv_sessions_free(v);
	mem_wipe(v->vmk, sizeof(v->vmk));
	v->env.free(v->env.arg, b, sizeof(*b));
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* The next free blocks; `whole`: all of them in one group. */
static int blocks_take(struct secvol_build *b, u32 want, bool whole, u64 *ret_addr, u32 *ret_count)
{
	struct secvol *v = &b->v;
	u64 per_ag = sv_ag_blocks(v);

	for (;;) {
		u32 *filled = &b->filled[b->ag];
		u64 room;

		if (b->ag == b->ag_started) {
			*filled = 2 * sv_bm_blocks(v);
			b->ag_started++;
		}
		room = per_ag - *filled;
		if (room >= (whole ? want : 1u)) {
			*ret_addr = SV_FIRST_AG + b->ag * per_ag + *filled;
			*ret_count = (u32)MIN((u64)want, room);
			*filled += *ret_count;
			v->used += *ret_count;
			return 0;
		}
		if (b->ag + 1 == BUILD_AGS)
			return -EFBIG;
		b->ag++;
	}
}

int secvol_build_alloc(struct secvol_build *b, u32 want, u64 *ret_addr, u32 *ret_count)
{
	return want ? blocks_take(b, want, false, ret_addr, ret_count) : -EINVAL;
}

static int write_out(struct secvol_build *b, u64 addr, const u8 *bytes, u32 blocks)
{
	for (u32 at = 0; at < blocks; at += SV_IO_BLOCKS) {
		u32 n = MIN(blocks - at, SV_IO_BLOCKS);
		int err;

		memcpy(b->v.io, bytes + (size_t)at * SV_BLOCK, (size_t)n * SV_BLOCK);
		err = bs_write(b->v.bs, addr + at, n, b->v.io);
		if (err)
			return err;
	}
	return 0;
}

int secvol_build_write(struct secvol_build *b, u64 obj, u64 block, u64 addr, u32 count, u8 *bytes,
		       u8 (*digests)[32])
{
	struct secvol *v = &b->v;
	int err = 0;

	if (!sv_sealed(v))
		return bs_write(v->bs, addr, count, bytes);
	for (u32 at = 0; !err && at < count; at += SV_IO_BLOCKS) {
		u32 n = MIN(count - at, SV_IO_BLOCKS);
		const u8 *src[SV_IO_BLOCKS];
		struct sv_ptr ext = {.addr = addr + at, .nblk = n, .birth = BUILD_GEN};

		for (u32 i = 0; i < n; i++)
			src[i] = bytes + (size_t)(at + i) * SV_BLOCK;
		err = sv_seal_blocks(v, obj, block + at, n, src, v->io, &ext, digests[at]);
		if (!err)
			err = bs_write(v->bs, addr + at, n, v->io);
	}
	return err;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* Writes the open node of a level and empties it; fills the pointer to it. */
static int node_write(struct secvol_build *b, struct sv_node *n, struct sv_ptr *ptr)
{
	struct secvol *v = &b->v;
	struct sv_key owner = sv_key(n->tree, 0, 0);
	u32 count;
	int err;

	*ptr = (struct sv_ptr){
		.nblk = v->node_blocks, .birth = BUILD_GEN, .type = n->tree, .level = n->level};
	err = blocks_take(b, v->node_blocks, true, &ptr->addr, &count);
	if (err)
		return err;
	err = sv_node_encode(n, BUILD_GEN, v->node_buf, v->node_size);
	if (!err)
		err = sv_seal_unit(v, SV_DOM_NODE, n->level, &owner, v->node_buf, v->node_size,
				   ptr);
	return err ? err : write_out(b, ptr->addr, v->node_buf, v->node_blocks);
}

static int item_add(struct secvol_build *b, u8 tree, u32 level, const struct sv_key *key,
		    const void *value, u32 size)
{
	struct secvol *v = &b->v;
	struct sv_node *n = b->level[level];
	int err;

	if (n && !sv_node_fits(n, n->n, false, key, size, v->node_size)) {
		struct sv_key first = n->items[0].key;
		struct sv_bptr bptr;
		struct sv_ptr ptr;

		if (level + 1 == SV_MAX_DEPTH)
			return -EFBIG;
		err = node_write(b, n, &ptr);
		if (err)
			return err;
		sv_ptr_encode(v, &ptr, &bptr);
		err = item_add(b, tree, level + 1, &first, &bptr, sizeof(bptr));
		if (err)
			return err;
		sv_node_free(&v->env, n);
		b->level[level] = n = NULL;
	}
	if (!n) {
		n = sv_node_new(&v->env, tree, (u8)level, 64, v->node_size);
		if (!n)
			return -ENOMEM;
		b->level[level] = n;
		b->height = MAX(b->height, level + 1);
	}
	err = n->n == n->cap ? sv_node_reserve(&v->env, n, n->cap, v->node_size) : 0;
	if (!err)
		sv_node_insert(n, n->n, key, value, size, v->scratch);
	return err;
}

/* Writes all open nodes; the last one is the root. */
static int tree_close(struct secvol_build *b, struct sv_tree *t)
{
	struct secvol *v = &b->v;

	for (u32 level = 0;; level++) {
		struct sv_node *n = b->level[level];
		struct sv_bptr bptr;
		struct sv_ptr ptr;
		int err = node_write(b, n, &ptr);

		if (err)
			return err;
		if (level + 1 == b->height) {
			t->root = ptr;
			sv_node_free(&v->env, n);
			b->level[level] = NULL;
			b->height = 0;
			return 0;
		}
		sv_ptr_encode(v, &ptr, &bptr);
		err = item_add(b, t->id, level + 1, &n->items[0].key, &bptr, sizeof(bptr));
		if (err)
			return err;
		sv_node_free(&v->env, n);
		b->level[level] = NULL;
	}
}

/* ---- items ---------------------------------------------------------------------------------- */

static int put(struct secvol_build *b, u64 obj, u8 type, u64 off, const void *value, size_t size)
{
	struct sv_key key = sv_key(obj, type, off);

	if (size > SV_ITEM_MAX || (b->any && sv_key_cmp(&key, &b->last) <= 0))
		return -EINVAL;
	b->any = true;
	b->last = key;
	return item_add(b, SV_TREE_FS, 0, &key, value, (u32)size);
}

static struct sv_time time_put(const struct secvol_build *b)
{
	return (struct sv_time){.sec = le64_put((u64)b->time), .nsec = le32_put(0)};
}

int secvol_build_inode(struct secvol_build *b, const struct secvol_attr *a, u64 parent)
{
	struct sv_inode i = {
		.size = le64_put(a->size),
		.blocks = le64_put(a->blocks),
		.mode = le32_put(a->mode),
		.uid = le32_put(a->uid),
		.gid = le32_put(a->gid),
		.nlink = le32_put(a->nlink),
		.rdev = le64_put(a->rdev),
		.flags = le32_put(a->flags),
		.atime = time_put(b),
		.mtime = time_put(b),
		.ctime = time_put(b),
		.btime = time_put(b),
		.parent = le64_put((a->mode & 0170000) == 0040000 ? parent : 0),
	};

	if (a->obj != b->v.next_obj)
		return -EINVAL;
	b->v.next_obj++;
	b->v.files++;
	return put(b, a->obj, SV_INODE, 0, &i, sizeof(i));
}

static int name_order(const struct secvol *v, const struct secvol_build_name *x,
		      const struct secvol_build_name *y)
{
	u64 hx = sv_name_hash(v, x->name, x->len), hy = sv_name_hash(v, y->name, y->len);
	int cmp;

	if (hx != hy)
		return hx < hy ? -1 : 1;
	cmp = memcmp(x->name, y->name, MIN(x->len, y->len));
	return cmp ? cmp : (int)x->len - (int)y->len;
}

static void sift_down(const struct secvol *v, struct secvol_build_name *names, u32 at, u32 count)
{
	for (;;) {
		u32 child = 2 * at + 1;
		struct secvol_build_name swap;

		if (child >= count)
			return;
		if (child + 1 < count && name_order(v, &names[child], &names[child + 1]) < 0)
			child++;
		if (name_order(v, &names[at], &names[child]) >= 0)
			return;
		swap = names[at];
		names[at] = names[child];
		names[child] = swap;
		at = child;
	}
}

/* Heap sort: there is no qsort() on this side, and the order is total. */
static void names_sort(const struct secvol *v, struct secvol_build_name *names, u32 count)
{
	for (u32 i = count / 2; i-- > 0;)
		sift_down(v, names, i, count);
	for (u32 end = count; end-- > 1;) {
		struct secvol_build_name swap = names[0];

		names[0] = names[end];
		names[end] = swap;
		sift_down(v, names, 0, end);
	}
}

int secvol_build_names(struct secvol_build *b, u64 dir, struct secvol_build_name *names, u32 count)
{
	struct secvol *v = &b->v;
	u8 *value = v->val[0];

	names_sort(v, names, count);
	for (u32 i = 0; i < count;) {
		u64 hash = sv_name_hash(v, names[i].name, names[i].len);
		u32 size = 0;
		int err;

		for (; i < count && sv_name_hash(v, names[i].name, names[i].len) == hash; i++) {
			struct sv_dirent d = {.obj = le64_put(names[i].obj),
					      .type = names[i].type,
					      .len = names[i].len};

			if (names[i].len == 0 || size + sizeof(d) + d.len > SV_ITEM_MAX)
				return -ENOSPC;
			memcpy(value + size, &d, sizeof(d));
			memcpy(value + size + sizeof(d), names[i].name, d.len);
			size += sizeof(d) + d.len;
		}
		err = put(b, dir, SV_DIRENT, hash, value, size);
		if (err)
			return err;
	}
	return 0;
}

int secvol_build_symlink(struct secvol_build *b, u64 obj, const char *target, size_t len)
{
	if (len == 0 || len > SECVOL_SYMLINK_MAX)
		return -ENAMETOOLONG;
	for (size_t at = 0; at < len; at += SV_SYMLINK_PART) {
		int err = put(b, obj, SV_SYMLINK, at, target + at,
			      MIN(len - at, (size_t)SV_SYMLINK_PART));

		if (err)
			return err;
	}
	return 0;
}

int secvol_build_inline(struct secvol_build *b, u64 obj, const void *bytes, size_t size)
{
	return size && size <= SV_INLINE_MAX ? put(b, obj, SV_INLINE, 0, bytes, size) : -EINVAL;
}

int secvol_build_extent(struct secvol_build *b, u64 obj, u64 block, u64 addr, u32 count,
			const u8 (*digests)[32])
{
	while (count) {
		u32 n = MIN(count, SV_EXTENT_BLOCKS - (u32)(block % SV_EXTENT_BLOCKS));
		struct sv_extent e = {
			.addr_nblk = le64_put(addr | (u64)n << 48),
			.birth_flags = le64_put(BUILD_GEN),
			.ctr0 = le64_put(sv_sealed(&b->v) ? addr : 0),
			.kid = le32_put(b->v.kid),
			.csize = le32_put(n * SV_BLOCK),
		};
		u8 *value = b->v.val[0];
		int err;

		memcpy(value, &e, sizeof(e));
		memcpy(value + sizeof(e), digests, (size_t)n * 32);
		err = put(b, obj, SV_EXTENT, block, value, sizeof(e) + (size_t)n * 32);
		if (err)
			return err;
		block += n;
		addr += n;
		digests += n;
		count -= n;
	}
	return 0;
}

int secvol_build_sites(struct secvol_build *b, u64 obj, u16 version,
		       const struct secvol_site *sites, u32 count)
{
	for (u32 chunk = 0; count; chunk++) {
		u32 n = MIN(count, SECVOL_SITES_PER_CHUNK);
		struct sv_sites head = {.version = le16_put(version), .n = le16_put((u16)n)};
		u8 *at = b->v.val[0];
		int err;

		memcpy(at, &head, sizeof(head));
		at += sizeof(head);
		for (u32 i = 0; i < n; i++, at += sizeof(struct sv_site)) {
			for (u32 k = 0; k < 6; k++)
				at[k] = (u8)(sites[i].offset >> (8 * k));
			at[6] = sites[i].kind;
			at[7] = sites[i].len;
		}
		err = put(b, obj, SV_SITES, chunk, b->v.val[0], (size_t)(at - b->v.val[0]));
		if (err)
			return err;
		sites += n;
		count -= n;
	}
	return 0;
}

/* ---- the end -------------------------------------------------------------------------------- */

/* Writes group i's first bitmap and fills its item. `nblocks` is the group's size. */
static int bitmap_write(struct secvol_build *b, u32 i, u32 nblocks, struct sv_ag_item *item)
{
	struct secvol *v = &b->v;
	u32 bm = sv_bm_blocks(v), size = bm * SV_BLOCK;
	struct sv_key owner = sv_key(0, SV_AG, i);
	struct sv_ptr ptr = {
		.addr = SV_FIRST_AG + i * sv_ag_blocks(v), .nblk = bm, .birth = BUILD_GEN};
	u8 *map = sv_zalloc(v, size);
	int err;

	if (!map)
		return -ENOMEM;
	for (u32 bit = 0; bit < size * 8; bit++)
		if (bit < b->filled[i] || bit >= nblocks)
			map[bit / 8] |= (u8)(1u << (bit % 8));
	err = sv_seal_unit(v, SV_DOM_BITMAP, 0, &owner, map, size, &ptr);
	if (!err)
		err = write_out(b, ptr.addr, map, bm);
	sv_free(v, map, size);
	*item = (struct sv_ag_item){
		.free = le32_put(nblocks - b->filled[i]),
		.run = le32_put(nblocks - b->filled[i]),
		.kid = le32_put(ptr.kid),
		.birth = le64_put(BUILD_GEN),
		.ctr = le64_put(sv_sealed(v) ? ptr.ctr : 0),
	};
	memcpy(item->mac, ptr.mac, sizeof(item->mac));
	return err;
}

int secvol_build_finish(struct secvol_build *b, u8 root_sha256[32])
{
	struct secvol *v = &b->v;
	struct sv_node *table;
	u64 addr;
	u32 count;
	int err;

	if (!b->any)
		return -EINVAL;
	err = tree_close(b, &v->fs);
	/* The group table's only node counts in the bitmaps, so its place is taken first. */
	if (!err)
		err = blocks_take(b, v->node_blocks, true, &addr, &count);
	if (err)
		return err;
	v->size_blocks = SV_FIRST_AG + b->ag * sv_ag_blocks(v) + b->filled[b->ag];
	table = sv_node_new(&v->env, SV_TREE_AG, 0, b->ag_started, v->node_size);
	if (!table)
		return -ENOMEM;
	for (u32 i = 0; !err && i < b->ag_started; i++) {
		bool last = i + 1 == b->ag_started;
		struct sv_key key = sv_key(0, SV_AG, i);
		struct sv_ag_item item;

		err = bitmap_write(b, i, last ? b->filled[i] : (u32)sv_ag_blocks(v), &item);
		if (!err)
			sv_node_insert(table, i, &key, &item, sizeof(item), v->scratch);
	}
	if (!err) {
		struct sv_key owner = sv_key(SV_TREE_AG, 0, 0);

		v->ags.root = (struct sv_ptr){.addr = addr,
					      .nblk = v->node_blocks,
					      .birth = BUILD_GEN,
					      .type = SV_TREE_AG};
		err = sv_node_encode(table, BUILD_GEN, v->node_buf, v->node_size);
		if (!err)
			err = sv_seal_unit(v, SV_DOM_NODE, 0, &owner, v->node_buf, v->node_size,
					   &v->ags.root);
	}
	sv_node_free(&v->env, table);
	if (!err)
		err = write_out(b, addr, v->node_buf, v->node_blocks);
	if (!err)
		err = sv_root_write(v, true);
	if (!err)
		err = bs_flush(v->bs);
	if (!err)
		memcpy(root_sha256, v->root_sha256, 32);
	return err;
}
