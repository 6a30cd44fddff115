/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF64 as it lies in a file (System V ABI, chapters 4 and 5; x86-64 supplement). Only what a
 * loader of x86-64 programs and the tools that look into them need. Names carry the prefix
 * ELF_ so that <elf.h> may be included beside this header.
 */
#pragma once

#include "lib/base/le.h"

enum {
	ELF_CLASS_64 = 2,
	ELF_DATA_LSB = 1,
	ELF_VERSION_CURRENT = 1,
	ELF_OSABI_SYSV = 0,
	ELF_OSABI_GNU = 3,
	ELF_MACHINE_X86_64 = 62,
};

enum elf_type {
	ELF_TYPE_REL = 1,
	ELF_TYPE_EXEC = 2,
	ELF_TYPE_DYN = 3,
	ELF_TYPE_CORE = 4,
};

enum elf_segment_type {
	ELF_PT_NULL = 0,
	ELF_PT_LOAD = 1,
	ELF_PT_DYNAMIC = 2,
	ELF_PT_INTERP = 3,
	ELF_PT_NOTE = 4,
	ELF_PT_SHLIB = 5,
	ELF_PT_PHDR = 6,
	ELF_PT_TLS = 7,
	ELF_PT_GNU_EH_FRAME = 0x6474e550,
	ELF_PT_GNU_STACK = 0x6474e551,
	ELF_PT_GNU_RELRO = 0x6474e552,
	ELF_PT_GNU_PROPERTY = 0x6474e553,
};

enum elf_segment_flags {
	ELF_PF_X = 1,
	ELF_PF_W = 2,
	ELF_PF_R = 4,
};

enum elf_section_type {
	ELF_SHT_NULL = 0,
	ELF_SHT_PROGBITS = 1,
	ELF_SHT_SYMTAB = 2,
	ELF_SHT_STRTAB = 3,
	ELF_SHT_NOBITS = 8,
	ELF_SHT_DYNSYM = 11,
	ELF_SHT_X86_64_UNWIND = 0x70000001,
};

enum elf_section_flags {
	ELF_SHF_WRITE = 1,
	ELF_SHF_ALLOC = 2,
	ELF_SHF_EXECINSTR = 4,
};

enum elf_dynamic_tag {
	ELF_DT_NULL = 0,
	ELF_DT_NEEDED = 1,
	ELF_DT_STRTAB = 5,
	ELF_DT_STRSZ = 10,
	ELF_DT_SONAME = 14,
	ELF_DT_RPATH = 15,
	ELF_DT_TEXTREL = 22,
	ELF_DT_RUNPATH = 29,
	ELF_DT_FLAGS_1 = 0x6ffffffb,
	ELF_DF_1_PIE = 0x08000000,
};

enum elf_symbol_type {
	ELF_STT_NOTYPE = 0,
	ELF_STT_OBJECT = 1,
	ELF_STT_FUNC = 2,
	ELF_STT_GNU_IFUNC = 10,
};

enum { ELF_SHN_UNDEF = 0, ELF_SHN_LORESERVE = 0xff00 };

struct elf_disk_header {
	u8 magic[4]; /* 7f 'E' 'L' 'F' */
	u8 class;
	u8 data;
	u8 ident_version;
	u8 osabi;
	u8 abi_version;
	u8 pad[7];
	le16 type;
	le16 machine;
	le32 version;
	le64 entry;
	le64 phoff;
	le64 shoff;
	le32 flags;
	le16 ehsize;
	le16 phentsize;
	le16 phnum;
	le16 shentsize;
	le16 shnum;
	le16 shstrndx;
};

struct elf_disk_phdr {
	le32 type;
	le32 flags;
	le64 offset;
	le64 vaddr;
	le64 paddr;
	le64 filesz;
	le64 memsz;
	le64 align;
};

struct elf_disk_shdr {
	le32 name;
	le32 type;
	le64 flags;
	le64 addr;
	le64 offset;
	le64 size;
	le32 link;
	le32 info;
	le64 addralign;
	le64 entsize;
};

struct elf_disk_dyn {
	le64 tag;
	le64 val;
};

struct elf_disk_sym {
	le32 name;
	u8 info;
	u8 other;
	le16 shndx;
	le64 value;
	le64 size;
};

static_assert(sizeof(struct elf_disk_header) == 64, "ELF header");
static_assert(sizeof(struct elf_disk_phdr) == 56, "ELF program header");
static_assert(sizeof(struct elf_disk_shdr) == 64, "ELF section header");
static_assert(sizeof(struct elf_disk_dyn) == 16, "ELF dynamic entry");
static_assert(sizeof(struct elf_disk_sym) == 24, "ELF symbol");
static_assert(offsetof(struct elf_disk_header, entry) == 24, "ELF header");
static_assert(offsetof(struct elf_disk_header, shstrndx) == 62, "ELF header");
