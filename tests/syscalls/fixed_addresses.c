/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several programs at the same fixed addresses at once. Built static and not position-independent,
 * and starts itself in every way there is; each copy sees only what it wrote itself.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#define PAGE 4096

extern char **environ;

/* Beyond a page each, so that some pages differ and some do not. */
static unsigned char data[5 * PAGE] = {1};
static unsigned char bss[40 * PAGE];
static const unsigned char constant[2 * PAGE] = {3};

static void fill(unsigned char with)
{
	for (int i = 0; i < 5; i++)
		data[i * PAGE + 7] = with;
	for (int i = 0; i < 40; i += 3)
		bss[i * PAGE + 9] = with;
}

static bool is_filled(unsigned char with)
{
	for (int i = 0; i < 5; i++)
		if (data[i * PAGE + 7] != with)
			return false;
	for (int i = 0; i < 40; i++)
		if (bss[i * PAGE + 9] != (i % 3 ? 0 : with))
			return false;
	return data[0] == 1 && constant[0] == 3 && constant[PAGE] == 0;
}

static int status_of(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* --- what the other copies do --- */

/* Answers each byte with itself plus one, and looks at its memory in between. */
static int echo(int with)
{
	unsigned char c;

	if (!is_filled(0))
		return 1;
	fill(with);
	while (read(0, &c, 1) == 1) {
		if (!is_filled(with))
			return 2;
		fill(++with);
		c++;
		if (write(1, &c, 1) != 1)
			return 3;
	}
	return is_filled(with) ? 0 : 4;
}

/* Busy for a while without a system call. */
static int compute(int with)
{
	volatile unsigned long x = 1;

	if (!is_filled(0))
		return 1;
	fill(with);
	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < 1000000; i++)
			x = x * 3 + round;
		if (!is_filled(with))
			return 2;
	}
	return x ? 0 : 3;
}

static void *count(void *arg)
{
	for (int i = 0; i < 2000; i++)
		__atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED), i % 100 || sched_yield();
	return NULL;
}

static int with_threads(int with)
{
	static int counter;
	pthread_t threads[3];

	fill(with);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, count, &counter))
			return 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	return counter == 6000 && is_filled(with) ? 0 : 2;
}

static int spin(void)
{
	fill(200);
	if (write(1, "x", 1) != 1)
		return 1;
	for (volatile int on = 1; on;)
		;
	return 0;
}

static void start(char **argv)
{
	execve("/proc/self/exe", argv, environ);
	_exit(99);
}

/* Itself over itself, so many times. */
static int chain(int left)
{
	char number[16], *argv[] = {"fixed", "chain", number, NULL};

	if (!is_filled(0))
		return 1;
	fill(left);
	if (!left)
		return 42;
	snprintf(number, sizeof(number), "%d", left - 1);
	start(argv);
	return 98;
}

static int other_main(char **argv)
{
	int n = argv[2] ? atoi(argv[2]) : 0;

	if (!strcmp(argv[1], "echo"))
		return echo(n);
	if (!strcmp(argv[1], "compute"))
		return compute(n);
	if (!strcmp(argv[1], "chain"))
		return chain(n);
	if (!strcmp(argv[1], "threads"))
		return with_threads(n);
	return spin();
}

/* --- the tests --- */

struct copy {
	pid_t pid;
	int to, from;
};

enum way {
	BY_SPAWN,
	BY_VFORK,
	BY_FORK,
};

static void begin(struct copy *c, enum way way, char *what, int n)
{
	char number[16], *argv[] = {"fixed", what, number, NULL};
	posix_spawn_file_actions_t actions;
	int in[2], out[2];

	snprintf(number, sizeof(number), "%d", n);
	REQUIRE(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
	if (way == BY_SPAWN) {
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, in[0], 0);
		posix_spawn_file_actions_adddup2(&actions, out[1], 1);
		REQUIRE(!posix_spawn(&c->pid, "/proc/self/exe", &actions, NULL, argv, environ));
		posix_spawn_file_actions_destroy(&actions);
	} else {
		c->pid = way == BY_FORK ? fork() : vfork();
		if (!c->pid) {
			dup2(in[0], 0);
			dup2(out[1], 1);
			start(argv);
		}
	}
	REQUIRE(c->pid > 0);
	close(in[0]), close(out[1]);
	c->to = in[1], c->from = out[0];
}

static int finish(struct copy *c)
{
	close(c->to), close(c->from);
	return status_of(c->pid);
}

static void answers(struct copy *c, unsigned char ask)
{
	unsigned char answer = 0;

	CHECK_EQ(write(c->to, &ask, 1), 1);
	CHECK_EQ(read(c->from, &answer, 1), 1);
	CHECK_EQ(answer, (unsigned char)(ask + 1));
}

static void one_beside_another(void)
{
	for (enum way way = BY_SPAWN; way <= BY_FORK; way++) {
		struct copy c;

		fill(10);
		begin(&c, way, "echo", 50);
		for (int i = 0; i < 40; i++) {
			answers(&c, i);
			CHECK(is_filled(10 + i));
			fill(11 + i);
		}
		CHECK_EQ(finish(&c), 0);
		CHECK(is_filled(50));
	}
}

static void many_at_once(void)
{
	enum { COUNT = 6 };
	struct copy c[COUNT], busy[2];

	fill(5);
	for (int i = 0; i < 2; i++)
		begin(&busy[i], i ? BY_FORK : BY_SPAWN, "compute", 100 + i);
	for (int i = 0; i < COUNT; i++)
		begin(&c[i], i % 3, "echo", 60 + i);
	for (int round = 0; round < 10; round++)
		for (int i = 0; i < COUNT; i++)
			answers(&c[(i * 5 + round) % COUNT], round);
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(finish(&c[i]), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(finish(&busy[i]), 0);
	CHECK(is_filled(5));
}

static void replaces_itself(void)
{
	struct copy c, beside;

	fill(9);
	begin(&beside, BY_SPAWN, "echo", 1);
	begin(&c, BY_VFORK, "chain", 12);
	answers(&beside, 1);
	CHECK_EQ(finish(&c), 42);
	answers(&beside, 1);
	CHECK_EQ(finish(&beside), 0);
	CHECK(is_filled(9));
}

static void threads_on_both_sides(void)
{
	static int counter;
	pthread_t thread;
	struct copy c[3];

	fill(33);
	CHECK_EQ(pthread_create(&thread, NULL, count, &counter), 0);
	for (int i = 0; i < 3; i++)
		begin(&c[i], i, "threads", 70 + i);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(finish(&c[i]), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(counter, 2000);
	CHECK(is_filled(33));
}

static void one_that_spins_is_killed(void)
{
	struct copy c;
	char byte;

	fill(44);
	begin(&c, BY_SPAWN, "spin", 0);
	CHECK_EQ(read(c.from, &byte, 1), 1);
	CHECK(is_filled(44));
	CHECK_EQ(kill(c.pid, SIGKILL), 0);
	CHECK_EQ(finish(&c), -SIGKILL);
	CHECK(is_filled(44));
}

/* A child by fork that lives on while its parent starts others, and the other way round. */
static void forked_and_started(void)
{
	int to_child[2], to_parent[2];
	struct copy c;
	char byte;
	pid_t pid;

	fill(55);
	CHECK(!pipe(to_child) && !pipe(to_parent));
	pid = fork();
	if (!pid) {
		struct copy mine;

		close(to_child[1]), close(to_parent[0]);
		fill(56);
		begin(&mine, BY_SPAWN, "echo", 3);
		answers(&mine, 7);
		CHECK_EQ(write(to_parent[1], "1", 1), 1);
		CHECK_EQ(read(to_child[0], &byte, 1), 1);
		CHECK(is_filled(56));
		answers(&mine, 8);
		CHECK_EQ(finish(&mine), 0);
		fflush(stdout);
		_exit(is_filled(56) && !check_failures ? 0 : 1);
	}
	close(to_child[0]), close(to_parent[1]);
	begin(&c, BY_FORK, "echo", 90);
	CHECK_EQ(read(to_parent[0], &byte, 1), 1);
	answers(&c, 1);
	CHECK(is_filled(55));
	CHECK_EQ(write(to_child[1], "1", 1), 1);
	CHECK_EQ(status_of(pid), 0);
	answers(&c, 2);
	CHECK_EQ(finish(&c), 0);
	CHECK(is_filled(55));
	close(to_child[1]), close(to_parent[0]);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return other_main(argv);
	signal(SIGPIPE, SIG_IGN);
	one_beside_another();
	many_at_once();
	replaces_itself();
	threads_on_both_sides();
	one_that_spins_is_killed();
	forked_and_started();
	return check_failures ? 1 : 0;
}
