/* SPDX-License-Identifier: Apache-2.0 */
/* Why the enclave would not run a program, as far as the host's folder image/ knows it. */
#pragma once

#include "lib/base/types.h"

/*
 * A clause about the program at `path` of image/ that explains the error number: "it is built for
 * AArch64". Empty where the folder knows nothing that does; the file may lie in another layer, or
 * the image may be older. False when `path` itself is not in the folder.
 */
bool why_not_run(int error, const char *path, char *text, size_t size);
