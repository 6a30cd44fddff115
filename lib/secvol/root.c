/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root slots: the one place from which everything is reached. Four slots are written in turn
 * (generation mod 4), each after a flush of what it refers to, and the newest that opens wins.
 *
 * Before its tag is checked, a slot's clear part only derives keys and is compared with what the
 * caller expects. Generation g lives in slot g mod 4; a slot found elsewhere does not count.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"

#define ROOT_PLACES (2 * SV_ROOT_SLOTS) /* the slots, then their copies */

static void fill_clear(struct secvol *v, struct sv_root_clear *c, u64 gen)
{
	struct sv_session *s;

	memset(c, 0, sizeof(*c));
	memcpy(c->magic, SV_MAGIC, 8);
	c->major = le16_put(SV_MAJOR);
	c->minor = le16_put(SV_MINOR);
	memcpy(c->uuid, v->uuid, 16);
	c->gen = le64_put(gen);
	c->mode = v->p.mode;
	c->suite = v->p.suite;
	c->incompat =
		le32_put((v->log.segs.n ? SV_INCOMPAT_LOG : 0) |
			 (v->snaps.root.addr ? SV_INCOMPAT_SNAPSHOTS : 0) |
			 (v->promised ? SV_INCOMPAT_RESERVED : 0) | (v->dup ? SV_INCOMPAT_DUP : 0));
	c->body_len = le32_put(sizeof(struct sv_root_body));
	c->role = v->p.role;
	c->seal_version = le16_put(v->seal_version);
	if (!sv_sealed(v))
		return;
	c->kid = le32_put(v->kid);
	c->epoch = le16_put(v->epoch);
	if (sv_session_find(v, v->kid, &s) == 0)
		memcpy(c->salt, s->salt, 32);
	memcpy(c->slots, v->slots, sizeof(c->slots));
}

static void fill_body(struct secvol *v, struct sv_root_body *b, bool clean)
{
	struct secvol_time now;

	sv_now(v, &now);
	memset(b, 0, sizeof(*b));
	b->size_blocks = le64_put(v->size_blocks);
	b->node_log2 = v->node_log2;
	b->ag_log2 = v->ag_log2;
	b->clean = clean;
	b->open_seq = le32_put(v->open_seq);
	if (v->fs.root.addr)
		sv_ptr_encode(v, &v->fs.root, &b->fs_tree);
	if (v->keys.root.addr)
		sv_ptr_encode(v, &v->keys.root, &b->key_table);
	if (v->ags.root.addr)
		sv_ptr_encode(v, &v->ags.root, &b->ag_table);
	if (v->snaps.root.addr)
		sv_ptr_encode(v, &v->snaps.root, &b->snap_tree);
	if (v->log.segs.n) {
		b->log_addr =
			le64_put(v->log.segs.run[0].addr | (u64)v->log.segs.run[0].count << 48);
		b->log_first_seq = le64_put(v->log.first_seq);
		memcpy(b->log_seed, v->log.seed, 32);
	}
	memcpy(b->prev_root_sha256, v->root_sha256, 32);
	memcpy(b->lower_sha256, v->lower_sha256, 32);
	b->used = le64_put(v->used);
	b->reserved = le64_put(v->files);
	b->next_obj = le64_put(v->next_obj);
	b->created = le64_put((u64)v->created);
	b->committed = le64_put(v->p.mode == SECVOL_SEALED ? (u64)now.sec : 0);
	b->uid = le32_put(v->uid);
	b->gid = le32_put(v->gid);
	b->sites_version = le32_put(v->sites_version);
	memcpy(b->label, v->label, sizeof(b->label));
	memcpy(b->old_vmk, v->old_vmk, sizeof(b->old_vmk));
	b->promised = le64_put(v->promised);
}

int sv_root_write(struct secvol *v, bool clean)
{
	u64 gen = v->gen + 1;
	struct sv_root_slot *slot = (struct sv_root_slot *)v->bounce;
	const struct aes_gcm *ctx;
	le64 ctr8;
	le32 domain = le32_put(SV_DOM_ROOT);
	u8 digest[32];
	u64 ctr = gen % SV_ROOT_SLOTS; /* PINNED: the slot's address */
	int err;

	fill_clear(v, &slot->clear, gen);
	fill_body(v, &slot->body, clean);
	memset(slot->trailer, 0, sizeof(slot->trailer));
	if (sv_sealed(v)) {
		err = v->p.mode == SECVOL_SEALED ? sv_take_ctr(v, 1, &ctr) : 0;
		if (!err)
			err = sv_session_ctx(v, v->kid, &ctx);
		if (err)
			return err;
		ctr8 = le64_put(ctr);
		memcpy(slot->clear.nonce, &ctr8, 8);
		memcpy(slot->clear.nonce + 8, &domain, 4);
		aes_gcm_seal(ctx, slot->clear.nonce, &slot->clear, sizeof(slot->clear), &slot->body,
			     &slot->body, sizeof(slot->body), slot->trailer);
		if (v->hooks.on_nonce) {
			struct sv_session *s;

			if (sv_session_find(v, v->kid, &s) == 0)
				v->hooks.on_nonce(v->hooks.arg, s->key_id, slot->clear.nonce);
		}
	} else {
		sha256(slot, offsetof(struct sv_root_slot, trailer), slot->trailer);
	}
	sha256(slot, sizeof(*slot), digest);
	v->making =
		(struct secvol_state){.gen = gen, .seq = v->log.segs.n ? v->log.first_seq - 1 : 0};
	memcpy(v->making.sha256, digest, 32);
	if (!sv_fault(v, SECVOL_FAULT_ANCHOR_LATE)) {
		err = sv_anchor_announce(v, &v->making, clean);
		if (err)
			return err;
	}
	memcpy(v->io, slot, sizeof(*slot));
	err = bs_write(v->bs, gen % SV_ROOT_SLOTS, 1, v->io);
	if (!err && v->dup)
		err = bs_write(v->bs, SV_ROOT_COPY + gen % SV_ROOT_SLOTS, 1, v->io);
	if (err)
		return err;
	memcpy(v->root_sha256, digest, 32);
	return 0;
}

static int take_tree(struct secvol *v, const struct sv_bptr *from, struct sv_tree *t)
{
	int err;

	memset(&t->root, 0, sizeof(t->root));
	if (mem_is_zero(from, sizeof(*from)))
		return 0;
	err = sv_ptr_decode(v, from, &t->root);
	if (err)
		return err;
	if (t->root.addr & SV_VIRTUAL || t->root.type != t->id || t->root.nblk != v->node_blocks ||
	    t->root.level >= SV_MAX_DEPTH)
		return -EUCLEAN;
	return 0;
}

/* Where the log behind this root begins. */
static int take_log(struct secvol *v, const struct sv_root_clear *c, const struct sv_root_body *b)
{
	u64 addr = le64_get(b->log_addr) & ((1ull << 48) - 1);
	u32 count = (u32)(le64_get(b->log_addr) >> 48);
	struct sv_log *l = &v->log;
	int err;

	l->segs.n = 0;
	l->first_seq = l->seq = le64_get(b->log_first_seq);
	memcpy(l->seed, b->log_seed, 32);
	if (!(le32_get(c->incompat) & SV_INCOMPAT_LOG))
		return le64_get(b->log_addr) || l->first_seq || !mem_is_zero(l->seed, 32) ? -EUCLEAN
											  : 0;
	if (v->p.mode == SECVOL_PINNED || v->p.pinned_sha256 || addr < SV_FIRST_AG || count < 8 ||
	    count > 256 || l->first_seq == 0 ||
	    !range_within(addr, sv_copies(v) * count, v->size_blocks))
		return -EUCLEAN;
	err = sv_runs_reserve(v, &l->segs, 1);
	if (err)
		return err;
	l->segs.run[0].addr = addr;
	l->segs.run[0].count = count;
	l->segs.n = 1;
	return 0;
}

/* The body is authentic: every field is taken over and checked. */
static int take_body(struct secvol *v, const struct sv_root_clear *c, const struct sv_root_body *b)
{
	int err;

	v->gen = le64_get(c->gen);
	v->size_blocks = le64_get(b->size_blocks);
	v->node_log2 = b->node_log2;
	v->ag_log2 = b->ag_log2;
	v->open_seq = le32_get(b->open_seq);
	v->used = le64_get(b->used);
	v->files = le64_get(b->reserved);
	v->next_obj = le64_get(b->next_obj);
	v->created = (s64)le64_get(b->created);
	v->committed = (s64)le64_get(b->committed);
	v->uid = le32_get(b->uid);
	v->gid = le32_get(b->gid);
	v->sites_version = le32_get(b->sites_version);
	v->promised = le64_get(b->promised);
	v->root_reserves = le32_get(c->incompat) & SV_INCOMPAT_RESERVED;
	v->seal_version = le16_get(c->seal_version);
	v->dup = le32_get(c->incompat) & SV_INCOMPAT_DUP;
	memcpy(v->label, b->label, sizeof(v->label));
	memcpy(v->lower_sha256, b->lower_sha256, 32);
	memcpy(v->old_vmk, b->old_vmk, sizeof(v->old_vmk));
	memcpy(v->slots, c->slots, sizeof(v->slots));
	if (v->node_log2 < 14 || v->node_log2 > 15 || v->ag_log2 < 20 || v->ag_log2 > 40 ||
	    v->size_blocks < SV_FIRST_AG || v->size_blocks >= SV_MAX_BLOCK ||
	    v->used > v->size_blocks || v->promised > v->size_blocks ||
	    v->root_reserves != (v->promised != 0) || (v->dup && v->p.mode != SECVOL_SEALED) ||
	    v->next_obj <= SECVOL_ROOT_OBJ || b->flags || b->clean > 1 ||
	    !mem_is_zero(b->rsv, sizeof(b->rsv)) || !mem_is_zero(&b->rsv1, sizeof(b->rsv1)))
		return -EUCLEAN;
	v->node_size = 1u << v->node_log2;
	v->node_blocks = v->node_size / SV_BLOCK;
	err = take_tree(v, &b->fs_tree, &v->fs);
	if (!err)
		err = take_tree(v, &b->key_table, &v->keys);
	if (!err)
		err = take_tree(v, &b->ag_table, &v->ags);
	if (!err)
		err = take_tree(v, &b->snap_tree, &v->snaps);
	if (!err && !v->snaps.root.addr != !(le32_get(c->incompat) & SV_INCOMPAT_SNAPSHOTS))
		err = -EUCLEAN;
	if (!err && !v->fs.root.addr)
		err = -EUCLEAN;
	return err ? err : take_log(v, c, b);
}

/* What can be said of a slot before any key: 0, -ENOENT (nothing there), or why not. */
static int check_clear(struct secvol *v, const struct sv_root_slot *s, u32 index)
{
	const struct sv_root_clear *c = &s->clear;

	if (memcmp(c->magic, SV_MAGIC, 8) != 0)
		return -ENOENT;
	if (le16_get(c->major) != SV_MAJOR || le32_get(c->incompat) & ~SV_INCOMPAT_KNOWN ||
	    le32_get(c->body_len) != sizeof(struct sv_root_body) || c->rsv1 ||
	    !mem_is_zero(c->rsv2, sizeof(c->rsv2)))
		return -EUCLEAN;
	if (le64_get(c->gen) == 0 || le64_get(c->gen) >= SV_MAX_GEN ||
	    le64_get(c->gen) % SV_ROOT_SLOTS != index % SV_ROOT_SLOTS)
		return -EBADMSG;
	if (index >= SV_ROOT_SLOTS && !(le32_get(c->incompat) & SV_INCOMPAT_DUP))
		return -ENOENT;
	if (c->mode != v->p.mode || c->suite != v->p.suite || c->role != v->p.role)
		return -EKEYREJECTED;
	return 0;
}

static int open_slot(struct secvol *v, struct sv_root_slot *s)
{
	const struct aes_gcm *ctx;
	u8 digest[32];
	int err;

	memcpy(v->uuid, s->clear.uuid, 16);
	if (!sv_sealed(v)) {
		sha256(s, offsetof(struct sv_root_slot, trailer), digest);
		if (!crypto_equal(digest, s->trailer, 32) &&
		    !sv_fault(v, SECVOL_FAULT_NO_TAG_CHECK))
			return -EBADMSG;
		return 0;
	}
	if (v->p.mode == SECVOL_PINNED)
		err = sv_image_key(v);
	else
		err = sv_keyslots_open(v, s->clear.slots, le16_get(s->clear.epoch), s->clear.uuid);
	if (err)
		return err;
	sv_sessions_free(v);
	v->kid = le32_get(s->clear.kid);
	err = sv_session_add(v, v->kid, v->epoch, s->clear.salt);
	if (!err)
		err = sv_session_ctx(v, v->kid, &ctx);
	if (err)
		return err;
	if (!mem_is_zero(s->trailer + 16, 16))
		return -EBADMSG;
	err = aes_gcm_open(ctx, s->clear.nonce, &s->clear, sizeof(s->clear), &s->body, &s->body,
			   sizeof(s->body), s->trailer);
	/* A pinned image is what was measured, so it is the key that does not fit. */
	return err && v->p.mode == SECVOL_PINNED ? -EKEYREJECTED : err;
}

static int try_slot(struct secvol *v, u32 index, struct secvol_report *report)
{
	struct sv_root_slot *s = (struct sv_root_slot *)v->bounce + index;
	u8 digest[32];
	int err;

	sha256(s, sizeof(*s), digest);
	if (v->p.pinned_sha256 && !crypto_equal(digest, v->p.pinned_sha256, 32))
		return mem_is_zero(s, sizeof(*s)) ? -ENOENT : -EBADMSG;
	if (v->p.root_gen && le64_get(s->clear.gen) != v->p.root_gen)
		return -ENOENT;
	err = check_clear(v, s, index);
	if (!err)
		err = open_slot(v, s);
	if (!err)
		err = take_body(v, &s->clear, &s->body);
	if (err)
		return err;
	memcpy(v->root_sha256, digest, 32);
	memcpy(report->root_sha256, digest, 32);
	v->state = (struct secvol_state){.gen = v->gen,
					 .seq = v->log.segs.n ? v->log.first_seq - 1 : 0};
	memcpy(v->state.sha256, digest, 32);
	memcpy(report->uuid, v->uuid, 16);
	report->gen = v->gen;
	report->open_seq = v->open_seq;
	report->clean = s->body.clean;
	return 0;
}

/* Which failure says most about the volume as a whole. */
static int worse(int a, int b)
{
	static const int order[] = {-ENOENT, -EUCLEAN, -EKEYREJECTED, -EBADMSG, -ENOMEM, -EIO};
	int rank_a = 6, rank_b = 6;

	for (int i = 0; i < 6; i++) {
		rank_a = order[i] == a ? i : rank_a;
		rank_b = order[i] == b ? i : rank_b;
	}
	return rank_a >= rank_b ? a : b;
}

/* The image is one commit: what else stands in the slots was not put there by its builder. */
static bool others_are_zero(const struct sv_root_slot *slots, u32 used)
{
	for (u32 i = 0; i < ROOT_PLACES; i++) {
		if (i != used && !mem_is_zero(&slots[i], sizeof(slots[i])))
			return false;
	}
	return true;
}

static int read_slots(struct secvol *v, struct secvol_report *report)
{
	struct sv_root_slot *slots = (struct sv_root_slot *)v->bounce;
	bool tried[ROOT_PLACES] = {false};
	int first_err = -ENOENT;
	int err = bs_read(v->bs, 0, SV_FIRST_AG, v->io);

	if (err)
		return err;
	memcpy(slots, v->io, SV_ROOT_SLOTS * sizeof(*slots));
	memcpy(slots + SV_ROOT_SLOTS, v->io + SV_ROOT_COPY * SV_BLOCK,
	       SV_ROOT_SLOTS * sizeof(*slots));
	for (u32 round = 0; round < ROOT_PLACES; round++) {
		u32 best = ROOT_PLACES;

		for (u32 i = 0; i < ROOT_PLACES; i++) {
			if (!tried[i] &&
			    (best == ROOT_PLACES ||
			     le64_get(slots[i].clear.gen) > le64_get(slots[best].clear.gen)))
				best = i;
		}
		tried[best] = true;
		err = try_slot(v, best, report);
		if (!err && v->p.pinned_sha256 && !others_are_zero(slots, best))
			return -EBADMSG;
		/* A slot that is the pinned one and does not open says it all. */
		if (!err || (err == -EKEYREJECTED && v->p.pinned_sha256))
			return err;
		if (memcmp(slots[best].clear.magic, SV_MAGIC, 8) == 0)
			report->bad_slots++;
		else if (!v->p.pinned_sha256)
			err = -ENOENT;
		first_err = worse(first_err, err);
	}
	return first_err == -ENOENT ? -EUCLEAN : first_err;
}

int sv_root_read(struct secvol *v, struct secvol_report *report)
{
	int err = read_slots(v, report);

	/* They were opened in place, and hold the keys of epochs that are being left. */
	mem_wipe(v->bounce, ROOT_PLACES * sizeof(struct sv_root_slot));
	return err;
}
