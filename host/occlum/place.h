/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the pieces of Occlum lie: installed (PREFIX/build/bin/occlum) or in the build folder
 * (BUILD/host/occlum/occlum), found from the running program itself.
 */
#pragma once

#include "lib/base/types.h"

enum piece {
	PIECE_OCCLUM_RUN,
	PIECE_KERNEL_SIM, /* libocclum-libos_sim.so */
	PIECE_KERNEL_HW,  /* libocclum-libos.so */
	PIECE_PAL,	  /* libocclum-pal.so */
	PIECE_INIT,
	PIECE_KEY_HELPER, /* init of the enclave that gives `occlum mount` a key */
	PIECE_SIGN_TOOL,  /* occlum-sign */
	PIECE_IMAGE,	  /* occlum-image */
	PIECE_MOUNT,	  /* occlum-mount */
	PIECE_TEMPLATE,	  /* directory with Occlum.json */
	PIECE_COUNT,
};

/* Must succeed before place_of(); says why not. 0 or 1. */
int __must_check place_find(void);

/* Absolute path. The piece may be missing: its users say so. */
const char *place_of(enum piece piece);
