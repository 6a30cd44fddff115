// SPDX-License-Identifier: Apache-2.0
/* The ELF reader, the .eh_frame reader and the call-site finder on one hostile file. */
#include <stdlib.h>
#include <string.h>

#include "host/lib/sites.h"
#include "lib/elf/eh_frame.h"
#include "lib/elf/elf.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

struct file {
	const u8 *bytes;
	size_t size;
};

static int file_read(void *ctx, void *buf, size_t size, u64 offset)
{
	const struct file *f = ctx;

	if (offset > f->size || size > f->size - offset)
		abort(); /* the reader promised to stay within the file */
	memcpy(buf, f->bytes + offset, size);
	return 0;
}

static void walk_sections(const struct elf_source *s, const struct elf_header *h, const u8 *bytes)
{
	struct elf_shdr sh;
	struct elf_symbol sym;
	struct eh_function fn;

	for (unsigned i = 0; i < h->shnum; i++) {
		if (elf_shdr_read(s, h, i, &sh) || sh.type != ELF_SHT_SYMTAB)
			continue;
		for (u64 n = 0; n < elf_symbol_count(&sh); n++)
			if (elf_symbol_parse(bytes + sh.offset + n * 24, &sym) == 0 &&
			    sym.value + sym.size > ELF_VADDR_MAX)
				abort();
	}
	if (elf_section_find(s, h, ".eh_frame", &sh) == 0 && sh.type == ELF_SHT_PROGBITS) {
		struct eh_frame frame = eh_frame_of(bytes + sh.offset, sh.size, sh.addr);

		while (eh_frame_next(&frame, &fn) == 1)
			if (fn.size == 0 || fn.start + fn.size < fn.start)
				abort();
	}
}

static void walk(const u8 *bytes, size_t size)
{
	struct file f = {bytes, size};
	struct elf_source s = {.ctx = &f, .size = size, .read = file_read};
	struct elf_header h;
	struct elf_layout l;
	struct elf_dynamic d;
	char text[128];

	if (elf_header_read(&s, &h))
		return;
	walk_sections(&s, &h, bytes);
	if (elf_layout_read(&s, &h, &l))
		return;
	if (l.low >= l.high)
		abort();
	if (elf_interp_read(&s, &l, text, sizeof(text)) == 0 && strlen(text) == 0)
		abort();
	if (elf_dynamic_read(&s, &h, &l, &d))
		return;
	for (u32 i = 0; i < d.needed_count; i++)
		if (elf_needed_read(&s, &l, &d, i, text, sizeof(text)) == 0 &&
		    strnlen(text, sizeof(text)) == sizeof(text))
			abort();
	(void)!elf_string_read(&s, d.strings, d.soname, text, sizeof(text));
	(void)!elf_string_read(&s, d.strings, d.runpath, text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct eh_frame frame = eh_frame_of(bytes, size, 0x1000);
	struct sites_table t;
	struct eh_function fn;

	walk(bytes, size);
	while (eh_frame_next(&frame, &fn) == 1)
		;
	if (sites_scan(bytes, size, &t))
		return 0;
	for (u32 i = 0; i < t.count; i++)
		if (!site_is_possible(t.sites[i].offset, t.sites[i].kind, t.sites[i].len) ||
		    t.sites[i].offset + site_insn_size(t.sites[i].kind) > size)
			abort();
	sites_table_fini(&t);
	return 0;
}
