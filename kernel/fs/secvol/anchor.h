/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The freshness anchor of a volume as the measured configuration names it. How it is reached
 * differs inside (host calls) and in host tools; what it says, and by which key, does not.
 */
#pragma once

#include "lib/config/config.h"
#include "lib/secvol/secvol.h"

struct volume_anchor;

/*
 * The anchor of a volume with this id (secvol_anchor_id). `image_key` may be NULL; the command's
 * key comes from it: -ENOKEY. The place string is borrowed. The result's `arg` is for
 * volume_anchor_free().
 */
int __must_check volume_anchor_new(const struct config_anchor *c, const u8 id[32],
				   const u8 *image_key, struct secvol_anchor *ret);
void volume_anchor_free(struct secvol_anchor *anchor); /* also of one that was never made */

/* The key for either kind. */
int __must_check volume_anchor_key(const struct config_anchor *c, const u8 id[32],
				   const u8 *image_key, u8 key[32]);
