/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of pages of an enclave:
 *
 *   each PT_LOAD   as its flags say, measured, the end of the last page and bss as zeros
 *   each slot      TCS measured; SSA frames, thread block and exception stack; kernel stack
 *   heap           rw-
 *
 * Slots and heap follow the image with unused space between them. What is only added is not
 * measured by content; the kernel zeroes it before use. The order is part of the format: it goes
 * into MRENCLAVE.
 */
#include "host/lib/enclave_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/hostcall_gen.h"
#include "lib/base/overflow.h"
#include "lib/config/limits.h"
#include "lib/crypto/sha256.h"

#define ZONE_GAP MIB(2) /* between image, slots and heap */

void enclave_error_set(struct enclave_error *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
}

int enclave_file_read(const char *path, u64 max, u8 **ret_bytes, u64 *ret_size,
		      struct enclave_error *error)
{
	struct stat st;
	u8 *bytes = NULL;
	u64 done = 0;
	int err = 0, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		enclave_error_set(error, "cannot open '%s': %s", path, strerror(-err));
		goto close_fd;
	}
	if (!S_ISREG(st.st_mode) || (u64)st.st_size > max) {
		err = -EINVAL;
		enclave_error_set(error, "'%s' is no regular file or larger than %llu bytes", path,
				  (unsigned long long)max);
		goto close_fd;
	}
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes) {
		err = -ENOMEM;
		enclave_error_set(error, "not enough memory to read '%s'", path);
		goto close_fd;
	}
	while (done < (u64)st.st_size) {
		ssize_t n = read(fd, bytes + done, (size_t)st.st_size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : -EIO;
			enclave_error_set(error, "cannot read '%s': %s", path, strerror(-err));
			free(bytes);
			goto close_fd;
		}
		done += (u64)n;
	}
	bytes[done] = 0;
	*ret_bytes = bytes;
	*ret_size = done;
close_fd:
	if (fd >= 0)
		close(fd);
	return err;
}

static int source_read(void *ctx, void *buf, size_t size, u64 offset)
{
	const struct enclave_image *image = ctx;

	if (offset > image->size || size > image->size - offset)
		return -ENOEXEC;
	memcpy(buf, image->bytes + offset, size);
	return 0;
}

static struct elf_source source_of(const struct enclave_image *image)
{
	return (struct elf_source){.ctx = (void *)image, .size = image->size, .read = source_read};
}

static int find_section(const struct enclave_image *image, const char *name, u64 size,
			u64 *ret_offset, struct enclave_error *error)
{
	struct elf_source source = source_of(image);
	struct elf_shdr section;

	if (elf_section_find(&source, &image->header, name, &section) < 0 || section.size < size ||
	    section.offset > image->size || section.size > image->size - section.offset) {
		enclave_error_set(error, "this is no kernel image: section %s is missing or short",
				  name);
		return -ENOEXEC;
	}
	*ret_offset = section.offset;
	return 0;
}

static int check_segments(const struct enclave_image *image, struct enclave_error *error)
{
	struct elf_source source = source_of(image);
	struct elf_phdr phdr;
	u64 end = 0;

	for (unsigned i = 0; i < image->header.phnum; i++) {
		if (elf_phdr_read(&source, &image->header, i, &phdr) < 0)
			goto bad;
		if (phdr.type != ELF_PT_LOAD)
			continue;
		if (!IS_ALIGNED(phdr.vaddr, PAGE_SIZE) || phdr.vaddr < end)
			goto bad;
		end = ALIGN_UP(phdr.vaddr + phdr.memsz, PAGE_SIZE);
	}
	return 0;
bad:
	enclave_error_set(error, "this is no kernel image: segments share a page");
	return -ENOEXEC;
}

int enclave_image_open(struct enclave_image *image, const void *bytes, u64 size,
		       struct enclave_error *error)
{
	struct elf_source source;
	int err;

	memset(image, 0, sizeof(*image));
	image->bytes = bytes;
	image->size = size;
	source = source_of(image);
	if (elf_header_read(&source, &image->header) < 0 ||
	    elf_layout_read(&source, &image->header, &image->layout) < 0) {
		enclave_error_set(error, "this is no kernel image: not an x86-64 ELF file");
		return -ENOEXEC;
	}
	/* An entry of 0 is the text's first byte, which the layout has found executable or not. */
	if (image->header.type != ELF_TYPE_DYN || image->layout.write_exec ||
	    image->layout.low != 0 || image->layout.high > GIB(1)) {
		enclave_error_set(error, "this is no kernel image: not a position-independent file "
					 "without writable code");
		return -ENOEXEC;
	}
	err = check_segments(image, error);
	if (err < 0)
		return err;
	err = find_section(image, ".occlum.measured", sizeof(struct measured_params),
			   &image->measured_offset, error);
	if (err < 0)
		return err;
	err = find_section(image, ".occlum.sigstruct", sizeof(struct sgx_sigstruct),
			   &image->sigstruct_offset, error);
	if (err < 0)
		return err;
	memcpy(&image->params, image->bytes + image->measured_offset, sizeof(image->params));
	if (image->params.magic != MEASURED_MAGIC || image->params.mode > ENCLAVE_MODE_HW) {
		enclave_error_set(error, "this is no kernel image: its measured page is damaged");
		return -ENOEXEC;
	}
	if (image->params.version != MEASURED_VERSION ||
	    image->params.interface != EDGE_INTERFACE) {
		enclave_error_set(error, "this kernel image comes from another version of Occlum; "
					 "run `occlum build` again");
		return -ENOEXEC;
	}
	return 0;
}

static u64 power_of_two_above(u64 x)
{
	u64 power = ENCLAVE_SIZE_MIN;

	while (power < x)
		power <<= 1;
	return power;
}

/* SHA-256 of the file without what gets into the enclave and without the signature. */
static int digest_unloaded(const struct enclave_image *image, u8 ret[32])
{
	struct elf_source source = source_of(image);
	u8 *copy = malloc(image->size);
	struct elf_phdr phdr;
	int err = 0;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, image->bytes, image->size);
	memset(copy + image->sigstruct_offset, 0, sizeof(struct sgx_sigstruct));
	for (unsigned i = 0; !err && i < image->header.phnum; i++) {
		err = elf_phdr_read(&source, &image->header, i, &phdr);
		if (err || phdr.type != ELF_PT_LOAD)
			continue;
		if (range_within(phdr.offset, phdr.filesz, image->size))
			memset(copy + phdr.offset, 0, phdr.filesz);
		else
			err = -ENOEXEC;
	}
	if (!err)
		sha256(copy, image->size, ret);
	free(copy);
	return err;
}

int enclave_image_plan(const struct enclave_image *image, const struct enclave_shape *shape,
		       struct measured_params *ret_params, struct enclave_error *error)
{
	struct measured_params p = {
		.magic = MEASURED_MAGIC,
		.version = MEASURED_VERSION,
		.interface = EDGE_INTERFACE,
		.ssa_frame_pages = 1,
		.image_size = image->layout.high,
		.stack_size = shape->stack_size,
		.heap_size = shape->heap_size,
		.slot_count = shape->max_threads + RESERVED_SLOTS,
		.mode = image->params.mode,
	};
	u64 needed;
	int err;

	if (shape->user_space_size > LIMIT_USER_SPACE_MAX ||
	    shape->heap_size > LIMIT_KERNEL_HEAP_MAX || shape->max_threads > CONFIG_THREADS_MAX ||
	    shape->stack_size > LIMIT_KERNEL_STACK_MAX ||
	    !IS_ALIGNED(shape->heap_size | shape->stack_size, PAGE_SIZE)) {
		enclave_error_set(error, "a size in resource_limits is out of range");
		return -EINVAL;
	}
	memcpy(p.config_sha256, shape->config_sha256, sizeof(p.config_sha256));
	p.enclave_size =
		power_of_two_above(shape->user_space_size + USER_FIXED_END + KERNEL_ZONE_SIZE);
	p.image_offset = p.enclave_size - KERNEL_ZONE_SIZE;
	p.entry_offset = p.image_offset + image->header.entry;
	p.slots_offset = ALIGN_UP(p.image_offset + p.image_size + ZONE_GAP, ZONE_GAP);
	p.slot_size = slot_size_for(p.ssa_frame_pages, p.stack_size);
	p.heap_offset = ALIGN_UP(p.slots_offset + p.slot_size * p.slot_count + ZONE_GAP, ZONE_GAP);
	needed = p.heap_offset + p.heap_size - p.image_offset;
	if (needed > LIMIT_KERNEL_ZONE) {
		enclave_error_set(error,
				  "resource_limits: kernel_space_heap_size and max_num_of_threads "
				  "times kernel_space_stack_size need %llu MiB, at most %llu are "
				  "possible",
				  (unsigned long long)(needed >> 20),
				  (unsigned long long)(LIMIT_KERNEL_ZONE >> 20));
		return -EINVAL;
	}
	err = digest_unloaded(image, p.unloaded_sha256);
	if (err < 0) {
		enclave_error_set(error, "cannot read the kernel image: %s", strerror(-err));
		return err;
	}
	*ret_params = p;
	return 0;
}

int enclave_image_check(const struct enclave_image *image, struct enclave_error *error)
{
	const struct measured_params *p = &image->params;
	struct enclave_shape shape = {
		.heap_size = p->heap_size,
		.stack_size = p->stack_size,
		.max_threads = p->slot_count - RESERVED_SLOTS,
	};
	struct measured_params plan;

	if (p->enclave_size < ENCLAVE_SIZE_MIN || !IS_POWER_OF_2(p->enclave_size) ||
	    p->slot_count <= RESERVED_SLOTS) {
		enclave_error_set(error, "the kernel image is not prepared: its measured page is "
					 "empty or damaged");
		return -EUCLEAN;
	}
	/* All but the user space size, which the power of two hides, follows from these. */
	shape.user_space_size =
		MIN(p->enclave_size - USER_FIXED_END - KERNEL_ZONE_SIZE, (u64)LIMIT_USER_SPACE_MAX);
	memcpy(shape.config_sha256, p->config_sha256, sizeof(shape.config_sha256));
	if (enclave_image_plan(image, &shape, &plan, error) < 0 ||
	    memcmp(&plan, p, offsetof(struct measured_params, unloaded_sha256)) != 0) {
		enclave_error_set(error, "the kernel image is damaged: its measured page "
					 "contradicts itself; run `occlum build` again");
		return -EUCLEAN;
	}
	if (memcmp(plan.unloaded_sha256, p->unloaded_sha256, sizeof(plan.unloaded_sha256)) != 0) {
		enclave_error_set(error, "the kernel image was changed after it was signed: its "
					 "headers or what is not loaded differ; if Occlum was "
					 "upgraded, run `occlum build` again");
		return -EBADMSG;
	}
	return 0;
}

/* One PT_LOAD: whole pages from the file, a mixed page, zero pages. */
static int walk_segment(const struct enclave_image *image, const struct elf_phdr *phdr,
			enclave_run_fn fn, void *ctx)
{
	u64 whole = phdr->filesz / PAGE_SIZE;
	u64 rest = phdr->filesz % PAGE_SIZE;
	u64 total = ALIGN_UP(phdr->memsz, PAGE_SIZE) / PAGE_SIZE;
	u8 mixed[PAGE_SIZE];
	struct enclave_run run = {
		.offset = image->params.image_offset + phdr->vaddr,
		.count = whole,
		.secinfo = SGX_SECINFO_REG | (phdr->flags & ELF_PF_R ? SGX_SECINFO_R : 0) |
			   (phdr->flags & ELF_PF_W ? SGX_SECINFO_W : 0) |
			   (phdr->flags & ELF_PF_X ? SGX_SECINFO_X : 0),
		.content = image->bytes + phdr->offset,
		.measured = true,
	};
	int err = run.count ? fn(ctx, &run) : 0;

	run.offset += whole * PAGE_SIZE;
	if (!err && rest) {
		memset(mixed, 0, sizeof(mixed));
		memcpy(mixed, image->bytes + phdr->offset + whole * PAGE_SIZE, rest);
		run.count = 1;
		run.content = mixed;
		err = fn(ctx, &run);
		run.offset += PAGE_SIZE;
		whole++;
	}
	if (!err && total > whole) {
		run.count = total - whole;
		run.content = NULL;
		err = fn(ctx, &run);
	}
	return err;
}

static int walk_slot(const struct measured_params *p, u64 slot, enclave_run_fn fn, void *ctx)
{
	u64 block = slot + slot_block_offset(p->ssa_frame_pages);
	struct sgx_tcs tcs = {
		.ossa = slot + SLOT_SSA_OFFSET,
		.nssa = SSA_FRAME_COUNT,
		.oentry = p->entry_offset,
		.ofsbase = block,
		.ogsbase = block,
		.fslimit = 0xfff,
		.gslimit = 0xfff,
	};
	const u64 rw = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W;
	const struct enclave_run runs[] = {
		{slot + SLOT_TCS_OFFSET, 1, SGX_SECINFO_TCS, (const u8 *)&tcs, true},
		{slot + SLOT_SSA_OFFSET, (u64)SSA_FRAME_COUNT * p->ssa_frame_pages, rw},
		{block, 1 + EXCEPTION_STACK_SIZE / PAGE_SIZE, rw},
		{slot + slot_stack_offset(p->ssa_frame_pages), p->stack_size / PAGE_SIZE, rw},
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(runs) && !err; i++)
		err = fn(ctx, &runs[i]);
	return err;
}

int enclave_image_walk(const struct enclave_image *image, enclave_run_fn fn, void *ctx)
{
	const struct measured_params *p = &image->params;
	struct elf_source source = source_of(image);
	struct enclave_run heap = {p->heap_offset, p->heap_size / PAGE_SIZE,
				   SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W};
	struct elf_phdr phdr;
	int err;

	for (unsigned i = 0; i < image->header.phnum; i++) {
		err = elf_phdr_read(&source, &image->header, i, &phdr);
		if (!err && phdr.type == ELF_PT_LOAD)
			err = walk_segment(image, &phdr, fn, ctx);
		if (err)
			return err;
	}
	for (u32 i = 0; i < p->slot_count; i++) {
		err = walk_slot(p, p->slots_offset + i * p->slot_size, fn, ctx);
		if (err)
			return err;
	}
	return fn(ctx, &heap);
}

void enclave_measure_run(struct sgx_measure *m, const struct enclave_run *run)
{
	static const u8 zeros[PAGE_SIZE];

	for (u64 i = 0; i < run->count; i++) {
		u64 offset = run->offset + i * PAGE_SIZE;

		sgx_measure_add(m, offset, run->secinfo);
		if (run->measured)
			sgx_measure_extend_page(
				m, offset, run->content ? run->content + i * PAGE_SIZE : zeros);
	}
}

static int measure_run(void *ctx, const struct enclave_run *run)
{
	enclave_measure_run(ctx, run);
	return 0;
}

int enclave_image_measure(const struct enclave_image *image, u8 ret_mrenclave[SGX_HASH_SIZE])
{
	struct sgx_measure m;
	int err;

	sgx_measure_create(&m, image->params.enclave_size, image->params.ssa_frame_pages);
	err = enclave_image_walk(image, measure_run, &m);
	if (!err)
		sgx_measure_final(&m, ret_mrenclave);
	return err;
}
