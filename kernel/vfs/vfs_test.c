// SPDX-License-Identifier: Apache-2.0
/*
 * Names, descriptors, locks and the union, over in-memory file systems: the whole vfs with no host
 * behind it.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <string.h>

#include "abi/errno.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/fs/ramfs/ramfs.h"
#include "kernel/fs/unionfs/unionfs.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/epoll.h"
#include "kernel/vfs/fd_table.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/lock.h"
#include "kernel/vfs/memfd.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/names.h"
#include "kernel/vfs/pagetree.h"
#include "tests/fakes/fakes.h"

static struct fs_context *ctx;

static void mount_as_root(struct filesystem *fs)
{
	struct dentry *root;

	dentry_cache_init();
	assert_int_equal(mount_root(fs, &root), 0);
	fs_context_set_system_root(root);
	ctx = fs_context_new();
	assert_non_null(ctx);
}

static int teardown(void **state)
{
	fs_context_put(ctx);
	ctx = NULL;
	fs_context_set_system_root(NULL);
	assert_int_equal(mount_unmount_all(), 0);
	return 0;
}

static void start_ram(void)
{
	struct filesystem *fs;

	assert_int_equal(ramfs_new("tmpfs", 0755, 0, &fs), 0);
	mount_as_root(fs);
}

static struct file *open_file(const char *path, u32 flags)
{
	struct file *f = NULL;

	assert_int_equal(vfs_open(ctx, path, flags, 0644, &f), 0);
	return f;
}

static int open_error(const char *path, u32 flags)
{
	struct file *f;
	int err = vfs_open(ctx, path, flags, 0644, &f);

	if (!err)
		file_put(f);
	return err;
}

static void put_text(const char *path, const char *text)
{
	struct file *f = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
	struct uio uio = uio_kernel((void *)text, strlen(text));

	assert_int_equal(file_write(f, &uio), strlen(text));
	file_put(f);
}

static void expect_text(const char *path, const char *text)
{
	char buf[256] = "";
	struct file *f = open_file(path, O_RDONLY);
	struct uio uio = uio_kernel(buf, sizeof(buf) - 1);

	assert_int_equal(file_read(f, &uio), strlen(text));
	assert_string_equal(buf, text);
	file_put(f);
}

static int make_dir(const char *path)
{
	return name_make(ctx, NULL, path, S_IFDIR | 0755, 0);
}

static int rename_to(const char *from, const char *to)
{
	return name_rename(ctx, NULL, from, NULL, to, 0);
}

static int exists(const char *path)
{
	struct dentry *d;
	int err = walk_path(ctx, NULL, path, 0, &d);

	if (!err)
		dentry_put(d);
	return err;
}

static u64 ino_of(const char *path)
{
	struct vattr a;
	struct dentry *d;

	assert_int_equal(walk_path(ctx, NULL, path, 0, &d), 0);
	assert_int_equal(vnode_getattr(d->vnode, &a), 0);
	dentry_put(d);
	return a.ino;
}

static void paths_are_walked_as_linux_does(void **state)
{
	start_ram();
	assert_int_equal(make_dir("/a"), 0);
	assert_int_equal(make_dir("/a/b/"), 0);
	assert_int_equal(make_dir("/a/b"), -EEXIST);
	put_text("/a/b/file", "text");
	expect_text("//a/./b/../b//file", "text");
	assert_int_equal(open_error("/a/b/file/", O_RDONLY), -ENOTDIR);
	assert_int_equal(open_error("/a/b/file/x", O_RDONLY), -ENOTDIR);
	assert_int_equal(open_error("/a/nothing", O_RDONLY), -ENOENT);
	assert_int_equal(open_error("", O_RDONLY), -ENOENT);
	assert_int_equal(open_error("/a", O_WRONLY), -EISDIR);
	assert_int_equal(open_error("/a/b/file", O_RDONLY | O_DIRECTORY), -ENOTDIR);
	assert_int_equal(open_error("/a/b/file", O_WRONLY | O_CREAT | O_EXCL), -EEXIST);
	assert_int_equal(open_error("/a/new/", O_WRONLY | O_CREAT), -EISDIR);
	assert_int_equal(exists("/../../a"), 0);

	assert_int_equal(name_symlink(ctx, NULL, "/link", "a/b/file"), 0);
	expect_text("/link", "text");
	assert_int_equal(open_error("/link", O_RDONLY | O_NOFOLLOW), -ELOOP);
	assert_int_equal(open_error("/link", O_WRONLY | O_CREAT | O_EXCL), -EEXIST);
	assert_int_equal(name_symlink(ctx, NULL, "/dangling", "made"), 0);
	put_text("/dangling", "through");
	expect_text("/made", "through");
	assert_int_equal(name_symlink(ctx, NULL, "/l0", "file"), 0);
	for (int i = 1; i <= 41; i++) {
		char name[16], to[16];

		snprintf(name, sizeof(name), "/l%d", i);
		snprintf(to, sizeof(to), "l%d", i - 1);
		assert_int_equal(name_symlink(ctx, NULL, name, to), 0);
	}
	put_text("/file", "deep");
	expect_text("/l39", "deep");
	assert_int_equal(open_error("/l40", O_RDONLY), -ELOOP);
	assert_int_equal(name_symlink(ctx, NULL, "/loop", "loop"), 0);
	assert_int_equal(open_error("/loop", O_RDONLY), -ELOOP);

	assert_int_equal(rename_to("/a", "/a/b/c"), -EINVAL);
	assert_int_equal(rename_to("/a/b", "/z"), 0);
	expect_text("/z/file", "text");
	assert_int_equal(rename_to("/z", "/file"), -ENOTDIR);
	assert_int_equal(rename_to("/file", "/z"), -EISDIR);
	assert_int_equal(rename_to("/file", "/nowhere/x"), -ENOENT);
	assert_int_equal(name_unlink(ctx, NULL, "/z", true), -ENOTEMPTY);
	assert_int_equal(name_unlink(ctx, NULL, "/z", false), -EISDIR);
	assert_int_equal(name_unlink(ctx, NULL, "/z/file", true), -ENOTDIR);
	assert_int_equal(name_unlink(ctx, NULL, "/z/.", true), -EINVAL);
	assert_int_equal(name_unlink(ctx, NULL, "/z/..", true), -ENOTEMPTY);
	assert_int_equal(name_unlink(ctx, NULL, "/z/file", false), 0);
	assert_int_equal(name_unlink(ctx, NULL, "/z", true), 0);
}

static void an_open_file_outlives_its_name(void **state)
{
	char buf[8] = "", path[64];
	struct uio uio = uio_kernel(buf, 4);
	struct dentry *root;
	struct file *f;

	start_ram();
	put_text("/f", "kept");
	f = open_file("/f", O_RDWR);
	assert_int_equal(name_unlink(ctx, NULL, "/f", false), 0);
	assert_int_equal(exists("/f"), -ENOENT);
	assert_int_equal(file_read(f, &uio), 4);
	assert_string_equal(buf, "kept");
	root = fs_context_root(ctx);
	assert_true(dentry_path(f->dentry, root, path, sizeof(path)) > 0);
	assert_string_equal(path, "/f (deleted)");
	dentry_put(root);
	file_put(f);
	put_text("/a-name-that-is-longer-than-the-short-names-are-allowed-to-be", "long");
	assert_int_equal(
		rename_to("/a-name-that-is-longer-than-the-short-names-are-allowed-to-be", "/s"),
		0);
	expect_text("/s", "long");
	assert_int_equal(rename_to("/s", "/another-name-that-is-longer-than-the-short-ones"), 0);
	expect_text("/another-name-that-is-longer-than-the-short-ones", "long");
}

static void holes_read_as_zeros(void **state)
{
	char buf[16];
	struct uio uio;
	struct vattr a;
	struct file *f;

	start_ram();
	f = open_file("/sparse", O_RDWR | O_CREAT);
	uio = uio_kernel("end", 3);
	assert_int_equal(file_pwrite(f, &uio, 1ull << 40), 3);
	assert_int_equal(file_size(f), (1ull << 40) + 3);
	assert_int_equal(file_getattr(f, &a), 0);
	assert_int_equal(a.blocks, 8);
	uio = uio_kernel(buf, sizeof(buf));
	assert_int_equal(file_pread(f, &uio, 12345), sizeof(buf));
	assert_int_equal(buf[0] | buf[15], 0);
	assert_int_equal(file_seek(f, 0, SEEK_DATA), 1ull << 40);
	assert_int_equal(file_seek(f, 0, SEEK_HOLE), 0);
	assert_int_equal(file_truncate(f, 1), 0);
	assert_int_equal(file_getattr(f, &a), 0);
	assert_int_equal(a.blocks, 0);
	file_put(f);
}

static void the_page_tree_keeps_what_it_was_given(void **state)
{
	static const u64 at[] = {0, 1, 63, 64, 4095, 4096, 1ull << 30, (1ull << 51) + 7};
	struct pagetree t = {0};
	u64 index = 0;

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		assert_int_equal(pagetree_set(&t, at[i], (void *)&at[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++, index++) {
		assert_ptr_equal(pagetree_get(&t, at[i]), &at[i]);
		assert_ptr_equal(pagetree_next(&t, &index), &at[i]);
		assert_int_equal(index, at[i]);
	}
	assert_null(pagetree_next(&t, &index));
	assert_null(pagetree_get(&t, 2));
	assert_int_equal(pagetree_set(&t, PAGETREE_MAX_INDEX, &t), -EFBIG);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		pagetree_remove(&t, at[i]);
	assert_null(t.root);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		assert_int_equal(pagetree_set(&t, at[i], (void *)&at[i]), 0);
	pagetree_free(&t);
}

static void descriptors_are_the_lowest_free(void **state)
{
	struct fd_table *t, *copy;
	struct file *f;

	start_ram();
	t = fd_table_new();
	f = open_file("/f", O_RDWR | O_CREAT);
	assert_int_equal(fd_install(t, file_get(f), 0, false), 0);
	assert_int_equal(fd_install(t, file_get(f), 0, true), 1);
	assert_int_equal(fd_install(t, file_get(f), 100, false), 100);
	assert_int_equal(fd_install(t, file_get(f), 0, false), 2);
	assert_int_equal(fd_close(t, 0), 0);
	assert_int_equal(fd_close(t, 0), -EBADF);
	assert_int_equal(fd_install(t, file_get(f), 0, false), 0);
	assert_int_equal(fd_install_at(t, file_get(f), 500, false), 500);
	assert_int_equal(fd_table_count(t), 5);
	copy = fd_table_copy(t);
	fd_table_close_on_exec(copy);
	assert_null(fd_lookup(copy, 1));
	assert_int_equal(fd_table_count(copy), 4);
	assert_null(fd_lookup(t, -1));
	assert_null(fd_lookup(t, 1 << 30));
	fd_table_put(copy);
	fd_table_put(t);
	assert_int_equal(f->refs, 1);
	file_put(f);
}

static int set_lock(struct vnode *v, const void *owner, u16 type, u64 start, u64 end)
{
	struct file_lock l = {.kind = LOCK_POSIX,
			      .type = type,
			      .start = start,
			      .end = end,
			      .owner = owner,
			      .pid = 7};

	return file_lock_set(v, &l, false);
}

static u16 test_lock(struct vnode *v, const void *owner, u64 start, u64 end)
{
	struct file_lock l = {
		.kind = LOCK_POSIX, .type = F_WRLCK, .start = start, .end = end, .owner = owner};

	file_lock_test(v, &l);
	return l.type;
}

static void record_locks_split_and_join(void **state)
{
	int a, b;
	struct file *f;
	struct vnode *v;

	start_ram();
	f = open_file("/f", O_RDWR | O_CREAT);
	v = f->vnode;
	assert_int_equal(set_lock(v, &a, F_WRLCK, 0, 99), 0);
	assert_int_equal(set_lock(v, &b, F_RDLCK, 50, 60), -EAGAIN);
	assert_int_equal(set_lock(v, &a, F_UNLCK, 40, 59), 0);
	assert_int_equal(set_lock(v, &b, F_WRLCK, 40, 59), 0);
	assert_int_equal(test_lock(v, &b, 0, 39), F_WRLCK);
	assert_int_equal(test_lock(v, &b, 60, UINT64_MAX), F_WRLCK);
	assert_int_equal(test_lock(v, &b, 100, UINT64_MAX), F_UNLCK);
	assert_int_equal(set_lock(v, &a, F_RDLCK, 0, 39), 0);
	assert_int_equal(set_lock(v, &b, F_RDLCK, 0, 39), 0);
	assert_int_equal(set_lock(v, &b, F_WRLCK, 0, 39), -EAGAIN);
	file_locks_release(v, &a);
	assert_int_equal(set_lock(v, &b, F_WRLCK, 0, UINT64_MAX), 0);
	file_put(f);
}

static void locks_are_given_back_without_memory(void **state)
{
	int a, b;
	struct file *f;
	struct vnode *v;

	start_ram();
	f = open_file("/f", O_RDWR | O_CREAT);
	v = f->vnode;
	assert_int_equal(set_lock(v, &a, F_WRLCK, 0, 99), 0);
	fake_fail_allocation(1, true);
	assert_int_equal(set_lock(v, &a, F_UNLCK, 10, 20), -ENOLCK); /* it would be two */
	assert_int_equal(set_lock(v, &a, F_UNLCK, 50, 99), 0);
	assert_int_equal(set_lock(v, &a, F_UNLCK, 0, UINT64_MAX), 0);
	assert_int_equal(set_lock(v, &b, F_WRLCK, 0, 0), -ENOLCK);
	fake_fail_allocation(0, false);
	assert_int_equal(set_lock(v, &b, F_WRLCK, 0, 99), 0);
	file_put(f);
}

static void seals_hold(void **state)
{
	struct uio uio = uio_kernel("abc", 3);
	struct file *f;

	start_ram();
	assert_int_equal(memfd_new("memfd:x", true, &f), 0);
	assert_int_equal(file_write(f, &uio), 3);
	assert_int_equal(memfd_add_seals(f, F_SEAL_GROW), 0);
	uio = uio_kernel("d", 1);
	assert_int_equal(file_write(f, &uio), -EPERM);
	assert_int_equal(file_truncate(f, 2), 0);
	assert_int_equal(memfd_add_seals(f, F_SEAL_SEAL | F_SEAL_WRITE), 0);
	assert_int_equal(memfd_add_seals(f, F_SEAL_SHRINK), -EPERM);
	uio = uio_kernel("d", 1);
	assert_int_equal(file_pwrite(f, &uio, 0), -EPERM);
	file_put(f);
}

static void pipes_carry_bytes_and_ends(void **state)
{
	char buf[16] = "";
	struct uio uio = uio_kernel("hello", 5);
	struct abi_epoll_event e = {.events = EPOLLET | POLLIN, .data = 42}, got[4];
	struct file *r, *w, *ep;

	start_ram();
	assert_int_equal(anon_fs_init(), 0);
	assert_int_equal(pipe_new(O_NONBLOCK, &r, &w), 0);
	assert_int_equal(epoll_new(0, &ep), 0);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, 3, r, &e), 0);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, 3, r, &e), -EEXIST);
	assert_int_equal(epoll_wait(ep, got, 4, 0), 0);
	assert_int_equal(file_write(w, &uio), 5);
	assert_int_equal(epoll_wait(ep, got, 4, 0), 1);
	assert_int_equal(got[0].data, 42);
	assert_int_equal(epoll_wait(ep, got, 4, 0), 0); /* an edge is told once */
	uio = uio_kernel(buf, sizeof(buf));
	assert_int_equal(file_read(r, &uio), 5);
	assert_string_equal(buf, "hello");
	uio = uio_kernel(buf, sizeof(buf));
	assert_int_equal(file_read(r, &uio), -EAGAIN);
	file_put(w);
	assert_int_equal(file_read(r, &uio), 0);
	assert_int_equal(epoll_wait(ep, got, 4, 0), 1);
	assert_true(got[0].events & POLLHUP);
	file_put(r);
	assert_int_equal(epoll_wait(ep, got, 4, 0), 0);
	file_put(ep);
}

/* --- union --------------------------------------------------------------------------------- */

/* A lower tree: /dir/{one,two}, /file, /link -> file, /empty. */
static void start_union(void)
{
	struct filesystem *lower, *upper, *fs;

	assert_int_equal(ramfs_new("tmpfs", 0755, 0, &lower), 0);
	mount_as_root(lower);
	assert_int_equal(make_dir("/dir"), 0);
	assert_int_equal(make_dir("/empty"), 0);
	put_text("/dir/one", "1");
	put_text("/dir/two", "2");
	put_text("/file", "lower");
	assert_int_equal(name_symlink(ctx, NULL, "/link", "file"), 0);
	fs_context_put(ctx);
	fs_context_set_system_root(NULL);
	/* Taken off its mount: from now on it is a layer. */
	mount_detach_all();
	assert_int_equal(ramfs_new("tmpfs", 0755, 0, &upper), 0);
	assert_int_equal(unionfs_new(upper, &lower, 1, &fs), 0);
	lower->flags |= FS_READ_ONLY;
	mount_as_root(fs);
}

struct names {
	struct dir_sink sink;
	char text[256];
};

static int collect(struct dir_sink *sink, const char *name, size_t len, u64 ino, u8 type,
		   u64 cookie)
{
	struct names *n = container_of(sink, struct names, sink);

	size_t at = strlen(n->text);

	if (name[0] != '.')
		snprintf(n->text + at, sizeof(n->text) - at, "%.*s ", (int)len, name);
	return 0;
}

static void expect_names(const char *path, const char *names)
{
	struct names n = {.sink = {collect}};
	struct file *f = open_file(path, O_RDONLY | O_DIRECTORY);

	assert_int_equal(f->ops->readdir(f, 0, &n.sink), 0);
	assert_string_equal(n.text, names);
	file_put(f);
}

static void the_union_copies_up_and_covers(void **state)
{
	u64 ino;

	start_union();
	expect_text("/dir/one", "1");
	expect_text("/link", "lower");
	ino = ino_of("/file");
	put_text("/file", "upper");
	expect_text("/file", "upper");
	expect_text("/link", "upper");
	assert_int_equal(ino_of("/file"), ino);

	assert_int_equal(name_unlink(ctx, NULL, "/dir/one", false), 0);
	assert_int_equal(exists("/dir/one"), -ENOENT);
	expect_names("/dir", "two ");
	put_text("/dir/one", "new");
	expect_text("/dir/one", "new");
	expect_names("/dir", "one two ");
	assert_int_equal(rename_to("/dir/two", "/dir/three"), 0);
	assert_int_equal(exists("/dir/two"), -ENOENT);
	expect_text("/dir/three", "2");
	assert_int_equal(rename_to("/dir", "/moved"), -EXDEV);
	assert_int_equal(name_unlink(ctx, NULL, "/dir", true), -ENOTEMPTY);
	assert_int_equal(name_unlink(ctx, NULL, "/dir/one", false), 0);
	assert_int_equal(name_unlink(ctx, NULL, "/dir/three", false), 0);
	assert_int_equal(name_unlink(ctx, NULL, "/dir", true), 0);
	assert_int_equal(exists("/dir"), -ENOENT);
	assert_int_equal(make_dir("/dir"), 0);
	expect_names("/dir", ""); /* opaque: what the image has stays hidden */
	assert_int_equal(rename_to("/dir", "/empty"), 0);
	expect_names("/empty", "");
	assert_int_equal(exists("/dir"), -ENOENT);
	dentry_shrink(SIZE_MAX); /* the same answers from the layers themselves */
	assert_int_equal(exists("/dir"), -ENOENT);
	expect_names("/empty", "");
	expect_text("/link", "upper");
}

static void links_and_renames_over_whiteouts(void **state)
{
	struct dentry *d;

	start_union();
	assert_int_equal(name_unlink(ctx, NULL, "/file", false), 0);
	assert_int_equal(walk_path(ctx, NULL, "/dir/one", 0, &d), 0);
	assert_int_equal(name_link(ctx, d, NULL, "/file"), 0);
	dentry_put(d);
	put_text("/dir/one", "both");
	expect_text("/file", "both");
	assert_int_equal(name_unlink(ctx, NULL, "/link", false), 0);
	assert_int_equal(make_dir("/fresh"), 0);
	put_text("/fresh/x", "x");
	assert_int_equal(rename_to("/fresh", "/link"), 0);
	expect_text("/link/x", "x");
	dentry_shrink(SIZE_MAX);
	expect_text("/link/x", "x");
	assert_int_equal(name_symlink(ctx, NULL, "/fresh", "link/x"), 0);
	expect_text("/fresh", "x");
	assert_int_equal(rename_to("/file", "/dir/two"), 0);
	expect_text("/dir/two", "both");
	dentry_shrink(SIZE_MAX);
	assert_int_equal(exists("/file"), -ENOENT);
}

static u64 bytes_used(struct file *f)
{
	struct vattr a;

	vnode_forget_attr(f->vnode);
	assert_int_equal(vnode_getattr(f->vnode, &a), 0);
	return a.blocks * 512;
}

/* All that is asked for or nothing; and a signal ends it. */
static void reserving_space_is_all_or_nothing(void **state)
{
	struct file *f;
	struct uio uio;

	start_ram();
	f = open_file("/f", O_RDWR | O_CREAT);
	uio = uio_kernel("x", 1);
	assert_int_equal(file_pwrite(f, &uio, 5 * 4096), 1);
	assert_int_equal(bytes_used(f), 4096);

	current_thread()->work = WORK_SIGNAL;
	assert_int_equal(file_fallocate(f, 0, 0, MIB(64)), -EINTR);
	current_thread()->work = 0;
	assert_int_equal(bytes_used(f), 4096);
	assert_int_equal(file_size(f), 5 * 4096 + 1);

	for (int n = 1; n < 40; n += 3) {
		fake_fail_allocation(n, true);
		assert_int_equal(file_fallocate(f, 0, 0, MIB(1)), -ENOSPC);
		fake_fail_allocation(0, false);
		assert_int_equal(bytes_used(f), 4096);
	}
	assert_int_equal(file_fallocate(f, 0, 0, 8 * 4096), 0);
	assert_int_equal(bytes_used(f), 8 * 4096);
	/* What an earlier call reserved stays. */
	current_thread()->work = WORK_SIGNAL;
	assert_int_equal(file_fallocate(f, 0, 0, MIB(64)), -EINTR);
	current_thread()->work = 0;
	assert_int_equal(bytes_used(f), 8 * 4096);
	file_put(f);
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paths_are_walked_as_linux_does),
		TEST(an_open_file_outlives_its_name),
		TEST(holes_read_as_zeros),
		TEST(reserving_space_is_all_or_nothing),
		cmocka_unit_test(the_page_tree_keeps_what_it_was_given),
		TEST(descriptors_are_the_lowest_free),
		TEST(record_locks_split_and_join),
		TEST(locks_are_given_back_without_memory),
		TEST(seals_hold),
		TEST(pipes_carry_bytes_and_ends),
		TEST(the_union_copies_up_and_covers),
		TEST(links_and_renames_over_whiteouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
