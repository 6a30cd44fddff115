/* SPDX-License-Identifier: Apache-2.0 */
/* fork: two processes with the same addresses, each with memory of its own. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE		     4096
#define CHILD_END(condition) (fflush(stdout), _exit((condition) && !check_failures ? 0 : 1))

static int status_of(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void returns_twice(void)
{
	pid_t self = getpid(), pid = fork();

	if (!pid)
		_exit(getppid() == self && getpid() != self && gettid() == getpid() ? 42 : 1);
	CHECK(pid > 0 && pid != self);
	CHECK_EQ(getpid(), self);
	CHECK_EQ(status_of(pid), 42);
	CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
}

static int global = 1, untouched[3 * PAGE / sizeof(int)] = {7};

/* Both change everything, wait for each other in between, and see only what they wrote. */
static void memory_is_separate(void)
{
	int to_child[2], to_parent[2], local = 1;
	volatile int *heap = malloc(100000);
	volatile char *map, *before = (char *)syscall(SYS_brk, 0); /* musl has no sbrk() */
	char c;
	pid_t pid;

	map = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	CHECK_EQ(syscall(SYS_brk, before + 3 * PAGE), (long)before + 3 * PAGE);
	before[100] = 1;
	heap[20000] = 1;
	map[5 << 20] = 1;
	CHECK_EQ(pipe(to_child), 0);
	CHECK_EQ(pipe(to_parent), 0);
	pid = fork();
	if (!pid) {
		volatile char *mine;

		CHECK(global == 1 && local == 1 && heap[20000] == 1 && before[100] == 1);
		CHECK(map[5 << 20] == 1 && map[6 << 20] == 0);
		global = 2, local = 2, heap[20000] = 2, before[100] = 2, map[5 << 20] = 2;
		map[6 << 20] = 2;
		untouched[PAGE / 2] = 2;
		mine = mmap(NULL, 40 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
		mine[39 * PAGE] = 2;
		CHECK_EQ(write(to_parent[1], "1", 1), 1);
		CHECK_EQ(read(to_child[0], &c, 1), 1);
		CHECK(global == 2 && local == 2 && heap[20000] == 2 && before[100] == 2);
		CHECK(map[5 << 20] == 2 && map[6 << 20] == 2 && map[7 << 20] == 0);
		CHECK(untouched[PAGE / 2] == 2 && untouched[0] == 7 && mine[39 * PAGE] == 2);
		CHILD_END(true);
	}
	global = 3, local = 3, heap[20000] = 3, before[100] = 3, map[5 << 20] = 3;
	CHECK_EQ(read(to_parent[0], &c, 1), 1);
	CHECK(global == 3 && local == 3 && heap[20000] == 3 && before[100] == 3);
	CHECK(map[5 << 20] == 3 && map[6 << 20] == 0 && untouched[PAGE / 2] == 0);
	map[7 << 20] = 3;
	CHECK_EQ(write(to_child[1], "1", 1), 1);
	CHECK_EQ(status_of(pid), 0);
	CHECK(global == 3 && local == 3 && heap[20000] == 3 && before[100] == 3);
	CHECK(map[5 << 20] == 3 && map[6 << 20] == 0 && map[7 << 20] == 3 && untouched[0] == 7);
	munmap((void *)map, 8 << 20);
	free((void *)heap);
	for (int i = 0; i < 2; i++)
		close(to_child[i]), close(to_parent[i]);
}

/* Thousands of turns with memory that both change all the time. */
static void ping_pong(void)
{
	enum { ROUNDS = 300, PAGES = 20 };
	volatile unsigned char *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int a[2], b[2], bad = 0;
	unsigned char c = 0;
	pid_t pid;

	CHECK_EQ(pipe(a), 0);
	CHECK_EQ(pipe(b), 0);
	pid = fork();
	for (int i = 0; i < ROUNDS; i++) {
		unsigned char mine = pid ? i : i + 100;

		for (int k = 0; k < PAGES; k++)
			map[k * PAGE + i] = mine + k;
		if (pid) {
			CHECK_EQ(write(a[1], &mine, 1), 1);
			CHECK_EQ(read(b[0], &c, 1), 1);
			bad += c != (unsigned char)(i + 100);
		} else {
			bad += read(a[0], &c, 1) != 1 || c != (unsigned char)i;
			bad += write(b[1], &mine, 1) != 1;
		}
		for (int k = 0; k < PAGES; k++)
			bad += map[k * PAGE + i] != (unsigned char)(mine + k);
	}
	if (!pid)
		CHILD_END(!bad);
	CHECK_EQ(bad, 0);
	CHECK_EQ(status_of(pid), 0);
	munmap((void *)map, PAGES * PAGE);
	for (int i = 0; i < 2; i++)
		close(a[i]), close(b[i]);
}

/* What one does to its mappings does not happen to the other. */
static void mappings_are_separate(void)
{
	char *gone, *closed, *replaced, *advised, *moved;
	int fd[2];
	char c;
	pid_t pid;

#define MAP(n) mmap(NULL, (n)*PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
	gone = MAP(4), closed = MAP(4), replaced = MAP(4), advised = MAP(300), moved = MAP(2);
	gone[0] = closed[0] = replaced[0] = advised[0] = moved[0] = 'p';
	CHECK_EQ(mprotect(closed + PAGE, PAGE, PROT_NONE), 0);
	closed[2 * PAGE] = 'r';
	CHECK_EQ(mprotect(closed + 2 * PAGE, PAGE, PROT_READ), 0);
	CHECK_EQ(pipe(fd), 0);
	pid = fork();
	if (!pid) {
		CHECK_EQ(munmap(gone, 4 * PAGE), 0);
		CHECK_EQ(mprotect(closed, PAGE, PROT_NONE), 0);
		CHECK_EQ(mprotect(closed + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE), 0);
		CHECK_EQ(closed[2 * PAGE], 'r');
		closed[PAGE] = closed[2 * PAGE] = 'c';
		CHECK(mmap(replaced, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == replaced);
		CHECK_EQ(replaced[0], 0);
		replaced[0] = 'c';
		CHECK_EQ(madvise(advised, 300 * PAGE, MADV_DONTNEED), 0);
		CHECK_EQ(advised[0], 0);
		CHECK(mremap(moved, 2 * PAGE, 500 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED);
		CHECK(mmap(gone, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == gone);
		CHECK_EQ(gone[0], 0);
		gone[0] = 'c';
		/* The parent gets its turn, and we get ours back. */
		CHECK_EQ(write(fd[1], "1", 1), 1);
		usleep(1000);
		CHECK(gone[0] == 'c' && replaced[0] == 'c' && closed[2 * PAGE] == 'c');
		CHILD_END(true);
	}
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(gone[0], 'p');
		CHECK_EQ(closed[0], 'p');
		CHECK_EQ(closed[2 * PAGE], 'r');
		CHECK_EQ(replaced[0], 'p');
		CHECK_EQ(advised[0], 'p');
		CHECK_EQ(moved[0], 'p');
		closed[0] = 'p';
		if (!i)
			CHECK_EQ(read(fd[0], &c, 1), 1);
	}
	CHECK_EQ(status_of(pid), 0);
	CHECK_ERRNO(write(fd[1], closed + PAGE, 1), EFAULT);
	CHECK(gone[0] == 'p' && moved[0] == 'p' && replaced[0] == 'p' && closed[2 * PAGE] == 'r');
	munmap(gone, 4 * PAGE), munmap(closed, 4 * PAGE), munmap(replaced, 4 * PAGE);
	munmap(advised, 300 * PAGE), munmap(moved, 2 * PAGE);
	close(fd[0]), close(fd[1]);
}

static void shared_memory_is_shared(void)
{
	volatile int *shared =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	CHECK(shared != MAP_FAILED);
	shared[0] = 1;
	pid = fork();
	if (!pid) {
		while (__atomic_load_n(&shared[0], __ATOMIC_ACQUIRE) != 2)
			; /* also without giving way */
		shared[PAGE / 4] = 3;
		__atomic_store_n(&shared[1], 5, __ATOMIC_RELEASE);
		_exit(0);
	}
	__atomic_store_n(&shared[0], 2, __ATOMIC_RELEASE);
	while (__atomic_load_n(&shared[1], __ATOMIC_ACQUIRE) != 5)
		;
	CHECK_EQ(shared[PAGE / 4], 3);
	CHECK_EQ(status_of(pid), 0);
	munmap((void *)shared, 2 * PAGE);
}

static void private_file_mappings(void)
{
	int fd = open("/tmp/fork-map", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char page[PAGE], *map;
	pid_t pid;

	memset(page, 'f', PAGE);
	CHECK_EQ(write(fd, page, PAGE), PAGE);
	CHECK_EQ(write(fd, page, PAGE), PAGE);
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	map[1] = 'p';
	pid = fork();
	if (!pid) {
		CHECK(map[0] == 'f' && map[1] == 'p' && map[PAGE] == 'f');
		map[1] = map[PAGE] = 'c';
		sched_yield();
		usleep(100);
		CHILD_END(map[1] == 'c' && map[PAGE] == 'c');
	}
	CHECK_EQ(status_of(pid), 0);
	CHECK(map[0] == 'f' && map[1] == 'p' && map[PAGE] == 'f');
	CHECK_EQ(pread(fd, page, 1, 1), 1);
	CHECK_EQ(page[0], 'f');
	munmap(map, 2 * PAGE);
	close(fd);
	unlink("/tmp/fork-map");
}

static void descriptors(void)
{
	int fd = open("/tmp/fork-pos", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2];
	char text[20] = {0};
	pid_t pid;

	CHECK_EQ(write(fd, "abcdef", 6), 6);
	CHECK_EQ(lseek(fd, 1, SEEK_SET), 1);
	CHECK_EQ(pipe(p), 0);
	pid = fork();
	if (!pid) {
		close(p[0]);
		CHECK_EQ(read(fd, text, 2), 2);
		CHECK_EQ(write(p[1], text, 2), 2);
		CHILD_END(close(fd) == 0);
	}
	close(p[1]);
	CHECK_EQ(read(p[0], text, 20), 2);
	CHECK(!memcmp(text, "bc", 2));
	CHECK_EQ(read(p[0], text, 20), 0);
	CHECK_EQ(status_of(pid), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	close(fd), close(p[0]);
	unlink("/tmp/fork-pos");
}

static volatile sig_atomic_t got;

static void on_signal(int signo)
{
	got = signo;
}

static void signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t set, old;
	int p[2];
	char c;
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	CHECK_EQ(pipe(p), 0);
	raise(SIGUSR1);
	pid = fork();
	if (!pid) {
		sigset_t pending;

		sigpending(&pending); /* not inherited, the mask and the handler are */
		CHECK(!sigismember(&pending, SIGUSR1));
		CHECK_EQ(write(p[1], "1", 1), 1);
		sigdelset(&old, SIGUSR1);
		sigsuspend(&old);
		CHILD_END(got == SIGUSR1);
	}
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(kill(pid, SIGUSR1), 0);
	CHECK_EQ(status_of(pid), 0);
	CHECK_EQ(got, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK_EQ(got, SIGUSR1);
	/* One that spins is killed all the same, and one that spins does not keep us waiting. */
	pid = fork();
	if (!pid)
		for (;;)
			;
	for (int i = 0; i < 3; i++)
		usleep(1000);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(status_of(pid), -SIGKILL);
	close(p[0]), close(p[1]);
}

static void execs(void)
{
	char *const args[] = {"/bin/busybox", "sh", "-c", "exit 7", NULL};
	pid_t pid = fork();

	if (!pid) {
		execv(args[0], args);
		_exit(errno == ENOENT ? 7 : 1); /* natively it may lie elsewhere */
	}
	CHECK_EQ(status_of(pid), 7);
	pid = fork();
	if (!pid) {
		char *const none[] = {"/does/not/exist", NULL};

		execv(none[0], none);
		_exit(errno);
	}
	CHECK_EQ(status_of(pid), ENOENT);
}

static volatile int stop;
static volatile long counters[3];

static void *count(void *arg)
{
	long i = (long)arg, last = 0;

	while (!stop) {
		CHECK(counters[i] >= last);
		last = counters[i]++;
		if (i == 2)
			usleep(10);
	}
	return NULL;
}

static void with_threads(void)
{
	pthread_t t[3];

	stop = 0;
	for (long i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, count, (void *)i), 0);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			long seen = counters[0], other = counters[1];
			pthread_t own;

			usleep(500);
			stop = 1;
			CHECK(counters[0] == seen && counters[1] == other);
			CHECK_EQ(pthread_create(&own, NULL, count, (void *)0), 0);
			CHECK_EQ(pthread_join(own, NULL), 0);
			CHILD_END(true);
		}
		CHECK_EQ(status_of(pid), 0);
		CHECK_EQ(stop, 0);
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

static int nest(int depth)
{
	volatile int mine = depth;
	int sum = depth;
	pid_t pids[2];

	if (!depth)
		return 1;
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(nest(depth - 1) ? 0 : 1);
	}
	for (int i = 0; i < 2; i++)
		sum += status_of(pids[i]);
	return mine == depth && sum == depth;
}

static void nested(void)
{
	CHECK(nest(3));
}

/* The grandchild outlives its parent; what it writes comes all the same. */
static void double_fork(void)
{
	int p[2];
	char c = 0;
	pid_t pid;

	CHECK_EQ(pipe(p), 0);
	pid = fork();
	if (!pid) {
		if (!fork()) {
			setsid();
			usleep(2000);
			CHECK_EQ(write(p[1], "d", 1), 1);
			_exit(0);
		}
		_exit(0);
	}
	close(p[1]);
	CHECK_EQ(status_of(pid), 0);
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(c, 'd');
	CHECK_EQ(read(p[0], &c, 1), 0);
	close(p[0]);
}

static void many_at_once(void)
{
	pid_t pids[30];
	int total = 0;

	for (int i = 0; i < 30; i++) {
		global = i;
		pids[i] = fork();
		if (!pids[i]) {
			usleep(100 * (i % 7));
			_exit(global);
		}
	}
	global = -1;
	for (int i = 0; i < 30; i++)
		total += status_of(pids[i]) == i;
	CHECK_EQ(total, 30);
	CHECK_EQ(global, -1);
}

/* vfork and a thread's memory of it, in a process that has forked and in a child. */
static void vfork_beside(void)
{
	pid_t pid = fork(), other;

	if (!pid) {
		other = vfork();
		if (!other)
			_exit(9);
		CHILD_END(status_of(other) == 9);
	}
	other = vfork();
	if (!other)
		_exit(8);
	CHECK_EQ(status_of(other), 8);
	CHECK_EQ(status_of(pid), 0);
}

static long kilobytes(const char *field)
{
	char line[200];
	FILE *f = fopen("/proc/meminfo", "r");
	long value = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field) + 1, "%ld", &value);
	if (f)
		fclose(f);
	return value;
}

static void a_thousand(void)
{
	long before = 0, after;

	for (int i = 0; i < 1000; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(i & 63);
		if (pid < 0 || status_of(pid) != (i & 63)) {
			CHECK(!"fork or its status");
			return;
		}
		if (i == 100)
			before = kilobytes("MemFree:");
	}
	after = kilobytes("MemFree:");
	/* A machine with other work says nothing here; the instance has none. */
	if (access("/proc/1/comm", R_OK) == 0 && getpid() < 5)
		CHECK(before - after < 64);
}

/* Children that are refused when they are nearly there: with the parent's memory, with a copy. */
static void given_up(void)
{
	static char stack[4096];
	int status = -1, id = shmget(IPC_PRIVATE, 10000, 0600);
	char *shared = shmat(id, NULL, 0);
	struct shmid_ds segment;
	pid_t pid;

	REQUIRE(shared != (char *)-1);
	strcpy(shared, "still here");
	for (int i = 0; i < 3; i++) {
		CHECK_ERRNO(syscall(SYS_clone, CLONE_VM | CLONE_PIDFD | SIGCHLD,
				    stack + sizeof(stack), 8, 0, 0),
			    EFAULT);
		CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, 8, 0, 0), EFAULT);
		CHECK(!strcmp(shared, "still here"));
		CHECK_EQ(shmctl(id, IPC_STAT, &segment), 0);
		CHECK_EQ(segment.shm_nattch, 1);
	}
	pid = fork();
	if (!pid)
		_exit(strcmp(shared, "still here") ? 8 : 7);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 7 << 8);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	CHECK_EQ(shmdt(shared), 0);
}

static void usr1_ends(int signo)
{
	_exit(3);
}

/* A process that has not run yet does not sleep: who waits for it to sleep finds what it set up. */
static void runs_before_it_sleeps(void)
{
	for (int i = 0; i < 50; i++) {
		int status = -1;
		pid_t pid = fork();

		if (!pid) {
			signal(SIGUSR1, usr1_ends);
			for (;;)
				pause();
		}
		until_asleep(pid);
		CHECK_EQ(kill(pid, SIGUSR1), 0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 3 << 8);
	}
}

/* Nothing here may hang: better a wrong end. */
static void set_alarm(void)
{
	alarm(60);
}

CHECK_MAIN(set_alarm, returns_twice, memory_is_separate, ping_pong, mappings_are_separate,
	   shared_memory_is_shared, private_file_mappings, descriptors, signals, execs,
	   with_threads, nested, double_fork, many_at_once, vfork_beside, given_up,
	   runs_before_it_sleeps, a_thousand)
