/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pinned image holds besides its tree. Everything that the root refers to is compared with
 * its hash when it is first read; what nothing refers to would never be read, and could hold
 * anything. A measured image has one content only: its bitmaps are what the group table says, and
 * whatever is neither reached by the tree nor in use by a bitmap is zero. Otherwise the open is
 * refused.
 *
 * Images are filled front to back, so little is free in them: the other root slots and the reserved
 * blocks, the second bitmap of each group, and a few blocks where a node did not fit.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

static int check_zero(struct secvol *v, u64 addr, u64 count)
{
	while (count) {
		u32 n = (u32)MIN(count, (u64)SV_IO_BLOCKS);
		int err = bs_read(v->bs, addr, n, v->io);

		if (err)
			return err;
		if (!mem_is_zero(v->io, n * SV_BLOCK))
			return -EBADMSG;
		addr += n;
		count -= n;
	}
	return 0;
}

/* The runs of blocks that a group's bitmap does not give out. */
static int check_free(struct secvol *v, const struct sv_ag *ag)
{
	for (u32 at = 2 * ag->bm_blocks, n; at < ag->nblocks; at += n) {
		bool used = ag->cur[at / 8] >> (at % 8) & 1;
		int err;

		for (n = 1; at + n < ag->nblocks; n++)
			if ((ag->cur[(at + n) / 8] >> ((at + n) % 8) & 1) != used)
				break;
		err = used ? 0 : check_zero(v, ag->start + at, n);
		if (err)
			return err;
	}
	return 0;
}

static int check_groups(struct secvol *v)
{
	struct sv_ag *ag;
	int err = sv_alloc_init(v);

	for (u32 i = 0; !err && i < v->ag_count; i++) {
		err = sv_ag_load(v, i, &ag);
		if (!err)
			err = check_zero(v, ag->start + (ag->which ? 0 : ag->bm_blocks),
					 ag->bm_blocks);
		if (!err)
			err = check_free(v, ag);
		if (!err)
			sv_ag_unload(v, i);
	}
	sv_alloc_fini(v);
	return err;
}

int sv_pinned_check(struct secvol *v)
{
	u32 slot = (u32)(v->gen % SV_ROOT_SLOTS);
	int err = check_zero(v, 0, slot);

	if (!err)
		err = check_zero(v, slot + 1, SV_FIRST_AG - slot - 1);
	return err ? err : check_groups(v);
}
