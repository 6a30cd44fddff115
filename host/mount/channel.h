/* SPDX-License-Identifier: Apache-2.0 */
/* Between the kernel and libfuse. */
#pragma once

#include "host/mount/server.h"

/* After the session was mounted, before anything is served. 0 or a negative errno. */
int __must_check channel_take(struct fuse_session *session);

/* Whether the request that this thread serves also takes set-user-id and set-group-id away. */
bool channel_kills_ids(void);
