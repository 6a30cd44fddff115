/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets at the border: addresses, options, messages and control data are copied in once, checked
 * here and handed on as kernel objects; data stays with the caller and is copied by the family.
 */
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/net/socket.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/net_control.h"
#include "kernel/sys/restart.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/time/clock.h"
#include "abi/time.h"
#include "lib/base/string.h"

#define MESSAGES_MAX 1024u /* in one sendmmsg or recvmmsg */
#define NSEC	     1000000000ull

/* The file of a socket descriptor, counted, and its socket. */
static int arg_socket(int fd, struct file **ret_file, struct socket **ret)
{
	struct file *f = arg_file(fd);

	if (!f)
		return -EBADF;
	*ret = socket_of(f);
	if (!*ret) {
		file_put(f);
		return -ENOTSOCK;
	}
	*ret_file = f;
	return 0;
}

static int get_address(struct net_address *a, const void __user *user, s64 size)
{
	if (size < 0 || size > NET_ADDRESS_MAX)
		return -EINVAL;
	memset(a, 0, sizeof(*a));
	a->size = size;
	return size && copy_from_user(a->bytes, user, size) ? -EFAULT : 0;
}

/* Cuts to the caller's room and tells the full size, as the calls with an address do. */
static int put_address(void __user *user, void __user *user_size, const struct net_address *a)
{
	u32 room;

	if (!user)
		return 0;
	if (get_user_u32(&room, user_size))
		return -EFAULT;
	if ((s32)room < 0)
		return -EINVAL;
	if (a->size && copy_to_user(user, a->bytes, MIN(room, a->size)))
		return -EFAULT;
	return put_user_u32(user_size, a->size);
}

/* --- making and connecting ----------------------------------------------------------------- */

static long publish(struct socket *s, int flags)
{
	struct file *f;
	int err = socket_file(s, flags, &f);

	return err ? err : fd_publish(f, flags & SOCK_CLOEXEC);
}

long sys_socket(int family, int type, int protocol)
{
	int flags = type & ~SOCK_TYPE_MASK;
	struct socket *s;
	int err;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	err = socket_new(family, type & SOCK_TYPE_MASK, protocol, &s);
	return err ? err : publish(s, flags);
}

long sys_socketpair(int family, int type, int protocol, void __user *fds)
{
	int flags = type & ~SOCK_TYPE_MASK;
	struct socket *pair[2];
	s32 fd[2];
	int err;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	err = socket_new_pair(family, type & SOCK_TYPE_MASK, protocol, pair);
	if (err)
		return err;
	fd[0] = publish(pair[0], flags);
	if (fd[0] < 0) {
		pair[1]->ops->release(pair[1]);
		return fd[0];
	}
	fd[1] = publish(pair[1], flags);
	if (fd[1] < 0) {
		err = fd[1];
		goto close_first;
	}
	if (!copy_to_user(fds, fd, sizeof(fd)))
		return 0;
	err = fd_close(current_files(), fd[1]);
	err = err ? err : -EFAULT;
close_first:
	if (fd_close(current_files(), fd[0]))
		return -EBADF; /* another thread closed it: nothing is left to clean up */
	return err;
}

/* What a call does with its socket; `number` is the size of the address where there is one. */
typedef int (*socket_call)(struct socket *s, struct file *f, const void __user *address,
			   int number);

static int do_bind(struct socket *s, struct file *f, const void __user *address, int size)
{
	struct net_address a;
	int err = get_address(&a, address, size);

	if (err)
		return err;
	return s->ops->bind ? s->ops->bind(s, &a) : -EOPNOTSUPP;
}

static int do_connect(struct socket *s, struct file *f, const void __user *address, int size)
{
	struct net_address a;
	int err = get_address(&a, address, size);

	if (err)
		return err;
	if (a.size < sizeof(a.family))
		return -EINVAL;
	return s->ops->connect ? s->ops->connect(s, &a, file_is_nonblocking(f)) : -EOPNOTSUPP;
}

static int do_listen(struct socket *s, struct file *f, const void __user *none, int backlog)
{
	return s->ops->listen ? s->ops->listen(s, backlog) : -EOPNOTSUPP;
}

static int do_shutdown(struct socket *s, struct file *f, const void __user *none, int how)
{
	return how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : s->ops->shutdown(s, how);
}

static long with_socket(int fd, socket_call call, const void __user *address, int number)
{
	struct socket *s;
	struct file *f;
	int err = arg_socket(fd, &f, &s);

	if (err)
		return err;
	err = call(s, f, address, number);
	file_put(f);
	return err;
}

long sys_bind(int fd, const void __user *address, int size)
{
	return with_socket(fd, do_bind, address, size);
}

long sys_connect(int fd, const void __user *address, int size)
{
	return with_socket(fd, do_connect, address, size);
}

long sys_listen(int fd, int backlog)
{
	return with_socket(fd, do_listen, NULL, backlog);
}

long sys_accept4(int fd, void __user *address, void __user *size, int flags)
{
	struct net_address a = {0};
	struct socket *s, *new_;
	struct file *f;
	long ret;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	ret = arg_socket(fd, &f, &s);
	if (ret)
		return ret;
	ret = s->ops->accept ? s->ops->accept(s, file_is_nonblocking(f), &new_) : -EOPNOTSUPP;
	file_put(f);
	if (ret)
		return ret;
	if (address) {
		ret = new_->ops->name(new_, true, &a);
		if (!ret)
			ret = put_address(address, size, &a);
		if (ret) {
			new_->ops->release(new_);
			return ret;
		}
	}
	return publish(new_, flags);
}

long sys_accept(int fd, void __user *address, void __user *size)
{
	return sys_accept4(fd, address, size, 0);
}

static long get_name(int fd, void __user *address, void __user *size, bool of_peer)
{
	struct net_address a = {0};
	struct socket *s;
	struct file *f;
	int err = arg_socket(fd, &f, &s);

	if (err)
		return err;
	err = s->ops->name(s, of_peer, &a);
	file_put(f);
	if (err)
		return err;
	return address ? put_address(address, size, &a) : -EFAULT;
}

long sys_getsockname(int fd, void __user *address, void __user *size)
{
	return get_name(fd, address, size, false);
}

long sys_getpeername(int fd, void __user *address, void __user *size)
{
	return get_name(fd, address, size, true);
}

long sys_shutdown(int fd, int how)
{
	return with_socket(fd, do_shutdown, NULL, how);
}

/* --- options ------------------------------------------------------------------------------- */

long sys_setsockopt(int fd, int level, int option, const void __user *value, int size)
{
	u8 bytes[NET_OPTION_MAX] = {0};
	u32 count = MIN((u32)size, (u32)sizeof(bytes));
	struct socket *s;
	struct file *f;
	int err;

	if (size < 0)
		return -EINVAL;
	err = arg_socket(fd, &f, &s);
	if (err)
		return err;
	if (count && copy_from_user(bytes, value, count))
		err = -EFAULT;
	if (!err)
		err = s->ops->set_option ? s->ops->set_option(s, level, option, bytes, count)
					 : -ENOPROTOOPT;
	if (err == -ENOPROTOOPT)
		err = socket_set_option(s, level, option, bytes, count);
	file_put(f);
	return err;
}

long sys_getsockopt(int fd, int level, int option, void __user *value, void __user *size)
{
	u8 bytes[NET_OPTION_MAX] = {0};
	struct socket *s;
	struct file *f;
	u32 count, room;
	int err = arg_socket(fd, &f, &s);

	if (err)
		return err;
	err = get_user_u32(&room, size);
	if (!err && (s32)room < 0)
		err = -EINVAL;
	count = MIN(room, (u32)sizeof(bytes));
	if (!err)
		err = s->ops->get_option ? s->ops->get_option(s, level, option, bytes, &count)
					 : -ENOPROTOOPT;
	if (err == -ENOPROTOOPT)
		err = socket_get_option(s, level, option, bytes, &count);
	file_put(f);
	if (err)
		return err;
	if (count && copy_to_user(value, bytes, count))
		return -EFAULT;
	return put_user_u32(size, count);
}

/* --- messages ------------------------------------------------------------------------------ */

static u32 with_mode(struct file *f, u32 flags)
{
	return flags | (file_is_nonblocking(f) ? MSG_DONTWAIT : 0);
}

long sys_sendto(int fd, const void __user *buf, u64 count, u32 flags, const void __user *address,
		int size)
{
	struct uio uio = uio_user((void __user *)buf, MIN(count, RW_MAX_BYTES));
	struct net_message m = {.data = net_data_single(uio)};
	struct net_address a;
	struct socket *s;
	struct file *f;
	long ret = arg_socket(fd, &f, &s);

	if (ret)
		return ret;
	if (address) {
		ret = get_address(&a, address, size);
		m.address = size ? &a : NULL;
	}
	m.flags = with_mode(f, flags);
	if (!ret)
		ret = s->ops->send(s, &m);
	net_control_free(m.control);
	file_put(f);
	return ret;
}

long sys_recvfrom(int fd, void __user *buf, u64 count, u32 flags, void __user *address,
		  void __user *size)
{
	struct uio uio = uio_user(buf, MIN(count, RW_MAX_BYTES));
	struct net_message m = {.data = net_data_single(uio)};
	struct net_address a = {0};
	struct socket *s;
	struct file *f;
	long ret = arg_socket(fd, &f, &s);

	if (ret)
		return ret;
	m.address = address ? &a : NULL;
	m.flags = with_mode(f, flags);
	ret = s->ops->receive(s, &m);
	net_control_free(m.control);
	file_put(f);
	if (ret >= 0 && address) {
		int err = put_address(address, size, &a);

		if (err)
			return err;
	}
	return ret;
}

static long send_one(struct file *f, struct socket *s, const struct abi_msghdr *h, u32 flags)
{
	struct net_message m = {.flags = with_mode(f, flags)};
	struct net_address a;
	struct abi_iovec *vec;
	long ret;

	if (h->name && h->name_size) {
		ret = get_address(&a, (const void __user *)h->name, h->name_size);
		if (ret)
			return ret;
		m.address = &a;
	}
	ret = h->vec_count > IOV_MAX_COUNT
		      ? -EMSGSIZE
		      : arg_vector((const void __user *)h->vec, h->vec_count, &vec);
	if (ret < 0)
		return ret;
	m.data = net_data_vector(vec, h->vec_count);
	ret = h->control_size ? control_from_user(s, h, &m.control) : 0;
	if (!ret)
		ret = s->ops->send(s, &m);
	net_control_free(m.control);
	kfree(vec);
	return ret;
}

long sys_sendmsg(int fd, const void __user *message, u32 flags)
{
	struct abi_msghdr h;
	struct socket *s;
	struct file *f;
	long ret = arg_socket(fd, &f, &s);

	if (ret)
		return ret;
	ret = copy_from_user(&h, message, sizeof(h)) ? -EFAULT : send_one(f, s, &h, flags);
	file_put(f);
	return ret;
}

/* Receives and changes *h to what the program is to see; its address and control are written. */
static long receive_one(struct file *f, struct socket *s, struct abi_msghdr *h, u32 flags)
{
	struct net_message m = {.flags = with_mode(f, flags), .wants_control = h->control_size};
	struct net_address a = {0};
	struct abi_iovec *vec;
	long ret;

	if (h->name && h->name_size < 0)
		return -EINVAL;
	ret = h->vec_count > IOV_MAX_COUNT
		      ? -EMSGSIZE
		      : arg_vector((const void __user *)h->vec, h->vec_count, &vec);
	if (ret < 0)
		return ret;
	m.data = net_data_vector(vec, h->vec_count);
	m.address = h->name ? &a : NULL;
	ret = s->ops->receive(s, &m);
	kfree(vec);
	if (ret >= 0) {
		int err = 0;

		if (h->name) {
			u32 room = h->name_size;

			if (a.size &&
			    copy_to_user((void __user *)h->name, a.bytes, MIN(room, a.size)))
				err = -EFAULT;
			h->name_size = a.size;
		}
		h->flags = m.ret_flags | (flags & MSG_CMSG_CLOEXEC);
		if (!err)
			err = control_to_user(s, h, &m, flags & MSG_CMSG_CLOEXEC);
		if (err)
			ret = err;
	}
	net_control_free(m.control);
	return ret;
}

/* What recvmsg changes in the header: name_size, control_size, flags. */
static int put_header(void __user *message, const struct abi_msghdr *h)
{
	u8 __user *at = message;

	if (put_user_u32(at + offsetof(struct abi_msghdr, name_size), h->name_size) ||
	    put_user_u64(at + offsetof(struct abi_msghdr, control_size), h->control_size) ||
	    put_user_u32(at + offsetof(struct abi_msghdr, flags), h->flags))
		return -EFAULT;
	return 0;
}

long sys_recvmsg(int fd, void __user *message, u32 flags)
{
	struct abi_msghdr h;
	struct socket *s;
	struct file *f;
	long ret = arg_socket(fd, &f, &s);

	if (ret)
		return ret;
	ret = copy_from_user(&h, message, sizeof(h)) ? -EFAULT : receive_one(f, s, &h, flags);
	if (ret >= 0 && put_header(message, &h))
		ret = -EFAULT;
	file_put(f);
	return ret;
}

long sys_sendmmsg(int fd, void __user *messages, u32 count, u32 flags)
{
	struct abi_mmsghdr __user *at = messages;
	struct abi_mmsghdr h;
	struct socket *s;
	struct file *f;
	long ret = arg_socket(fd, &f, &s);
	u32 done = 0;

	if (ret)
		return ret;
	for (count = MIN(count, MESSAGES_MAX); done < count; done++) {
		ret = copy_from_user(&h, &at[done], sizeof(h)) ? -EFAULT
							       : send_one(f, s, &h.header, flags);
		if (ret >= 0 && put_user_u32(&at[done].size, ret))
			ret = -EFAULT;
		if (ret < 0)
			break;
	}
	file_put(f);
	return done ? (long)done : ret;
}

static int get_deadline(const void __user *timeout, u64 *ret)
{
	struct abi_timespec t;
	u64 now = clock_monotonic_ns();

	*ret = DEADLINE_NEVER;
	if (!timeout)
		return 0;
	if (copy_from_user(&t, timeout, sizeof(t)))
		return -EFAULT;
	if (t.sec < 0 || t.nsec < 0 || t.nsec >= (s64)NSEC)
		return -EINVAL;
	if (t.sec < (s64)((DEADLINE_NEVER - now) / NSEC / 2))
		*ret = now + t.sec * NSEC + t.nsec;
	return 0;
}

/* As on Linux the time limit is looked at between messages; it does not end a wait for one. */
long sys_recvmmsg(int fd, void __user *messages, u32 count, u32 flags, void __user *timeout)
{
	struct abi_mmsghdr __user *at = messages;
	struct abi_mmsghdr h;
	struct socket *s;
	struct file *f;
	u64 deadline;
	u32 done = 0;
	long ret = get_deadline(timeout, &deadline);

	if (!ret)
		ret = arg_socket(fd, &f, &s);
	if (ret)
		return ret;
	for (count = MIN(count, MESSAGES_MAX); done < count; done++) {
		u32 now = flags & ~MSG_WAITFORONE;

		if (done && (flags & MSG_WAITFORONE))
			now |= MSG_DONTWAIT;
		if (done && deadline != DEADLINE_NEVER && clock_monotonic_ns() >= deadline)
			break;
		ret = copy_from_user(&h, &at[done], sizeof(h)) ? -EFAULT
							       : receive_one(f, s, &h.header, now);
		if (ret >= 0 &&
		    (put_header(&at[done].header, &h.header) || put_user_u32(&at[done].size, ret)))
			ret = -EFAULT;
		if (ret < 0)
			break;
	}
	file_put(f);
	return done ? (long)done : ret;
}
