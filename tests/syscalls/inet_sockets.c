/* SPDX-License-Identifier: Apache-2.0 */
/* AF_INET and AF_INET6 over the host's loopback: connections, datagrams, options, errors, waits. */
#include "check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

static char big[300000], back[300000];

static short ready_within(int fd, short events, int ms)
{
	struct pollfd p = {fd, events, 0};

	return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

/* Bound to the loopback with a port of the system's choice, which *a gets. */
static int bound(int type, struct sockaddr_in *a)
{
	socklen_t size = sizeof(*a);
	int fd = socket(AF_INET, type, 0);

	*a = (struct sockaddr_in){.sin_family = AF_INET};
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_EQ(bind(fd, (struct sockaddr *)a, sizeof(*a)), 0);
	CHECK_EQ(getsockname(fd, (struct sockaddr *)a, &size), 0);
	CHECK_EQ(size, sizeof(*a));
	CHECK(a->sin_port != 0);
	return fd;
}

static void connections(void)
{
	struct sockaddr_in a, peer;
	socklen_t size = sizeof(peer);
	int s = bound(SOCK_STREAM, &a), c, d, value = 1, n;

	CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)), 0);
	CHECK_EQ(listen(s, 5), 0);
	size = sizeof(value);
	CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0);
	CHECK_EQ(value, 1);
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERRNO(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_ERRNO(connect(c, (struct sockaddr *)&a, sizeof(a)), EISCONN);
	CHECK_EQ(ready_within(s, POLLIN, 5000), POLLIN);
	size = sizeof(peer);
	d = accept4(s, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
	CHECK(d >= 0);
	CHECK_EQ(size, sizeof(peer));
	CHECK_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_EQ(fcntl(d, F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQ(write(c, "hello", 5), 5);
	CHECK_EQ(recv(d, back, 3, MSG_PEEK | MSG_WAITALL), 3);
	CHECK_EQ(ready_within(d, POLLIN, 5000), POLLIN);
	CHECK_EQ(ioctl(d, FIONREAD, &n), 0);
	CHECK_EQ(n, 5);
	CHECK_EQ(recv(d, back, 5, MSG_WAITALL), 5);
	CHECK_ERRNO(recv(d, back, 5, MSG_DONTWAIT), EAGAIN);
	value = 1;
	CHECK_EQ(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)), 0);
	value = 0;
	size = sizeof(value);
	CHECK_EQ(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
	CHECK_EQ(value, 1);
	CHECK_EQ(shutdown(c, SHUT_WR), 0);
	CHECK_EQ(read(d, back, 10), 0);
	CHECK_EQ(write(d, "bye", 3), 3);
	CHECK_EQ(read(c, back, 10), 3);
	close(d);
	CHECK_EQ(read(c, back, 10), 0);
	close(c);
	close(s);
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERRNO(connect(c, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED);
	close(c);
}

static void nonblocking(void)
{
	struct sockaddr_in a;
	int s = bound(SOCK_STREAM, &a), c, d, value;
	socklen_t size = sizeof(value);

	CHECK_EQ(listen(s, 5), 0);
	CHECK_EQ(fcntl(s, F_SETFL, O_NONBLOCK), 0);
	CHECK_ERRNO(accept(s, NULL, NULL), EAGAIN);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_ERRNO(connect(c, (struct sockaddr *)&a, sizeof(a)), EINPROGRESS);
	CHECK_EQ(ready_within(c, POLLOUT, 5000), POLLOUT);
	CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_ERROR, &value, &size), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(ready_within(s, POLLIN, 5000), POLLIN);
	d = accept(s, NULL, NULL);
	CHECK_ERRNO(recv(d, back, 1, MSG_DONTWAIT), EAGAIN);
	while (write(c, big, sizeof(big)) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	while (recv(d, back, sizeof(back), MSG_DONTWAIT) > 0)
		;
	CHECK_EQ(ready_within(c, POLLOUT, 5000), POLLOUT);
	close(c);
	close(d);
	close(s);
}

static void datagrams(void)
{
	struct sockaddr_in a, b, from;
	struct iovec vec[2] = {{"two ", 4}, {"parts", 5}};
	struct msghdr m = {
		.msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = vec, .msg_iovlen = 2};
	socklen_t size = sizeof(from);
	int s = bound(SOCK_DGRAM, &a), c = bound(SOCK_DGRAM, &b);

	CHECK_EQ(sendto(c, "one", 3, 0, (struct sockaddr *)&a, sizeof(a)), 3);
	CHECK_EQ(recvfrom(s, back, 100, 0, (struct sockaddr *)&from, &size), 3);
	CHECK_EQ(from.sin_port, b.sin_port);
	CHECK_EQ(size, sizeof(from));
	CHECK_EQ(sendmsg(c, &m, 0), 9);
	m = (struct msghdr){
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = vec, .msg_iovlen = 1};
	vec[0] = (struct iovec){back, 4};
	CHECK_EQ(recvmsg(s, &m, 0), 4);
	CHECK(m.msg_flags & MSG_TRUNC);
	CHECK_EQ(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_EQ(send(c, big, 60000, 0), 60000);
	CHECK_EQ(recv(s, back, sizeof(back), 0), 60000);
	CHECK_EQ(send(c, "", 0, 0), 0);
	CHECK_EQ(recv(s, back, sizeof(back), 0), 0);
	CHECK_EQ(send(c, "abcdef", 6, 0), 6);
	CHECK_EQ(recv(s, back, 2, MSG_TRUNC), 6);
	CHECK_ERRNO(send(c, big, 70000, 0), EMSGSIZE);
	close(s);
	close(c);
}

static void six(void)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, from;
	socklen_t size = sizeof(a);
	int s = socket(AF_INET6, SOCK_DGRAM, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)))
		return; /* a machine without IPv6 */
	CHECK_EQ(getsockname(s, (struct sockaddr *)&a, &size), 0);
	CHECK_EQ(sendto(s, "six", 3, 0, (struct sockaddr *)&a, sizeof(a)), 3);
	size = sizeof(from);
	CHECK_EQ(recvfrom(s, back, 10, 0, (struct sockaddr *)&from, &size), 3);
	CHECK_EQ(from.sin6_port, a.sin6_port);
	close(s);
}

static void bad_calls(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "."};
	int fd = socket(AF_INET, SOCK_STREAM, 0), value = 0;
	socklen_t size = sizeof(a);

	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0}), EOPNOTSUPP);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_DGRAM, IPPROTO_TCP, (int[2]){0}), EPROTONOSUPPORT);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_RAW, 0, (int[2]){0}), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
	CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&a, &size), ENOTCONN);
	CHECK_ERRNO(recv(fd, back, 1, 0), ENOTCONN);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, 3), EINVAL);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&un, sizeof(un)), EAFNOSUPPORT);
	if (!geteuid()) {
		a.sin_port = htons(1023);
		CHECK_EQ(seteuid(65534), 0);
		CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EACCES);
		CHECK_EQ(seteuid(0), 0);
	}
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, 12345, &value, sizeof(value)), ENOPROTOOPT);
	for (int i = 0; i < 4; i++) {
		int level = (int[]){IPPROTO_IP, IPPROTO_TCP, 500, IPPROTO_UDP}[i];

		size = sizeof(value);
		CHECK_ERRNO(setsockopt(fd, level, 9999, &value, sizeof(value)), ENOPROTOOPT);
		CHECK_ERRNO(getsockopt(fd, level, 9999, &value, &size),
			    i < 2 ? ENOPROTOOPT : EOPNOTSUPP);
	}
	CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, SEEK_SET), ESPIPE);
	close(fd);
}

/* An edge is told once; the next one after the program has been there. */
static void edges(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET}, got;
	struct sockaddr_in a, b;
	int s = bound(SOCK_DGRAM, &a), c = bound(SOCK_DGRAM, &b), ep = epoll_create1(0);

	CHECK_EQ(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, s, &event), 0);
	CHECK_EQ(epoll_wait(ep, &got, 1, 1000), 1);
	CHECK_EQ(got.events, EPOLLOUT);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	CHECK_EQ(send(c, "one", 3, 0), 3);
	CHECK_EQ(epoll_wait(ep, &got, 1, 1000), 1);
	CHECK(got.events & EPOLLIN);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	CHECK_EQ(recv(s, back, 10, 0), 3);
	CHECK_ERRNO(recv(s, back, 10, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	CHECK_EQ(send(c, "two", 3, 0), 3);
	CHECK_EQ(epoll_wait(ep, &got, 1, 1000), 1);
	CHECK(got.events & EPOLLIN);
	close(ep);
	close(s);
	close(c);
}

static struct sockaddr_in served;
#define STORM (4 << 20)

static void *pour(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)arg;
	CHECK_EQ(connect(fd, (struct sockaddr *)&served, sizeof(served)), 0);
	for (int sent = 0; sent < STORM;) {
		long n = write(fd, big, (size_t)(sent % 170000 + 1));

		if (n <= 0)
			break;
		sent += n;
	}
	close(fd);
	return NULL;
}

static void nothing(int signo)
{
	(void)signo;
}

static void *interrupt(void *arg)
{
	struct timespec pause = {0, 30000000};

	nanosleep(&pause, NULL);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void waiting(void)
{
	struct sigaction act = {.sa_handler = nothing};
	struct timeval t = {0, 30000};
	pthread_t thread, self = pthread_self();
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
	int s = bound(SOCK_STREAM, &served), d, ep = epoll_create1(0);
	long total = 0, n;

	CHECK_EQ(listen(s, 5), 0);
	sigaction(SIGUSR1, &act, NULL);
	pthread_create(&thread, NULL, interrupt, &self);
	CHECK_ERRNO(accept(s, NULL, NULL), EINTR);
	pthread_join(thread, NULL);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, s, &event), 0);
	CHECK_EQ(epoll_wait(ep, &event, 1, 0), 0);
	pthread_create(&thread, NULL, pour, NULL);
	CHECK_EQ(epoll_wait(ep, &event, 1, 5000), 1);
	CHECK_EQ(event.data.u32, 7);
	d = accept(s, NULL, NULL);
	while ((n = read(d, back, sizeof(back))) > 0)
		total += n;
	CHECK(total >= STORM);
	pthread_join(thread, NULL);
	close(d);
	CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0);
	CHECK_ERRNO(accept(s, NULL, NULL), EAGAIN);
	close(s);
	close(ep);
}

CHECK_MAIN(connections, nonblocking, datagrams, six, bad_calls, edges, waiting)
