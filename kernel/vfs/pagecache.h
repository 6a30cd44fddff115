/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plaintext pages of files whose bytes are costly to get (secvol). Write-through: the file system
 * is written first, then the cached pages. One limit for the whole instance, taken from the kernel
 * heap; the least recently used pages go first. Copies to the caller happen without any lock.
 */
#pragma once

#include "kernel/vfs/vnode.h"

struct page_cache;
struct read_ahead;

/*
 * Reads `count` whole pages from `index` on (zeros beyond the end), each to its place. 0 or -errno:
 * none of them counts.
 */
typedef int (*page_fill_fn)(struct vnode *v, u64 index, u32 count, u8 *const *to);

void page_cache_init(size_t limit); /* bytes */
size_t page_cache_used(void);

/* Bytes at `offset` of a file of `size` bytes. */
long page_cache_read(struct vnode *v, struct uio *uio, u64 offset, u64 size, page_fill_fn fill);
/* What a request of readahead.h asks for and is not there yet; errors are left to who reads. */
void page_cache_read_ahead(const struct read_ahead *r);
/* The file system took these bytes: cached pages follow. */
void page_cache_write(struct vnode *v, u64 offset, const void *from, size_t size);
/* [offset, end) is gone or became zeros in another way. */
void page_cache_discard(struct vnode *v, u64 offset, u64 end);
void page_cache_free(struct page_cache *c);
