/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel heap: kernel_space_heap_size bytes, measured in number, not in content. Every
 * allocation can fail; exhaustion is -ENOMEM for the program and one log line that names
 * resource_limits.kernel_space_heap_size. Thread safe; never sleeps.
 */
#pragma once

#include "lib/base/types.h"

void *kmalloc(size_t size) __must_check;	       /* not zeroed; 16-byte aligned */
void *kzalloc(size_t size) __must_check;	       /* zeroed */
void *kcalloc(size_t count, size_t size) __must_check; /* zeroed; overflow-checked */
void *krealloc(void *p, size_t size) __must_check;     /* keeps p on failure */
void kfree(void *p);				       /* NULL is fine */
char *kstrdup(const char *s) __must_check;

/* `count` whole pages, page aligned, zeroed. */
void *kpages_alloc(size_t count) __must_check;
void kpages_free(void *p, size_t count);

struct kmem_stats {
	size_t total, used, peak; /* bytes */
};
void kmem_stats(struct kmem_stats *ret);
