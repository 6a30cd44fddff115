/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The enclave's range of addresses, reserved and empty. BASE is 0 where [64 KiB, SIZE) is free, so
 * that programs linked at fixed addresses find their place; else any aligned range.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "host/pal/outer/enclave.h"

#define RESERVE_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static void *reserve(u64 at, u64 size, int flags)
{
	void *range = mmap((void *)at, size, PROT_NONE, RESERVE_FLAGS | flags, -1, 0);

	if (range != MAP_FAILED && at && range != (void *)at) {
		munmap(range, size); /* a kernel that does not know MAP_FIXED_NOREPLACE */
		range = MAP_FAILED;
	}
	return range;
}

int enclave_reserve(struct enclave *e, u64 size, struct enclave_error *error)
{
	void *range = reserve(USER_RANGE_START, size - USER_RANGE_START, MAP_FIXED_NOREPLACE);
	u64 start, end;

	if (range != MAP_FAILED) {
		e->base = 0;
		e->reserved = range;
		e->reserved_size = size - USER_RANGE_START;
	} else {
		range = reserve(0, 2 * size, 0);
		if (range == MAP_FAILED) {
			int err = -errno;

			enclave_error_set(error,
					  "cannot reserve %llu GiB of addresses: %s (ulimit -v?)",
					  (unsigned long long)(size >> 30), strerror(-err));
			return err;
		}
		start = (u64)range;
		end = start + 2 * size;
		e->base = ALIGN_UP(start, size);
		if (e->base > start)
			munmap(range, e->base - start);
		if (end > e->base + size)
			munmap((void *)(e->base + size), end - e->base - size);
		e->reserved = (void *)e->base;
		e->reserved_size = size;
	}
	madvise(e->reserved, e->reserved_size, MADV_DONTFORK);
	madvise(e->reserved, e->reserved_size, MADV_DONTDUMP);
	return 0;
}

void enclave_unreserve(struct enclave *e)
{
	if (e->reserved)
		munmap(e->reserved, e->reserved_size);
	e->reserved = NULL;
}
