/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's descriptor never blocks: a call tries, and when the host says EAGAIN waits in
 * thread_park_poll(), where signals reach it. Options are passed on from a list, so that what a
 * program sets is either obeyed by the host or refused here.
 */
#include "kernel/net/inet.h"

#include "abi/errno.h"
#include "abi/ioctl.h"
#include "edge/hostcall_gen.h"
#include "edge/net.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/sys/restart.h"
#include "lib/base/string.h"

#define CHUNK_MAX   65488u /* of net_send and net_receive */
#define OPTION_MAX  32u
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

struct inet_sock {
	struct socket s;
	s32 fd;		 /* of the host */
	bool connecting; /* a blocking connect() was interrupted: the next one goes on waiting */
};

static const struct socket_ops inet_ops;

static struct inet_sock *of(struct socket *s)
{
	return container_of(s, struct inet_sock, s);
}

/* Waits until the host says that `events` hold. */
static int wait_ready(struct inet_sock *i, u32 events, u64 deadline)
{
	struct host_pollfd p = {.fd = i->fd, .events = events};
	int n;

	if (!deadline)
		return -EAGAIN;
	do {
		p.revents = 0;
		n = thread_park_poll(&p, 1, deadline, true);
	} while (!n);
	return n > 0 ? 0 : socket_wait_result(deadline, n);
}

/*
 * The program has been at the socket: an epoll item that waits for edges may tell it again. The
 * host has only levels, so it is told once more than on Linux rather than once less.
 */
static void again(struct inet_sock *i, u32 events)
{
	pollq_wake(&i->s.queue, events);
}

static int sock_new(u16 family, u16 type, u32 protocol, s32 fd, struct socket **ret)
{
	struct inet_sock *i = kzalloc(sizeof(*i));

	if (!i)
		return -ENOMEM;
	socket_init(&i->s, &inet_ops, family, type, protocol);
	i->fd = fd;
	*ret = &i->s;
	return 0;
}

static int expected_protocol(int type)
{
	return type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
}

int inet_check_kind(int type, int protocol)
{
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return type != SOCK_RAW ? -ESOCKTNOSUPPORT : protocol ? -EPERM : -EPROTONOSUPPORT;
	return protocol && protocol != expected_protocol(type) ? -EPROTONOSUPPORT : 0;
}

int inet_socket_new(int family, int type, int protocol, struct socket **ret)
{
	int expected = expected_protocol(type);
	int err = inet_check_kind(type, protocol);
	s64 fd;

	if (err)
		return err;
	fd = host_net_socket(family, type, protocol);
	if (fd < 0)
		return fd;
	err = sock_new(family, type, expected, fd, ret);
	if (err)
		host_file_close(fd);
	return err;
}

static void release(struct socket *s)
{
	host_file_close(of(s)->fd);
	socket_fini(s);
	kfree(of(s));
}

#define PRIVILEGED_PORTS 1024
#define IN6_SIZE_MIN	 24 /* of RFC 2133, without the scope */

/* The host knows nothing of who asks in here: whose the low ports are is decided first. */
static int bind_(struct socket *s, const struct net_address *a)
{
	bool is_in6 = s->family == AF_INET6;
	u32 most = is_in6 ? sizeof(a->in6) : sizeof(a->in);
	u16 port = __builtin_bswap16(is_in6 ? a->in6.port : a->in.port);

	if (a->size < (is_in6 ? IN6_SIZE_MIN : sizeof(a->in)))
		return -EINVAL;
	if (a->family != s->family && (is_in6 || a->family != AF_UNSPEC || a->in.address))
		return -EAFNOSUPPORT;
	if (port && port < PRIVILEGED_PORTS &&
	    !credentials_capable(&current_process()->cred, CAP_NET_BIND_SERVICE))
		return -EACCES;
	return host_net_bind(of(s)->fd, a->bytes, MIN(a->size, most));
}

static int listen_(struct socket *s, int backlog)
{
	return host_net_listen(of(s)->fd, backlog < 0 ? 0 : backlog);
}

static int connect_(struct socket *s, const struct net_address *a, bool nonblocking)
{
	u64 deadline = socket_deadline(s->send_timeout_ns, nonblocking);
	struct inet_sock *i = of(s);
	int err;

	if (a->size > HOST_ADDRESS_MAX)
		return -EINVAL;
	err = host_net_connect(i->fd, a->bytes, a->size);
	if (nonblocking || (err != -EINPROGRESS && !(err == -EALREADY && i->connecting))) {
		i->connecting = false;
		return err;
	}
	i->connecting = true;
	err = wait_ready(i, POLLOUT, deadline);
	if (err)
		return err == -EAGAIN ? -EINPROGRESS : err;
	i->connecting = false;
	return host_net_connect(i->fd, a->bytes, a->size); /* says how it ended */
}

static int accept_(struct socket *s, bool nonblocking, struct socket **ret)
{
	u64 deadline = socket_deadline(s->receive_timeout_ns, nonblocking);
	s64 fd;
	int err;

	while ((fd = host_net_accept(of(s)->fd)) == -EAGAIN) {
		err = wait_ready(of(s), POLLIN, deadline);
		if (err) {
			again(of(s), POLLIN);
			return err;
		}
	}
	again(of(s), POLLIN);
	if (fd < 0)
		return fd;
	err = sock_new(s->family, s->type, s->protocol, fd, ret);
	if (err)
		host_file_close(fd);
	return err;
}

/* An address from the host: one of the socket's family and size, or none. */
static void take_address(const struct socket *s, const struct host_net_info *info,
			 struct net_address *ret)
{
	u32 expected = s->family == AF_INET ? sizeof(ret->in) : sizeof(ret->in6);

	memset(ret, 0, sizeof(*ret));
	if (info->address_size != expected)
		return;
	memcpy(ret->bytes, info->address, expected);
	if (ret->family == s->family)
		ret->size = expected;
	else
		memset(ret, 0, sizeof(*ret));
}

static int name(struct socket *s, bool of_peer, struct net_address *ret)
{
	struct host_net_info info;
	int err = host_net_name(of(s)->fd, of_peer, &info, sizeof(info));

	if (!err)
		take_address(s, &info, ret);
	return err;
}

/* --- data ---------------------------------------------------------------------------------- */

/* One piece to the host, which may take less of a stream. */
static long send_chunk(struct inet_sock *i, const struct net_message *m, const u8 *buf, size_t size,
		       u64 deadline)
{
	const struct net_address *a = m->address;
	long n;
	int err;

	while ((n = host_net_send(i->fd, buf, size, a ? a->bytes : NULL, a ? a->size : 0)) ==
	       -EAGAIN) {
		err = wait_ready(i, POLLOUT, deadline);
		if (err)
			return err;
	}
	return n;
}

static long send_all(struct inet_sock *i, struct net_message *m, u8 *buf, size_t room)
{
	u64 deadline = socket_deadline(i->s.send_timeout_ns, m->flags & MSG_DONTWAIT);
	long done = 0, n = 0;

	do {
		size_t part = MIN(m->data.left, (u64)room), at = 0;

		if (net_data_in(&m->data, buf, part))
			return done ? done : -EFAULT;
		do {
			n = send_chunk(i, m, buf + at, part - at, deadline);
			/* A datagram goes whole; of a stream nothing taken is no way to get on. */
			if (n >= 0 && (i->s.type == SOCK_DGRAM ? (size_t)n < part : !n && part))
				n = -EIO;
			if (n < 0)
				return done ? done : n;
			at += n;
			done += n;
		} while (at < part);
	} while (m->data.left);
	return done;
}

static long send_(struct socket *s, struct net_message *m)
{
	size_t room = MIN(m->data.left, (u64)CHUNK_MAX);
	long ret;
	u8 *buf;

	if (m->flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_CMSG_CLOEXEC | MSG_EOR))
		return -EOPNOTSUPP;
	if (m->address && m->address->size > HOST_ADDRESS_MAX)
		return -EINVAL;
	/* A datagram in several parts: sent one by one they would be several datagrams. */
	if (s->type == SOCK_DGRAM && (m->flags & MSG_MORE))
		return -EOPNOTSUPP;
	if (s->type == SOCK_DGRAM && m->data.left > CHUNK_MAX)
		return -EMSGSIZE;
	buf = kmalloc(MAX(room, (size_t)1));
	if (!buf)
		return -ENOMEM;
	ret = send_all(of(s), m, buf, room);
	kfree(buf);
	again(of(s), POLLOUT);
	return ret == -EPIPE ? socket_broken_pipe(m) : ret;
}

static long receive_once(struct inet_sock *i, struct net_message *m, u8 *buf, size_t room,
			 u64 deadline)
{
	/* Of a stream MSG_TRUNC would make the host throw bytes away and give none. */
	u32 flags = m->flags & (i->s.type == SOCK_DGRAM ? MSG_PEEK | MSG_TRUNC : MSG_PEEK);
	struct host_net_info info;
	long n;
	int err;

	while ((n = host_net_receive(i->fd, flags, buf, room, &info, sizeof(info))) == -EAGAIN) {
		err = wait_ready(i, POLLIN, deadline);
		if (err)
			return err;
	}
	if (n < 0)
		return n;
	if (net_data_out(&m->data, buf, n))
		return -EFAULT;
	if (m->address && i->s.type == SOCK_DGRAM)
		take_address(&i->s, &info, m->address);
	if (i->s.type == SOCK_DGRAM && (info.flags & HOST_NET_TRUNC)) {
		m->ret_flags |= MSG_TRUNC;
		if (m->flags & MSG_TRUNC) /* no datagram is larger than this */
			n = MAX((u64)n, MIN(info.full_size, (u64)65535));
	}
	return n;
}

static long receive(struct socket *s, struct net_message *m)
{
	u64 deadline = socket_deadline(s->receive_timeout_ns, m->flags & MSG_DONTWAIT);
	size_t room = MIN(m->data.left, (u64)CHUNK_MAX);
	long done = 0, n;
	u8 *buf;

	if (m->flags & (MSG_OOB | MSG_ERRQUEUE))
		return -EOPNOTSUPP;
	if (!room && s->type == SOCK_STREAM)
		return 0;
	buf = kmalloc(MAX(room, (size_t)1));
	if (!buf)
		return -ENOMEM;
	do {
		n = receive_once(of(s), m, buf, MIN((u64)room, m->data.left), deadline);
		if (n <= 0)
			break;
		done += n;
	} while (s->type == SOCK_STREAM && (m->flags & MSG_WAITALL) && !(m->flags & MSG_PEEK) &&
		 m->data.left);
	kfree(buf);
	again(of(s), POLLIN);
	return done ? done : n;
}

/* --- the rest ------------------------------------------------------------------------------ */

static int shutdown_(struct socket *s, int how)
{
	return host_net_shutdown(of(s)->fd, how);
}

static u32 poll_(struct socket *s, struct poll_table *pt)
{
	struct host_pollfd p = {.fd = of(s)->fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};

	if (pt) {
		poll_listen(pt, &s->queue); /* for edges, see again() */
		pt->add_host(pt, p.fd, p.events);
		return 0;
	}
	return thread_park_poll(&p, 1, 0, false) > 0 ? (u16)p.revents : 0;
}

static u64 readable(struct socket *s)
{
	u8 argument[256] = {0};
	s32 n = 0;

	if (host_fd_ioctl(of(s)->fd, FIONREAD, argument, sizeof(argument)))
		return 0;
	memcpy(&n, argument, sizeof(n));
	return n < 0 ? 0 : n;
}

/* Options that the host obeys. Those that wait or name things of the host are not among them. */
static const struct {
	u8 level, option;
} passed[] = {
	{SOL_SOCKET, SO_REUSEADDR},
	{SOL_SOCKET, SO_REUSEPORT},
	{SOL_SOCKET, SO_KEEPALIVE},
	{SOL_SOCKET, SO_BROADCAST},
	{SOL_SOCKET, SO_LINGER},
	{SOL_SOCKET, SO_SNDBUF},
	{SOL_SOCKET, SO_RCVBUF},
	{SOL_SOCKET, SO_ERROR},
	{SOL_SOCKET, SO_ACCEPTCONN},
	{SOL_SOCKET, SO_DONTROUTE},
	{SOL_SOCKET, SO_OOBINLINE},
	{SOL_SOCKET, SO_PRIORITY},
	{SOL_SOCKET, SO_DEBUG},
	{SOL_SOCKET, SO_RCVLOWAT},
	{SOL_TCP, 1 /* NODELAY */},
	{SOL_TCP, 2 /* MAXSEG */},
	{SOL_TCP, 3 /* CORK */},
	{SOL_TCP, 4 /* KEEPIDLE */},
	{SOL_TCP, 5 /* KEEPINTVL */},
	{SOL_TCP, 6 /* KEEPCNT */},
	{SOL_TCP, 7 /* SYNCNT */},
	{SOL_TCP, 8 /* LINGER2 */},
	{SOL_TCP, 9 /* DEFER_ACCEPT */},
	{SOL_TCP, 12 /* QUICKACK */},
	{SOL_TCP, 18 /* USER_TIMEOUT */},
	{SOL_IP, 1 /* TOS */},
	{SOL_IP, 2 /* TTL */},
	{SOL_IP, 10 /* MTU_DISCOVER */},
	{SOL_IP, 11 /* RECVERR */},
	{SOL_IPV6, 16 /* UNICAST_HOPS */},
	{SOL_IPV6, 23 /* MTU_DISCOVER */},
	{SOL_IPV6, 25 /* RECVERR */},
	{SOL_IPV6, 26 /* V6ONLY */},
	{SOL_IPV6, 67 /* TCLASS */},
};

static bool is_passed(int level, int option)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		if (passed[i].level == level && passed[i].option == option)
			return true;
	}
	return false;
}

static int get_option(struct socket *s, int level, int option, void *value, u32 *size)
{
	u8 bytes[OPTION_MAX];
	s64 n;

	if (!is_passed(level, option))
		return -ENOPROTOOPT;
	n = host_net_get_option(of(s)->fd, level, option, bytes, sizeof(bytes));
	if (n < 0)
		return n;
	*size = MIN(*size, (u32)n);
	memcpy(value, bytes, *size);
	return 0;
}

static int set_option(struct socket *s, int level, int option, const void *value, u32 size)
{
	if (!is_passed(level, option))
		return -ENOPROTOOPT;
	return host_net_set_option(of(s)->fd, level, option, value, MIN(size, OPTION_MAX));
}

static const struct socket_ops inet_ops = {
	.release = release,
	.bind = bind_,
	.connect = connect_,
	.listen = listen_,
	.accept = accept_,
	.name = name,
	.send = send_,
	.receive = receive,
	.shutdown = shutdown_,
	.get_option = get_option,
	.set_option = set_option,
	.poll = poll_,
	.readable = readable,
};
