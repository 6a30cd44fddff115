// SPDX-License-Identifier: Apache-2.0
/*
 * What the block stores on host files share: whole reads and writes, error numbers, locks. Reads
 * past the end of a file give zeros, since files are sparse and grow when written.
 */
#define _GNU_SOURCE
#include "host/lib/bs_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define BS_HOST_MUCH KIB(64)

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

int bs_host_error(int host_errno)
{
	switch (host_errno) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG: return -ENOSPC;
	case EROFS: return -EROFS;
	case ENOMEM: return -ENOMEM;
	case EPERM:
	case EACCES: return -EACCES;
	default: return -EIO;
	}
}

/* Whether at most half of it lies in the page cache; no where nobody knows. */
static bool is_cold(int fd, size_t size, u64 offset)
{
	struct {
		u64 offset, size;
	} range = {offset, size};
	struct {
		u64 cached, dirty, writeback, evicted, evicted_lately;
	} pages;

	return syscall(SYS_cachestat, fd, &range, &pages, 0) == 0 &&
	       pages.cached <= size / PAGE_SIZE / 2;
}

/*
 * Who reads much of a volume at once caches what it opened, if anybody does: the ciphertext need
 * not stay in the page cache as well. That saves the memory, and the time that fresh pages take.
 * Several readers keep a disk busy by themselves and get what is not cached from it without a copy;
 * a single one needs the kernel to read ahead.
 */
static ssize_t read_past_cache(int fd, int direct, void *buf, size_t size, u64 offset)
{
	static bool is_refused; /* atomic: by an older kernel, or this file system */
	struct iovec v = {.iov_base = buf, .iov_len = size};
	ssize_t n;

	if (size < BS_HOST_MUCH)
		return pread(fd, buf, size, (off_t)offset);
	if (direct >= 0 && is_cold(fd, size, offset)) {
		n = pread(direct, buf, size, (off_t)offset);
		if (n >= 0 || errno != EINVAL)
			return n; /* else memory that the disk does not reach */
	}
	if (__atomic_load_n(&is_refused, __ATOMIC_RELAXED))
		return pread(fd, buf, size, (off_t)offset);
	n = preadv2(fd, &v, 1, (off_t)offset, RWF_DONTCACHE);
	if (n >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS))
		return n;
	__atomic_store_n(&is_refused, true, __ATOMIC_RELAXED);
	return pread(fd, buf, size, (off_t)offset);
}

int bs_host_pread(int fd, int direct, void *buf, size_t size, u64 offset)
{
	u8 *at = buf;

	while (size) {
		ssize_t n = read_past_cache(fd, direct, at, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bs_host_error(errno);
		if (n == 0) {
			memset(at, 0, size);
			return 0;
		}
		at += n;
		offset += (u64)n;
		size -= (size_t)n;
	}
	return 0;
}

int bs_host_pwrite(int fd, const void *buf, size_t size, u64 offset)
{
	const u8 *at = buf;

	while (size) {
		ssize_t n = pwrite(fd, at, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? bs_host_error(errno) : -EIO;
		at += n;
		offset += (u64)n;
		size -= (size_t)n;
	}
	return 0;
}

int bs_host_punch(int fd, u64 offset, u64 size)
{
	while (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			 (off_t)size)) {
		if (errno == EINTR)
			continue;
		if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
			return 0;
		return bs_host_error(errno);
	}
	return 0;
}

int bs_host_lock(int fd, bool exclusive)
{
	struct flock whole = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};

	if (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : bs_host_error(errno);
	/* A directory, or a file system without OFD locks, has flock alone. */
	if (fcntl(fd, F_OFD_SETLK, &whole) && (errno == EAGAIN || errno == EACCES))
		return -EBUSY;
	return 0;
}

void *bs_host_buf_alloc(struct bs *bs, size_t size)
{
	(void)bs;
	return aligned_alloc(BS_BLOCK, ALIGN_UP(size, (size_t)BS_BLOCK));
}

void bs_host_buf_free(struct bs *bs, void *buf, size_t size)
{
	(void)bs;
	(void)size;
	free(buf);
}

int bs_host_reap(struct bs *bs, struct bs_batch *batch)
{
	(void)bs;
	(void)batch;
	return 0;
}
