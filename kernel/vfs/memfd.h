/* SPDX-License-Identifier: Apache-2.0 */
/* Files in memory without a name. */
#pragma once

#include "lib/base/types.h"

struct file;

/* `name` is what /proc shows. Without `may_seal` the file is sealed against seals. */
int __must_check memfd_new(const char *name, bool may_seal, struct file **ret);
long memfd_get_seals(struct file *f); /* -EINVAL for other files */
long memfd_add_seals(struct file *f, u32 seals);
