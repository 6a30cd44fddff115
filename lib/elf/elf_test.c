/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/elf: files of this machine, one built by hand, and every kind of damage. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/elf/elf.h"

#include <stdio.h>
#include <stdlib.h>

struct bytes {
	u8 *data;
	u64 size;
};

static int bytes_read(void *ctx, void *buf, size_t size, u64 offset)
{
	struct bytes *b = ctx;

	assert_true(offset <= b->size && size <= b->size - offset);
	memcpy(buf, b->data + offset, size);
	return 0;
}

static struct elf_source source_of(struct bytes *b)
{
	return (struct elf_source){.ctx = b, .size = b->size, .read = bytes_read};
}

static bool file_load(const char *path, struct bytes *b)
{
	FILE *f = fopen(path, "rb");
	long size;

	if (!f)
		return false;
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	b->data = malloc(size);
	b->size = size;
	assert_int_equal(fread(b->data, 1, size, f), size);
	fclose(f);
	return true;
}

/*
 * A small file with everything in it:
 *   0 header | 64 six program headers | 1024 interp | 1100 strings | 1200 dynamic
 *   4096 text (16 bytes)
 */
enum {
	AT_PHDRS = 64,
	AT_INTERP = 1024,
	AT_STRINGS = 1100,
	AT_DYNAMIC = 1200,
	AT_TEXT = 4096,
	SMALL_SIZE = 4112,
};

static struct elf_disk_phdr phdr(u32 type, u32 flags, u64 offset, u64 vaddr, u64 filesz, u64 memsz,
				 u64 align)
{
	return (struct elf_disk_phdr){le32_put(type),  le32_put(flags), le64_put(offset),
				      le64_put(vaddr), le64_put(vaddr), le64_put(filesz),
				      le64_put(memsz), le64_put(align)};
}

static struct bytes small_file(void)
{
	static const char strings[] = "\0libc.so.6\0me.so\0$ORIGIN/lib";
	struct bytes b = {calloc(1, SMALL_SIZE), SMALL_SIZE};
	struct elf_disk_header h = {
		.magic = {0x7f, 'E', 'L', 'F'},
		.class = ELF_CLASS_64,
		.data = ELF_DATA_LSB,
		.ident_version = 1,
		.type = le16_put(ELF_TYPE_DYN),
		.machine = le16_put(ELF_MACHINE_X86_64),
		.version = le32_put(1),
		.entry = le64_put(0x2000),
		.phoff = le64_put(AT_PHDRS),
		.ehsize = le16_put(64),
		.phentsize = le16_put(56),
		.phnum = le16_put(6),
	};
	struct elf_disk_phdr p[6] = {
		phdr(ELF_PT_LOAD, ELF_PF_R, 0, 0, 2000, 2000, 4096),
		phdr(ELF_PT_LOAD, ELF_PF_R | ELF_PF_X, AT_TEXT, 0x2000, 16, 16, 4096),
		phdr(ELF_PT_INTERP, ELF_PF_R, AT_INTERP, AT_INTERP, 28, 28, 1),
		phdr(ELF_PT_DYNAMIC, ELF_PF_R, AT_DYNAMIC, AT_DYNAMIC, 7 * 16, 7 * 16, 8),
		phdr(ELF_PT_GNU_STACK, ELF_PF_R | ELF_PF_W, 0, 0, 0, 0, 16),
		phdr(ELF_PT_TLS, ELF_PF_R, 1900, 1900, 8, 100, 64),
	};
	u64 dyn[7][2] = {
		{ELF_DT_NEEDED, 1},
		{ELF_DT_SONAME, 11},
		{ELF_DT_RUNPATH, 17},
		{ELF_DT_STRTAB, AT_STRINGS},
		{ELF_DT_STRSZ, sizeof(strings)},
		{ELF_DT_FLAGS_1, ELF_DF_1_PIE},
		{ELF_DT_NULL, 0},
	};

	memcpy(b.data, &h, sizeof(h));
	memcpy(b.data + AT_PHDRS, p, sizeof(p));
	memcpy(b.data + AT_INTERP, "/lib64/ld-linux-x86-64.so.2", 28);
	memcpy(b.data + AT_STRINGS, strings, sizeof(strings));
	memcpy(b.data + AT_DYNAMIC, dyn, sizeof(dyn));
	return b;
}

/* Everything a user of this library does with a file; whatever the file says, it must return. */
static int walk(struct bytes *b)
{
	struct elf_source s = source_of(b);
	struct elf_header h;
	struct elf_layout l;
	struct elf_dynamic d;
	struct elf_shdr sh;
	char text[64];
	int err = elf_header_read(&s, &h);

	if (err)
		return err;
	for (unsigned i = 0; i < h.shnum; i++)
		(void)!elf_shdr_read(&s, &h, i, &sh);
	(void)!elf_section_find(&s, &h, ".text", &sh);
	err = elf_layout_read(&s, &h, &l);
	if (err)
		return err;
	assert_true(l.low < l.high && l.high <= ELF_VADDR_MAX + PAGE_SIZE);
	if (elf_interp_read(&s, &l, text, sizeof(text)) == 0)
		assert_true(strlen(text) > 0 && strlen(text) < sizeof(text));
	err = elf_dynamic_read(&s, &h, &l, &d);
	if (err)
		return err == -ENOENT ? 0 : err;
	for (u32 i = 0; i < d.needed_count && i < 8; i++)
		if (elf_needed_read(&s, &l, &d, i, text, sizeof(text)) == 0)
			assert_true(strlen(text) < sizeof(text));
	(void)!elf_string_read(&s, d.strings, d.soname, text, sizeof(text));
	(void)!elf_string_read(&s, d.strings, d.runpath, text, sizeof(text));
	return 0;
}

static void small_file_is_read(void **state)
{
	struct bytes b = small_file();
	struct elf_source s = source_of(&b);
	struct elf_header h;
	struct elf_layout l;
	struct elf_dynamic d;
	struct elf_range r;
	char text[64];

	assert_int_equal(elf_header_read(&s, &h), 0);
	assert_int_equal(h.type, ELF_TYPE_DYN);
	assert_int_equal(h.phnum, 6);
	assert_int_equal(elf_layout_read(&s, &h, &l), 0);
	assert_int_equal(l.low, 0);
	assert_int_equal(l.high, 0x3000);
	assert_int_equal(l.align, 4096);
	assert_int_equal(l.phdr_vaddr, AT_PHDRS);
	assert_int_equal(l.load_count, 2);
	assert_false(l.exec_stack);
	assert_true(l.has_tls);
	assert_int_equal(l.tls_memsz, 100);
	assert_int_equal(elf_interp_read(&s, &l, text, sizeof(text)), 0);
	assert_string_equal(text, "/lib64/ld-linux-x86-64.so.2");
	assert_int_equal(elf_interp_read(&s, &l, text, 10), -ENAMETOOLONG);
	assert_int_equal(elf_dynamic_read(&s, &h, &l, &d), 0);
	assert_int_equal(d.needed_count, 1);
	assert_int_equal(d.flags_1, ELF_DF_1_PIE);
	assert_int_equal(elf_needed_read(&s, &l, &d, 0, text, sizeof(text)), 0);
	assert_string_equal(text, "libc.so.6");
	assert_int_equal(elf_needed_read(&s, &l, &d, 1, text, sizeof(text)), -ENOENT);
	assert_int_equal(elf_string_read(&s, d.strings, d.soname, text, sizeof(text)), 0);
	assert_string_equal(text, "me.so");
	assert_int_equal(elf_string_read(&s, d.strings, d.runpath, text, sizeof(text)), 0);
	assert_string_equal(text, "$ORIGIN/lib");
	assert_int_equal(elf_string_read(&s, d.strings, d.rpath, text, sizeof(text)), -ENOENT);
	assert_int_equal(elf_string_read(&s, d.strings, d.runpath, text, 5), -ENAMETOOLONG);
	assert_int_equal(elf_string_read(&s, d.strings, 29, text, sizeof(text)), -ENOEXEC);
	assert_int_equal(elf_vaddr_to_offset(&s, &h, 0x2004, &r), 0);
	assert_int_equal(r.offset, AT_TEXT + 4);
	assert_int_equal(r.size, 12);
	assert_int_equal(elf_vaddr_to_offset(&s, &h, 0x2010, &r), -ENOENT);
	free(b.data);
}

/* Sets `size` little-endian bytes at `at` and says what a reader makes of the file. */
static int with_field(u64 at, u64 value, size_t size)
{
	struct bytes b = small_file();
	int err;

	memcpy(b.data + at, &value, size);
	err = walk(&b);
	free(b.data);
	return err;
}

static void bad_fields_are_refused(void **state)
{
	enum { P0 = AT_PHDRS, P1 = AT_PHDRS + 56, P2 = AT_PHDRS + 112, P4 = AT_PHDRS + 224 };

	assert_int_equal(with_field(0, 0x7e, 1), -ENOEXEC); /* magic */
	assert_int_equal(with_field(4, 1, 1), -ENOEXEC);    /* 32 bits */
	assert_int_equal(with_field(5, 2, 1), -ENOEXEC);    /* big endian */
	assert_int_equal(with_field(7, 9, 1), -ENOEXEC);    /* FreeBSD */
	assert_int_equal(with_field(16, ELF_TYPE_REL, 2), -ENOEXEC);
	assert_int_equal(with_field(18, 183, 2), -ENOEXEC);		/* aarch64 */
	assert_int_equal(with_field(32, SMALL_SIZE - 10, 8), -ENOEXEC); /* phoff */
	assert_int_equal(with_field(32, ~0ull - 100, 8), -ENOEXEC);
	assert_int_equal(with_field(54, 32, 2), -ENOEXEC); /* phentsize */
	assert_int_equal(with_field(56, 0, 2), -ENOEXEC);  /* phnum */
	assert_int_equal(with_field(56, 0xffff, 2), -ENOEXEC);
	assert_int_equal(with_field(24, 0x5000, 8), -ENOEXEC);	    /* entry outside */
	assert_int_equal(with_field(24, 0x100, 8), -ENOEXEC);	    /* entry not executable */
	assert_int_equal(with_field(P0 + 32, 9000, 8), -ENOEXEC);   /* filesz > memsz */
	assert_int_equal(with_field(P0 + 40, 0x2001, 8), -ENOEXEC); /* overlap */
	assert_int_equal(with_field(P1 + 8, 1 << 20, 8), -ENOEXEC); /* offset outside */
	assert_int_equal(with_field(P1 + 8, ~0ull << 12, 8), -ENOEXEC);
	assert_int_equal(with_field(P1 + 16, ~0ull << 12, 8), -ENOEXEC);    /* vaddr */
	assert_int_equal(with_field(P1 + 16, 0x2001, 8), -ENOEXEC);	    /* incongruent */
	assert_int_equal(with_field(P1 + 40, ~0ull - 0x2000, 8), -ENOEXEC); /* memsz wraps */
	assert_int_equal(with_field(P1 + 48, 3, 8), -ENOEXEC);		    /* align */
	assert_int_equal(with_field(P1 + 48, 1ull << 30, 8), -ENOEXEC);
	assert_int_equal(with_field(P2, ELF_PT_DYNAMIC, 4), -ENOEXEC); /* two of them */
	assert_int_equal(with_field(P2 + 32, 1ull << 62, 8), -ENOEXEC);
	assert_int_equal(with_field(AT_DYNAMIC + 3 * 16 + 8, 0x900000, 8), -ENOEXEC);
	assert_int_equal(with_field(AT_DYNAMIC + 4 * 16 + 8, 5000, 8), -ENOEXEC);
	/* Alignment and stack flags that Linux accepts too. */
	assert_int_equal(with_field(P1 + 48, 0, 8), 0);
	assert_int_equal(with_field(P4 + 48, 7, 8), 0);
}

static void interp_must_be_one_string(void **state)
{
	struct bytes b = small_file();
	struct elf_source s = source_of(&b);
	struct elf_header h;
	struct elf_layout l;
	char text[64];

	b.data[AT_INTERP + 5] = 0;
	assert_int_equal(elf_header_read(&s, &h), 0);
	assert_int_equal(elf_layout_read(&s, &h, &l), 0);
	assert_int_equal(elf_interp_read(&s, &l, text, sizeof(text)), -ENOEXEC);
	b.data[AT_INTERP + 5] = 'x';
	b.data[AT_INTERP + 27] = 'x';
	assert_int_equal(elf_interp_read(&s, &l, text, sizeof(text)), -ENOEXEC);
	free(b.data);
}

static void truncated_files_are_refused(void **state)
{
	struct bytes b = small_file();

	for (u64 size = 0; size < SMALL_SIZE; size++) {
		struct bytes cut = {malloc(size + 1), size};

		memcpy(cut.data, b.data, size);
		assert_int_equal(walk(&cut), -ENOEXEC);
		free(cut.data);
	}
	free(b.data);
}

static void flipped_bits_never_hurt(void **state)
{
	struct bytes b = small_file();

	for (u64 bit = 0; bit < 8 * 1400; bit++) {
		b.data[bit / 8] ^= 1 << (bit % 8);
		(void)!walk(&b);
		b.data[bit / 8] ^= 1 << (bit % 8);
	}
	free(b.data);
}

static void system_files_are_read(void **state)
{
	struct bytes b;
	struct elf_source s;
	struct elf_header h;
	struct elf_layout l;
	struct elf_dynamic d;
	struct elf_shdr text;
	char name[64];

	if (!file_load("/lib/x86_64-linux-gnu/libc.so.6", &b))
		skip();
	s = source_of(&b);
	assert_int_equal(elf_header_read(&s, &h), 0);
	assert_int_equal(elf_layout_read(&s, &h, &l), 0);
	assert_int_equal(elf_dynamic_read(&s, &h, &l, &d), 0);
	assert_int_equal(elf_string_read(&s, d.strings, d.soname, name, sizeof(name)), 0);
	assert_string_equal(name, "libc.so.6");
	assert_int_equal(elf_needed_read(&s, &l, &d, 0, name, sizeof(name)), 0);
	assert_true(str_has_prefix(name, "ld-linux"));
	assert_int_equal(elf_section_find(&s, &h, ".text", &text), 0);
	assert_true(text.flags & ELF_SHF_EXECINSTR);
	assert_int_equal(elf_section_find(&s, &h, ".nonsense", &text), -ENOENT);
	assert_int_equal(walk(&b), 0);
	free(b.data);
}

UNIT_TESTS(small_file_is_read, bad_fields_are_refused, interp_must_be_one_string,
	   truncated_files_are_refused, flipped_bits_never_hurt, system_files_are_read)
