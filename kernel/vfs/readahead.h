/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading ahead of a program that reads a file in order: kernel threads fetch the next pages while
 * the program works with those before. Requests wait in a short queue; where it is full, or no
 * thread is to be had, nothing is read ahead, and whoever comes to a page reads it himself.
 */
#pragma once

#include "kernel/vfs/pagecache.h"

struct read_ahead {
	struct page_cache *cache; /* v's */
	struct vnode *v;	  /* borrowed until read_ahead_forget() */
	u64 index;
	u32 count;
	page_fill_fn fill;
};

void read_ahead_init(void);
void read_ahead_queue(const struct read_ahead *r);
/* Nothing of this cache is asked for or under way any more; nobody asks for more. May sleep. */
void read_ahead_forget(const struct page_cache *c);
