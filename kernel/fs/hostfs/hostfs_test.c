// SPDX-License-Identifier: Apache-2.0
/* hostfs over a real folder, by a fake host that does just what it is asked. */
#define _GNU_SOURCE
#include "kernel/fs/hostfs/hostfs.h"

#include "tests/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "edge/hostcall_gen.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/names.h"
#include "tests/fakes/fakes.h"
#include "tests/shell.h"

int openat(int dir, const char *path, int flags, ...); /* <fcntl.h> and the kernel's disagree */
int fstatat(int dir, const char *path, struct stat *st, int flags);

static char folder[64];
static struct fs_context *ctx;
static struct file *file;

/* In-buffers are an offset into the data and a size. */
static const char *path_at(u8 *data, const u64 *args, char text[4096])
{
	memcpy(text, data + args[0], args[1]);
	text[args[1]] = 0;
	return text;
}

static s64 result_of(long result)
{
	return result < 0 ? -errno : result;
}

static s64 answer(u64 number, u64 *args, u8 *data, void *context)
{
	char a[4096], b[4096];
	int fd;

	(void)context;
	switch (number) {
	case HOSTCALL_FILE_OPEN: return result_of(openat(-100, folder, O_RDONLY | O_DIRECTORY));
	case HOSTCALL_FILE_CLOSE: return result_of(close((int)args[0]));
	case HOSTCALL_HOSTFS_STAT:
		return result_of(fstatat((int)args[0], path_at(data, args + 1, a),
					 (struct stat *)(data + args[3]), 0x100));
	case HOSTCALL_HOSTFS_OPEN:
		return result_of(openat((int)args[0], path_at(data, args + 1, a),
					(int)args[3] | O_NOFOLLOW, (int)args[4]));
	case HOSTCALL_FD_STAT:
		return result_of(fstat((int)args[0], (struct stat *)(data + args[1])));
	case HOSTCALL_FILE_TRUNCATE: return result_of(ftruncate((int)args[0], (off_t)args[1]));
	case HOSTCALL_HOSTFS_MKDIR:
		return result_of(mkdirat((int)args[0], path_at(data, args + 1, a), (int)args[3]));
	case HOSTCALL_HOSTFS_RENAME:
		return result_of(syscall(SYS_renameat2, (int)args[0], path_at(data, args + 1, a),
					 (int)args[0], path_at(data, args + 3, b), args[5]));
	case HOSTCALL_FILE_PWRITE:
		return result_of(pwrite((int)args[0], data + args[1], args[2], (off_t)args[3]));
	case HOSTCALL_FILE_PREAD:
		return result_of(pread((int)args[0], data + args[1], args[2], (off_t)args[3]));
	default:
		fd = (int)number;
		fprintf(stderr, "host call %d\n", fd);
		return -ENOSYS;
	}
}

static int start(void **state)
{
	struct filesystem *fs;
	struct dentry *root;

	snprintf(folder, sizeof(folder), "/tmp/occlum-hostfs-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	fake_host_set(answer, NULL);
	dentry_cache_init();
	if (hostfs_new(folder, false, &fs) || mount_root(fs, &root))
		return -1;
	fs_context_set_system_root(root);
	ctx = fs_context_new();
	return ctx ? 0 : -1;
}

static int stop(void **state)
{
	char command[128];
	int err;

	fs_context_put(ctx);
	fs_context_set_system_root(NULL);
	err = mount_unmount_all();
	fake_host_set(NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return err ? err : shell_run(command);
}

static void put_text(const char *path, const char *text)
{
	struct uio uio = uio_kernel((void *)text, strlen(text));

	assert_int_equal(vfs_open(ctx, path, O_CREAT | O_RDWR, 0600, &file), 0);
	assert_int_equal(file_pwrite(file, &uio, 0), strlen(text));
	file_put(file);
}

static void expect_text(struct dentry *at, const char *path, const char *expected)
{
	char text[16] = "";
	struct uio uio = uio_kernel(text, sizeof(text) - 1);

	assert_int_equal(name_open(ctx, at, path, O_RDONLY, 0, 0, &file), 0);
	assert_int_equal(file_pread(file, &uio, 0), strlen(expected));
	assert_string_equal(text, expected);
	file_put(file);
}

static int rename_to(const char *from, const char *to, u32 flags)
{
	return name_rename(ctx, NULL, from, NULL, to, flags);
}

static int make_dir(const char *path)
{
	return name_make(ctx, NULL, path, S_IFDIR | 0755, 0);
}

/* What is open below a folder goes where the folder goes. */
static void what_lies_below_moves_along(void **state)
{
	struct dentry *sub;
	struct file *held;
	struct vattr attr;

	assert_int_equal(make_dir("/a"), 0);
	assert_int_equal(make_dir("/a/sub"), 0);
	assert_int_equal(make_dir("/ab"), 0);
	put_text("/a/sub/f", "moved");
	put_text("/ab/f", "stays");
	assert_int_equal(vfs_open(ctx, "/a/sub/f", O_RDONLY, 0, &held), 0);
	assert_int_equal(walk_path(ctx, NULL, "/a/sub", 0, &sub), 0);
	assert_int_equal(rename_to("/a", "/b", 0), 0);
	assert_int_equal(vnode_getattr(held->vnode, &attr), 0);
	assert_int_equal(attr.size, 5);
	expect_text(sub, "f", "moved");
	expect_text(NULL, "/b/sub/f", "moved");
	expect_text(NULL, "/ab/f", "stays");
	assert_int_equal(vfs_open(ctx, "/a/sub/f", O_RDONLY, 0, &file), -ENOENT);
	/* Another object under the old name is another object. */
	assert_int_equal(make_dir("/a"), 0);
	assert_int_equal(make_dir("/a/sub"), 0);
	put_text("/a/sub/f", "other one");
	expect_text(sub, "f", "moved");
	assert_int_equal(vnode_getattr(held->vnode, &attr), 0);
	assert_int_equal(attr.size, 5);
	file_put(held);
	dentry_put(sub);
}

static void exchanged_folders_take_theirs_along(void **state)
{
	struct dentry *x, *y;

	assert_int_equal(make_dir("/x"), 0);
	assert_int_equal(make_dir("/y"), 0);
	put_text("/x/f", "was x");
	put_text("/y/f", "was y");
	assert_int_equal(walk_path(ctx, NULL, "/x", 0, &x), 0);
	assert_int_equal(walk_path(ctx, NULL, "/y", 0, &y), 0);
	assert_int_equal(rename_to("/x", "/y", RENAME_EXCHANGE), 0);
	expect_text(x, "f", "was x");
	expect_text(y, "f", "was y");
	expect_text(NULL, "/x/f", "was y");
	dentry_put(x);
	dentry_put(y);
}

/* What is open stays what it is when another file takes its name. */
static void an_overwritten_file_keeps_its_attributes(void **state)
{
	struct file *held;
	struct vattr attr;

	put_text("/old", "old content");
	put_text("/new", "new");
	assert_int_equal(vfs_open(ctx, "/old", O_RDWR, 0, &held), 0);
	assert_int_equal(rename_to("/new", "/old", 0), 0);
	assert_int_equal(file_getattr(held, &attr), 0);
	assert_int_equal(attr.size, 11);
	assert_int_equal(file_seek(held, 0, SEEK_END), 11);
	assert_int_equal(file_truncate(held, 2), 0);
	assert_int_equal(file_getattr(held, &attr), 0);
	assert_int_equal(attr.size, 2);
	file_put(held);
	expect_text(NULL, "/old", "new");
}

static void a_refused_rename_changes_nothing(void **state)
{
	struct dentry *a;

	assert_int_equal(make_dir("/a"), 0);
	assert_int_equal(make_dir("/full"), 0);
	put_text("/a/f", "a");
	put_text("/full/f", "full");
	assert_int_equal(walk_path(ctx, NULL, "/a", 0, &a), 0);
	assert_int_equal(rename_to("/a", "/full", 0), -ENOTEMPTY);
	expect_text(a, "f", "a");
	for (int n = 1; n < 12; n++) {
		int err;

		fake_fail_allocation(n, false);
		err = rename_to("/a", "/c", 0);
		fake_fail_allocation(0, false);
		if (!err)
			assert_int_equal(rename_to("/c", "/a", 0), 0);
		else
			assert_int_equal(err, -ENOMEM);
		expect_text(a, "f", "a");
	}
	dentry_put(a);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_lies_below_moves_along),
		IN_FOLDER(exchanged_folders_take_theirs_along),
		IN_FOLDER(an_overwritten_file_keeps_its_attributes),
		IN_FOLDER(a_refused_rename_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
