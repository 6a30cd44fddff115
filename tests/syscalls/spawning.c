/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that start other programs: posix_spawn, vfork, clone, execve, execveat, their end. */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

extern char **environ;
static char self[PATH_MAX];

/* --- what the child programs do: this binary again with a word --- */

static int print_arguments(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		printf("[%s]", argv[i]);
	printf("%s\n", getenv("SPAWN_TEST") ?: "");
	return 0;
}

static int child_main(int argc, char **argv)
{
	const char *what = argv[1] + 1;

	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "args"))
		return print_arguments(argc, argv);
	if (!strcmp(what, "kill"))
		return raise(atoi(argv[2]));
	if (!strcmp(what, "parent"))
		return getppid() == atoi(argv[2]) ? 0 : 1;
	if (!strcmp(what, "group"))
		return getpgrp() == getpid() ? 0 : 1;
	if (!strcmp(what, "open"))
		return fcntl(atoi(argv[2]), F_GETFD) >= 0;
	if (!strcmp(what, "default")) {
		struct sigaction a;
		sigset_t mask;

		sigaction(SIGUSR1, NULL, &a);
		if (a.sa_handler != SIG_DFL)
			return 1;
		sigaction(SIGUSR2, NULL, &a);
		if (a.sa_handler != SIG_IGN)
			return 2;
		sigprocmask(SIG_BLOCK, NULL, &mask);
		return sigismember(&mask, SIGWINCH) ? 0 : 3;
	}
	if (!strcmp(what, "burn")) {
		struct rusage r;

		do
			getrusage(RUSAGE_SELF, &r);
		while (r.ru_utime.tv_sec * 1000000 + r.ru_utime.tv_usec + r.ru_stime.tv_usec <
		       30000);
		return 0;
	}
	if (!strcmp(what, "cat")) {
		char buf[100];
		ssize_t n;

		while ((n = read(0, buf, sizeof(buf))) > 0)
			write(1, buf, n);
		return 0;
	}
	if (!strcmp(what, "orphan")) {
		/* Leaves a child behind that says whose child it is. */
		char mine[20], *args[] = {self, "-late", argv[2], mine, NULL};
		pid_t pid;

		snprintf(mine, sizeof(mine), "%d", getpid());
		return posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ);
	}
	if (!strcmp(what, "late")) {
		int fd = atoi(argv[2]), parent;
		pid_t first = atoi(argv[3]);

		for (int i = 0; i < 5000 && getppid() == first; i++)
			usleep(1000);
		parent = getppid();
		write(fd, &parent, sizeof(parent));
		return 5;
	}
	if (!strcmp(what, "exe")) {
		char path[PATH_MAX] = {0};

		readlink("/proc/self/exe", path, sizeof(path) - 1);
		return strcmp(path, argv[2]) != 0;
	}
	return 99;
}

static pid_t spawn_args(char **args, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr)
{
	pid_t pid = -1;

	CHECK_EQ(posix_spawn(&pid, self, actions, attr, args, environ), 0);
	return pid;
}

static pid_t spawn(const char *what, const char *arg)
{
	char *args[] = {self, (char *)what, (char *)arg, NULL};

	return spawn_args(args, NULL, NULL);
}

static int status_of(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

static int exit_of(pid_t pid)
{
	int status = status_of(pid);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* --- tests --- */

static void ends(void)
{
	siginfo_t info;
	pid_t pid;
	int status;
	char text[20];

	CHECK_EQ(exit_of(spawn("-exit", "0")), 0);
	CHECK_EQ(exit_of(spawn("-exit", "77")), 77);
	CHECK_EQ(exit_of(spawn("-kill", "15")), -15);
	CHECK_EQ(exit_of(spawn("-kill", "9")), -9);
	snprintf(text, sizeof(text), "%d", getpid());
	CHECK_EQ(exit_of(spawn("-parent", text)), 0);
	CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);

	pid = spawn("-exit", "3");
	memset(&info, 0, sizeof(info));
	CHECK_EQ(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	CHECK(info.si_pid == pid && info.si_code == CLD_EXITED && info.si_status == 3 &&
	      info.si_signo == SIGCHLD && info.si_uid == getuid());
	CHECK_EQ(kill(pid, 0), 0); /* a zombie still has its number */
	CHECK_EQ(waitid(P_ALL, 0, &info, WEXITED), 0);
	CHECK_EQ(info.si_pid, pid);
	CHECK_ERRNO(kill(pid, 0), ESRCH);
	CHECK_ERRNO(waitid(P_PID, pid, &info, WEXITED), ECHILD);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, 0), EINVAL);
	CHECK_ERRNO(waitid(99, 0, &info, WEXITED), EINVAL);
	CHECK_ERRNO(waitpid(pid, &status, 0x4000), EINVAL);
}

static void arguments_and_pipes(void)
{
	char *args[] = {"name", "-args", "", "two words", NULL};
	char *env[] = {"SPAWN_TEST=yes", NULL};
	posix_spawn_file_actions_t actions;
	char buf[200] = {0};
	int out[2], in[2];
	pid_t pid;

	REQUIRE(!pipe(out) && !pipe(in));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	posix_spawn_file_actions_addclose(&actions, out[1]);
	CHECK_EQ(posix_spawn(&pid, self, &actions, NULL, args, env), 0);
	close(out[1]);
	CHECK_EQ(exit_of(pid), 0);
	read(out[0], buf, sizeof(buf) - 1);
	CHECK(!strcmp(buf, "[name][-args][][two words]yes\n"));
	CHECK_EQ(read(out[0], buf, 1), 0); /* the child's end is closed */
	close(out[0]);
	posix_spawn_file_actions_destroy(&actions);

	REQUIRE(!pipe(out));
	fcntl(in[1], F_SETFD, FD_CLOEXEC);
	fcntl(out[0], F_SETFD, FD_CLOEXEC);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	pid = spawn_args((char *[]){self, "-cat", NULL}, &actions, NULL);
	close(in[0]);
	close(out[1]);
	write(in[1], "through a pipe", 14);
	close(in[1]);
	CHECK_EQ(exit_of(pid), 0);
	memset(buf, 0, sizeof(buf));
	read(out[0], buf, sizeof(buf));
	CHECK(!strcmp(buf, "through a pipe"));
	close(out[0]);
	posix_spawn_file_actions_destroy(&actions);
}

static void descriptors(void)
{
	int kept = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char text[20];

	snprintf(text, sizeof(text), "%d", kept);
	CHECK_EQ(exit_of(spawn("-open", text)), 1);
	snprintf(text, sizeof(text), "%d", closed);
	CHECK_EQ(exit_of(spawn("-open", text)), 0);
	CHECK(fcntl(closed, F_GETFD) == FD_CLOEXEC);
	close(kept);
	close(closed);
}

static void nothing(int signo)
{
}

static void attributes(void)
{
	posix_spawnattr_t attr;
	sigset_t set;

	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&attr, 0);
	CHECK_EQ(exit_of(spawn_args((char *[]){self, "-group", NULL}, NULL, &attr)), 0);
	CHECK_EQ(exit_of(spawn("-group", NULL)), 1);

	signal(SIGUSR1, nothing);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &set);
	CHECK_EQ(exit_of(spawn_args((char *[]){self, "-default", NULL}, NULL, &attr)), 0);
	posix_spawnattr_destroy(&attr);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

static void failures(void)
{
	char *args[] = {"x", NULL};
	pid_t pid;
	int fd;

	CHECK_EQ(posix_spawn(&pid, "/no/such/program", NULL, NULL, args, environ), ENOENT);
	CHECK_EQ(posix_spawn(&pid, "/dev", NULL, NULL, args, environ), EACCES);
	fd = open("/tmp/not-a-program", O_CREAT | O_WRONLY, 0755);
	write(fd, "nonsense", 8);
	close(fd);
	CHECK_EQ(posix_spawn(&pid, "/tmp/not-a-program", NULL, NULL, args, environ), ENOEXEC);
	chmod("/tmp/not-a-program", 0644);
	CHECK_EQ(posix_spawn(&pid, "/tmp/not-a-program", NULL, NULL, args, environ), EACCES);
	unlink("/tmp/not-a-program");
	CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
	CHECK_ERRNO(execve(self, (char **)8, NULL), EFAULT);
	CHECK_ERRNO(execve("", args, environ), ENOENT);
}

/* In the child of vfork() only what is in registers and on this stack is safe to change. */
static void vforked(void)
{
	volatile int shared = 0;
	char *args[] = {self, "-exit", "9", NULL};
	pid_t pid = vfork();

	if (!pid) {
		shared = 1;
		_exit(4);
	}
	CHECK(pid > 0 && shared == 1); /* one memory, and the parent waited */
	CHECK_EQ(exit_of(pid), 4);
	pid = vfork();
	if (!pid) {
		execve(self, args, environ);
		_exit(1);
	}
	CHECK_EQ(exit_of(pid), 9);
	pid = vfork();
	if (!pid) {
		chdir("/");
		umask(0);
		close(0);
		_exit(0);
	}
	CHECK_EQ(exit_of(pid), 0);
	CHECK(umask(022) == 022 && fcntl(0, F_GETFD) >= 0);
	pid = vfork();
	if (!pid)
		kill(getpid(), SIGKILL);
	CHECK_EQ(exit_of(pid), -9);
}

static int clone_main(void *arg)
{
	int *word = arg;

	word[0] = 1;
	word[1] = getpid();
	word[2] = getppid();
	return 21;
}

static void cloned(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int words[3] = {0}, status;
	pid_t pid =
		clone(clone_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, words);

	CHECK(pid > 0 && words[0] == 1 && words[1] == pid && words[2] == getpid());
	CHECK_EQ(exit_of(pid), 21);

	/* Without an exit signal only __WCLONE or __WALL see it. */
	pid = clone(clone_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK, words);
	CHECK(pid > 0);
	CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
	CHECK_EQ(waitpid(pid, &status, __WCLONE), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 21);

	/* Side by side, as vfork() is not: the parent goes on. */
	words[0] = 0;
	pid = clone(clone_main, stack + sizeof(stack), CLONE_VM | SIGCHLD, words);
	CHECK_EQ(exit_of(pid), 21);
	CHECK_EQ(words[0], 1);

	pid = clone(clone_main, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD,
		    words);
	CHECK_EQ(exit_of(pid), 21);
	CHECK(fcntl(1, F_GETFD) >= 0); /* the table they shared lives on */
	CHECK_ERRNO(clone(clone_main, stack + sizeof(stack), CLONE_THREAD | SIGCHLD, words),
		    EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
}

static int vfork_times(int i)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(i);
	return exit_of(pid);
}

static void many_in_turn(void)
{
	for (int i = 0; i < 200; i++)
		CHECK_EQ(vfork_times(i), i);
}

static void many_at_once(void)
{
	pid_t pids[12];
	int seen = 0, fds[2], status;

	REQUIRE(!pipe(fds));
	for (int i = 0; i < 12; i++) {
		posix_spawn_file_actions_t actions;

		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, fds[0], 0);
		posix_spawn_file_actions_addclose(&actions, fds[1]);
		pids[i] = spawn_args((char *[]){self, "-cat", NULL}, &actions, NULL);
		posix_spawn_file_actions_destroy(&actions);
	}
	CHECK_EQ(waitpid(-1, &status, WNOHANG), 0);
	CHECK_EQ(kill(pids[5], SIGTERM), 0);
	CHECK_EQ(waitpid(pids[5], &status, 0), pids[5]);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	close(fds[0]);
	close(fds[1]);
	while (waitpid(-1, &status, 0) > 0) {
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		seen++;
	}
	CHECK_EQ(seen, 11);
	CHECK_EQ(errno, ECHILD);
}

static volatile sig_atomic_t chld_count, chld_pid, chld_code, chld_status;

static void on_child(int signo, siginfo_t *info, void *context)
{
	chld_pid = info->si_pid;
	chld_code = info->si_code;
	chld_status = info->si_status;
	chld_count++;
}

static void sigchld(void)
{
	struct sigaction a = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO};
	sigset_t block, old;
	pid_t pid;

	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, &old);
	sigaction(SIGCHLD, &a, NULL);
	pid = spawn("-exit", "6");
	while (!chld_count)
		sigsuspend(&old);
	CHECK(chld_pid == pid && chld_code == CLD_EXITED && chld_status == 6);
	CHECK_EQ(exit_of(pid), 6);
	chld_count = 0;
	pid = spawn("-kill", "9");
	while (!chld_count)
		sigsuspend(&old);
	CHECK(chld_pid == pid && chld_code == CLD_KILLED && chld_status == 9);
	CHECK_EQ(exit_of(pid), -9);
	sigprocmask(SIG_SETMASK, &old, NULL);

	/* Ignored, children vanish; a wait for them sleeps until the last is gone. */
	signal(SIGCHLD, SIG_IGN);
	pid = spawn("-exit", "1");
	CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
	a.sa_handler = SIG_DFL;
	a.sa_flags = SA_NOCLDWAIT;
	sigaction(SIGCHLD, &a, NULL);
	pid = spawn("-exit", "1");
	CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
	signal(SIGCHLD, SIG_DFL);
}

static void orphans(void)
{
	int fds[2], parent = -1, status;
	char text[20];

	REQUIRE(!pipe(fds));
	snprintf(text, sizeof(text), "%d", fds[1]);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	CHECK_EQ(exit_of(spawn("-orphan", text)), 0);
	CHECK_EQ(read(fds[0], &parent, sizeof(parent)), sizeof(parent));
	CHECK_EQ(parent, getpid());
	CHECK_EQ(waitpid(-1, &status, 0) > 0, 1);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	close(fds[0]);
	close(fds[1]);
}

static void usage(void)
{
	struct rusage r, children, before;
	int status;
	pid_t pid;

	getrusage(RUSAGE_CHILDREN, &before);
	pid = spawn("-burn", NULL);
	CHECK_EQ(wait4(pid, &status, 0, &r), pid);
	CHECK_EQ(status, 0);
	CHECK(r.ru_utime.tv_sec * 1000000 + r.ru_utime.tv_usec + r.ru_stime.tv_usec >= 20000);
	CHECK(r.ru_maxrss > 0);
	getrusage(RUSAGE_CHILDREN, &children);
	timersub(&children.ru_utime, &before.ru_utime, &r.ru_utime);
	timersub(&children.ru_stime, &before.ru_stime, &r.ru_stime);
	CHECK(r.ru_utime.tv_usec + r.ru_stime.tv_usec >= 20000);
}

static void scripts(void)
{
	char text[PATH_MAX + 30], path[] = "/tmp/script-XXXXXX", buf[300] = {0}, want[300];
	char *args[] = {"ignored", "one", NULL};
	posix_spawn_file_actions_t actions;
	int fd = mkstemp(path), fds[2];
	pid_t pid;

	snprintf(text, sizeof(text), "#! %s  -args \n", self);
	write(fd, text, strlen(text));
	fchmod(fd, 0755);
	close(fd);
	REQUIRE(!pipe2(fds, O_CLOEXEC));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	CHECK_EQ(posix_spawn(&pid, path, &actions, NULL, args, (char *[]){NULL}), 0);
	CHECK_EQ(exit_of(pid), 0);
	read(fds[0], buf, sizeof(buf) - 1);
	snprintf(want, sizeof(want), "[%s][-args][%s][one]\n", self, path);
	CHECK(!strcmp(buf, want));
	unlink(path);
	close(fds[0]);
	close(fds[1]);
	posix_spawn_file_actions_destroy(&actions);
}

static int exec_at(int fd, const char *path, int flags)
{
	char *args[] = {self, "-exit", "13", NULL};
	pid_t pid = vfork();

	if (!pid) {
		syscall(SYS_execveat, fd, path, args, environ, flags);
		_exit(errno);
	}
	return exit_of(pid);
}

static void execveat_(void)
{
	int fd = open(self, O_RDONLY | O_CLOEXEC), path = open(self, O_PATH | O_CLOEXEC), dir;
	char folder[PATH_MAX], *slash;

	CHECK_EQ(exec_at(fd, "", AT_EMPTY_PATH), 13);
	CHECK_EQ(exec_at(path, "", AT_EMPTY_PATH), 13);
	CHECK_EQ(exec_at(fd, "", 0), ENOENT);
	CHECK_EQ(exec_at(-1, self, 0), 13);
	CHECK_EQ(exec_at(fd, self, 0x4000), EINVAL);
	strcpy(folder, self);
	slash = strrchr(folder, '/');
	*slash = 0;
	dir = open(folder[0] ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_EQ(exec_at(dir, slash + 1, 0), 13);
	CHECK_EQ(exec_at(99, slash + 1, 0), EBADF);
	close(fd);
	close(path);
	close(dir);
}

static void exe_link(void)
{
	/* Often: once, files of /proc of different processes were taken for the same. */
	for (int i = 0; i < 40; i++)
		CHECK_EQ(exit_of(spawn("-exe", self)), 0);
}

int main(int argc, char **argv)
{
	void (*tests[])(void) = {
		ends,	 arguments_and_pipes, descriptors,  attributes, failures, vforked,
		cloned,	 many_in_turn,	      many_at_once, sigchld,	orphans,  usage,
		scripts, execveat_,	      exe_link};

	readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (argc > 1 && argv[1][0] == '-')
		return child_main(argc, argv);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tests[i]();
	if (check_failures)
		printf("%d checks failed\n", check_failures);
	return check_failures != 0;
}
