/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulation backend: the same pages at the same offsets in the same order as on hardware,
 * measured as the CPU would, and EINIT's checks on the signature. Pages have the rights that their
 * SECINFO gives; the TCS pages none at all, since enclave code can never read those.
 *
 * BASE is 0 where [64 KiB, SIZE) is free, so that programs linked at fixed addresses find their
 * place; else any aligned range.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "host/lib/sigstruct.h"
#include "host/pal/outer/enclave.h"

#define RESERVE_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define DIRTY_BYTE    0xcc

static void *reserve(u64 at, u64 size, int flags)
{
	void *range = mmap((void *)at, size, PROT_NONE, RESERVE_FLAGS | flags, -1, 0);

	if (range != MAP_FAILED && at && range != (void *)at) {
		munmap(range, size); /* a kernel that does not know MAP_FIXED_NOREPLACE */
		range = MAP_FAILED;
	}
	return range;
}

static int reserve_range(struct enclave *e, u64 size, struct enclave_error *error)
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

static int sim_create(struct enclave *e, const struct measured_params *params,
		      struct enclave_error *error)
{
	int err = reserve_range(e, params->enclave_size, error);

	if (err < 0)
		return err;
	e->secs.size = params->enclave_size;
	e->secs.base = e->base;
	e->secs.ssa_frame_pages = params->ssa_frame_pages;
	sgx_measure_create(&e->measure, params->enclave_size, params->ssa_frame_pages);
	return 0;
}

static int protection_of(u64 secinfo)
{
	if (secinfo & SGX_SECINFO_TCS)
		return PROT_NONE;
	return (secinfo & SGX_SECINFO_R ? PROT_READ : 0) |
	       (secinfo & SGX_SECINFO_W ? PROT_WRITE : 0) |
	       (secinfo & SGX_SECINFO_X ? PROT_EXEC : 0);
}

static int sim_add_pages(struct enclave *e, const struct enclave_run *run,
			 struct enclave_error *error)
{
	u8 *at = (u8 *)e->base + run->offset;
	u64 size = run->count * PAGE_SIZE;
	int prot = protection_of(run->secinfo);
	bool dirty = e->fill_unmeasured && !run->measured;
	int err;

	enclave_measure_run(&e->measure, run);
	if (run->content || dirty) {
		if (mprotect(at, size, PROT_READ | PROT_WRITE) < 0)
			goto failed;
		if (dirty)
			memset(at, DIRTY_BYTE, size);
		else
			memcpy(at, run->content, size);
		if (prot == (PROT_READ | PROT_WRITE))
			return 0;
	}
	if (mprotect(at, size, prot) == 0)
		return 0;
failed:
	err = -errno;
	enclave_error_set(error, "cannot add pages to the enclave: %s", strerror(-err));
	return err;
}

static u64 machine_xfrm(void)
{
	u32 low, high;
	u64 xfrm;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	xfrm = ((u64)high << 32 | low) & (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512);
	if ((xfrm & SGX_XFRM_AVX512) != SGX_XFRM_AVX512)
		xfrm &= ~SGX_XFRM_AVX512;
	return xfrm;
}

/* As every loader does, the attributes are those that the signature was made for. */
static int sim_init(struct enclave *e, const struct sgx_sigstruct *sig, struct enclave_error *error)
{
	int err;

	if (!(sig->attributes.flags & sig->attributemask.flags & SGX_ATTR_DEBUG)) {
		err = sigstruct_verify(sig, error);
		if (err < 0)
			return err;
		enclave_error_set(error, "this kernel image is signed without DEBUG: the "
					 "simulation does not run release enclaves");
		return -EPERM;
	}
	e->secs.attributes.flags =
		SGX_ATTR_MODE64 | SGX_ATTR_DEBUG | (sig->attributes.flags & SGX_ATTR_KSS);
	e->secs.attributes.xfrm = machine_xfrm();
	e->secs.miscselect = SGX_MISC_EXINFO;
	sgx_measure_final(&e->measure, e->secs.mrenclave);
	return sigstruct_einit(sig, &e->secs, error);
}

static void sim_destroy(struct enclave *e)
{
	if (e->reserved)
		munmap(e->reserved, e->reserved_size);
	e->reserved = NULL;
}

const struct enclave_backend enclave_backend_sim = {
	.name = "sim",
	.create = sim_create,
	.add_pages = sim_add_pages,
	.init = sim_init,
	.destroy = sim_destroy,
};
