/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secret that stands for the fuses of the simulated CPU: 32 random bytes per user, made at the
 * first use. $OCCLUM_SIM_KEY names the file, else it is occlum/sim-root.key in $XDG_STATE_HOME or
 * ~/.local/state. PAL and tools read it here alone.
 */
#pragma once

#include "host/lib/enclave_image.h"

#define SIM_ROOT_SIZE 32

/*
 * Reads the secret; makes it (file 0600, missing folders 0700) when there is none. -EPERM when the
 * file belongs to somebody else or others can read it, -EUCLEAN when it holds something else.
 */
int __must_check sim_root_read(u8 ret_secret[SIM_ROOT_SIZE], struct enclave_error *error);
