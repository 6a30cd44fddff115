/* SPDX-License-Identifier: Apache-2.0 */
/* Advisory locks: POSIX ones between processes, OFD and flock ones between open files. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

static struct flock range(short type, off_t start, off_t len)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static void posix(void)
{
	int a = open("posix", O_CREAT | O_RDWR, 0600), b = open("posix", O_RDWR), r;
	struct flock l = range(F_WRLCK, 0, 100);

	CHECK_EQ(fcntl(a, F_SETLK, &l), 0);
	l = range(F_WRLCK, 50, 100); /* the same process: no conflict */
	CHECK_EQ(fcntl(b, F_SETLK, &l), 0);
	l = range(F_RDLCK, 0, 0);
	CHECK_EQ(fcntl(b, F_GETLK, &l), 0);
	CHECK_EQ(l.l_type, F_UNLCK);
	l = range(F_UNLCK, 0, 0);
	CHECK_EQ(fcntl(a, F_SETLK, &l), 0);
	r = open("posix", O_RDONLY);
	l = range(F_WRLCK, 0, 1);
	CHECK_ERRNO(fcntl(r, F_SETLK, &l), EBADF);
	l = range(77, 0, 1);
	CHECK_ERRNO(fcntl(a, F_SETLK, &l), EINVAL);
	l = range(F_RDLCK, -5, 1);
	CHECK_ERRNO(fcntl(a, F_SETLK, &l), EINVAL);
	close(a);
	close(b);
	close(r);
}

static int lock_byte(int fd, int command, short type, off_t at)
{
	struct flock l = range(type, at, 1);

	return fcntl(fd, command, &l);
}

/* Waits for byte 0, which its parent has, and then says how that ended. */
static pid_t fork_waiter(int fd, int ready)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (lock_byte(fd, F_SETLK, F_WRLCK, 1) || write(ready, "r", 1) != 1)
		_exit(1);
	_exit(lock_byte(fd, F_SETLKW, F_WRLCK, 0) ? 2 : 0);
}

/* F_GETLK names the lock that begins first, in whatever order they came. */
static void first_in_the_way(void)
{
	int fd = open("order", O_CREAT | O_RDWR, 0600), status;
	struct flock l;
	pid_t pid;

	for (int at = 20; at >= 0; at -= 10)
		CHECK_EQ(lock_byte(fd, F_SETLK, at ? F_WRLCK : F_RDLCK, at + 1), 0);
	pid = fork();
	if (!pid) {
		l = range(F_WRLCK, 0, 0);
		if (fcntl(fd, F_GETLK, &l) || l.l_type != F_RDLCK || l.l_start != 1)
			_exit(1);
		l = range(F_RDLCK, 0, 0);
		_exit(fcntl(fd, F_GETLK, &l) || l.l_type != F_WRLCK || l.l_start != 11);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	close(fd);
}

static void between_processes(void)
{
	int fd = open("two", O_CREAT | O_RDWR, 0600), p[2], status;
	struct flock l = range(F_RDLCK, 1, 5);
	pid_t pid;
	char c;

	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(lock_byte(fd, F_SETLK, F_WRLCK, 0), 0);
	pid = fork_waiter(fd, p[1]);
	CHECK_EQ(read(p[0], &c, 1), 1);
	until_asleep(pid);
	CHECK_ERRNO(lock_byte(fd, F_SETLK, F_RDLCK, 1), EAGAIN);
	CHECK_EQ(fcntl(fd, F_GETLK, &l), 0);
	CHECK_EQ(l.l_type, F_WRLCK);
	CHECK_EQ(l.l_start, 1);
	CHECK_EQ(l.l_len, 1);
	CHECK_EQ(l.l_pid, pid);
	/* Each would wait for the other. */
	CHECK_ERRNO(lock_byte(fd, F_SETLKW, F_WRLCK, 1), EDEADLK);
	CHECK_EQ(lock_byte(fd, F_SETLK, F_UNLCK, 0), 0);
	CHECK_EQ(lock_byte(fd, F_SETLKW, F_WRLCK, 1), 0); /* it ends, and its locks with it */
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);

	/* Who is killed while it waits waits no more. */
	CHECK_EQ(lock_byte(fd, F_SETLK, F_UNLCK, 1), 0);
	CHECK_EQ(lock_byte(fd, F_SETLK, F_WRLCK, 0), 0);
	pid = fork_waiter(fd, p[1]);
	CHECK_EQ(read(p[0], &c, 1), 1);
	until_asleep(pid);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, SIGKILL);
	CHECK_EQ(lock_byte(fd, F_SETLK, F_WRLCK, 1), 0);
	close(fd);
	close(p[0]);
	close(p[1]);
}

#ifndef F_OFD_SETLK
#define F_OFD_GETLK  36
#define F_OFD_SETLK  37
#define F_OFD_SETLKW 38
#endif

static int waiting_fd;

static void *wait_for_lock(void *arg)
{
	struct flock l = range(F_WRLCK, 0, 10);

	CHECK_EQ(fcntl(waiting_fd, F_OFD_SETLKW, &l), 0);
	return arg;
}

static void ofd(void)
{
	int a = open("ofd", O_CREAT | O_RDWR, 0600), b = open("ofd", O_RDWR);
	struct flock l = range(F_WRLCK, 0, 10);
	pthread_t t;

	CHECK_EQ(fcntl(a, F_OFD_SETLK, &l), 0);
	l = range(F_RDLCK, 9, 10);
	CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
	CHECK_EQ(fcntl(b, F_OFD_GETLK, &l), 0);
	CHECK(l.l_type == F_WRLCK && l.l_start == 0 && l.l_len == 10 && l.l_pid == -1);
	l = range(F_WRLCK, 10, 10);
	CHECK_EQ(fcntl(b, F_OFD_SETLK, &l), 0);
	waiting_fd = b;
	pthread_create(&t, NULL, wait_for_lock, NULL);
	usleep(20000);
	l = range(F_UNLCK, 0, 0);
	CHECK_EQ(fcntl(a, F_OFD_SETLK, &l), 0);
	pthread_join(t, NULL);
	l = range(F_RDLCK, 0, 1);
	CHECK_ERRNO(fcntl(a, F_OFD_SETLK, &l), EAGAIN);
	close(b); /* frees its locks */
	CHECK_EQ(fcntl(a, F_OFD_SETLK, &l), 0);
	close(a);
}

static void flocks(void)
{
	int a = open("flock", O_CREAT | O_RDWR, 0600), b = open("flock", O_RDWR), c = dup(a);

	CHECK_EQ(flock(a, LOCK_SH), 0);
	CHECK_EQ(flock(b, LOCK_SH), 0);
	CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_EQ(flock(c, LOCK_UN), 0); /* the same open file */
	CHECK_EQ(flock(b, LOCK_EX | LOCK_NB), 0);
	CHECK_ERRNO(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	close(b);
	CHECK_EQ(flock(a, LOCK_EX | LOCK_NB), 0);
	CHECK_ERRNO(flock(a, 0), EINVAL);
	close(a);
	close(c);
}

static _Atomic pid_t waiter;

static void *wait_for_posix_lock(void *arg)
{
	struct flock l = range(F_WRLCK, 0, 10);

	waiter = gettid();
	CHECK_ERRNO(fcntl(waiting_fd, F_SETLKW, &l), EBADF);
	return arg;
}

/* The descriptor is closed while a thread waits for a lock by it: the lock does not stay behind. */
static void closed_while_waiting(void)
{
	int fd = open("closed", O_CREAT | O_RDWR, 0600), ready[2], end[2], status = -1;
	struct flock l = range(F_WRLCK, 0, 10);
	char byte;
	pid_t pid;

	REQUIRE(fd >= 0 && pipe(ready) == 0 && pipe(end) == 0);
	CHECK_EQ(fcntl(fd, F_SETLK, &l), 0);
	pid = fork();
	if (!pid) {
		pthread_t t;

		check_failures = 0;
		close(end[1]);
		waiting_fd = open("closed", O_RDWR);
		close(fd);
		pthread_create(&t, NULL, wait_for_posix_lock, NULL);
		while (!waiter)
			sched_yield();
		until_thread_asleep(waiter);
		CHECK_EQ(close(waiting_fd), 0);
		CHECK_EQ(write(ready[1], "r", 1), 1);
		pthread_join(t, NULL);
		CHECK_EQ(write(ready[1], "d", 1), 1);
		CHECK_EQ(read(end[0], &byte, 1), 0);
		fflush(stdout);
		_exit(check_failures != 0);
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	l = range(F_UNLCK, 0, 10);
	CHECK_EQ(fcntl(fd, F_SETLK, &l), 0);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	l = range(F_WRLCK, 0, 10);
	CHECK_EQ(fcntl(fd, F_SETLK, &l), 0); /* while it lives */
	close(end[1]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(fcntl(fd, F_SETLK, &l), 0);
	close(fd);
	close(end[0]);
	close(ready[0]);
	close(ready[1]);
}

static void all(void)
{
	enter_fresh_folder("/tmp");
	posix();
	between_processes();
	first_in_the_way();
	ofd();
	flocks();
	closed_while_waiting();
}

CHECK_MAIN(all)
