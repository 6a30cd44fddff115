/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going back: an older root that is still kept becomes the present, as the next generation.
 *
 * The bitmaps of an older root are gone (two generations are kept), so they are made anew from what
 * its trees refer to, and so are the counts of live blocks. Nothing that any root which still opens
 * refers to is handed out, so the newest one stays whole: a crash on the way leaves the volume as
 * it was, and afterwards the newer state can be gone back to in turn until something else is
 * written.
 *
 * Keys: what the owner did to them since is kept. The slots are the newest root's, so that a key
 * that was taken away does not come back, and a root under an older volume key is refused.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

/* What is kept of the roots that are not to be the present. */
struct others {
	u8 *used; /* a bit per block of the volume */
	u64 size; /* bytes of it */
	u64 blocks;
	u8 *which; /* of each group: the bitmap that the newest root uses, or WHICH_NONE */
	u32 groups;
};

#define WHICH_NONE 0xff

static struct secvol_params as_reader(const struct secvol_params *p, u64 gen)
{
	struct secvol_params ro = *p;

	ro.read_only = true;
	ro.anchor = NULL; /* asked once, for the newest */
	ro.lower_sha256 = NULL;
	ro.snapshot = NULL;
	ro.root_gen = gen;
	return ro;
}

/* The newest root by itself: it counts even if nothing below it opens. */
static int read_newest(const struct secvol_params *p, struct secvol **ret_v)
{
	struct secvol_params ro = as_reader(p, 0);
	struct secvol_report report = {0};
	int err = sv_volume_new(&ro, ret_v);

	if (err)
		return err;
	err = sv_root_read(*ret_v, &report);
	if (err)
		sv_volume_free(*ret_v);
	return err;
}

/* ---- what the other roots refer to ----------------------------------------------------------- */

static void add_bits(struct others *o, const u8 *map, u64 size)
{
	for (u64 i = 0; i < MIN(size, o->size); i++)
		o->used[i] |= map[i];
}

static void note_bitmaps(struct others *o, struct secvol *v)
{
	for (u32 i = 0; i < o->groups; i++) {
		struct sv_key key = sv_key(0, SV_AG, i);
		const struct sv_ag_item *item;
		const u8 *val;
		u32 size;

		if (sv_tree_lookup(v, &v->ags, &key, &val, &size) || size != sizeof(*item))
			continue;
		item = (const struct sv_ag_item *)val;
		if (!(item->flags & 1) && item->which < 2)
			o->which[i] = item->which;
	}
}

/* A root whose structure is damaged keeps what of it can be reached. */
static int add_root(const struct secvol_params *p, u64 gen, bool newest, struct others *o,
		    struct secvol_to_root *ret)
{
	struct secvol_params ro = as_reader(p, gen);
	struct secvol *v;
	size_t live_size, map_size;
	u64 *live, used;
	u8 *map;
	int err = secvol_open(&ro, &v, NULL);

	if (err)
		return err == -ENOMEM ? err : 0;
	live_size = (v->session_count + 1) * sizeof(*live);
	map_size = v->size_blocks / 8 + 1;
	live = sv_zalloc(v, live_size);
	map = sv_zalloc(v, map_size);
	err = live && map ? sv_blocks_met(v, map, live, &used) : -ENOMEM;
	if (map)
		add_bits(o, map, map_size);
	if (newest && err != -ENOMEM) {
		ret->from_opened = !err;
		ret->from_files = v->files;
		note_bitmaps(o, v);
	}
	sv_free(v, map, map_size);
	sv_free(v, live, live_size);
	secvol_abandon(v);
	return err == -ENOMEM ? err : 0;
}

static int add_others(const struct secvol_params *p, u64 newest, u64 gen, struct others *o,
		      struct secvol_to_root *ret)
{
	int err = 0;

	for (u64 g = newest; !err && g && g + SV_ROOT_SLOTS > newest; g--) {
		if (g != gen)
			err = add_root(p, g, g == newest, o, ret);
	}
	return err;
}

/* ---- the root that is gone back to ----------------------------------------------------------- */

static void count_damage(void *arg, u64 obj, const char *what, int err)
{
	++*(u64 *)arg;
}

static int check_older(const struct secvol_params *p, u64 gen, bool force,
		       struct secvol_to_root *ret)
{
	struct secvol_params ro = as_reader(p, gen);
	struct secvol *v;
	int err = secvol_open(&ro, &v, NULL);

	if (err)
		return err;
	ret->to_files = v->files;
	ret->to_committed = v->committed;
	err = secvol_check(v, count_damage, &ret->damages);
	secvol_abandon(v);
	if (err && (!ret->damages || !force))
		return ret->damages ? -EBADMSG : err;
	return 0;
}

/* Every group as the tree says it is, to be written where the newest root has nothing. */
static int rebuild(struct secvol *v, const struct others *o)
{
	size_t live_size = (v->session_count + 1) * sizeof(u64);
	size_t map_size = v->size_blocks / 8 + 1;
	u64 *live = sv_zalloc(v, live_size), used = 0;
	u8 *map = sv_zalloc(v, map_size);
	int err = live && map ? sv_blocks_met(v, map, live, &used) : -ENOMEM;

	if (!err) {
		v->used = used;
		err = sv_alloc_init(v);
	}
	for (u32 i = 0; !err && i < v->session_count && v->p.mode == SECVOL_SEALED; i++)
		v->sessions[i].live = live[i];
	v->avail = 0;
	for (u32 i = 0; !err && i < v->ag_count; i++) {
		u8 which = i < o->groups ? o->which[i] : WHICH_NONE;
		bool written = which != WHICH_NONE;

		err = sv_ag_adopt(v, i, map, o->used, written ? which : 0, written, v->kid);
		if (!err && written) /* until the commit moves it */
			sv_session_live(v, v->kid, v->ag[i]->bm_blocks);
		if (!err)
			v->avail += v->ag[i]->avail;
	}
	sv_free(v, map, map_size);
	sv_free(v, live, live_size);
	return err;
}

/* What the newest root knows and the older one does not. */
static void take_over(struct secvol *v, const struct secvol *newest)
{
	v->gen = newest->gen;
	memcpy(v->root_sha256, newest->root_sha256, 32);
	v->open_seq = MAX(v->open_seq, newest->open_seq) + 1;
	v->next_obj = MAX(v->next_obj, newest->next_obj);
	v->kid = MAX(v->kid, newest->kid);
	v->log.seq = MAX(v->log.seq, newest->log.seq);
	memcpy(v->slots, newest->slots, sizeof(v->slots));
}

static int ask_anchor(struct secvol *v)
{
	u8 id[32];
	int err;

	if (!v->p.anchor)
		return 0;
	secvol_anchor_id(&v->p, id);
	err = v->p.anchor->get(v->p.anchor->arg, id, &v->anchored);
	v->anchor_due = true;
	if (!err)
		err = sv_anchor_minima(v);
	return err == -ENOENT ? 0 : err;
}

/* As an open for writing, with bitmaps of our own and the open commit made at once. */
static int make_present(struct secvol *v, const struct secvol *newest, const struct others *o)
{
	struct secvol_report report = {0};
	int err = sv_root_read(v, &report);

	if (!err && (memcmp(v->uuid, newest->uuid, 16) != 0 || v->ag_log2 != newest->ag_log2 ||
		     v->dup != newest->dup || v->size_blocks > newest->size_blocks))
		err = -EUCLEAN; /* not the same volume's, or larger: none ever shrinks */
	if (!err && (v->epoch < newest->epoch || v->epoch < v->p.min_epoch))
		err = -EKEYREJECTED;
	if (!err)
		err = sv_key_table_load(v);
	if (!err)
		err = sv_snaps_load(v);
	if (!err)
		err = rebuild(v, o);
	if (!err)
		err = sv_log_read(v, &report);
	if (!err)
		err = sv_log_claim(v);
	if (!err)
		err = ask_anchor(v);
	if (err)
		return err;
	sv_set_limits(v);
	err = bs_flush(v->bs);
	if (!err)
		err = sv_log_settle(v);
	if (err)
		return err;
	take_over(v, newest);
	v->state = newest->state;
	if (v->p.mode == SECVOL_SEALED) {
		err = sv_session_start(v);
		if (!err)
			err = sv_tree_dirty_all(v, &v->keys);
	}
	v->dirty = true;
	return err ? err : sv_commit(v, true);
}

/* What the anchor knows is the newest state with its log. */
static void take_state(const struct secvol_params *p, struct secvol *newest)
{
	struct secvol_params ro = as_reader(p, newest->gen);
	struct secvol *v;

	if (!p->anchor)
		return;
	ro.anchor = p->anchor; /* log digests are taken when there is one; it is not asked */
	if (sv_volume_new(&ro, &v))
		return;
	if (sv_root_read(v, &(struct secvol_report){0}) == 0 && sv_key_table_load(v) == 0 &&
	    sv_log_read(v, &(struct secvol_report){0}) == 0) {
		newest->state = v->state;
		newest->log.seq = v->log.seq;
		newest->next_obj = v->next_obj;
	}
	sv_volume_free(v);
}

static int go_back(const struct secvol_params *p, u64 gen, struct secvol *newest,
		   struct secvol_to_root *ret)
{
	struct secvol_params rw = *p;
	struct others o = {.size = newest->size_blocks / 8 + 1,
			   .groups = (u32)(newest->size_blocks / sv_ag_blocks(newest) + 1)};
	struct secvol *v;
	int err = -ENOMEM;

	rw.read_only = false;
	rw.root_gen = gen;
	rw.snapshot = NULL;
	o.used = sv_zalloc(newest, o.size);
	o.which = sv_alloc(newest, o.groups);
	if (o.used && o.which) {
		memset(o.which, WHICH_NONE, o.groups);
		err = add_others(p, newest->gen, gen, &o, ret);
	}
	if (!err)
		err = sv_volume_new(&rw, &v);
	if (!err) {
		v->rw = true;
		err = make_present(v, newest, &o);
		ret->made = v->gen;
		sv_volume_free(v);
	}
	sv_free(newest, o.used, o.size);
	sv_free(newest, o.which, o.groups);
	return err;
}

int secvol_to_root(const struct secvol_params *p, u64 gen, bool force, struct secvol_to_root *ret)
{
	struct secvol *newest;
	int err;

	memset(ret, 0, sizeof(*ret));
	if (p->read_only || p->mode == SECVOL_PINNED || (p->mode == SECVOL_HASH && !p->plain_rw))
		return -EINVAL;
	if (p->anchor && !force)
		return -ESTALE;
	err = read_newest(p, &newest);
	if (err)
		return err;
	ret->from = newest->gen;
	ret->from_committed = newest->committed;
	ret->to = gen;
	err = !gen || gen >= newest->gen ? -EINVAL : check_older(p, gen, force, ret);
	if (!err) {
		take_state(p, newest);
		err = go_back(p, gen, newest, ret);
	}
	sv_volume_free(newest);
	return err;
}
