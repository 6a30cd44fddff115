/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freshness. A state of a volume is named by its generation, the number of the newest log block and
 * the SHA-256 of what committed it: the root slot, or the log block that ends a group. An anchor keeps
 * two of them where the host cannot reach: the current one and the one announced next.
 *
 *   announce: put(expected, current = newest durable, next = the one being made), before it can be
 *             durable. So announcing n + 1 confirms n, and one operation per commit is enough.
 *   open:     the state found must be the current or the announced one, exactly. The open commit is
 *             announced over it before anything is served: the other one is then refused for ever,
 *             and a crash cannot fork the history.
 *
 * Policy `mount` announces the open commit and the clean close only; in between, any state from
 * the announced one on is accepted. Policy and identity come from the caller, never from the volume.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"

static bool is_same(const struct secvol_state *a, const struct secvol_state *b)
{
	return a->gen == b->gen && a->seq == b->seq && crypto_equal(a->sha256, b->sha256, 32);
}

static bool is_later(const struct secvol_state *a, const struct secvol_state *b)
{
	return a->gen > b->gen || (a->gen == b->gen && a->seq > b->seq);
}

void secvol_anchor_id(const struct secvol_params *p, u8 id[32])
{
	struct sha256 s;
	u8 head[] = {
		's', 'e', 'c', 'v', 'o', 'l', '1', '/', 'a', (u8)p->role, (u8)p->volume_id_size};

	sha256_init(&s);
	sha256_update(&s, head, sizeof(head));
	if (p->volume_id_size)
		sha256_update(&s, p->volume_id, p->volume_id_size);
	sha256_final(&s, id);
}

/* A volume must not be made where the anchor knows one. */
int sv_anchor_format(struct secvol *v)
{
	struct secvol_anchored a;
	u8 id[32];
	int err;

	if (!v->p.anchor)
		return 0;
	secvol_anchor_id(&v->p, id);
	err = v->p.anchor->get(v->p.anchor->arg, id, &a);
	v->anchor_due = true;
	if (err)
		return err == -ENOENT ? 0 : err;
	/* Announced and never confirmed: it was being made when the power went, and nobody has used it. */
	v->anchored = a.current;
	return a.current.gen ? -ESTALE : 0;
}

int sv_anchor_open(struct secvol *v)
{
	struct secvol_anchored a;
	u8 id[32];
	int err;

	if (!v->p.anchor)
		return 0;
	secvol_anchor_id(&v->p, id);
	err = v->p.anchor->get(v->p.anchor->arg, id, &a);
	if (err == -ENOENT && v->p.anchor->may_adopt) {
		memset(&a, 0, sizeof(a));
		a.current = v->state;
		a.next = v->state;
		err = 0;
	}
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	if (v->epoch < a.min_epoch)
		return -ESTALE;
	v->min_epoch = a.min_epoch;
	v->min_isvsvn = a.min_isvsvn;
	v->anchored = a.current;
	v->anchor_due = true;
	if (sv_fault(v, SECVOL_FAULT_ANCHOR_BLIND))
		return 0;
	if (is_same(&v->state, &a.current) || (a.next.gen && is_same(&v->state, &a.next)))
		return 0;
	if (v->p.anchor->policy == SECVOL_ANCHOR_MOUNT &&
	    is_later(&v->state, a.next.gen ? &a.next : &a.current))
		return 0;
	return -ESTALE;
}

/* Read-only: what is served becomes the only state; there is no commit to announce. */
int sv_anchor_settle(struct secvol *v)
{
	if (!v->p.anchor)
		return 0;
	return sv_anchor_announce(v, NULL, true);
}

int sv_anchor_announce(struct secvol *v, const struct secvol_state *next, bool at_border)
{
	const struct secvol_anchor *anchor = v->p.anchor;
	struct secvol_anchored a = {
		.current = v->state, .min_epoch = v->min_epoch, .min_isvsvn = v->min_isvsvn};
	u8 id[32];
	int err;

	if (!anchor || (anchor->policy == SECVOL_ANCHOR_MOUNT && !at_border && !v->anchor_due))
		return 0;
	if (next)
		a.next = *next;
	secvol_anchor_id(&v->p, id);
	err = anchor->put(anchor->arg, id, &v->anchored, &a);
	if (err)
		return err;
	v->anchored = a.current;
	v->anchor_due = false;
	return 0;
}

/* ---- records as bytes, for anchors that are files or commands -------------------------------- */

static void put_state(u8 *to, const struct secvol_state *s)
{
	le64 gen = le64_put(s->gen), seq = le64_put(s->seq);

	memcpy(to, &gen, 8);
	memcpy(to + 8, &seq, 8);
	memcpy(to + 16, s->sha256, 32);
}

static void get_state(const u8 *from, struct secvol_state *s)
{
	s->gen = le64_at(from);
	s->seq = le64_at(from + 8);
	memcpy(s->sha256, from + 16, 32);
}

/* magic 8 | id 32 | current 48 | next 48 | min_epoch 2 min_isvsvn 2 rsv 4 | HMAC-SHA256 32 */
#define MAC_AT (SECVOL_ANCHOR_BYTES - 32)
static const char anchor_magic[8] = "OCANCHR1";

void secvol_anchor_encode(const u8 key[32], const u8 id[32], const struct secvol_anchored *a,
			  u8 bytes[SECVOL_ANCHOR_BYTES])
{
	le16 epoch = le16_put(a->min_epoch), svn = le16_put(a->min_isvsvn);

	memset(bytes, 0, SECVOL_ANCHOR_BYTES);
	memcpy(bytes, anchor_magic, 8);
	memcpy(bytes + 8, id, 32);
	put_state(bytes + 40, &a->current);
	put_state(bytes + 88, &a->next);
	memcpy(bytes + 136, &epoch, 2);
	memcpy(bytes + 138, &svn, 2);
	hmac_sha256(key, 32, bytes, MAC_AT, bytes + MAC_AT);
}

int secvol_anchor_decode(const u8 key[32], const u8 id[32], const u8 bytes[SECVOL_ANCHOR_BYTES],
			 struct secvol_anchored *a)
{
	u8 mac[32];

	hmac_sha256(key, 32, bytes, MAC_AT, mac);
	if (!crypto_equal(mac, bytes + MAC_AT, 32))
		return -EBADMSG;
	if (memcmp(bytes, anchor_magic, 8) != 0 || !mem_is_zero(bytes + 140, 4))
		return -EUCLEAN;
	if (memcmp(bytes + 8, id, 32) != 0)
		return -ESTALE; /* another volume's */
	get_state(bytes + 40, &a->current);
	get_state(bytes + 88, &a->next);
	a->min_epoch = (u16)(bytes[136] | bytes[137] << 8);
	a->min_isvsvn = (u16)(bytes[138] | bytes[139] << 8);
	return 0;
}

void secvol_anchor_question(const u8 key[32], const u8 id[32], const struct secvol_state *expected,
			    const struct secvol_anchored *to, u8 bytes[224])
{
	put_state(bytes, expected);
	secvol_anchor_encode(key, id, to, bytes + 48);
}

int secvol_anchor_reply(const u8 key[32], const u8 id[32], const u8 nonce[32], const u8 bytes[208],
			const struct secvol_anchored *put, struct secvol_anchored *ret)
{
	struct hmac_sha256 m;
	u8 mac[32];
	int err;

	hmac_sha256_init(&m, key, 32);
	hmac_sha256_update(&m, "secvol1/anchor", 14);
	hmac_sha256_update(&m, nonce, 32);
	hmac_sha256_update(&m, bytes, SECVOL_ANCHOR_BYTES);
	hmac_sha256_final(&m, mac);
	if (!crypto_equal(mac, bytes + SECVOL_ANCHOR_BYTES, 32))
		return -EBADMSG;
	err = secvol_anchor_decode(key, id, bytes, ret);
	if (err)
		return err;
	if (put)
		return is_same(&ret->current, &put->current) && is_same(&ret->next, &put->next)
			       ? 0
			       : -EPROTO;
	return ret->current.gen || ret->next.gen ? 0 : -ENOENT;
}

bool secvol_state_equal(const struct secvol_state *a, const struct secvol_state *b)
{
	return is_same(a, b);
}
