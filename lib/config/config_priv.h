/* SPDX-License-Identifier: Apache-2.0 */
/* What the encoder and the decoder of the canonical configuration share. */
#pragma once

#include "lib/config/config.h"

/* All rules that a configuration obeys, whoever made it. 0 or -EINVAL. */
int __must_check config_check(const struct occlum_config *config);
