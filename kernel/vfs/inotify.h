/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify: watches on vnodes, and the events that operations on names and open files report to
 * them. While nobody watches anything a report is one load.
 */
#pragma once

#include "abi/inotify.h"
#include "kernel/vfs/dentry.h"

#define INOTIFY_EVENTS_MAX  16384u /* that wait in one set */
#define INOTIFY_SETS_MAX    128u
#define INOTIFY_WATCHES_MAX 8192u /* of all sets */

struct file;

/* A set of watches; flags: IN_NONBLOCK. -EMFILE: there are too many. */
int __must_check inotify_new(u32 flags, struct file **ret);
bool file_is_inotify(const struct file *f);
/*
 * Watches `v` for the set `f`; the caller has checked rights and mask. The watch's number, which
 * `v` keeps if it has one there, or -EEXIST (IN_MASK_CREATE), -ENOSPC, -ENOMEM.
 */
int __must_check inotify_add(struct file *f, struct vnode *v, u32 mask);
/* -EINVAL: the set has no watch with that number. */
int __must_check inotify_remove(struct file *f, s32 wd);

/* --- reports; any lock of the vfs that sleeps may be held --- */

extern u32 inotify_watch_count; /* atomic */

static inline bool inotify_has_watches(void)
{
	return unlikely(__atomic_load_n(&inotify_watch_count, __ATOMIC_RELAXED) != 0);
}

void inotify_tell_file(struct dentry *d, u32 event);
void inotify_tell_folder(struct dentry *dir, struct vfs_name name, bool is_dir, u32 event,
			 u32 cookie);
void inotify_tell_vnode(struct vnode *v, u32 event);
void inotify_name_is_gone(struct vnode *v);
/* A number that the two halves of a rename have in common. */
u32 inotify_cookie(void);

/* Something happened to what `d` stands for: it is told, and its folder, with its name. */
static inline void report_file(struct dentry *d, u32 event)
{
	if (inotify_has_watches())
		inotify_tell_file(d, event);
}

/* The names in `dir` have changed. */
static inline void report_name(struct dentry *dir, struct vfs_name name, bool is_dir, u32 event)
{
	if (inotify_has_watches())
		inotify_tell_folder(dir, name, is_dir, event, 0);
}

static inline void report_vnode(struct vnode *v, u32 event)
{
	if (inotify_has_watches())
		inotify_tell_vnode(v, event);
}
