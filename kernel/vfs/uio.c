/* SPDX-License-Identifier: Apache-2.0 */
/* Moving bytes to and from the caller of a read or write, who may be a program or the kernel. */
#include "abi/errno.h"
#include "kernel/mm/uaccess.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

static void uio_advance(struct uio *uio, size_t size)
{
	if (uio->is_user)
		uio->user = (char __user *)uio->user + size;
	else
		uio->kernel = (char *)uio->kernel + size;
	uio->left -= size;
}

int uio_copy_out(struct uio *uio, const void *from, size_t size)
{
	if (size > uio->left)
		return -EFAULT;
	if (uio->is_user) {
		if (copy_to_user(uio->user, from, size))
			return -EFAULT;
	} else {
		memcpy(uio->kernel, from, size);
	}
	uio_advance(uio, size);
	return 0;
}

int uio_copy_in(struct uio *uio, void *to, size_t size)
{
	if (size > uio->left)
		return -EFAULT;
	if (uio->is_user) {
		if (copy_from_user(to, uio->user, size))
			return -EFAULT;
	} else {
		memcpy(to, uio->kernel, size);
	}
	uio_advance(uio, size);
	return 0;
}

int uio_zero_out(struct uio *uio, size_t size)
{
	if (size > uio->left)
		return -EFAULT;
	if (uio->is_user) {
		if (clear_user(uio->user, size))
			return -EFAULT;
	} else {
		memset(uio->kernel, 0, size);
	}
	uio_advance(uio, size);
	return 0;
}
