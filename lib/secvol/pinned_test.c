/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pinned images against someone who knows the key. A GCM tag is no hash: with the key, two blocks
 * of ciphertext are changed so that the tag stays what it was. Each such forgery (of file data, a
 * leaf, an inner node, the root slot) is first shown to pass GCM, then refused by the volume. And:
 * one changed bit anywhere in the image, in what nothing refers to as well, is found.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/crypto/sha256.h"
#include "lib/secvol/build.h"
#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"

enum {
	FILES = 80,
	FILE_BLOCKS = 5,
	AG_LOG2 = 20, /* so that the image has several groups */
	BLOCKS_MAX = 2048,
};

static struct fixture f;
static u8 digest[32], content[FILE_BLOCKS * SV_BLOCK];
static u64 data_addr, image_blocks;

static void put_file(struct secvol_build *b, u64 obj, u64 *ret_addr)
{
	struct secvol_attr a = {.obj = obj,
				.mode = 0100644,
				.nlink = 1,
				.size = sizeof(content),
				.blocks = FILE_BLOCKS};
	u8 digests[FILE_BLOCKS][32];
	u64 addr[FILE_BLOCKS];

	/* Data goes to its place before the items that name it. */
	for (u32 done = 0, n; done < FILE_BLOCKS; done += n) {
		assert_int_equal(secvol_build_alloc(b, 1, &addr[done], &n), 0);
		if (f.params.mode == SECVOL_HASH)
			sha256(content + done * SV_BLOCK, SV_BLOCK, digests[done]);
		assert_int_equal(secvol_build_write(b, obj, done, addr[done], n,
						    content + done * SV_BLOCK, &digests[done]),
				 0);
	}
	assert_int_equal(secvol_build_inode(b, &a, 0), 0);
	for (u32 i = 0; i < FILE_BLOCKS; i++)
		assert_int_equal(
			secvol_build_extent(b, obj, i, addr[i], 1, (const u8(*)[32])digests[i]), 0);
	*ret_addr = addr[0];
}

static void build(enum secvol_mode mode)
{
	static struct secvol_build_name names[FILES];
	static char text[FILES][16];
	struct secvol_attr root = {.obj = SECVOL_ROOT_OBJ, .mode = 040755, .nlink = 2};
	struct secvol_build_params p;
	struct secvol_build *b;
	u64 addr;

	assert_int_equal(fixture_init(&f, BLOCKS_MAX), 0);
	f.params.mode = mode;
	f.params.suite = mode == SECVOL_HASH ? SECVOL_SUITE_NONE : SECVOL_AES128_GCM;
	f.params.role = SECVOL_ROLE_IMAGE;
	f.params.read_only = true;
	f.params.pinned_sha256 = digest;
	for (u32 i = 0; i < sizeof(content); i++)
		content[i] = (u8)(i * 7 + i / SV_BLOCK + 1);
	p = (struct secvol_build_params){
		.env = &f.env,
		.bs = f.bs,
		.mode = f.params.mode,
		.suite = f.params.suite,
		.role = f.params.role,
		.keys = &f.keys,
		.salt = "some salt",
		.uuid = "some uuid",
		.ag_log2 = AG_LOG2,
	};
	assert_int_equal(secvol_build_new(&p, &b), 0);
	for (u32 i = 0; i < FILES; i++) {
		snprintf(text[i], sizeof(text[i]), "file-%u", i);
		names[i] = (struct secvol_build_name){.obj = SECVOL_ROOT_OBJ + 1 + i,
						      .type = 8,
						      .len = (u8)strlen(text[i]),
						      .name = text[i]};
		root.size += secvol_build_name_size(&names[i]);
	}
	assert_int_equal(secvol_build_inode(b, &root, SECVOL_ROOT_OBJ), 0);
	assert_int_equal(secvol_build_names(b, SECVOL_ROOT_OBJ, names, FILES), 0);
	for (u32 i = 0; i < FILES; i++) {
		put_file(b, SECVOL_ROOT_OBJ + 1 + i, &addr);
		if (i == 0)
			data_addr = addr;
	}
	assert_int_equal(secvol_build_finish(b, digest), 0);
	secvol_build_free(b);
}

/* Opens and reads everything. */
static long look(void)
{
	static u8 buf[sizeof(content)];
	struct secvol *v;
	long n = secvol_open(&f.params, &v, NULL);

	if (n)
		return n;
	image_blocks = v->size_blocks;
	n = secvol_check(v, NULL, NULL);
	for (u32 i = 0; !n && i < FILES; i++) {
		n = secvol_read(v, SECVOL_ROOT_OBJ + 1 + i, 0, buf, sizeof(buf));
		if (n > 0) {
			assert_memory_equal(buf, content, (size_t)n);
			n = n == sizeof(buf) ? 0 : -EBADMSG;
		}
	}
	secvol_abandon(v);
	return n;
}

/* ---- forgery -------------------------------------------------------------------------------- */

/* x * y in GHASH's field, both as the bytes on the wire. */
static void gf_multiply(const u8 x[16], const u8 y[16], u8 ret[16])
{
	u8 z[16] = {0}, v[16];

	memcpy(v, y, 16);
	for (int bit = 0; bit < 128; bit++) {
		bool carry = v[15] & 1;

		for (int i = 0; i < 16 && x[bit / 8] >> (7 - bit % 8) & 1; i++)
			z[i] ^= v[i];
		for (int i = 15; i > 0; i--)
			v[i] = (u8)(v[i] >> 1 | v[i - 1] << 7);
		v[0] = (u8)(v[0] >> 1 ^ (carry ? 0xe1 : 0));
	}
	memcpy(ret, z, 16);
}

/* Changes 32 bytes at `at`: any difference in the first 16, and in the rest that times H. */
static void forge(const struct aes_gcm *ctx, u8 *at)
{
	static const u8 change[16] = "what I want in.";
	u8 h[16], filler[16];

	for (int i = 0; i < 16; i++) /* the context keeps H as two swapped words */
		h[i] = ctx->h[i / 8 * 8 + 7 - i % 8];
	gf_multiply(change, h, filler);
	for (int i = 0; i < 16; i++) {
		at[i] ^= change[i];
		at[16 + i] ^= filler[i];
	}
}

struct unit {
	u64 addr;
	u32 size;
	u8 nonce[AES_GCM_NONCE];
	struct sv_aad aad;
};

static void unit_init(const struct secvol *v, struct unit *u, u64 addr, u32 size, u8 domain,
		      u8 level, struct sv_key owner)
{
	le64 ctr = le64_put(addr);
	le32 d = le32_put(domain);

	memset(u, 0, sizeof(*u));
	u->addr = addr;
	u->size = size;
	memcpy(u->nonce, &ctr, 8);
	memcpy(u->nonce + 8, &d, 4);
	sv_aad(v, &u->aad, domain, level, &owner, 1);
}

static void fetch(const struct unit *u, u8 *to)
{
	for (u32 at = 0; at < u->size; at += SV_BLOCK) {
		u8 *block = bs_mem_block(f.bs, u->addr + at / SV_BLOCK);

		assert_non_null(block);
		memcpy(to + at, block, SV_BLOCK);
	}
}

/* The plaintext; what the tag was follows from it. */
static void decrypt(const struct aes_gcm *ctx, const struct unit *u, u8 *plain, u8 tag[16])
{
	static u8 cipher[4 * SV_BLOCK];
	u8 other[16];

	fetch(u, cipher);
	aes_gcm_seal(ctx, u->nonce, &u->aad, sizeof(u->aad), cipher, plain, u->size, other);
	aes_gcm_seal(ctx, u->nonce, &u->aad, sizeof(u->aad), plain, cipher, u->size, tag);
}

static void forgery_is_refused(const struct aes_gcm *ctx, const struct unit *u, const char *what)
{
	static u8 plain[4 * SV_BLOCK], forged[4 * SV_BLOCK], out[4 * SV_BLOCK];
	u8 *block = bs_mem_block(f.bs, u->addr), saved[SV_BLOCK], tag[16];

	decrypt(ctx, u, plain, tag);
	memcpy(saved, block, SV_BLOCK);
	forge(ctx, block + 512);
	fetch(u, forged);
	/* A tag would let it through ... */
	assert_int_equal(
		aes_gcm_open(ctx, u->nonce, &u->aad, sizeof(u->aad), forged, out, u->size, tag), 0);
	assert_memory_not_equal(out, plain, u->size);
	/* ... the hash does not. */
	if (look() != -EBADMSG)
		fail_msg("forged %s was not refused with EBADMSG", what);
	memcpy(block, saved, SV_BLOCK);
	assert_int_equal(look(), 0);
}

static void root_forgery_is_refused(const struct aes_gcm *ctx)
{
	struct sv_root_slot *slot = (struct sv_root_slot *)bs_mem_block(f.bs, 1), saved = *slot,
			    copy;

	forge(ctx, (u8 *)&slot->body + 1024);
	copy = *slot;
	assert_int_equal(aes_gcm_open(ctx, copy.clear.nonce, &copy.clear, sizeof(copy.clear),
				      &copy.body, &copy.body, sizeof(copy.body), copy.trailer),
			 0);
	assert_int_equal(look(), -EBADMSG);
	/* Nor beside the right one, under a newer generation. */
	*slot = saved;
	memcpy(bs_map(f.bs, 2, 1, true), &copy, sizeof(copy));
	assert_int_equal(look(), -EBADMSG);
	memset(bs_mem_block(f.bs, 2), 0, SV_BLOCK);
	assert_int_equal(look(), 0);
}

static void forged_tags_are_refused(void **state)
{
	static u8 plain[4 * SV_BLOCK];
	u32 leaves = 0, inner = 0;
	const struct aes_gcm *ctx;
	struct secvol *v;
	struct unit u;
	u8 tag[16];

	build(SECVOL_PINNED);
	assert_int_equal(look(), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(sv_session_ctx(v, v->kid, &ctx), 0);
	unit_init(v, &u, data_addr, SV_BLOCK, SV_DOM_DATA, 0,
		  sv_key(SECVOL_ROOT_OBJ + 1, SV_EXTENT, 0));
	decrypt(ctx, &u, plain, tag);
	assert_memory_equal(plain, content, SV_BLOCK);
	forgery_is_refused(ctx, &u, "data");
	/* The attacker finds the nodes by decrypting. */
	for (u64 addr = SV_FIRST_AG; addr + 4 <= image_blocks; addr++) {
		const struct sv_node_header *head = (const void *)plain;

		if (!bs_mem_block(f.bs, addr) || !bs_mem_block(f.bs, addr + 3))
			continue;
		unit_init(v, &u, addr, 4 * SV_BLOCK, SV_DOM_NODE, 0, sv_key(SV_TREE_FS, 0, 0));
		decrypt(ctx, &u, plain, tag);
		if (le32_get(head->magic) != SV_NODE_MAGIC || le32_get(head->tree) != SV_TREE_FS)
			continue;
		leaves += head->level == 0;
		inner += head->level != 0;
		if (head->level == 0 && leaves > 2)
			continue;
		unit_init(v, &u, addr, 4 * SV_BLOCK, SV_DOM_NODE, head->level,
			  sv_key(SV_TREE_FS, 0, 0));
		forgery_is_refused(ctx, &u, head->level ? "inner node" : "leaf");
	}
	assert_true(leaves > 2);
	assert_int_equal(inner, 1); /* the root */
	root_forgery_is_refused(ctx);
	secvol_abandon(v);
	fixture_fini(&f);
}

/* ---- flips ---------------------------------------------------------------------------------- */

static void flips_are_found(enum secvol_mode mode)
{
	static u8 zeros[SV_BLOCK];
	u64 never_written = 0;

	build(mode);
	assert_int_equal(look(), 0);
	assert_true(image_blocks > 1u << (AG_LOG2 - 12));
	for (u64 b = 0; b < image_blocks; b++) {
		u32 offsets[] = {(u32)(b * 577 % SV_BLOCK), (u32)(b * 31 % 48), SV_BLOCK - 1};
		u8 *block = bs_mem_block(f.bs, b);

		if (!block) {
			block = bs_map(f.bs, b, 1, true);
			memcpy(block, zeros, SV_BLOCK);
		}
		never_written += memcmp(block, zeros, SV_BLOCK) == 0;
		for (u32 i = b % 2; i < ARRAY_SIZE(offsets); i += 2) {
			u32 at = offsets[i];
			long err;

			block[at] ^= (u8)(1 << (b + i) % 8);
			err = look();
			if (err != -EBADMSG)
				fail_msg("flip at block %llu byte %u: %ld", (unsigned long long)b,
					 at, err);
			block[at] ^= (u8)(1 << (b + i) % 8);
		}
	}
	/* Every byte of the pinned slot's clear part. */
	for (u32 at = 0; at < sizeof(struct sv_root_clear); at++) {
		bs_mem_block(f.bs, 1)[at] ^= 0x40;
		assert_int_equal(look(), -EBADMSG);
		bs_mem_block(f.bs, 1)[at] ^= 0x40;
	}
	assert_int_equal(look(), 0);
	print_message("%llu blocks, %llu of them not in use\n", (unsigned long long)image_blocks,
		      (unsigned long long)never_written);
	fixture_fini(&f);
}

static void one_bit_of_an_encrypted_image_is_found(void **state)
{
	flips_are_found(SECVOL_PINNED);
}

static void one_bit_of_a_plain_image_is_found(void **state)
{
	flips_are_found(SECVOL_HASH);
}

/* The key is another matter than the image. */
static void another_key_is_rejected(void **state)
{
	build(SECVOL_PINNED);
	f.key.key[3] ^= 1;
	assert_int_equal(look(), -EKEYREJECTED);
	f.key.key[3] ^= 1;
	assert_int_equal(look(), 0);
	fixture_fini(&f);
}

UNIT_TESTS(forged_tags_are_refused, one_bit_of_an_encrypted_image_is_found,
	   one_bit_of_a_plain_image_is_found, another_key_is_rejected)
