/* SPDX-License-Identifier: Apache-2.0 */
/* Within kernel/sched. */
#pragma once

#include "lib/base/types.h"

struct thread;

/* struct thread.park_state */
enum park_state {
	PARK_RUNNING = 0,
	PARK_TOKEN = 1,	  /* an unpark came: the next park returns at once */
	PARK_LOOKING = 2, /* looks for the token: an unpark needs no host */
	PARK_PARKED = 3,  /* waits, or is about to, in the host: an unpark must wake it there */
	PARK_POLLING = 4, /* the same in host_fd_poll(), which only a signal ends */
};

/*
 * look.c: how many threads want a CPU, and whether one more may look for its token. The counts are
 * hints: a thread between two states is counted twice or not at all for a moment.
 */
void look_count_awake(const struct thread *t, s32 change);
s32 look_awake(void);
bool look_may_begin(struct thread *t);
/* Until t's token is there or looking is not worth while any more; not after `deadline`. */
void look_for_token(struct thread *t, u64 deadline, bool interruptible);
