/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted text into a bounded buffer, the same on both sides of the wall. */
#pragma once

#include "lib/base/types.h"

/*
 * printf subset: %% c s d i u x X p, flags `-` and `0`, width and precision (both also `*`),
 * lengths h hh l ll z. Returns the length the whole text would have; the buffer is always
 * terminated when size > 0.
 */
int fmt_vsnprintf(char *buf, size_t size, const char *format, va_list args) __printf(3, 0);
int fmt_snprintf(char *buf, size_t size, const char *format, ...) __printf(3, 4);

/* Appends at *len (never past size - 1) and moves *len on; for building /proc texts. */
void fmt_append(char *buf, size_t size, size_t *len, const char *format, ...) __printf(4, 5);
