/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside AF_UNIX. Data flows through channels, each guarded by its own mutex: a connected pair of
 * stream or seqpacket sockets shares a link with two of them, a datagram socket has one as inbox.
 * What sockets are to each other (state, names, peers, who waits to be accepted) is guarded by one
 * mutex for all, unix_lock, outside the channels' locks; nothing waits while holding it.
 *
 * A link and the sockets on it live until both ends are closed, so a connected socket may look at
 * its peer without a lock.
 */
#pragma once

#include "kernel/net/unix.h"
#include "kernel/sync/mutex.h"
#include "kernel/vfs/byte_ring.h"
#include "lib/base/list.h"

struct unix_sock;
struct vnode;

/* A datagram or record, or control data that rides at a place in a stream. */
struct unix_packet {
	struct list_node node;
	struct net_control *control;
	u64 position, end; /* streams: bytes sent before it, and with the bytes it was sent with */
	struct abi_ucred cred; /* streams: of those bytes; outlives control */
	bool has_cred;
	struct net_address *from; /* datagrams of named sockets; kmalloc'ed or NULL */
	u32 charged;		  /* bytes it counts as while it is queued */
	u32 size;
	u8 data[];
};

/* Towards one reader. Streams use the ring and keep control data aside; others use packets. */
struct unix_channel {
	struct mutex lock;
	struct byte_ring ring;	   /* lock */
	u64 sent, received;	   /* lock: bytes of the stream so far */
	struct list_node packets;  /* lock; struct unix_packet */
	u32 packet_count;	   /* lock: in packets */
	u64 bytes;		   /* lock: in packets */
	bool no_reader, no_writer; /* lock; read without it by waiting conditions */
	bool writer_waits;	   /* lock: it was told that there is no room */
	struct list_node blocked;  /* lock; unix_sock.blocked_node: datagram senders that poll */
};

struct unix_link {
	u32 refs; /* atomic: open ends */
	struct unix_channel to[2];
	struct unix_sock *sock[2]; /* counted until the link goes */
};

enum unix_state { UNIX_NEW, UNIX_LISTENING, UNIX_CONNECTED };

struct unix_sock {
	struct socket s;
	u32 refs;  /* atomic */
	u32 state; /* unix_lock; atomic: UNIX_CONNECTED is for ever and comes after link and end */
	bool closed;

	struct unix_link *link;
	u32 end; /* this socket reads link->to[end] */

	/* Listening: unix_lock. */
	struct list_node pending; /* unix_sock.pending_node: connected, not accepted; counted */
	struct list_node pending_node;
	u32 pending_count, backlog;

	/* Datagrams. */
	struct unix_channel inbox;
	struct unix_sock *peer; /* unix_lock; counted */
	struct list_node
		blocked_node; /* unix_lock and the lock of the peer's inbox: polls for room */
	bool no_send;	      /* shutdown */

	/* Name: set once, under unix_lock. */
	struct net_address *name;   /* kmalloc'ed */
	struct vnode *vnode;	    /* counted: the file that is the name; NULL for abstract ones */
	struct list_node name_node; /* unix_lock */

	struct abi_ucred cred;	    /* who made it, or called listen() */
	struct abi_ucred peer_cred; /* of connected ones */
};

extern struct mutex unix_lock;

static inline struct unix_sock *unix_of(struct socket *s)
{
	return container_of(s, struct unix_sock, s);
}

static inline bool unix_is_connected(const struct unix_sock *u)
{
	return __atomic_load_n(&u->state, __ATOMIC_ACQUIRE) == UNIX_CONNECTED;
}
/* Of a connected one. */
static inline struct unix_sock *unix_other(const struct unix_sock *u)
{
	return u->link->sock[1 - u->end];
}
static inline struct unix_channel *unix_incoming(struct unix_sock *u)
{
	return u->s.type == SOCK_DGRAM ? &u->inbox : &u->link->to[u->end];
}
static inline struct unix_channel *unix_outgoing(const struct unix_sock *u)
{
	return &u->link->to[1 - u->end];
}

/* unix.c */
void unix_sock_get(struct unix_sock *u);
void unix_sock_put(struct unix_sock *u);
void unix_release(struct socket *s);
/* Of the caller: as whom it acts, for SO_PEERCRED; and who it is, which goes with messages. */
void unix_fill_cred(struct abi_ucred *cred);
void unix_fill_sender(struct abi_ucred *cred);
/* The peer of a datagram socket, counted, or NULL. */
struct unix_sock *unix_dgram_peer(struct unix_sock *u);

/* unix_names.c: unix_lock is not held unless said. */
int __must_check unix_bind(struct socket *s, const struct net_address *a);
int __must_check unix_autobind(struct unix_sock *u);
/* The socket of that name, counted. -ECONNREFUSED, -ENOENT, -EACCES, -EPROTOTYPE, -EINVAL. */
int __must_check unix_find(const struct net_address *a, u32 type, struct unix_sock **ret);
void unix_unbind(struct unix_sock *u);
void unix_name_of(struct unix_sock *u, struct net_address *ret);

/* unix_channel.c; all take the channel's lock and wake nobody unless said. */
void unix_channel_init(struct unix_channel *c);
void unix_channel_fini(struct unix_channel *c); /* closes descriptors that were never taken */
void unix_channel_shut(struct unix_channel *c, bool reader, bool writer);
/* Its reader is closed: what it did not take is gone, and descriptors among it closed. */
void unix_channel_close(struct unix_channel *c);
/*
 * Moves bytes of a stream; takes m->control with the first. Bytes, 0 when full (the writer is then
 * noted), -EPIPE when shut, -ENOMEM, -EFAULT.
 */
long unix_channel_put(struct unix_channel *c, struct net_message *m, u32 limit);
/*
 * Bytes, -EAGAIN when empty, 0 at the end. What rode on them is in m->control. *ret_wake: a writer
 * waits for the room.
 */
long unix_channel_get(struct unix_channel *c, struct net_message *m, bool *ret_wake);
/* Queues a packet (consumed on success). -EAGAIN when full, -EPIPE when shut. */
int unix_channel_post(struct unix_channel *c, struct unix_packet *p, u32 limit);
/* The first packet, or a copy. -EAGAIN, -ENOMEM; 0 with *ret NULL at the end. Wakes senders. */
int unix_channel_take(struct unix_channel *c, bool peek, struct unix_packet **ret, bool *ret_wake);
struct unix_packet *unix_packet_new(size_t size) __must_check;
void unix_packet_free(struct unix_packet *p);
/* Without the lock, for conditions of waits: true may be old. */
bool unix_channel_may_read(const struct unix_channel *c);
/* Whether a writer need not wait for room; if it must, that is noted. Takes the lock. */
bool unix_channel_wait_room(struct unix_channel *c, u64 size, u32 limit);
/* For poll; not writable: noted, so that the next read wakes. `sender`: a datagram socket. */
bool unix_channel_poll_write(struct unix_channel *c, u32 limit, struct unix_sock *sender);
/* The datagram sender does not care any more. */
void unix_channel_forget(struct unix_channel *c, struct unix_sock *sender);
/* Control data that must be closed: later, when the chain would nest. NULL is fine. */
void unix_control_drop(struct net_control *control);

/* unix_io.c */
long unix_stream_send(struct socket *s, struct net_message *m);
long unix_stream_receive(struct socket *s, struct net_message *m);
long unix_packet_send(struct socket *s, struct net_message *m);
long unix_packet_receive(struct socket *s, struct net_message *m);
