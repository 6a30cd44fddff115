/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host calls on files of volumes and on the caller's descriptors. Relative paths start at the
 * instance folder; the last component is never followed when it is a link. Calls that may block
 * for long return -EINTR when the thread is kicked.
 */
#include "abi/errno.h"
#include "edge/hostcall_dispatch.h"
#include "host/pal/inner/inner.h"
#include "host/pal/inner/linux.h"
#include "lib/base/holes.h"

enum {
	OPEN_ACCESS = 3,
	OPEN_CREAT = 0100,
	OPEN_EXCL = 0200,
	OPEN_NOCTTY = 0400,
	OPEN_TRUNC = 01000,
	OPEN_NONBLOCK = 04000,
	OPEN_DIRECTORY = 0200000,
	OPEN_NOFOLLOW = 0400000,
	OPEN_CLOEXEC = 02000000,
	OPEN_ALLOWED = OPEN_ACCESS | OPEN_CREAT | OPEN_EXCL | OPEN_TRUNC | OPEN_DIRECTORY,

	F_GETFL_ = 3,
	F_SETFL_ = 4,
	F_OFD_SETLK_ = 37,
	LOCK_SH_ = 1,
	LOCK_EX_ = 2,
	LOCK_NB_ = 4,
	FALLOC_PUNCH_ = 3, /* FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE */

	SEEK_DATA_ = 3,
	SEEK_HOLE_ = 4,
	FILL_ROOM = MIB(256), /* of the disk; below that it is needed for better things */

	F_DUPFD_CLOEXEC_ = 1030,

	SETFL_ALLOWED = 02000 | 04000, /* O_APPEND, O_NONBLOCK */
};

struct linux_flock {
	s16 type;
	s16 whence;
	s64 start;
	s64 len;
	s32 pid;
};

struct linux_statfs {
	u64 type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags,
		spare[4];
};

/* The arena is shared with nobody but the enclave; still, copy before looking. */
s64 path_copy(char to[HOST_PATH_ROOM], const void *path, size_t size)
{
	if (size == 0)
		return -ENOENT;
	if (size >= HOST_PATH_ROOM)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < size; i++) {
		to[i] = ((const char *)path)[i];
		if (!to[i])
			return -EINVAL;
	}
	to[size] = 0;
	return 0;
}

/* -ENXIO unless it is what the caller can use; so Linux says it of sockets. */
static s64 check_kind(s64 fd, bool wants_folder)
{
	struct {
		u64 before[3];
		u32 mode;
		u8 after[144 - 28];
	} st;
	s64 err = host_syscall(NR_fstat, fd, &st);

	if (err < 0)
		return err;
	return (st.mode & 0170000) == (wants_folder ? 0040000 : 0100000) ? 0 : -ENXIO;
}

/* Whoever embeds us may close a standard stream at any time; no file of ours becomes one. */
s64 descriptor_off_streams(s64 fd)
{
	s64 moved;

	if (fd < 0 || fd > 2)
		return fd;
	moved = host_syscall(NR_fcntl, fd, F_DUPFD_CLOEXEC_, 3);
	host_syscall(NR_close, fd);
	return moved == -EINVAL ? -EMFILE : moved;
}

/* Never waits: not for the other end of a fifo, nor for a lease on the file. */
s64 do_file_open(struct inner_thread *t, const void *path, size_t path_size, u32 flags, u32 mode)
{
	char text[HOST_PATH_ROOM];
	s64 err = path_copy(text, path, path_size), fd;

	if (err < 0)
		return err;
	fd = host_syscall(NR_openat, inner.instance_fd, text,
			  (flags & OPEN_ALLOWED) | OPEN_CLOEXEC | OPEN_NOFOLLOW | OPEN_NOCTTY |
				  OPEN_NONBLOCK,
			  mode & 0777);
	fd = descriptor_off_streams(fd);
	if (fd < 0)
		return fd == -EAGAIN ? -EBUSY : fd;
	err = check_kind(fd, flags & OPEN_DIRECTORY);
	if (err < 0) {
		host_syscall(NR_close, fd);
		return err;
	}
	return fd;
}

s64 do_file_close(struct inner_thread *t, s32 fd)
{
	return fd > 2 ? host_syscall(NR_close, fd) : 0;
}

s64 do_file_pread(struct inner_thread *t, s32 fd, void *data, size_t data_size, u64 offset)
{
	return host_syscall(NR_pread64, fd, data, data_size, offset);
}

s64 do_file_pwrite(struct inner_thread *t, s32 fd, const void *data, size_t data_size, u64 offset)
{
	return host_syscall(NR_pwrite64, fd, data, data_size, offset);
}

s64 do_file_sync(struct inner_thread *t, s32 fd, u32 data_only)
{
	return host_syscall(data_only ? NR_fdatasync : NR_fsync, fd);
}

s64 do_file_truncate(struct inner_thread *t, s32 fd, u64 size)
{
	return host_syscall(NR_ftruncate, fd, size);
}

s64 do_file_punch(struct inner_thread *t, s32 fd, u64 offset, u64 size)
{
	return host_syscall(NR_fallocate, fd, FALLOC_PUNCH_, offset, size);
}

static s64 hole_seek(s32 fd, u64 at, bool hole)
{
	return host_syscall(NR_lseek, fd, at, hole ? SEEK_HOLE_ : SEEK_DATA_);
}

static bool hole_zero(s32 fd, u64 at, size_t size)
{
	static const u8 zeros[HOLES_PIECE];

	return host_syscall(NR_pwrite64, fd, zeros, size, at) == (s64)size;
}

s64 do_file_fill(struct inner_thread *t, s32 fd, u64 offset, u64 size)
{
	static const struct holes_io io = {.seek = hole_seek, .zero = hole_zero};
	struct linux_statfs s;

	if (host_syscall(NR_fstatfs, fd, &s) == 0 && s.bavail * s.frsize >= FILL_ROOM &&
	    size <= FILL_ROOM && offset <= INT64_MAX - size)
		holes_fill(&io, fd, offset, offset + size);
	return 0;
}

s64 do_file_size(struct inner_thread *t, s32 fd)
{
	s64 size = host_syscall(NR_lseek, fd, 0, 2 /* SEEK_END */);

	return size < 0 ? -EIO : size;
}

/* Both kinds of lock: the host tools' look at either. */
s64 do_file_lock(struct inner_thread *t, s32 fd, u32 exclusive)
{
	struct linux_flock lock = {.type = exclusive ? 1 /* F_WRLCK */ : 0 /* F_RDLCK */};
	s64 err = host_syscall(NR_flock, fd, (exclusive ? LOCK_EX_ : LOCK_SH_) | LOCK_NB_);

	if (err < 0)
		return err;
	/* A directory, or a file system without OFD locks, has flock alone. */
	err = host_syscall(NR_fcntl, fd, F_OFD_SETLK_, &lock);
	return err == -EAGAIN || err == -EACCES ? err : 0;
}

s64 do_file_unlink(struct inner_thread *t, const void *path, size_t path_size)
{
	char text[HOST_PATH_ROOM];
	s64 err = path_copy(text, path, path_size);

	return err < 0 ? err : host_syscall(NR_unlinkat, inner.instance_fd, text, 0);
}

s64 do_file_mkdir(struct inner_thread *t, const void *path, size_t path_size, u32 mode)
{
	char text[HOST_PATH_ROOM];
	s64 err = path_copy(text, path, path_size);

	return err < 0 ? err : host_syscall(NR_mkdirat, inner.instance_fd, text, mode & 0777);
}

/* ---- the caller's descriptors ---------------------------------------------------------------- */

static s64 kickable(struct inner_thread *t, u64 number, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	s64 result;

	/* Other signals (stop and continue, a debugger's) are nobody's business inside. */
	do {
		result = raw_syscall_kickable(&t->kicked, number, a, b, c, d, e);
	} while (result == -EINTR && !__atomic_load_n(&t->kicked, __ATOMIC_RELAXED));
	if (result == -EINTR)
		t->kicked = 0;
	return result;
}

s64 do_fd_read(struct inner_thread *t, s32 fd, void *data, size_t data_size)
{
	return kickable(t, NR_read, (u64)fd, (u64)data, data_size, 0, 0);
}

s64 do_fd_write(struct inner_thread *t, s32 fd, const void *data, size_t data_size)
{
	if (fd == 2)
		__atomic_store_n(&inner.has_spoken, 1, __ATOMIC_RELAXED);
	return kickable(t, NR_write, (u64)fd, (u64)data, data_size, 0, 0);
}

s64 do_fd_poll(struct inner_thread *t, void *pollfds, size_t pollfds_size, u64 timeout_ns)
{
	struct linux_timespec timeout = {(s64)MIN(timeout_ns / 1000000000u, (u64)1 << 40),
					 (s64)(timeout_ns % 1000000000u)};
	bool forever = timeout_ns == UINT64_MAX;

	return kickable(t, NR_ppoll, (u64)pollfds, pollfds_size / 8, forever ? 0 : (u64)&timeout, 0,
			8);
}

/* What a terminal is asked for; nothing that injects input or takes the terminal over. */
static const struct {
	u32 command;
	u16 size;      /* of what the argument points to */
	bool by_value; /* the argument is a number, in the first four bytes */
} ioctls[] = {
	{0x5401, 36, false}, /* TCGETS */
	{0x5402, 36, false}, /* TCSETS */
	{0x5403, 36, false}, /* TCSETSW */
	{0x5404, 36, false}, /* TCSETSF */
	{0x5409, 4, true},   /* TCSBRK */
	{0x540a, 4, true},   /* TCXONC */
	{0x540b, 4, true},   /* TCFLSH */
	{0x5411, 4, false},  /* TIOCOUTQ */
	{0x5413, 8, false},  /* TIOCGWINSZ */
	{0x5414, 8, false},  /* TIOCSWINSZ */
	{0x541b, 4, false},  /* FIONREAD */
};

s64 do_fd_ioctl(struct inner_thread *t, s32 fd, u32 command, void *argument, size_t argument_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++) {
		if (ioctls[i].command != command)
			continue;
		if (argument_size < ioctls[i].size)
			return -EINVAL;
		return kickable(t, NR_ioctl, (u64)fd, command,
				ioctls[i].by_value ? *(u32 *)argument : (u64)argument, 0, 0);
	}
	return -ENOTTY;
}

s64 do_fd_stat(struct inner_thread *t, s32 fd, void *stat, size_t stat_size)
{
	if (stat_size != 144)
		return -EOVERFLOW;
	return host_syscall(NR_fstat, fd, stat);
}

s64 do_fd_seek(struct inner_thread *t, s32 fd, u64 offset, u32 whence)
{
	return host_syscall(NR_lseek, fd, offset, whence);
}

s64 do_fd_getfl(struct inner_thread *t, s32 fd)
{
	return host_syscall(NR_fcntl, fd, F_GETFL_);
}

s64 do_fd_setfl(struct inner_thread *t, s32 fd, u32 flags)
{
	return host_syscall(NR_fcntl, fd, F_SETFL_, flags & SETFL_ALLOWED);
}
