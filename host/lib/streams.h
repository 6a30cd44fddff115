/* SPDX-License-Identifier: Apache-2.0 */
/* Standard streams that the caller was started without. */
#pragma once

#include "lib/base/types.h"

/*
 * Puts /dev/null, for the wrong direction, into the places of closed standard streams, so that no
 * file that is opened later passes for one of them. 0 or -errno.
 */
int __must_check streams_occupy(void);
