/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page protection of the enclave's range. The host only takes requests for the program zone, and
 * in the kernel image for taking rights away: a mistake must not open the kernel.
 */
#include "abi/errno.h"
#include "edge/hostcall_dispatch.h"
#include "host/pal/inner/inner.h"
#include "host/pal/inner/linux.h"

#define PROT_READ_ONLY	1
#define PROT_READ_WRITE 3
#define PROT_ALL	7
#define MREMAP_MOVE	7 /* MAYMOVE | FIXED | DONTUNMAP */

static bool lies_in(u64 address, u64 size, u64 start, u64 end)
{
	return IS_ALIGNED(address | size, PAGE_SIZE) && size && address >= start && address < end &&
	       size <= end - address;
}

s64 do_mem_protect(struct inner_thread *t, u64 address, u64 size, u32 prot)
{
	bool in_user = lies_in(address, size, inner.user_start, inner.user_end);
	bool in_image = lies_in(address, size, inner.image_start, inner.image_end);

	if (prot > PROT_ALL || !(in_user || (in_image && prot == PROT_READ_ONLY)))
		return -EACCES;
	return host_syscall(NR_mprotect, address, size, prot);
}

s64 do_mem_discard(struct inner_thread *t, u64 address, u64 size)
{
	if (!lies_in(address, size, inner.user_start, inner.user_end))
		return -EINVAL;
	return host_syscall(NR_madvise, address, size, MADV_DONTNEED_);
}

/*
 * The source gets the rights first, so that the pages never show others where they arrive; what
 * stays behind are fresh pages.
 */
s64 do_mem_move(struct inner_thread *t, u64 to, u64 from, u64 size, u32 prot)
{
	s64 result;

	if (prot > PROT_ALL || !lies_in(to, size, inner.user_start, inner.user_end) ||
	    !lies_in(from, size, inner.user_start, inner.user_end))
		return -EACCES;
	result = host_syscall(NR_mprotect, from, size, prot);
	if (result < 0)
		return result;
	result = host_syscall(NR_mremap, from, size, size, MREMAP_MOVE, to);
	if (result < 0)
		return result;
	return host_syscall(NR_mprotect, from, size, PROT_READ_WRITE);
}

/* Writes program text that is not writable where it runs. */
s64 do_mem_patch(struct inner_thread *t, u64 address, const void *code, size_t code_size)
{
	s64 result;

	if (address < inner.user_start || address >= inner.user_end ||
	    code_size > inner.user_end - address)
		return -EACCES;
	result = host_syscall(NR_pwrite64, inner.mem_fd, code, code_size, address);
	if (result < 0)
		return result == -EIO ? -EFAULT : result;
	return (size_t)result == code_size ? 0 : -EFAULT;
}
