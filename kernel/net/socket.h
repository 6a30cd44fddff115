/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets: what all families share. A socket is a file whose private part is a struct socket; each
 * family embeds that as first member of its own and gives the operations. Addresses, options and
 * control data are kernel copies here, checked in size by kernel/sys; data stays in the caller's
 * memory (struct net_data) and is copied once, by the family.
 */
#pragma once

#include "abi/socket.h"
#include "kernel/net/message.h"
#include "kernel/vfs/poll.h"

struct file;
struct socket;

#define NET_ADDRESS_MAX 128u

/* As the program gave it or gets it: family in the first two bytes; size 0: none. */
struct net_address {
	u32 size;
	union {
		u16 family;
		u8 bytes[NET_ADDRESS_MAX];
		struct abi_sockaddr_un un;
		struct abi_sockaddr_in in;
		struct abi_sockaddr_in6 in6;
	};
};

#define NET_OPTION_MAX 256u

/* All return 0 or a count, or -errno or a restart code. NULL: -EOPNOTSUPP. */
struct socket_ops {
	void (*release)(struct socket *s); /* its file is closed; frees it, or lets go of it */
	int (*bind)(struct socket *s, const struct net_address *a);
	int (*connect)(struct socket *s, const struct net_address *a, bool nonblocking);
	int (*listen)(struct socket *s, int backlog);
	/* The new connection, not a file yet: release() it or give it to socket_file(). */
	int (*accept)(struct socket *s, bool nonblocking, struct socket **ret);
	int (*name)(struct socket *s, bool of_peer, struct net_address *ret);
	long (*send)(struct socket *s, struct net_message *m);
	long (*receive)(struct socket *s, struct net_message *m);
	int (*shutdown)(struct socket *s, int how);
	/* -ENOPROTOOPT: not known; then the options that all families share are tried. */
	int (*get_option)(struct socket *s, int level, int option, void *value, u32 *size);
	int (*set_option)(struct socket *s, int level, int option, const void *value, u32 size);
	u32 (*poll)(struct socket *s, struct poll_table *pt);
	u64 (*readable)(struct socket *s); /* FIONREAD */
	u64 (*unsent)(struct socket *s);   /* SIOCOUTQ */
};

struct socket {
	const struct socket_ops *ops;
	u16 family;
	u16 type;
	u32 protocol;
	struct pollq queue;

	/* Options; plain words that one thread writes and others read, each good alone. */
	u64 receive_timeout_ns, send_timeout_ns; /* 0: none */
	u32 sndbuf, rcvbuf;
	bool passes_cred;	      /* SO_PASSCRED */
	s32 stored[SO_REUSEPORT + 1]; /* options that are kept and read back */
	s32 error;		      /* atomic: SO_ERROR */
};

/* Initialises what is shared. */
void socket_init(struct socket *s, const struct socket_ops *ops, u16 family, u16 type,
		 u32 protocol);
void socket_fini(struct socket *s);

/* A new socket of family and type (without flags). -EAFNOSUPPORT, -ESOCKTNOSUPPORT, ... */
int __must_check socket_new(int family, int type, int protocol, struct socket **ret);
int __must_check socket_new_pair(int family, int type, int protocol, struct socket *ret[2]);

/* Its file; flags: O_NONBLOCK. Consumes the socket, on failure too. */
int __must_check socket_file(struct socket *s, u32 flags, struct file **ret);
/* The socket of a file, or NULL. Messages to a nonblocking file carry MSG_DONTWAIT. */
struct socket *socket_of(struct file *f);
/* readv and writev: one message over all pieces. */
long socket_vector(struct file *f, const struct abi_iovec *vec, u64 count, bool is_write);

/* Options of all families. 0, -ENOPROTOOPT, -EINVAL, -EDOM. */
int __must_check socket_get_option(struct socket *s, int level, int option, void *value, u32 *size);
int __must_check socket_set_option(struct socket *s, int level, int option, const void *value,
				   u32 size);

/* SO_ERROR: takes it. <= 0. */
int socket_take_error(struct socket *s);

/* When a wait must end that may take timeout_ns: monotonic ns; 0: it may not wait at all. */
u64 socket_deadline(u64 timeout_ns, bool nonblocking);
/* What a wait that ended with `err` (of wait_event) makes the call return. */
int socket_wait_result(u64 deadline, int err);
/* -EPIPE, with SIGPIPE unless the flags say no. */
long socket_broken_pipe(const struct net_message *m);
