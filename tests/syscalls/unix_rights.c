/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: descriptors and credentials on the way, and what they may cost. */
#include "unix.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* Sends fds with one byte. */
static long send_fds(int to, const int *fds, int count)
{
	char control[CMSG_SPACE(sizeof(int) * 300)] = {0};
	struct iovec vec = {"F", 1};
	struct msghdr m = {.msg_iov = &vec, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c = (struct cmsghdr *)control;

	m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	return syscall(SYS_sendmsg, to, &m, MSG_NOSIGNAL); /* a C library may have a limit */
}

/* Receives up to `max` descriptors; how many. */
static int receive_fds(int from, int *fds, int max, int flags, int *ret_flags, long *ret_size)
{
	char control[1200];
	struct iovec vec = {back, 100};
	struct msghdr m = {.msg_iov = &vec, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c;
	int count = 0;

	m.msg_controllen = CMSG_LEN(sizeof(int) * max);
	*ret_size = recvmsg(from, &m, flags);
	*ret_flags = m.msg_flags;
	c = CMSG_FIRSTHDR(&m);
	if (*ret_size >= 0 && c && c->cmsg_type == SCM_RIGHTS) {
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
	}
	return count;
}

static void descriptors(void)
{
	int fd[2], p[2], got[10], flags, many[254];
	struct sockaddr_un a;
	long size;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(write(fd[0], "before", 6), 6);
	CHECK_EQ(send_fds(fd[0], p, 2), 1);
	CHECK_EQ(write(fd[0], "after", 5), 5);
	close(p[1]);
	/* What was sent before may come with them, nothing that was sent after. */
	CHECK_EQ(receive_fds(fd[1], got, 2, MSG_CMSG_CLOEXEC, &flags, &size), 2);
	CHECK_EQ(size, 7);
	CHECK(!memcmp(back, "beforeF", 7));
	CHECK(!(flags & MSG_CTRUNC));
	CHECK_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(got[1], "through", 7), 7);
	CHECK_EQ(read(p[0], back, 100), 7);
	close(got[0]);
	close(got[1]);
	CHECK_EQ(read(p[0], back, 10), 0); /* that was the last writer */

	while (recv(fd[1], back, 100, MSG_DONTWAIT) > 0)
		;
	CHECK_EQ(send_fds(fd[0], fd, 2), 1);
	CHECK_EQ(receive_fds(fd[1], got, 1, 0, &flags, &size), 1);
	CHECK(flags & MSG_CTRUNC);
	close(got[0]);
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(send_fds(fd[0], &p[1], 1), 1);
	close(p[1]);
	CHECK_EQ(read(fd[1], back, 1), 1); /* a plain read drops them */
	CHECK_EQ(read(p[0], back, 1), 0);
	CHECK_EQ(send_fds(fd[0], &p[0], 1), 1);
	close(fd[0]);
	close(fd[1]); /* with a descriptor on its way */
	close(p[0]);

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	got[0] = 9999;
	CHECK_ERRNO(send_fds(fd[0], got, 1), EBADF);
	for (int i = 0; i < 254; i++)
		many[i] = fd[0];
	CHECK_ERRNO(send_fds(fd[0], many, 254), EINVAL);
	CHECK_EQ(send_fds(fd[0], many, 253), 1);
	address_of(&a, "nowhere");
	CHECK_ERRNO(sendto(fd[0], "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), ENOENT);
	close(fd[0]);
	close(fd[1]);
}

/* A long chain of sockets, each lying in the queue of the next: closing it nests nowhere. */
static void chains(void)
{
	int last[2], next[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, last), 0);
	for (int i = 0; i < 300; i++) {
		CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, next), 0);
		if (send_fds(next[0], last, 2) != 1) {
			CHECK_EQ(errno, ETOOMANYREFS); /* some kernels limit the depth */
			close(last[0]);
			close(last[1]);
		} else {
			close(last[0]);
			close(last[1]);
		}
		memcpy(last, next, sizeof(last));
	}
	close(last[0]);
	close(last[1]);
}

static void credentials(void)
{
	char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec vec = {back, 100};
	struct msghdr m = {.msg_iov = &vec, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c = (struct cmsghdr *)control;
	struct ucred cred = {0};
	int fd[2], on = 1;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	CHECK_EQ(setsockopt(fd[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	CHECK_EQ(write(fd[0], "who", 3), 3);
	m.msg_controllen = sizeof(control);
	CHECK_EQ(recvmsg(fd[1], &m, 0), 3);
	CHECK_EQ(m.msg_controllen, CMSG_SPACE(sizeof(cred)));
	CHECK_EQ(c->cmsg_type, SCM_CREDENTIALS);
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	CHECK_EQ(cred.pid, getpid());
	CHECK_EQ(cred.uid, getuid());
	CHECK_EQ(write(fd[0], "who", 3), 3);
	m.msg_controllen = 20;
	CHECK_EQ(recvmsg(fd[1], &m, 0), 3);
	CHECK(m.msg_flags & MSG_CTRUNC);
	/* A list that lies about its sizes. */
	vec.iov_len = 1;
	m = (struct msghdr){.msg_iov = &vec, .msg_iovlen = 1, .msg_control = control};
	m.msg_controllen = sizeof(control);
	*c = (struct cmsghdr){.cmsg_len = 3, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	CHECK_ERRNO(sendmsg(fd[0], &m, 0), EINVAL);
	c->cmsg_len = 1000;
	CHECK_ERRNO(sendmsg(fd[0], &m, 0), EINVAL);
	close(fd[0]);
	close(fd[1]);
}

/* Room for control messages may begin anywhere. */
static void unaligned_room(void)
{
	char room[CMSG_SPACE(sizeof(int)) + 1];
	struct iovec vec = {back, 100};
	struct msghdr m = {.msg_iov = &vec, .msg_iovlen = 1, .msg_control = room + 1};
	int fd[2], got = -1;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	CHECK_EQ(send_fds(fd[0], fd, 1), 1);
	m.msg_controllen = CMSG_SPACE(sizeof(int));
	CHECK_EQ(syscall(SYS_recvmsg, fd[1], &m, 0), 1);
	memcpy(&got, room + 1 + CMSG_LEN(0), sizeof(got));
	CHECK_EQ(write(got, "x", 1), 1);
	CHECK_EQ(read(fd[1], back, 1), 1);
	close(got);
	close(fd[0]);
	close(fd[1]);
}

/* What nobody can read any more is closed at once, though the sender's end stays open. */
static void unread_descriptors(void)
{
	int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

	for (int i = 0; i < 3; i++) {
		int fd[2], pipes[2];

		CHECK_EQ(socketpair(AF_UNIX, types[i], 0, fd), 0);
		CHECK_EQ(pipe(pipes), 0);
		CHECK_EQ(send_fds(fd[0], &pipes[1], 1), 1);
		close(pipes[1]);
		CHECK(!ready(pipes[0], POLLIN | POLLHUP));
		close(fd[1]);
		CHECK(ready(pipes[0], POLLHUP));
		close(fd[0]);
		close(pipes[0]);
	}
}

static long send_cred(int fd, long size, int uid, int flags)
{
	char control[CMSG_SPACE(sizeof(struct ucred))] = {0};
	struct iovec vec = {big, size};
	struct msghdr m = {.msg_iov = &vec,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct ucred cred = {getpid(), uid, uid};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_len = CMSG_LEN(sizeof(cred));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	memcpy(CMSG_DATA(c), &cred, sizeof(cred));
	return sendmsg(fd, &m, flags);
}

static long receive_cred(int fd, long size, struct ucred *cred)
{
	char control[CMSG_SPACE(sizeof(*cred))];
	struct iovec vec = {back, size};
	struct msghdr m = {.msg_iov = &vec,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	long n = recvmsg(fd, &m, 0);

	memset(cred, 0, sizeof(*cred));
	if (n > 0 && CMSG_FIRSTHDR(&m))
		memcpy(cred, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(*cred));
	return n;
}

static void *send_much(void *arg)
{
	CHECK_EQ(send(*(int *)arg, big, sizeof(big), 0), sizeof(big));
	return NULL;
}

/* No byte comes with another sender's credentials. */
static void credentials_and_bytes(void)
{
	pthread_t thread;
	struct ucred cred;
	long total, n;
	int fd[2], on = 1;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	CHECK_EQ(send_cred(fd[0], 10, 7, 0), 10);
	CHECK_EQ(write(fd[0], big, 10), 10);
	CHECK_EQ(setsockopt(fd[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	CHECK_EQ(receive_cred(fd[1], 100, &cred), 10);
	CHECK_EQ(cred.uid, 7);
	CHECK_EQ(receive_cred(fd[1], 100, &cred), 10);
	CHECK_EQ(cred.uid, 65534);
	CHECK_EQ(cred.pid, 0);

	/* More than fits at once: it is one sender's all the same. */
	pthread_create(&thread, NULL, send_much, &fd[0]);
	for (total = 0; total < (long)sizeof(big); total += n) {
		n = receive_cred(fd[1], 50000, &cred);
		REQUIRE(n > 0);
		CHECK_EQ(cred.pid, getpid());
		CHECK_EQ(cred.uid, getuid());
	}
	pthread_join(thread, NULL);
	close(fd[0]);
	close(fd[1]);
}

/* What a message costs beside its bytes counts too. */
static void many_small_messages(void)
{
	int fd[2], count = 0;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	while (count < 20000 && send_cred(fd[0], 1, 0, MSG_DONTWAIT) == 1)
		count++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(count > 100 && count < 20000);
	CHECK(!ready(fd[0], POLLOUT));
	for (int i = 0; i < count; i++)
		CHECK_EQ(read(fd[1], back, 1), 1);
	CHECK(ready(fd[0], POLLOUT));
	close(fd[0]);
	close(fd[1]);
}

/*
 * Queues that nobody reads, in many sockets, with descriptors on the way: an end comes, with an
 * error and not by using up the memory, and all of it is given back.
 */
static void full_of_descriptors(void)
{
	int fd[200][2], pipes[2], many[253];
	long sent[2] = {0};

	CHECK_EQ(pipe(pipes), 0);
	for (int i = 0; i < 253; i++)
		many[i] = pipes[0];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 200; i++) {
			int flags = SOCK_DGRAM | SOCK_NONBLOCK;

			REQUIRE(socketpair(AF_UNIX, flags, 0, fd[i]) == 0);
			while (send_fds(fd[i][0], many, 253) == 1)
				sent[round]++;
			CHECK(errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ||
			      errno == ETOOMANYREFS);
		}
		for (int i = 0; i < 200; i++) {
			close(fd[i][0]);
			close(fd[i][1]);
		}
	}
	CHECK(sent[0] > 0);
	CHECK_EQ(sent[1], sent[0]);
	close(pipes[1]);
	CHECK_EQ(read(pipes[0], back, 1), 0);
	close(pipes[0]);
}

CHECK_MAIN(start, descriptors, unaligned_room, chains, credentials, unread_descriptors,
	   credentials_and_bytes, many_small_messages, full_of_descriptors)
