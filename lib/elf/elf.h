/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading x86-64 ELF files that someone else wrote. Every function decodes a few bytes into a
 * host-order struct and checks each field there; whoever holds such a struct need not check
 * again. Nothing is allocated, nothing larger than a few hundred bytes lies on the stack, and no
 * loop runs longer than a stated limit or the file itself. All functions are pure but for the
 * source's read callback.
 *
 * Errors: -ENOEXEC the file is no x86-64 ELF file or breaks a rule of the format, -ENOENT what
 * was asked for is not there, -ENAMETOOLONG a string does not fit; anything else comes from the
 * source's callback.
 */
#pragma once

#include "lib/base/types.h"
#include "lib/elf/elf_format.h"

enum {
	ELF_HEADER_SIZE = 64, /* bytes elf_header_parse() wants */
	ELF_PHDR_SIZE = 56,
	ELF_SHDR_SIZE = 64,
	ELF_PHDR_MAX = 128,	 /* program headers per file that we accept */
	ELF_SHDR_MAX = 65279,	 /* section headers: below SHN_LORESERVE */
	ELF_DYNAMIC_MAX = 4096,	 /* dynamic entries looked at */
	ELF_INTERP_MAX = 4096,	 /* bytes of PT_INTERP with its NUL, PATH_MAX on Linux */
	ELF_ALIGN_MAX = 1 << 21, /* PT_LOAD alignment beyond which a file is refused */
};

/* User addresses end here; no segment may reach it. */
#define ELF_VADDR_MAX 0x7ffffffff000ull

struct elf_source {
	void *ctx;
	u64 size; /* of the file */
	/* Reads exactly `size` bytes at `offset`, which lie within the file. 0 or -errno. */
	int (*read)(void *ctx, void *buf, size_t size, u64 offset);
};

struct elf_header {
	u16 type;     /* ELF_TYPE_EXEC or ELF_TYPE_DYN */
	u16 phnum;    /* 1..ELF_PHDR_MAX; the table lies within the file */
	u16 shnum;    /* 0 when there is no usable section table */
	u16 shstrndx; /* < shnum, or 0 */
	u64 entry;
	u64 phoff;
	u64 shoff;
};

struct elf_phdr {
	u32 type;  /* enum elf_segment_type or unknown */
	u32 flags; /* enum elf_segment_flags */
	u64 offset;
	u64 vaddr;
	u64 filesz; /* [offset, +filesz) lies within the file for every type that has bytes */
	u64 memsz;  /* >= filesz for PT_LOAD and PT_TLS */
	u64 align;  /* power of two, at least 1 */
};

struct elf_shdr {
	u32 name;
	u32 type;
	u64 flags;
	u64 addr;
	u64 offset; /* [offset, +size) lies within the file unless type is NOBITS or NULL */
	u64 size;
	u32 link;
	u64 entsize;
};

/* Function bounds from a symbol table. */
struct elf_symbol {
	u64 value;
	u64 size;
	u32 name;
	u16 shndx;
	u8 type; /* enum elf_symbol_type */
};

struct elf_range {
	u64 offset; /* in the file */
	u64 size;
};

/* What all program headers together say. */
struct elf_layout {
	u64 low;	/* lowest vaddr of a PT_LOAD, rounded down to a page */
	u64 high;	/* end of the highest PT_LOAD, rounded up to a page */
	u64 align;	/* largest PT_LOAD alignment, at least a page */
	u64 phdr_vaddr; /* of the program header table in memory (AT_PHDR), or 0 if not loaded */
	u64 tls_vaddr, tls_memsz, tls_align;
	struct elf_range interp;  /* with its NUL; size 0: none */
	struct elf_range dynamic; /* size 0: none */
	struct elf_range eh_frame_hdr;
	u64 eh_frame_hdr_vaddr;
	u32 load_count;
	bool exec_stack; /* PT_GNU_STACK absent or executable */
	bool has_tls;
	bool write_exec; /* some PT_LOAD is writable and executable */
};

struct elf_dynamic {
	struct elf_range strings; /* DT_STRTAB with DT_STRSZ, within the file */
	u32 needed_count;
	u64 soname, rpath, runpath; /* offsets into strings, or ELF_NO_STRING */
	u64 flags_1;
	bool textrel;
};

#define ELF_NO_STRING (~0ull)

/* `bytes` holds the first ELF_HEADER_SIZE bytes of a file of `file_size` bytes. */
int __must_check elf_header_parse(const void *bytes, u64 file_size, struct elf_header *ret_header);

/* `bytes` holds ELF_PHDR_SIZE bytes of the table at header.phoff. */
int __must_check elf_phdr_parse(const void *bytes, u64 file_size, struct elf_phdr *ret_phdr);

int __must_check elf_header_read(const struct elf_source *source, struct elf_header *ret_header);
int __must_check elf_phdr_read(const struct elf_source *source, const struct elf_header *header,
			       unsigned index, struct elf_phdr *ret_phdr);

/*
 * Walks all program headers and checks them against each other: at least one PT_LOAD, ascending
 * and without overlap, at most one PT_INTERP, PT_DYNAMIC and PT_TLS, the entry point in an
 * executable segment (or 0).
 */
int __must_check elf_layout_read(const struct elf_source *source, const struct elf_header *header,
				 struct elf_layout *ret_layout);

/* The path of the program interpreter; -ENOENT when the file names none. */
int __must_check elf_interp_read(const struct elf_source *source, const struct elf_layout *layout,
				 char *path, size_t size);

/* File offset of `vaddr`, with the bytes that follow it in the same segment; -ENOENT. */
int __must_check elf_vaddr_to_offset(const struct elf_source *source,
				     const struct elf_header *header, u64 vaddr,
				     struct elf_range *ret_range);

/* -ENOENT when the file has no dynamic section or that has no strings. */
int __must_check elf_dynamic_read(const struct elf_source *source, const struct elf_header *header,
				  const struct elf_layout *layout, struct elf_dynamic *ret_dynamic);

/* The n-th DT_NEEDED name (0 <= n < needed_count). */
int __must_check elf_needed_read(const struct elf_source *source, const struct elf_layout *layout,
				 const struct elf_dynamic *dynamic, u32 n, char *name, size_t size);

/* A string at an offset of dynamic.strings; -ENOENT for ELF_NO_STRING. */
int __must_check elf_string_read(const struct elf_source *source, struct elf_range strings,
				 u64 offset, char *text, size_t size);

int __must_check elf_shdr_read(const struct elf_source *source, const struct elf_header *header,
			       unsigned index, struct elf_shdr *ret_shdr);

/* Finds a section by its name; -ENOENT when stripped of it. */
int __must_check elf_section_find(const struct elf_source *source, const struct elf_header *header,
				  const char *name, struct elf_shdr *ret_shdr);

/* Symbols in a SYMTAB or DYNSYM section. */
static inline u64 elf_symbol_count(const struct elf_shdr *table)
{
	return table->size / sizeof(struct elf_disk_sym);
}
int __must_check elf_symbol_parse(const void *bytes, struct elf_symbol *ret_symbol);
