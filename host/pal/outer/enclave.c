/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a signed kernel image through a backend, and the inner part's memory around it. */
#define _GNU_SOURCE
#include "host/pal/outer/enclave.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/pal/inner/inner.h"
#include "host/pal/outer/pal.h"

#define HWCAP2_FSGSBASE_BIT   2
#define PR_SET_DISPATCH	      59
#define ALTSTACK_EXTRA	      16384
#define AT_MINSIGSTKSZ_NUMBER 51

struct add_context {
	struct enclave *enclave;
	struct enclave_error *error;
};

static int add_run(void *ctx, const struct enclave_run *run)
{
	struct add_context *add = ctx;

	return add->enclave->backend->add_pages(add->enclave, run, add->error);
}

static int check_machine(struct enclave_error *error)
{
	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT)) {
		enclave_error_set(error, "this kernel does not let programs use FSGSBASE (Linux "
					 "5.9 or later is needed)");
		return -ENOSYS;
	}
	if (prctl(PR_SET_DISPATCH, 0, 0, 0, 0) < 0) {
		enclave_error_set(error, "this kernel has no Syscall User Dispatch (Linux 5.11 or "
					 "later is needed)");
		return -ENOSYS;
	}
	return 0;
}

int enclave_load(struct enclave *e, const char *image_path, struct enclave_error *error)
{
	struct add_context add = {.enclave = e, .error = error};
	struct enclave_image image;
	struct sgx_sigstruct sig;
	u8 *bytes = NULL;
	u64 size;
	int err;

	memset(e, 0, sizeof(*e));
	e->fd = -1;
	e->fill_unmeasured = getenv("OCCLUM_TEST_DIRTY_PAGES") != NULL;
	err = check_machine(error);
	if (err < 0)
		return err;
	err = enclave_file_read(image_path, ENCLAVE_IMAGE_SIZE_MAX, &bytes, &size, error);
	if (err < 0)
		return err;
	err = enclave_image_open(&image, bytes, size, error);
	if (!err)
		err = enclave_image_check(&image, error);
	if (err < 0)
		goto free_bytes;
	e->params = image.params;
	memcpy(&sig, bytes + image.sigstruct_offset, sizeof(sig));
	e->backend =
		image.params.mode == ENCLAVE_MODE_HW ? &enclave_backend_sgx : &enclave_backend_sim;
	err = e->backend->create(e, &image.params, &sig, error);
	if (err < 0)
		goto free_bytes;
	err = enclave_image_walk(&image, add_run, &add);
	if (!err)
		err = e->backend->init(e, &sig, error);
	if (err < 0)
		e->backend->destroy(e);
free_bytes:
	free(bytes);
	return err;
}

void enclave_unload(struct enclave *e)
{
	e->backend->destroy(e);
}

/* ---- the inner part -------------------------------------------------------------------------- */

static void init_thread(const struct enclave *e, u32 slot, struct sgx_entry_function entry)
{
	const struct measured_params *p = &e->params;
	u64 at = e->base + p->slots_offset + slot * p->slot_size;
	struct inner_thread *t = inner_thread_of(slot);

	t->tcs = at + SLOT_TCS_OFFSET;
	t->block = at + slot_block_offset(p->ssa_frame_pages);
	t->entry = e->base + p->entry_offset;
	t->arena = &inner.arenas[slot];
	t->ssa = at + SLOT_SSA_OFFSET;
	t->ssa_size = p->ssa_frame_pages * PAGE_SIZE;
	t->stack_top = (u64)t + INNER_BLOCK_SIZE;
	t->slot = slot;
	t->run.tcs = t->tcs;
	t->enter = inner.entry_enclu ? entry.address : 0;
	t->arena->slot = slot;
}

/* The last real-time signal that nobody uses. */
static int find_kick_signal(void)
{
	struct sigaction action;

	for (int sig = SIGRTMAX; sig > SIGRTMIN; sig--) {
		if (sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
			return sig;
	}
	return SIGRTMAX;
}

/*
 * The ENCLU of the kernel's function, which interrupted threads are found at; 0 when there is not
 * exactly one, and the function is of no use to us.
 */
static u64 find_enclu(struct sgx_entry_function function)
{
	static const u8 enclu[] = {0x0f, 0x01, 0xd7};
	const u8 *code = (const u8 *)function.address;
	u64 found = 0;

	for (u64 i = 0; code && i + sizeof(enclu) <= function.size; i++) {
		if (memcmp(code + i, enclu, sizeof(enclu)) != 0)
			continue;
		if (found)
			return 0;
		found = (u64)code + i;
	}
	return found;
}

static void *blocks_mapping;

static int map_blocks(u32 count)
{
	blocks_mapping = mmap(NULL, (count + 1) * INNER_BLOCK_SIZE, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (blocks_mapping == MAP_FAILED) {
		blocks_mapping = NULL;
		return -errno;
	}
	inner.blocks = (u8 *)ALIGN_UP((u64)blocks_mapping, INNER_BLOCK_SIZE);
	for (u32 i = 0; i < count; i++) {
		u8 *block = inner.blocks + i * INNER_BLOCK_SIZE;

		if (mprotect(block, PAGE_SIZE, PROT_READ | PROT_WRITE) < 0 ||
		    mprotect(block + INNER_ALTSTACK, INNER_STACK - INNER_ALTSTACK - PAGE_SIZE,
			     PROT_READ | PROT_WRITE) < 0 ||
		    mprotect(block + INNER_STACK, INNER_BLOCK_SIZE - INNER_STACK,
			     PROT_READ | PROT_WRITE) < 0)
			return -errno;
	}
	return 0;
}

int enclave_inner_init(const struct enclave *e, const char *instance_dir,
		       struct enclave_error *error)
{
	struct sgx_entry_function entry = {0};
	u32 count = e->params.slot_count;
	int err;

	memset(&inner, 0, sizeof(inner));
	inner.instance_fd = inner.mem_fd = -1;
	inner.base = e->base;
	inner.size = e->params.enclave_size;
	inner.user_start = e->base + USER_RANGE_START;
	inner.user_end = e->base + e->params.enclave_size - KERNEL_ZONE_SIZE;
	inner.image_start = e->base + e->params.image_offset;
	inner.image_end = inner.image_start + e->params.image_size;
	inner.is_hardware = enclave_is_hardware(e);
	inner.sgx_fd = e->fd;
	if (inner.is_hardware) {
		entry = sgx_driver.entry_function();
		inner.entry_enclu = find_enclu(entry);
	}
	inner.kick_signal = find_kick_signal();
	inner.stop_signals = foreground_stop_signals();
	if (getauxval(AT_MINSIGSTKSZ_NUMBER) + ALTSTACK_EXTRA >
	    INNER_STACK - INNER_ALTSTACK - PAGE_SIZE) {
		enclave_error_set(error, "signal frames of this CPU are too large");
		return -ENOSYS;
	}
	inner.thread_count = count;
	inner.arenas = mmap(NULL, count * ARENA_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (inner.arenas == MAP_FAILED) {
		err = -errno;
		inner.arenas = NULL;
		goto no_memory;
	}
	err = map_blocks(count);
	if (err < 0)
		goto no_memory;
	inner.instance_fd = open(instance_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (inner.instance_fd < 0) {
		err = -errno;
		enclave_error_set(error, "cannot open the instance '%s': %s", instance_dir,
				  strerror(-err));
		goto fail;
	}
	inner.mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (inner.mem_fd < 0) {
		err = -errno;
		enclave_error_set(error, "cannot open /proc/self/mem: %s", strerror(-err));
		goto fail;
	}
	for (u32 i = 0; i < count; i++)
		init_thread(e, i, entry);
	err = (int)inner_signals_install();
	if (err == 0)
		return 0;
	enclave_error_set(error, "cannot install signal handlers: %s", strerror(-err));
	goto fail;
no_memory:
	enclave_error_set(error, "not enough memory for %u threads: %s", count, strerror(-err));
fail:
	enclave_inner_fini();
	return err;
}

void enclave_inner_fini(void)
{
	if (inner.instance_fd >= 0)
		close(inner.instance_fd);
	if (inner.mem_fd >= 0)
		close(inner.mem_fd);
	if (blocks_mapping)
		munmap(blocks_mapping, (inner.thread_count + 1) * INNER_BLOCK_SIZE);
	if (inner.arenas)
		munmap(inner.arenas, inner.thread_count * ARENA_SIZE);
	blocks_mapping = NULL;
	memset(&inner, 0, sizeof(inner));
	inner.instance_fd = inner.mem_fd = -1;
}
