/* SPDX-License-Identifier: Apache-2.0 */
/* Signals between processes: groups, sessions, stopping and going on, permissions, pidfds. */
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static volatile sig_atomic_t got_signal, got_pid, got_code, got_value;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	got_signal = signo;
	got_pid = info->si_pid;
	got_code = info->si_code;
	got_value = info->si_value.sival_int;
}

static void tell(int fd, int value)
{
	write(fd, &value, sizeof(value));
}

static int hear(int fd)
{
	int value = -1;

	read(fd, &value, sizeof(value));
	return value;
}

static int child_main(int argc, char **argv)
{
	signal(SIGINT, SIG_DFL); /* a shell that runs the tests in the background ignores it */
	const char *what = argv[1];
	int a = argc > 2 ? atoi(argv[2]) : 0, b = argc > 3 ? atoi(argv[3]) : 0;

	if (!strcmp(what, "pause"))
		for (;;)
			pause();
	if (!strcmp(what, "ready")) { /* says so on fd a, then sleeps */
		tell(a, getpid());
		for (;;)
			pause();
	}
	if (!strcmp(what, "spin")) {
		tell(a, getpid());
		for (;;)
			__asm__ volatile("");
	}
	if (!strcmp(what, "exit"))
		return a;
	if (!strcmp(what, "report")) { /* waits for a signal of the parent, tells what came */
		struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
		sigset_t all, old;

		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, &old);
		sigaction(SIGUSR1, &action, NULL);
		sigaction(SIGRTMIN, &action, NULL);
		tell(a, getpid());
		sigemptyset(&old);
		while (!got_signal)
			sigsuspend(&old);
		tell(a, got_signal);
		tell(a, got_pid);
		tell(a, got_code);
		tell(a, got_value);
		return 0;
	}
	if (!strcmp(what, "session")) {
		if (getpgrp() != getpid() && setsid() != getpid())
			return 1;
		if (getsid(0) != getpid() || getpgrp() != getpid())
			return 2;
		if (setsid() != -1 || errno != EPERM)
			return 3;
		if (setpgid(0, 0) != -1 || errno != EPERM)
			return 4;
		return open("/dev/tty", O_RDWR) == -1 && errno == ENXIO ? 0 : 5;
	}
	if (!strcmp(what, "user")) {
		/* No longer root: may signal its own kind only. */
		int ours;

		if (setgid(1000) || setuid(1000))
			return 1;
		if (kill(a, SIGTERM) != -1 || errno != EPERM)
			return 2;
		if (kill(a, 0) != -1 || errno != EPERM)
			return 3;
		if (kill(a, SIGCONT)) /* same session */
			return 4;
		if (setuid(0) != -1 || errno != EPERM)
			return 5;
		ours = syscall(SYS_tgkill, a, a, SIGTERM);
		if (ours != -1 || errno != EPERM)
			return 6;
		return kill(getpid(), 0) ? 7 : 0;
	}
	if (!strcmp(what, "deathsig")) {
		char *args[] = {self, "dies-with", argv[2], NULL};
		pid_t pid;

		posix_spawn(&pid, self, NULL, NULL, args, environ);
		return hear(b) == -1;
	}
	if (!strcmp(what, "stopself")) {
		raise(SIGSTOP);
		return 7;
	}
	if (!strcmp(what, "tstp")) {
		raise(SIGTSTP);
		return 8;
	}
	if (!strcmp(what, "limits")) {
		struct rlimit r;

		getrlimit(RLIMIT_NOFILE, &r);
		return r.rlim_cur != (rlim_t)a;
	}
	return 99;
}

/* --- stop and continue --- */

static void stop_and_continue(void)
{
	pid_t pid = spawn("stopself", NULL, NULL);
	siginfo_t info;
	int status;

	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	CHECK_EQ(exit_of(pid), 7);

	/* One that does not end, or its end would hide that it went on. */
	pid = spawn("pause", NULL, NULL);
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	memset(&info, 0, sizeof(info));
	CHECK_EQ(waitid(P_PID, pid, &info, WCONTINUED), 0);
	CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT && info.si_pid == pid);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(exit_of(pid), -SIGKILL);

	pid = spawn("pause", NULL, NULL);
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(kill(pid, SIGTERM), 0); /* waits until it goes on */
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	CHECK_EQ(exit_of(pid), -SIGTERM);

	pid = spawn("pause", NULL, NULL);
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(kill(pid, SIGKILL), 0); /* does not wait */
	CHECK_EQ(exit_of(pid), -SIGKILL);
}

static void on_nothing(int signo)
{
}

static void stops_are_told(void)
{
	struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	sigset_t block, old;
	int status;
	pid_t pid;

	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, &old);
	sigaction(SIGCHLD, &a, NULL);
	pid = spawn_group(0, "stopself", NULL);
	for (got_signal = 0; !got_signal;)
		sigsuspend(&old);
	CHECK(got_code == CLD_STOPPED && got_pid == pid);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	kill(-pid, SIGCONT);
	/* One of the two at least: a standard signal that is pending takes no second one. */
	for (got_signal = 0; !got_signal;)
		sigsuspend(&old);
	CHECK(got_code == CLD_CONTINUED || got_code == CLD_EXITED);
	CHECK_EQ(exit_of(pid), 7);
	a.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &a, NULL);
	while (!sigpending(&block) && sigismember(&block, SIGCHLD))
		sigsuspend(&old); /* what the first child left */
	got_signal = 0;
	pid = spawn("stopself", NULL, NULL);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	kill(pid, SIGCONT);
	for (got_signal = 0; !got_signal;)
		sigsuspend(&old);
	CHECK_EQ(got_code, CLD_EXITED);
	CHECK_EQ(exit_of(pid), 7);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* --- groups and sessions --- */

static void groups(void)
{
	pid_t first = spawn_group(0, "pause", NULL), second = spawn_group(first, "pause", NULL);

	CHECK_EQ(getpgid(first), first);
	CHECK_EQ(getpgid(second), first);
	CHECK_EQ(getsid(first), getsid(0));
	CHECK_ERRNO(setpgid(second, 0), EACCES); /* it has called execve */
	CHECK_ERRNO(setpgid(1, 0), ESRCH);
	CHECK_EQ(kill(-first, 0), 0);
	CHECK_EQ(killpg(first, SIGTERM), 0);
	CHECK_EQ(exit_of(first), -SIGTERM);
	CHECK_EQ(kill(-first, 0), 0); /* the second one still, if only as a zombie */
	CHECK_EQ(exit_of(second), -SIGTERM);
	CHECK_ERRNO(kill(-first, 0), ESRCH);
	CHECK_EQ(waitpid(-first, NULL, 0), -1);
	CHECK_EQ(errno, ECHILD);

	first = spawn_group(0, "exit", "4");
	CHECK_EQ(waitpid(-first, NULL, 0), first);
	CHECK_EQ(exit_of(spawn("session", NULL, NULL)), 0);
}

/* --- sending --- */

static void what_arrives(void)
{
	union sigval value = {.sival_int = 4711};
	int fds[2];
	pid_t pid;

	REQUIRE(!pipe(fds));
	pid = spawn("report", text_of(fds[1]), NULL);
	CHECK_EQ(hear(fds[0]), pid);
	CHECK_EQ(kill(pid, SIGUSR1), 0);
	CHECK_EQ(hear(fds[0]), SIGUSR1);
	CHECK_EQ(hear(fds[0]), getpid());
	CHECK_EQ(hear(fds[0]), SI_USER);
	hear(fds[0]);
	CHECK_EQ(exit_of(pid), 0);

	pid = spawn("report", text_of(fds[1]), NULL);
	CHECK_EQ(hear(fds[0]), pid);
	CHECK_EQ(sigqueue(pid, SIGRTMIN, value), 0);
	CHECK_EQ(hear(fds[0]), SIGRTMIN);
	CHECK_EQ(hear(fds[0]), getpid());
	CHECK_EQ(hear(fds[0]), SI_QUEUE);
	CHECK_EQ(hear(fds[0]), 4711);
	CHECK_EQ(exit_of(pid), 0);

	pid = spawn("spin", text_of(fds[1]), NULL);
	CHECK_EQ(hear(fds[0]), pid);
	CHECK_EQ(kill(pid, SIGINT), 0);
	CHECK_EQ(exit_of(pid), -SIGINT);
	close(fds[0]);
	close(fds[1]);
	CHECK_ERRNO(kill(pid, SIGTERM), ESRCH);
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK_ERRNO(kill(-999999, 0), ESRCH);
}

static void permissions(void)
{
	pid_t pid;

	if (getuid() != 0)
		return;
	pid = spawn("pause", NULL, NULL);
	CHECK_EQ(exit_of(spawn("user", text_of(pid), NULL)), 0);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(exit_of(pid), -SIGKILL);
}

/* Before there were pidfds, a folder of /proc was one. */
static void folder_of_a_process(void)
{
	pid_t pid = spawn("pause", NULL, NULL);
	char path[40];
	int folder, name, other, status;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	folder = open(path, O_RDONLY | O_DIRECTORY);
	name = open(path, O_PATH);
	other = open("/proc/self/fd", O_RDONLY);
	REQUIRE(folder >= 0 && name >= 0 && other >= 0);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, name, SIGTERM, NULL, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, other, SIGTERM, NULL, 0), EBADF);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, folder, SIGTERM, NULL, 0), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, folder, SIGTERM, NULL, 0), ESRCH);
	close(folder);
	close(name);
	close(other);
}

/* --- pidfds --- */

static void pidfds(void)
{
	pid_t pid = spawn("pause", NULL, NULL);
	int fd = syscall(SYS_pidfd_open, pid, 0), copy, ep;
	struct epoll_event event = {.events = EPOLLIN};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	siginfo_t info;

	REQUIRE(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(poll(&p, 1, 0), 0);
	ep = epoll_create1(0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0);
	CHECK_EQ(epoll_wait(ep, &event, 1, 0), 0);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 99, NULL, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0), EBADF);
	CHECK_EQ(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG), 0);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), 0);
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK(p.revents & POLLIN);
	CHECK_EQ(epoll_wait(ep, &event, 1, -1), 1);
	memset(&info, 0, sizeof(info));
	CHECK_EQ(waitid(P_PIDFD, fd, &info, WEXITED), 0);
	CHECK(info.si_pid == pid && info.si_code == CLD_KILLED && info.si_status == SIGTERM);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), ESRCH);
	CHECK_ERRNO(waitid(P_PIDFD, fd, &info, WEXITED), ECHILD);
	CHECK_ERRNO(waitid(P_PIDFD, 0, &info, WEXITED), EBADF);
	close(ep);
	close(fd);
	CHECK_ERRNO(syscall(SYS_pidfd_open, pid, 0), ESRCH);
	folder_of_a_process();
	CHECK_ERRNO(syscall(SYS_pidfd_open, -1, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_open, getpid(), 1), EINVAL);
	fd = syscall(SYS_pidfd_open, getpid(), 0);
	copy = syscall(SYS_pidfd_getfd, fd, 0, 0);
	CHECK(copy > 0 && fcntl(copy, F_GETFD) == FD_CLOEXEC);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 999, 0), EBADF);
	close(copy);
	close(fd);
}

/* --- signalfd --- */

static void signalfds(void)
{
	struct signalfd_siginfo s[4];
	struct pollfd p = {.events = POLLIN};
	union sigval value = {.sival_int = 12};
	sigset_t set, old;
	pid_t pid;
	int fd, ep;
	struct epoll_event event = {.events = EPOLLIN};

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 3);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	fd = p.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	REQUIRE(fd >= 0);
	CHECK_ERRNO(read(fd, s, sizeof(s)), EAGAIN);
	CHECK_ERRNO(read(fd, s, 20), EINVAL);
	CHECK_EQ(poll(&p, 1, 0), 0);
	ep = epoll_create1(0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0);
	raise(SIGUSR1);
	sigqueue(getpid(), SIGRTMIN + 3, value);
	sigqueue(getpid(), SIGRTMIN + 3, value);
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(epoll_wait(ep, &event, 1, -1), 1);
	CHECK_EQ(read(fd, s, sizeof(s)), 3 * sizeof(s[0]));
	CHECK(s[0].ssi_signo == SIGUSR1 && s[0].ssi_pid == getpid());
	CHECK(s[1].ssi_signo == SIGRTMIN + 3 && s[1].ssi_code == SI_QUEUE && s[1].ssi_int == 12);
	CHECK_EQ(poll(&p, 1, 0), 0);
	pid = spawn("exit", "9", NULL);
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(read(fd, s, sizeof(s)), sizeof(s[0]));
	CHECK(s[0].ssi_signo == SIGCHLD && s[0].ssi_pid == pid && s[0].ssi_status == 9 &&
	      s[0].ssi_code == CLD_EXITED);
	CHECK_EQ(exit_of(pid), 9);
	sigdelset(&set, SIGUSR1);
	CHECK_EQ(signalfd(fd, &set, 0), fd);
	raise(SIGUSR1);
	CHECK_ERRNO(read(fd, s, sizeof(s)), EAGAIN);
	CHECK_ERRNO(signalfd(0, &set, 0), EINVAL);
	CHECK_ERRNO(signalfd(99, &set, 0), EBADF);
	CHECK_ERRNO(signalfd(-1, &set, 0x40), EINVAL);
	signal(SIGUSR1, SIG_IGN);
	close(ep);
	close(fd);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGUSR1, SIG_DFL);
}

/* --- limits of others --- */

static void limits(void)
{
	struct rlimit r = {.rlim_cur = 33, .rlim_max = 44}, old, was;
	pid_t pid;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	was = old;
	was.rlim_cur = 123;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
	CHECK_EQ(exit_of(spawn("limits", "123", NULL)), 0);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	pid = spawn("pause", NULL, NULL);
	CHECK_EQ(prlimit(pid, RLIMIT_NOFILE, &r, &was), 0);
	CHECK(was.rlim_cur == old.rlim_cur);
	CHECK_EQ(prlimit(pid, RLIMIT_NOFILE, NULL, &was), 0);
	CHECK(was.rlim_cur == 33 && was.rlim_max == 44);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
	CHECK(was.rlim_cur == old.rlim_cur);
	CHECK_EQ(getpriority(PRIO_PROCESS, pid), getpriority(PRIO_PROCESS, 0));
	kill(pid, SIGKILL);
	CHECK_EQ(exit_of(pid), -SIGKILL);
	CHECK_ERRNO(prlimit(pid, RLIMIT_NOFILE, NULL, &was), ESRCH);
}

CHILD_MAIN(stop_and_continue, stops_are_told, groups, what_arrives, permissions, pidfds, signalfds,
	   limits)
