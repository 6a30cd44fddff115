/* SPDX-License-Identifier: Apache-2.0 */
/* splice, tee and vmsplice: between pipes, files and sockets. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char buf[200000] __attribute__((aligned(4096)));

static int make_file(const char *text)
{
	char name[] = "/tmp/splices-XXXXXX";
	int fd = mkstemp(name);

	REQUIRE(fd >= 0);
	unlink(name);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void expect_in(int fd, const char *text, int line)
{
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	buf[n > 0 ? n : 0] = 0;
	if (strcmp(buf, text)) {
		printf("%s:%d: \"%.40s\", not \"%s\"\n", __FILE__, line, buf, text);
		check_failures++;
	}
}
#define EXPECT(fd, text) expect_in(fd, text, __LINE__)

static void close_two(int *fds)
{
	CHECK_EQ(close(fds[0]) | close(fds[1]), 0);
}

static void files(void)
{
	int p[2], fd = make_file("hello, world"), out = make_file("");
	loff_t at = 7;

	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(splice(fd, NULL, p[1], NULL, 5, 0), 5);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	CHECK_EQ(splice(fd, &at, p[1], NULL, 100, SPLICE_F_MOVE), 5);
	CHECK_EQ(at, 12);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	CHECK_EQ(splice(fd, &at, p[1], NULL, 100, 0), 0);
	at = 2;
	CHECK_EQ(splice(p[0], NULL, out, &at, 6, 0), 6);
	CHECK_EQ(at, 8);
	CHECK_EQ(pread(out, buf, 100, 2), 6);
	CHECK(!memcmp(buf, "hellow", 6));
	CHECK_EQ(splice(p[0], NULL, out, NULL, 100, 0), 4);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 4);
	CHECK_ERRNO(splice(p[0], NULL, out, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERRNO(splice(p[0], &at, out, NULL, 1, 0), ESPIPE);
	CHECK_ERRNO(splice(fd, NULL, out, NULL, 1, 0), EINVAL);
	CHECK_ERRNO(splice(p[0], NULL, p[1], NULL, 1, 0), EINVAL);
	CHECK_ERRNO(splice(p[1], NULL, out, NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(p[0], NULL, out, NULL, 1, 64), EINVAL);
	CHECK_EQ(splice(p[0], NULL, out, NULL, 0, 0), 0);
	at = -1;
	CHECK_ERRNO(splice(fd, &at, p[1], NULL, 1, 0), EINVAL);
	close(p[1]);
	CHECK_EQ(splice(p[0], NULL, out, NULL, 1, 0), 0);
	CHECK_EQ(close(p[0]) | close(fd) | close(out), 0);
}

static void pipes(void)
{
	int a[2], b[2], size;

	CHECK_EQ(pipe(a) | pipe(b), 0);
	CHECK_EQ(write(a[1], "abcdef", 6), 6);
	CHECK_EQ(tee(a[0], b[1], 4, 0), 4);
	EXPECT(b[0], "abcd");
	CHECK_EQ(splice(a[0], NULL, b[1], NULL, 2, 0), 2);
	EXPECT(a[0], "cdef");
	EXPECT(b[0], "ab");
	CHECK_ERRNO(tee(a[0], b[1], 4, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERRNO(tee(a[0], a[1], 4, 0), EINVAL);
	CHECK_ERRNO(tee(-1, a[1], 4, 0), EBADF);
	/* A full one takes nothing; one with room takes what fits. */
	size = fcntl(b[1], F_GETPIPE_SZ);
	CHECK_EQ(fcntl(b[1], F_SETFL, O_NONBLOCK), 0);
	memset(buf, 'x', sizeof(buf));
	CHECK_EQ(write(b[1], buf, size), size);
	CHECK_EQ(write(a[1], "more", 4), 4);
	CHECK_ERRNO(splice(a[0], NULL, b[1], NULL, 4, 0), EAGAIN);
	EXPECT(a[0], "more");
	signal(SIGPIPE, SIG_IGN);
	CHECK_EQ(write(a[1], "more", 4), 4);
	close(b[0]);
	CHECK_ERRNO(splice(a[0], NULL, b[1], NULL, 4, 0), EPIPE);
	CHECK_ERRNO(tee(a[0], b[1], 4, 0), EPIPE);
	close(b[1]);
	close_two(a);
}

static void sockets(void)
{
	int p[2], s[2];

	CHECK_EQ(pipe(p) | socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(write(s[0], "from a socket", 13), 13);
	CHECK_EQ(splice(s[1], NULL, p[1], NULL, 100, 0), 13);
	CHECK_EQ(splice(p[0], NULL, s[1], NULL, 4, 0), 4);
	EXPECT(s[0], "from");
	EXPECT(p[0], " a socket");
	close_two(p);
	close_two(s);
}

static void memory(void)
{
	struct iovec v[2] = {{"one", 3}, {"two", 3}}, out[2] = {{buf, 4}, {buf + 10, 10}};
	int p[2];

	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(vmsplice(p[1], v, 2, 0), 6);
	CHECK_EQ(vmsplice(p[0], out, 2, 0), 6);
	CHECK(!memcmp(buf, "onet", 4) && !memcmp(buf + 10, "wo", 2));
	CHECK_ERRNO(vmsplice(p[0], out, 2, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERRNO(vmsplice(1000, v, 2, 0), EBADF);
	close_two(p);
}

/* All bytes of a long way: file, pipe, pipe, socket, in the order they came. */
static void chain(void)
{
	enum { TOTAL = 3000000 };
	int a[2], b[2], s[2], status;
	long got = 0, bad = 0, n;
	int fd = make_file("");
	pid_t pids[3];

	for (int i = 0; i < TOTAL; i += 10000) {
		for (int k = 0; k < 10000; k++)
			buf[k] = (char)((i + k) * 7 >> 3);
		CHECK_EQ(write(fd, buf, 10000), 10000);
	}
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(pipe(a) | pipe(b) | socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	for (int i = 0; i < 3; i++) {
		int from = i == 0 ? fd : i == 1 ? a[0] : b[0];
		int to = i == 0 ? a[1] : i == 1 ? b[1] : s[0];

		pids[i] = fork();
		if (pids[i])
			continue;
		for (int k = 0; k < 2; k++) {
			int all[] = {a[k], b[k], s[k], fd};

			for (int j = 0; j < 4; j++) {
				if (all[j] != from && all[j] != to)
					close(all[j]);
			}
		}
		while ((n = splice(from, NULL, to, NULL, 50000 + i, 0)) > 0)
			;
		_exit(n ? 1 : 0);
	}
	close_two(a);
	close_two(b);
	close(s[0]);
	while ((n = read(s[1], buf, sizeof(buf))) > 0) {
		for (int k = 0; k < n; k++)
			bad += buf[k] != (char)((got + k) * 7 >> 3);
		got += n;
	}
	CHECK_EQ(got, TOTAL);
	CHECK_EQ(bad, 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
		CHECK_EQ(status, 0);
	}
	close(s[1]);
	close(fd);
}

/* One wait for room, not as long as anything is left: the caller may be who empties the pipe. */
static void partly(void)
{
	struct iovec v = {buf, 2 * 65536};
	int p[2], event = eventfd(0, 0), null = open("/dev/null", O_WRONLY);

	REQUIRE(!pipe(p));
	CHECK_EQ(vmsplice(p[1], &v, 1, 0), 65536);
	CHECK_ERRNO(vmsplice(p[1], &v, 1, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_EQ(splice(p[0], NULL, null, NULL, 65536, 0), 65536);
	/* What carries numbers is no end of a splice, and nobody waits to find out. */
	CHECK_ERRNO(splice(p[0], NULL, event, NULL, 8, 0), EINVAL);
	CHECK_ERRNO(splice(event, NULL, p[1], NULL, 8, 0), EINVAL);
	close(p[0]);
	close(p[1]);
	close(event);
	close(null);
}

CHECK_MAIN(files, pipes, sockets, memory, chain, partly)
