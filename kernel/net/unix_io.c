/* SPDX-License-Identifier: Apache-2.0 */
/* Sending and receiving over AF_UNIX: the waiting, and whom to wake. */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/net/unix_priv.h"

#define SEND_FLAGS                                                                                 \
	(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR | MSG_MORE | MSG_DONTROUTE | MSG_CMSG_CLOEXEC)

/* Credentials ride along when either side asked for them and the sender gave none. */
static int add_cred(struct unix_sock *u, const struct unix_sock *peer, struct net_message *m)
{
	if (!u->s.passes_cred && !peer->s.passes_cred)
		return 0;
	if (!m->control)
		m->control = net_control_new(0);
	if (!m->control)
		return -ENOMEM;
	if (!m->control->has_cred) {
		unix_fill_sender(&m->control->cred);
		m->control->has_cred = true;
	}
	return 0;
}

/* What went in so far took the control data along; who sent it is true of the rest as well. */
static int repeat_cred(struct net_message *m, bool has_cred, const struct abi_ucred *cred)
{
	if (!has_cred || m->control || !m->data.left)
		return 0;
	m->control = net_control_new(0);
	if (!m->control)
		return -ENOMEM;
	m->control->has_cred = true;
	m->control->cred = *cred;
	return 0;
}

/* --- streams ------------------------------------------------------------------------------- */

long unix_stream_send(struct socket *s, struct net_message *m)
{
	u64 deadline = socket_deadline(s->send_timeout_ns, m->flags & MSG_DONTWAIT);
	struct unix_sock *u = unix_of(s), *peer;
	struct unix_channel *c;
	struct abi_ucred cred = {0};
	bool has_cred = false;
	long done = 0, n;

	if (m->flags & ~SEND_FLAGS)
		return -EOPNOTSUPP;
	if (m->address)
		return unix_is_connected(u) ? -EISCONN : -EOPNOTSUPP;
	if (!unix_is_connected(u))
		return -ENOTCONN;
	peer = unix_other(u);
	c = unix_outgoing(u);
	n = socket_take_error(s);
	if (!n)
		n = add_cred(u, peer, m);
	if (n)
		return n;
	if (m->control && m->control->has_cred) {
		has_cred = true;
		cred = m->control->cred;
	}
	while (m->data.left) {
		n = unix_channel_put(c, m, s->sndbuf);
		if (n > 0) {
			done += n;
			pollq_wake(&peer->s.queue, POLLIN | POLLRDNORM);
			n = repeat_cred(m, has_cred, &cred);
			if (n)
				break;
			continue;
		}
		if (!n && deadline) {
			n = wait_event(&s->queue.threads, unix_channel_wait_room(c, 1, s->sndbuf),
				       deadline, true);
			n = socket_wait_result(deadline, n);
			if (!n)
				continue;
		}
		n = n ? n : -EAGAIN;
		break;
	}
	if (done || !m->data.left)
		return done;
	return n == -EPIPE ? socket_broken_pipe(m) : n;
}

long unix_stream_receive(struct socket *s, struct net_message *m)
{
	u64 deadline = socket_deadline(s->receive_timeout_ns, m->flags & MSG_DONTWAIT);
	struct unix_sock *u = unix_of(s), *peer;
	struct unix_channel *c;
	long done = 0, n;
	bool wake;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (!unix_is_connected(u))
		return -EINVAL;
	peer = unix_other(u);
	c = unix_incoming(u);
	while (m->data.left) {
		n = unix_channel_get(c, m, &wake);
		if (wake)
			pollq_wake(&peer->s.queue, POLLOUT | POLLWRNORM);
		if (n > 0) {
			done += n;
			if (!(m->flags & MSG_WAITALL) || (m->flags & MSG_PEEK) || m->control)
				break;
			continue;
		}
		if (n == -EAGAIN || !n) {
			int err = done ? 0 : socket_take_error(s);

			n = err ? err : n;
		}
		if (n != -EAGAIN || !deadline)
			break;
		n = wait_event(&s->queue.threads,
			       unix_channel_may_read(c) ||
				       __atomic_load_n(&s->error, __ATOMIC_ACQUIRE),
			       deadline, true);
		n = socket_wait_result(deadline, n);
		if (n)
			break;
	}
	if (m->address && done)
		unix_name_of(peer, m->address);
	return done || !m->data.left ? done : n;
}

/* --- records and datagrams ----------------------------------------------------------------- */

/* Where the message goes, counted, and whether it must: the peer or the address. */
static int target_of(struct unix_sock *u, struct net_message *m, struct unix_sock **ret)
{
	struct unix_sock *target;
	int err;

	if (u->s.type != SOCK_DGRAM) {
		if (!unix_is_connected(u))
			return -ENOTCONN;
		if (m->address)
			return -EISCONN;
		*ret = unix_other(u);
		unix_sock_get(*ret);
		return 0;
	}
	if (!m->address) {
		*ret = unix_dgram_peer(u);
		return *ret ? 0 : -ENOTCONN;
	}
	err = unix_find(m->address, SOCK_DGRAM, &target);
	if (err)
		return err;
	mutex_lock(&unix_lock);
	err = target->peer && target->peer != u ? -EPERM : 0;
	mutex_unlock(&unix_lock);
	if (err)
		unix_sock_put(target);
	else
		*ret = target;
	return err;
}

static int packet_from(struct unix_sock *u, struct net_message *m, struct unix_packet **ret)
{
	struct unix_packet *p;
	int err = 0;

	if (m->data.left > u->s.sndbuf - 32)
		return -EMSGSIZE;
	p = unix_packet_new(m->data.left);
	if (!p)
		return -ENOMEM;
	if (net_data_in(&m->data, p->data, p->size))
		err = -EFAULT;
	if (!err && u->s.type == SOCK_DGRAM && u->name) {
		p->from = kmalloc(sizeof(*p->from));
		if (p->from)
			unix_name_of(u, p->from);
		else
			err = -ENOMEM;
	}
	if (err) {
		unix_packet_free(p);
		return err;
	}
	p->control = m->control;
	m->control = NULL;
	*ret = p;
	return 0;
}

/* A dead peer: a connected one was there once, so its sockets learn it by name. */
static long shut_error(struct unix_sock *u, const struct unix_sock *target,
		       const struct net_message *m)
{
	if (u->s.type == SOCK_DGRAM && __atomic_load_n(&target->closed, __ATOMIC_ACQUIRE))
		return -ECONNREFUSED;
	return socket_broken_pipe(m);
}

static long deliver(struct unix_sock *u, struct unix_sock *target, struct net_message *m,
		    struct unix_packet *p)
{
	struct unix_channel *c = u->s.type == SOCK_DGRAM ? &target->inbox : unix_outgoing(u);
	/* Who takes a datagram wakes its own socket's queue, a link's reader that of the peer. */
	struct pollq *room = u->s.type == SOCK_DGRAM ? &target->s.queue : &u->s.queue;
	u64 deadline = socket_deadline(u->s.send_timeout_ns, m->flags & MSG_DONTWAIT);
	u32 size = p->size;
	long err;

	for (;;) {
		err = unix_channel_post(c, p, u->s.sndbuf);
		if (!err)
			pollq_wake(&target->s.queue, POLLIN | POLLRDNORM);
		if (err != -EAGAIN || !deadline)
			break;
		err = wait_event(&room->threads, unix_channel_wait_room(c, size, u->s.sndbuf),
				 deadline, true);
		err = socket_wait_result(deadline, err);
		if (err)
			break;
	}
	return err ? err : (long)size;
}

long unix_packet_send(struct socket *s, struct net_message *m)
{
	struct unix_sock *u = unix_of(s), *target = NULL;
	struct unix_packet *p = NULL;
	long ret;

	if (m->flags & ~SEND_FLAGS)
		return -EOPNOTSUPP;
	if (__atomic_load_n(&u->no_send, __ATOMIC_ACQUIRE))
		return socket_broken_pipe(m);
	ret = socket_take_error(s);
	if (!ret && s->type == SOCK_DGRAM && s->passes_cred)
		ret = unix_autobind(u);
	if (!ret)
		ret = target_of(u, m, &target);
	if (ret)
		return ret;
	ret = add_cred(u, target, m);
	if (!ret)
		ret = packet_from(u, m, &p);
	if (!ret)
		ret = deliver(u, target, m, p);
	if (ret < 0)
		unix_packet_free(p);
	if (ret == -EPIPE)
		ret = shut_error(u, target, m);
	unix_sock_put(target);
	return ret;
}

/* Hands a packet to the caller. */
static long hand_out(struct unix_sock *u, struct net_message *m, struct unix_packet *p)
{
	u64 size = MIN((u64)p->size, m->data.left);

	if (net_data_out(&m->data, p->data, size))
		return -EFAULT;
	if (size < p->size)
		m->ret_flags |= MSG_TRUNC;
	if (u->s.type == SOCK_SEQPACKET)
		m->ret_flags |= MSG_EOR;
	if (m->address && u->s.type == SOCK_SEQPACKET)
		unix_name_of(unix_other(u), m->address);
	else if (m->address && p->from)
		*m->address = *p->from;
	m->control = p->control;
	p->control = NULL;
	return m->flags & MSG_TRUNC ? p->size : size;
}

long unix_packet_receive(struct socket *s, struct net_message *m)
{
	u64 deadline = socket_deadline(s->receive_timeout_ns, m->flags & MSG_DONTWAIT);
	struct unix_sock *u = unix_of(s);
	struct unix_packet *p = NULL;
	struct unix_channel *c;
	long ret;
	bool wake;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->type == SOCK_SEQPACKET && !unix_is_connected(u))
		return -ENOTCONN;
	c = unix_incoming(u);
	for (;;) {
		ret = unix_channel_take(c, m->flags & MSG_PEEK, &p, &wake);
		if (wake)
			pollq_wake(s->type == SOCK_DGRAM ? &s->queue : &unix_other(u)->s.queue,
				   POLLOUT | POLLWRNORM);
		if (!ret)
			break;
		if (ret == -EAGAIN && __atomic_load_n(&s->error, __ATOMIC_ACQUIRE))
			ret = socket_take_error(s);
		if (ret != -EAGAIN || !deadline)
			break;
		ret = wait_event(&s->queue.threads,
				 unix_channel_may_read(c) ||
					 __atomic_load_n(&s->error, __ATOMIC_ACQUIRE),
				 deadline, true);
		ret = socket_wait_result(deadline, ret);
		if (ret)
			break;
	}
	if (ret || !p)
		return ret;
	ret = hand_out(u, m, p);
	unix_packet_free(p);
	return ret;
}
