/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host calls of hostfs. Every path is resolved beneath the mounted folder by the host's kernel
 * (RESOLVE_BENEATH), so that neither a link nor ".." leads out of it, whatever the program inside
 * makes of the folder meanwhile.
 */
#include "abi/errno.h"
#include "edge/hostcall_dispatch.h"
#include "host/pal/inner/inner.h"
#include "host/pal/inner/linux.h"

enum {
	HFS_ACCESS = 3,
	HFS_CREAT = 0100,
	HFS_EXCL = 0200,
	HFS_NOCTTY = 0400,
	HFS_TRUNC = 01000,
	HFS_APPEND = 02000,
	HFS_NONBLOCK = 04000,
	HFS_DIRECTORY = 0200000,
	HFS_NOFOLLOW = 0400000,
	HFS_CLOEXEC = 02000000,
	HFS_PATH = 010000000,
	HFS_ALLOWED = HFS_ACCESS | HFS_CREAT | HFS_EXCL | HFS_TRUNC | HFS_DIRECTORY,
	HFS_AT_REMOVEDIR = 0x200,

	RESOLVE_NO_MAGICLINKS_ = 2,
	RESOLVE_BENEATH_ = 8,
	NAME_ROOM = 256,
};

struct linux_open_how {
	u64 flags, mode, resolve;
};

/* A path split into its folder and its last name. */
struct split_path {
	char text[HOST_PATH_ROOM];
	const char *folder; /* "." when there is none */
	const char *name;
};

static s64 split(struct split_path *p, const void *path, size_t size)
{
	s64 err = path_copy(p->text, path, size);
	size_t slash = 0;

	if (err < 0)
		return err;
	/* The last name goes to calls that would take "/" and ".." as a way out. */
	if (p->text[0] == '/')
		return -EXDEV;
	for (size_t i = 0; p->text[i]; i++)
		if (p->text[i] == '/')
			slash = i;
	if (!slash) {
		p->folder = ".";
		p->name = p->text;
	} else {
		p->text[slash] = 0;
		p->folder = p->text;
		p->name = p->text + slash + 1;
	}
	if (p->name[0] == '.' && p->name[1] == '.' && !p->name[2])
		return -EXDEV;
	return 0;
}

static s64 open_beneath(s32 dir, const char *path, u64 flags, u32 mode)
{
	struct linux_open_how how = {.flags = flags | HFS_CLOEXEC,
				     .mode = flags & HFS_CREAT ? mode & 0777 : 0,
				     .resolve = RESOLVE_BENEATH_ | RESOLVE_NO_MAGICLINKS_};

	return host_syscall(NR_openat2, dir, path, &how, sizeof(how));
}

static s64 open_folder(s32 dir, const struct split_path *p)
{
	return open_beneath(dir, p->folder, HFS_PATH | HFS_DIRECTORY, 0);
}

s64 do_hostfs_open(struct inner_thread *t, s32 dir, const void *path, size_t path_size, u32 flags,
		   u32 mode)
{
	char text[HOST_PATH_ROOM];
	s64 err = path_copy(text, path, path_size);

	if (err < 0)
		return err;
	/* No waiting for a fifo, no controlling terminal; files and folders do not care. */
	return descriptor_off_streams(open_beneath(
		dir, text, (flags & HFS_ALLOWED) | HFS_NOFOLLOW | HFS_NOCTTY | HFS_NONBLOCK, mode));
}

s64 do_hostfs_stat(struct inner_thread *t, s32 dir, const void *path, size_t path_size, void *stat,
		   size_t stat_size)
{
	char text[HOST_PATH_ROOM];
	s64 err = path_copy(text, path, path_size), fd;

	if (err < 0)
		return err;
	if (stat_size < 144)
		return -EINVAL;
	fd = open_beneath(dir, text, HFS_PATH | HFS_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	err = host_syscall(NR_fstat, fd, stat);
	host_syscall(NR_close, fd);
	return err;
}

s64 do_hostfs_list(struct inner_thread *t, s32 fd, u64 cookie, void *entries, size_t entries_size)
{
	s64 err = host_syscall(NR_lseek, fd, cookie, 0);

	return err < 0 ? err : host_syscall(NR_getdents64, fd, entries, entries_size);
}

s64 do_hostfs_mkdir(struct inner_thread *t, s32 dir, const void *path, size_t path_size, u32 mode)
{
	struct split_path p;
	s64 err = split(&p, path, path_size), folder;

	if (err < 0)
		return err;
	folder = open_folder(dir, &p);
	if (folder < 0)
		return folder;
	err = host_syscall(NR_mkdirat, folder, p.name, mode & 0777);
	host_syscall(NR_close, folder);
	return err;
}

s64 do_hostfs_unlink(struct inner_thread *t, s32 dir, const void *path, size_t path_size,
		     u32 is_dir)
{
	struct split_path p;
	s64 err = split(&p, path, path_size), folder;

	if (err < 0)
		return err;
	folder = open_folder(dir, &p);
	if (folder < 0)
		return folder;
	err = host_syscall(NR_unlinkat, folder, p.name, is_dir ? HFS_AT_REMOVEDIR : 0);
	host_syscall(NR_close, folder);
	return err;
}

/* Opens the folder of a path and keeps the last name; one long path on the stack at a time. */
static s64 __attribute__((noinline))
open_parent(s32 dir, const void *path, size_t path_size, char name[NAME_ROOM])
{
	struct split_path p;
	s64 err = split(&p, path, path_size);

	if (err < 0)
		return err;
	for (size_t i = 0; i < NAME_ROOM; i++) {
		name[i] = p.name[i];
		if (!name[i])
			return open_folder(dir, &p);
	}
	return -ENAMETOOLONG;
}

static s64 with_two(s32 dir, const void *path, size_t path_size, const void *to_path,
		    size_t to_path_size, u64 number, u32 flags)
{
	char name[NAME_ROOM], to_name[NAME_ROOM];
	s64 folder = open_parent(dir, path, path_size, name), to_folder, err;

	if (folder < 0)
		return folder;
	to_folder = open_parent(dir, to_path, to_path_size, to_name);
	if (to_folder < 0) {
		host_syscall(NR_close, folder);
		return to_folder;
	}
	err = host_syscall(number, folder, name, to_folder, to_name, flags);
	host_syscall(NR_close, to_folder);
	host_syscall(NR_close, folder);
	return err;
}

s64 do_hostfs_rename(struct inner_thread *t, s32 dir, const void *path, size_t path_size,
		     const void *to_path, size_t to_path_size, u32 flags)
{
	return with_two(dir, path, path_size, to_path, to_path_size, NR_renameat2, flags & 3);
}

s64 do_hostfs_link(struct inner_thread *t, s32 dir, const void *path, size_t path_size,
		   const void *to_path, size_t to_path_size)
{
	return with_two(dir, path, path_size, to_path, to_path_size, NR_linkat, 0);
}

s64 do_hostfs_chmod(struct inner_thread *t, s32 dir, const void *path, size_t path_size, u32 mode)
{
	char text[HOST_PATH_ROOM];
	s64 err = path_copy(text, path, path_size), fd;

	if (err < 0)
		return err;
	fd = open_beneath(dir, text, HFS_NOFOLLOW | HFS_NONBLOCK | HFS_NOCTTY, 0);
	if (fd < 0)
		return fd;
	err = host_syscall(NR_fchmod, fd, mode & 0777);
	host_syscall(NR_close, fd);
	return err;
}

s64 do_hostfs_readlink(struct inner_thread *t, s32 dir, const void *path, size_t path_size,
		       void *target, size_t target_size)
{
	struct split_path p;
	s64 err = split(&p, path, path_size), folder;

	if (err < 0)
		return err;
	folder = open_folder(dir, &p);
	if (folder < 0)
		return folder;
	err = host_syscall(NR_readlinkat, folder, p.name, target, target_size);
	host_syscall(NR_close, folder);
	return err;
}
