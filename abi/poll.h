/* SPDX-License-Identifier: Apache-2.0 */
/* poll, select, epoll, eventfd and timerfd as programs see them. Data only. */
#pragma once

#include "lib/base/types.h"

#define POLLIN	   0x001
#define POLLPRI	   0x002
#define POLLOUT	   0x004
#define POLLERR	   0x008
#define POLLHUP	   0x010
#define POLLNVAL   0x020
#define POLLRDNORM 0x040
#define POLLRDBAND 0x080
#define POLLWRNORM 0x100
#define POLLWRBAND 0x200
#define POLLMSG	   0x400
#define POLLRDHUP  0x2000

struct abi_pollfd {
	s32 fd;
	s16 events;
	s16 revents;
};

#define EPOLL_CTL_ADD  1
#define EPOLL_CTL_DEL  2
#define EPOLL_CTL_MOD  3
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET	       (1u << 31)
#define EPOLL_CLOEXEC  02000000

struct abi_epoll_event {
	u32 events;
	u64 data;
} __packed;
static_assert(sizeof(struct abi_epoll_event) == 12, "epoll_event");

#define EFD_SEMAPHORE		1
#define EFD_NONBLOCK		04000
#define EFD_CLOEXEC		02000000

#define TFD_TIMER_ABSTIME	1
#define TFD_TIMER_CANCEL_ON_SET 2
#define TFD_NONBLOCK		04000
#define TFD_CLOEXEC		02000000
