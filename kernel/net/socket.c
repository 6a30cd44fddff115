/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file side of sockets, and the options that all families share. Options that change nothing
 * inside (SO_REUSEADDR on a name that is never stale, SO_KEEPALIVE of a connection that cannot
 * die) are kept and read back, as Linux does for families that ignore them.
 */
#include "kernel/net/socket.h"

#include "abi/errno.h"
#include "abi/ioctl.h"
#include "abi/time.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/net/inet.h"
#include "kernel/net/unix.h"
#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/string.h"

#define SIGPIPE	       13
#define BUFFER_DEFAULT 212992u
#define BUFFER_MIN     4608u
#define BUFFER_MAX     (2 * BUFFER_DEFAULT)
#define SIOCOUTQ       0x5411
#define SIOCINQ	       0x541b
#define NSEC	       1000000000ull

void socket_init(struct socket *s, const struct socket_ops *ops, u16 family, u16 type, u32 protocol)
{
	s->ops = ops;
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	s->sndbuf = s->rcvbuf = BUFFER_DEFAULT;
	pollq_init(&s->queue);
}

void socket_fini(struct socket *s)
{
	pollq_fini(&s->queue);
}

int socket_new(int family, int type, int protocol, struct socket **ret)
{
	switch (family) {
	case AF_UNIX: return unix_socket_new(type, protocol, ret);
	case AF_INET:
	case AF_INET6: return inet_socket_new(family, type, protocol, ret);
	default: return -EAFNOSUPPORT;
	}
}

int socket_new_pair(int family, int type, int protocol, struct socket *ret[2])
{
	int err;

	if (family == AF_UNIX)
		return unix_socket_new_pair(type, protocol, ret);
	if (family != AF_INET && family != AF_INET6)
		return -EAFNOSUPPORT;
	err = inet_check_kind(type, protocol);
	return err ? err : -EOPNOTSUPP;
}

/* --- waiting ------------------------------------------------------------------------------- */

u64 socket_deadline(u64 timeout_ns, bool nonblocking)
{
	u64 now;

	if (nonblocking)
		return 0;
	if (!timeout_ns)
		return DEADLINE_NEVER;
	now = clock_monotonic_ns();
	return timeout_ns > DEADLINE_NEVER - 1 - now ? DEADLINE_NEVER : now + timeout_ns;
}

int socket_wait_result(u64 deadline, int err)
{
	if (err == -ETIMEDOUT)
		return -EAGAIN;
	if (err == -EINTR) /* with a timeout a call is not run again, or it would never end */
		return deadline == DEADLINE_NEVER ? -ERESTARTSYS : -EINTR;
	return err;
}

long socket_broken_pipe(const struct net_message *m)
{
	if (!(m->flags & MSG_NOSIGNAL)) {
		struct signal_info info = {.signo = SIGPIPE};

		signal_send_thread(current_thread(), &info);
	}
	return -EPIPE;
}

int socket_take_error(struct socket *s)
{
	return __atomic_exchange_n(&s->error, 0, __ATOMIC_ACQ_REL);
}

/* --- options ------------------------------------------------------------------------------- */

static int put_int(void *value, u32 *size, s32 n)
{
	*size = MIN(*size, (u32)sizeof(n));
	memcpy(value, &n, *size);
	return 0;
}

static int put_timeout(void *value, u32 *size, u64 ns)
{
	struct abi_timeval t = {ns / NSEC, ns % NSEC / 1000};

	*size = MIN(*size, (u32)sizeof(t));
	memcpy(value, &t, *size);
	return 0;
}

static bool is_stored(int option)
{
	switch (option) {
	case SO_DEBUG:
	case SO_REUSEADDR:
	case SO_DONTROUTE:
	case SO_BROADCAST:
	case SO_KEEPALIVE:
	case SO_OOBINLINE:
	case SO_PRIORITY:
	case SO_REUSEPORT: return true;
	default: return false;
	}
}

static bool is_inet_level(int level)
{
	return level == SOL_IP || level == SOL_TCP || level == SOL_IPV6;
}

int socket_get_option(struct socket *s, int level, int option, void *value, u32 *size)
{
	struct abi_linger linger = {s->stored[SO_LINGER] != 0, s->stored[SO_LINGER] - 1};

	if (level != SOL_SOCKET)
		return s->family != AF_UNIX && is_inet_level(level) ? -ENOPROTOOPT : -EOPNOTSUPP;
	switch (option) {
	case SO_TYPE: return put_int(value, size, s->type);
	case SO_DOMAIN: return put_int(value, size, s->family);
	case SO_PROTOCOL: return put_int(value, size, s->protocol);
	case SO_ERROR: return put_int(value, size, -socket_take_error(s));
	case SO_SNDBUF: return put_int(value, size, s->sndbuf);
	case SO_RCVBUF: return put_int(value, size, s->rcvbuf);
	case SO_RCVLOWAT:
	case SO_SNDLOWAT: return put_int(value, size, 1);
	case SO_PASSCRED: return put_int(value, size, s->passes_cred);
	case SO_RCVTIMEO: return put_timeout(value, size, s->receive_timeout_ns);
	case SO_SNDTIMEO: return put_timeout(value, size, s->send_timeout_ns);
	case SO_LINGER:
		if (!linger.on)
			linger.seconds = 0;
		*size = MIN(*size, (u32)sizeof(linger));
		memcpy(value, &linger, *size);
		return 0;
	default: return is_stored(option) ? put_int(value, size, s->stored[option]) : -ENOPROTOOPT;
	}
}

static int get_timeout(const void *value, u32 size, u64 *ret)
{
	struct abi_timeval t;

	if (size < sizeof(t))
		return -EINVAL;
	memcpy(&t, value, sizeof(t));
	if (t.usec < 0 || t.usec >= 1000000)
		return -EDOM;
	/* Less than nothing is nothing, and nothing means for ever; so does more than fits. */
	*ret = t.sec < 0 || t.sec > INT64_MAX / (s64)NSEC - 1 ? 0 : t.sec * NSEC + t.usec * 1000;
	return 0;
}

/* Linux doubles what is asked for, and so reads back what it gives. */
static u32 buffer_size(s32 n)
{
	u32 want = n < 0 ? BUFFER_MAX : MIN((u32)n, BUFFER_DEFAULT) * 2;

	return MAX(want, BUFFER_MIN);
}

int socket_set_option(struct socket *s, int level, int option, const void *value, u32 size)
{
	struct abi_linger linger;
	s32 n;

	if (level != SOL_SOCKET)
		return s->family == AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
	if (size < sizeof(n))
		return -EINVAL;
	memcpy(&n, value, sizeof(n));
	switch (option) {
	case SO_SNDBUF:
	case SO_SNDBUFFORCE: s->sndbuf = buffer_size(n); return 0;
	case SO_RCVBUF:
	case SO_RCVBUFFORCE: s->rcvbuf = buffer_size(n); return 0;
	case SO_RCVLOWAT: return n == 1 || n == 0 ? 0 : -EINVAL;
	case SO_PASSCRED:
		if (s->family != AF_UNIX)
			return -EOPNOTSUPP;
		s->passes_cred = n != 0;
		return 0;
	case SO_RCVTIMEO: return get_timeout(value, size, &s->receive_timeout_ns);
	case SO_SNDTIMEO: return get_timeout(value, size, &s->send_timeout_ns);
	case SO_LINGER:
		if (size < sizeof(linger))
			return -EINVAL;
		memcpy(&linger, value, sizeof(linger));
		s->stored[SO_LINGER] =
			linger.on ? MIN((u32)linger.seconds, (u32)INT32_MAX - 1) + 1 : 0;
		return 0;
	default:
		if (!is_stored(option))
			return -ENOPROTOOPT;
		s->stored[option] = option == SO_PRIORITY ? n : n != 0;
		return 0;
	}
}

/* --- the file ------------------------------------------------------------------------------ */

static void file_release(struct file *f)
{
	struct socket *s = f->priv;

	s->ops->release(s);
}

static long transfer(struct file *f, struct net_data data, bool is_write)
{
	struct net_message m = {.data = data, .flags = file_is_nonblocking(f) ? MSG_DONTWAIT : 0};
	struct socket *s = f->priv;
	long ret = is_write ? s->ops->send(s, &m) : s->ops->receive(s, &m);

	net_control_free(m.control);
	return ret;
}

static long file_receive(struct file *f, struct uio *uio, u64 offset)
{
	return transfer(f, net_data_single(*uio), false);
}

static long file_send(struct file *f, struct uio *uio, u64 *offset)
{
	return transfer(f, net_data_single(*uio), true);
}

long socket_vector(struct file *f, const struct abi_iovec *vec, u64 count, bool is_write)
{
	return transfer(f, net_data_vector(vec, count), is_write);
}

static u32 file_socket_poll(struct file *f, struct poll_table *pt)
{
	struct socket *s = f->priv;

	return s->ops->poll(s, pt);
}

static u64 file_readable(struct file *f)
{
	struct socket *s = f->priv;

	return s->ops->readable ? s->ops->readable(s) : 0;
}

static long file_ioctl(struct file *f, u32 command, u64 arg)
{
	struct socket *s = f->priv;

	if (command == SIOCOUTQ && s->ops->unsent)
		return put_user_u32((void __user *)arg, s->ops->unsent(s));
	return -ENOTTY;
}

static const struct file_ops socket_file_ops = {
	.is_stream = true,
	.release = file_release,
	.read = file_receive,
	.write = file_send,
	.ioctl = file_ioctl,
	.poll = file_socket_poll,
	.data_size = file_readable,
};

int socket_file(struct socket *s, u32 flags, struct file **ret)
{
	int err = file_new_anon(&socket_file_ops, "socket:", S_IFSOCK | 0777,
				O_RDWR | (flags & O_NONBLOCK), s, ret);

	if (err)
		s->ops->release(s);
	return err;
}

struct socket *socket_of(struct file *f)
{
	return f->ops == &socket_file_ops ? f->priv : NULL;
}
