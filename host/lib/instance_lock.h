/* SPDX-License-Identifier: Apache-2.0 */
/* One process at a time uses an instance: the tools and whoever embeds libocclum-pal. */
#pragma once

#include "lib/base/types.h"

#define INSTANCE_LOCK ".__occlum_lock"

struct instance_holder {
	long pid; /* 0: unknown */
	char what[16];
};

/*
 * Takes the instance in `folder` for as long as *ret_fd is open. `what` ("build", "run") is for
 * messages and `occlum status`. -EBUSY: somebody else has it; `text` says who, or what is wrong.
 */
int __must_check instance_lock_take(const char *folder, const char *what, int *ret_fd, char *text,
				    size_t text_size);

/* Whether a process holds the instance, and which. */
bool instance_lock_is_held(const char *folder, struct instance_holder *ret);
