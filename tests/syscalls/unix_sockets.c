/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: pairs, names, connections, records, datagrams. */
#include "unix.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

static int bound(int type, const char *path)
{
	struct sockaddr_un a;
	socklen_t size = address_of(&a, path);
	int fd = socket(AF_UNIX, type, 0);

	CHECK_EQ(bind(fd, (struct sockaddr *)&a, size), 0);
	return fd;
}

static int connect_to(int fd, const char *path)
{
	struct sockaddr_un a;
	socklen_t size = address_of(&a, path);

	return connect(fd, (struct sockaddr *)&a, size);
}

static void stream_pair(void)
{
	struct iovec vec[2] = {{back, 3}, {back + 100, 10}};
	int fd[2], n;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	CHECK_EQ(fcntl(fd[0], F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(recv(fd[0], back, 10, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(write(fd[0], "hello", 5), 5);
	CHECK_EQ(write(fd[0], "world", 5), 5);
	CHECK_EQ(ioctl(fd[1], FIONREAD, &n), 0);
	CHECK_EQ(n, 10);
	CHECK_EQ(recv(fd[1], back, 4, MSG_PEEK), 4);
	CHECK_EQ(readv(fd[1], vec, 2), 10);
	CHECK(!memcmp(back, "hel", 3) && !memcmp(back + 100, "loworld", 7));
	CHECK_ERRNO(lseek(fd[0], 0, SEEK_SET), ESPIPE);
	CHECK_EQ(ready(fd[1], POLLIN | POLLOUT), POLLOUT);
	CHECK_EQ(send(fd[1], "abc", 3, MSG_NOSIGNAL), 3);
	CHECK_EQ(shutdown(fd[1], SHUT_WR), 0);
	CHECK_ERRNO(send(fd[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(ready(fd[0], POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
	CHECK_EQ(read(fd[0], back, 10), 3);
	CHECK_EQ(read(fd[0], back, 10), 0);
	CHECK_EQ(write(fd[0], "still", 5), 5);
	CHECK_EQ(read(fd[1], back, 10), 5);
	close(fd[0]);
	CHECK(ready(fd[1], POLLIN) & POLLHUP);
	CHECK_EQ(read(fd[1], back, 10), 0);
	close(fd[1]);

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	CHECK(write(fd[0], big, sizeof(big)) > 4096);
	while (write(fd[0], big, sizeof(big)) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(ready(fd[0], POLLOUT), 0);
	while (read(fd[1], back, sizeof(back)) > 0)
		;
	CHECK_EQ(ready(fd[0], POLLOUT), POLLOUT);
	CHECK_EQ(write(fd[0], "lost", 4), 4);
	close(fd[1]);
	CHECK_ERRNO(read(fd[0], back, 1), ECONNRESET);
	CHECK_EQ(read(fd[0], back, 1), 0);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERRNO(write(fd[0], "x", 1), EPIPE);
	close(fd[0]);
}

static void bad_calls(void)
{
	struct sockaddr_un a;
	socklen_t size = sizeof(a);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), p[2], value = 0;

	CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 77), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(77, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(listen(fd, 5), EINVAL);
	CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
	CHECK_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), ENOTCONN);
	CHECK_ERRNO(recv(fd, &value, 1, 0), EINVAL);
	CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&a, &size), ENOTCONN);
	CHECK_ERRNO(connect_to(fd, "nobody"), ENOENT);
	CHECK_ERRNO(connect_to(fd, "@nobody-here"), ECONNREFUSED);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, 300), EINVAL);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)8, 10), EFAULT);
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, 12345, &value, sizeof(value)), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, 1), EINVAL);
	CHECK_EQ(pipe(p), 0);
	CHECK_ERRNO(send(p[1], "x", 1, 0), ENOTSOCK);
	CHECK_ERRNO(listen(p[1], 1), ENOTSOCK);
	CHECK_ERRNO(listen(-1, 1), EBADF);
	close(p[0]);
	close(p[1]);
	close(fd);
}

static void options(void)
{
	struct timeval t = {0, 20000}, got = {0};
	socklen_t size = sizeof(int);
	int fd[2], value = 0;
	struct ucred cred;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	CHECK_EQ(getsockopt(fd[0], SOL_SOCKET, SO_TYPE, &value, &size), 0);
	CHECK_EQ(value, SOCK_SEQPACKET);
	CHECK_EQ(getsockopt(fd[0], SOL_SOCKET, SO_DOMAIN, &value, &size), 0);
	CHECK_EQ(value, AF_UNIX);
	CHECK_EQ(getsockopt(fd[0], SOL_SOCKET, SO_ERROR, &value, &size), 0);
	CHECK_EQ(value, 0);
	value = 10000;
	CHECK_EQ(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &value, sizeof(value)), 0);
	CHECK_EQ(getsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &value, &size), 0);
	CHECK_EQ(value, 20000);
	CHECK_EQ(setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0);
	size = sizeof(got);
	CHECK_EQ(getsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &got, &size), 0);
	CHECK(got.tv_sec == 0 && got.tv_usec >= 20000);
	CHECK_ERRNO(recv(fd[1], back, 1, 0), EAGAIN);
	size = sizeof(cred);
	CHECK_EQ(getsockopt(fd[0], SOL_SOCKET, SO_PEERCRED, &cred, &size), 0);
	CHECK_EQ(cred.pid, getpid());
	CHECK_EQ(cred.uid, geteuid());
	close(fd[0]);
	close(fd[1]);
}

static void *connect_later(void *arg)
{
	struct timespec pause = {0, 20000000};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	nanosleep(&pause, NULL);
	CHECK_EQ(connect_to(fd, arg), 0);
	CHECK_EQ(write(fd, "late", 4), 4);
	return (void *)(long)fd;
}

static void names(void)
{
	struct sockaddr_un a;
	socklen_t size = sizeof(a);
	int s = bound(SOCK_STREAM, "server.sock"), c, d, again;
	struct stat st;
	pthread_t thread;
	void *client;

	CHECK_EQ(stat("server.sock", &st), 0);
	CHECK(S_ISSOCK(st.st_mode));
	CHECK_ERRNO(open("server.sock", O_RDWR), ENXIO);
	again = socket(AF_UNIX, SOCK_STREAM, 0);
	address_of(&a, "server.sock");
	CHECK_ERRNO(bind(again, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE);
	CHECK_ERRNO(connect_to(again, "server.sock"), ECONNREFUSED);
	CHECK_EQ(listen(s, 1), 0);
	CHECK_EQ(getsockname(s, (struct sockaddr *)&a, &size), 0);
	CHECK_EQ(size, offsetof(struct sockaddr_un, sun_path) + strlen("server.sock") + 1);
	CHECK(!strcmp(a.sun_path, "server.sock"));
	CHECK_EQ(fcntl(s, F_SETFL, O_NONBLOCK), 0);
	CHECK_ERRNO(accept(s, NULL, NULL), EAGAIN);
	CHECK_EQ(ready(s, POLLIN), 0);
	CHECK_EQ(connect_to(again, "server.sock"), 0);
	CHECK_ERRNO(connect_to(again, "server.sock"), EISCONN);
	CHECK_EQ(write(again, "early", 5), 5);
	CHECK_EQ(ready(s, POLLIN), POLLIN);
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_EQ(connect_to(c, "server.sock"), 0);
	d = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_ERRNO(connect_to(d, "server.sock"), EAGAIN); /* the backlog is full */
	close(d);
	size = sizeof(a);
	d = accept4(s, (struct sockaddr *)&a, &size, SOCK_CLOEXEC);
	CHECK(d >= 0);
	CHECK_EQ(size, sizeof(sa_family_t)); /* the client has no name */
	CHECK_EQ(fcntl(d, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(d, F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQ(read(d, back, 10), 5);
	size = sizeof(a);
	CHECK_EQ(getpeername(again, (struct sockaddr *)&a, &size), 0);
	CHECK(!strcmp(a.sun_path, "server.sock"));
	close(d);
	CHECK_EQ(read(again, back, 10), 0);
	close(again);
	d = accept(s, NULL, NULL);
	CHECK(d >= 0);
	close(d);
	close(c);

	CHECK_EQ(fcntl(s, F_SETFL, 0), 0);
	pthread_create(&thread, NULL, connect_later, "server.sock");
	d = accept(s, NULL, NULL);
	CHECK(d >= 0);
	CHECK_EQ(read(d, back, 10), 4);
	pthread_join(thread, &client);
	close((long)client);
	close(d);

	c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(connect_to(c, "server.sock"), 0);
	close(s); /* never accepted */
	CHECK_ERRNO(read(c, back, 1), ECONNRESET);
	close(c);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(connect_to(c, "server.sock"), ECONNREFUSED);
	CHECK_EQ(unlink("server.sock"), 0);
	close(c);
	c = open("plain", O_CREAT | O_RDWR, 0600);
	close(c);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(connect_to(c, "plain"), ECONNREFUSED);
	close(c);
}

static void abstract_names(void)
{
	char name[40];
	struct sockaddr_un a;
	socklen_t size = sizeof(a);
	int s, c;

	snprintf(name, sizeof(name), "@check-%d", getpid());
	s = bound(SOCK_SEQPACKET, name);
	CHECK_EQ(listen(s, 3), 0);
	CHECK_EQ(getsockname(s, (struct sockaddr *)&a, &size), 0);
	CHECK_EQ(size, offsetof(struct sockaddr_un, sun_path) + strlen(name));
	CHECK_EQ(a.sun_path[0], 0);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(connect_to(c, name), ECONNREFUSED); /* another type is another name */
	close(c);
	c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CHECK_EQ(connect_to(c, name), 0);
	close(c);
	close(s);
	s = bound(SOCK_SEQPACKET, name); /* gone with its socket */
	close(s);
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	size = sizeof(a.sun_family);
	a.sun_family = AF_UNIX;
	CHECK_EQ(bind(s, (struct sockaddr *)&a, size), 0); /* a name of the kernel's choice */
	size = sizeof(a);
	CHECK_EQ(getsockname(s, (struct sockaddr *)&a, &size), 0);
	CHECK_EQ(size, sizeof(sa_family_t) + 6);
	close(s);
}

static void records(void)
{
	struct iovec vec[2] = {{"ab", 2}, {"cde", 3}};
	struct msghdr m = {.msg_iov = vec, .msg_iovlen = 2};
	int fd[2], value;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	CHECK_EQ(sendmsg(fd[0], &m, 0), 5);
	CHECK_EQ(send(fd[0], "second", 6, 0), 6);
	CHECK_EQ(ioctl(fd[1], FIONREAD, &value), 0);
	vec[0] = (struct iovec){back, 3};
	m = (struct msghdr){.msg_iov = vec, .msg_iovlen = 1};
	CHECK_EQ(recvmsg(fd[1], &m, 0), 3);
	CHECK(m.msg_flags & MSG_TRUNC);
	CHECK_EQ(recv(fd[1], back, 2, MSG_PEEK | MSG_TRUNC), 6);
	CHECK_EQ(read(fd[1], back, 100), 6);
	CHECK(!memcmp(back, "second", 6));
	CHECK_ERRNO(recv(fd[1], back, 100, MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(send(fd[0], big, sizeof(big), 0), EMSGSIZE);
	close(fd[0]);
	CHECK_EQ(read(fd[1], back, 100), 0);
	close(fd[1]);
}

static void datagrams(void)
{
	int s = bound(SOCK_DGRAM, "inbox"), c = bound(SOCK_DGRAM, "outbox"), n = 0, pair[2];
	struct sockaddr_un a, from;
	socklen_t size = sizeof(from);
	struct epoll_event event = {.events = EPOLLOUT};
	int ep = epoll_create1(0);

	address_of(&a, "inbox");
	CHECK_ERRNO(send(c, "x", 1, 0), ENOTCONN);
	CHECK_EQ(sendto(c, "one", 3, 0, (struct sockaddr *)&a, sizeof(a)), 3);
	CHECK_EQ(connect_to(c, "inbox"), 0);
	CHECK_EQ(send(c, "", 0, 0), 0);
	CHECK_EQ(send(c, "three", 5, 0), 5);
	CHECK_EQ(ioctl(s, FIONREAD, &n), 0);
	CHECK_EQ(n, 3);
	CHECK_EQ(recvfrom(s, back, 100, 0, (struct sockaddr *)&from, &size), 3);
	CHECK(!strcmp(from.sun_path, "outbox"));
	CHECK_EQ(read(s, back, 100), 0);
	CHECK_EQ(read(s, back, 2), 2);
	CHECK_ERRNO(recv(s, back, 100, MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(listen(s, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(s, NULL, NULL), EOPNOTSUPP);

	CHECK_EQ(fcntl(c, F_SETFL, O_NONBLOCK), 0);
	while (send(c, big, 1000, 0) == 1000)
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(n > 5);
	CHECK_EQ(ready(c, POLLOUT), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, c, &event), 0);
	CHECK_EQ(epoll_wait(ep, &event, 1, 0), 0);
	while (recv(s, back, sizeof(back), MSG_DONTWAIT) >= 0)
		;
	CHECK_EQ(epoll_wait(ep, &event, 1, 1000), 1);
	CHECK_EQ(ready(c, POLLOUT), POLLOUT);
	close(s);
	CHECK_ERRNO(send(c, "x", 1, MSG_NOSIGNAL), ECONNREFUSED);
	close(c);
	close(ep);

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	CHECK_EQ(write(pair[0], "pair", 4), 4);
	CHECK_EQ(read(pair[1], back, 100), 4);
	close(pair[0]);
	close(pair[1]);
}

static void many_messages(void)
{
	struct iovec vec[4];
	struct mmsghdr m[4] = {0};
	struct timespec none = {0, 0};
	int fd[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	for (int i = 0; i < 4; i++) {
		vec[i] = (struct iovec){big + i, i + 1};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &vec[i], .msg_iovlen = 1};
	}
	CHECK_EQ(sendmmsg(fd[0], m, 4, 0), 4);
	CHECK_EQ(m[3].msg_len, 4);
	memset(m, 0, sizeof(m));
	for (int i = 0; i < 4; i++) {
		vec[i] = (struct iovec){back, 100};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &vec[i], .msg_iovlen = 1};
	}
	CHECK_EQ(recvmmsg(fd[1], m, 3, 0, NULL), 3);
	CHECK_EQ(m[2].msg_len, 3);
	CHECK_EQ(recvmmsg(fd[1], m, 4, MSG_WAITFORONE, NULL), 1);
	CHECK_ERRNO(recvmmsg(fd[1], m, 4, MSG_DONTWAIT, &none), EAGAIN);
	close(fd[0]);
	close(fd[1]);
}

#define STORM (8 << 20)

static void *pour(void *arg)
{
	int fd = *(int *)arg;

	for (int sent = 0; sent < STORM;) {
		long n = write(fd, big, (size_t)(sent % 70000 + 1));

		if (n <= 0)
			break;
		sent += n;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void *interrupted(void *arg)
{
	struct timespec pause = {0, 20000000};

	nanosleep(&pause, NULL);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void nothing(int signo)
{
	(void)signo;
}

static void blocking(void)
{
	struct sigaction act = {.sa_handler = nothing};
	pthread_t thread, self = pthread_self();
	long total = 0, n;
	int fd[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	pthread_create(&thread, NULL, pour, &fd[0]);
	while ((n = recv(fd[1], back, sizeof(back), total & 1 ? MSG_WAITALL : 0)) > 0)
		total += n;
	CHECK(total >= STORM);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &act, NULL);
	pthread_create(&thread, NULL, interrupted, &self);
	CHECK_ERRNO(recv(fd[0], back, 1, 0), EINTR);
	pthread_join(thread, NULL);
	close(fd[0]);
	close(fd[1]);
}

static void *send_three(void *arg)
{
	int fd = *(int *)arg;

	CHECK_EQ(send(fd, big, 80000, 0), 80000);
	CHECK_EQ(send(fd, big, 80000, 0), 80000);
	CHECK_EQ(send(fd, big, 200000, 0), 200000);
	return NULL;
}

/* A record that has to wait for two others to be read. */
static void room_in_steps(void)
{
	int types[] = {SOCK_SEQPACKET, SOCK_DGRAM};

	for (int i = 0; i < 2; i++) {
		struct timespec pause = {0, 20000000};
		pthread_t thread;
		int fd[2];

		CHECK_EQ(socketpair(AF_UNIX, types[i], 0, fd), 0);
		pthread_create(&thread, NULL, send_three, &fd[0]);
		CHECK_EQ(recv(fd[1], back, 1, MSG_PEEK), 1);
		nanosleep(&pause, NULL); /* it may wait by now; it is right in any order */
		CHECK_EQ(recv(fd[1], back, sizeof(back), 0), 80000);
		nanosleep(&pause, NULL);
		CHECK_EQ(recv(fd[1], back, sizeof(back), 0), 80000);
		CHECK_EQ(recv(fd[1], back, sizeof(back), 0), 200000);
		pthread_join(thread, NULL);
		close(fd[0]);
		close(fd[1]);
	}
}

static volatile int moving_done;

static void *move_about(void *arg)
{
	int *fd = arg; /* the sender, then two full inboxes' names */
	struct sockaddr none = {AF_UNSPEC};
	struct sockaddr_un a;
	socklen_t size;

	for (int i = 0; i < 20000; i++) {
		size = address_of(&a, i & 1 ? "full1" : "full2");
		connect(fd[0], (void *)&a, size);
		if (i % 3 == 0)
			connect(fd[0], &none, sizeof(none));
	}
	moving_done = 1;
	return NULL;
}

/* Polls for room at a peer while another thread changes the peer, and everything goes. */
static void poll_while_moving(void)
{
	int full[2], fd, filler;
	struct sockaddr_un a;
	pthread_t thread;
	socklen_t size;

	for (int round = 0; round < 3; round++) {
		full[0] = bound(SOCK_DGRAM, "full1");
		full[1] = bound(SOCK_DGRAM, "full2");
		for (int i = 0; i < 2; i++) {
			filler = socket(AF_UNIX, SOCK_DGRAM, 0);
			size = address_of(&a, i ? "full2" : "full1");
			while (sendto(filler, big, 50000, MSG_DONTWAIT, (void *)&a, size) > 0)
				;
			close(filler);
		}
		fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		moving_done = 0;
		pthread_create(&thread, NULL, move_about, &fd);
		while (!moving_done)
			ready(fd, POLLOUT);
		pthread_join(thread, NULL);
		close(fd);
		/* Whoever is left on a list of those who wait is looked at here. */
		for (int i = 0; i < 2; i++) {
			while (recv(full[i], back, sizeof(back), MSG_DONTWAIT) > 0)
				;
			close(full[i]);
		}
		unlink("full1");
		unlink("full2");
	}
}

CHECK_MAIN(start, stream_pair, bad_calls, options, names, abstract_names, records, datagrams,
	   many_messages, blocking, room_in_steps, poll_while_moving)
