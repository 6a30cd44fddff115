// SPDX-License-Identifier: Apache-2.0
/* What the host may start, when names change under the check. */
#include "kernel/core/entry_point.h"

#include <elf.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/resource.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/vfs/file.h"
#include "tests/fakes/fakes.h"
#include "tests/fakes/memory.h"
#include "tests/unit.h"

static const s32 no_stdio[3] = {-1, -1, -1};
static struct occlum_config config = {
	.max_threads = 4,
	.default_stack_size = MIB(1),
	.default_heap_size = MIB(1),
	.app = {.entry_point_count = 1, .entry_points = {"/bin"}},
};

const struct occlum_config *kernel_config(void)
{
	return &config;
}

/* What a name leads to, time after time; the last stays. */
static struct file *found[3];
static int opens;

int vfs_open_exec(struct fs_context *ctx, const char *path, struct file **ret_file)
{
	(void)ctx;
	(void)path;
	if (!found[opens])
		return -ENOENT;
	*ret_file = file_get(found[opens]);
	if (opens < 2 && found[opens + 1])
		opens++;
	return 0;
}

/* A program of one page that is never run. */
static struct file *program(const char *path)
{
	static u8 bytes[4096];
	struct fake_file_options options = {.path = path};
	Elf64_Ehdr *e = (Elf64_Ehdr *)bytes;
	Elf64_Phdr *p = (Elf64_Phdr *)(e + 1);

	memcpy(e->e_ident, ELFMAG, 4);
	e->e_ident[EI_CLASS] = ELFCLASS64;
	e->e_ident[EI_DATA] = ELFDATA2LSB;
	e->e_ident[EI_VERSION] = EV_CURRENT;
	e->e_type = ET_DYN;
	e->e_machine = EM_X86_64;
	e->e_version = EV_CURRENT;
	e->e_entry = 0x800;
	e->e_phoff = sizeof(*e);
	e->e_ehsize = sizeof(*e);
	e->e_phentsize = sizeof(*p);
	e->e_phnum = 1;
	*p = (Elf64_Phdr){.p_type = PT_LOAD,
			  .p_flags = PF_R | PF_X,
			  .p_filesz = sizeof(bytes),
			  .p_memsz = sizeof(bytes),
			  .p_align = 0x1000};
	return fake_file_new(bytes, sizeof(bytes), &options);
}

static int start(void **state)
{
	id_release(id_alloc()); /* the table of ids stays */
	fake_memory_start(MIB(64), false);
	memset(found, 0, sizeof(found));
	opens = 0;
	config.entry_args_count = 0;
	return 0;
}

static int stop(void **state)
{
	for (int i = 0; i < 3; i++) {
		if (found[i])
			file_put(found[i]);
	}
	return fake_memory_stop() ? 0 : -1;
}

static int create(const char *path, const char *argument, struct process **ret)
{
	struct exec_args args = {0};
	int err = exec_args_add(&args, "x", 1, false);

	if (!err && argument)
		err = exec_args_add(&args, argument, strlen(argument), false);
	assert_int_equal(err, 0);
	err = entry_point_create(path, &args, no_stdio, ret);
	exec_args_free(&args);
	return err;
}

static void end(struct process *p)
{
	struct thread *t = list_first_entry(&p->threads, struct thread, process_node);

	thread_detach(t);
	id_release(p->pid);
	process_release_resources(p);
	process_reap(p);
	process_put(p);
	process_put(t->process);
	kfree(t);
}

static void what_was_checked_is_loaded(void **state)
{
	struct process *p = NULL;

	found[0] = program("/bin/good");
	found[1] = program("/tmp/evil");
	assert_int_equal(create("/bin/link", NULL, &p), 0);
	assert_ptr_equal(p->exe, found[0]);
	assert_string_equal(p->exe_path, "/bin/good");
	assert_true(fake_file_reads(found[0]) > 0);
	assert_int_equal(fake_file_reads(found[1]), 0);
	end(p);
}

static void the_object_counts_not_its_name(void **state)
{
	struct process *p = NULL;

	found[0] = program("/tmp/evil");
	assert_int_equal(create("/bin/link", NULL, &p), -EPERM);
	assert_non_null(strstr(fake_last_log(), "entry_points"));
	assert_int_equal(fake_file_reads(found[0]), 0);
	assert_null(p);
}

/* What is not there and what may not be started look the same outside the entry points. */
static void names_are_not_for_trying_out(void **state)
{
	static const char *const outside[] = {"/secret/none", "/bin/../secret/none", "/binary"};
	struct process *p = NULL;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(create(outside[i], NULL, &p), -EPERM);
		assert_non_null(strstr(fake_last_log(), "entry_points"));
	}
	assert_int_equal(create("/bin/none", NULL, &p), -ENOENT);
	assert_int_equal(create("//bin///none/", NULL, &p), -ENOENT);
	assert_int_equal(create("/bin/", NULL, &p), -ENOENT);
	assert_int_equal(create("/", NULL, &p), -EPERM);
}

static void arguments_hold_for_either_name(void **state)
{
	static const char *const names[] = {"/bin/good", "/bin/link"};
	struct process *p = NULL;

	found[0] = program("/bin/good");
	for (int i = 0; i < 2; i++) {
		config.entry_args_count = 1;
		config.entry_args[0].path = names[i];
		config.entry_args[0].pattern_count = 1;
		config.entry_args[0].patterns[0] = "yes";
		assert_int_equal(create("/bin/link", "no", &p), -EPERM);
		assert_non_null(strstr(fake_last_log(), "entry_args"));
		assert_int_equal(create("/bin/link", NULL, &p), -EPERM);
		assert_int_equal(create("/bin/link", "yes", &p), 0);
		end(p);
	}
}

#define WITH_ZONE(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ZONE(what_was_checked_is_loaded),
		WITH_ZONE(the_object_counts_not_its_name),
		WITH_ZONE(names_are_not_for_trying_out),
		WITH_ZONE(arguments_hold_for_either_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
