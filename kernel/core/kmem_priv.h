/* SPDX-License-Identifier: Apache-2.0 */
/* For boot and the heap's own test: where the heap lies. Page aligned; at least a few pages. */
#pragma once

#include "lib/base/types.h"

void kmem_init(void *heap, size_t size);
