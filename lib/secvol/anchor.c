/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freshness. A state of a volume is named by its generation, the number of the newest log block and
 * the SHA-256 of what committed it: the root slot, or the log block that ends a group. An anchor
 * keeps two of them where the host cannot reach: the current one and the one announced next.
 *
 *   announce: put(expected, current = newest durable, next = the one being made), before it can be
 *             durable. So announcing n + 1 confirms n, and one operation per commit is enough.
 *   open:     the state found must be the current or the announced one, exactly. The open commit is
 *             announced over it before anything is served: the other one is then refused for ever,
 *             and a crash cannot fork the history.
 *
 * A put names all that the anchor must hold, with a count of the puts: a put that was held back or
 * kept by the host fits once, or never. Nobody without the key can ask for one.
 *
 * Policy `mount` announces the open commit and the clean close only; in between, any state from
 * the announced one on is accepted. Policy and identity come from the caller, never from the
 * volume.
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

static bool is_nothing(const struct secvol_anchored *a)
{
	return !a->current.gen && !a->next.gen && !a->min_epoch && !a->min_isvsvn && !a->puts;
}

bool secvol_anchored_equal(const struct secvol_anchored *a, const struct secvol_anchored *b)
{
	return is_same(&a->current, &b->current) && is_same(&a->next, &b->next) &&
	       a->min_epoch == b->min_epoch && a->min_isvsvn == b->min_isvsvn && a->puts == b->puts;
}

/*
 * The volume's key is under an epoch and a security version that the anchor no longer takes. A slot
 * whose key says nothing of a version (a user's) has version 0: a demand that it cannot meet.
 */
int sv_anchor_minima(const struct secvol *v)
{
	return v->epoch < v->anchored.min_epoch || v->slot_isvsvn < v->anchored.min_isvsvn ? -ESTALE
											   : 0;
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
	/* Announced, never confirmed: the power went while it was made; nobody has used it. */
	v->anchored = a;
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
	v->anchor_due = true;
	if (err == -ENOENT && v->p.anchor->may_adopt)
		return 0; /* the first put expects that nothing is there */
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	v->anchored = a;
	err = sv_anchor_minima(v);
	if (err)
		return err;
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
	struct secvol_anchored a = v->anchored;
	u8 id[32];
	int err;

	if (!anchor || (anchor->policy == SECVOL_ANCHOR_MOUNT && !at_border && !v->anchor_due))
		return 0;
	a.current = v->state;
	memset(&a.next, 0, sizeof(a.next));
	if (next)
		a.next = *next;
	a.puts++;
	secvol_anchor_id(&v->p, id);
	err = anchor->put(anchor->arg, id, &v->anchored, &a);
	if (err)
		return err;
	v->anchored = a;
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

/* magic 8 | id 32 | content: current 48, next 48, min_epoch 2 min_isvsvn 2, puts 4 | HMAC 32 */
#define MAC_AT	     (SECVOL_ANCHOR_BYTES - 32)
#define CONTENT_AT   40
#define CONTENT_SIZE (MAC_AT - CONTENT_AT)
static_assert(SECVOL_ANCHOR_PUT_MORE == CONTENT_SIZE + SECVOL_ANCHOR_BYTES + 32, "the question");
static const char anchor_magic[8] = "OCANCHR1";

static void put_content(u8 to[CONTENT_SIZE], const struct secvol_anchored *a)
{
	le16 epoch = le16_put(a->min_epoch), svn = le16_put(a->min_isvsvn);
	le32 puts = le32_put(a->puts);

	put_state(to, &a->current);
	put_state(to + 48, &a->next);
	memcpy(to + 96, &epoch, 2);
	memcpy(to + 98, &svn, 2);
	memcpy(to + 100, &puts, 4);
}

void secvol_anchor_encode(const u8 key[32], const u8 id[32], const struct secvol_anchored *a,
			  u8 bytes[SECVOL_ANCHOR_BYTES])
{
	memcpy(bytes, anchor_magic, 8);
	memcpy(bytes + 8, id, 32);
	put_content(bytes + CONTENT_AT, a);
	hmac_sha256(key, 32, bytes, MAC_AT, bytes + MAC_AT);
}

int secvol_anchor_decode(const u8 key[32], const u8 id[32], const u8 bytes[SECVOL_ANCHOR_BYTES],
			 struct secvol_anchored *a)
{
	u8 mac[32];

	hmac_sha256(key, 32, bytes, MAC_AT, mac);
	if (!crypto_equal(mac, bytes + MAC_AT, 32))
		return -EBADMSG;
	if (memcmp(bytes, anchor_magic, 8) != 0)
		return -EUCLEAN;
	if (memcmp(bytes + 8, id, 32) != 0)
		return -ESTALE; /* another volume's */
	get_state(bytes + 40, &a->current);
	get_state(bytes + 88, &a->next);
	a->min_epoch = (u16)(bytes[136] | bytes[137] << 8);
	a->min_isvsvn = (u16)(bytes[138] | bytes[139] << 8);
	a->puts = le32_at(bytes + 140);
	return 0;
}

void secvol_anchor_question(const u8 key[32], const u8 id[32], const u8 nonce[32],
			    const struct secvol_anchored *expected,
			    const struct secvol_anchored *to, u8 bytes[SECVOL_ANCHOR_PUT_MORE])
{
	struct hmac_sha256 m;

	put_content(bytes, expected);
	secvol_anchor_encode(key, id, to, bytes + CONTENT_SIZE);
	hmac_sha256_init(&m, key, 32);
	hmac_sha256_update(&m, "secvol1/anchor put", 18);
	hmac_sha256_update(&m, nonce, 32);
	hmac_sha256_update(&m, bytes, CONTENT_SIZE + SECVOL_ANCHOR_BYTES);
	hmac_sha256_final(&m, bytes + CONTENT_SIZE + SECVOL_ANCHOR_BYTES);
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
		return secvol_anchored_equal(ret, put) ? 0 : -EPROTO;
	return is_nothing(ret) ? -ENOENT : 0;
}
