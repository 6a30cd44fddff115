/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formatting, opening and closing a volume, and the frame of every public operation: the lock,
 * room in the caches and on the store, and what happens after a failure.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"
#include "lib/crypto/crypto.h"

#define DIRTY_INODES_MAX 4096u
#define FREES_MAX	 65536u
#define HELD_BACK_MAX	 16384u /* blocks */
#define S_IFDIR_	 0040000u

void *sv_alloc(struct secvol *v, size_t size)
{
	return v->env.alloc(v->env.arg, size);
}

void *sv_zalloc(struct secvol *v, size_t size)
{
	void *p = sv_alloc(v, size);

	if (p)
		memset(p, 0, size);
	return p;
}

void sv_free(struct secvol *v, void *p, size_t size)
{
	if (p)
		v->env.free(v->env.arg, p, size);
}

void sv_lock(struct secvol *v)
{
	if (v->lock)
		v->env.lock(v->env.arg, v->lock);
}

void sv_unlock(struct secvol *v)
{
	if (v->lock)
		v->env.unlock(v->env.arg, v->lock);
}

void sv_commit_lock(struct secvol *v)
{
	if (v->commit_lock)
		v->env.lock(v->env.arg, v->commit_lock);
}

void sv_commit_unlock(struct secvol *v)
{
	if (v->commit_lock)
		v->env.unlock(v->env.arg, v->commit_lock);
}

void sv_now(struct secvol *v, struct secvol_time *t)
{
	t->sec = 0;
	t->nsec = 0;
	v->env.now(v->env.arg, &t->sec, &t->nsec);
}

int sv_fail(struct secvol *v, int err)
{
	if (!v->failed)
		v->failed = err == -ENOMEM ? -EIO : err;
	return err;
}

int sv_begin(struct secvol *v)
{
	sv_lock(v);
	return 0;
}

void sv_end(struct secvol *v)
{
	sv_chunks_trim(v);
	sv_inodes_trim(v);
	sv_nodes_trim(v);
	sv_unlock(v);
}

static bool frees_wait(const struct secvol *v)
{
	if (v->frees.n)
		return true;
	for (u32 i = 0; i < ARRAY_SIZE(v->pending); i++) {
		if (v->pending[i].n)
			return true;
	}
	return false;
}

/* Blocks held back so that unlink, truncate and commit always work; their need does not grow. */
u64 sv_held_back(const struct secvol *v)
{
	return MAX(MIN((u64)128, v->capacity / 4), MIN(v->capacity / 100, (u64)HELD_BACK_MAX));
}

/* 0; -ENOSPC when a commit is needed first, or there is none to be had. */
static int find_room(struct secvol *v, u64 data, u32 nodes, bool freeing)
{
	u64 held = freeing ? 0 : sv_held_back(v);
	u64 promised = freeing ? 0 : sv_promise_cost(v->promised);
	u64 groups = sv_nodes_due(v) + nodes + SV_SLACK_NODES + v->dirty_pages / 64 +
		     v->inode_dirty_count / 64;
	int err = 0;

	groups *= sv_copies(v);
	while (v->quads < groups + held / v->node_blocks && !err)
		err = sv_ag_load_another(v);
	if (err)
		return err == -ENOENT ? -ENOSPC : err;
	return v->avail >= data + v->dirty_pages + groups * v->node_blocks + held + promised
		       ? 0
		       : -ENOSPC;
}

static bool is_checkpoint_due(const struct secvol *v)
{
	return v->delta.bytes > v->delta_max || v->inode_dirty_count > DIRTY_INODES_MAX ||
	       v->frees.n > FREES_MAX || v->freed_blocks > 8ull * v->frees_max;
}

int sv_make_room(struct secvol *v, u64 data, u32 nodes, bool freeing)
{
	int err;

	for (u32 round = 0;; round++) {
		err = is_checkpoint_due(v) ? sv_commit(v, false) : 0;
		if (!err)
			err = find_room(v, data, nodes, freeing);
		if (err != -ENOSPC || round > 2 || (!frees_wait(v) && !v->dirty && !v->delta.count))
			return err;
		/* Space is short: give up the older roots. */
		err = sv_commit(v, false);
		if (err)
			return err;
		sv_pending_release(v, 0);
	}
}

/*
 * A new session, so that nothing persistent can repeat a nonce. Until then nothing is sealed, and
 * the store holds exactly what was found. When it fails the volume takes no changes.
 */
int sv_open_commit(struct secvol *v)
{
	int err = bs_flush(v->bs); /* the state we found becomes durable before we build on it */

	v->open_seq++;
	if (!err)
		err = sv_log_settle(v);
	if (!err && v->p.mode == SECVOL_SEALED) {
		err = sv_session_start(v);
		if (!err)
			err = sv_tree_dirty_all(v, &v->keys);
	}
	if (err)
		return sv_fail(v, err);
	v->open_commit_due = false;
	v->dirty = true;
	err = sv_commit(v, false);
	return err ? sv_fail(v, err) : 0;
}

static int check_writable(const struct secvol *v)
{
	if (v->rw && v->failed)
		return v->failed == -EIO || v->failed == -ENOSPC ? v->failed : -EROFS;
	return v->rw ? 0 : -EROFS;
}

int sv_begin_write(struct secvol *v, u64 data, u32 nodes, bool freeing)
{
	int err;

	sv_lock(v);
	err = check_writable(v);
	if (!err && !v->in_checkpoint && !v->open_commit_due && !is_checkpoint_due(v) &&
	    find_room(v, data, nodes, freeing) == 0)
		return 0;
	sv_unlock(v);
	if (err)
		return err;
	sv_commit_lock(v);
	sv_lock(v);
	err = check_writable(v);
	if (!err && v->open_commit_due)
		err = sv_open_commit(v);
	if (!err)
		err = sv_make_room(v, data, nodes, freeing);
	sv_commit_unlock(v);
	if (err)
		sv_unlock(v);
	return err;
}

void sv_volume_free(struct secvol *v)
{
	struct secvol_env env = v->env;

	sv_chunks_free(v);
	sv_inodes_free(v);
	sv_nodes_free(v);
	sv_alloc_fini(v);
	sv_sessions_free(v);
	if (v->reader)
		sv_reader_free(v, v->reader);
	while (v->idle_readers) {
		struct sv_reader *r = v->idle_readers;

		v->idle_readers = r->next;
		sv_reader_free(v, r);
	}
	if (v->io)
		v->bs->ops->buf_free(v->bs, v->io, SV_IO_BLOCKS * SV_BLOCK);
	sv_free(v, v->bounce, 2 * SV_SEAL_BATCH * SV_BLOCK);
	sv_free(v, v->node_buf, 1 << 15);
	sv_free(v, v->scratch, 1 << 15);
	for (u32 i = 0; i < ARRAY_SIZE(v->val); i++)
		sv_free(v, v->val[i], SV_ITEM_MAX);
	sv_log_fini(v);
	sv_free(v, v->dead, v->dead_cap * sizeof(*v->dead));
	sv_free(v, v->recovered.run, v->recovered.cap * sizeof(struct sv_run));
	if (v->lock)
		env.lock_free(env.arg, v->lock);
	if (v->commit_lock)
		env.lock_free(env.arg, v->commit_lock);
	mem_wipe(v, sizeof(*v));
	env.free(env.arg, v, sizeof(*v));
}

static int check_params(const struct secvol_params *p)
{
	bool hash = p->mode == SECVOL_HASH;

	if (p->mode < SECVOL_HASH || p->mode > SECVOL_PINNED || !p->env || !p->bs)
		return -EINVAL;
	if (hash ? p->suite != SECVOL_SUITE_NONE
		 : p->suite != SECVOL_AES128_GCM && p->suite != SECVOL_AES256_GCM)
		return -EINVAL;
	if ((!hash && !p->keys) || p->volume_id_size > SECVOL_VOLUME_ID_MAX || p->keep_roots > 6 ||
	    p->bs->max_blocks < SV_IO_BLOCKS)
		return -EINVAL;
	return 0;
}

int sv_volume_new(const struct secvol_params *p, struct secvol **ret_v)
{
	struct secvol *v;
	int err = check_params(p);

	if (err)
		return err;
	v = p->env->alloc(p->env->arg, sizeof(*v));
	if (!v)
		return -ENOMEM;
	memset(v, 0, sizeof(*v));
	v->p = *p;
	v->env = *p->env;
	v->bs = p->bs;
	if (p->hooks)
		v->hooks = *p->hooks;
	if (p->volume_id_size)
		memcpy(v->volume_id, p->volume_id, p->volume_id_size);
	v->fs.id = SV_TREE_FS;
	v->keys.id = SV_TREE_KEY;
	v->ags.id = SV_TREE_AG;
	v->snaps.id = SV_TREE_SNAP;
	v->keep_roots = p->keep_roots ? p->keep_roots : 2;
	v->max_pages = (u32)((p->cache_bytes ? p->cache_bytes : MIB(8)) / SV_BLOCK);
	v->max_pages = MAX(v->max_pages, 2 * SV_EXTENT_BLOCKS);
	if (!v->p.node_cache_bytes)
		v->p.node_cache_bytes = MIB(4);
	list_init(&v->node_lru);
	list_init(&v->inode_lru);
	list_init(&v->inode_dirty);
	list_init(&v->chunk_lru);
	list_init(&v->chunk_dirty);
	v->io = v->bs->ops->buf_alloc(v->bs, SV_IO_BLOCKS * SV_BLOCK);
	v->bounce = sv_alloc(v, 2 * SV_SEAL_BATCH * SV_BLOCK);
	v->node_buf = sv_alloc(v, 1 << 15);
	v->scratch = sv_alloc(v, 1 << 15);
	if (v->io && v->bounce)
		v->reader = sv_reader_new(v, true);
	if (!v->reader || !v->node_buf || !v->scratch || sv_log_init(v))
		err = -ENOMEM;
	for (u32 i = 0; i < ARRAY_SIZE(v->val); i++) {
		v->val[i] = sv_alloc(v, SV_ITEM_MAX);
		if (!v->val[i])
			err = -ENOMEM;
	}
	if (!err && v->env.lock_new) {
		v->lock = v->env.lock_new(v->env.arg);
		v->commit_lock = v->env.lock_new(v->env.arg);
		if (!v->lock || !v->commit_lock)
			err = -ENOMEM;
	}
	if (err) {
		sv_volume_free(v);
		return err;
	}
	*ret_v = v;
	return 0;
}

/*
 * How much may gather until a checkpoint: what recovery has to read and to hold, and what programs
 * gave up and the store still keeps. For the latter the next commit is time enough, up to a point.
 */
void sv_set_limits(struct secvol *v)
{
	u64 bytes = v->p.delta_bytes			  ? v->p.delta_bytes
		    : v->size_blocks < GIB(16) / SV_BLOCK ? MIB(4)
							  : MIB(16);

	v->delta_max = (size_t)MIN(bytes, MAX(v->capacity * SV_BLOCK / 16, 2ull * SV_DELTA_CHUNK));
	v->log_max = (u32)MIN(MIB(16) / SV_BLOCK, MAX(v->capacity / 16, 16ull));
	v->frees_max = (u32)MIN(MIB(64) / SV_BLOCK, MAX(v->capacity / 16, 1024ull));
}

/* ---- format ---- */

static int any_magic(struct secvol *v, bool *ret_any)
{
	int err = bs_read(v->bs, 0, SV_ROOT_SLOTS, v->io);

	*ret_any = false;
	if (err)
		return err;
	for (u32 i = 0; i < SV_ROOT_SLOTS; i++) {
		char magic[8];

		memcpy(magic, v->io + i * SV_BLOCK, 8);
		*ret_any |= memcmp(magic, SV_MAGIC, 8) == 0;
	}
	return 0;
}

int secvol_probe(const struct secvol_env *env, struct bs *bs, bool *ret_exists)
{
	struct secvol_params p = {.env = env, .bs = bs, .mode = SECVOL_HASH};
	struct secvol *v;
	int err = sv_volume_new(&p, &v);

	if (err)
		return err;
	err = any_magic(v, ret_exists);
	sv_volume_free(v);
	return err;
}

static int format_fields(struct secvol *v, const struct secvol_format_params *f)
{
	struct secvol_time now;
	int err = 0;

	v->size_blocks = f->size_blocks;
	v->node_log2 = f->node_log2 ? f->node_log2 : 14;
	v->dup = f->dup;
	v->ag_log2 = f->ag_log2 ? f->ag_log2 : 30;
	if (v->size_blocks < SECVOL_MIN_BLOCKS || v->size_blocks >= SV_MAX_BLOCK ||
	    v->node_log2 < 14 || v->node_log2 > 15 || v->ag_log2 < 20 || v->ag_log2 > 40 ||
	    (v->dup && v->p.mode != SECVOL_SEALED))
		return -EINVAL;
	/* Bitmaps as large as a small volume needs, and no larger. */
	while (!f->ag_log2 && v->ag_log2 > 26 && sv_ag_blocks(v) / 2 >= v->size_blocks)
		v->ag_log2--;
	v->node_size = 1u << v->node_log2;
	v->node_blocks = v->node_size / SV_BLOCK;
	v->next_obj = SECVOL_ROOT_OBJ;
	v->uid = f->uid;
	v->gid = f->gid;
	memcpy(v->label, f->label, sizeof(v->label));
	memcpy(v->uuid, f->uuid, 16);
	sv_now(v, &now);
	v->created = now.sec;
	if (v->p.lower_sha256)
		memcpy(v->lower_sha256, v->p.lower_sha256, 32);
	if (mem_is_zero(v->uuid, 16))
		err = v->env.random(v->env.arg, v->uuid, 16);
	return err;
}

static int format_keys(struct secvol *v)
{
	int err;

	if (v->p.mode != SECVOL_SEALED)
		return 0;
	v->epoch = MAX(MAX(v->p.min_epoch, v->anchored.min_epoch), (u16)1);
	err = v->env.random(v->env.arg, v->vmk, sizeof(v->vmk));
	if (!err)
		err = sv_keyslot_make(v, v->p.keys, &v->slots[0]);
	v->slot_isvsvn = le16_get(v->slots[0].isvsvn);
	if (!err)
		err = sv_anchor_minima(v);
	if (!err)
		err = sv_session_start(v);
	return err;
}

int secvol_format(const struct secvol_params *p, const struct secvol_format_params *f)
{
	struct sv_inode_mem *root;
	struct secvol *v;
	bool exists = false;
	int err;

	if (p->mode == SECVOL_PINNED || (p->mode == SECVOL_HASH && !p->plain_rw))
		return -EINVAL; /* images come from the builder */
	if (p->read_only)
		return -EROFS;
	err = sv_volume_new(p, &v);
	if (err)
		return err;
	v->rw = true;
	err = any_magic(v, &exists);
	if (!err && exists)
		err = -EEXIST;
	if (!err)
		err = sv_anchor_format(v);
	if (!err)
		err = format_fields(v, f);
	if (!err && v->bs->ops->size(v->bs) < v->size_blocks)
		err = v->bs->ops->grow ? v->bs->ops->grow(v->bs, v->size_blocks) : -ENOSPC;
	if (!err)
		err = format_keys(v);
	if (!err)
		err = sv_alloc_init(v);
	if (!err)
		sv_set_limits(v);
	if (!err)
		err = sv_inode_new(v, S_IFDIR_ | (f->root_mode ? f->root_mode : 0755), f->uid,
				   f->gid, 0, &root);
	if (!err) {
		root->parent = SECVOL_ROOT_OBJ;
		err = sv_commit(v, true);
	}
	sv_volume_free(v);
	return err;
}

/* ---- open ---- */

static int check_lower(struct secvol *v, struct secvol_report *report)
{
	if (!v->p.lower_sha256 || crypto_equal(v->lower_sha256, v->p.lower_sha256, 32))
		return 0;
	if (!v->p.keep_upper || !v->rw)
		return -ESTALE;
	memcpy(v->lower_sha256, v->p.lower_sha256, 32);
	report->lower_differs = true;
	return 0;
}

static int has_orphans(struct secvol *v, bool *ret_has)
{
	struct sv_key key = sv_key(0, SV_ORPHAN, 0);
	const u8 *val;
	u32 size;
	int err = sv_tree_next(v, &v->fs, &key, &val, &size);

	*ret_has = !err && !key.obj && key.type == SV_ORPHAN;
	return err == -ENOENT ? 0 : err;
}

/*
 * What must be written at once is written: files to be freed, another image below. Otherwise the
 * open commit waits for the first change, so that who only reads neither writes nor flushes.
 */
static int start_writing(struct secvol *v, struct secvol_report *report)
{
	bool has;
	int err = has_orphans(v, &has);

	v->open_commit_due = true;
	if (!err && (has || report->lower_differs || v->p.anchor))
		err = sv_open_commit(v);
	if (!err && has)
		err = sv_orphans_free(v, &report->orphans);
	if (!err && report->orphans)
		err = sv_commit(v, false);
	return err;
}

int secvol_open(const struct secvol_params *p, struct secvol **ret_v,
		struct secvol_report *ret_report)
{
	struct secvol_report report = {0};
	struct secvol *v;
	u64 size;
	int err;

	if (!p->read_only && (p->mode == SECVOL_PINNED || (p->mode == SECVOL_HASH && !p->plain_rw)))
		return -EINVAL;
	if (p->root_gen && !p->read_only)
		return -EINVAL;
	if (p->mode != SECVOL_SEALED && p->read_only && !p->pinned_sha256 && !p->unpinned &&
	    !p->plain_rw)
		return -EINVAL;
	err = sv_volume_new(p, &v);
	if (err)
		return err;
	v->rw = !p->read_only;
	err = sv_root_read(v, &report);
	size = v->bs->ops->size(v->bs);
	if (!err && size < v->size_blocks && v->rw)
		err = v->bs->ops->grow ? v->bs->ops->grow(v->bs, v->size_blocks) : -EUCLEAN;
	if (!err)
		err = sv_key_table_load(v);
	if (!err && v->p.mode != SECVOL_SEALED && v->p.pinned_sha256)
		err = sv_pinned_check(v);
	if (!err)
		err = check_lower(v, &report);
	if (!err)
		err = sv_snaps_load(v);
	if (!err)
		err = sv_log_read(v, &report);
	if (!err && v->epoch < p->min_epoch)
		err = -EKEYREJECTED;
	if (!err)
		err = sv_anchor_open(v);
	if (!err && p->snapshot) {
		sv_delta_reset(v);
		err = p->read_only ? sv_snap_enter(v, p->snapshot) : -EINVAL;
	}
	if (!err && v->rw)
		err = sv_twice_heal_root(v);
	if (!err && v->rw)
		err = sv_alloc_init(v);
	if (!err && v->rw)
		err = sv_log_claim(v);
	if (!err && v->rw) {
		sv_set_limits(v);
		err = start_writing(v, &report);
	} else if (!err) {
		err = sv_anchor_settle(v);
	}
	if (err) {
		sv_volume_free(v);
		return err;
	}
	if (ret_report)
		*ret_report = report;
	v->is_shared = v->lock != NULL;
	*ret_v = v;
	return 0;
}

int secvol_close(struct secvol *v)
{
	int err = 0;

	sv_commit_lock(v);
	sv_lock(v);
	if (v->rw && v->failed)
		err = v->failed;
	else if (v->rw && !v->open_commit_due)
		err = sv_commit(v, true);
	sv_unlock(v);
	sv_commit_unlock(v);
	sv_volume_free(v);
	return err;
}

void secvol_abandon(struct secvol *v)
{
	sv_volume_free(v);
}

int secvol_statfs(struct secvol *v, struct secvol_statfs *ret)
{
	u64 held;

	sv_lock(v);
	memset(ret, 0, sizeof(*ret));
	ret->files = v->files;
	ret->name_max = SECVOL_NAME_MAX;
	memcpy(&ret->fsid, v->uuid, 8);
	if (v->rw) {
		held = sv_held_back(v) + sv_promise_cost(v->promised) - v->promised +
		       (u64)SV_SLACK_NODES * sv_node_room(v);
		ret->blocks = v->capacity;
		ret->blocks_free = v->capacity - v->used;
		ret->blocks_free -= MIN(ret->blocks_free, v->dirty_pages + v->promised);
		ret->blocks_avail = ret->blocks_free - MIN(ret->blocks_free, held);
	} else {
		ret->blocks = v->size_blocks;
		ret->blocks_free = ret->blocks_avail =
			v->p.mode == SECVOL_SEALED ? v->size_blocks - v->used : 0;
	}
	sv_unlock(v);
	return 0;
}

void secvol_root_sha256(struct secvol *v, u8 digest[32])
{
	sv_lock(v);
	memcpy(digest, v->root_sha256, 32);
	sv_unlock(v);
}
