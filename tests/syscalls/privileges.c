/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program without rights must not get by way of those who have some: through races with
 * them, through what it shares with a set-user-ID program, through descriptors that both have.
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#define USER	   1000
#define RACE_MS	   1000
#define CAP_FOWNER 3
#ifndef FALLOC_FL_PUNCH_HOLE
#define FALLOC_FL_KEEP_SIZE  1
#define FALLOC_FL_PUNCH_HOLE 2
#endif
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT	     47
#define PR_CAP_AMBIENT_RAISE 2
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static void become_user(void)
{
	if (setresgid(USER, USER, USER) || setresuid(USER, USER, USER))
		_exit(99);
}

static int exit_of(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* This program under another name; `mode` is that of the file. */
static void copy_self(const char *to, mode_t mode)
{
	char block[65536];
	int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0755);
	ssize_t n;

	while ((n = read(in, block, sizeof(block))) > 0)
		REQUIRE(write(out, block, n) == n);
	close(in);
	close(out);
	CHECK_EQ(chmod(to, mode), 0);
}

/* chmod() by the owner, while root gives the file away and takes it back. */
static void chmod_against_chown(void)
{
	struct timespec begin, now;
	struct stat st;
	long found = 0;
	pid_t pid;

	close(open("shared", O_CREAT | O_RDWR, 0755));
	pid = fork();
	if (!pid) {
		/* Another program: what was only forked would never run at the same time. */
		execl("./plain", "privileges", "chmod", NULL);
		_exit(98);
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		CHECK_EQ(chown("shared", USER, USER), 0);
		for (volatile int i = rand() % 3000; i > 0; i--)
			;
		CHECK_EQ(chown("shared", 0, 0), 0);
		usleep(50);
		CHECK_EQ(stat("shared", &st), 0);
		found += (st.st_mode & S_ISUID) != 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 <
		 RACE_MS);
	CHECK_EQ(found, 0);
	kill(pid, SIGKILL);
	CHECK_EQ(exit_of(pid), -SIGKILL);
}

/* What shares its working directory with another process gets no rights by its exec. */
static void exec_with_a_shared_folder(void)
{
	pid_t pid = fork();

	if (!pid) {
		pid_t child;

		become_user();
		child = syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
		if (!child) {
			execl("./set-user-id", "privileges", "is-user", NULL);
			_exit(98);
		}
		if (exit_of(child))
			_exit(1);
		child = fork();
		if (!child) {
			execl("./set-user-id", "privileges", "is-root", NULL);
			_exit(98);
		}
		_exit(exit_of(child) ? 2 : 0);
	}
	CHECK_EQ(exit_of(pid), 0);
}

struct cap_header {
	unsigned version;
	int pid;
};
struct cap_data {
	unsigned effective, permitted, inheritable;
};

static void keep_one_capability(int cap)
{
	struct cap_header header = {0x20080522, 0};
	struct cap_data data[2] = {{1u << cap, 1u << cap, 1u << cap}};

	if (prctl(PR_SET_KEEPCAPS, 1))
		_exit(97);
	become_user();
	if (syscall(SYS_capset, &header, data) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
		_exit(96);
}

static void look_into(pid_t pid, int expected)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), fd = syscall(SYS_pidfd_getfd, pidfd, 0, 0);
	char path[40];
	int failed = fd < 0 ? errno : 0;

	if (failed != (expected ? EPERM : 0))
		_exit(1);
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY);
	failed = fd < 0 ? errno : 0;
	_exit(failed == (expected ? EACCES : 0) ? 0 : 2);
}

/* The same user, but with capabilities that the other has not. */
static void more_capable(void)
{
	for (int with = 0; with < 2; with++) {
		int ready[2];
		pid_t pid, looker;
		char byte;

		REQUIRE(pipe(ready) == 0);
		pid = fork();
		if (!pid) {
			char fd[12];

			if (with)
				keep_one_capability(CAP_FOWNER);
			else
				become_user();
			snprintf(fd, sizeof(fd), "%d", ready[1]);
			execl("./plain", "privileges", "wait", fd, NULL);
			_exit(98);
		}
		CHECK_EQ(read(ready[0], &byte, 1), 1);
		looker = fork();
		if (!looker) {
			become_user();
			look_into(pid, with);
		}
		CHECK_EQ(exit_of(looker), 0);
		kill(pid, SIGKILL);
		CHECK_EQ(exit_of(pid), -SIGKILL);
		close(ready[0]);
		close(ready[1]);
	}
}

/* What the kernel adds to a message is who sent it, not as whom he acts. */
static void sender(void)
{
	pid_t pid = fork();

	if (!pid) {
		char byte, control[CMSG_SPACE(sizeof(struct ucred))];
		struct iovec data = {&byte, 1};
		struct msghdr m = {.msg_iov = &data,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		struct ucred *u = (struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&m));
		int s[2], on = 1;

		if (setresgid(USER, 0, 0) || setresuid(USER, 0, 0))
			_exit(99);
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) ||
		    setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
		    write(s[0], "x", 1) != 1 || recvmsg(s[1], &m, 0) != 1)
			_exit(98);
		_exit(u->pid == getpid() && u->uid == USER && u->gid == USER ? 0 : 1);
	}
	CHECK_EQ(exit_of(pid), 0);
}

/*
 * A set-user-ID program reads its own maps, by a descriptor that it was started with and that
 * another process has as well.
 */
static void text_of_a_stronger_program(void)
{
	pid_t pid = fork();

	if (!pid) {
		become_user();
		execl("./plain", "privileges", "maps", NULL); /* looked into by its user again */
		_exit(98);
	}
	CHECK_EQ(exit_of(pid), 0);
}

static int share_maps(void)
{
	char byte, text[100];
	int done[2], maps = open("/proc/self/maps", O_RDONLY);
	pid_t spy;

	if (maps < 0 || pipe(done))
		return 97;
	spy = fork();
	if (!spy) {
		close(done[1]);
		if (read(done[0], &byte, 1) != 1)
			_exit(96);
		/* Linux tells of the program that is gone: nothing. */
		_exit(pread(maps, text, sizeof(text), 1) > 0);
	}
	dup2(maps, 0);
	dup2(done[1], 1);
	snprintf(text, sizeof(text), "%d", spy);
	execl("./set-user-id", "privileges", "read", text, NULL);
	return 98;
}

static void change_by_another(const char *name, int mode)
{
	struct stat st;
	pid_t pid;
	int fd = open(name, O_CREAT | O_RDWR, 0666);

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(fchmod(fd, 04777), 0);
	close(fd);
	pid = fork();
	if (!pid) {
		become_user();
		fd = open(name, O_RDWR);
		_exit(fd < 0 || (fallocate(fd, mode, 0, 5) && errno != EOPNOTSUPP));
	}
	CHECK_EQ(exit_of(pid), 0);
	CHECK_EQ(stat(name, &st), 0);
	CHECK_EQ(st.st_mode & S_ISUID, 0);
	CHECK_EQ(unlink(name), 0);
}

/* Whoever writes zeros, or nothing, writes. */
static void holes_take_rights(void)
{
	change_by_another("hole", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static void things_of_others(void)
{
	pid_t pid;
	int fd;

	CHECK_EQ(mkdir("sticky", 01777), 0);
	CHECK_EQ(chmod("sticky", 01777), 0);
	CHECK_EQ(mkdir("open", 0777), 0);
	CHECK_EQ(chmod("open", 0777), 0);
	close(open("of-root", O_CREAT | O_RDWR, 0666));
	CHECK_EQ(chmod("of-root", 0666), 0);
	pid = fork();
	if (!pid) {
		check_failures = 0;
		become_user();
		CHECK_ERRNO(setxattr("sticky", "user.x", "x", 1, 0), EPERM);
		CHECK_ERRNO(removexattr("sticky", "user.x"), EPERM);
		fd = setxattr("open", "user.x", "x", 1, 0);
		CHECK(fd == 0 || errno == EOPNOTSUPP);
		fd = open("of-root", O_RDWR);
		CHECK(fd >= 0);
		CHECK_ERRNO(fcntl(fd, F_SETFL, O_NOATIME), EPERM);
		CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
		fflush(stdout);
		_exit(check_failures != 0);
	}
	CHECK_EQ(exit_of(pid), 0);
}

#define MANY 480

static void many_pipes(void)
{
	static char block[65536];

	for (int i = 0; i < MANY; i++) {
		int ends[2];

		if (pipe2(ends, O_NONBLOCK))
			return;
		(void)!fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
		for (int n = 0; n < 16 && write(ends[1], block, sizeof(block)) > 0;)
			n++;
	}
}

static void many_watches(void)
{
	int epolls[MANY], events[MANY];

	for (int i = 0; i < MANY; i++) {
		epolls[i] = epoll_create1(0);
		events[i] = eventfd(0, 0);
	}
	for (int i = 0; i < MANY * MANY; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		if (epoll_ctl(epolls[i / MANY], EPOLL_CTL_ADD, events[i % MANY], &event))
			return;
	}
}

/* A program without rights takes memory of the kernel as it can: everything else goes on. */
static void beside_a_hog(void (*fill)(void))
{
	static char block[8192];
	int ready[2], own[2], fd;
	pid_t pid, other;
	char byte;

	REQUIRE(pipe(ready) == 0);
	pid = fork();
	if (!pid) {
		become_user();
		fill();
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	other = fork();
	if (!other) {
		execl("./plain", "privileges", "is-root", NULL);
		_exit(98);
	}
	CHECK_EQ(exit_of(other), 0);
	CHECK_EQ(pipe2(own, O_NONBLOCK), 0);
	CHECK_EQ(write(own[1], block, 4096), 4096);
	CHECK_EQ(read(own[0], block, sizeof(block)), 4096);
	fd = epoll_create1(0);
	CHECK_EQ(epoll_ctl(fd, EPOLL_CTL_ADD, own[0], &(struct epoll_event){.events = EPOLLIN}), 0);
	close(fd);
	close(own[0]);
	close(own[1]);
	fd = open("beside", O_CREAT | O_RDWR, 0600);
	for (int i = 0; i < 32; i++)
		CHECK_EQ(write(fd, block, sizeof(block)), sizeof(block));
	CHECK_EQ(fsync(fd), 0);
	close(fd);
	CHECK_EQ(unlink("beside"), 0);
	kill(pid, SIGKILL);
	CHECK_EQ(exit_of(pid), -SIGKILL);
	close(ready[0]);
	close(ready[1]);
}

static void hogs(void)
{
	beside_a_hog(many_pipes);
	beside_a_hog(many_watches);
}

static int child_main(int argc, char **argv)
{
	char text[8192];

	if (!strcmp(argv[1], "is-user"))
		return geteuid() == USER ? 0 : 1;
	if (!strcmp(argv[1], "is-root"))
		return geteuid() == 0 ? 0 : 1;
	if (!strcmp(argv[1], "chmod")) {
		become_user();
		for (;;)
			chmod("shared", 04755);
	}
	if (!strcmp(argv[1], "maps"))
		return share_maps();
	if (!strcmp(argv[1], "wait")) {
		CHECK_EQ(write(atoi(argv[2]), "x", 1), 1);
		for (;;)
			pause();
	}
	/* "read": its own maps, which the spy waits for */
	if (geteuid() != 0)
		return 95;
	(void)!read(0, text, sizeof(text));
	(void)!write(1, "x", 1);
	return exit_of(atoi(argv[2]));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child_main(argc, argv);
	if (geteuid() != 0)
		return 77;
	enter_fresh_folder("/root");
	CHECK_EQ(chmod(".", 0755), 0);
	umask(022);
	copy_self("set-user-id", 04755);
	copy_self("plain", 0755);
	fflush(stdout);
	chmod_against_chown();
	exec_with_a_shared_folder();
	more_capable();
	sender();
	text_of_a_stronger_program();
	holes_take_rights();
	things_of_others();
	hogs();
	return check_failures != 0;
}
