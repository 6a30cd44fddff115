// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's block stores (kernel/fs/secvol/store.h) on the host's own (host/lib/bs_host.h):
 * paths are relative to the instance, which is the current directory.
 */
#include "kernel/fs/secvol/store.h"

#include "host/mount/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "host/lib/bs_host.h"
#include "lib/secvol/segment.h"

static u32 how; /* BS_HOST_DIRECT or 0 */

void store_expect_readers(void)
{
	how = BS_HOST_DIRECT;
}

int store_dir_open(const char *path, u32 flags, struct bs **ret)
{
	u32 host = how | (flags & STORE_READ_ONLY ? BS_HOST_READ_ONLY : BS_HOST_FILL);
	int err;

	if (flags & STORE_FRESH)
		return -EINVAL; /* temporary volumes live inside alone */
	err = bs_dir_open(AT_FDCWD, path, host, SEGMENT_BLOCK_LIMIT, ret);
	if (err == -ENOENT && (flags & STORE_CREATE))
		err = bs_dir_open(AT_FDCWD, path, host | BS_HOST_CREATE, SEGMENT_BLOCK_LIMIT, ret);
	return err;
}

bool store_was_full(struct bs *bs)
{
	return false;
}

struct store_fault store_fault(struct bs *bs)
{
	return (struct store_fault){0};
}
