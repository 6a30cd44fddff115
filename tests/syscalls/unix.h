/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of AF_UNIX sockets. */
#pragma once

#include "check.h"

#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static char big[400000], back[400000];

static inline short ready(int fd, short events)
{
	struct pollfd p = {fd, events, 0};

	return poll(&p, 1, 0) == 1 ? p.revents : 0;
}

static inline socklen_t address_of(struct sockaddr_un *a, const char *path)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (*path == '@') { /* abstract */
		memcpy(a->sun_path + 1, path + 1, strlen(path) - 1);
		return offsetof(struct sockaddr_un, sun_path) + strlen(path);
	}
	strcpy(a->sun_path, path);
	return sizeof(*a);
}

/* First in a list of tests: an empty folder, and bytes to send. */
static inline void start(void)
{
	enter_fresh_folder("/tmp");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i * 7;
}
