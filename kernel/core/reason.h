/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in words, for the lines that an operator reads. */
#pragma once

#include "lib/base/types.h"

/* `err` is a negative errno: why, and where somebody can help it, what helps. */
const char *error_reason(int err);
