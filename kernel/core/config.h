/* SPDX-License-Identifier: Apache-2.0 */
/* The running instance's configuration, decoded and verified at boot; read-only afterwards. */
#pragma once

#include "lib/config/config.h"

const struct occlum_config *kernel_config(void);
