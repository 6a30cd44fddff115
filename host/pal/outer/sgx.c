/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hardware backend: builds an enclave by the Linux driver, in the order that the driver wants:
 *
 *   reserve, CREATE, ADD_PAGES in the order that was measured, [PROVISION], INIT, see whether pages
 *   can be changed from now on (EDMM), then map every stretch of pages with its final rights, and
 *   the program zone without any: pages get there by EAUG, rights by the enclave's wish.
 *
 * The measurement is computed here as well, and the signature checked as EINIT will, because the
 * driver's answer to all that EINIT may dislike is EPERM. It is no protection: the processor is.
 *
 * Pages are copied from an anonymous buffer: the driver refuses sources on a noexec file system,
 * and wants them aligned.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/lib/sigstruct.h"
#include "host/pal/outer/enclave.h"
#include "host/pal/outer/launch.h"
#include "host/pal/outer/sgx_driver.h"
#include "host/pal/outer/sgx_error.h"
#include "host/lib/sgx_machine.h"

#define BUFFER_SIZE   MIB(1)
#define DIRTY_BYTE    0xcc
#define RETRIES_MAX   1000 /* of an interrupted request that does not get on */
#define STRETCHES_MAX 65536

/* Adjacent pages that are mapped with the same rights. */
struct stretch {
	u64 offset, size;
	u32 prot;
};

/* One enclave per process, and its building is done before it runs. */
static struct {
	u8 *buffer;
	struct stretch *stretches;
	size_t stretch_count;
	struct sgx_machine machine;
	struct launch_choice choice;
} building;

static s64 open_first(const char *name, const char *old_name)
{
	s64 fd = sgx_driver.open(name, O_RDWR);

	return fd == -ENOENT ? sgx_driver.open(old_name, O_RDWR) : fd;
}

static void forget_building(void)
{
	if (building.buffer)
		munmap(building.buffer, BUFFER_SIZE);
	free(building.stretches);
	memset(&building, 0, sizeof(building));
}

static void sgx_destroy(struct enclave *e)
{
	forget_building();
	if (e->reserved)
		sgx_driver.munmap(e->reserved, e->reserved_size);
	e->reserved = NULL;
	if (e->fd >= 0)
		sgx_driver.close(e->fd);
	e->fd = -1;
}

static int create(struct enclave *e, const struct measured_params *params,
		  struct enclave_error *error)
{
	struct sgx_ioc_create request = {.secs = (u64)&e->secs};
	s64 result = open_first("/dev/sgx_enclave", "/dev/sgx/enclave");
	int err;

	if (result < 0)
		return sgx_error_explain(error, SGX_STEP_OPEN, result);
	e->fd = (s32)result;
	err = enclave_reserve(e, params->enclave_size, error);
	if (err < 0)
		return err;
	e->secs.size = params->enclave_size;
	e->secs.base = e->base;
	e->secs.ssa_frame_pages = params->ssa_frame_pages;
	result = sgx_driver.ioctl(e->fd, SGX_IOC_CREATE, &request);
	if (result < 0)
		return sgx_error_explain(error, SGX_STEP_CREATE, result);
	sgx_measure_create(&e->measure, params->enclave_size, params->ssa_frame_pages);
	return 0;
}

/* The attributes belong to CREATE, so the signature is needed from the beginning. */
static int sgx_create(struct enclave *e, const struct measured_params *params,
		      const struct sgx_sigstruct *sig, struct enclave_error *error)
{
	int err;

	e->fd = -1;
	memset(&building, 0, sizeof(building));
	sgx_machine_read(&building.machine, sgx_driver.cpuid, sgx_driver.xgetbv());
	err = sgx_machine_check(&building.machine, params->enclave_size, error);
	if (!err)
		err = launch_choice_read(&building.choice, error);
	if (!err)
		err = launch_fill(&e->secs, sig, &building.machine.attributes, &building.choice,
				  error);
	if (err < 0)
		return err;
	building.buffer =
		mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (building.buffer == MAP_FAILED) {
		building.buffer = NULL;
		enclave_error_set(error, "not enough memory to build the enclave");
		return -ENOMEM;
	}
	err = create(e, params, error);
	if (err < 0)
		sgx_destroy(e);
	return err;
}

/* The TCS is the processor's, but the driver maps it readable and writable. */
static u32 protection_of(u64 secinfo)
{
	if (secinfo & SGX_SECINFO_TCS)
		return PROT_READ | PROT_WRITE;
	return (secinfo & SGX_SECINFO_R ? PROT_READ : 0) |
	       (secinfo & SGX_SECINFO_W ? PROT_WRITE : 0) |
	       (secinfo & SGX_SECINFO_X ? PROT_EXEC : 0);
}

static int note_stretch(const struct enclave_run *run)
{
	u64 size = run->count * PAGE_SIZE;
	u32 prot = protection_of(run->secinfo);
	struct stretch *s;

	if (building.stretch_count) {
		s = &building.stretches[building.stretch_count - 1];
		if (s->offset + s->size == run->offset && s->prot == prot) {
			s->size += size;
			return 0;
		}
	}
	if (building.stretch_count == STRETCHES_MAX)
		return -ENOMEM;
	/* Room is made whenever the count reaches a power of two. */
	if (!(building.stretch_count & (building.stretch_count - 1))) {
		size_t room = building.stretch_count ? 2 * building.stretch_count : 1;

		s = realloc(building.stretches, room * sizeof(*s));
		if (!s)
			return -ENOMEM;
		building.stretches = s;
	}
	building.stretches[building.stretch_count++] =
		(struct stretch){.offset = run->offset, .size = size, .prot = prot};
	return 0;
}

/* The buffer's first `size` bytes; goes on after short counts and interruptions. */
static int add_buffer(const struct enclave *e, u64 offset, u64 size,
		      const struct sgx_secinfo *secinfo, bool is_measured,
		      struct enclave_error *error)
{
	u64 done = 0;
	u32 stuck = 0;

	while (done < size) {
		struct sgx_ioc_add_pages request = {
			.source = (u64)building.buffer + done,
			.offset = offset + done,
			.length = size - done,
			.secinfo = (u64)secinfo,
			.flags = is_measured ? SGX_ADD_MEASURE : 0,
		};
		s64 result = sgx_driver.ioctl(e->fd, SGX_IOC_ADD_PAGES, &request);

		if (request.count > request.length || !IS_ALIGNED(request.count, PAGE_SIZE)) {
			enclave_error_set(error, "cannot add pages to the enclave: the driver "
						 "contradicts itself");
			return -EPROTO;
		}
		if (result < 0 && result != -EINTR)
			return sgx_error_explain(error, SGX_STEP_ADD_PAGES, result);
		done += request.count;
		stuck = request.count ? 0 : stuck + 1;
		if (stuck > RETRIES_MAX)
			return sgx_error_explain(error, SGX_STEP_ADD_PAGES, -EINTR);
	}
	return 0;
}

static int sgx_add_pages(struct enclave *e, const struct enclave_run *run,
			 struct enclave_error *error)
{
	_Alignas(64) const struct sgx_secinfo secinfo = {.flags = run->secinfo};
	bool is_dirty = e->fill_unmeasured && !run->measured;
	u64 total = run->count * PAGE_SIZE;
	int err;

	enclave_measure_run(&e->measure, run);
	if (note_stretch(run) < 0) {
		enclave_error_set(error, "not enough memory to build the enclave");
		return -ENOMEM;
	}
	if (!run->content)
		memset(building.buffer, is_dirty ? DIRTY_BYTE : 0, MIN(total, (u64)BUFFER_SIZE));
	for (u64 done = 0; done < total; done += BUFFER_SIZE) {
		u64 size = MIN(total - done, (u64)BUFFER_SIZE);

		if (run->content)
			memcpy(building.buffer, run->content + done, size);
		err = add_buffer(e, run->offset + done, size, &secinfo, run->measured, error);
		if (err < 0)
			return err;
	}
	return 0;
}

static int allow_provision(const struct enclave *e, struct enclave_error *error)
{
	struct sgx_ioc_provision request;
	s64 fd = open_first("/dev/sgx_provision", "/dev/sgx/provision"), result;

	if (fd < 0)
		return sgx_error_explain(error, SGX_STEP_OPEN_PROVISION, fd);
	request.fd = (u64)fd;
	result = sgx_driver.ioctl(e->fd, SGX_IOC_PROVISION, &request);
	sgx_driver.close((s32)fd);
	return result < 0 ? sgx_error_explain(error, SGX_STEP_PROVISION, result) : 0;
}

static int initialise(const struct enclave *e, const struct sgx_sigstruct *sig,
		      struct enclave_error *error)
{
	_Alignas(4096) u8 page[PAGE_SIZE] = {0}; /* the driver reads a page */
	struct sgx_ioc_init request = {.sigstruct = (u64)page};
	s64 result = -EINTR;

	memcpy(page, sig, sizeof(*sig));
	for (u32 i = 0; i < RETRIES_MAX && result == -EINTR; i++)
		result = sgx_driver.ioctl(e->fd, SGX_IOC_INIT, &request);
	if (result > 0) /* some drivers hand on what EINIT said */
		result = -EPERM;
	return result < 0 ? sgx_error_explain(error, SGX_STEP_INIT, result) : 0;
}

/* A request for nothing is invalid to a driver that knows the request. */
static int probe_dynamic(const struct enclave *e, struct enclave_error *error)
{
	struct sgx_ioc_restrict_permissions request = {0};
	s64 result = sgx_driver.ioctl(e->fd, SGX_IOC_RESTRICT_PERMISSIONS, &request);

	return result == -EINVAL
		       ? 0
		       : sgx_error_explain(error, SGX_STEP_PROBE, result < 0 ? result : -EPROTO);
}

static int map(const struct enclave *e, u64 offset, u64 size, u32 prot, struct enclave_error *error)
{
	void *at = (u8 *)e->base + offset;
	s64 result = sgx_driver.mmap(at, size, prot, MAP_SHARED | MAP_FIXED, e->fd, 0);

	if (result < 0)
		return sgx_error_explain(error, SGX_STEP_MAP, result);
	if (result != (s64)at) {
		enclave_error_set(error, "cannot map the enclave: it appeared elsewhere");
		return -EPROTO;
	}
	return 0;
}

static int map_all(const struct enclave *e, struct enclave_error *error)
{
	u64 user_size = e->params.enclave_size - KERNEL_ZONE_SIZE - USER_RANGE_START;
	int err = map(e, USER_RANGE_START, user_size, PROT_NONE, error);

	for (size_t i = 0; !err && i < building.stretch_count; i++) {
		const struct stretch *s = &building.stretches[i];

		err = map(e, s->offset, s->size, s->prot, error);
	}
	if (err)
		return err;
	madvise(e->reserved, e->reserved_size, MADV_DONTFORK);
	madvise(e->reserved, e->reserved_size, MADV_DONTDUMP);
	return 0;
}

static int sgx_init(struct enclave *e, const struct sgx_sigstruct *sig, struct enclave_error *error)
{
	int err;

	sgx_measure_final(&e->measure, e->secs.mrenclave);
	err = sigstruct_einit(sig, &e->secs, error);
	if (!err && (e->secs.attributes.flags & SGX_ATTR_PROVISIONKEY))
		err = allow_provision(e, error);
	if (!err)
		err = initialise(e, sig, error);
	if (!err)
		err = probe_dynamic(e, error);
	if (!err)
		err = map_all(e, error);
	if (!err)
		forget_building();
	return err;
}

const struct enclave_backend enclave_backend_sgx = {
	.name = "sgx",
	.create = sgx_create,
	.add_pages = sgx_add_pages,
	.init = sgx_init,
	.destroy = sgx_destroy,
};
