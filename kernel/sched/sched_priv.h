/* SPDX-License-Identifier: Apache-2.0 */
/* Within kernel/sched. */
#pragma once

#include "lib/base/types.h"

/* struct thread.park_state */
enum park_state {
	PARK_RUNNING = 0,
	PARK_TOKEN = 1,	  /* an unpark came: the next park returns at once */
	PARK_PARKED = 2,  /* waits, or is about to, in the host: an unpark must wake it there */
	PARK_POLLING = 3, /* the same in host_fd_poll(), which only a signal ends */
};
