/* SPDX-License-Identifier: Apache-2.0 */
/* The block stores on host files: same tests for the one-file and the directory store. */
#define _GNU_SOURCE
#include "tests/unit.h"

#include "tests/shell.h"

#include "host/lib/bs_host.h"
#include "lib/secvol/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*open_fn)(int, const char *, u32, u64, struct bs **);

static char scratch[64];

static int enter_scratch(void **state)
{
	snprintf(scratch, sizeof(scratch), "/tmp/occlum-bs-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	return chdir(scratch);
}

static int leave_scratch(void **state)
{
	char cmd[128];

	assert_int_equal(chdir("/"), 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", scratch);
	return shell_run(cmd);
}

static int one(struct bs *bs, enum bs_op op, u64 block, u32 count, void *buf)
{
	struct bs_req r = {.op = op, .block = block, .count = count, .buf = buf};
	struct bs_batch b = {.reqs = &r, .count = 1};

	assert_int_equal(bs->ops->submit(bs, &b), 0);
	assert_int_equal(bs->ops->reap(bs, &b), 0);
	return r.result;
}

static bool all_are(const u8 *p, size_t size, u8 byte)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static void store_round_trip(open_fn open_store)
{
	u64 edge = SEGMENT_ROOT_BLOCKS + SEGMENT_BLOCKS - 2;
	size_t size = 8 * BS_BLOCK;
	struct bs *bs;
	u8 *buf;

	assert_int_equal(open_store(AT_FDCWD, "store", BS_HOST_READ_ONLY, 0, &bs), -ENOENT);
	assert_int_equal(open_store(AT_FDCWD, "store", BS_HOST_CREATE, edge + 4, &bs), 0);
	buf = bs->ops->buf_alloc(bs, size);
	assert_true(IS_ALIGNED((uintptr_t)buf, BS_BLOCK));

	/* never written: zeros */
	memset(buf, 1, size);
	assert_int_equal(one(bs, BS_READ, 3, 8, buf), 0);
	assert_true(all_are(buf, size, 0));

	/* over the edge of two segments, and the bound */
	memset(buf, 7, size);
	assert_int_equal(one(bs, BS_WRITE, edge, 4, buf), 0);
	assert_int_equal(one(bs, BS_WRITE, 14, 4, buf), 0);
	assert_int_equal(one(bs, BS_WRITE, edge, 5, buf), -ENOSPC);
	assert_int_equal(one(bs, BS_READ, ~0ull, 1, buf), -ENOSPC);
	assert_int_equal(one(bs, BS_READ, 0, 0, buf), -EINVAL);
	assert_int_equal(one(bs, BS_READ, 0, BS_MAX_BLOCKS + 1, buf), -EINVAL);
	assert_int_equal(one(bs, BS_FLUSH, 0, 0, NULL), 0);
	memset(buf, 0, size);
	assert_int_equal(one(bs, BS_READ, edge - 2, 6, buf), 0);
	assert_true(all_are(buf, 2 * BS_BLOCK, 0) && all_are(buf + 2 * BS_BLOCK, 4 * BS_BLOCK, 7));

	/* grow, punch */
	assert_int_equal(bs->ops->size(bs), edge + 4);
	assert_int_equal(bs->ops->grow(bs, edge + 100), 0);
	memset(buf, 9, size);
	assert_int_equal(one(bs, BS_WRITE, edge + 50, 1, buf), 0);
	assert_int_equal(one(bs, BS_TRIM, edge, 3, NULL), 0);
	assert_int_equal(one(bs, BS_READ, edge, 4, buf), 0);
	assert_true(all_are(buf, 3 * BS_BLOCK, 0) && all_are(buf + 3 * BS_BLOCK, BS_BLOCK, 7));

	/* in use; exists */
	{
		struct bs *second;

		assert_int_equal(open_store(AT_FDCWD, "store", 0, 0, &second), -EBUSY);
		assert_int_equal(open_store(AT_FDCWD, "store", BS_HOST_READ_ONLY, 0, &second),
				 -EBUSY);
		assert_int_equal(open_store(AT_FDCWD, "store", BS_HOST_CREATE, 0, &second),
				 -EEXIST);
	}
	bs->ops->buf_free(bs, buf, size);
	bs->ops->close(bs);
}

static void store_read_only(open_fn open_store)
{
	struct bs *bs, *second;
	static u8 buf[BS_BLOCK];

	assert_int_equal(open_store(AT_FDCWD, "store", BS_HOST_READ_ONLY, 0, &bs), 0);
	assert_int_equal(open_store(AT_FDCWD, "store", BS_HOST_READ_ONLY, 0, &second), 0);
	second->ops->close(second);
	assert_int_equal(open_store(AT_FDCWD, "store", 0, 0, &second), -EBUSY);
	assert_int_equal(one(bs, BS_READ, 15, 1, buf), 0);
	assert_true(all_are(buf, BS_BLOCK, 7));
	assert_int_equal(one(bs, BS_WRITE, 15, 1, buf), -EROFS);
	assert_int_equal(one(bs, BS_TRIM, 15, 1, buf), -EROFS);
	assert_int_equal(one(bs, BS_FLUSH, 0, 0, NULL), 0);
	assert_int_equal(bs->ops->grow(bs, 1 << 20), -EROFS);
	bs->ops->close(bs);
}

static void file_store_works(void **state)
{
	struct stat st;

	store_round_trip(bs_file_open);
	assert_int_equal(stat("store", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_blocks * 512 < 1 << 20); /* sparse */
	store_read_only(bs_file_open);
}

static void dir_store_works(void **state)
{
	struct stat st;

	store_round_trip(bs_dir_open);
	assert_int_equal(stat("store", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat("store/root", &st), 0);
	assert_int_equal(stat("store/seg.00000000", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat("store/seg.00000001", &st), 0);
	assert_int_equal(stat("store/seg.00000002", &st), -1);
	store_read_only(bs_dir_open);
}

static void links_are_not_followed(void **state)
{
	struct bs *bs;
	static u8 buf[BS_BLOCK];

	assert_int_equal(close(open("target", O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(bs_file_open(AT_FDCWD, "link", 0, 0, &bs), -ELOOP);
	assert_int_equal(bs_file_open(AT_FDCWD, "/dev/null", 0, 0, &bs), -EINVAL);
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(symlink("../target", "d/root"), 0);
	assert_int_equal(mkfifo("d/seg.00000000", 0600), 0);
	assert_int_equal(bs_dir_open(AT_FDCWD, "d", 0, 0, &bs), 0);
	assert_int_equal(one(bs, BS_READ, 0, 1, buf), -EIO);
	assert_int_equal(one(bs, BS_WRITE, 0, 1, buf), -EIO);
	assert_int_equal(one(bs, BS_READ, 20, 1, buf), -EIO);
	bs->ops->close(bs);
}

static void a_full_disk_is_enospc(void **state)
{
	struct rlimit old, small;
	struct bs *bs;
	static u8 buf[BS_BLOCK];

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 64 << 10;
	assert_int_equal(bs_file_open(AT_FDCWD, "small", BS_HOST_CREATE, 0, &bs), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(one(bs, BS_WRITE, 3, 1, buf), 0);
	assert_int_equal(one(bs, BS_WRITE, 100, 1, buf), -ENOSPC);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	bs->ops->close(bs);
}

static void many_segments_share_few_files(void **state)
{
	struct bs *bs;
	u32 buf[BS_BLOCK / 4] = {0};

	assert_int_equal(bs_dir_open(AT_FDCWD, "many", BS_HOST_CREATE, 0, &bs), 0);
	for (u32 i = 1; i <= 150; i++) {
		buf[0] = i;
		assert_int_equal(one(bs, BS_WRITE, segment_first_block(i), 1, buf), 0);
	}
	assert_int_equal(one(bs, BS_FLUSH, 0, 0, NULL), 0);
	for (u32 i = 1; i <= 150; i++) {
		assert_int_equal(one(bs, BS_READ, segment_first_block(i), 1, buf), 0);
		assert_int_equal(buf[0], i);
	}
	bs->ops->close(bs);
}

static bool has_hole(const char *path, off_t at, off_t end)
{
	int fd = open(path, O_RDONLY);
	off_t hole;

	assert_true(fd >= 0);
	hole = lseek(fd, at, SEEK_HOLE);
	close(fd);
	return hole < 0 || hole < end;
}

static void small_writes_make_room(void **state)
{
	static u8 buf[32 * BS_BLOCK];
	u64 first = segment_first_block(1), chunk = MIB(1) / BS_BLOCK;
	struct bs *bs;

	assert_int_equal(bs_dir_open(AT_FDCWD, "plain", BS_HOST_CREATE, 0, &bs), 0);
	memset(buf, 3, sizeof(buf));
	assert_int_equal(one(bs, BS_WRITE, first + 8, 1, buf), 0);
	bs->ops->close(bs);
	if (!has_hole("plain/seg.00000000", 0, 8 * BS_BLOCK))
		skip(); /* a file system without holes */

	assert_int_equal(bs_dir_open(AT_FDCWD, "full", BS_HOST_CREATE | BS_HOST_FILL, 0, &bs), 0);
	/* a large one goes past it */
	assert_int_equal(one(bs, BS_WRITE, first + 3 * chunk + 8, 32, buf), 0);
	assert_true(has_hole("full/seg.00000000", 3 * MIB(1), 3 * MIB(1) + 8 * BS_BLOCK));
	/* where something was written the file system may not know of it before a flush */
	assert_int_equal(one(bs, BS_WRITE, first + 3 * chunk + 1, 1, buf), 0);
	assert_true(has_hole("full/seg.00000000", 3 * MIB(1), 3 * MIB(1) + 8 * BS_BLOCK));
	assert_int_equal(one(bs, BS_FLUSH, 0, 0, NULL), 0);
	/* over the edge of two chunks, the second of which holds something */
	assert_int_equal(one(bs, BS_WRITE, first + 3 * chunk - 1, 2, buf), 0);
	assert_false(has_hole("full/seg.00000000", 2 * MIB(1), 4 * MIB(1)));
	assert_true(has_hole("full/seg.00000000", 0, MIB(1)));
	assert_int_equal(one(bs, BS_READ, first + 2 * chunk, 32, buf), 0);
	assert_true(all_are(buf, sizeof(buf), 0));
	assert_int_equal(one(bs, BS_READ, first + 3 * chunk + 2, 32, buf), 0);
	assert_true(all_are(buf, 6 * BS_BLOCK, 0) && all_are(buf + 6 * BS_BLOCK, 26 * BS_BLOCK, 3));
	/* what is given back is filled again by the next one */
	assert_int_equal(one(bs, BS_TRIM, first + 2 * chunk, (u32)chunk / 2, NULL), 0);
	assert_true(has_hole("full/seg.00000000", 2 * MIB(1), 3 * MIB(1)));
	assert_int_equal(one(bs, BS_FLUSH, 0, 0, NULL), 0);
	assert_int_equal(one(bs, BS_WRITE, first + 2 * chunk, 1, buf), 0);
	assert_false(has_hole("full/seg.00000000", 2 * MIB(1), 4 * MIB(1)));
	bs->ops->close(bs);

	/* whoever had the file before may not have flushed it */
	assert_int_equal(bs_dir_open(AT_FDCWD, "full", BS_HOST_FILL, 0, &bs), 0);
	assert_int_equal(one(bs, BS_WRITE, first + 5 * chunk, 1, buf), 0);
	assert_true(has_hole("full/seg.00000000", 5 * MIB(1), 6 * MIB(1)));
	assert_int_equal(one(bs, BS_FLUSH, 0, 0, NULL), 0);
	assert_int_equal(one(bs, BS_WRITE, first + 5 * chunk + 1, 1, buf), 0);
	assert_false(has_hole("full/seg.00000000", 5 * MIB(1), 6 * MIB(1)));
	bs->ops->close(bs);
}

/*
 * Much at a time comes from the disk directly: what was just written, what is not cached, into any
 * memory, at the end.
 */
static void direct_reads_are_the_same(void **state)
{
	enum { COUNT = 32, SIZE = COUNT * BS_BLOCK };
	u8 *data = aligned_alloc(BS_BLOCK, SIZE), *back = aligned_alloc(BS_BLOCK, SIZE + BS_BLOCK);
	u64 first = segment_first_block(1);
	struct bs *bs;

	for (size_t i = 0; i < SIZE; i++)
		data[i] = (u8)(i * 7 + i / BS_BLOCK);
	assert_int_equal(bs_dir_open(AT_FDCWD, "vol", BS_HOST_CREATE | BS_HOST_DIRECT, 0, &bs), 0);
	assert_int_equal(one(bs, BS_WRITE, first, COUNT, data), 0);
	for (u32 round = 0; round < 3; round++) {
		for (u32 at = 0; at <= 64; at += 32) { /* 32: nothing aligns */
			u8 *to = back + at;

			assert_int_equal(one(bs, BS_READ, first, COUNT, to), 0);
			assert_memory_equal(to, data, SIZE);
			/* half of it lies behind the end of the file */
			assert_int_equal(one(bs, BS_READ, first + COUNT / 2, COUNT, to), 0);
			assert_memory_equal(to, data + SIZE / 2, SIZE / 2);
			assert_true(all_are(to + SIZE / 2, SIZE / 2, 0));
		}
		if (round == 0) {
			assert_int_equal(one(bs, BS_FLUSH, 0, 0, NULL), 0);
			assert_int_equal(
				shell_run(
					"dd if=vol/seg.00000000 iflag=nocache count=0 status=none"),
				0);
		} else { /* cached alone, and newer than the disk */
			data[3 * BS_BLOCK]++;
			assert_int_equal(one(bs, BS_WRITE, first + 3, 1, data + 3 * BS_BLOCK), 0);
		}
	}
	bs->ops->close(bs);
	free(data);
	free(back);
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, enter_scratch, leave_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(file_store_works),
		IN_SCRATCH(dir_store_works),
		IN_SCRATCH(links_are_not_followed),
		IN_SCRATCH(a_full_disk_is_enospc),
		IN_SCRATCH(many_segments_share_few_files),
		IN_SCRATCH(small_writes_make_room),
		IN_SCRATCH(direct_reads_are_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
