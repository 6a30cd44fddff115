// SPDX-License-Identifier: Apache-2.0
/* The program loader on a hostile file that is its own interpreter too: nothing may be left. */
#include <stdlib.h>

#include "abi/errno.h"
#include "abi/resource.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/exec.h"
#include "kernel/vfs/file.h"
#include "tests/fakes/memory.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

static void run(struct process *p)
{
	struct exec_args args = {0};
	struct exec_image image;
	int err = exec_args_add(&args, "x", 1, false);

	if (!err)
		err = exec_load(p, "/bin/x", &args, &image);
	exec_args_free(&args);
	if (err)
		return;
	/* What the program would do first. Any answer is fine. */
	if (mm_handle_fault(image.mm, image.regs.rip, MM_EXEC) > 0 ||
	    mm_handle_fault(image.mm, image.regs.rsp, MM_WRITE) ||
	    mm_brk(image.mm, mm_brk(image.mm, 0) + KIB(64)) <= 0)
		abort();
	exec_image_free(&image);
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct fake_file_options program = {.path = "/bin/x"}, interpreter = {.path = "/lib/ld.so"};
	struct process *p = fake_memory_start(MIB(32), false);
	struct file *f, *g;

	p->limits[ABI_RLIMIT_STACK].soft = MIB(1);
	p->limits[ABI_RLIMIT_DATA].soft = MIB(1);
	p->limits[ABI_RLIMIT_AS].soft = UINT64_MAX;
	f = fake_file_new(bytes, size, &program);
	g = fake_file_new(bytes, size, &interpreter);
	fake_file_publish("/bin/x", f);
	fake_file_publish("/lib/ld.so", g);
	run(p);
	fake_file_publish("/bin/x", NULL);
	fake_file_publish("/lib/ld.so", NULL);
	file_put(f);
	file_put(g);
	if (!fake_memory_stop())
		abort();
	return 0;
}
