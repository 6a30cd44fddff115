/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs of single operations, as a program sees them. Prints "name value unit" per line, the
 * median of several samples. The same binary runs natively and inside the enclave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "timing.h"

static int zero_fd, file_fd;
static char buffer[65536];
static const char *path = "bench.data";

static void op_getppid(void)
{
	syscall(SYS_getppid);
}

static void op_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
}

static void op_read_zero(void)
{
	if (read(zero_fd, buffer, 1) != 1)
		abort();
}

static void op_pread(void)
{
	if (pread(file_fd, buffer, 4096, 8192) != 4096)
		abort();
}

static void op_open_close(void)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		abort();
	close(fd);
}

static void op_stat(void)
{
	struct stat st;

	if (stat(path, &st))
		abort();
}

static void map_touch_unmap(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	munmap(p, size);
}

static void op_mmap_64k(void)
{
	map_touch_unmap(65536);
}

static void op_mmap_1m(void)
{
	map_touch_unmap(1 << 20);
}

static void *nothing(void *arg)
{
	return arg;
}

static void op_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, nothing, NULL) || pthread_join(t, NULL))
		abort();
}

static void on_signal(int signal)
{
	(void)signal;
}

static void op_raise(void)
{
	raise(SIGUSR1);
}

static sigjmp_buf back;

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

static void op_fault(void)
{
	if (!sigsetjmp(back, 1))
		*(volatile int *)8 = 1;
}

static _Atomic uint32_t ping, pong;

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void *ponger(void *arg)
{
	long rounds = (long)arg;

	for (long i = 1; i <= rounds; i++) {
		while (atomic_load(&ping) != (uint32_t)i)
			futex(&ping, FUTEX_WAIT, (uint32_t)i - 1);
		atomic_store(&pong, (uint32_t)i);
		futex(&pong, FUTEX_WAKE, 1);
	}
	return NULL;
}

static void measure_futex(void)
{
	enum { ROUNDS = 20000 };
	pthread_t t;
	double begin;

	pthread_create(&t, NULL, ponger, (void *)(long)ROUNDS);
	begin = now_ns();
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		atomic_store(&ping, i);
		futex(&ping, FUTEX_WAKE, 1);
		while (atomic_load(&pong) != i)
			futex(&pong, FUTEX_WAIT, i - 1);
	}
	printf("futex_round_trip %.1f ns\n", (now_ns() - begin) / ROUNDS);
	pthread_join(t, NULL);
}

static _Atomic int taken;
static double taken_at;

static void on_usr2(int signal)
{
	(void)signal;
	taken_at = now_ns();
	atomic_store(&taken, 1);
}

static void *spinner(void *arg)
{
	while (!atomic_load((_Atomic int *)arg))
		;
	return NULL;
}

/* To a thread that never calls the kernel, and to a process that does not either. */
static void measure_signals(void)
{
	double samples[SAMPLES], begin;
	_Atomic int stop = 0;
	pthread_t t;
	int ends[2];
	pid_t pid;

	pthread_create(&t, NULL, spinner, &stop);
	for (int s = 0; s < SAMPLES; s++) {
		usleep(1000);
		atomic_store(&taken, 0);
		begin = now_ns();
		pthread_kill(t, SIGUSR2);
		while (!atomic_load(&taken))
			sched_yield();
		samples[s] = taken_at - begin;
	}
	atomic_store(&stop, 1);
	pthread_join(t, NULL);
	print_median("signal_to_spinning_thread", samples);

	if (pipe(ends) || (pid = fork()) < 0)
		abort();
	for (atomic_store(&taken, 0); !pid;) {
		if (atomic_exchange(&taken, 0) &&
		    write(ends[1], &taken_at, sizeof(taken_at)) != sizeof(taken_at))
			_exit(1);
	}
	for (int s = 0; s < SAMPLES; s++) {
		usleep(1000);
		begin = now_ns();
		kill(pid, SIGUSR2);
		if (read(ends[0], &taken_at, sizeof(taken_at)) != sizeof(taken_at))
			abort();
		samples[s] = taken_at - begin;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	print_median("signal_to_spinning_child", samples);
}

/* A program beside this one, which does nothing. */
static char spawned[300];

static void op_spawn(void)
{
	char *args[] = {spawned, NULL}, *environment[] = {NULL};
	int status = -1;
	pid_t pid;

	if (posix_spawn(&pid, spawned, NULL, NULL, args, environment) ||
	    waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "%s could not be started\n", spawned);
		exit(1);
	}
}

static void measure_spawn(void)
{
	static const char *const kinds[] = {"glibc", "glibc_static", "musl", "musl_static", "14mb"};
	char self[200] = "", name[40];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(spawned, sizeof(spawned), "%s/nothing_%s", self, kinds[i]);
		snprintf(name, sizeof(name), "spawn_%s", kinds[i]);
		if (!access(spawned, X_OK))
			measure(name, op_spawn, 30);
	}
}

static void measure_file(void)
{
	enum { CHUNK = 65536, COUNT = 1024 };
	double begin, write_s, read_s;
	int fd = open("bench.large", O_CREAT | O_TRUNC | O_RDWR, 0600);

	if (fd < 0)
		abort();
	begin = now_ns();
	for (int i = 0; i < COUNT; i++) {
		memset(buffer, i, sizeof(buffer));
		if (write(fd, buffer, CHUNK) != CHUNK)
			abort();
	}
	write_s = now_ns() - begin;
	lseek(fd, 0, SEEK_SET);
	begin = now_ns();
	for (int i = 0; i < COUNT; i++) {
		if (read(fd, buffer, CHUNK) != CHUNK)
			abort();
	}
	read_s = now_ns() - begin;
	printf("sequential_write %.0f MB/s\n", (double)CHUNK * COUNT * 1e3 / write_s);
	printf("sequential_read %.0f MB/s\n", (double)CHUNK * COUNT * 1e3 / read_s);
	close(fd);
	unlink("bench.large");
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGUSR1, &action, NULL);
	action.sa_handler = on_usr2;
	sigaction(SIGUSR2, &action, NULL);
	action.sa_handler = on_fault;
	sigaction(SIGSEGV, &action, NULL);
	zero_fd = open("/dev/zero", O_RDONLY);
	file_fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
	if (zero_fd < 0 || file_fd < 0 ||
	    write(file_fd, buffer, sizeof(buffer)) != sizeof(buffer)) {
		perror("micro: cannot prepare files");
		return 1;
	}
	measure("null_syscall", op_getppid, 100000);
	measure("clock_gettime", op_clock, 100000);
	measure("read_zero_1", op_read_zero, 50000);
	measure("pread_4k", op_pread, 20000);
	measure("open_close", op_open_close, 5000);
	measure("stat", op_stat, 10000);
	measure("mmap_64k", op_mmap_64k, 2000);
	measure("mmap_1m", op_mmap_1m, 200);
	measure("thread_create_join", op_thread, 500);
	measure("raise_handler", op_raise, 5000);
	measure("segv_caught", op_fault, 2000);
	measure_futex();
	measure_signals();
	measure_spawn();
	measure_file();
	unlink(path);
	return 0;
}
