// SPDX-License-Identifier: Apache-2.0
/* What watches queue when there is too much of it. What they report: tests/syscalls/watching.c. */
#include "kernel/vfs/inotify.h"

#include <stdio.h>
#include <string.h>

#include "abi/errno.h"
#include "kernel/vfs/file_ops.h"
#include "tests/fakes/fakes.h"
#include "tests/unit.h"

static struct file *new_set(void)
{
	static bool is_ready;
	struct file *set;

	if (!is_ready)
		assert_int_equal(anon_fs_init(), 0);
	is_ready = true;
	assert_int_equal(inotify_new(IN_NONBLOCK, &set), 0);
	return set;
}

/* Events that wait in the set; *ret_overflows of them say that others are missing. */
static u32 drain(struct file *set, u32 *ret_overflows)
{
	static char buf[65536] __attribute__((aligned(8)));
	u32 count = 0;

	*ret_overflows = 0;
	for (;;) {
		struct uio uio = uio_kernel(buf, sizeof(buf));
		long n = file_read(set, &uio);

		if (n < 0) {
			assert_int_equal(n, -EAGAIN);
			return count;
		}
		for (long at = 0; at < n; count++) {
			const struct abi_inotify_event *e = (void *)(buf + at);

			*ret_overflows += e->wd == -1 && e->mask == IN_Q_OVERFLOW;
			at += (long)(sizeof(*e) + e->len);
		}
	}
}

static void an_overflow_is_told_without_memory(void **state)
{
	struct file *set, *f;
	u32 overflows;

	set = new_set();
	f = new_set(); /* any file will do */
	assert_int_equal(inotify_add(set, f->vnode, IN_ALL_EVENTS), 1);
	fake_fail_allocation(1, true);
	report_vnode(f->vnode, IN_MODIFY);
	report_vnode(f->vnode, IN_ATTRIB);
	fake_fail_allocation(0, false);
	report_vnode(f->vnode, IN_MODIFY);
	assert_int_equal(drain(set, &overflows), 2);
	assert_int_equal(overflows, 1);
	fake_fail_allocation(1, true);
	report_vnode(f->vnode, IN_MODIFY);
	fake_fail_allocation(0, false);
	assert_int_equal(drain(set, &overflows), 1);
	assert_int_equal(overflows, 1);
	file_put(f);
	file_put(set);
}

#define SETS 8

static void report_names(struct file *folder, u32 count)
{
	char name[NAME_MAX_LEN + 1];

	for (u32 i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%0250u", i);
		report_name(folder->dentry, (struct vfs_name){name, strlen(name)}, false,
			    IN_CREATE);
	}
}

/* Of a heap of 1 GiB, which is what the fake says, one part in 32. */
static void all_sets_have_one_share_of_the_heap(void **state)
{
	struct file *sets[SETS], *folder;
	u32 total = 0, overflows;

	folder = new_set();
	for (u32 i = 0; i < SETS; i++) {
		sets[i] = new_set();
		assert_int_equal(inotify_add(sets[i], folder->vnode, IN_ALL_EVENTS), 1);
	}
	report_names(folder, INOTIFY_EVENTS_MAX - 1);
	for (u32 i = 0; i < SETS; i++) {
		total += drain(sets[i], &overflows);
		assert_int_equal(overflows, 1);
	}
	assert_in_range((u64)total * 272, MIB(28), MIB(32));
	/* What was read has made room. */
	report_names(folder, 100);
	for (u32 i = 0; i < SETS; i++) {
		assert_int_equal(drain(sets[i], &overflows), 100);
		assert_int_equal(overflows, 0);
	}
	report_names(folder, 100);
	for (u32 i = 0; i < SETS; i++)
		file_put(sets[i]);
	file_put(folder);
}

UNIT_TESTS(an_overflow_is_told_without_memory, all_sets_have_one_share_of_the_heap)
