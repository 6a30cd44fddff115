/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page protection of the enclave's range, and on hardware pages that come and go. The host only
 * takes requests for the program zone, and in the kernel image for taking rights away: a mistake
 * must not open the kernel.
 */
#include "abi/errno.h"
#include "edge/hostcall_dispatch.h"
#include "host/pal/inner/driver.h"

#define PROT_NONE_	0
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
	return inner.is_hardware ? driver_mprotect(address, size, prot)
				 : host_syscall(NR_mprotect, address, size, prot);
}

s64 do_mem_discard(struct inner_thread *t, u64 address, u64 size)
{
	if (inner.is_hardware || !lies_in(address, size, inner.user_start, inner.user_end))
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

	if (inner.is_hardware || prot > PROT_ALL ||
	    !lies_in(to, size, inner.user_start, inner.user_end) ||
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

	if (inner.is_hardware || address < inner.user_start || address >= inner.user_end ||
	    code_size > inner.user_end - address)
		return -EACCES;
	result = host_syscall(NR_pwrite64, inner.mem_fd, code, code_size, address);
	if (result < 0)
		return result == -EIO ? -EFAULT : result;
	return (size_t)result == code_size ? 0 : -EFAULT;
}

/* ---- hardware -------------------------------------------------------------------------------- */

/* The driver answers EBUSY to a second request at a time. */
static void driver_take(void)
{
	u32 free = 0;

	if (__atomic_compare_exchange_n(&inner.driver_lock, &free, 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(&inner.driver_lock, 2, __ATOMIC_ACQUIRE))
		futex_wait(&inner.driver_lock, 2);
}

static void driver_give(void)
{
	if (__atomic_exchange_n(&inner.driver_lock, 0, __ATOMIC_RELEASE) == 2)
		futex_wake(&inner.driver_lock, 1);
}

/* One of the three requests; their offset and length come first, the count of bytes done last. */
union dynamic_request {
	struct {
		u64 offset, length;
	};
	struct sgx_ioc_restrict_permissions restrict_permissions;
	struct sgx_ioc_modify_types modify_types;
	struct sgx_ioc_remove_pages remove_pages;
};

static u64 *count_of(union dynamic_request *r, u64 command)
{
	switch (command) {
	case SGX_IOC_RESTRICT_PERMISSIONS: return &r->restrict_permissions.count;
	case SGX_IOC_MODIFY_TYPES: return &r->modify_types.count;
	default: return &r->remove_pages.count;
	}
}

/*
 * Short counts are gone on with, and so is an interrupted request; one that does not get on is
 * given up after DRIVER_RETRIES. EAGAIN: a page was busy, for example on its way to the disk.
 */
#define DRIVER_RETRIES 1000

static s64 driver_request(u64 command, const union dynamic_request *what)
{
	u64 done = 0, stuck = 0;
	s64 result = 0;

	driver_take();
	while (done < what->length && stuck < DRIVER_RETRIES) {
		union dynamic_request r = *what;
		u64 count;

		r.offset += done;
		r.length -= done;
		result = driver_ioctl(command, &r);
		count = *count_of(&r, command);
		if (count > r.length || !IS_ALIGNED(count, PAGE_SIZE))
			count = 0;
		done += count;
		stuck = count ? 0 : stuck + 1;
		if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
			break;
		if (!count && result != -EINTR)
			host_syscall(NR_sched_yield);
	}
	driver_give();
	if (done >= what->length)
		return 0;
	return result < 0 && result != -EINTR ? result : -EIO;
}

static bool is_dynamic(u64 address, u64 size)
{
	return inner.is_hardware && lies_in(address, size, inner.user_start, inner.user_end);
}

s64 do_mem_commit(struct inner_thread *t, u64 address, u64 size, u32 prot)
{
	s64 result;

	if (!is_dynamic(address, size) || prot > PROT_ALL)
		return -EINVAL;
	result = driver_mprotect(address, size, prot);
	return result < 0 ? result : driver_touch(address, size);
}

s64 do_mem_restrict(struct inner_thread *t, u64 address, u64 size, u32 prot)
{
	union dynamic_request r = {.restrict_permissions = {.offset = address - inner.base,
							    .length = size,
							    .permissions = prot}};

	bool in_image = inner.is_hardware && prot == PROT_READ_ONLY &&
			lies_in(address, size, inner.image_start, inner.image_end);

	if (!(is_dynamic(address, size) || in_image) || prot > PROT_ALL)
		return -EINVAL;
	return driver_request(SGX_IOC_RESTRICT_PERMISSIONS, &r);
}

s64 do_mem_trim(struct inner_thread *t, u64 address, u64 size)
{
	union dynamic_request r = {.modify_types = {.offset = address - inner.base,
						    .length = size,
						    .page_type = SGX_PAGE_TYPE_TRIM}};
	s64 result;

	if (!is_dynamic(address, size))
		return -EINVAL;
	/* In this order: until they are trimmed the pages hold what other threads must not see. */
	result = driver_request(SGX_IOC_MODIFY_TYPES, &r);
	return result < 0 ? result : driver_mprotect(address, size, PROT_READ_ONLY);
}

s64 do_mem_remove(struct inner_thread *t, u64 address, u64 size)
{
	union dynamic_request r = {
		.remove_pages = {.offset = address - inner.base, .length = size}};
	s64 result;

	if (!is_dynamic(address, size))
		return -EINVAL;
	result = driver_request(SGX_IOC_REMOVE_PAGES, &r);
	return result < 0 ? result : driver_mprotect(address, size, PROT_NONE_);
}
