/* SPDX-License-Identifier: Apache-2.0 */
/*
 * B-tree nodes: the sorted items in memory and their prefix-truncated encoding.
 *
 * Each encoded key drops what it shares with the node's first key, so the size of the encoding
 * depends on the first key; it is counted anew whenever that changes. Splitting never makes a half
 * larger than its part was: keys share at least as much with a later first key.
 */
#include "lib/secvol/node.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/secvol/secvol.h"

static void put_be64(u8 *to, u64 v)
{
	v = __builtin_bswap64(v);
	memcpy(to, &v, 8);
}

static u64 get_be64(const u8 *from)
{
	u64 v;

	memcpy(&v, from, 8);
	return __builtin_bswap64(v);
}

void sv_key_encode(const struct sv_key *k, u8 bytes[SV_KEY_SIZE])
{
	put_be64(bytes, k->obj);
	bytes[8] = k->type;
	put_be64(bytes + 9, k->off);
}

struct sv_key sv_key_decode(const u8 bytes[SV_KEY_SIZE])
{
	return sv_key(get_be64(bytes), bytes[8], get_be64(bytes + 9));
}

/* How many leading bytes of the encodings are the same. */
static u32 shared_prefix(const struct sv_key *a, const struct sv_key *b)
{
	if (a->obj != b->obj)
		return (u32)__builtin_clzll(a->obj ^ b->obj) / 8;
	if (a->type != b->type)
		return 8;
	if (a->off != b->off)
		return 9 + (u32)__builtin_clzll(a->off ^ b->off) / 8;
	return SV_KEY_SIZE;
}

static u32 item_bytes(const struct sv_key *first, const struct sv_key *key, u32 size)
{
	return sizeof(struct sv_node_slot) + SV_KEY_SIZE - shared_prefix(first, key) + size;
}

static u32 count_used(const struct sv_item *items, u32 n, const struct sv_key *first)
{
	u32 used = 0;

	for (u32 i = 0; i < n; i++)
		used += item_bytes(first, &items[i].key, items[i].size);
	return used;
}

static void recount(struct sv_node *n)
{
	n->used = sizeof(struct sv_node_header);
	if (n->n)
		n->used += count_used(n->items, n->n, &n->items[0].key);
}

struct sv_node *sv_node_new(const struct secvol_env *env, u8 tree, u8 level, u32 cap, u32 heap_size)
{
	struct sv_node *n = env->alloc(env->arg, sizeof(*n));

	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	list_init(&n->lru);
	n->tree = tree;
	n->level = level;
	n->used = sizeof(struct sv_node_header);
	if (sv_node_reserve(env, n, cap, heap_size)) {
		sv_node_free(env, n);
		return NULL;
	}
	return n;
}

void sv_node_free(const struct secvol_env *env, struct sv_node *n)
{
	if (n->items)
		env->free(env->arg, n->items, n->cap * sizeof(*n->items));
	if (n->heap)
		env->free(env->arg, n->heap, n->heap_size);
	env->free(env->arg, n, sizeof(*n));
}

int sv_node_reserve(const struct secvol_env *env, struct sv_node *n, u32 items, u32 heap_size)
{
	if (n->cap < n->n + items) {
		u32 cap = n->n + items;
		struct sv_item *bigger = env->alloc(env->arg, cap * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		if (n->items) {
			memcpy(bigger, n->items, n->n * sizeof(*bigger));
			env->free(env->arg, n->items, n->cap * sizeof(*bigger));
		}
		n->items = bigger;
		n->cap = cap;
	}
	if (n->heap_size < heap_size) {
		u8 *bigger = env->alloc(env->arg, heap_size);

		if (!bigger)
			return -ENOMEM;
		if (n->heap) {
			memcpy(bigger, n->heap, n->heap_used);
			env->free(env->arg, n->heap, n->heap_size);
		}
		n->heap = bigger;
		n->heap_size = heap_size;
	}
	return 0;
}

bool sv_node_shrink(const struct secvol_env *env, struct sv_node *n)
{
	struct sv_item *items;
	u8 *heap;
	u32 at = 0;

	if (n->cap == n->n && n->heap_size == MAX(n->heap_live, 1u))
		return false;
	items = env->alloc(env->arg, n->n * sizeof(*items));
	heap = env->alloc(env->arg, MAX(n->heap_live, 1u));
	if (!items || !heap) {
		if (items)
			env->free(env->arg, items, n->n * sizeof(*items));
		if (heap)
			env->free(env->arg, heap, MAX(n->heap_live, 1u));
		return false;
	}
	for (u32 i = 0; i < n->n; i++) {
		items[i] = n->items[i];
		items[i].pos = at;
		memcpy(heap + at, sv_node_value(n, i), items[i].size);
		at += items[i].size;
	}
	env->free(env->arg, n->items, n->cap * sizeof(*items));
	env->free(env->arg, n->heap, n->heap_size);
	n->items = items;
	n->cap = n->n;
	n->heap = heap;
	n->heap_size = MAX(n->heap_live, 1u);
	n->heap_used = at;
	return true;
}

size_t sv_node_memory(const struct sv_node *n)
{
	return sizeof(*n) + n->cap * sizeof(*n->items) + n->heap_size;
}

u32 sv_node_search(const struct sv_node *n, const struct sv_key *key, bool *ret_equal)
{
	u32 lo = 0, hi = n->n;

	*ret_equal = false;
	while (lo < hi) {
		u32 mid = (lo + hi) / 2;
		int cmp = sv_key_cmp(&n->items[mid].key, key);

		if (cmp == 0) {
			*ret_equal = true;
			return mid;
		}
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool sv_node_fits(const struct sv_node *n, u32 i, bool replace, const struct sv_key *key, u32 size,
		  u32 node_size)
{
	u32 used;

	if (i == 0 && !replace && n->n) {
		/* A new first key: all others share less or the same with it. */
		used = sizeof(struct sv_node_header) + item_bytes(key, key, size) +
		       count_used(n->items, n->n, key);
	} else {
		used = n->used + item_bytes(n->n ? &n->items[0].key : key, key, size);
		if (replace)
			used -= item_bytes(&n->items[0].key, key, n->items[i].size);
	}
	return used <= node_size;
}

static void compact(struct sv_node *n, u8 *scratch)
{
	u32 at = 0;

	for (u32 i = 0; i < n->n; i++) {
		memcpy(scratch + at, sv_node_value(n, i), n->items[i].size);
		n->items[i].pos = at;
		at += n->items[i].size;
	}
	memcpy(n->heap, scratch, at);
	n->heap_used = at;
	n->heap_live = at;
}

void sv_node_insert(struct sv_node *n, u32 i, const struct sv_key *key, const void *value, u32 size,
		    u8 *scratch)
{
	if (n->heap_used + size > n->heap_size)
		compact(n, scratch);
	memmove(&n->items[i + 1], &n->items[i], (n->n - i) * sizeof(*n->items));
	n->items[i].key = *key;
	n->items[i].size = size;
	n->items[i].pos = n->heap_used;
	if (size)
		memcpy(n->heap + n->heap_used, value, size);
	n->heap_used += size;
	n->heap_live += size;
	n->n++;
	if (i == 0)
		recount(n);
	else
		n->used += item_bytes(&n->items[0].key, key, size);
}

void sv_node_lower(struct sv_node *n, const struct sv_key *key)
{
	n->items[0].key = *key;
	recount(n);
}

void sv_node_remove(struct sv_node *n, u32 i)
{
	u32 bytes = item_bytes(&n->items[0].key, &n->items[i].key, n->items[i].size);

	n->heap_live -= n->items[i].size;
	n->n--;
	memmove(&n->items[i], &n->items[i + 1], (n->n - i) * sizeof(*n->items));
	if (n->n == 0)
		n->heap_used = 0;
	if (i == 0)
		recount(n);
	else
		n->used -= bytes;
}

void sv_node_split(struct sv_node *n, struct sv_node *right, u32 at)
{
	for (u32 i = at; i < n->n; i++) {
		struct sv_item *to = &right->items[right->n++];

		*to = n->items[i];
		to->pos = right->heap_used;
		memcpy(right->heap + to->pos, sv_node_value(n, i), to->size);
		right->heap_used += to->size;
		n->heap_live -= to->size;
	}
	right->heap_live = right->heap_used;
	n->n = at;
	if (n->n == 0)
		n->heap_used = 0;
	recount(n);
	recount(right);
}

u32 sv_node_middle(const struct sv_node *n)
{
	u32 sum = 0, i;

	for (i = 0; i + 1 < n->n; i++) {
		sum += item_bytes(&n->items[0].key, &n->items[i].key, n->items[i].size);
		if (sum * 2 >= n->used)
			break;
	}
	return i == 0 ? 1 : i;
}

u32 sv_node_joined_size(const struct sv_node *n, const struct sv_node *right)
{
	return n->used + count_used(right->items, right->n, &n->items[0].key);
}

void sv_node_join(struct sv_node *n, const struct sv_node *right, u8 *scratch)
{
	for (u32 i = 0; i < right->n; i++)
		sv_node_insert(n, n->n, &right->items[i].key, sv_node_value(right, i),
			       right->items[i].size, scratch);
}

int sv_node_encode(const struct sv_node *n, u64 gen, u8 *to, u32 node_size)
{
	struct sv_node_header *h = (struct sv_node_header *)to;
	struct sv_node_slot *slot = (struct sv_node_slot *)(h + 1);
	u32 records = n->used - sizeof(*h) - n->n * sizeof(*slot);
	u32 pos = node_size - records;

	if (n->used > node_size)
		return -EUCLEAN;
	for (u32 i = 1; i < n->n; i++) {
		if (sv_key_cmp(&n->items[i - 1].key, &n->items[i].key) >= 0)
			return -EUCLEAN;
	}
	memset(to, 0, pos);
	h->magic = le32_put(SV_NODE_MAGIC);
	h->n = le16_put(n->n);
	h->level = n->level;
	h->tree = le32_put(n->tree);
	h->used = le32_put(n->used);
	h->gen = le64_put(gen);
	if (n->n)
		sv_key_encode(&n->items[0].key, h->first_key);
	for (u32 i = 0; i < n->n; i++, slot++) {
		u8 key[SV_KEY_SIZE];
		u32 skip = shared_prefix(&n->items[0].key, &n->items[i].key);

		sv_key_encode(&n->items[i].key, key);
		slot->pos = le16_put((u16)pos); /* nodes are at most 32 KiB */
		slot->size = le16_put(n->items[i].size);
		slot->skip = skip;
		memcpy(to + pos, key + skip, SV_KEY_SIZE - skip);
		pos += SV_KEY_SIZE - skip;
		memcpy(to + pos, sv_node_value(n, i), n->items[i].size);
		pos += n->items[i].size;
	}
	return 0;
}

static int decode_items(struct sv_node *n, const u8 *from, u32 node_size, u32 count,
			const struct sv_key *first)
{
	const struct sv_node_slot *slot =
		(const struct sv_node_slot *)(from + sizeof(struct sv_node_header));
	u32 slots_end = sizeof(struct sv_node_header) + count * sizeof(*slot);
	u32 expect_pos = 0;
	u8 key[SV_KEY_SIZE];

	sv_key_encode(first, key);
	for (u32 i = 0; i < count; i++, slot++) {
		u32 pos = le16_get(slot->pos), size = le16_get(slot->size), skip = slot->skip;
		struct sv_item *item = &n->items[i];

		if (skip > SV_KEY_SIZE || slot->rsv || size > SV_ITEM_MAX || pos < slots_end ||
		    (i > 0 && pos != expect_pos) || pos > node_size ||
		    SV_KEY_SIZE - skip + size > node_size - pos ||
		    size > n->heap_size - n->heap_used)
			return -EUCLEAN;
		sv_key_encode(first, key);
		memcpy(key + skip, from + pos, SV_KEY_SIZE - skip);
		item->key = sv_key_decode(key);
		if (skip != shared_prefix(first, &item->key))
			return -EUCLEAN;
		if (i == 0 ? sv_key_cmp(&item->key, first) != 0
			   : sv_key_cmp(&item->key, &n->items[i - 1].key) <= 0)
			return -EUCLEAN;
		item->size = size;
		item->pos = n->heap_used;
		memcpy(n->heap + n->heap_used, from + pos + SV_KEY_SIZE - skip, size);
		n->heap_used += size;
		expect_pos = pos + SV_KEY_SIZE - skip + size;
		n->n++;
	}
	return expect_pos == node_size ? 0 : -EUCLEAN;
}

int sv_node_decode(const struct secvol_env *env, const u8 *from, u32 node_size,
		   const struct sv_node_expect *expect, struct sv_node **ret_node)
{
	const struct sv_node_header *h = (const struct sv_node_header *)from;
	u32 count = le16_get(h->n), used = le32_get(h->used);
	struct sv_key first = sv_key_decode(h->first_key);
	u32 slots = count * sizeof(struct sv_node_slot);
	struct sv_node *n;
	int err;

	if (le32_get(h->magic) != SV_NODE_MAGIC || h->flags ||
	    !mem_is_zero(h->rsv, sizeof(h->rsv)) || le32_get(h->tree) != expect->tree ||
	    h->level != expect->level || le64_get(h->gen) != expect->gen || count == 0 ||
	    used > node_size || sizeof(*h) + slots > used)
		return -EUCLEAN;
	if (expect->lo && sv_key_cmp(&first, expect->lo) < 0)
		return -EUCLEAN;
	n = sv_node_new(env, expect->tree, expect->level, count, used);
	if (!n)
		return -ENOMEM;
	err = decode_items(n, from, node_size, count, &first);
	if (!err) {
		n->heap_live = n->heap_used;
		recount(n);
		if (n->used != used ||
		    (expect->hi && sv_key_cmp(&n->items[n->n - 1].key, expect->hi) >= 0))
			err = -EUCLEAN;
	}
	for (u32 i = 0; !err && expect->level > 0 && i < n->n; i++) {
		const struct sv_bptr *p = (const struct sv_bptr *)sv_node_value(n, i);

		/* An address beyond all volumes would be taken for a node in memory. */
		if (n->items[i].size != sizeof(*p) ||
		    (le64_get(p->addr_nblk) & ((1ull << 48) - 1)) >= SV_MAX_BLOCK)
			err = -EUCLEAN;
	}
	if (err) {
		sv_node_free(env, n);
		return err;
	}
	*ret_node = n;
	return 0;
}
