/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user zone for unit tests: an ordinary reserved range whose protection the fake host really
 * changes, so that what kernel/mm tells the host is what the processor enforces; files that are
 * byte arrays; and a process that owns the test's threads.
 */
#pragma once

#include "kernel/proc/process.h"
#include "lib/base/types.h"

#define FAKE_ZONE_SIZE GIB(1)

/* Reserves the range, initialises kernel/mm over it and gives the process a fresh mm. */
struct process *fake_memory_start(u64 limit, bool strict);
/* Ends the process's mm and kernel/mm; false: something was left behind. */
bool fake_memory_stop(void);

u64 fake_zone_start(void);
u64 fake_zone_movable(void);

/* How often the host was called for memory since the start; its n-th next call fails. */
u64 fake_memory_calls(void);
void fake_memory_fail_call(long n);

/*
 * From now on in this test, a copy to or from user memory may fault as it may in the enclave. The
 * hook is called for each fault, in a signal handler; NULL: nothing.
 */
void fake_memory_on_fault(void (*hook)(void *address));

/* A hostile host: changes the protection of the page around `address` unasked. */
void fake_memory_host_protect(u64 address, u32 prot);

struct fake_file_options {
	const void *sites; /* items of 8 bytes, as struct file_sites */
	size_t sites_size;
	const char *path;
	bool is_noexec, is_readonly, is_unreadable;
	bool is_cacheable;	   /* of the measured image: never changes */
	struct mem_object *object; /* for file_shared_object(); borrowed */
};
/* A counted file over a copy of the bytes; NULL options: none of them. */
struct file *fake_file_new(const void *bytes, size_t size, const struct fake_file_options *options);
u64 fake_file_reads(const struct file *f);
/* vfs_open_exec() finds the file under this absolute path; NULL removes. Borrowed. */
void fake_file_publish(const char *path, struct file *f);
long fake_files_live(void);
