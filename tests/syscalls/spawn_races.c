/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that come and go while threads of their parent map, copy, spawn and end. The programs
 * that are started fill memory with a pattern of their own and look whether it stays: a copy that
 * hits addresses which have gone to another process would show there.
 */
#include "child.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define ROUNDS	 60
#define SPAWNERS 4
#define PAGES	 24

static volatile int stop;

static int canaries(void)
{
	size_t size = PAGES * 4096;

	for (int round = 0; round < 8; round++) {
		unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		unsigned char mark = 0x80 | (getpid() & 0x7f);

		if (p == MAP_FAILED)
			return 1;
		for (size_t i = 0; i < size; i++) {
			if (p[i])
				return 2; /* somebody else's bytes */
		}
		memset(p, mark, size);
		sched_yield();
		for (size_t i = 0; i < size; i++) {
			if (p[i] != mark)
				return 3;
		}
		munmap(p, size);
	}
	return 0;
}

static void *spin(void *arg)
{
	for (;;)
		__asm__ volatile("");
	return NULL;
}

/* Until the file says that it is enough. */
static int maps_and_unmaps(const char *path)
{
	int fd = open(path, O_RDONLY);
	volatile char *p;
	char is_over;

	do {
		p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			return 1;
		is_over = *p;
		munmap((void *)p, 4096);
	} while (!is_over);
	return 0;
}

static int child_main(int argc, char **argv)
{
	pthread_t t;

	if (!strcmp(argv[1], "canaries"))
		return canaries();
	if (!strcmp(argv[1], "threads")) {
		/* Others spin while the process ends, one way or the other. */
		for (int i = 0; i < 3; i++)
			pthread_create(&t, NULL, spin, NULL);
		if (argc > 2)
			execl(self, self, "canaries", NULL);
		return 0;
	}
	if (!strcmp(argv[1], "maps"))
		return maps_and_unmaps(argv[2]);
	return 99;
}

/* --- copying into memory that goes --- */

static void *copier(void *arg)
{
	int fd = open("/dev/zero", O_RDONLY);
	static char garbage[PAGES * 4096];
	int fds[2];

	memset(garbage, 0x55, sizeof(garbage));
	pipe2(fds, O_NONBLOCK);
	while (!stop) {
		char *p = *(char *volatile *)arg;

		if (p)
			read(fd, p, PAGES * 4096);
		write(fds[1], garbage, 4096);
		read(fds[0], p, 4096);
	}
	close(fd);
	close(fds[0]);
	close(fds[1]);
	return NULL;
}

static void *mapper(void *arg)
{
	char *volatile *shared = arg;

	while (!stop) {
		char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		*shared = p;
		sched_yield();
		munmap(p, PAGES * 4096);
	}
	return NULL;
}

/*
 * Without a mapping of its own, unlike posix_spawn(), whose stack may come to lie where the copier
 * still writes: that would be this program's own fault.
 */
static pid_t spawn_unmapped(void)
{
	char *args[] = {self, "canaries", NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		execv(self, args);
		_exit(127);
	}
	return pid;
}

static void copies_hit_nobody(void)
{
	char *volatile shared = NULL;
	pthread_t c, m;

	pthread_create(&c, NULL, copier, (void *)&shared);
	pthread_create(&m, NULL, mapper, (void *)&shared);
	for (int i = 0; i < ROUNDS; i++)
		CHECK_EQ(exit_of(spawn_unmapped()), 0);
	stop = 1;
	pthread_join(c, NULL);
	pthread_join(m, NULL);
	stop = 0;
}

/* --- many threads that spawn --- */

static void *spawner(void *arg)
{
	for (int i = 0; i < ROUNDS / 3; i++) {
		pid_t pid = spawn("canaries", NULL, NULL);
		int status = -1;

		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
	}
	return NULL;
}

static void threads_spawn(void)
{
	pthread_t t[SPAWNERS];

	for (int i = 0; i < SPAWNERS; i++)
		pthread_create(&t[i], NULL, spawner, NULL);
	for (int i = 0; i < SPAWNERS; i++)
		pthread_join(t[i], NULL);
	CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
}

/* --- ends with company --- */

static void ends_with_threads(void)
{
	for (int i = 0; i < ROUNDS / 4; i++) {
		CHECK_EQ(exit_of(spawn("threads", NULL, NULL)), 0);
		CHECK_EQ(exit_of(spawn("threads", "exec", NULL)), 0);
	}
}

/* Killed at any moment of their start. */
static void killed_early(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = spawn(i & 1 ? "threads" : "canaries", NULL, NULL);
		int status;

		for (volatile int n = 0; n < i * 500; n++)
			;
		kill(pid, SIGKILL);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	}
}

/* --- ends of relatives that share with strangers --- */

#define STRANGERS 3
#define RELATIVES 8
#define VIEWS	  16

static unsigned char private_pages[PAGES * 4096];

static int relative(int number)
{
	memset(private_pages, number, sizeof(private_pages));
	for (int i = 0; i < 3; i++) {
		sched_yield();
		for (size_t k = 0; k < sizeof(private_pages); k += 1000)
			if (private_pages[k] != number)
				return 1;
	}
	if (number & 1)
		execl(self, self, "canaries", NULL);
	return 0;
}

/*
 * Forked children that end, or exec, all have a file mapped which other programs map and unmap at
 * the same time: whoever ends may have to wait for those in the middle of it.
 */
static void relatives_end_beside_strangers(void)
{
	char path[] = "/tmp/shared-XXXXXX";
	pid_t strangers[STRANGERS], pids[RELATIVES];
	char *views[VIEWS];
	int fd = mkstemp(path);

	CHECK_EQ(ftruncate(fd, 4096), 0);
	for (int i = 0; i < VIEWS; i++)
		views[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (int i = 0; i < STRANGERS; i++)
		strangers[i] = spawn("maps", path, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < RELATIVES; i++) {
			pids[i] = fork();
			if (!pids[i])
				_exit(relative(i + 1));
		}
		for (int i = 0; i < RELATIVES; i++)
			CHECK_EQ(exit_of(pids[i]), 0);
	}
	views[VIEWS - 1][0] = 1;
	for (int i = 0; i < STRANGERS; i++)
		CHECK_EQ(exit_of(strangers[i]), 0);
	for (int i = 0; i < VIEWS; i++)
		munmap(views[i], 4096);
	unlink(path);
	close(fd);
}

CHILD_MAIN(copies_hit_nobody, threads_spawn, ends_with_threads, killed_early,
	   relatives_end_beside_strangers)
