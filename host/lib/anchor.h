/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freshness anchors for host tools and tests (lib/secvol/secvol.h, struct secvol_anchor).
 *
 * The file anchor keeps an authenticated record in a local file. It is as good as the disk it lies
 * on: who can put the file back together with the volume is not stopped.
 *
 * The command hook asks a program (host/lib/anchor_ask.h).
 */
#pragma once

#include "lib/secvol/secvol.h"

struct anchor_file {
	char path[4000];
	u8 key[32];
};

struct anchor_command {
	const char *command; /* one program, no shell */
	u8 key[32];
	int timeout_ms; /* 0: 30 s */
};

/* Fills *ret, which refers to *f. -ENAMETOOLONG. */
int __must_check anchor_file_init(struct anchor_file *f, const char *path, const u8 key[32],
				  enum secvol_anchor_policy policy, struct secvol_anchor *ret);
void anchor_command_init(struct anchor_command *c, const char *command, const u8 key[32],
			 enum secvol_anchor_policy policy, struct secvol_anchor *ret);
