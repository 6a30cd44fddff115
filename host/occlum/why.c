// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel answers a start with an error number, as execve() does, and that leaves out which of
 * several files it is about: a script's interpreter, a program's loader. Here the same files are
 * looked at in image/, with links that stay inside it, until one of them explains the number. The
 * enclave has decided already; this is for the reader of the message.
 */
#include "host/occlum/why.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/occlum/file.h"
#include "lib/elf/elf.h"

#define SCRIPT_LINE_MAX	 256 /* as much of it as Linux reads */
#define INTERPRETERS_MAX 5   /* scripts that are interpreters of scripts */
#define ELF_MACHINE_AT	 18

struct look {
	int root, error;
	char path[PATH_MAX]; /* of the file that is looked at */
	char who[PATH_MAX + 32];
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static void tell(struct look *l, const char *format, ...)
{
	size_t len = (size_t)snprintf(l->text, l->size, "%s ", l->who);
	va_list args;

	va_start(args, format);
	if (len < l->size)
		vsnprintf(l->text + len, l->size - len, format, args);
	va_end(args);
}

static bool is_in_image(const struct look *l, const char *path)
{
	int fd = file_open_in_root(l->root, path, O_PATH);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno == EACCES;
}

static const char *machine_name(u16 machine)
{
	static const struct {
		u16 number;
		const char *name;
	} machines[] = {
		{3, "32-bit x86"},	{8, "MIPS"},	 {20, "PowerPC"},
		{21, "64-bit PowerPC"}, {22, "s390"},	 {40, "32-bit Arm"},
		{183, "AArch64"},	{243, "RISC-V"}, {258, "LoongArch"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		if (machines[i].number == machine)
			return machines[i].name;
	}
	return "another processor";
}

static int read_at(void *ctx, void *buf, size_t size, u64 offset)
{
	return pread(*(int *)ctx, buf, size, (off_t)offset) == (ssize_t)size ? 0 : -EIO;
}

static void look_at_elf(struct look *l, int fd, u64 file_size, const u8 *head, size_t size)
{
	struct elf_source source = {.ctx = &fd, .size = file_size, .read = read_at};
	struct elf_header header;
	struct elf_layout layout;
	char loader[ELF_INTERP_MAX];
	u16 machine;

	if (size < ELF_HEADER_SIZE) {
		tell(l, "is an ELF file that is cut off");
		return;
	}
	machine = (u16)(head[ELF_MACHINE_AT] | head[ELF_MACHINE_AT + 1] << 8);
	if (machine != ELF_MACHINE_X86_64)
		tell(l, "is built for %s", machine_name(machine));
	else if (elf_header_parse(head, file_size, &header) < 0 ||
		 elf_layout_read(&source, &header, &layout) < 0)
		tell(l, "is an ELF file and no program: damaged, or not linked");
	else if (elf_interp_read(&source, &layout, loader, sizeof(loader)) == 0 &&
		 !is_in_image(l, loader))
		snprintf(l->text, l->size, "the loader '%s' is not in the image", loader);
}

/* "#! interpreter [argument]": the interpreter is the next to be looked at. */
static bool follow_script(struct look *l, char *head)
{
	char *name = head + 2 + strspn(head + 2, " \t");
	size_t len = strcspn(name, " \t\n");

	name[len] = '\0';
	if (len == 0) {
		tell(l, "has a #! line without an interpreter");
		return false;
	}
	if (name[len - 1] == '\r' && !is_in_image(l, name)) {
		name[len - 1] = '\0';
		tell(l, "has the line ends of DOS: a carriage return follows its interpreter '%s'",
		     name);
		return false;
	}
	snprintf(l->path, sizeof(l->path), "%s", name);
	snprintf(l->who, sizeof(l->who), "its interpreter '%s'", name);
	return true;
}

/* True when there is another file to look at. */
static bool look_at_file(struct look *l, int fd, const struct stat *st)
{
	char head[SCRIPT_LINE_MAX + 1] = "";
	ssize_t size = pread(fd, head, SCRIPT_LINE_MAX, 0);

	if (size >= 4 && memcmp(head, "\177ELF", 4) == 0 && l->error != EACCES)
		look_at_elf(l, fd, (u64)st->st_size, (const u8 *)head, (size_t)size);
	else if (size >= 2 && memcmp(head, "#!", 2) == 0)
		return follow_script(l, head);
	else if (size == 0 && l->error == ENOEXEC)
		tell(l, "is empty");
	else if (size > 0 && l->error == ENOEXEC)
		tell(l, "is neither an ELF program nor a script with a #! line");
	return false;
}

static bool look_at(struct look *l, bool is_first)
{
	struct stat st = {0};
	bool is_more = false;
	int fd = file_open_in_root(l->root, l->path, O_PATH);

	if (fd < 0) {
		if (errno == ENOENT && l->error == ENOENT && !is_first)
			tell(l, "is not in the image");
		return false;
	}
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && l->error == EACCES)
		tell(l, "is a directory");
	else if (S_ISREG(st.st_mode) && !(st.st_mode & 0111) && l->error == EACCES)
		tell(l, "has no x bit: chmod +x");
	close(fd);
	if (l->text[0] || !S_ISREG(st.st_mode))
		return false;
	fd = file_open_in_root(l->root, l->path, O_RDONLY);
	if (fd < 0)
		return false;
	is_more = look_at_file(l, fd, &st);
	close(fd);
	return is_more;
}

bool why_not_run(int error, const char *path, char *text, size_t size)
{
	struct look l = {.error = error, .who = "it", .text = text, .size = size};
	bool is_there;

	text[0] = '\0';
	l.root = open("image", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l.root < 0)
		return false;
	is_there = is_in_image(&l, path);
	snprintf(l.path, sizeof(l.path), "%s", path);
	for (int i = 0; is_there && i <= INTERPRETERS_MAX && look_at(&l, i == 0); i++)
		;
	close(l.root);
	return is_there;
}
