// SPDX-License-Identifier: Apache-2.0
/*
 * Memory calls. mlock and its family stay ENOSYS: whether a page is resident is the host's
 * decision, and a call that promises otherwise would be a lie (its usual purpose, that secrets do
 * not reach a disk, is what the enclave does on hardware anyway).
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/file.h"

#define MINCORE_CHUNK 256 /* pages asked for at once */

static struct mm *current_mm(void)
{
	return current_process()->mm;
}

long sys_mmap(u64 address, u64 size, u64 prot, u64 flags, u64 fd, u64 offset)
{
	struct file *file = NULL;
	long ret;

	if (!IS_ALIGNED(offset, PAGE_SIZE))
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		file = arg_file((int)fd);
		if (!file)
			return -EBADF;
	}
	ret = mm_mmap(current_mm(), address, size, (u32)prot, (u32)flags, file, offset);
	if (file)
		file_put(file);
	return ret;
}

long sys_mprotect(u64 address, u64 size, u64 prot)
{
	return prot > UINT32_MAX ? -EINVAL : mm_mprotect(current_mm(), address, size, (u32)prot);
}

long sys_munmap(u64 address, u64 size)
{
	return mm_munmap(current_mm(), address, size);
}

long sys_brk(u64 address)
{
	return mm_brk(current_mm(), address);
}

long sys_mremap(u64 address, u64 old_size, u64 new_size, u64 flags, u64 new_address)
{
	return flags > UINT32_MAX ? -EINVAL
				  : mm_mremap(current_mm(), address, old_size, new_size, (u32)flags,
					      new_address);
}

long sys_msync(u64 address, u64 size, int flags)
{
	return mm_msync(current_mm(), address, size, (u32)flags);
}

long sys_mincore(u64 address, u64 size, void __user *vec)
{
	u8 states[MINCORE_CHUNK];
	u64 pages = size / PAGE_SIZE + (size % PAGE_SIZE != 0);

	if (!IS_ALIGNED(address, PAGE_SIZE))
		return -EINVAL;
	for (u64 done = 0; done < pages;) {
		u64 count = MIN(pages - done, (u64)MINCORE_CHUNK);
		int err = mm_mincore(current_mm(), address + done * PAGE_SIZE, count * PAGE_SIZE,
				     states);

		if (!err)
			err = copy_to_user((u8 __user *)vec + done, states, count);
		if (err)
			return err;
		done += count;
	}
	return 0;
}

long sys_madvise(u64 address, u64 size, int advice)
{
	return mm_madvise(current_mm(), address, size, (u32)advice);
}
