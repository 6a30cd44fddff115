/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes, eventfd, poll, select, epoll, timeouts: waiting inside one process with threads. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void pipes(void)
{
	static char data[300000], back[300000];
	struct pollfd p;
	int fd[2], left;

	CHECK_EQ(pipe2(fd, O_NONBLOCK), 0);
	CHECK_ERRNO(read(fd[0], back, 10), EAGAIN);
	CHECK_EQ(write(fd[1], "hello", 5), 5);
	CHECK_EQ(ioctl(fd[0], FIONREAD, &left), 0);
	CHECK_EQ(left, 5);
	CHECK_EQ(read(fd[0], back, 3), 3);
	CHECK_EQ(read(fd[0], back, 10), 2);
	CHECK(write(fd[1], data, sizeof(data)) > 0);
	while (write(fd[1], data, sizeof(data)) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	p = (struct pollfd){fd[1], POLLOUT, 0};
	CHECK_EQ(poll(&p, 1, 0), 0);
	while (read(fd[0], back, sizeof(back)) > 0)
		;
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLOUT);
	CHECK_ERRNO(lseek(fd[0], 0, SEEK_SET), ESPIPE);
	CHECK_ERRNO(pread(fd[0], back, 1, 0), ESPIPE);
	CHECK_ERRNO(write(fd[0], "x", 1), EBADF);
	close(fd[1]);
	CHECK_EQ(read(fd[0], back, 10), 0);
	p = (struct pollfd){fd[0], POLLIN, 0};
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
	close(fd[0]);
	CHECK_EQ(pipe(fd), 0);
	close(fd[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERRNO(write(fd[1], "x", 1), EPIPE);
	close(fd[1]);
	CHECK_ERRNO(pipe((int *)8), EFAULT);
}

/* As a shell's <(command) does: the name of a pipe's end, opened after the other side has left. */
static void pipe_opened_by_name(void)
{
	char name[64], back[8];
	int fd[2], again;

	CHECK_EQ(pipe(fd), 0);
	CHECK_EQ(write(fd[1], "left", 4), 4);
	close(fd[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd[0]);
	again = open(name, O_RDONLY);
	CHECK(again >= 0);
	CHECK_EQ(read(again, back, sizeof(back)), 4);
	CHECK_EQ(read(again, back, sizeof(back)), 0);
	close(again);
	close(fd[0]);

	CHECK_EQ(pipe(fd), 0);
	close(fd[0]);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd[1]);
	again = open(name, O_WRONLY);
	CHECK(again >= 0);
	close(again);
	again = open(name, O_WRONLY | O_NONBLOCK);
	CHECK(again >= 0);
	close(again);
	close(fd[1]);
}

#define MEETINGS 300
static sem_t reader_left;

static void *fifo_writer(void *name)
{
	for (int i = 0; i < MEETINGS; i++) {
		int fd = open(name, O_WRONLY);

		CHECK(fd >= 0);
		CHECK_EQ(write(fd, &i, sizeof(i)), sizeof(i));
		close(fd);
		sem_wait(&reader_left);
	}
	return NULL;
}

/* Who comes first waits for the other, who may have written and left before the first one runs. */
static void fifo_meetings(void)
{
	char name[] = "/tmp/fifo-of-waiting";
	pthread_t t;
	int got, sum = 0;

	unlink(name);
	CHECK_EQ(mkfifo(name, 0600), 0);
	REQUIRE(!sem_init(&reader_left, 0, 0));
	REQUIRE(!pthread_create(&t, NULL, fifo_writer, name));
	for (int i = 0; i < MEETINGS; i++) {
		int fd = open(name, O_RDONLY);

		CHECK(fd >= 0);
		CHECK_EQ(read(fd, &got, sizeof(got)), sizeof(got));
		CHECK_EQ(read(fd, &got, sizeof(got)), 0);
		sum += got;
		close(fd);
		sem_post(&reader_left);
	}
	pthread_join(t, NULL);
	CHECK_EQ(sum, MEETINGS * (MEETINGS - 1) / 2);
	unlink(name);
}

static int channel[2];

static void *slow_writer(void *arg)
{
	static char chunk[100000];

	for (int i = 0; i < 20; i++) {
		memset(chunk, i, sizeof(chunk));
		for (size_t at = 0; at < sizeof(chunk);) {
			ssize_t n = write(channel[1], chunk + at, sizeof(chunk) - at);

			CHECK(n > 0);
			if (n <= 0)
				return arg;
			at += (size_t)n;
		}
	}
	close(channel[1]);
	return arg;
}

static void blocking_pipe(void)
{
	static char buf[65536];
	long total = 0, sum = 0;
	pthread_t t;
	ssize_t n;

	CHECK_EQ(pipe(channel), 0);
	pthread_create(&t, NULL, slow_writer, NULL);
	while ((n = read(channel[0], buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum += buf[i];
		total += n;
	}
	CHECK_EQ(total, 2000000);
	CHECK_EQ(sum, 190L * 100000);
	pthread_join(t, NULL);
	close(channel[0]);
}

static void eventfds(void)
{
	int fd = eventfd(3, EFD_NONBLOCK), sem = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	uint64_t v;

	CHECK_EQ(read(fd, &v, 8), 8);
	CHECK_EQ(v, 3);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
	CHECK_ERRNO(read(fd, &v, 4), EINVAL);
	v = 5;
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(read(fd, &v, 8), 8);
	CHECK_EQ(v, 10);
	v = UINT64_MAX;
	CHECK_ERRNO(write(fd, &v, 8), EINVAL);
	CHECK_EQ(read(sem, &v, 8), 8);
	CHECK_EQ(v, 1);
	CHECK_EQ(read(sem, &v, 8), 8);
	CHECK_ERRNO(read(sem, &v, 8), EAGAIN);
	close(fd);
	close(sem);
}

static void *poke(void *arg)
{
	uint64_t one = 1;
	struct timespec t = {0, 30000000};

	nanosleep(&t, NULL);
	CHECK_EQ(write(*(int *)arg, &one, 8), 8);
	return NULL;
}

static void polls(void)
{
	int fd = eventfd(0, 0), pair[2];
	struct pollfd p[3];
	struct timeval tv;
	pthread_t t;
	double begin = now();
	fd_set set;

	CHECK_EQ(poll(NULL, 0, 50), 0);
	CHECK(now() - begin >= 0.045);
	CHECK_EQ(pipe(pair), 0);
	p[0] = (struct pollfd){fd, POLLIN, 0};
	p[1] = (struct pollfd){-1, POLLIN, 0x7f};
	p[2] = (struct pollfd){pair[0], POLLIN, 0};
	CHECK_EQ(poll(p, 3, 10), 0);
	CHECK_EQ(p[1].revents, 0);
	pthread_create(&t, NULL, poke, &fd);
	CHECK_EQ(poll(p, 3, 5000), 1);
	CHECK_EQ(p[0].revents, POLLIN);
	pthread_join(t, NULL);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	FD_SET(pair[0], &set);
	tv = (struct timeval){5, 0};
	CHECK_EQ(select(pair[1] + 1, &set, NULL, NULL, &tv), 1);
	CHECK(FD_ISSET(fd, &set) && !FD_ISSET(pair[0], &set));
	p[0] = (struct pollfd){777, POLLIN, 0};
	CHECK_EQ(poll(p, 1, 100), 1);
	CHECK_EQ(p[0].revents, POLLNVAL);
	CHECK_ERRNO(poll((struct pollfd *)8, 1, 0), EFAULT);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void epolls(void)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 42}, got[4];
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_NONBLOCK), file;
	uint64_t v = 1;
	pthread_t t;

	CHECK(ep >= 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), EEXIST);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
	CHECK(got[0].data.u64 == 42 && got[0].events == EPOLLIN);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 1); /* level */
	e.events = EPOLLIN | EPOLLET;
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), 0);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 0); /* edge: told once */
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
	e.events = EPOLLIN | EPOLLONESHOT;
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), 0);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), ENOENT);
	CHECK_EQ(read(fd, &v, 8), 8);
	e.events = EPOLLIN;
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	pthread_create(&t, NULL, poke, &fd);
	CHECK_EQ(epoll_wait(ep, got, 4, 5000), 1);
	pthread_join(t, NULL);
	file = open("/tmp/epoll-file", O_CREAT | O_RDWR, 0600);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e), EPERM);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
	close(file);
	unlink("/tmp/epoll-file");
	close(fd);
	CHECK_EQ(epoll_wait(ep, got, 4, 0), 0); /* closed files leave the set */
	close(ep);
}

static void timerfds(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	struct itimerspec spec = {{0, 10000000}, {0, 20000000}}, left;
	struct pollfd p = {fd, POLLIN, 0};
	double begin = now();
	uint64_t n;

	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	CHECK_EQ(timerfd_gettime(fd, &left), 0);
	CHECK(!left.it_value.tv_sec && !left.it_value.tv_nsec);
	CHECK_EQ(timerfd_settime(fd, 0, &spec, &left), 0);
	CHECK(!left.it_value.tv_sec && !left.it_value.tv_nsec && !left.it_interval.tv_nsec);
	CHECK_EQ(timerfd_gettime(fd, &left), 0);
	CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 20000000);
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLIN);
	CHECK(now() - begin >= 0.019);
	poll(NULL, 0, 35);
	CHECK_ERRNO(read(fd, &n, 7), EINVAL);
	CHECK_ERRNO(write(fd, &n, 8), EINVAL);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK(n >= 3 && n < 1000);
	CHECK_EQ(poll(&p, 1, 5000), 1); /* it goes on */
	spec = (struct itimerspec){{0, 0}, {0, 0}};
	CHECK_EQ(timerfd_settime(fd, 0, &spec, &left), 0);
	CHECK_EQ(left.it_interval.tv_nsec, 10000000);
	CHECK(left.it_value.tv_nsec <= 10000000);
	CHECK_EQ(poll(&p, 1, 30), 0); /* disarmed, and what was not read is gone */
	close(fd);
}

static void timerfd_clocks(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC), ep = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u64 = 7}, got;
	struct itimerspec spec = {0}, left;
	double begin;
	uint64_t n;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	clock_gettime(CLOCK_REALTIME, &spec.it_value);
	spec.it_value.tv_sec--; /* a moment that has passed: at once, the periods since counted */
	spec.it_interval.tv_nsec = 100000000;
	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL), 0);
	CHECK_EQ(epoll_wait(ep, &got, 1, 5000), 1);
	CHECK(got.data.u64 == 7 && got.events == EPOLLIN);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK(n >= 10 && n < 100);
	CHECK_EQ(epoll_wait(ep, &got, 1, 5000), 1); /* a new edge */
	clock_gettime(CLOCK_REALTIME, &spec.it_value);
	spec.it_value.tv_sec += 1;
	spec.it_interval.tv_nsec = 0;
	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL), 0);
	CHECK_EQ(timerfd_gettime(fd, &left), 0);
	CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec > 500000000);
	spec.it_value = (struct timespec){0, 30000000};
	CHECK_EQ(timerfd_settime(fd, 0, &spec, NULL), 0);
	begin = now();
	CHECK_EQ(read(fd, &n, 8), 8); /* sleeps */
	CHECK_EQ(n, 1);
	CHECK(now() - begin >= 0.02);
	CHECK_EQ(timerfd_gettime(fd, &left), 0);
	CHECK(!left.it_value.tv_sec && !left.it_value.tv_nsec);
	CHECK_ERRNO(timerfd_settime(fd, 8, &spec, NULL), EINVAL);
	CHECK_ERRNO(timerfd_settime(ep, 0, &spec, NULL), EINVAL);
	CHECK_ERRNO(timerfd_gettime(ep, &left), EINVAL);
	CHECK_ERRNO(timerfd_gettime(777, &left), EBADF);
	CHECK_ERRNO(timerfd_settime(fd, 0, (void *)8, NULL), EFAULT);
	spec.it_value.tv_nsec = 1000000000;
	CHECK_ERRNO(timerfd_settime(fd, 0, &spec, NULL), EINVAL);
	CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	close(fd);
	close(ep);
}

/* Instances that watch instances: a wake-up walks the chain, so its length is bounded. */
static void epoll_chains(void)
{
	struct epoll_event e = {.events = EPOLLIN};
	int fds[400], count = 1, fd = eventfd(0, EFD_NONBLOCK);

	fds[0] = epoll_create1(0);
	while (count < 400) {
		fds[count] = epoll_create1(0);
		if (epoll_ctl(fds[count - 1], EPOLL_CTL_ADD, fds[count], &e))
			break;
		count++;
	}
	CHECK_EQ(errno, ELOOP);
	CHECK(count >= 4 && count <= 6);
	CHECK_ERRNO(epoll_ctl(fds[count - 1], EPOLL_CTL_ADD, fds[0], &e), ELOOP);
	if (!epoll_ctl(fds[count - 1], EPOLL_CTL_ADD, fd, &e))
		CHECK_EQ(write(fd, "\1\0\0\0\0\0\0", 8), 8);
	CHECK_EQ(poll(&(struct pollfd){fds[0], POLLIN}, 1, 0), 1);
}

/* A chain of `length` instances over `fd` (-1: none); its top, or -1 with errno. */
static int epoll_tower(int fd, int length, int *fds)
{
	struct epoll_event e = {.events = EPOLLIN};

	for (int i = 0; i < length; i++) {
		fds[i] = epoll_create1(0);
		if (i && epoll_ctl(fds[i], EPOLL_CTL_ADD, fds[i - 1], &e))
			return -1;
	}
	/* The file comes last: the whole tower is judged at once. */
	return fd >= 0 && epoll_ctl(fds[0], EPOLL_CTL_ADD, fd, &e) ? -1 : fds[length - 1];
}

/* One wake-up reaches all instances above a file: how many paths lead there is bounded. */
static void epoll_width(void)
{
	static const int most[] = {0, 0, 500, 100, 50, 10};
	struct epoll_event e = {.events = EPOLLIN};
	static int fds[600][5];

	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){4096, 4096}), 0);
	for (int length = 2; length <= 5; length++) {
		int fd = eventfd(0, EFD_NONBLOCK), count = 0;

		while (count < 600 && epoll_tower(fd, length, fds[count]) >= 0)
			count++;
		CHECK_EQ(errno, EINVAL);
		CHECK_EQ(count, most[length]);
		CHECK_EQ(write(fd, "\1\0\0\0\0\0\0", 8), 8);
		CHECK_EQ(poll(&(struct pollfd){fds[0][length - 1], POLLIN}, 1, 0), 1);
		/* What was refused is not there. */
		CHECK_EQ(poll(&(struct pollfd){fds[count][length - 1], POLLIN}, 1, 0), 0);
		/* One less, one more. */
		CHECK_EQ(epoll_ctl(fds[0][0], EPOLL_CTL_DEL, fd, NULL), 0);
		CHECK_EQ(epoll_ctl(fds[count][0], EPOLL_CTL_ADD, fd, &e), 0);
		CHECK_ERRNO(epoll_ctl(fds[0][0], EPOLL_CTL_ADD, fd, &e), EINVAL);
		for (int i = 0; i <= count; i++) {
			for (int j = 0; j < length; j++)
				close(fds[i][j]);
		}
		close(fd);
	}
}

/* Each instance of a level watches all of the level below: paths multiply, work must not. */
static void epoll_lattice(void)
{
	enum { WIDE = 60, LEVELS = 5 };
	struct epoll_event e = {.events = EPOLLIN}, got[WIDE];
	int fds[LEVELS][WIDE], fd = eventfd(1, EFD_NONBLOCK), one;

	for (int level = 0; level < LEVELS; level++) {
		for (int i = 0; i < WIDE; i++) {
			fds[level][i] = epoll_create1(0);
			for (int j = 0; level && j < WIDE; j++)
				CHECK_EQ(epoll_ctl(fds[level][i], EPOLL_CTL_ADD, fds[level - 1][j],
						   &e),
					 0);
		}
	}
	for (int i = 0; i < WIDE; i++)
		CHECK_EQ(epoll_wait(fds[LEVELS - 1][i], got, WIDE, 0), 0);
	CHECK_ERRNO(epoll_ctl(fds[0][0], EPOLL_CTL_ADD, fd, &e), EINVAL);
	CHECK_ERRNO(epoll_ctl(fds[1][0], EPOLL_CTL_ADD, fd, &e), EINVAL);
	one = epoll_create1(0);
	CHECK_ERRNO(epoll_ctl(one, EPOLL_CTL_ADD, fds[LEVELS - 1][0], &e), ELOOP);
	CHECK_ERRNO(epoll_ctl(fds[0][0], EPOLL_CTL_ADD, fds[LEVELS - 1][0], &e), ELOOP);
	CHECK_EQ(epoll_ctl(fds[LEVELS - 1][0], EPOLL_CTL_ADD, fd, &e), 0);
	CHECK_EQ(epoll_wait(fds[LEVELS - 1][0], got, WIDE, 0), 1);
	close(one);
	close(fd);
	for (int level = 0; level < LEVELS; level++) {
		for (int i = 0; i < WIDE; i++)
			close(fds[level][i]);
	}
}

/* A nested instance is ready while something in it is, and not after. */
static void epoll_nested_readiness(void)
{
	struct epoll_event e = {.events = EPOLLIN}, got[2];
	int fd = eventfd(0, EFD_NONBLOCK), inner = epoll_create1(0), outer = epoll_create1(0);
	char word[8];

	CHECK_EQ(epoll_ctl(inner, EPOLL_CTL_ADD, fd, &e), 0);
	CHECK_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &e), 0);
	CHECK_EQ(epoll_wait(outer, got, 2, 0), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(write(fd, "\1\0\0\0\0\0\0", 8), 8);
		CHECK_EQ(epoll_wait(outer, got, 2, 1000), 1);
		CHECK_EQ(epoll_wait(outer, got, 2, 1000), 1); /* level */
		CHECK_EQ(epoll_wait(inner, got, 2, 0), 1);
		CHECK_EQ(epoll_wait(outer, got, 2, 0), 1);
		CHECK_EQ(read(fd, word, 8), 8);
		CHECK_EQ(epoll_wait(outer, got, 2, 0), 0);
		CHECK_EQ(epoll_wait(inner, got, 2, 0), 0);
	}
	/* Told once inside, an edge is over outside too. */
	e.events = EPOLLIN | EPOLLET;
	CHECK_EQ(epoll_ctl(inner, EPOLL_CTL_MOD, fd, &e), 0);
	CHECK_EQ(write(fd, "\1\0\0\0\0\0\0", 8), 8);
	CHECK_EQ(epoll_wait(outer, got, 2, 0), 1);
	CHECK_EQ(epoll_wait(inner, got, 2, 0), 1);
	CHECK_EQ(epoll_wait(outer, got, 2, 0), 0);
	/* Disarmed: nothing more, an error neither. */
	e.events = EPOLLIN | EPOLLONESHOT;
	CHECK_EQ(epoll_ctl(inner, EPOLL_CTL_MOD, fd, &e), 0);
	CHECK_EQ(epoll_wait(outer, got, 2, 0), 1);
	CHECK_EQ(epoll_wait(inner, got, 2, 0), 1);
	CHECK_EQ(epoll_wait(inner, got, 2, 0), 0);
	CHECK_EQ(epoll_wait(outer, got, 2, 0), 0);
	close(outer);
	close(inner);
	close(fd);
}

/* A set within a set wakes who waits for the outer one, also when sockets of the host are in it. */
static void *send_later(void *arg)
{
	usleep(50000);
	CHECK_EQ(send(*(int *)arg, "x", 1, 0), 1);
	return NULL;
}

static void epoll_over_internet_sockets(void)
{
	struct sockaddr_in at = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	struct epoll_event in = {EPOLLIN, {.fd = 5}}, got;
	socklen_t size = sizeof(at);
	int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
	int inner = epoll_create1(0), middle = epoll_create1(0), outer = epoll_create1(0);
	struct pollfd p = {outer, POLLIN};
	pthread_t thread;
	char c;

	REQUIRE(bind(receiver, (struct sockaddr *)&at, sizeof(at)) == 0);
	CHECK_EQ(getsockname(receiver, (struct sockaddr *)&at, &size), 0);
	CHECK_EQ(connect(sender, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(epoll_ctl(inner, EPOLL_CTL_ADD, receiver, &in), 0);
	CHECK_EQ(epoll_ctl(middle, EPOLL_CTL_ADD, inner, &in), 0);
	CHECK_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, middle, &in), 0);
	CHECK_EQ(epoll_wait(outer, &got, 1, 0), 0);
	for (int i = 0; i < 2; i++) {
		pthread_create(&thread, NULL, send_later, &sender);
		CHECK_EQ(i ? poll(&p, 1, 20000) : epoll_wait(outer, &got, 1, 20000), 1);
		CHECK_EQ(epoll_wait(outer, &got, 1, 0), 1);
		CHECK_EQ(epoll_wait(inner, &got, 1, 0), 1);
		CHECK_EQ(recv(receiver, &c, 1, 0), 1);
		CHECK_EQ(epoll_wait(outer, &got, 1, 0), 0);
		CHECK_EQ(poll(&p, 1, 0), 0);
		pthread_join(thread, NULL);
	}
	CHECK_EQ(close(inner) | close(middle) | close(outer) | close(receiver) | close(sender), 0);
}

static void epoll_exclusive(void)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE}, got;
	int ep = epoll_create1(0), other = epoll_create1(0), fd = eventfd(1, EFD_NONBLOCK);

	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, other, &e), EINVAL);
	e.events |= EPOLLONESHOT;
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), EINVAL);
	e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP;
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), EINVAL);
	e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLET;
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	e.events = EPOLLIN;
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), EINVAL);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	e.events = EPOLLIN | EPOLLEXCLUSIVE;
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), EINVAL);
	close(fd);
	close(other);
	close(ep);
}

/* An edge at one end of a pipe is none at the other. */
static void epoll_edges_of_pipes(void)
{
	struct epoll_event in = {.events = EPOLLIN | EPOLLET}, out = {.events = EPOLLOUT | EPOLLET};
	struct epoll_event got;
	char buf[4096] = {0};
	int ep = epoll_create1(0), p[2];

	CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
	CHECK_EQ(fcntl(p[1], 1031 /* F_SETPIPE_SZ */, 4096), 4096);
	in.data.fd = p[0];
	out.data.fd = p[1];
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &in), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &out), 0);
	CHECK_EQ(write(p[1], buf, 4096), 4096);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	CHECK_EQ(got.data.fd, p[0]);
	CHECK_EQ(got.events, EPOLLIN);
	CHECK_EQ(read(p[0], buf, 2048), 2048);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	CHECK_EQ(read(p[0], buf, 2048), 2048);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	CHECK_EQ(got.data.fd, p[1]);
	CHECK_EQ(got.events, EPOLLOUT);
	close(p[1]); /* an end is an edge for everybody */
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	CHECK_EQ(got.data.fd, p[0]);
	CHECK(got.events & EPOLLHUP);
	close(p[0]);
	close(ep);
}

/* One call tells of all that is ready, as far as there is room for it. */
static void epoll_tells_all(void)
{
	static struct epoll_event got[3000];
	struct epoll_event event = {.events = EPOLLOUT};
	struct rlimit old, wide;
	int ep = epoll_create1(0), fds[1500], count = 0;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	wide = (struct rlimit){old.rlim_max < 2000 ? old.rlim_max : 2000, old.rlim_max};
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &wide), 0);
	while (count < 1500 && (fds[count] = eventfd(0, 0)) >= 0) {
		CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fds[count], &event), 0);
		count++;
	}
	CHECK_EQ(count, 1500);
	CHECK_EQ(epoll_wait(ep, got, 3000, 0), count);
	CHECK_EQ(epoll_wait(ep, got, 7, 0), 7);
	while (count > 2)
		close(fds[--count]);
	CHECK_EQ(epoll_wait(ep, got, 3000, 0), 2);
	CHECK_ERRNO(epoll_wait(ep, got, 0x7fffffff, 0), EINVAL);
	close(fds[0]);
	close(fds[1]);
	close(ep);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

CHECK_MAIN(pipes, epoll_tells_all, epoll_edges_of_pipes, pipe_opened_by_name, fifo_meetings,
	   blocking_pipe, eventfds, polls, epolls, epoll_chains, epoll_width, epoll_lattice,
	   epoll_nested_readiness, epoll_over_internet_sockets, epoll_exclusive, timerfds,
	   timerfd_clocks)
