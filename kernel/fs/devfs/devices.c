/* SPDX-License-Identifier: Apache-2.0 */
/* The memory-like character devices. All of them are always ready and have no position. */
#include "abi/errno.h"
#include "kernel/core/random.h"
#include "kernel/fs/devfs/devfs_priv.h"
#include "kernel/sys/restart.h"
#include "kernel/proc/process.h"

static long null_read(struct file *f, struct uio *uio, u64 offset)
{
	return 0;
}

static long null_write(struct file *f, struct uio *uio, u64 *offset)
{
	long size = uio->left;

	return size;
}

static long zero_read(struct file *f, struct uio *uio, u64 offset)
{
	long size = uio->left;

	return uio_zero_out(uio, size) ? -EFAULT : size;
}

static long full_write(struct file *f, struct uio *uio, u64 *offset)
{
	return uio->left ? -ENOSPC : 0;
}

static long random_read(struct file *f, struct uio *uio, u64 offset)
{
	u8 bytes[256];
	long done = 0;

	while (uio->left) {
		size_t part = MIN(uio->left, sizeof(bytes));
		int err = random_bytes(bytes, part);

		if (!err)
			err = uio_copy_out(uio, bytes, part);
		if (err)
			return done ? done : err;
		done += part;
		if (done % 65536 == 0 && thread_has_work(current_thread()))
			break;
	}
	return done;
}

static s64 dev_seek(struct file *f, s64 offset, u32 whence)
{
	return 0;
}

static int dev_sync(struct file *f, bool data_only)
{
	return -EINVAL;
}

const struct file_ops dev_null_ops = {
	.read = null_read, .write = null_write, .seek = dev_seek, .sync = dev_sync};
const struct file_ops dev_zero_ops = {
	.read = zero_read, .write = null_write, .seek = dev_seek, .sync = dev_sync};
const struct file_ops dev_full_ops = {
	.read = zero_read, .write = full_write, .seek = dev_seek, .sync = dev_sync};
const struct file_ops dev_random_ops = {
	.read = random_read, .write = null_write, .seek = dev_seek, .sync = dev_sync};
