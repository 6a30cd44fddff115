// SPDX-License-Identifier: Apache-2.0
/*
 * Mapping ELF programs. lib/elf checks the file; here its segments become mappings. A position-
 * independent image gets a reserved block of its size, a fixed-address one exactly its addresses,
 * which exist only where the enclave begins at 0. Segments are then mapped over the reservation,
 * so that what lies between them belongs to the image too.
 *
 * Other programs may use the same fixed addresses, so such an image is mapped late: by the new
 * program's first thread, when it is that program's turn (kernel/mm/fixed.c). Until then everything
 * but the image is there.
 *
 * File parts are lazily filled or patched by kernel/mm; bss is anonymous, and the tail of the last
 * file page is zeroed.
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/mm/mm.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/load_priv.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/file.h"
#include "lib/elf/elf.h"

#define LOG_TAG "exec"
#include "kernel/core/log.h"

static int source_read(void *ctx, void *buf, size_t size, u64 offset)
{
	return file_read_exact(ctx, buf, size, offset);
}

static struct elf_source source_of(struct file *file)
{
	return (struct elf_source){.ctx = file, .size = file_size(file), .read = source_read};
}

static u32 prot_of(const struct elf_phdr *p)
{
	return (p->flags & ELF_PF_R ? PROT_READ : 0) | (p->flags & ELF_PF_W ? PROT_WRITE : 0) |
	       (p->flags & ELF_PF_X ? PROT_EXEC : 0);
}

/* An address as mm knows it, or what went wrong as exec says it. */
static int check_mapping(long at, u64 wanted)
{
	if (at < 0)
		return (int)at;
	return (u64)at == wanted ? 0 : -ENOMEM;
}

/* [end of the file's bytes, end of the page) and the pages that have no bytes in the file. */
static int map_bss(struct mm *mm, const struct elf_phdr *p, u64 bias, u32 prot)
{
	u64 file_end = bias + p->vaddr + p->filesz, end = bias + p->vaddr + p->memsz;
	u64 page = p->filesz ? ALIGN_UP(file_end, PAGE_SIZE) : ALIGN_DOWN(file_end, PAGE_SIZE);
	u64 top = ALIGN_UP(end, PAGE_SIZE);
	int err;

	/* As on Linux, read-only pages keep whatever the file has behind the segment. */
	if (p->filesz && end > file_end && (prot & PROT_WRITE) && file_end < page) {
		/* To the page's end: glibc's loader allocates from what lies behind its bss. */
		err = mm_write_foreign(mm, file_end, NULL, page - file_end);
		if (err)
			return err == -EFAULT ? -EIO : err;
	}
	if (top <= page)
		return 0;
	return check_mapping(mm_mmap(mm, page, top - page, prot,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			     page);
}

static int map_segment(struct mm *mm, struct file *file, const struct elf_phdr *p, u64 bias)
{
	u64 start = ALIGN_DOWN(bias + p->vaddr, PAGE_SIZE);
	u64 file_end = ALIGN_UP(bias + p->vaddr + p->filesz, PAGE_SIZE);
	u32 prot = prot_of(p);
	int err;

	if (p->memsz == 0)
		return 0;
	if (p->filesz) {
		err = check_mapping(mm_mmap(mm, start, file_end - start, prot,
					    MAP_PRIVATE | MAP_FIXED, file,
					    ALIGN_DOWN(p->offset, PAGE_SIZE)),
				    start);
		if (err)
			return err;
	}
	return p->memsz > p->filesz ? map_bss(mm, p, bias, prot) : 0;
}

/* Where the image's lowest page will be. */
static int place(struct mm *mm, struct file *file, const struct elf_header *h,
		 const struct elf_layout *l, u64 *ret_base)
{
	u64 size = l->high - l->low;
	long at;

	if (h->type == ELF_TYPE_DYN) {
		at = mm_reserve_image(mm, file, 0, size, l->align);
		if (at < 0)
			return (int)at;
		*ret_base = at;
		return 0;
	}
	at = mm_reserve_image(mm, file, l->low, size, PAGE_SIZE);
	if (at == (long)l->low) {
		*ret_base = l->low;
		return 0;
	}
	if (at == -EEXIST)
		log_always("A program linked at a fixed address cannot start: another one has "
			   "mapped memory there; link it as a position-independent executable.");
	return at < 0 && at != -EEXIST ? (int)at : -ENOEXEC;
}

/* Said when the program can still be refused. */
static int check_fixed(const struct elf_layout *l)
{
	if (mm_has_addresses(l->low, l->high))
		return 0;
	log_always("A program linked at a fixed address cannot start: the enclave does not "
		   "have that address; link it as a position-independent executable.");
	return -ENOEXEC;
}

struct mapped_file {
	u64 bias, entry, phdr, end;
	u16 phnum;
};

static void describe(const struct elf_header *h, const struct elf_layout *l, u64 base,
		     struct mapped_file *ret)
{
	ret->bias = base - l->low;
	ret->entry = ret->bias + h->entry;
	ret->phdr = l->phdr_vaddr ? ret->bias + l->phdr_vaddr : 0;
	ret->phnum = h->phnum;
	ret->end = base + (l->high - l->low);
}

static int map_file(struct mm *mm, struct file *file, const struct elf_header *h,
		    const struct elf_layout *l, struct mapped_file *ret)
{
	struct elf_source source = source_of(file);
	u64 base = 0;
	int err = place(mm, file, h, l, &base);

	if (err)
		return err;
	describe(h, l, base, ret);
	for (unsigned i = 0; i < h->phnum; i++) {
		struct elf_phdr p;

		err = elf_phdr_read(&source, h, i, &p);
		if (err)
			return err;
		if (p.type != ELF_PT_LOAD)
			continue;
		/* Read a second time: what the layout said must still hold. */
		if (p.vaddr < l->low || p.memsz > l->high - p.vaddr || p.filesz > p.memsz)
			return -ENOEXEC;
		err = map_segment(mm, file, &p, ret->bias);
		if (err)
			return err;
	}
	return 0;
}

static int read_layout(struct file *file, struct elf_header *h, struct elf_layout *l)
{
	struct elf_source source = source_of(file);
	int err = elf_header_read(&source, h);

	return err ? err : elf_layout_read(&source, h, l);
}

static int open_interpreter(struct process *p, struct file *file, const struct elf_layout *l,
			    struct file **ret)
{
	struct elf_source source = source_of(file);
	char *path;
	int err;

	*ret = NULL;
	if (l->interp.size == 0)
		return 0;
	path = kmalloc(ELF_INTERP_MAX);
	if (!path)
		return -ENOMEM;
	err = elf_interp_read(&source, l, path, ELF_INTERP_MAX);
	if (!err) {
		err = vfs_open_exec(p->fs, path, ret);
		if (err == -ENOENT)
			log_err("The image lacks the interpreter '%s' that a program needs.", path);
	}
	kfree(path);
	return err;
}

static int load_interpreter(struct mm *mm, struct file *file, struct loaded_image *ret)
{
	struct elf_header h;
	struct elf_layout l;
	struct mapped_file m;
	int err = read_layout(file, &h, &l);

	if (!err && h.entry == 0)
		err = -ENOEXEC;
	if (!err)
		err = h.type == ELF_TYPE_DYN ? map_file(mm, file, &h, &l, &m) : -ENOEXEC;
	if (err)
		return err == -ENOEXEC ? -ELIBBAD : err;
	ret->entry = m.entry;
	ret->interp_base = m.bias;
	return 0;
}

int elf_load(struct process *p, struct mm *mm, struct file *file, struct loaded_image *ret)
{
	struct loaded_image image = {0};
	struct file *interpreter = NULL;
	struct mapped_file m;
	struct elf_header h;
	struct elf_layout l;
	int err = read_layout(file, &h, &l);

	if (err)
		return err;
	err = open_interpreter(p, file, &l, &interpreter);
	if (err)
		return err;
	if (!interpreter && h.entry == 0)
		err = -ENOEXEC; /* a library */
	image.is_late = h.type == ELF_TYPE_EXEC;
	if (!err && image.is_late) {
		err = check_fixed(&l);
		describe(&h, &l, l.low, &m);
	} else if (!err) {
		err = map_file(mm, file, &h, &l, &m);
	}
	if (!err) {
		image.entry = m.entry;
		image.exe_entry = m.entry;
		image.exe_phdr = m.phdr;
		image.exe_phnum = m.phnum;
		image.exec_stack = l.exec_stack;
		if (interpreter)
			err = load_interpreter(mm, interpreter, &image);
	}
	if (interpreter)
		file_put(interpreter);
	if (!err)
		*ret = image;
	return err;
}

int elf_load_late(struct mm *mm, struct file *file, u64 *ret_end)
{
	struct mapped_file m;
	struct elf_header h;
	struct elf_layout l;
	int err = read_layout(file, &h, &l);

	if (!err)
		err = map_file(mm, file, &h, &l, &m);
	if (!err)
		*ret_end = m.end;
	return err;
}
