/* SPDX-License-Identifier: Apache-2.0 */
/* A node's attributes as the host's struct stat, for those who include the host's headers. */
#pragma once

#include <sys/stat.h>

#include "host/mount/files.h"

static inline struct timespec node_timespec(struct node_time t)
{
	return (struct timespec){.tv_sec = t.sec, .tv_nsec = t.nsec};
}

static inline int node_stat(struct node *n, struct stat *ret)
{
	struct node_attr a;
	int err = node_getattr(n, &a);

	if (err)
		return err;
	*ret = (struct stat){
		.st_ino = a.ino,
		.st_mode = a.mode,
		.st_nlink = a.nlink,
		.st_uid = a.uid,
		.st_gid = a.gid,
		.st_rdev = a.rdev,
		.st_size = (off_t)a.size,
		.st_blksize = a.blksize,
		.st_blocks = (blkcnt_t)a.blocks,
		.st_atim = node_timespec(a.atime),
		.st_mtim = node_timespec(a.mtime),
		.st_ctim = node_timespec(a.ctime),
	};
	return 0;
}
