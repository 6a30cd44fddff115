/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about paths inside an instance, answered on the text alone. */
#pragma once

#include "lib/base/types.h"

/* Absolute, no empty, "." or ".." component, no slash at the end (but "/" itself is plain). */
bool config_path_is_plain(const char *path);

/* `path` is `prefix` or lies below it, by whole components. Both are plain. */
bool config_path_is_under(const char *path, const char *prefix);
