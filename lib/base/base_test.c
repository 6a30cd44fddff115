/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "lib/base/cursor.h"
#include "lib/base/fmt.h"
#include "lib/base/hex.h"
#include "lib/base/holes.h"
#include "lib/base/list.h"
#include "lib/base/overflow.h"
#include "lib/base/rbtree.h"
#include "lib/base/string.h"

#include <stdio.h>
#include <stdlib.h>

struct number {
	struct rb_node node;
	int value;
};

static bool insert(struct rb_root *root, struct number *n)
{
	struct rb_node **link = &root->node, *parent = NULL;

	while (*link) {
		int there = rb_entry(*link, struct number, node)->value;

		if (there == n->value)
			return false;
		parent = *link;
		link = n->value < there ? &parent->left : &parent->right;
	}
	rb_insert(root, parent, link, &n->node);
	return true;
}

/* Returns the black height, or fails the test. */
static int check_subtree(const struct rb_node *node)
{
	int left, right;

	if (!node)
		return 1;
	if (node->red) {
		assert_false(node->left && node->left->red);
		assert_false(node->right && node->right->red);
	}
	left = check_subtree(node->left);
	right = check_subtree(node->right);
	assert_int_equal(left, right);
	return left + !node->red;
}

static void rbtree_keeps_order_and_balance(void **state)
{
	enum { COUNT = 500 };
	static struct number numbers[COUNT];
	static bool present[COUNT];
	struct rb_root root = RB_ROOT_INIT;
	unsigned seed = 7;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		int at = rand_r(&seed) % COUNT, last = -1, seen = 0, expected = 0;
		struct rb_node *pos;

		numbers[at].value = at;
		if (present[at])
			rb_erase(&root, &numbers[at].node);
		else
			assert_true(insert(&root, &numbers[at]));
		present[at] = !present[at];
		if (step % 97)
			continue;
		check_subtree(root.node);
		rb_for_each (pos, &root) {
			int value = rb_entry(pos, struct number, node)->value;

			assert_true(value > last && present[value]);
			last = value;
			seen++;
		}
		for (int i = 0; i < COUNT; i++)
			expected += present[i];
		assert_int_equal(seen, expected);
	}
}

static void fmt_matches_libc(void **state)
{
	char ours[128], theirs[128];

	(void)state;
#define SAME(...)                                                                                  \
	do {                                                                                       \
		int n = fmt_snprintf(ours, sizeof(ours), __VA_ARGS__);                             \
		assert_int_equal(n, snprintf(theirs, sizeof(theirs), __VA_ARGS__));                \
		assert_string_equal(ours, theirs);                                                 \
	} while (0)
	SAME("%d %i %u", -5, 0, 4000000000u);
	SAME("%08x|%8x|%-8x|%.4x", 0xbeef, 0xbeef, 0xbeef, 0xb);
	SAME("%ld %lu %llx %zu", LONG_MIN, ULONG_MAX, 0x123456789abcdefull, (size_t)77);
	SAME("[%10s] [%-10s] [%.3s] [%*s]", "abc", "abc", "abcdef", 6, "x");
	SAME("%c%%%05d %hhu %hd", 'q', -42, (unsigned char)200, (short)-3);
#undef SAME
	assert_int_equal(fmt_snprintf(ours, 4, "%s", "abcdef"), 6);
	assert_string_equal(ours, "abc");
}

static void cursor_never_reads_past_the_end(void **state)
{
	const u8 bytes[] = {1, 2, 0, 3, 0, 0, 0, 9};
	struct cursor c = cursor_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_le16(&c), 2);
	assert_int_equal(cursor_le32(&c), 3);
	assert_int_equal(cursor_le64(&c), 0);
	assert_false(cursor_is_ok(&c));
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_left(&c), 0);
}

static void hex_and_sizes_refuse_bad_input(void **state)
{
	u8 bytes[2];
	char text[5], pairs[6];

	(void)state;
	assert_int_equal(hex_decode(bytes, 2, "A0ff", 4), 0);
	hex_encode(text, bytes, 2);
	assert_string_equal(text, "a0ff");
	assert_int_equal(hex_decode(bytes, 2, "A0f", 3), -EINVAL);
	assert_int_equal(hex_decode(bytes, 2, "A0fg", 4), -EINVAL);
	hex_encode_pairs(pairs, bytes, 2, '-');
	assert_string_equal(pairs, "a0-ff");
	assert_int_equal(hex_decode_pairs(bytes, 2, "0a-FB", 5, '-'), 0);
	assert_memory_equal(bytes, "\x0a\xfb", 2);
	assert_int_equal(hex_decode_pairs(bytes, 2, "0a-fb\n", 6, '-'), 0);
	assert_int_equal(hex_decode_pairs(bytes, 2, "0a:fb", 5, '-'), -EINVAL);
	assert_int_equal(hex_decode_pairs(bytes, 2, "0a-fb-", 6, '-'), -EINVAL);
	assert_int_equal(hex_decode_pairs(bytes, 2, "0a-f\n", 5, '-'), -EINVAL);
	assert_int_equal(hex_decode_pairs(bytes, 2, "", 0, '-'), -EINVAL);
	assert_true(array_size(SIZE_MAX / 2, 3) == SIZE_MAX);
	assert_false(range_within(10, UINT64_MAX, 100));
	assert_true(range_within(10, 90, 100));
	assert_int_equal(str_copy(text, "toolong", sizeof(text)), -E2BIG);
	assert_string_equal(text, "tool");
}

/* A file with data in its second quarter, whose n-th seek fails. */
static struct {
	u8 bytes[4 * HOLES_PIECE];
	u64 size;
	int seeks, fail_at;
	s64 error;
} sparse;

static s64 sparse_seek(s32 fd, u64 at, bool hole)
{
	bool in_data;

	if (sparse.seeks++ == sparse.fail_at)
		return sparse.error;
	if (at >= sparse.size)
		return -ENXIO;
	in_data = at >= HOLES_PIECE && at < 2 * HOLES_PIECE;
	if (hole)
		return in_data ? 2 * HOLES_PIECE : (s64)at;
	return in_data ? (s64)at : at < HOLES_PIECE ? HOLES_PIECE : -ENXIO;
}

static bool sparse_zero(s32 fd, u64 at, size_t size)
{
	assert_true(range_within(at, size, sizeof(sparse.bytes)));
	memset(sparse.bytes + at, 0, size);
	return true;
}

static void what_is_no_hole_is_not_filled(void **state)
{
	static const struct holes_io io = {.seek = sparse_seek, .zero = sparse_zero};
	static const s64 errors[] = {-EINTR, -EIO, -EINVAL};

	for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
		for (int n = -1; n < 5; n++) {
			u32 data = 0, zeros = 0;

			memset(sparse.bytes, 7, sizeof(sparse.bytes));
			sparse.size = 3 * HOLES_PIECE;
			sparse.seeks = 0;
			sparse.fail_at = n;
			sparse.error = errors[e];
			holes_fill(&io, 3, 0, sizeof(sparse.bytes));
			for (u32 i = 0; i < sizeof(sparse.bytes); i++) {
				zeros += !sparse.bytes[i];
				data += i / HOLES_PIECE == 1 && sparse.bytes[i];
			}
			assert_int_equal(data, HOLES_PIECE);
			if (n < 0)
				assert_int_equal(zeros, 3 * HOLES_PIECE);
		}
	}
}

UNIT_TESTS(rbtree_keeps_order_and_balance, fmt_matches_libc, cursor_never_reads_past_the_end,
	   hex_and_sizes_refuse_bad_input, what_is_no_hole_is_not_filled)
