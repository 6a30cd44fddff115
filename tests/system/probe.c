/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program under the system tests: `probe COMMAND [ARGS]`. Runs natively too. Prints what a user
 * would want to know, exits nonzero when something is not as Linux has it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

/* secret FILE MARK: the reversed MARK is written, so that it stands in no argument of the host. */
static int secret(char **args)
{
	size_t len = strlen(args[1]);
	char text[256], back[256];
	int fd = open(args[0], O_CREAT | O_TRUNC | O_RDWR, 0600);

	for (size_t i = 0; i < len; i++)
		text[i] = args[1][len - 1 - i];
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd))
		return fail(args[0]);
	if (pread(fd, back, len, 0) != (ssize_t)len || memcmp(text, back, len))
		return fail("read back");
	close(fd);
	puts("kept");
	return 0;
}

/* exec MARK: executes itself with the reversed MARK as argument and environment. */
static int exec_self(char **args)
{
	size_t len = strlen(args[0]);
	char text[256], variable[300];
	char *argv[] = {"probe", "same", text, NULL}, *envp[] = {variable, NULL};

	for (size_t i = 0; i < len; i++)
		text[i] = args[0][len - 1 - i];
	text[len] = '\0';
	snprintf(variable, sizeof(variable), "MARK=%s", text);
	execve("/proc/self/exe", argv, envp);
	return fail("execve");
}

static int same(char **args)
{
	const char *mark = getenv("MARK");

	puts(mark && !strcmp(mark, args[0]) ? "same" : "different");
	return 0;
}

static int exit_with(char **args)
{
	return atoi(args[0]);
}

static int die_of(char **args)
{
	raise(atoi(args[0]));
	puts("alive");
	return 0;
}

static int fault(char **args)
{
	volatile int *p = (int *)strtoul(args[0], NULL, 0);

	*p = 1;
	return 0;
}

static int fault_at_kernel(char **args)
{
	(void)args;
	*(volatile int *)((64ul << 30) - 8192) = 1;
	return 0;
}

static int map_all(char **args)
{
	size_t chunk = strtoul(args[0], NULL, 0) << 20, total = 0;
	char *p;

	while ((p = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0)) != MAP_FAILED) {
		for (size_t i = 0; i < chunk; i += 4096) {
			if (chunk <= 1 << 20)
				p[i] = 1;
		}
		total += chunk;
		if (total >> 36) {
			puts("no limit");
			return 1;
		}
	}
	printf("%s after %zu MiB\n", errno == ENOMEM ? "ENOMEM" : strerror(errno), total >> 20);
	return errno != ENOMEM;
}

static sigjmp_buf fault_back;

static void on_fault(int signal)
{
	siglongjmp(fault_back, signal);
}

/* Whether memory can be read after munmap: natively never. */
static int after_munmap(char **args)
{
	volatile char *p =
		mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)args;
	p[0] = 1;
	munmap((void *)p, 65536);
	signal(SIGSEGV, on_fault);
	if (sigsetjmp(fault_back, 1)) {
		puts("faults");
		return 0;
	}
	printf("reads %d\n", p[0]);
	return 0;
}

/*
 * A file mapped MAP_SHARED, written through the mapping: what a read of the file says, and whether
 * a second process, started with the argument "again", can map it too.
 */
static int map_shared(char **args)
{
	bool again = strcmp(args[0], "again") == 0;
	char byte = 0, *p, *second[] = {"probe", "map-shared", "again", NULL};
	int fd = open("/root/shared", O_CREAT | (again ? 0 : O_TRUNC) | O_RDWR, 0600), status = 1;
	pid_t pid;

	if (fd < 0 || ftruncate(fd, 4096))
		return fail("/root/shared");
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		puts(errno == ENODEV ? "no such mappings" : strerror(errno));
		return 0;
	}
	if (again) {
		puts(*p == 's' ? "shared by both" : "another page");
		return 0;
	}
	*p = 's';
	puts(pread(fd, &byte, 1, 0) == 1 && byte == 's' ? "shared" : "not shared");
	fflush(stdout);
	if (posix_spawn(&pid, "/bin/probe", NULL, NULL, second, environ) ||
	    waitpid(pid, &status, 0) != pid)
		return fail("/bin/probe");
	return status;
}

static int brk_all(char **args)
{
	long total = 0;

	(void)args;
	while (sbrk(1 << 20) != (void *)-1)
		total++;
	printf("%s after %ld MiB\n", errno == ENOMEM ? "ENOMEM" : strerror(errno), total);
	return errno != ENOMEM;
}

static void *sleeper(void *arg)
{
	pause();
	return arg;
}

static int threads_all(char **args)
{
	int count = 0, error;
	pthread_attr_t attr;
	pthread_t t;

	(void)args;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	while (!(error = pthread_create(&t, &attr, sleeper, NULL))) {
		if (++count > 100000) {
			puts("no limit");
			return 1;
		}
	}
	printf("%s after %d threads\n", error == EAGAIN ? "EAGAIN" : strerror(error), count);
	return error != EAGAIN;
}

static int __attribute__((noinline)) recurse(int depth)
{
	volatile char frame[16384];

	frame[0] = (char)depth;
	return recurse(depth + 1) + frame[0];
}

static int stack_all(char **args)
{
	(void)args;
	return recurse(0);
}

/* Fills a file system of the kernel's memory. */
static int ramfs_all(char **args)
{
	static char block[65536];
	long total = 0;
	int fd = open(args[0], O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (fd < 0)
		return fail(args[0]);
	while (write(fd, block, sizeof(block)) > 0)
		total++;
	printf("%s after %ld KiB\n", errno == ENOSPC || errno == ENOMEM ? "full" : strerror(errno),
	       total * 64);
	close(fd);
	if (unlink(args[0]))
		return fail("unlink");
	fd = open(args[0], O_CREAT | O_WRONLY, 0600);
	if (fd < 0 || write(fd, block, sizeof(block)) != sizeof(block))
		return fail("after unlink");
	unlink(args[0]);
	return 0;
}

static int tty(char **args)
{
	struct winsize size = {0};
	struct termios t;

	(void)args;
	printf("isatty %d %d %d\n", isatty(0), isatty(1), isatty(2));
	if (ioctl(0, TIOCGWINSZ, &size))
		return fail("TIOCGWINSZ");
	printf("%d x %d\n", size.ws_col, size.ws_row);
	if (tcgetattr(0, &t))
		return fail("tcgetattr");
	t.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(0, TCSANOW, &t))
		return fail("tcsetattr");
	puts("echo off");
	return 0;
}

static volatile sig_atomic_t caught;

static void on_signal(int signal)
{
	caught = signal;
}

/* Waits for a signal of the host and names it. */
static int wait_signal(char **args)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(atoi(args[0]), &action, NULL);
	puts("ready");
	fflush(stdout);
	while (!caught)
		poll(NULL, 0, 100);
	printf("caught %d\n", caught);
	return 0;
}

static int spin(char **args)
{
	(void)args;
	puts("ready");
	fflush(stdout);
	for (;;)
		__asm__ volatile("");
}

/* Writes until the reader is gone. */
static int yes(char **args)
{
	if (args[0] && !strcmp(args[0], "ignore"))
		signal(SIGPIPE, SIG_IGN);
	for (;;) {
		if (write(1, "y\n", 2) < 0)
			return errno == EPIPE ? 42 : 43;
	}
}

static void *fill_stdout(void *is_full)
{
	static const char block[1 << 16];

	while (write(1, block, sizeof(block)) > 0)
		*(volatile int *)is_full = 1;
	return NULL;
}

/* A barrier for a thread that waits in a host call: nobody reads what it writes. */
static int barrier(char **args)
{
	enum { PRIVATE_EXPEDITED = 8, REGISTER = 16 };
	volatile int is_full = 0;
	pthread_t writer;

	if (syscall(SYS_membarrier, REGISTER, 0, 0) ||
	    pthread_create(&writer, NULL, fill_stdout, (void *)&is_full))
		return fail("membarrier");
	while (!is_full)
		;
	usleep(100000);
	if (syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0))
		return fail("membarrier");
	fprintf(stderr, "passed\n");
	_exit(0);
}

static int limits(char **args)
{
	struct rlimit r;

	(void)args;
	getrlimit(RLIMIT_STACK, &r);
	printf("stack %lu\n", (unsigned long)r.rlim_cur);
	getrlimit(RLIMIT_DATA, &r);
	printf("data %lu\n", (unsigned long)r.rlim_cur);
	return 0;
}

static int environment(char **args)
{
	extern char **environ;

	(void)args;
	for (char **e = environ; *e; e++)
		puts(*e);
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*run)(char **args);
} commands[] = {
	{"secret", 2, secret},
	{"exec", 1, exec_self},
	{"same", 1, same},
	{"exit", 1, exit_with},
	{"die", 1, die_of},
	{"fault", 1, fault},
	{"kernel", 0, fault_at_kernel},
	{"map", 1, map_all},
	{"map-shared", 1, map_shared},
	{"brk", 0, brk_all},
	{"after-munmap", 0, after_munmap},
	{"threads", 0, threads_all},
	{"stack", 0, stack_all},
	{"ramfs", 1, ramfs_all},
	{"tty", 0, tty},
	{"wait-signal", 1, wait_signal},
	{"spin", 0, spin},
	{"yes", 0, yes},
	{"barrier", 0, barrier},
	{"limits", 0, limits},
	{"env", 0, environment},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc >= 2 && !strcmp(argv[1], commands[i].name) && argc >= 2 + commands[i].args)
			return commands[i].run(argv + 2);
	}
	fprintf(stderr, "probe: no such command, or an argument is missing\n");
	return 2;
}
