/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real thing: the host's kernel and the CPU. The kernel's function to enter an enclave is found
 * in the image that every process has mapped (AT_SYSINFO_EHDR), by its dynamic symbol table.
 */
#define _GNU_SOURCE
#include "host/pal/outer/sgx_driver.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define VDSO_SYMBOLS_MAX 256
#define ENTER_NAME	 "__vdso_sgx_enter_enclave"

static s64 linux_open(const char *path, u32 flags)
{
	int fd = open(path, (int)flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static s64 linux_ioctl(s32 fd, u64 command, void *argument)
{
	int result = ioctl(fd, command, argument);

	return result < 0 ? -errno : result;
}

static s64 linux_mmap(void *at, u64 size, u32 prot, u32 flags, s32 fd, u64 offset)
{
	void *result = mmap(at, size, (int)prot, (int)flags, fd, (off_t)offset);

	return result == MAP_FAILED ? -errno : (s64)result;
}

static s64 linux_mprotect(void *at, u64 size, u32 prot)
{
	return mprotect(at, size, (int)prot) < 0 ? -errno : 0;
}

static s64 linux_munmap(void *at, u64 size)
{
	return munmap(at, size) < 0 ? -errno : 0;
}

static s64 linux_close(s32 fd)
{
	return close(fd) < 0 ? -errno : 0;
}

static void linux_cpuid(u32 leaf, u32 subleaf, u32 ret[4])
{
	__cpuid_count(leaf, subleaf, ret[0], ret[1], ret[2], ret[3]);
}

static u64 linux_xgetbv(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (u64)high << 32 | low;
}

struct vdso {
	const Elf64_Sym *symbols;
	const char *strings;
	const u32 *hash; /* DT_HASH, or NULL: its second word counts the symbols */
	u64 bias;	 /* from addresses of the file to those of this process */
};

/* The addresses in the dynamic section are link-time ones; the image says where it really lies. */
static bool read_dynamic(const Elf64_Ehdr *header, struct vdso *v)
{
	const Elf64_Phdr *phdrs = (const void *)((u64)header + header->e_phoff);
	const Elf64_Dyn *dynamic = NULL;
	bool is_biased = false;

	for (int i = 0; i < header->e_phnum; i++) {
		if (phdrs[i].p_type == PT_LOAD && !is_biased) {
			is_biased = true;
			v->bias = (u64)header + phdrs[i].p_offset - phdrs[i].p_vaddr;
		} else if (phdrs[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)((u64)header + phdrs[i].p_offset);
	}
	for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
		const void *at = (const void *)(v->bias + dynamic->d_un.d_ptr);

		if (dynamic->d_tag == DT_SYMTAB)
			v->symbols = at;
		else if (dynamic->d_tag == DT_STRTAB)
			v->strings = at;
		else if (dynamic->d_tag == DT_HASH)
			v->hash = at;
	}
	return v->symbols && v->strings;
}

/* Without DT_HASH: the strings follow the symbols, as every linker places them. */
static u64 count_symbols(const struct vdso *v)
{
	u64 between = (u64)v->strings - (u64)v->symbols;

	if (v->hash)
		return v->hash[1];
	return MIN(between / sizeof(Elf64_Sym), (u64)VDSO_SYMBOLS_MAX);
}

static struct sgx_entry_function linux_entry_function(void)
{
	const Elf64_Ehdr *header = (const void *)getauxval(AT_SYSINFO_EHDR);
	struct vdso v = {0};

	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || !read_dynamic(header, &v))
		return (struct sgx_entry_function){0};
	for (u64 i = 1; i < count_symbols(&v); i++) {
		const Elf64_Sym *s = &v.symbols[i];

		if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_shndx != SHN_UNDEF &&
		    strcmp(v.strings + s->st_name, ENTER_NAME) == 0)
			return (struct sgx_entry_function){
				.address = v.bias + s->st_value,
				.size = s->st_size,
			};
	}
	return (struct sgx_entry_function){0};
}

const struct sgx_driver sgx_driver = {
	.open = linux_open,
	.ioctl = linux_ioctl,
	.mmap = linux_mmap,
	.mprotect = linux_mprotect,
	.munmap = linux_munmap,
	.close = linux_close,
	.cpuid = linux_cpuid,
	.xgetbv = linux_xgetbv,
	.entry_function = linux_entry_function,
};
