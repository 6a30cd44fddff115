/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo terminals: opening, names, both ends of the line, job control, packet mode, hang-up. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#ifndef TIOCPKT_IOCTL
#define TIOCPKT_IOCTL 64
#endif

static char buf[20000];

static void open_pair(int *master, int *slave)
{
	REQUIRE(openpty(master, slave, NULL, NULL, NULL) == 0);
}

static void close_pair(int master, int slave)
{
	CHECK_EQ(close(slave), 0);
	CHECK_EQ(close(master), 0);
}

static void set_raw(int fd, int min, int time)
{
	struct termios t;

	CHECK_EQ(tcgetattr(fd, &t), 0);
	cfmakeraw(&t);
	t.c_cc[VMIN] = min;
	t.c_cc[VTIME] = time;
	CHECK_EQ(tcsetattr(fd, TCSANOW, &t), 0);
}

static int is_ready(int fd, int events)
{
	struct pollfd p = {fd, events};

	return poll(&p, 1, 0) == 1 ? p.revents : 0;
}

/* Exactly these bytes come from fd, in however many reads. */
static void expect_from(int fd, const char *text, int line)
{
	size_t len = strlen(text), got = 0;

	while (got < len) {
		struct pollfd p = {fd, POLLIN};
		ssize_t n;

		if (poll(&p, 1, 20000) != 1)
			break;
		n = read(fd, buf + got, len - got);
		if (n <= 0)
			break;
		got += n;
	}
	buf[got] = 0;
	if (strcmp(buf, text)) {
		printf("%s:%d: got \"%s\", not \"%s\"\n", __FILE__, line, buf, text);
		check_failures++;
	}
}
#define EXPECT(fd, text) expect_from(fd, text, __LINE__)

static void names(void)
{
	char name[100], link[100] = "", path[100];
	struct stat by_name, by_fd;
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, peer, lock = -1, n = -1;

	REQUIRE(master >= 0);
	CHECK_EQ(isatty(master), 1);
	CHECK_EQ(ioctl(master, TIOCGPTN, &n), 0);
	CHECK_EQ(ptsname_r(master, name, sizeof(name)), 0);
	snprintf(path, sizeof(path), "/dev/pts/%d", n);
	CHECK(!strcmp(name, path));
	CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
	CHECK_EQ(grantpt(master), 0);
	CHECK_EQ(unlockpt(master), 0);
	CHECK_EQ(ioctl(master, TIOCGPTLCK, &lock), 0);
	CHECK_EQ(lock, 0);
	slave = open(name, O_RDWR | O_NOCTTY);
	REQUIRE(slave >= 0);
	CHECK_EQ(fcntl(slave, F_GETFL) & (O_ACCMODE | O_NOCTTY), O_RDWR);
	CHECK_EQ(ttyname_r(slave, link, sizeof(link)), 0);
	CHECK(!strcmp(link, name));
	CHECK_EQ(stat(name, &by_name), 0);
	CHECK_EQ(fstat(slave, &by_fd), 0);
	CHECK(S_ISCHR(by_fd.st_mode) && by_fd.st_rdev == by_name.st_rdev);
	CHECK_EQ(by_fd.st_rdev, (136 << 8) + n);
	CHECK_EQ(by_fd.st_uid, geteuid());
	CHECK_EQ(fchmod(slave, 0600), 0);
	CHECK_EQ(stat(name, &by_name), 0);
	CHECK_EQ(by_name.st_mode & 07777, 0600);
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	CHECK(peer >= 0);
	CHECK_EQ(ttyname_r(peer, link, sizeof(link)), 0);
	CHECK(!strcmp(link, name));
	close(peer);
	CHECK_ERRNO(ioctl(slave, TIOCGPTN, &n), ENOTTY);
	CHECK_ERRNO(lseek(slave, 0, SEEK_SET), ESPIPE);
	close_pair(master, slave);
	CHECK_ERRNO(stat(name, &by_name), ENOENT);
}

static void lines(void)
{
	int master, slave, n = -1;

	open_pair(&master, &slave);
	CHECK_EQ(is_ready(slave, POLLIN | POLLOUT), POLLOUT);
	CHECK_EQ(write(master, "hello", 5), 5);
	EXPECT(master, "hello");
	CHECK_EQ(is_ready(slave, POLLIN), 0);
	CHECK_EQ(ioctl(slave, FIONREAD, &n), 0);
	CHECK_EQ(n, 0);
	CHECK_EQ(write(master, "\x7fp!\r", 4), 4);
	EXPECT(master, "\b \bp!\r\n");
	CHECK_EQ(is_ready(slave, POLLIN), POLLIN);
	CHECK_EQ(ioctl(slave, FIONREAD, &n), 0);
	CHECK_EQ(n, 7);
	CHECK_EQ(read(slave, buf, 3), 3);
	CHECK_EQ(read(slave, buf + 3, 100), 4);
	CHECK(!memcmp(buf, "hellp!\n", 7));
	CHECK_EQ(write(slave, "out\n", 4), 4);
	CHECK_EQ(is_ready(master, POLLIN), POLLIN); /* on Linux they arrive by then */
	CHECK_EQ(ioctl(master, FIONREAD, &n), 0);
	CHECK_EQ(n, 5);
	EXPECT(master, "out\r\n");
	CHECK_EQ(ioctl(slave, TIOCOUTQ, &n), 0);
	CHECK_EQ(n, 0);
	/* End of file, with and without bytes before it. */
	CHECK_EQ(write(master, "x\x04\x04", 3), 3);
	CHECK_EQ(read(slave, buf, 10), 1);
	CHECK_EQ(read(slave, buf, 10), 0);
	CHECK_EQ(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	CHECK_ERRNO(read(slave, buf, 10), EAGAIN);
	CHECK_EQ(write(master, "lost\n", 5), 5);
	CHECK_EQ(is_ready(slave, POLLIN), POLLIN);
	CHECK_EQ(tcflush(slave, TCIFLUSH), 0);
	CHECK_ERRNO(read(slave, buf, 10), EAGAIN);
	close_pair(master, slave);
}

static void raw_reads(void)
{
	int master, slave;

	open_pair(&master, &slave);
	set_raw(slave, 1, 0);
	CHECK_EQ(write(master, "\x03\r\x04\x7f", 4), 4);
	CHECK_EQ(read(slave, buf, 100), 4);
	CHECK(!memcmp(buf, "\x03\r\x04\x7f", 4));
	CHECK_EQ(is_ready(master, POLLIN), 0); /* no echo */
	set_raw(slave, 0, 0);
	CHECK_EQ(read(slave, buf, 100), 0);
	set_raw(slave, 0, 1);
	CHECK_EQ(read(slave, buf, 100), 0);
	set_raw(slave, 3, 0);
	CHECK_EQ(write(master, "ab", 2), 2);
	CHECK_EQ(is_ready(slave, POLLIN), 0);
	CHECK_EQ(write(master, "cd", 2), 2);
	CHECK_EQ(is_ready(slave, POLLIN), POLLIN);
	CHECK_EQ(read(slave, buf, 100), 4);
	set_raw(slave, 5, 1);
	CHECK_EQ(write(master, "xyz", 3), 3);
	CHECK_EQ(read(slave, buf, 100), 3);
	close_pair(master, slave);
}

static void modes(void)
{
	struct termios t, back;
	int master, slave;

	open_pair(&master, &slave);
	CHECK_EQ(tcgetattr(master, &t), 0);
	CHECK(t.c_lflag & ICANON && t.c_lflag & ECHO && t.c_iflag & ICRNL && t.c_oflag & ONLCR);
	CHECK_EQ(t.c_cc[VINTR], 3);
	CHECK_EQ(t.c_cc[VEOF], 4);
	t.c_lflag &= ~ECHO;
	t.c_cc[VINTR] = 1;
	CHECK_EQ(tcsetattr(slave, TCSADRAIN, &t), 0);
	CHECK_EQ(tcgetattr(master, &back), 0);
	CHECK_EQ(back.c_lflag, t.c_lflag);
	CHECK_EQ(back.c_cc[VINTR], 1);
	CHECK_EQ(write(master, "quiet\n", 6), 6);
	CHECK_EQ(is_ready(master, POLLIN), 0);
	CHECK_EQ(is_ready(slave, POLLIN), POLLIN);
	CHECK_EQ(tcsetattr(slave, TCSAFLUSH, &t), 0);
	CHECK_EQ(is_ready(slave, POLLIN), 0);
	CHECK_EQ(tcdrain(slave), 0);
	/* Stopped and started by key. */
	CHECK_EQ(write(master, "\x13", 1), 1);
	is_ready(slave, POLLIN); /* on Linux it arrives by then */
	CHECK_EQ(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	CHECK_ERRNO(write(slave, "x", 1), EAGAIN);
	CHECK_EQ(write(master, "\x11", 1), 1);
	is_ready(slave, POLLIN);
	CHECK_EQ(write(slave, "x", 1), 1);
	EXPECT(master, "x");
	close_pair(master, slave);
}

static void limits(void)
{
	int master, slave;
	long sent = 0, n;

	open_pair(&master, &slave);
	CHECK_EQ(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	CHECK_EQ(fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	memset(buf, 'x', sizeof(buf));
	while ((n = write(slave, buf, 1000)) > 0)
		sent += n;
	CHECK(n == -1 && errno == EAGAIN && sent >= 4096 && sent < 1000000);
	CHECK_EQ(is_ready(slave, POLLOUT), 0);
	while ((n = read(master, buf, sizeof(buf))) > 0)
		sent -= n;
	CHECK_EQ(sent, 0);
	CHECK_EQ(is_ready(slave, POLLOUT), POLLOUT);
	set_raw(slave, 1, 0);
	while ((n = write(master, buf, 1000)) > 0)
		sent += n;
	CHECK(n == -1 && errno == EAGAIN && sent >= 4095);
	while (sent > 0 && (n = read(slave, buf, sizeof(buf))) > 0) {
		sent -= n;
		if (sent > 0 && !is_ready(slave, POLLIN)) {
			struct pollfd p = {slave, POLLIN};

			CHECK_EQ(poll(&p, 1, 20000), 1);
		}
	}
	CHECK_EQ(sent, 0);
	close_pair(master, slave);
}

static volatile sig_atomic_t got_winch, got_int, got_hup;

static void note(int signo)
{
	if (signo == SIGWINCH)
		got_winch++;
	if (signo == SIGINT)
		got_int++;
	if (signo == SIGHUP)
		got_hup++;
}

/* The child writes one byte per event that it saw; its terminal is the slave. */
static void child_of_terminal(void)
{
	struct sigaction a = {.sa_handler = note};
	struct winsize w;
	int fd = open("/dev/tty", O_RDWR);
	sigset_t block, old;

	if (fd < 0 || tcgetpgrp(fd) != getpgrp() || tcgetsid(fd) != getsid(0))
		_exit(1);
	sigaction(SIGWINCH, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
	sigfillset(&block);
	sigprocmask(SIG_BLOCK, &block, &old);
	write(1, "R", 1);
	while (!got_winch)
		sigsuspend(&old);
	if (ioctl(0, TIOCGWINSZ, &w) || w.ws_row != 33 || w.ws_col != 77)
		_exit(2);
	write(1, "W", 1);
	while (!got_int)
		sigsuspend(&old);
	write(1, "I", 1);
	while (!got_hup)
		sigsuspend(&old);
	_exit(read(0, &w, 1) == 0 && write(1, "x", 1) == -1 && errno == EIO ? 42 : 3);
}

static void signals(void)
{
	struct winsize w = {24, 80}, changed = {33, 77};
	int master, status;
	pid_t pid = forkpty(&master, NULL, NULL, &w);

	if (!pid)
		child_of_terminal();
	REQUIRE(pid > 0);
	EXPECT(master, "R");
	CHECK_EQ(tcgetpgrp(master), pid);
	CHECK_EQ(tcgetsid(master), pid);
	CHECK_EQ(ioctl(master, TIOCSWINSZ, &changed), 0);
	EXPECT(master, "W");
	CHECK_EQ(write(master, "\x03", 1), 1);
	EXPECT(master, "^CI");
	CHECK_EQ(close(master), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 42);
}

static void other_end_closes(void)
{
	int master, slave, peer;

	open_pair(&master, &slave);
	CHECK_EQ(write(slave, "last", 4), 4);
	CHECK_EQ(close(slave), 0);
	CHECK_EQ(is_ready(master, POLLIN), POLLIN | POLLHUP);
	EXPECT(master, "last");
	CHECK_ERRNO(read(master, buf, 10), EIO);
	CHECK_EQ(is_ready(master, POLLIN), POLLHUP);
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	CHECK(peer >= 0);
	CHECK_EQ(is_ready(master, POLLIN | POLLHUP), 0);
	CHECK_EQ(close(master), 0);
	CHECK_EQ(read(peer, buf, 10), 0);
	CHECK_ERRNO(write(peer, "x", 1), EIO);
	CHECK_ERRNO(ioctl(peer, TCGETS, buf), EIO);
	CHECK_EQ(is_ready(peer, POLLIN) & (POLLIN | POLLHUP | POLLERR), POLLIN | POLLHUP | POLLERR);
	close(peer);
}

static void packets(void)
{
	int master, slave, on = 1, off = 0;

	open_pair(&master, &slave);
	CHECK_EQ(ioctl(master, TIOCPKT, &on), 0);
	CHECK_EQ(write(slave, "data", 4), 4);
	CHECK_EQ(read(master, buf, 100), 5);
	CHECK(buf[0] == TIOCPKT_DATA && !memcmp(buf + 1, "data", 4));
	CHECK_EQ(tcflush(slave, TCIFLUSH), 0);
	CHECK(is_ready(master, POLLIN | POLLPRI) & POLLPRI);
	CHECK_EQ(read(master, buf, 100), 1);
	CHECK_EQ(buf[0], TIOCPKT_FLUSHREAD);
	CHECK_EQ(ioctl(master, TIOCPKT, &off), 0);
	CHECK_EQ(write(slave, "plain", 5), 5);
	EXPECT(master, "plain");
	close_pair(master, slave);
}

static void epolls(void)
{
	struct epoll_event e = {EPOLLIN | EPOLLET, {.fd = 1}}, got;
	int master, slave, ep = epoll_create1(0);

	open_pair(&master, &slave);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, slave, &e), 0);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	CHECK_EQ(write(master, "a\n", 2), 2);
	CHECK_EQ(epoll_wait(ep, &got, 1, 20000), 1);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	CHECK_EQ(write(master, "b\n", 2), 2);
	CHECK_EQ(epoll_wait(ep, &got, 1, 20000), 1);
	close(ep);
	close_pair(master, slave);
}

/* A background process of the session: reads stop it, and so does tcsetattr. */
static void background(void)
{
	int master, status;
	pid_t pid = forkpty(&master, NULL, NULL, NULL), child;

	if (!pid) {
		struct termios t;

		child = fork();
		if (!child) {
			setpgid(0, 0);
			read(0, buf, 1);
			if (tcgetattr(0, &t) || tcsetattr(0, TCSANOW, &t))
				_exit(1);
			_exit(write(1, "fg", 2) == 2 ? 9 : 2);
		}
		if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) ||
		    WSTOPSIG(status) != SIGTTIN)
			_exit(10);
		if (setpgid(child, child) || tcsetpgrp(0, child))
			_exit(11);
		kill(child, SIGCONT);
		write(1, "C", 1);
		if (waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 9)
			_exit(12);
		/* Now this one is in the background. */
		signal(SIGTTOU, SIG_IGN);
		if (tcsetpgrp(0, getpgrp()))
			_exit(13);
		_exit(7);
	}
	REQUIRE(pid > 0);
	EXPECT(master, "C");
	CHECK_EQ(write(master, "q\n", 2), 2);
	EXPECT(master, "q\r\nfg");
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 7);
	close(master);
}

/* Sessions take and give up terminals. */
static void controlling(void)
{
	int master, slave, status;
	pid_t pid;

	open_pair(&master, &slave);
	pid = fork();
	if (!pid) {
		char name[100];
		int fd;

		if (setsid() < 0 || open("/dev/tty", O_RDWR) >= 0 || errno != ENXIO)
			_exit(1);
		if (ptsname_r(master, name, sizeof(name)))
			_exit(2);
		if ((fd = open(name, O_RDWR | O_NOCTTY)) < 0 || open("/dev/tty", O_RDWR) >= 0)
			_exit(3);
		if (tcgetpgrp(fd) != -1 || errno != ENOTTY)
			_exit(4);
		if ((fd = open(name, O_RDWR)) < 0 || tcgetpgrp(fd) != getpid())
			_exit(5);
		signal(SIGHUP, SIG_IGN);
		if (ioctl(fd, TIOCNOTTY) || open("/dev/tty", O_RDWR) >= 0)
			_exit(6);
		if (ioctl(fd, TIOCSCTTY, 0) || (fd = open("/dev/tty", O_RDWR)) < 0)
			_exit(7);
		if (!isatty(fd) || tcgetsid(fd) != getpid())
			_exit(8);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	close_pair(master, slave);
}

/* Who writes to a stopped terminal waits: until it goes on, or until killed. */
static void stopped_writers(void)
{
	int master, slave, status;

	open_pair(&master, &slave);
	CHECK_EQ(write(master, "\x13", 1), 1);
	is_ready(slave, POLLIN); /* on Linux it arrives by then */
	for (int is_killed = 0; is_killed < 2; is_killed++) {
		pid_t pid = fork();

		if (!pid)
			_exit(write(slave, "on", 2) == 2 ? 0 : 1);
		until_asleep(pid);
		if (is_killed)
			CHECK_EQ(kill(pid, SIGKILL), 0);
		else
			CHECK_EQ(write(master, "\x11", 1), 1);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, is_killed ? SIGKILL : 0);
		if (is_killed)
			break;
		EXPECT(master, "on");
		CHECK_EQ(write(master, "\x13", 1), 1);
		is_ready(slave, POLLIN);
	}
	close_pair(master, slave);
}

/* More of them one after the other than there can be at once. */
static void many(void)
{
	char name[100];
	int master, slave;

	for (int i = 0; i < 3000; i++) {
		open_pair(&master, &slave);
		REQUIRE(ttyname_r(slave, name, sizeof(name)) == 0 && access(name, F_OK) == 0);
		close_pair(master, slave);
		CHECK_ERRNO(access(name, F_OK), ENOENT);
	}
}

CHECK_MAIN(names, lines, raw_reads, modes, limits, signals, other_end_closes, packets, epolls,
	   background, controlling, stopped_writers, many)
