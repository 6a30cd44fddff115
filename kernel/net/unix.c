/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of AF_UNIX sockets: made, connected, accepted, shut, closed. connect() makes the
 * server's end at once and queues it at the listener, so that data can be sent before accept().
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/net/unix_priv.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/dentry.h"
#include "lib/base/string.h"

#define BACKLOG_MAX 4096u

struct mutex unix_lock = MUTEX_INIT(unix_lock, LOCK_UNIX);

static const struct socket_ops stream_ops, seqpacket_ops, dgram_ops;

void unix_fill_cred(struct abi_ucred *cred)
{
	struct process *p = current_process();

	*cred = (struct abi_ucred){p->pid, p->cred.euid, p->cred.egid};
}

void unix_fill_sender(struct abi_ucred *cred)
{
	struct process *p = current_process();

	*cred = (struct abi_ucred){p->pid, p->cred.uid, p->cred.gid};
}

static struct unix_sock *sock_new(u32 type)
{
	struct unix_sock *u = kzalloc(sizeof(*u));

	if (!u)
		return NULL;
	socket_init(&u->s,
		    type == SOCK_STREAM	 ? &stream_ops
		    : type == SOCK_DGRAM ? &dgram_ops
					 : &seqpacket_ops,
		    AF_UNIX, type, 0);
	u->refs = 1;
	list_init(&u->pending);
	list_init(&u->pending_node);
	list_init(&u->blocked_node);
	list_init(&u->name_node);
	unix_channel_init(&u->inbox);
	unix_fill_cred(&u->cred);
	return u;
}

void unix_sock_get(struct unix_sock *u)
{
	__atomic_fetch_add(&u->refs, 1, __ATOMIC_RELAXED);
}

void unix_sock_put(struct unix_sock *u)
{
	if (!u || __atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL))
		return;
	unix_channel_fini(&u->inbox);
	socket_fini(&u->s);
	kfree(u->name);
	kfree(u);
}

/* --- links --------------------------------------------------------------------------------- */

/* Joins two sockets; `a` gets its state from the caller once all is well. NULL: no memory. */
static struct unix_link *link_new(struct unix_sock *a, struct unix_sock *b)
{
	struct unix_link *l = kzalloc(sizeof(*l));

	if (!l)
		return NULL;
	l->refs = 2;
	unix_channel_init(&l->to[0]);
	unix_channel_init(&l->to[1]);
	l->sock[0] = a;
	l->sock[1] = b;
	unix_sock_get(a);
	unix_sock_get(b);
	a->link = b->link = l;
	a->end = 0;
	b->end = 1;
	a->peer_cred = b->cred;
	b->peer_cred = a->cred;
	return l;
}

static void link_put(struct unix_link *l)
{
	if (__atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (int i = 0; i < 2; i++) {
		unix_channel_fini(&l->to[i]);
		unix_sock_put(l->sock[i]);
	}
	kfree(l);
}

/* One end is closed: what it did not read is lost, and the other end learns so. */
static void leave_link(struct unix_sock *u, bool never_accepted)
{
	struct unix_channel *in = unix_incoming(u), *out = unix_outgoing(u);
	struct unix_sock *other = unix_other(u);
	bool lost;

	mutex_lock(&in->lock);
	lost = in->ring.fill || in->packet_count;
	mutex_unlock(&in->lock);
	if (lost || never_accepted)
		__atomic_store_n(&other->s.error, -ECONNRESET, __ATOMIC_RELEASE);
	unix_channel_close(in);
	unix_channel_shut(out, true, true);
	pollq_wake(&other->s.queue, POLLIN | POLLRDNORM | POLLOUT | POLLHUP | POLLRDHUP);
	link_put(u->link);
}

static void close_pending(struct unix_sock *listener)
{
	for (;;) {
		struct unix_sock *u = NULL;

		mutex_lock(&unix_lock);
		if (!list_is_empty(&listener->pending)) {
			u = list_first_entry(&listener->pending, struct unix_sock, pending_node);
			list_del(&u->pending_node);
		}
		mutex_unlock(&unix_lock);
		if (!u)
			return;
		leave_link(u, true);
		unix_sock_put(u);
	}
}

/*
 * Under unix_lock. A datagram socket waits for room at its peer alone, so whoever changes the peer
 * takes it off that list in the same step. The old peer, with its reference.
 */
static struct unix_sock *set_peer(struct unix_sock *u, struct unix_sock *peer)
{
	struct unix_sock *old = u->peer;

	if (old)
		unix_channel_forget(&old->inbox, u);
	u->peer = peer;
	return old;
}

void unix_release(struct socket *s)
{
	struct unix_sock *u = unix_of(s), *peer;

	unix_unbind(u);
	mutex_lock(&unix_lock);
	__atomic_store_n(&u->closed, true, __ATOMIC_RELEASE);
	peer = set_peer(u, NULL);
	mutex_unlock(&unix_lock);
	if (u->state == UNIX_LISTENING) {
		pollq_wake(&u->s.queue, POLLHUP); /* who waits for room among the pending */
		close_pending(u);
	} else if (u->state == UNIX_CONNECTED) {
		leave_link(u, false);
	}
	if (u->s.type == SOCK_DGRAM) {
		unix_channel_close(&u->inbox);
		pollq_wake(&u->s.queue, POLLOUT);
	}
	unix_sock_put(peer);
	unix_sock_put(u);
}

int unix_socket_new(int type, int protocol, struct socket **ret)
{
	struct unix_sock *u;

	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW) /* as Linux */
		type = SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	u = sock_new(type);
	if (!u)
		return -ENOMEM;
	*ret = &u->s;
	return 0;
}

int unix_socket_new_pair(int type, int protocol, struct socket *ret[2])
{
	struct unix_sock *a, *b;
	int err = unix_socket_new(type, protocol, &ret[0]);

	if (err)
		return err;
	err = unix_socket_new(type, protocol, &ret[1]);
	if (err) {
		unix_release(ret[0]);
		return err;
	}
	a = unix_of(ret[0]);
	b = unix_of(ret[1]);
	if (a->s.type == SOCK_DGRAM) {
		a->peer = b;
		b->peer = a;
		unix_sock_get(a);
		unix_sock_get(b);
		a->peer_cred = b->peer_cred = a->cred;
	} else if (link_new(a, b)) {
		a->state = b->state = UNIX_CONNECTED;
	} else {
		unix_release(ret[0]);
		unix_release(ret[1]);
		return -ENOMEM;
	}
	return 0;
}

/* --- connections --------------------------------------------------------------------------- */

static int listen_(struct socket *s, int backlog)
{
	struct unix_sock *u = unix_of(s);
	int err = 0;

	mutex_lock(&unix_lock);
	if (!u->name || u->state == UNIX_CONNECTED) {
		err = -EINVAL;
	} else {
		u->state = UNIX_LISTENING;
		u->backlog = backlog < 0 ? BACKLOG_MAX : MIN((u32)backlog, BACKLOG_MAX);
		unix_fill_cred(&u->cred);
	}
	mutex_unlock(&unix_lock);
	if (!err)
		pollq_wake(&s->queue, POLLOUT); /* there may be more room than before */
	return err;
}

/* Under unix_lock. -EAGAIN: no room among the pending. */
static int try_connect(struct unix_sock *u, struct unix_sock *listener, struct unix_sock *server)
{
	if (u->state == UNIX_CONNECTED)
		return -EISCONN;
	if (u->state == UNIX_LISTENING)
		return -EINVAL;
	if (listener->state != UNIX_LISTENING || listener->closed)
		return -ECONNREFUSED;
	if (listener->pending_count > listener->backlog)
		return -EAGAIN;
	server->cred = listener->cred;
	if (!link_new(u, server))
		return -ENOMEM;
	server->s.passes_cred = listener->s.passes_cred;
	server->state = UNIX_CONNECTED;
	__atomic_store_n(&u->state, UNIX_CONNECTED, __ATOMIC_RELEASE);
	list_add_tail(&listener->pending, &server->pending_node);
	__atomic_store_n(&listener->pending_count, listener->pending_count + 1, __ATOMIC_RELEASE);
	return 0;
}

static bool may_connect(const struct unix_sock *listener)
{
	return __atomic_load_n(&listener->pending_count, __ATOMIC_ACQUIRE) <=
		       __atomic_load_n(&listener->backlog, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&listener->closed, __ATOMIC_ACQUIRE);
}

/* The accepted end answers to the listener's name. */
static int copy_name(struct unix_sock *server, const struct unix_sock *listener)
{
	server->name = kmalloc(sizeof(*server->name));
	if (!server->name)
		return -ENOMEM;
	*server->name = *listener->name;
	return 0;
}

static int connect_stream(struct socket *s, const struct net_address *a, bool nonblocking)
{
	u64 deadline = socket_deadline(s->send_timeout_ns, nonblocking);
	struct unix_sock *u = unix_of(s), *listener, *server;
	int err;

	if (s->passes_cred) {
		err = unix_autobind(u);
		if (err)
			return err;
	}
	err = unix_find(a, s->type, &listener);
	if (err)
		return err;
	server = sock_new(s->type);
	err = server ? copy_name(server, listener) : -ENOMEM;
	while (!err) {
		mutex_lock(&unix_lock);
		unix_fill_cred(&u->cred);
		err = try_connect(u, listener, server);
		mutex_unlock(&unix_lock);
		if (err != -EAGAIN || !deadline)
			break;
		err = wait_event(&listener->s.queue.threads, may_connect(listener), deadline, true);
		err = socket_wait_result(deadline, err);
	}
	if (!err) {
		pollq_wake(&listener->s.queue, POLLIN | POLLRDNORM);
		pollq_wake(&s->queue, POLLOUT | POLLWRNORM);
	} else {
		unix_sock_put(server);
	}
	unix_sock_put(listener);
	return err;
}

static int accept_(struct socket *s, bool nonblocking, struct socket **ret)
{
	u64 deadline = socket_deadline(s->receive_timeout_ns, nonblocking);
	struct unix_sock *u = unix_of(s), *server = NULL;
	int err;

	for (;;) {
		mutex_lock(&unix_lock);
		err = u->state != UNIX_LISTENING || u->closed ? -EINVAL : -EAGAIN;
		if (err == -EAGAIN && !list_is_empty(&u->pending)) {
			server = list_first_entry(&u->pending, struct unix_sock, pending_node);
			list_del(&server->pending_node);
			list_init(&server->pending_node);
			__atomic_store_n(&u->pending_count, u->pending_count - 1, __ATOMIC_RELEASE);
			err = 0;
		}
		mutex_unlock(&unix_lock);
		if (err != -EAGAIN || !deadline)
			break;
		err = wait_event(&s->queue.threads,
				 __atomic_load_n(&u->pending_count, __ATOMIC_ACQUIRE) ||
					 __atomic_load_n(&u->closed, __ATOMIC_ACQUIRE),
				 deadline, true);
		err = socket_wait_result(deadline, err);
		if (err)
			break;
	}
	if (err)
		return err;
	pollq_wake(&s->queue, POLLOUT); /* one more may connect */
	*ret = &server->s;
	return 0;
}

static int connect_dgram(struct socket *s, const struct net_address *a, bool nonblocking)
{
	struct unix_sock *u = unix_of(s), *peer = NULL, *old;
	int err;

	if (a->family != AF_UNSPEC) {
		if (s->passes_cred) {
			err = unix_autobind(u);
			if (err)
				return err;
		}
		err = unix_find(a, s->type, &peer);
		if (err)
			return err;
	}
	mutex_lock(&unix_lock);
	err = peer && peer->peer && peer->peer != u ? -EPERM : 0;
	old = err ? peer : set_peer(u, peer);
	mutex_unlock(&unix_lock);
	unix_sock_put(old);
	if (!err)
		pollq_wake(&s->queue, POLLOUT | POLLWRNORM);
	return err;
}

struct unix_sock *unix_dgram_peer(struct unix_sock *u)
{
	struct unix_sock *peer;

	mutex_lock(&unix_lock);
	peer = u->peer;
	if (peer)
		unix_sock_get(peer);
	mutex_unlock(&unix_lock);
	return peer;
}

/* --- the rest ------------------------------------------------------------------------------ */

static int name(struct socket *s, bool of_peer, struct net_address *ret)
{
	struct unix_sock *u = unix_of(s), *peer;

	if (!of_peer) {
		unix_name_of(u, ret);
		return 0;
	}
	if (s->type == SOCK_DGRAM) {
		peer = unix_dgram_peer(u);
		if (!peer)
			return -ENOTCONN;
		unix_name_of(peer, ret);
		unix_sock_put(peer);
		return 0;
	}
	if (!unix_is_connected(u))
		return -ENOTCONN;
	unix_name_of(unix_other(u), ret);
	return 0;
}

static int shutdown_(struct socket *s, int how)
{
	bool reads = how != SHUT_WR, writes = how != SHUT_RD;
	struct unix_sock *u = unix_of(s), *peer;

	if (s->type == SOCK_DGRAM) {
		if (reads)
			unix_channel_shut(&u->inbox, true, false);
		if (writes)
			__atomic_store_n(&u->no_send, true, __ATOMIC_RELEASE);
		peer = unix_dgram_peer(u);
		if (peer)
			pollq_wake(&peer->s.queue, POLLOUT);
		unix_sock_put(peer);
	} else if (unix_is_connected(u)) {
		unix_channel_shut(unix_incoming(u), reads, false);
		unix_channel_shut(unix_outgoing(u), false, writes);
		pollq_wake(&unix_other(u)->s.queue,
			   POLLIN | POLLRDNORM | POLLOUT | POLLHUP | POLLRDHUP);
	} else {
		mutex_lock(&unix_lock);
		if (u->state == UNIX_LISTENING && reads)
			__atomic_store_n(&u->closed, true, __ATOMIC_RELEASE);
		mutex_unlock(&unix_lock);
	}
	pollq_wake(&s->queue, POLLIN | POLLRDNORM | POLLOUT | POLLHUP | POLLRDHUP);
	return 0;
}

static u32 poll_connected(struct unix_sock *u)
{
	struct unix_channel *in = unix_incoming(u), *out = unix_outgoing(u);
	bool ended = __atomic_load_n(&in->no_writer, __ATOMIC_ACQUIRE) ||
		     __atomic_load_n(&in->no_reader, __ATOMIC_ACQUIRE);
	bool shut = __atomic_load_n(&out->no_writer, __ATOMIC_ACQUIRE) ||
		    __atomic_load_n(&out->no_reader, __ATOMIC_ACQUIRE);
	u32 events = 0;

	if (unix_channel_may_read(in))
		events |= POLLIN | POLLRDNORM;
	if (ended)
		events |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (ended && shut)
		events |= POLLHUP;
	if (unix_channel_poll_write(out, u->s.sndbuf, NULL))
		events |= POLLOUT | POLLWRNORM | POLLWRBAND;
	return events;
}

/* The peer does not change until we are on its list; nor may its last reference be put here. */
static u32 poll_dgram(struct unix_sock *u)
{
	u32 events = 0;

	if (unix_channel_may_read(&u->inbox))
		events |= POLLIN | POLLRDNORM;
	mutex_lock(&unix_lock);
	if (!u->peer || u->peer->closed || unix_channel_poll_write(&u->peer->inbox, u->s.sndbuf, u))
		events |= POLLOUT | POLLWRNORM | POLLWRBAND;
	mutex_unlock(&unix_lock);
	return events;
}

static u32 poll_(struct socket *s, struct poll_table *pt)
{
	struct unix_sock *u = unix_of(s);
	u32 events;

	poll_listen(pt, &s->queue);
	if (s->type == SOCK_DGRAM)
		events = poll_dgram(u);
	else if (unix_is_connected(u))
		events = poll_connected(u);
	else if (__atomic_load_n(&u->state, __ATOMIC_ACQUIRE) == UNIX_LISTENING)
		events = __atomic_load_n(&u->pending_count, __ATOMIC_ACQUIRE) ? POLLIN | POLLRDNORM
									      : 0;
	else
		events = POLLOUT | POLLWRNORM | POLLWRBAND | POLLHUP;
	if (__atomic_load_n(&s->error, __ATOMIC_ACQUIRE))
		events |= POLLERR;
	return events;
}

static int get_option(struct socket *s, int level, int option, void *value, u32 *size)
{
	struct unix_sock *u = unix_of(s);
	s32 listening = u->state == UNIX_LISTENING;
	struct abi_ucred cred = u->peer_cred;

	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	switch (option) {
	case SO_PEERCRED:
		if (!cred.pid)
			cred.uid = cred.gid = UINT32_MAX;
		*size = MIN(*size, (u32)sizeof(cred));
		memcpy(value, &cred, *size);
		return 0;
	case SO_ACCEPTCONN:
		*size = MIN(*size, (u32)sizeof(listening));
		memcpy(value, &listening, *size);
		return 0;
	default: return -ENOPROTOOPT;
	}
}

static u64 readable(struct socket *s)
{
	struct unix_sock *u = unix_of(s);
	struct unix_channel *c;
	u64 bytes;

	if (s->type != SOCK_DGRAM && !unix_is_connected(u))
		return 0;
	c = unix_incoming(u);
	mutex_lock(&c->lock);
	bytes = c->ring.fill + c->bytes;
	if (s->type == SOCK_DGRAM && !list_is_empty(&c->packets))
		bytes = list_first_entry(&c->packets, struct unix_packet, node)->size;
	mutex_unlock(&c->lock);
	return bytes;
}

static u64 unsent(struct socket *s)
{
	struct unix_sock *u = unix_of(s);
	struct unix_channel *c;
	u64 bytes;

	if (!unix_is_connected(u))
		return 0;
	c = unix_outgoing(u);
	mutex_lock(&c->lock);
	bytes = c->ring.fill + c->bytes;
	mutex_unlock(&c->lock);
	return bytes;
}

#define UNIX_OPS                                                                                   \
	.release = unix_release, .bind = unix_bind, .name = name, .shutdown = shutdown_,           \
	.get_option = get_option, .poll = poll_, .readable = readable, .unsent = unsent
#define CONNECTION_OPS .connect = connect_stream, .listen = listen_, .accept = accept_

static const struct socket_ops stream_ops = {
	UNIX_OPS,
	CONNECTION_OPS,
	.send = unix_stream_send,
	.receive = unix_stream_receive,
};

static const struct socket_ops seqpacket_ops = {
	UNIX_OPS,
	CONNECTION_OPS,
	.send = unix_packet_send,
	.receive = unix_packet_receive,
};

static const struct socket_ops dgram_ops = {
	UNIX_OPS,
	.connect = connect_dgram,
	.send = unix_packet_send,
	.receive = unix_packet_receive,
};
