// SPDX-License-Identifier: Apache-2.0
/*
 * ELF64 reader: header, program headers, interpreter, dynamic strings, sections. The kernel's
 * loader and the host tools read hostile files with it, so all arithmetic on file numbers is
 * range-checked and all walks are bounded. A file may be changed by its writer between two reads;
 * nothing here relies on two reads agreeing, each struct returned is checked on its own.
 */
#include "lib/elf/elf.h"

#include "abi/errno.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"

static int source_read(const struct elf_source *source, void *buf, size_t size, u64 offset)
{
	if (!range_within(offset, size, source->size))
		return -ENOEXEC;
	return source->read(source->ctx, buf, size, offset);
}

static bool ident_is_ours(const struct elf_disk_header *d)
{
	static const u8 magic[4] = {0x7f, 'E', 'L', 'F'};

	return memcmp(d->magic, magic, sizeof(magic)) == 0 && d->class == ELF_CLASS_64 &&
	       d->data == ELF_DATA_LSB && d->ident_version == ELF_VERSION_CURRENT &&
	       (d->osabi == ELF_OSABI_SYSV || d->osabi == ELF_OSABI_GNU) &&
	       le16_get(d->machine) == ELF_MACHINE_X86_64 &&
	       le32_get(d->version) == ELF_VERSION_CURRENT;
}

int elf_header_parse(const void *bytes, u64 file_size, struct elf_header *ret_header)
{
	const struct elf_disk_header *d = bytes;
	struct elf_header h = {0};

	if (file_size < sizeof(*d) || !ident_is_ours(d))
		return -ENOEXEC;
	h.type = le16_get(d->type);
	h.phnum = le16_get(d->phnum);
	h.entry = le64_get(d->entry);
	h.phoff = le64_get(d->phoff);
	if (h.type != ELF_TYPE_EXEC && h.type != ELF_TYPE_DYN)
		return -ENOEXEC;
	if (le16_get(d->phentsize) != ELF_PHDR_SIZE || h.phnum == 0 || h.phnum > ELF_PHDR_MAX ||
	    !range_within(h.phoff, (u64)h.phnum * ELF_PHDR_SIZE, file_size))
		return -ENOEXEC;
	if (h.entry >= ELF_VADDR_MAX)
		return -ENOEXEC;

	/* Sections are a convenience of tools: a bad table counts as none. */
	h.shnum = le16_get(d->shnum);
	h.shoff = le64_get(d->shoff);
	h.shstrndx = le16_get(d->shstrndx);
	if (le16_get(d->shentsize) != ELF_SHDR_SIZE || h.shnum > ELF_SHDR_MAX ||
	    !range_within(h.shoff, (u64)h.shnum * ELF_SHDR_SIZE, file_size)) {
		h.shnum = 0;
		h.shoff = 0;
	}
	if (h.shstrndx >= h.shnum)
		h.shstrndx = 0;
	*ret_header = h;
	return 0;
}

static int load_check(const struct elf_phdr *p)
{
	u64 end;

	if (p->filesz > p->memsz)
		return -ENOEXEC;
	if (check_add_overflow(p->vaddr, p->memsz, &end) || end > ELF_VADDR_MAX)
		return -ENOEXEC;
	if (p->align > ELF_ALIGN_MAX)
		return -ENOEXEC;
	if (p->filesz && (p->offset & PAGE_MASK_LOW) != (p->vaddr & PAGE_MASK_LOW))
		return -ENOEXEC;
	return 0;
}

int elf_phdr_parse(const void *bytes, u64 file_size, struct elf_phdr *ret_phdr)
{
	const struct elf_disk_phdr *d = bytes;
	struct elf_phdr p = {
		.type = le32_get(d->type),
		.flags = le32_get(d->flags),
		.offset = le64_get(d->offset),
		.vaddr = le64_get(d->vaddr),
		.filesz = le64_get(d->filesz),
		.memsz = le64_get(d->memsz),
		.align = le64_get(d->align),
	};
	int err = 0;

	if (p.align == 0)
		p.align = 1;
	switch (p.type) {
	case ELF_PT_LOAD: err = load_check(&p); break;
	case ELF_PT_TLS:
		if (p.filesz > p.memsz || p.memsz > ELF_VADDR_MAX || p.align > ELF_ALIGN_MAX)
			err = -ENOEXEC;
		break;
	case ELF_PT_DYNAMIC:
	case ELF_PT_INTERP:
	case ELF_PT_NOTE:
	case ELF_PT_PHDR:
	case ELF_PT_GNU_EH_FRAME: break;
	default:
		/* Nobody follows these, so nothing in them needs to make sense. */
		*ret_phdr = p;
		return 0;
	}
	if (err)
		return err;
	if (!IS_POWER_OF_2(p.align) || !range_within(p.offset, p.filesz, file_size) ||
	    p.vaddr > ELF_VADDR_MAX)
		return -ENOEXEC;
	*ret_phdr = p;
	return 0;
}

int elf_header_read(const struct elf_source *source, struct elf_header *ret_header)
{
	struct elf_disk_header d;
	int err = source_read(source, &d, sizeof(d), 0);

	return err ? err : elf_header_parse(&d, source->size, ret_header);
}

int elf_phdr_read(const struct elf_source *source, const struct elf_header *header, unsigned index,
		  struct elf_phdr *ret_phdr)
{
	struct elf_disk_phdr d;
	int err;

	if (index >= header->phnum)
		return -ENOENT;
	err = source_read(source, &d, sizeof(d), header->phoff + (u64)index * sizeof(d));
	return err ? err : elf_phdr_parse(&d, source->size, ret_phdr);
}

/* Adds one PT_LOAD; they come in ascending order and do not overlap. */
static int layout_add_load(struct elf_layout *l, const struct elf_header *h,
			   const struct elf_phdr *p, u64 *end, bool *entry_found)
{
	u64 table = (u64)h->phnum * ELF_PHDR_SIZE;

	if (p->memsz == 0)
		return 0;
	if (l->load_count == 0)
		l->low = ALIGN_DOWN(p->vaddr, PAGE_SIZE);
	else if (p->vaddr < *end)
		return -ENOEXEC;
	*end = p->vaddr + p->memsz;
	l->high = ALIGN_UP(*end, PAGE_SIZE);
	l->align = MAX(l->align, p->align);
	l->load_count++;
	if ((p->flags & ELF_PF_X) && h->entry >= p->vaddr && h->entry < *end)
		*entry_found = true;
	if ((p->flags & ELF_PF_X) && (p->flags & ELF_PF_W))
		l->write_exec = true;
	if (!l->phdr_vaddr && h->phoff >= p->offset &&
	    range_within(h->phoff - p->offset, table, p->filesz))
		l->phdr_vaddr = p->vaddr + (h->phoff - p->offset);
	return 0;
}

static int range_set_once(struct elf_range *range, const struct elf_phdr *p)
{
	if (range->size || p->filesz == 0)
		return -ENOEXEC;
	range->offset = p->offset;
	range->size = p->filesz;
	return 0;
}

int elf_layout_read(const struct elf_source *source, const struct elf_header *header,
		    struct elf_layout *ret_layout)
{
	struct elf_layout l = {.align = PAGE_SIZE, .exec_stack = true};
	bool entry_found = header->entry == 0;
	u64 end = 0;

	for (unsigned i = 0; i < header->phnum; i++) {
		struct elf_phdr p;
		int err = elf_phdr_read(source, header, i, &p);

		if (err)
			return err;
		switch (p.type) {
		case ELF_PT_LOAD: err = layout_add_load(&l, header, &p, &end, &entry_found); break;
		case ELF_PT_INTERP: err = range_set_once(&l.interp, &p); break;
		case ELF_PT_DYNAMIC: err = range_set_once(&l.dynamic, &p); break;
		case ELF_PT_GNU_EH_FRAME:
			err = range_set_once(&l.eh_frame_hdr, &p);
			l.eh_frame_hdr_vaddr = p.vaddr;
			break;
		case ELF_PT_GNU_STACK: l.exec_stack = p.flags & ELF_PF_X; break;
		case ELF_PT_TLS:
			err = l.has_tls ? -ENOEXEC : 0;
			l.has_tls = true;
			l.tls_vaddr = p.vaddr;
			l.tls_memsz = p.memsz;
			l.tls_align = p.align;
			break;
		default: break;
		}
		if (err)
			return err;
	}
	if (l.load_count == 0 || !entry_found)
		return -ENOEXEC;
	*ret_layout = l;
	return 0;
}

int elf_interp_read(const struct elf_source *source, const struct elf_layout *layout, char *path,
		    size_t size)
{
	u64 len = layout->interp.size;
	int err;

	if (len == 0)
		return -ENOENT;
	if (len < 2 || len > ELF_INTERP_MAX)
		return -ENOEXEC;
	if (len > size)
		return -ENAMETOOLONG;
	err = source_read(source, path, len, layout->interp.offset);
	if (err)
		return err;
	/* Exactly one NUL, and that at the end. */
	return path[0] && strnlen(path, len) == len - 1 ? 0 : -ENOEXEC;
}

int elf_vaddr_to_offset(const struct elf_source *source, const struct elf_header *header, u64 vaddr,
			struct elf_range *ret_range)
{
	for (unsigned i = 0; i < header->phnum; i++) {
		struct elf_phdr p;
		int err = elf_phdr_read(source, header, i, &p);

		if (err)
			return err;
		if (p.type == ELF_PT_LOAD && vaddr >= p.vaddr && vaddr - p.vaddr < p.filesz) {
			ret_range->offset = p.offset + (vaddr - p.vaddr);
			ret_range->size = p.filesz - (vaddr - p.vaddr);
			return 0;
		}
	}
	return -ENOENT;
}

/* The i-th dynamic entry; DT_NULL past the end. */
static int dyn_read(const struct elf_source *source, const struct elf_layout *layout, u32 i,
		    u64 *tag, u64 *val)
{
	struct elf_disk_dyn d;
	int err;

	if (i >= ELF_DYNAMIC_MAX)
		return -ENOEXEC;
	if ((u64)(i + 1) * sizeof(d) > layout->dynamic.size) {
		*tag = ELF_DT_NULL;
		return 0;
	}
	err = source_read(source, &d, sizeof(d), layout->dynamic.offset + (u64)i * sizeof(d));
	if (err)
		return err;
	*tag = le64_get(d.tag);
	*val = le64_get(d.val);
	return 0;
}

int elf_dynamic_read(const struct elf_source *source, const struct elf_header *header,
		     const struct elf_layout *layout, struct elf_dynamic *ret_dynamic)
{
	struct elf_dynamic dyn = {
		.soname = ELF_NO_STRING, .rpath = ELF_NO_STRING, .runpath = ELF_NO_STRING};
	u64 tag, val = 0, strtab = 0, strsz = 0;
	int err;

	if (layout->dynamic.size == 0)
		return -ENOENT;
	for (u32 i = 0;; i++) {
		err = dyn_read(source, layout, i, &tag, &val);
		if (err)
			return err;
		if (tag == ELF_DT_NULL)
			break;
		switch (tag) {
		case ELF_DT_NEEDED: dyn.needed_count++; break;
		case ELF_DT_STRTAB: strtab = val; break;
		case ELF_DT_STRSZ: strsz = val; break;
		case ELF_DT_SONAME: dyn.soname = val; break;
		case ELF_DT_RPATH: dyn.rpath = val; break;
		case ELF_DT_RUNPATH: dyn.runpath = val; break;
		case ELF_DT_FLAGS_1: dyn.flags_1 = val; break;
		case ELF_DT_TEXTREL: dyn.textrel = true; break;
		default: break;
		}
	}
	if (strsz == 0)
		return -ENOENT;
	err = elf_vaddr_to_offset(source, header, strtab, &dyn.strings);
	if (err)
		return err == -ENOENT ? -ENOEXEC : err;
	if (dyn.strings.size < strsz)
		return -ENOEXEC;
	dyn.strings.size = strsz;
	*ret_dynamic = dyn;
	return 0;
}

int elf_needed_read(const struct elf_source *source, const struct elf_layout *layout,
		    const struct elf_dynamic *dynamic, u32 n, char *name, size_t size)
{
	u64 tag, val = 0;

	for (u32 i = 0;; i++) {
		int err = dyn_read(source, layout, i, &tag, &val);

		if (err)
			return err;
		if (tag == ELF_DT_NULL)
			return -ENOENT;
		if (tag == ELF_DT_NEEDED && n-- == 0)
			return elf_string_read(source, dynamic->strings, val, name, size);
	}
}

int elf_string_read(const struct elf_source *source, struct elf_range strings, u64 offset,
		    char *text, size_t size)
{
	u64 room;
	int err;

	if (offset == ELF_NO_STRING)
		return -ENOENT;
	if (offset >= strings.size || size == 0)
		return -ENOEXEC;
	room = MIN(strings.size - offset, (u64)size);
	err = source_read(source, text, room, strings.offset + offset);
	if (err)
		return err;
	if (memchr(text, 0, room))
		return 0;
	return room == size ? -ENAMETOOLONG : -ENOEXEC;
}

int elf_shdr_read(const struct elf_source *source, const struct elf_header *header, unsigned index,
		  struct elf_shdr *ret_shdr)
{
	struct elf_disk_shdr d;
	struct elf_shdr s;
	int err;

	if (index >= header->shnum)
		return -ENOENT;
	err = source_read(source, &d, sizeof(d), header->shoff + (u64)index * sizeof(d));
	if (err)
		return err;
	s = (struct elf_shdr){
		.name = le32_get(d.name),
		.type = le32_get(d.type),
		.flags = le64_get(d.flags),
		.addr = le64_get(d.addr),
		.offset = le64_get(d.offset),
		.size = le64_get(d.size),
		.link = le32_get(d.link),
		.entsize = le64_get(d.entsize),
	};
	if (s.type != ELF_SHT_NOBITS && s.type != ELF_SHT_NULL &&
	    !range_within(s.offset, s.size, source->size))
		return -ENOEXEC;
	*ret_shdr = s;
	return 0;
}

int elf_section_find(const struct elf_source *source, const struct elf_header *header,
		     const char *name, struct elf_shdr *ret_shdr)
{
	struct elf_shdr names, s;
	char text[64];
	int err;

	if (header->shstrndx == 0)
		return -ENOENT;
	err = elf_shdr_read(source, header, header->shstrndx, &names);
	if (err)
		return err;
	if (names.type != ELF_SHT_STRTAB)
		return -ENOEXEC;
	for (unsigned i = 1; i < header->shnum; i++) {
		err = elf_shdr_read(source, header, i, &s);
		if (err)
			return err;
		err = elf_string_read(source, (struct elf_range){names.offset, names.size}, s.name,
				      text, sizeof(text));
		if (err == -ENAMETOOLONG || err == -ENOEXEC)
			continue;
		if (err)
			return err;
		if (str_equal(text, name)) {
			*ret_shdr = s;
			return 0;
		}
	}
	return -ENOENT;
}

int elf_symbol_parse(const void *bytes, struct elf_symbol *ret_symbol)
{
	const struct elf_disk_sym *d = bytes;
	struct elf_symbol s = {
		.value = le64_get(d->value),
		.size = le64_get(d->size),
		.name = le32_get(d->name),
		.shndx = le16_get(d->shndx),
		.type = d->info & 0xf,
	};
	u64 end;

	if (check_add_overflow(s.value, s.size, &end) || end > ELF_VADDR_MAX)
		return -ENOEXEC;
	*ret_symbol = s;
	return 0;
}
