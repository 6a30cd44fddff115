/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets as programs see them: families, options, addresses, messages. Data only. */
#pragma once

#include "lib/base/types.h"

#define AF_UNSPEC	 0
#define AF_UNIX		 1
#define AF_INET		 2
#define AF_INET6	 10

#define SOCK_STREAM	 1
#define SOCK_DGRAM	 2
#define SOCK_RAW	 3
#define SOCK_SEQPACKET	 5
#define SOCK_TYPE_MASK	 0xf
#define SOCK_NONBLOCK	 04000
#define SOCK_CLOEXEC	 02000000

#define SHUT_RD		 0
#define SHUT_WR		 1
#define SHUT_RDWR	 2

/* Flags of send and receive. */
#define MSG_OOB		 0x1
#define MSG_PEEK	 0x2
#define MSG_DONTROUTE	 0x4
#define MSG_CTRUNC	 0x8
#define MSG_TRUNC	 0x20
#define MSG_DONTWAIT	 0x40
#define MSG_EOR		 0x80
#define MSG_WAITALL	 0x100
#define MSG_ERRQUEUE	 0x2000
#define MSG_NOSIGNAL	 0x4000
#define MSG_MORE	 0x8000
#define MSG_WAITFORONE	 0x10000
#define MSG_CMSG_CLOEXEC 0x40000000

#define SOL_SOCKET	 1
#define SOL_TCP		 6
#define SOL_UDP		 17
#define SOL_IP		 0
#define SOL_IPV6	 41

#define SO_DEBUG	 1
#define SO_REUSEADDR	 2
#define SO_TYPE		 3
#define SO_ERROR	 4
#define SO_DONTROUTE	 5
#define SO_BROADCAST	 6
#define SO_SNDBUF	 7
#define SO_RCVBUF	 8
#define SO_KEEPALIVE	 9
#define SO_OOBINLINE	 10
#define SO_PRIORITY	 12
#define SO_LINGER	 13
#define SO_REUSEPORT	 15
#define SO_PASSCRED	 16
#define SO_PEERCRED	 17
#define SO_RCVLOWAT	 18
#define SO_SNDLOWAT	 19
#define SO_RCVTIMEO	 20
#define SO_SNDTIMEO	 21
#define SO_ACCEPTCONN	 30
#define SO_SNDBUFFORCE	 32
#define SO_RCVBUFFORCE	 33
#define SO_PROTOCOL	 38
#define SO_DOMAIN	 39

#define SCM_RIGHTS	 1
#define SCM_CREDENTIALS	 2
#define SCM_RIGHTS_MAX	 253

struct abi_ucred {
	s32 pid;
	u32 uid, gid;
};

#define SUN_PATH_SIZE 108
struct abi_sockaddr_un {
	u16 family;
	char path[SUN_PATH_SIZE];
};

struct abi_sockaddr_in {
	u16 family;
	u16 port;
	u32 address;
	u8 zero[8];
};

struct abi_sockaddr_in6 {
	u16 family;
	u16 port;
	u32 flowinfo;
	u8 address[16];
	u32 scope;
};

struct abi_linger {
	s32 on, seconds;
};

struct abi_msghdr {
	u64 name;
	s32 name_size;
	u32 pad1;
	u64 vec;
	u64 vec_count;
	u64 control;
	u64 control_size;
	u32 flags;
	u32 pad2;
};
static_assert(sizeof(struct abi_msghdr) == 56, "msghdr");

struct abi_mmsghdr {
	struct abi_msghdr header;
	u32 size;
	u32 pad;
};
static_assert(sizeof(struct abi_mmsghdr) == 64, "mmsghdr");

/* Followed by its data; the next one starts at a multiple of 8. */
struct abi_cmsghdr {
	u64 size; /* header and data */
	s32 level;
	s32 type;
};
static_assert(sizeof(struct abi_cmsghdr) == 16, "cmsghdr");
