// SPDX-License-Identifier: Apache-2.0
/* Loading programs made of bytes: what lies where, what the first stack says, what is refused. */
#include "kernel/proc/exec.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/resource.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/turn.h"
#include "kernel/mm/uaccess.h"
#include "kernel/vfs/file.h"
#include "tests/fakes/fakes.h"
#include "tests/fakes/memory.h"
#include "tests/unit.h"

#define FILE_SIZE 0x3000
#define DATA_AT	  0x2010 /* file offset of the writable segment */
#define DATA_SIZE 0x100
#define BSS_SIZE  0x2800

static struct process *p;

static int start(void **state)
{
	p = fake_memory_start(MIB(64), false);
	p->limits[ABI_RLIMIT_STACK].soft = MIB(8);
	p->limits[ABI_RLIMIT_DATA].soft = MIB(4);
	p->limits[ABI_RLIMIT_AS].soft = UINT64_MAX;
	p->cred.uid = p->cred.euid = 7;
	return 0;
}

static int stop(void **state)
{
	fake_fail_allocation(0, false);
	return fake_memory_stop() ? 0 : -1;
}

/* Text at 0, data and bss at 0x3010, an interpreter's path at 0x200 if asked for. */
struct image {
	Elf64_Ehdr e;
	Elf64_Phdr p[4];
	u8 rest[FILE_SIZE - sizeof(Elf64_Ehdr) - 4 * sizeof(Elf64_Phdr)];
};
static_assert(sizeof(struct image) == FILE_SIZE, "image");

static void image_init(struct image *i, u16 type, u64 vaddr, const char *interpreter)
{
	memset(i, 0, sizeof(*i));
	memset((u8 *)i + 0x1000, 0x90, 0x1000);
	memset((u8 *)i + 0x2000, 0xdd, 0x1000);
	memcpy(i->e.e_ident, ELFMAG, 4);
	i->e.e_ident[EI_CLASS] = ELFCLASS64;
	i->e.e_ident[EI_DATA] = ELFDATA2LSB;
	i->e.e_ident[EI_VERSION] = EV_CURRENT;
	i->e.e_type = type;
	i->e.e_machine = EM_X86_64;
	i->e.e_version = EV_CURRENT;
	i->e.e_entry = vaddr + 0x1000;
	i->e.e_phoff = sizeof(i->e);
	i->e.e_ehsize = sizeof(i->e);
	i->e.e_phentsize = sizeof(i->p[0]);
	i->e.e_phnum = interpreter ? 4 : 3;
	i->p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
			       .p_flags = PF_R | PF_X,
			       .p_vaddr = vaddr,
			       .p_filesz = 0x2000,
			       .p_memsz = 0x2000,
			       .p_align = 0x1000};
	i->p[1] = (Elf64_Phdr){.p_type = PT_LOAD,
			       .p_flags = PF_R | PF_W,
			       .p_offset = DATA_AT,
			       .p_vaddr = vaddr + 0x3010,
			       .p_filesz = DATA_SIZE,
			       .p_memsz = DATA_SIZE + BSS_SIZE,
			       .p_align = 0x1000};
	i->p[2] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
	if (!interpreter)
		return;
	memcpy((char *)i + 0x400, interpreter, strlen(interpreter) + 1);
	i->p[3] = (Elf64_Phdr){.p_type = PT_INTERP,
			       .p_offset = 0x400,
			       .p_filesz = strlen(interpreter) + 1,
			       .p_memsz = strlen(interpreter) + 1};
}

static struct file *publish(const char *path, const void *bytes, size_t size)
{
	struct fake_file_options options = {.path = path};
	struct file *f = fake_file_new(bytes, size, &options);

	fake_file_publish(path, f);
	return f;
}

static void unpublish(const char *path, struct file *f)
{
	fake_file_publish(path, NULL);
	file_put(f);
}

static void add(struct exec_args *a, const char *s, bool is_env)
{
	assert_int_equal(exec_args_add(a, s, strlen(s), is_env), 0);
}

static int load(const char *path, struct exec_image *image)
{
	struct exec_args args = {0};
	int err;

	add(&args, "prog", false);
	err = exec_load(p, path, &args, image);
	exec_args_free(&args);
	return err;
}

static int load_bytes(const void *bytes, size_t size)
{
	struct file *f = publish("/bin/x", bytes, size);
	struct exec_image image = {0};
	int err = load("/bin/x", &image);

	if (!err)
		exec_image_free(&image);
	unpublish("/bin/x", f);
	return err;
}

static u64 word_at(struct mm *mm, u64 at)
{
	u64 value = 0;

	assert_int_equal(mm_read_foreign(mm, &value, at, 8), 8);
	return value;
}

static void string_at(struct mm *mm, u64 at, const char *expected)
{
	char text[64] = "";

	assert_true(mm_read_foreign(mm, text, at, strlen(expected) + 1) > 0);
	assert_string_equal(text, expected);
}

static u64 auxv(const struct exec_image *image, u64 type)
{
	u64 at = image->regs.rsp, count = word_at(image->mm, at);

	at += 8 * (count + 2);
	while (word_at(image->mm, at))
		at += 8;
	for (at += 8;; at += 16) {
		u64 t = word_at(image->mm, at);

		if (t == type)
			return word_at(image->mm, at + 8);
		if (t == AT_NULL)
			return UINT64_MAX;
	}
}

static int find_stack(const struct vma_info *v, void *arg)
{
	if (!v->name || strcmp(v->name, "[stack]"))
		return 0;
	*(u64 *)arg = v->start;
	return 1;
}

static void dynamic_program(void **state)
{
	struct image main_image, ld;
	struct file *f, *g;
	struct exec_args args = {0};
	struct exec_image x;
	u64 base, sp, stack = 0;

	image_init(&main_image, ET_DYN, 0, "/lib/ld.so");
	image_init(&ld, ET_DYN, 0, NULL);
	memcpy((u8 *)&ld + 0x1000, "INTERPRE", 8);
	f = publish("/bin/program-with-a-long-name", &main_image, sizeof(main_image));
	g = publish("/lib/ld.so", &ld, sizeof(ld));
	add(&args, "prog", false);
	add(&args, "one", false);
	add(&args, "A=1", true);
	assert_int_equal(exec_args_add(&args, "late", 4, false), -EINVAL);
	assert_int_equal(exec_load(p, "/bin/program-with-a-long-name", &args, &x), 0);
	exec_args_free(&args);

	assert_string_equal(x.exe_path, "/bin/program-with-a-long-name");
	assert_string_equal(x.comm, "program-with-a-");
	assert_int_equal(x.regs.rflags, 0x202);
	assert_int_equal(word_at(x.mm, x.regs.rip), 0x4552505245544e49); /* INTERPRE */
	assert_int_equal(auxv(&x, AT_BASE) + 0x1000, x.regs.rip);
	base = auxv(&x, AT_PHDR) - sizeof(Elf64_Ehdr);
	assert_int_equal(auxv(&x, AT_ENTRY), base + 0x1000);
	assert_int_equal(auxv(&x, AT_PHNUM), 4);
	assert_int_equal(auxv(&x, AT_PHENT), 56);
	assert_int_equal(auxv(&x, AT_PAGESZ), 4096);
	assert_int_equal(auxv(&x, AT_UID), 7);
	assert_int_equal(auxv(&x, AT_SECURE), 0);
	assert_int_equal(auxv(&x, AT_SYSINFO_EHDR), UINT64_MAX);
	assert_true(auxv(&x, 51) > 832);
	string_at(x.mm, auxv(&x, AT_EXECFN), "/bin/program-with-a-long-name");
	string_at(x.mm, auxv(&x, AT_PLATFORM), "x86_64");
	assert_true(word_at(x.mm, auxv(&x, AT_RANDOM)) != 0);

	sp = x.regs.rsp;
	assert_int_equal(sp % 16, 0);
	assert_int_equal(word_at(x.mm, sp), 2);
	string_at(x.mm, word_at(x.mm, sp + 8), "prog");
	string_at(x.mm, word_at(x.mm, sp + 16), "one");
	assert_int_equal(word_at(x.mm, sp + 24), 0);
	string_at(x.mm, word_at(x.mm, sp + 32), "A=1");
	assert_int_equal(word_at(x.mm, sp + 40), 0);
	assert_int_equal(x.arg_start, word_at(x.mm, sp + 8));
	assert_int_equal(x.arg_end - x.arg_start, 9);
	assert_int_equal(x.env_end - x.env_start, 4);

	/* Data from the file, then zeroes to the end of bss, then nothing. */
	assert_int_equal(word_at(x.mm, base + 0x3010), 0xdddddddddddddddd);
	assert_int_equal(word_at(x.mm, base + 0x3010 + DATA_SIZE), 0);
	assert_int_equal(word_at(x.mm, base + 0x3010 + DATA_SIZE + BSS_SIZE - 8), 0);
	assert_int_equal(mm_handle_fault(x.mm, base + 0x3010, MM_WRITE), 0);
	assert_int_equal(mm_handle_fault(x.mm, base + 0x1000, MM_WRITE), -EACCES);
	assert_int_equal(mm_handle_fault(x.mm, base + 0x1000, MM_EXEC), 0);
	assert_int_equal(mm_handle_fault(x.mm, base + 0x3010, MM_EXEC), -EACCES);
	assert_int_equal(mm_handle_fault(x.mm, base + 0x2000, MM_READ), -EACCES); /* between */
	assert_int_equal(mm_handle_fault(x.mm, sp, MM_WRITE), 0);
	assert_int_equal(mm_handle_fault(x.mm, sp - MIB(4), MM_WRITE), 0);
	assert_int_equal(mm_handle_fault(x.mm, sp, MM_EXEC), -EACCES);
	mm_for_each(x.mm, find_stack, &stack);
	assert_true(stack && stack < sp && sp - stack < MIB(8));
	assert_int_equal(mm_handle_fault(x.mm, stack, MM_WRITE), 0);
	assert_int_equal(mm_handle_fault(x.mm, stack - 8, MM_WRITE), -EACCES); /* the guard */
	assert_true(mm_brk(x.mm, 0) > 0);
	exec_image_free(&x);
	unpublish("/bin/program-with-a-long-name", f);
	unpublish("/lib/ld.so", g);
}

/* As the first thread of the new program does it. */
static void finish(struct exec_image *x)
{
	turn_detach();
	p->mm = x->mm;
	p->exe = x->exe;
	turn_attach(p->mm);
	assert_int_equal(exec_finish(p), 0);
	p->exe = NULL;
}

static void end(struct exec_image *x)
{
	mm_retire_member(x->mm);
	exec_image_free(x);
}

static void fixed_program(void **state)
{
	u64 vaddr = fake_zone_start() + MIB(1), word = 7, free_bytes;
	struct mm *first = p->mm;
	struct exec_image x, y, z;
	struct image image;
	struct file *f;

	image_init(&image, ET_EXEC, vaddr, NULL);
	f = publish("/bin/fixed", &image, sizeof(image));
	mm_system_totals(&free_bytes, &free_bytes);
	assert_int_equal(load("/bin/fixed", &x), 0);
	assert_true(x.is_late);
	assert_int_equal(x.regs.rip, vaddr + 0x1000);
	assert_int_equal(auxv(&x, AT_BASE), 0);
	assert_int_equal(auxv(&x, AT_PHDR), vaddr + sizeof(Elf64_Ehdr));
	finish(&x);
	assert_int_equal(word_at(x.mm, vaddr + 0x1000), 0x9090909090909090);
	assert_int_equal(mm_handle_fault(x.mm, vaddr + 0x3010, MM_WRITE), 0);
	assert_int_equal(mm_brk(x.mm, 0), vaddr + 0x6000); /* right behind it */
	assert_int_equal(mm_write_foreign(x.mm, vaddr + 0x3010, &word, 8), 0);
	/* Others at the same addresses take turns with it. */
	assert_int_equal(load("/bin/fixed", &y), 0);
	assert_int_equal(load("/bin/fixed", &z), 0);
	finish(&y);
	assert_int_equal(word_at(y.mm, vaddr + 0x3010), 0xdddddddddddddddd);
	word = 8;
	assert_int_equal(mm_write_foreign(y.mm, vaddr + 0x3010, &word, 8), 0);
	finish(&z);
	assert_int_equal(word_at(z.mm, vaddr + 0x3010), 0xdddddddddddddddd);
	assert_int_equal(word_at(x.mm, vaddr + 0x3010), 7);
	assert_int_equal(word_at(x.mm, vaddr + 0x1000), 0x9090909090909090);
	assert_int_equal(word_at(y.mm, vaddr + 0x3010), 8);
	end(&y);
	assert_int_equal(word_at(x.mm, vaddr + 0x3010), 7);
	end(&x);
	assert_int_equal(word_at(z.mm, vaddr + 0x3010), 0xdddddddddddddddd);
	assert_int_equal(mm_handle_fault(z.mm, vaddr + 0x1000, MM_EXEC), 0);
	end(&z);
	mm_system_totals(&word, &word);
	assert_int_equal(word, free_bytes);
	/* One that never ran. */
	assert_int_equal(load("/bin/fixed", &y), 0);
	exec_image_free(&y);
	p->mm = first;
	unpublish("/bin/fixed", f);
	/* As in an enclave that does not begin at 0. */
	image_init(&image, ET_EXEC, 0x400000, NULL);
	assert_int_equal(load_bytes(&image, sizeof(image)), -ENOEXEC);
	assert_non_null(strstr(fake_last_log(), "does not have that address"));
}

static void scripts(void **state)
{
	struct image image;
	struct file *f, *s, *t;
	struct exec_args args = {0};
	struct exec_image x;
	u64 sp;
	char line[400];

	image_init(&image, ET_DYN, 0, NULL);
	f = publish("/bin/sh", &image, sizeof(image));
	s = publish("/s", "#! /bin/sh -e x \nexit\n", 22);
	t = publish("/t", "#!/s", 4);
	add(&args, "argv0", false);
	add(&args, "arg", false);
	assert_int_equal(exec_load(p, "/s", &args, &x), 0);
	exec_args_free(&args);
	sp = x.regs.rsp;
	assert_int_equal(word_at(x.mm, sp), 4);
	string_at(x.mm, word_at(x.mm, sp + 8), "/bin/sh");
	string_at(x.mm, word_at(x.mm, sp + 16), "-e x");
	string_at(x.mm, word_at(x.mm, sp + 24), "/s");
	string_at(x.mm, word_at(x.mm, sp + 32), "arg");
	string_at(x.mm, auxv(&x, AT_EXECFN), "/s");
	assert_string_equal(x.exe_path, "/bin/sh");
	assert_string_equal(x.comm, "s");
	exec_image_free(&x);
	/* A script run by a script; arguments that nobody gave. */
	assert_int_equal(exec_load(p, "/t", &args, &x), 0);
	exec_args_free(&args);
	sp = x.regs.rsp;
	assert_int_equal(word_at(x.mm, sp), 4);
	string_at(x.mm, word_at(x.mm, sp + 8), "/bin/sh");
	string_at(x.mm, word_at(x.mm, sp + 24), "/s");
	string_at(x.mm, word_at(x.mm, sp + 32), "/t");
	exec_image_free(&x);
	unpublish("/t", t);
	t = publish("/t", "#!/t\n", 5);
	assert_int_equal(load("/t", &x), -ELOOP);
	unpublish("/t", t);
	unpublish("/s", s);
	unpublish("/bin/sh", f);
	assert_int_equal(load_bytes("#!/bin/missing\n", 15), -ENOENT);
	assert_int_equal(load_bytes("#!", 2), -ENOEXEC);
	assert_int_equal(load_bytes("#!   \n/bin/sh", 13), -ENOEXEC);
	memset(line, 'a', sizeof(line));
	memcpy(line, "#!", 2);
	assert_int_equal(load_bytes(line, sizeof(line)), -ENOEXEC);
	assert_int_equal(load("/nothing", &x), -ENOENT);
}

static int broken(void (*change)(struct image *i))
{
	struct image image;

	image_init(&image, ET_DYN, 0, NULL);
	change(&image);
	return load_bytes(&image, sizeof(image));
}

static void change_magic(struct image *i)
{
	i->e.e_ident[0] = 0;
}
static void change_class(struct image *i)
{
	i->e.e_ident[EI_CLASS] = ELFCLASS32;
}
static void change_machine(struct image *i)
{
	i->e.e_machine = EM_386;
}
static void change_type(struct image *i)
{
	i->e.e_type = ET_REL;
}
static void change_phnum(struct image *i)
{
	i->e.e_phnum = 0;
}
static void change_phnum_much(struct image *i)
{
	i->e.e_phnum = 60000;
}
static void change_phoff(struct image *i)
{
	i->e.e_phoff = UINT64_MAX - 8;
}
static void change_no_load(struct image *i)
{
	i->p[0].p_type = PT_NULL;
	i->p[1].p_type = PT_NULL;
}
static void change_offset(struct image *i)
{
	i->p[1].p_offset = FILE_SIZE;
}
static void change_filesz(struct image *i)
{
	i->p[1].p_filesz = i->p[1].p_memsz + 1;
}
static void change_vaddr(struct image *i)
{
	i->p[1].p_vaddr = 0xffffffffffff0010;
}
static void change_alignment(struct image *i)
{
	i->p[1].p_vaddr += 1;
}
static void change_overlap(struct image *i)
{
	i->p[1].p_vaddr = 0x1010;
}
static void change_entry(struct image *i)
{
	i->e.e_entry = 0x3010;
}
static void change_no_entry(struct image *i)
{
	i->e.e_entry = 0;
}
static void change_huge(struct image *i)
{
	i->p[1].p_memsz = 1ull << 46;
}

static void malformed_files(void **state)
{
	struct image image;
	struct file *f, *g;
	struct exec_image x;

	assert_int_equal(broken(change_magic), -ENOEXEC);
	assert_int_equal(broken(change_class), -ENOEXEC);
	assert_int_equal(broken(change_machine), -ENOEXEC);
	assert_int_equal(broken(change_type), -ENOEXEC);
	assert_int_equal(broken(change_phnum), -ENOEXEC);
	assert_int_equal(broken(change_phnum_much), -ENOEXEC);
	assert_int_equal(broken(change_phoff), -ENOEXEC);
	assert_int_equal(broken(change_no_load), -ENOEXEC);
	assert_int_equal(broken(change_offset), -ENOEXEC);
	assert_int_equal(broken(change_filesz), -ENOEXEC);
	assert_int_equal(broken(change_vaddr), -ENOEXEC);
	assert_int_equal(broken(change_alignment), -ENOEXEC);
	assert_int_equal(broken(change_overlap), -ENOEXEC);
	assert_int_equal(broken(change_entry), -ENOEXEC);
	assert_int_equal(broken(change_no_entry), -ENOEXEC);
	assert_int_equal(broken(change_huge), -ENOMEM);
	image_init(&image, ET_DYN, 0, NULL);
	for (size_t size = 0; size < sizeof(image.e) + 3 * sizeof(image.p[0]); size++)
		assert_int_equal(load_bytes(&image, size), -ENOEXEC);

	/* The interpreter: none there, no program, path without an end. */
	image_init(&image, ET_DYN, 0, "/lib/ld.so");
	assert_int_equal(load_bytes(&image, sizeof(image)), -ENOENT);
	assert_non_null(strstr(fake_last_log(), "/lib/ld.so"));
	f = publish("/bin/x", &image, sizeof(image));
	g = publish("/lib/ld.so", "no ELF file at all", 18);
	assert_int_equal(load("/bin/x", &x), -ELIBBAD);
	unpublish("/bin/x", f);
	unpublish("/lib/ld.so", g);
	image.p[3].p_filesz--;
	assert_int_equal(load_bytes(&image, sizeof(image)), -ENOEXEC);
}

static void arguments_are_bounded(void **state)
{
	struct exec_args args = {0};
	struct image image;
	struct file *f;
	struct exec_image x;
	char *big = malloc(EXEC_ARG_MAX);
	int err = 0;

	memset(big, 'a', EXEC_ARG_MAX);
	assert_int_equal(exec_args_add(&args, big, EXEC_ARG_MAX, false), -E2BIG);
	while (!err)
		err = exec_args_add(&args, big, EXEC_ARG_MAX - 1, false);
	assert_int_equal(err, -E2BIG);
	assert_true(args.size > EXEC_ARGS_MAX - EXEC_ARG_MAX - 4096);
	exec_args_free(&args);
	for (err = 0; !err;)
		err = exec_args_add(&args, "", 0, true);
	assert_int_equal(err, -E2BIG);
	exec_args_free(&args);
	/* Of a small stack a quarter, or 128 KiB where that is half of it. */
	image_init(&image, ET_DYN, 0, NULL);
	f = publish("/bin/x", &image, sizeof(image));
	p->limits[ABI_RLIMIT_STACK].soft = KIB(256);
	assert_int_equal(exec_args_add(&args, big, EXEC_ARG_MAX - 1, false), 0);
	assert_int_equal(exec_load(p, "/bin/x", &args, &x), -E2BIG);
	exec_args_free(&args);
	unpublish("/bin/x", f);
	free(big);
}

static void arguments_from_the_program(void **state)
{
	long at = mm_mmap(p->mm, 0, KIB(400), 3, 0x22, NULL, 0);
	struct exec_args args = {0};
	u64 argv[] = {at + 4000, at + 8000, 0};
	char *big = malloc(KIB(140));

	memset(big, 'b', KIB(140));
	assert_int_equal(copy_to_user((void *)at, argv, sizeof(argv)), 0);
	assert_int_equal(copy_to_user((void *)(at + 4000), "first", 6), 0);
	assert_int_equal(copy_to_user((void *)(at + 8000), big, 2000), 0);
	assert_int_equal(copy_to_user((void *)(at + 10000), "", 1), 0);
	assert_int_equal(exec_args_from_user(&args, at, 0), 0);
	assert_int_equal(args.argc, 2);
	assert_int_equal(args.size, 6 + 2001);
	assert_memory_equal(args.strings + 6, big, 2000);
	exec_args_free(&args);
	assert_int_equal(exec_args_from_user(&args, at, at + 8), 0);
	assert_int_equal(args.envc, 1);
	exec_args_free(&args);
	assert_int_equal(exec_args_from_user(&args, 16, 0), -EFAULT);
	exec_args_free(&args);
	assert_int_equal(exec_args_from_user(&args, at, (u64)big), -EFAULT);
	exec_args_free(&args);
	assert_int_equal(copy_to_user((void *)(at + 10000), big, KIB(140)), 0);
	assert_int_equal(exec_args_from_user(&args, at, 0), -E2BIG);
	exec_args_free(&args);
	free(big);
}

static void failures_leave_nothing(void **state)
{
	struct image image, ld;
	struct file *f, *g;
	struct exec_image x;
	int err = -ENOMEM;

	image_init(&image, ET_DYN, 0, "/lib/ld.so");
	image_init(&ld, ET_DYN, 0, NULL);
	f = publish("/bin/x", &image, sizeof(image));
	g = publish("/lib/ld.so", &ld, sizeof(ld));
	for (int n = 1; err; n++) {
		struct exec_args args = {0};

		add(&args, "x", false);
		fake_fail_allocation(n, false);
		err = exec_load(p, "/bin/x", &args, &x);
		fake_fail_allocation(0, false);
		exec_args_free(&args);
		assert_true(err == 0 || err == -ENOMEM);
		assert_true(n < 200);
	}
	exec_image_free(&x);
	err = -ENOMEM;
	for (int n = 1; err; n++) {
		fake_memory_fail_call(n);
		err = load("/bin/x", &x);
		assert_true(err == 0 || err == -ENOMEM);
		assert_true(n < 200);
	}
	fake_memory_fail_call(0);
	exec_image_free(&x);
	fake_fail_random(true);
	assert_int_equal(load("/bin/x", &x), -EIO);
	fake_fail_random(false);
	unpublish("/bin/x", f);
	unpublish("/lib/ld.so", g);
}

#define WITH_ZONE(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ZONE(dynamic_program),
		WITH_ZONE(fixed_program),
		WITH_ZONE(scripts),
		WITH_ZONE(malformed_files),
		WITH_ZONE(arguments_are_bounded),
		WITH_ZONE(arguments_from_the_program),
		WITH_ZONE(failures_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
