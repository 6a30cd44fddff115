// SPDX-License-Identifier: Apache-2.0
/* Unit tests of files and trees: whole or not there, never through links, digests that notice. */
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/lib/streams.h"
#include "host/occlum/file.h"

static char scratch[] = "/tmp/occlum-file-XXXXXX";
static int before = -1;

static int enter(void **state)
{
	memcpy(scratch + sizeof(scratch) - 7, "XXXXXX", 6);
	before = open(".", O_RDONLY | O_DIRECTORY);
	return before >= 0 && mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	int err = fchdir(before);

	close(before);
	return err == 0 && tree_remove(scratch) == 0 && !file_exists(scratch) ? 0 : -1;
}

static void put(const char *path, const char *text)
{
	assert_int_equal(file_write(path, text, strlen(text), 0644), 0);
}

static void expect_text(const char *path, const char *text)
{
	char *seen;
	size_t size;

	assert_int_equal(file_read(path, 1000, &seen, &size), 0);
	assert_int_equal(size, strlen(text));
	assert_string_equal(seen, text);
	free(seen);
}

static void files_are_whole_or_not_there(void **state)
{
	struct stat st;
	char *text;
	size_t size;

	put("a", "one");
	expect_text("a", "one");
	put("a", "two");
	expect_text("a", "two");
	assert_int_equal(file_write("a", "secret", 6, 0600), 0);
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_write("missing/a", "x", 1, 0644), -ENOENT);
	assert_int_equal(file_read("a", 3, &text, &size), -EFBIG);
	assert_int_equal(file_read(".", 3, &text, &size), -EISDIR);
	assert_int_equal(file_read("nothing", 3, &text, &size), -ENOENT);
}

/* A full disk: the old file stays and nothing lies beside it. */
static void failed_write_leaves_the_old_file(void **state)
{
	assert_int_equal(mkdir("d", 0755), 0);
	put("d/a", "old");
	assert_int_equal(file_copy("/proc/self/mem", "d/a", 0644), -EIO);
	expect_text("d/a", "old");
	assert_int_equal(unlink("d/a"), 0);
	assert_int_equal(rmdir("d"), 0); /* so it was empty */
}

static void large_files_are_read_and_copied(void **state)
{
	size_t size = 1000 * 1000, seen_size;
	char *bytes = malloc(size), *seen;

	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 7 >> 3);
	assert_int_equal(file_write("big", bytes, size, 0644), 0);
	assert_int_equal(file_copy("big", "copy", 0644), 0);
	assert_int_equal(file_read("copy", size, &seen, &seen_size), 0);
	assert_int_equal(seen_size, size);
	assert_memory_equal(seen, bytes, size);
	free(seen);
	free(bytes);
}

static void links_are_not_followed(void **state)
{
	assert_int_equal(dir_make("outside/kept", 0755), 0);
	put("outside/file", "kept");
	assert_int_equal(dir_make("tree/sub", 0755), 0);
	assert_int_equal(symlink("../../outside", "tree/sub/link"), 0);
	assert_int_equal(symlink("outside", "top"), 0);
	assert_int_equal(file_copy_tree("tree", "copy"), 0);
	assert_int_equal(tree_link("tree", "linked"), 0);
	assert_int_equal(mkdir("tree/closed", 0700), 0);
	assert_int_equal(file_write("tree/closed/file", "x", 1, 0400), 0);
	assert_int_equal(chmod("tree/closed", 0500), 0);
	assert_int_equal(mkdir("tree/secret", 0700), 0);
	assert_int_equal(file_write("tree/secret/file", "x", 1, 0400), 0);
	assert_int_equal(chmod("tree/secret", 0), 0);
	assert_int_equal(tree_remove("tree"), 0);
	assert_int_equal(tree_remove("copy"), 0);
	assert_int_equal(tree_remove("linked"), 0);
	assert_int_equal(tree_remove("top"), 0);
	expect_text("outside/file", "kept");
	assert_true(dir_exists("outside/kept"));
	assert_int_equal(tree_remove("nothing"), 0);
}

static void trees_are_copied_with_modes_and_links(void **state)
{
	struct stat a, b;
	char target[16] = "";

	assert_int_equal(dir_make("from/sub", 0755), 0);
	put("from/sub/file", "text");
	assert_int_equal(chmod("from/sub/file", 04711), 0);
	assert_int_equal(chmod("from/sub", 0555), 0);
	assert_int_equal(symlink("sub/file", "from/link"), 0);
	assert_int_equal(mkfifo("from/pipe", 0644), 0);
	assert_int_equal(file_copy_tree("from", "to"), 0);
	expect_text("to/sub/file", "text");
	assert_int_equal(stat("to/sub/file", &b), 0);
	assert_int_equal(b.st_mode & 07777, 04711);
	assert_int_equal(stat("to/sub", &b), 0);
	assert_int_equal(b.st_mode & 07777, 0555);
	assert_int_equal(readlink("to/link", target, sizeof(target)), 8);
	assert_string_equal(target, "sub/file");
	assert_false(file_exists("to/pipe"));
	assert_int_equal(tree_link("from", "same"), 0);
	assert_int_equal(stat("from/sub/file", &a), 0);
	assert_int_equal(stat("same/sub/file", &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	chmod("from/sub", 0755);
	chmod("to/sub", 0755);
	chmod("same/sub", 0755);
}

static void copies_look_the_same(void **state)
{
	const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5},
					  {.tv_sec = 1000, .tv_nsec = 5}};
	u8 first[32], now[32];

	assert_int_equal(dir_make("one/sub", 0755), 0);
	assert_int_equal(dir_make("two/sub", 0755), 0);
	for (int i = 0; i < 2; i++) {
		const char *const top = i ? "two" : "one";
		char path[32];

		snprintf(path, sizeof(path), "%s/sub/a", top);
		put(path, "text");
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
		snprintf(path, sizeof(path), "%s/link", top);
		assert_int_equal(symlink("sub/a", path), 0);
		assert_int_equal(rename(top, "tree"), 0); /* the top's name is part of it */
		assert_int_equal(tree_look("tree", i ? now : first), 0);
		assert_int_equal(rename("tree", top), 0);
	}
	assert_memory_equal(first, now, 32);
	assert_int_equal(rename("one", "tree"), 0);
	assert_int_equal(unlink("tree/link"), 0);
	assert_int_equal(symlink("sub/b", "tree/link"), 0);
	assert_int_equal(tree_look("tree", now), 0);
	assert_memory_not_equal(first, now, 32);
	memcpy(first, now, 32);
	put("tree/sub/a", "text"); /* written again: a later time */
	assert_int_equal(tree_look("tree", now), 0);
	assert_memory_not_equal(first, now, 32);
}

static void digests_notice_every_change(void **state)
{
	u8 first[32], now[32];

	assert_int_equal(tree_digest("t", now, NULL), 0); /* not there */
	assert_int_equal(dir_make("t/sub", 0755), 0);
	put("t/sub/a", "text");
	assert_int_equal(tree_digest("t", first, NULL), 0);
	assert_memory_not_equal(first, now, 32);
	assert_int_equal(tree_digest("t", now, NULL), 0);
	assert_memory_equal(first, now, 32);

	put("t/sub/a", "texT"); /* same size, perhaps the same tick of the clock: another inode */
	assert_int_equal(tree_digest("t", now, NULL), 0);
	assert_memory_not_equal(first, now, 32);

	memcpy(first, now, 32);
	assert_int_equal(chmod("t/sub/a", 0600), 0);
	assert_int_equal(tree_digest("t", now, NULL), 0);
	assert_memory_not_equal(first, now, 32);

	memcpy(first, now, 32);
	assert_int_equal(rename("t/sub/a", "t/sub/b"), 0);
	assert_int_equal(tree_digest("t", now, NULL), 0);
	assert_memory_not_equal(first, now, 32);

	memcpy(first, now, 32);
	assert_int_equal(mkdir("t/empty", 0755), 0);
	assert_int_equal(tree_digest("t", now, NULL), 0);
	assert_memory_not_equal(first, now, 32);
}

static void directories_are_made_as_needed(void **state)
{
	assert_int_equal(dir_make("a/b/c", 0755), 0);
	assert_int_equal(dir_make("a/b/c", 0755), 0);
	assert_int_equal(dir_make("a/b//d/", 0755), 0);
	put("file", "");
	assert_int_equal(dir_make("file", 0755), -ENOTDIR);
	assert_int_equal(dir_make("file/x", 0755), -ENOTDIR);
	assert_int_equal(dir_make("", 0755), -ENOENT);
}

/* A closed stream stays as good as closed, and no file takes its number. */
static void closed_streams_are_occupied(void **state)
{
	char c;

	for (int fd = 0; fd < 3; fd++) {
		int kept = dup(fd), seen, use;

		close(fd);
		assert_int_equal(streams_occupy(), 0);
		seen = open(".", O_RDONLY | O_DIRECTORY);
		use = fd == 0 ? (int)read(fd, &c, 1) : (int)write(fd, "x", 1);
		dup2(kept, fd);
		close(kept);
		close(seen);
		assert_true(seen > 2);
		assert_int_equal(use, -1);
	}
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(files_are_whole_or_not_there),
		IN_SCRATCH(failed_write_leaves_the_old_file),
		IN_SCRATCH(large_files_are_read_and_copied),
		IN_SCRATCH(links_are_not_followed),
		IN_SCRATCH(trees_are_copied_with_modes_and_links),
		IN_SCRATCH(copies_look_the_same),
		IN_SCRATCH(digests_notice_every_change),
		IN_SCRATCH(directories_are_made_as_needed),
		IN_SCRATCH(closed_streams_are_occupied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
