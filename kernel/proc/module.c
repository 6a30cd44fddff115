// SPDX-License-Identifier: Apache-2.0
/*
 * Where code lies, in words that survive address randomisation: the file and the offset in it,
 * which is what addr2line and objdump need. And the list of sites whose system calls trap, told
 * once each at log level debug, for those who want to know why a program's calls are slow.
 */
#include "kernel/core/config.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

#define LOG_TAG "proc"
#include "kernel/core/log.h"

#define SITES_TOLD_MAX 256 /* a power of two */

static u64 sites_told[SITES_TOLD_MAX]; /* atomic; open addressing */

struct search {
	u64 address;
	struct module_place *ret;
};

static int visit(const struct vma_info *v, void *arg)
{
	struct search *s = arg;
	char path[512];

	if (s->address < v->start || s->address >= v->end)
		return 0;
	s->ret->offset = s->address - v->start;
	if (v->file && file_path(v->file, path, sizeof(path)) > 0) {
		const char *slash = strrchr(path, '/');

		(void)str_copy(s->ret->name, slash ? slash + 1 : path, sizeof(s->ret->name));
		s->ret->offset += v->offset;
	} else {
		(void)str_copy(s->ret->name, v->name ? v->name : "[anonymous]",
			       sizeof(s->ret->name));
	}
	return 1;
}

void process_find_module(struct process *p, u64 address, struct module_place *ret)
{
	struct search s = {.address = address, .ret = ret};

	*ret = (struct module_place){0};
	if (!mm_for_each(p->mm, visit, &s))
		(void)str_copy(ret->name, "[unmapped]", sizeof(ret->name));
}

/* True the first time; false, too, when the table is full. */
static bool is_new_site(u64 rip)
{
	for (u64 i = 0; i < SITES_TOLD_MAX; i++) {
		u64 *slot = &sites_told[(rip / 2 + i) % SITES_TOLD_MAX], expected = 0;

		if (__atomic_compare_exchange_n(slot, &expected, rip, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
		if (expected == rip)
			return false;
	}
	return false;
}

void process_note_trap(u64 rip, u64 number)
{
	struct process *p = current_process();
	struct module_place place;

	if (likely(log_level < LOG_DEBUG) || !kernel_config()->debuggable || !is_new_site(rip))
		return;
	process_find_module(p, rip, &place);
	log_debug("%s (process %d): system call %llu trapped at %s+0x%llx.", p->comm, p->pid,
		  (unsigned long long)number, place.name, (unsigned long long)place.offset);
}
