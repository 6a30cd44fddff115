/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of kernel/mm: address spaces and their mappings.
 *
 * Locks, in order: mm->lock, then object->lock, then the locks of pages.c and zone.c. No file is
 * closed with mm->lock held, because a thread that holds a file's lock may be copying to user
 * memory and wait for mm->lock: mappings of files that go wait in dead_vmas for mm_unlock().
 * Private mappings read their file without mm->lock; objects are filled under it, which takes no
 * lock of a vnode (kernel/vfs/shared.c).
 */
#pragma once

#include "kernel/mm/mm.h"
#include "kernel/sync/mutex.h"
#include "lib/base/list.h"
#include "lib/base/rbtree.h"

#define COMMIT_AT_ONCE_MAX MIB(1) /* larger anonymous mappings are committed on touch */
#define COMMIT_STEP	   KIB(256)
#define FILL_STEP	   KIB(64) /* of files */
#define STACK_GUARD	   MIB(1)  /* below the first stack, as Linux keeps it free */
#define MAPPINGS_MAX	   65530   /* per process, as Linux's vm.max_map_count */

struct family;
struct text_patch;

enum vma_kind {
	VMA_ANON,
	VMA_FILE,   /* private */
	VMA_OBJECT, /* shared */
};

enum vma_name {
	VMA_UNNAMED,
	VMA_HEAP,
	VMA_STACK,
	VMA_STUBS,
};

/* One mapping. All fields under mm->lock; `object_node` also under object->lock. */
struct vma {
	struct rb_node node;
	u64 start, end;
	u64 offset;	 /* of start, in file or object */
	u32 prot;	 /* as the program asked */
	u8 may;		 /* protections that mprotect may grant */
	u8 kind;	 /* enum vma_kind */
	u8 name;	 /* enum vma_name */
	bool lazy;	 /* pages may be absent; false: all are there */
	u32 extra_views; /* VMA_OBJECT: mapped so many times more at this one address */
	struct mm *mm;
	struct file *file;	      /* VMA_FILE, VMA_OBJECT of a file; counted */
	struct mem_object *object;    /* VMA_OBJECT; counted */
	struct list_node object_node; /* object->mappings, then mm->dead_vmas */
	struct text_patch *patch;     /* stubs that this text jumps to, or NULL; counted */
	u64 kept;		      /* its pages are as a kept image left or found them; 0: not */
};

struct mm {
	u32 refs;      /* atomic */
	u32 processes; /* atomic: those that run in it */
	struct mutex lock;
	u64 generation; /* atomic; changes with any mapping; unique over all mms */
	struct rb_root vmas;
	u32 vma_count;
	bool is_loading;	     /* exec fills it: no thread of a program looks */
	u64 mapped;		     /* bytes */
	u64 brk_start, brk, brk_end; /* [brk_start, brk_end) is reserved in the zone */
	struct mm_limits limits;
	bool limit_logged, stack_logged;
	struct list_node dead_patches; /* struct text_patch, see text.c */
	struct list_node dead_vmas;    /* freed by mm_unlock(); empty whenever the lock is free */
	struct list_node kept;	       /* struct kept: images that outlive their mappings */
	struct kept *recording;	       /* the one of these that is being mapped, or NULL */
	struct list_node limbo;	       /* ranges that a thread in uaccess may still touch */
	u32 inside;		       /* atomic: threads that run in it and are not parked */
	struct family *family;	       /* atomic; NULL until the first fork; counted, then stays */
	struct list_node member_node;  /* family.members */
	bool is_lost;	      /* a page of it could not be kept: killed at the turn's end */
	struct rb_root image; /* of the family: its pages while it is not resident */
};

static inline struct vma *vma_of(struct rb_node *n)
{
	return n ? rb_entry(n, struct vma, node) : NULL;
}

/* --- vma.c: the tree --- */

struct vma *vma_find(struct mm *mm, u64 address); /* first that ends after address, or NULL */
struct vma *vma_next(struct vma *v);
struct vma *vma_prev(struct vma *v);
/* A blank mapping with its zone node reserved; NULL without memory. */
struct vma *vma_new(struct mm *mm, u64 start, u64 end) __must_check;
void vma_insert(struct vma *v); /* into its mm; links objects */
void vma_remove(struct vma *v); /* from the tree and its object; not freed */
void vma_free(struct vma *v);	/* drops references, files only at mm_unlock() */
/* Releases mm->lock and then what vma_free() left. Every release goes through it. */
void mm_unlock(struct mm *mm);
/* Cuts at `at`, which lies inside; v keeps the low part. 0 or -ENOMEM. */
int __must_check vma_split(struct vma *v, u64 at);
/* No mapping crosses start or end afterwards. */
int __must_check vma_split_at(struct mm *mm, u64 start, u64 end);
void vma_merge_around(struct vma *v); /* with equal neighbours; may free v */
void mm_changed(struct mm *mm);

static inline u64 vma_size(const struct vma *v)
{
	return v->end - v->start;
}

/* All of [start, end) is mapped. */
bool mm_is_covered(struct mm *mm, u64 start, u64 end);
/* Another thread than the current one may be running in this address space. */
bool mm_has_siblings(struct mm *mm);

/* --- unmap.c --- */

/* Removes all mappings of the range. keep: private addresses stay owned by the caller. */
int __must_check mm_unmap_locked(struct mm *mm, u64 start, u64 end, bool keep);
/* Frees [start, end) less what brk has reserved. */
void mm_free_addresses(struct mm *mm, u64 start, u64 end);
void mm_drain_limbo(struct mm *mm);
void mm_wait_for_uaccess(struct mm *mm, u64 epoch); /* threads inside only copy: short */
void mm_release_heap(struct mm *mm);		    /* mm.c */
/* v is out of the tree, its pages released. Frees it and its addresses, now or later. */
void mm_retire(struct vma *v);

/* --- map.c --- */

struct map_request {
	u64 address, size;
	u32 prot, flags;
	u64 align; /* 0: a page */
	struct file *file;
	struct mem_object *object;
	u64 offset;
	u64 replaces; /* bytes of another mapping that go for it: no limit counts both */
	u8 may, name;
	bool is_bare;		/* pages stay as a former owner left them: see to them at once */
	bool absent;		/* no page at first, whatever the size */
	u64 file_end;		/* size of the file, when something is being recorded */
	struct text_plan *plan; /* of an executable file mapping, or NULL */
	u64 within_low, within_high; /* where to place it; 0, 0: anywhere */
};
/* Unmaps shared mappings in [start, end); mm->lock is held and released meanwhile. */
int __must_check mm_clear_objects(struct mm *mm, u64 start, u64 end);
/*
 * Address or -errno. Borrows file and object. mm->lock is held; it is released meanwhile when a
 * plan is given, and when the range is fixed and has shared mappings.
 */
long mm_map_locked(struct mm *mm, const struct map_request *r);

/* --- limits.c --- */

bool mm_exceeds_space(struct mm *mm, u64 size); /* RLIMIT_AS */
bool mm_exceeds_limits(struct mm *mm, const struct map_request *r);
/* RLIMIT_DATA, were all of [start, end) writable. */
bool mm_exceeds_data_when_writable(struct mm *mm, u64 start, u64 end);

/* --- populate.c --- */

/* Makes [start, end) reachable for `access`. 0, -EFAULT, -EACCES, -ENOMEM, -EIO. */
int __must_check mm_populate(struct mm *mm, u64 start, u64 end, u32 access);
/*
 * The same with mm->lock held (it may be released meanwhile): on success [at, *ret_until) is one
 * mapping and reachable now, at < *ret_until <= end; what is still lazy behind it is the caller's
 * to ask for. `at` lies in the zone. *ret_did_something is set when a page was missing.
 */
int __must_check mm_populate_locked(struct mm *mm, u64 at, u64 end, u32 access, u64 *ret_until,
				    bool *ret_did_something);

/* --- object.c --- */

/*
 * Gives the object addresses for `room` bytes (at `want`, or anywhere if 0), or more of them.
 * -ENOMEM when that is not possible where it lies already.
 */
int __must_check object_place(struct mem_object *o, u64 want, u64 room, u64 *ret_base);
void object_link(struct vma *v);
void object_unlink(struct vma *v);
/* Can a mapping of another address space write to the object or, if `is_written`, only read it? */
bool object_is_mapped_by_others(struct mem_object *o, const struct mm *mm, bool is_written);
int __must_check object_protect(struct vma *v, u64 start, u64 end);
/* Fills around `at`, which must lie within the object (else -EIO), in [start, end). */
int __must_check object_populate(struct vma *v, u64 at, u64 start, u64 end, u32 access);
/* While the object is held nobody changes the state of its pages. */
void object_hold(struct mem_object *o);
void object_release(struct mem_object *o);

/* --- text.c: call sites --- */

/* What the table of a file says about one executable mapping of it. */
struct text_plan {
	struct patch_site *sites; /* addresses are relative to the mapping's start */
	size_t count;
	size_t area_size; /* of stubs */
};
/* Reads the file's table; called without locks. -ENOENT: none, or nothing to do in this part. */
int __must_check text_plan_new(struct file *file, u64 offset, u64 size, struct text_plan **ret);
void text_plan_free(struct text_plan *plan);
/*
 * Fills the mapping from its file, patches it and makes stubs. v has its addresses but is not in
 * the tree yet; mm->lock is held and released meanwhile. *ret_stubs: to be inserted as well, or
 * NULL.
 */
int __must_check text_load(struct vma *v, struct text_plan *plan, struct vma **ret_stubs);
/*
 * The same by exec for addresses that others may come to want meanwhile: v is put into the tree
 * first, and its stubs too. After a failure all of it is left for the end of the address space.
 */
int __must_check text_load_shown(struct vma *v, struct text_plan *plan);
struct text_patch *text_patch_get(struct text_patch *p);
void text_patch_put(struct text_patch *p); /* the last one leaves its stubs to mm->dead_patches */
void text_unmapped(struct vma *v);	   /* v is leaving the tree */
/* For stubs that are there already; NULL without memory. */
struct text_patch *text_patch_new(struct mm *mm, u64 stubs) __must_check;
u64 text_patch_stubs(const struct text_patch *p);
void text_patch_keep_stubs(struct text_patch *p); /* they do not go with the last reference */
/* Removes the stubs of texts that are gone. */
void text_collect(struct mm *mm);
/* fork: what the child's text has instead of p, counted. 0 or -ENOMEM. */
int __must_check text_patch_copy(struct mm *child, struct text_patch *p, struct text_patch **ret);
void text_forget_all(struct mm *mm); /* the mappings are gone, and the stubs with them */

/* Reads what the file holds at offset; zeroes behind its end. *ret_valid: bytes before that. */
int __must_check read_file(struct file *file, void *buf, size_t size, u64 offset,
			   size_t *ret_valid);

/* --- kept.c; see kept.h --- */

struct kept;

enum kept_how {
	KEPT_PLAIN,   /* one read-only mapping of a file from its beginning */
	KEPT_LOADER,  /* the same by a dynamic loader, which maps the segments over it */
	KEPT_PROGRAM, /* exec's reservation for the segments */
};

struct kept_request {
	struct file *file;
	u64 size;
	u64 address; /* 0: anywhere */
	enum kept_how how;
};
/* Files like this one are kept, and the mapping is of the kind. */
bool kept_is_possible(const struct kept_request *r);
/* An image with all pages as its file says, to be attached or discarded; NULL: none. No lock. */
struct kept *kept_take(const struct kept_request *r);
/* Maps it whole. Address, or -ENOMEM with the image discarded. mm->lock held. */
long kept_attach(struct mm *mm, struct kept *k, struct file *file);
/* The mapping at `base`, just made, is recorded with what is mapped over it. mm->lock held. */
void kept_begin(struct mm *mm, const struct kept_request *r, u64 base);
/* A mapping was made: a part of what is being recorded, or the end of that. */
void kept_record(struct mm *mm, const struct map_request *r, u64 address);
/* This mapping, at a fixed address, is there already as part of an image that was attached. */
bool kept_expects(struct mm *mm, const struct map_request *r);
/* [start, end) is about to be unmapped: images in there that are as they were go to the pool. */
void kept_unmap(struct mm *mm, u64 start, u64 end);

/* --- uaccess.c --- */

int __must_check uaccess_init(u32 slots);
void uaccess_fini(void); /* tests */
/* Some other thread may be copying to or from `mm` since before `epoch`. */
bool uaccess_is_busy(struct mm *mm, u64 epoch);
u64 uaccess_advance(void); /* a new epoch; call after the mapping is gone */

/* Like the copies of uaccess.h, for any address space. Bytes copied, short at the first fault. */
size_t uaccess_read(struct mm *mm, void *to, u64 address, size_t size);
int __must_check uaccess_write(struct mm *mm, u64 address, const void *from, size_t size);

/* Tests: what mm_init() does, over an arbitrary range. */
int __must_check mm_init_range(u64 start, u64 end, u64 movable, u64 limit, bool strict, u32 slots);
void mm_fini(void);
void fixed_fini(void); /* fixed.c */
