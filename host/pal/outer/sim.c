/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulation backend: the same pages at the same offsets in the same order as on hardware,
 * measured as the CPU would, and EINIT's checks on the signature. Pages have the rights that their
 * SECINFO gives; the TCS pages none at all, since enclave code can never read those, and no content
 * either: what they say is measured, and nobody else asks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "host/lib/sigstruct.h"
#include "host/pal/outer/enclave.h"
#include "host/pal/outer/launch.h"
#include "host/pal/outer/sgx_driver.h"

#define DIRTY_BYTE 0xcc
#define HUGE_WORTH MIB(4)

/* A simulation of a processor that has everything; only signatures with DEBUG are for it. */
static int fill_identity(struct enclave *e, const struct sgx_sigstruct *sig,
			 struct enclave_error *error)
{
	struct sgx_attributes machine = {.flags = SGX_ATTR_MODE64 | SGX_ATTR_DEBUG | SGX_ATTR_KSS |
						  SGX_ATTR_PROVISIONKEY,
					 .xfrm = sgx_driver.xgetbv()};
	struct launch_choice choice;
	int err;

	if (!(sig->attributes.flags & sig->attributemask.flags & SGX_ATTR_DEBUG)) {
		err = sigstruct_verify(sig, error);
		if (err < 0)
			return err;
		enclave_error_set(error, "this kernel image is signed without DEBUG: the "
					 "simulation does not run release enclaves");
		return -EPERM;
	}
	err = launch_choice_read(&choice, error);
	if (err < 0)
		return err;
	choice.is_release = false; /* as said above, there is none */
	return launch_fill(&e->secs, sig, &machine, &choice, error);
}

static int sim_create(struct enclave *e, const struct measured_params *params,
		      const struct sgx_sigstruct *sig, struct enclave_error *error)
{
	int err = fill_identity(e, sig, error);

	if (!err)
		err = enclave_reserve(e, params->enclave_size, error);
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
	return (secinfo & SGX_SECINFO_R ? PROT_READ : 0) |
	       (secinfo & SGX_SECINFO_W ? PROT_WRITE : 0) |
	       (secinfo & SGX_SECINFO_X ? PROT_EXEC : 0);
}

/* Pages that are waiting for their rights: neighbours get them in one call. */
static struct {
	u8 *start, *end;
	int prot;
} pending;

static int allow_pending(struct enclave_error *error)
{
	u64 size = (u64)(pending.end - pending.start);
	int err = size && mprotect(pending.start, size, pending.prot) < 0 ? -errno : 0;

	pending.start = pending.end = NULL;
	if (err < 0)
		enclave_error_set(error, "cannot add pages to the enclave: %s", strerror(-err));
	return err;
}

static int allow(u8 *at, u64 size, int prot, struct enclave_error *error)
{
	int err;

	if (pending.end == at && pending.prot == prot) {
		pending.end = at + size;
		return 0;
	}
	err = allow_pending(error);
	pending.start = at;
	pending.end = at + size;
	pending.prot = prot;
	return err;
}

static int sim_add_pages(struct enclave *e, const struct enclave_run *run,
			 struct enclave_error *error)
{
	u8 *at = (u8 *)e->base + run->offset;
	u64 size = run->count * PAGE_SIZE;
	int prot = protection_of(run->secinfo), err;
	bool dirty = e->fill_unmeasured && !run->measured;

	enclave_measure_run(&e->measure, run);
	if (run->secinfo & SGX_SECINFO_TCS)
		return 0; /* as enclave_reserve() has left it */
	if (run->content || dirty) {
		err = allow(at, size, PROT_READ | PROT_WRITE, error);
		if (!err)
			err = allow_pending(error);
		if (err < 0)
			return err;
		if (dirty)
			memset(at, DIRTY_BYTE, size);
		else
			memcpy(at, run->content, size);
		if (prot == (PROT_READ | PROT_WRITE))
			return 0;
	}
	/* The kernel's heap: it is touched from its start on, and a fault for each page is dear. */
	if (!run->measured && size >= HUGE_WORTH)
		(void)madvise(at, size, MADV_HUGEPAGE); /* only a wish */
	return allow(at, size, prot, error);
}

static int sim_init(struct enclave *e, const struct sgx_sigstruct *sig, struct enclave_error *error)
{
	int err = allow_pending(error);

	if (err < 0)
		return err;
	sgx_measure_final(&e->measure, e->secs.mrenclave);
	return sigstruct_einit(sig, &e->secs, error);
}

static void sim_destroy(struct enclave *e)
{
	pending.start = pending.end = NULL;
	enclave_unreserve(e);
}

const struct enclave_backend enclave_backend_sim = {
	.name = "sim",
	.create = sim_create,
	.add_pages = sim_add_pages,
	.init = sim_init,
	.destroy = sim_destroy,
};
