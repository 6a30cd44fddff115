/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host calls on Internet sockets. Nothing here waits: the enclave does that with fd_poll, where
 * signals reach it. No other family is reached, so nothing of the host's own plumbing.
 */
#include "abi/errno.h"
#include "abi/socket.h"
#include "edge/hostcall_dispatch.h"
#include "edge/net.h"
#include "host/pal/inner/inner.h"
#include "host/pal/inner/linux.h"

struct linux_msghdr {
	void *name;
	u32 name_size;
	u32 pad1;
	struct linux_iovec {
		void *base;
		u64 size;
	} * vec;
	u64 vec_count;
	void *control;
	u64 control_size;
	u32 flags;
	u32 pad2;
};

s64 do_net_socket(struct inner_thread *t, u32 family, u32 type, u32 protocol)
{
	if (family != AF_INET && family != AF_INET6)
		return -EAFNOSUPPORT;
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	return descriptor_off_streams(
		host_syscall(NR_socket, family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

s64 do_net_bind(struct inner_thread *t, s32 fd, const void *address, size_t address_size)
{
	return host_syscall(NR_bind, fd, address, address_size);
}

s64 do_net_listen(struct inner_thread *t, s32 fd, u32 backlog)
{
	return host_syscall(NR_listen, fd, backlog);
}

s64 do_net_connect(struct inner_thread *t, s32 fd, const void *address, size_t address_size)
{
	return host_syscall(NR_connect, fd, address, address_size);
}

s64 do_net_accept(struct inner_thread *t, s32 fd)
{
	return descriptor_off_streams(
		host_syscall(NR_accept4, fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

s64 do_net_name(struct inner_thread *t, s32 fd, u32 of_peer, void *info, size_t info_size)
{
	struct host_net_info *to = info;
	u32 size = sizeof(to->address);
	s64 err;

	if (info_size != sizeof(*to))
		return -EINVAL;
	err = host_syscall(of_peer ? NR_getpeername : NR_getsockname, fd, to->address, &size);
	to->address_size = err ? 0 : size;
	return err;
}

s64 do_net_send(struct inner_thread *t, s32 fd, const void *data, size_t data_size,
		const void *address, size_t address_size)
{
	return raw_syscall(NR_sendto, (u64)fd, (u64)data, data_size, MSG_DONTWAIT | MSG_NOSIGNAL,
			   address_size ? (u64)address : 0, address_size);
}

s64 do_net_receive(struct inner_thread *t, s32 fd, u32 flags, void *data, size_t data_size,
		   void *info, size_t info_size)
{
	struct host_net_info *to = info;
	struct linux_iovec vec = {data, data_size};
	struct linux_msghdr m = {.vec = &vec, .vec_count = 1};
	s64 ret;

	if (info_size != sizeof(*to))
		return -EINVAL;
	m.name = to->address;
	m.name_size = sizeof(to->address);
	/* MSG_TRUNC as a flag makes the result the full size of a datagram. */
	ret = host_syscall(NR_recvmsg, fd, &m,
			   (flags & (HOST_NET_PEEK | HOST_NET_TRUNC)) | MSG_DONTWAIT);
	if (ret < 0)
		return ret;
	to->address_size = m.name_size;
	to->flags = m.flags & MSG_TRUNC ? HOST_NET_TRUNC : 0;
	to->full_size = ret;
	return MIN((u64)ret, data_size);
}

s64 do_net_shutdown(struct inner_thread *t, s32 fd, u32 how)
{
	return host_syscall(NR_shutdown, fd, how);
}

s64 do_net_get_option(struct inner_thread *t, s32 fd, u32 level, u32 option, void *value,
		      size_t value_size)
{
	u32 size = value_size;
	s64 err = host_syscall(NR_getsockopt, fd, level, option, value, &size);

	return err ? err : (s64)size;
}

s64 do_net_set_option(struct inner_thread *t, s32 fd, u32 level, u32 option, const void *value,
		      size_t value_size)
{
	return host_syscall(NR_setsockopt, fd, level, option, value, value_size);
}
