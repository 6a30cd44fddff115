/* SPDX-License-Identifier: Apache-2.0 */
/* What the host says beside the bytes of a message, or of a name. Data only. */
#pragma once

#include "lib/base/types.h"

#define HOST_ADDRESS_MAX 28u

struct host_net_info {
	u32 address_size; /* 0: none */
	u32 flags;	  /* HOST_NET_* */
	u64 full_size;	  /* of a datagram, when it was cut */
	u8 address[32];
};
static_assert(sizeof(struct host_net_info) == 48, "host_net_info");

/* Flags of net_receive, with Linux's values. */
#define HOST_NET_PEEK  0x2
#define HOST_NET_TRUNC 0x20
