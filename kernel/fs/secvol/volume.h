/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of the secure file system (lib/secvol) as file systems of the kernel. */
#pragma once

#include "kernel/vfs/vnode.h"
#include "lib/config/config.h"

/*
 * Opens the volume that `v` describes, creating it where the configuration permits. `image_key`
 * (16 bytes or NULL) opens encrypted images; `lower` is the digest of the image below, for root
 * layers. Errors as secvol.h says, logged with the reason and the volume's source.
 */
int __must_check volume_open(const struct config_volume *v, const u8 *image_key, const u8 *lower,
			     u64 cache_size, struct filesystem **ret);

struct secvol_params;
/* The host tools' wishes: they look at a volume without changing a byte of it. */
struct volume_choice {
	bool read_only;
	const char *snapshot; /* read_only: this one instead of the present; NULL */
	/* What is done to the volume before it is opened; NULL. */
	int (*before)(void *arg, const struct secvol_params *p);
	void *before_arg;
};
int __must_check volume_open_as(const struct config_volume *v, const u8 *image_key, const u8 *lower,
				u64 cache_size, const struct volume_choice *choice,
				struct filesystem **ret);

/* How far the scrub (mount.options.scrub_rate) is, of each volume that has one. */
struct volume_scrubbed {
	const char *source; /* borrowed for the call */
	u64 rate, bytes, damaged;
	u32 passes;
};
void volume_each_scrubbed(void (*fn)(void *arg, const struct volume_scrubbed *s), void *arg);

struct secvol;
/* What a file system made by volume_open() lies on; borrowed. */
struct secvol *volume_secvol(struct filesystem *fs);
