/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enclave memory: a file of the enclave's size (holes are pages that were not added), the EPCM
 * beside it, and the mappings. The host's page protection stands for both the page tables and the
 * EPCM: a page that is mapped shows what its mapping and its EPCM entry allow together, and nothing
 * while it is missing, PENDING, MODIFIED or no regular page. So every access that the CPU would
 * refuse faults here too, and emu_may_access() says which of them was the cause.
 */
#include "abi/errno.h"
#include "lib/base/string.h"
#include "tests/emu/emu_priv.h"

#define NR_mmap		  9
#define NR_munmap	  11
#define NR_fallocate_	  285
#define F_DUPFD_CLOEXEC_  1030
#define MAP_SHARED_	  0x1
#define MAP_PRIVATE_	  0x2
#define MAP_FIXED_	  0x10
#define MAP_ANONYMOUS_	  0x20
#define MAP_NORESERVE_	  0x4000
#define FALLOC_PUNCH_HOLE 3 /* keeping the size */
#define PAGES_PER_GROUP	  512ul

static struct emu_enclave enclaves[EMU_ENCLAVES];
static u32 lock_word;

void emu_lock(void)
{
	while (__atomic_exchange_n(&lock_word, 1, __ATOMIC_ACQUIRE))
		emu_call(NR_sched_yield, 0, 0, 0, 0, 0, 0);
}

void emu_unlock(void)
{
	__atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE);
}

static void *allocate(u64 size)
{
	s64 at = emu_call(NR_mmap, 0, size, EMU_READ | EMU_WRITE,
			  MAP_PRIVATE_ | MAP_ANONYMOUS_ | MAP_NORESERVE_, -1, 0);

	return at < 0 ? NULL : (void *)at;
}

static void release(void *at, u64 size)
{
	if (at)
		emu_call(NR_munmap, at, size, 0, 0, 0, 0);
}

struct emu_enclave *emu_enclave_new(s32 fd)
{
	for (size_t i = 0; i < EMU_ENCLAVES; i++) {
		struct emu_enclave *e = &enclaves[i];

		if (e->is_used)
			continue;
		memset(e, 0, sizeof(*e));
		e->fd = fd;
		e->epc_file = (s32)emu_call(NR_fcntl, fd, F_DUPFD_CLOEXEC_, 100, 0, 0, 0);
		if (e->epc_file < 0)
			return NULL;
		e->is_used = true;
		return e;
	}
	return NULL;
}

struct emu_enclave *emu_enclave_of_fd(s32 fd)
{
	for (size_t i = 0; fd >= 0 && i < EMU_ENCLAVES; i++) {
		if (enclaves[i].is_used && enclaves[i].fd == fd)
			return &enclaves[i];
	}
	return NULL;
}

struct emu_enclave *emu_enclave_at(u64 address)
{
	for (size_t i = 0; i < EMU_ENCLAVES; i++) {
		struct emu_enclave *e = &enclaves[i];

		if (e->is_created && address - e->secs.base < e->size)
			return e;
	}
	return NULL;
}

static void fini(struct emu_enclave *e)
{
	u64 page_count = e->size / PAGE_SIZE;

	release(e->epc, e->size);
	release(e->pages, page_count * sizeof(struct emu_page));
	release(e->has_pages, page_count / PAGES_PER_GROUP + 1);
	release(e->vmas, EMU_VMAS * sizeof(struct emu_vma));
	e->epc = NULL;
	e->pages = NULL;
	e->has_pages = NULL;
	e->vmas = NULL;
}

s64 emu_enclave_create(struct emu_enclave *e, u64 size)
{
	u64 page_count = size / PAGE_SIZE;
	s64 at = emu_call(NR_ftruncate, e->epc_file, size, 0, 0, 0, 0);

	if (at < 0)
		return -ENOMEM;
	e->size = size;
	at = emu_call(NR_mmap, 0, size, EMU_READ | EMU_WRITE, MAP_SHARED_ | MAP_NORESERVE_,
		      e->epc_file, 0);
	e->epc = at < 0 ? NULL : (u8 *)at;
	e->pages = allocate(page_count * sizeof(struct emu_page));
	e->has_pages = allocate(page_count / PAGES_PER_GROUP + 1);
	e->vmas = allocate(EMU_VMAS * sizeof(struct emu_vma));
	if (!e->epc || !e->pages || !e->has_pages || !e->vmas) {
		fini(e);
		return -ENOMEM;
	}
	e->is_created = true;
	return 0;
}

void emu_enclave_put(struct emu_enclave *e)
{
	if (e->fd >= 0 || e->vma_count)
		return;
	if (e->is_created)
		fini(e);
	emu_call(NR_close, e->epc_file, 0, 0, 0, 0, 0);
	memset(e, 0, sizeof(*e));
}

/* ---- mappings -------------------------------------------------------------------------------- */

/* The first mapping that ends behind `offset`. */
static u64 vma_index(const struct emu_enclave *e, u64 offset)
{
	u64 low = 0, high = e->vma_count;

	while (low < high) {
		u64 middle = (low + high) / 2;

		if (e->vmas[middle].end > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct emu_vma *emu_vma_find(const struct emu_enclave *e, u64 offset)
{
	u64 i = vma_index(e, offset);

	if (offset >= e->hidden_start && offset < e->hidden_end)
		return NULL;
	return i < e->vma_count && e->vmas[i].start <= offset ? &e->vmas[i] : NULL;
}

static void vma_insert(struct emu_enclave *e, u64 i, struct emu_vma vma)
{
	if (e->vma_count == EMU_VMAS)
		emu_die("too many mappings");
	memmove(&e->vmas[i + 1], &e->vmas[i], (e->vma_count - i) * sizeof(vma));
	e->vmas[i] = vma;
	e->vma_count++;
}

static void vma_delete(struct emu_enclave *e, u64 i, u64 count)
{
	memmove(&e->vmas[i], &e->vmas[i + count],
		(e->vma_count - i - count) * sizeof(struct emu_vma));
	e->vma_count -= count;
}

/* Nothing is mapped in [start, end) afterwards; the index of what would come there. */
static u64 vma_carve(struct emu_enclave *e, u64 start, u64 end)
{
	u64 i = vma_index(e, start), last;

	if (i < e->vma_count && e->vmas[i].start < start) {
		if (e->vmas[i].end > end) {
			struct emu_vma rest = e->vmas[i];

			rest.start = end;
			vma_insert(e, i + 1, rest);
		}
		e->vmas[i].end = start;
		i++;
	}
	for (last = i; last < e->vma_count && e->vmas[last].end <= end;)
		last++;
	vma_delete(e, i, last - i);
	if (i < e->vma_count && e->vmas[i].start < end)
		e->vmas[i].start = end;
	return i;
}

static void vma_put(struct emu_enclave *e, struct emu_vma vma)
{
	u64 i = vma_carve(e, vma.start, vma.end);

	if (i > 0 && e->vmas[i - 1].end == vma.start && e->vmas[i - 1].rights == vma.rights) {
		e->vmas[--i].end = vma.end;
	} else {
		vma_insert(e, i, vma);
	}
	if (i + 1 < e->vma_count && e->vmas[i + 1].start == vma.end &&
	    e->vmas[i + 1].rights == vma.rights) {
		e->vmas[i].end = e->vmas[i + 1].end;
		vma_delete(e, i + 1, 1);
	}
}

u64 emu_page_next(struct emu_enclave *e, u64 offset, u64 end)
{
	while (offset < end) {
		u64 index = offset / PAGE_SIZE;

		if (!e->has_pages[index / PAGES_PER_GROUP]) {
			offset = (index / PAGES_PER_GROUP + 1) * PAGES_PER_GROUP * PAGE_SIZE;
			continue;
		}
		if (e->pages[index].flags & EMU_PAGE_VALID)
			return offset;
		offset += PAGE_SIZE;
	}
	return end;
}

static u8 rights_of(const struct emu_page *page, const struct emu_vma *vma)
{
	if (!vma || page->type != EMU_TYPE_REG || !(page->flags & EMU_PAGE_VALID) ||
	    page->flags & (EMU_PAGE_PENDING | EMU_PAGE_MODIFIED))
		return 0;
	return page->rights & (u8)vma->rights;
}

static void host_protect(struct emu_enclave *e, u64 start, u64 end, u32 rights)
{
	s64 err = emu_call(NR_mprotect, e->secs.base + start, end - start, rights, 0, 0, 0);

	if (err < 0)
		emu_die("mprotect of 0x%lx-0x%lx fails: %d", start, end, (int)err);
}

void emu_show(struct emu_enclave *e, u64 start, u64 end)
{
	const struct emu_vma *vma = NULL;
	u64 run = 0, run_end = 0;
	u8 rights = 0;

	for (u64 at = emu_page_next(e, start, end); at < end;
	     at = emu_page_next(e, at + PAGE_SIZE, end)) {
		struct emu_page *page = emu_page_of(e, at);
		u8 now;

		vma = emu_vma_find(e, at);
		now = rights_of(page, vma);
		if (now == page->shown)
			continue;
		page->shown = now;
		if (run_end == at && now == rights && run_end != run) {
			run_end += PAGE_SIZE;
			continue;
		}
		if (run_end != run)
			host_protect(e, run, run_end, rights);
		run = at;
		run_end = at + PAGE_SIZE;
		rights = now;
	}
	if (run_end != run)
		host_protect(e, run, run_end, rights);
}

/* What the driver calls may_map: pages that were added must allow it, others need not exist. */
static bool may_map(struct emu_enclave *e, u64 offset, u64 size, u32 rights)
{
	u64 end = offset + size;

	for (u64 at = emu_page_next(e, offset, end); at < end;
	     at = emu_page_next(e, at + PAGE_SIZE, end)) {
		if (rights & ~(u32)emu_page_of(e, at)->maximum)
			return false;
	}
	return true;
}

static void forget_shown(struct emu_enclave *e, u64 offset, u64 end)
{
	for (u64 at = emu_page_next(e, offset, end); at < end;
	     at = emu_page_next(e, at + PAGE_SIZE, end))
		emu_page_of(e, at)->shown = 0;
}

s64 emu_vma_map(struct emu_enclave *e, u64 offset, u64 size, u32 rights)
{
	s64 at;

	if (!may_map(e, offset, size, rights))
		return -EACCES;
	at = emu_call(NR_mmap, e->secs.base + offset, size, 0,
		      MAP_SHARED_ | MAP_FIXED_ | MAP_NORESERVE_, e->epc_file, offset);
	if (at < 0)
		return at;
	forget_shown(e, offset, offset + size);
	vma_put(e, (struct emu_vma){offset, offset + size, rights});
	emu_show(e, offset, offset + size);
	return at;
}

s64 emu_vma_protect(struct emu_enclave *e, u64 offset, u64 size, u32 rights)
{
	u64 end = offset + size;

	for (u64 at = offset; at < end;) {
		const struct emu_vma *vma = emu_vma_find(e, at);

		if (!vma)
			return -ENOMEM;
		at = vma->end;
	}
	if (!may_map(e, offset, size, rights))
		return -EACCES;
	vma_put(e, (struct emu_vma){offset, end, rights});
	emu_show(e, offset, end);
	return 0;
}

void emu_vma_unmap(struct emu_enclave *e, u64 offset, u64 size)
{
	vma_carve(e, offset, offset + size);
	emu_call(NR_munmap, e->secs.base + offset, size, 0, 0, 0, 0);
	forget_shown(e, offset, offset + size);
}

/* ---- pages ----------------------------------------------------------------------------------- */

void emu_page_set(struct emu_enclave *e, u64 offset, struct emu_page page)
{
	struct emu_page *at = emu_page_of(e, offset);

	page.shown = at->shown;
	*at = page;
	e->has_pages[offset / PAGE_SIZE / PAGES_PER_GROUP] = 1;
	emu_show(e, offset, offset + PAGE_SIZE);
}

void emu_page_remove(struct emu_enclave *e, u64 offset)
{
	struct emu_page *page = emu_page_of(e, offset);

	page->flags &= ~EMU_PAGE_VALID & 0xf;
	if (page->shown)
		host_protect(e, offset, offset + PAGE_SIZE, 0);
	*page = (struct emu_page){0};
	emu_call(NR_fallocate_, e->epc_file, FALLOC_PUNCH_HOLE, offset, PAGE_SIZE, 0, 0);
}

static bool fail(struct emu_fault *ret, u32 error, u64 address)
{
	*ret = (struct emu_fault){.vector = SGX_VECTOR_PF, .error = error, .address = address};
	return false;
}

bool emu_may_access(struct emu_enclave *e, u64 address, u32 rights, struct emu_fault *ret)
{
	u64 offset = address - e->secs.base;
	u32 error =
		PF_USER | (rights & EMU_WRITE ? PF_WRITE : 0) | (rights & EMU_EXEC ? PF_FETCH : 0);
	const struct emu_vma *vma = emu_vma_find(e, offset);
	const struct emu_page *page = emu_page_of(e, offset);
	bool is_there = page->flags & EMU_PAGE_VALID;

	if (!vma || rights & ~vma->rights)
		return fail(ret, error | (vma && vma->rights && is_there ? PF_PRESENT : 0),
			    address);
	if (!is_there)
		return fail(ret, error, address);
	if (rights & ~(u32)rights_of(page, vma))
		return fail(ret, error | PF_PRESENT | PF_SGX, address);
	return true;
}

bool emu_resolve(struct emu_enclave *e, const struct emu_fault *fault)
{
	u32 rights = fault->error & PF_WRITE   ? EMU_WRITE
		     : fault->error & PF_FETCH ? EMU_EXEC
					       : EMU_READ;
	u64 offset = ALIGN_DOWN(fault->address - e->secs.base, PAGE_SIZE);
	const struct emu_vma *vma;
	struct emu_fault now;

	if (fault->vector != SGX_VECTOR_PF || fault->address - e->secs.base >= e->size)
		return false;
	if (emu_may_access(e, fault->address, rights, &now))
		return true; /* another thread was faster */
	vma = emu_vma_find(e, offset);
	if (!e->is_initialised || emu_config.no_sgx2 || !vma || !(vma->rights & rights) ||
	    emu_page_of(e, offset)->flags & EMU_PAGE_VALID)
		return false;
	if (emu_config.again && emu_random_shared() % 1000 < emu_config.again) {
		emu_count(&emu_stats.injected);
		return true; /* the driver was busy: the access is tried again */
	}
	emu_page_set(e, offset,
		     (struct emu_page){
			     .flags = EMU_PAGE_VALID | EMU_PAGE_PENDING,
			     .type = EMU_TYPE_REG,
			     .rights = EMU_READ | EMU_WRITE,
			     .maximum = EMU_READ | EMU_WRITE | EMU_EXEC,
		     });
	emu_count(&emu_stats.eaug);
	return true;
}

/* Copies piece by piece; the direction is the caller's. */
static bool transfer(struct emu_enclave *e, u64 address, u8 *bytes, u64 size, u32 rights,
		     struct emu_fault *ret)
{
	while (size) {
		u64 offset = address - e->secs.base;
		u64 piece = MIN(size, PAGE_SIZE - offset % PAGE_SIZE);

		if (offset >= e->size) {
			*ret = (struct emu_fault){.vector = SGX_VECTOR_GP};
			return false;
		}
		if (!emu_may_access(e, address, rights, ret))
			return false;
		if (rights & EMU_WRITE)
			memcpy(e->epc + offset, bytes, piece);
		else
			memcpy(bytes, e->epc + offset, piece);
		address += piece;
		bytes += piece;
		size -= piece;
	}
	return true;
}

bool emu_read(struct emu_enclave *e, u64 address, void *to, u64 size, struct emu_fault *ret)
{
	return transfer(e, address, to, size, EMU_READ, ret);
}

bool emu_write(struct emu_enclave *e, u64 address, const void *from, u64 size,
	       struct emu_fault *ret)
{
	return transfer(e, address, (u8 *)from, size, EMU_WRITE, ret);
}

/* ---- for tests ------------------------------------------------------------------------------- */

const struct sgx_secs *emu_secs_at(u64 address)
{
	struct emu_enclave *e = emu_enclave_at(address);

	return e ? &e->secs : NULL;
}

u8 *emu_bytes_at(u64 address)
{
	struct emu_enclave *e = emu_enclave_at(address);
	u64 offset = e ? address - e->secs.base : 0;

	return e && emu_page_of(e, offset)->flags & EMU_PAGE_VALID ? e->epc + offset : NULL;
}
