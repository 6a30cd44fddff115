// SPDX-License-Identifier: Apache-2.0
/* Memory calls. */
#include "abi/errno.h"
#include "abi/mman.h"
#include "abi/resource.h"
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

/*
 * Locking. Whether a page is resident is the host's decision. The usual purpose, that secrets reach
 * no disk, is what the enclave does on hardware anyway: what leaves the EPC is encrypted. So the
 * calls change nothing, and only what Linux checks is checked. What was locked before is not
 * counted.
 */
static int may_lock(u64 size)
{
	struct process *p = current_process();
	u64 limit = p->limits[ABI_RLIMIT_MEMLOCK].soft;

	if (credentials_capable(&p->cred, CAP_IPC_LOCK))
		return 0;
	if (!limit)
		return -EPERM;
	return size > limit ? -ENOMEM : 0;
}

static int check_mapped(u64 address, u64 size)
{
	u64 start = ALIGN_DOWN(address, PAGE_SIZE), end;
	u8 states[MINCORE_CHUNK];

	/* As Linux does: a size that rounds up to nothing is nothing. */
	size = ALIGN_UP(size + (address - start), PAGE_SIZE);
	if (__builtin_add_overflow(start, size, &end))
		return -EINVAL;
	while (start < end) {
		u64 part = MIN(end - start, (u64)MINCORE_CHUNK * PAGE_SIZE);
		int err = mm_mincore(current_mm(), start, part, states);

		if (err)
			return err;
		start += part;
	}
	return 0;
}

long sys_mlock2(u64 address, u64 size, int flags)
{
	int err;

	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	err = may_lock(size);
	return err ? err : check_mapped(address, size);
}

long sys_mlock(u64 address, u64 size)
{
	return sys_mlock2(address, size, 0);
}

long sys_munlock(u64 address, u64 size)
{
	return check_mapped(address, size);
}

long sys_mlockall(int flags)
{
	struct mm_totals totals;

	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	mm_totals(current_mm(), &totals);
	return may_lock(flags & MCL_CURRENT ? totals.mapped : 0);
}

long sys_munlockall(void)
{
	return 0;
}

long sys_madvise(u64 address, u64 size, int advice)
{
	return mm_madvise(current_mm(), address, size, (u32)advice);
}
