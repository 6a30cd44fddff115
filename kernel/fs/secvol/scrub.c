/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scrub: a writable volume is read again in the background, a little at a time and from the
 * host's disk, so that damage is known while there is still something to restore from. It runs in
 * the thread of the commit timer, no faster than mount.options.scrub_rate, and changes nothing.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/secvol/volume_priv.h"
#include "lib/base/string.h"

#define LOG_TAG "secvol"
#include "kernel/core/log.h"

#define STEP_BLOCKS 32u
#define STEP_MIN_NS 100000000ull   /* a fast rate takes larger steps, not more of them */
#define PAUSE_NS    60000000000ull /* between passes, and after an error */
#define NSEC	    1000000000ull
#define PATH_SIZE   512u

/* The volume is locked: paths are looked up afterwards. */
static void hear(void *arg, u64 obj, const char *what, int err)
{
	struct volume_scrub *s = arg;

	if (obj == s->last || s->heard_count == ARRAY_SIZE(s->heard))
		return;
	s->last = obj;
	s->heard[s->heard_count++] = obj;
}

static void name_damaged(struct volume *vol, u64 obj)
{
	char *path = kmalloc(PATH_SIZE);

	if (!obj)
		log_always("A part of %s that leads to files does not open any more.", vol->source);
	else if (path && secvol_path(vol->sv, obj, path, PATH_SIZE) == 0)
		log_always(
			"The file %s in %s does not open any more: it was changed or is damaged on "
			"the host's disk.",
			path, vol->source);
	else
		log_always("A file without a name in %s does not open any more.", vol->source);
	kfree(path);
}

u64 volume_scrub_step(struct volume *vol, u64 now)
{
	struct volume_scrub *s = vol->scrub;
	u64 blocks = s->at.blocks, repaired = s->at.repaired;
	u32 passes = s->at.passes, want = STEP_BLOCKS;
	int err;

	if (now < s->due)
		return s->due;
	want = (u32)MAX((u64)want, vol->scrub_rate / BS_BLOCK * STEP_MIN_NS / NSEC);
	s->heard_count = 0;
	err = secvol_scrub(vol->sv, &s->at, want, hear, s);
	for (u32 i = 0; i < s->heard_count; i++)
		name_damaged(vol, s->heard[i]);
	if (s->at.repaired != repaired)
		log_always("%llu damaged blocks of %s were written again from their second copies.",
			   (unsigned long long)(s->at.repaired - repaired), vol->source);
	blocks = s->at.blocks - blocks;
	s->due = now + MAX(blocks * BS_BLOCK * NSEC / vol->scrub_rate, STEP_MIN_NS);
	if (err)
		s->due = now + PAUSE_NS;
	if (s->at.passes != passes) {
		if (s->at.damaged != s->pass_damaged)
			log_always("All of %s was read again: %llu places do not open.",
				   vol->source,
				   (unsigned long long)(s->at.damaged - s->pass_damaged));
		else
			log_info("all of %s was read again, and opens", vol->source);
		s->pass_damaged = s->at.damaged;
		s->last = 0;
		s->due = now + PAUSE_NS;
	}
	return s->due;
}
