/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the opening of volumes and the operations on their objects. */
#pragma once

#include "kernel/fs/secvol/anchor.h"
#include "kernel/fs/secvol/keys.h"
#include "kernel/fs/secvol/volume.h"
#include "lib/secvol/secvol.h"

struct volume {
	struct filesystem fs;
	struct secvol *sv;
	struct bs *store;
	bool is_image; /* pinned, read-only: its pages may be shared and remembered */
	bool is_temporary;
	bool is_read_only;	 /* an image, or a tool that only looks */
	bool is_marked;		 /* atomic: changed since the last periodic commit */
	bool commits_explicitly; /* no periodic commits */
	bool commit_failed;	 /* the commit timer's, then shutdown's: it has been said */
	bool is_reported;	 /* atomic: that it is damaged has been said */
	struct list_node commit_node;
	u64 commit_interval; /* ns */
	u64 commit_due;	     /* commit_timer.c's lock `rounds`; DEADLINE_NEVER: not noticed yet */
	u64 scrub_rate;	     /* bytes per second; 0: none */
	struct volume_scrub *scrub; /* commit_timer.c's lock `rounds`; with a rate */
	struct auto_key auto_key;
	struct secvol_fixed_key fixed_key;
	struct secvol_key_source keys; /* asked again when the volume gets a new key */
	struct secvol_anchor anchor;   /* arg NULL: none */
	char source[];		       /* for messages */
};

static inline struct volume *volume_of(const struct vnode *v)
{
	return container_of(v->fs, struct volume, fs);
}

/* scrub.c */
struct volume_scrub {
	struct secvol_scrub at;
	u64 due;	  /* monotonic ns */
	u64 pass_damaged; /* at.damaged when the present pass began */
	u64 last;	  /* object that was named */
	u64 heard[8];	  /* within one step */
	u32 heard_count;
};
/* Reads a little if it is time, and says when it is time again. Under `rounds`. */
u64 volume_scrub_step(struct volume *vol, u64 now);

/* commit_timer.c: after each change; writable volumes are known to it between add and remove. */
void volume_changed(struct volume *vol);
void commit_timer_add(struct volume *vol);
void commit_timer_remove(struct volume *vol);

/* Passes a result on; says, once, when it is that the volume was changed or is damaged. */
long volume_result(struct volume *vol, long result);
/* Says, once until the next success, that a commit failed and why. */
void volume_say_uncommitted(struct volume *vol, int err);

extern const struct vnode_ops volume_vnode_ops;

/* The vnode of an object, counted. attr may be NULL. */
int __must_check volume_vnode(struct volume *vol, u64 obj, const struct secvol_attr *attr,
			      bool is_held, struct vnode **ret);
