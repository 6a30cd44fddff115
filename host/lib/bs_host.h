/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block stores on files of the host, for the tools: one sparse file, or a directory of segment
 * files (lib/secvol/segment.h). Both are synchronous: submit() does the work. Both take the locks
 * by which an instance, a mount and a check exclude each other.
 */
#pragma once

#include "lib/secvol/blockstore.h"

enum bs_host_flags {
	BS_HOST_READ_ONLY = 1 << 0,
	BS_HOST_CREATE = 1 << 1,  /* must not exist yet (-EEXIST); mode 0600, 0700 for a folder */
	BS_HOST_NO_LOCK = 1 << 2, /* of an image that is never written: any number of readers */
	BS_HOST_FILL = 1 << 3,	  /* of a folder: small writes make room around them (bs_fill.h) */
	BS_HOST_DIRECT = 1 << 4, /* of a folder: several read at a time, and cache what they open */
};

/*
 * `dir_fd` and `path` as for openat(); links are not followed. `max_blocks` bounds what can be
 * written (0: no bound of ours). -EBUSY: another process uses it.
 */
int __must_check bs_file_open(int dir_fd, const char *path, u32 flags, u64 max_blocks,
			      struct bs **ret_bs);
int __must_check bs_dir_open(int dir_fd, const char *path, u32 flags, u64 max_blocks,
			     struct bs **ret_bs);

/* ---- shared by the two ---------------------------------------------------------------------- */

/*
 * What a volume hears of a host error: -ENOSPC for a full disk, quota or file size limit, -EROFS,
 * -ENOMEM, -EACCES; all else is -EIO.
 */
int bs_host_error(int host_errno);

/* `direct`: the same file opened with O_DIRECT, or -1. */
int __must_check bs_host_pread(int fd, int direct, void *buf, size_t size, u64 offset);
int __must_check bs_host_pwrite(int fd, const void *buf, size_t size, u64 offset);
/* Gives the space back where the file system can; never an error for one that cannot. */
int __must_check bs_host_punch(int fd, u64 offset, u64 size);
/* Whole-file OFD lock and flock, since the two do not see each other. -EBUSY. */
int __must_check bs_host_lock(int fd, bool exclusive);

void *bs_host_buf_alloc(struct bs *bs, size_t size);
void bs_host_buf_free(struct bs *bs, void *buf, size_t size);
int bs_host_reap(struct bs *bs, struct bs_batch *batch);
