/* SPDX-License-Identifier: Apache-2.0 */
/* Identity, limits, time, system information, shared memory segments. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

static void identity(void)
{
	CHECK(getpid() > 0 && getpid() == syscall(SYS_gettid));
	CHECK(getppid() >= 0);
	CHECK(getpgid(0) > 0 && getpgrp() == getpgid(getpid()));
	CHECK(getsid(0) >= 0);
	CHECK_ERRNO(getpgid(999999), ESRCH);
	CHECK_EQ(getuid(), geteuid());
	CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
	CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
	CHECK_ERRNO(syscall(400), ENOSYS);
	CHECK_ERRNO(syscall(9999), ENOSYS);
	CHECK_ERRNO(syscall(-5), ENOSYS);
}

static void names(void)
{
	struct utsname u;
	char name[16];

	CHECK_EQ(uname(&u), 0);
	CHECK(!strcmp(u.machine, "x86_64") && u.release[0] && u.sysname[0]);
	CHECK_EQ(prctl(PR_SET_NAME, "a-name-that-is-long"), 0);
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK(!strcmp(name, "a-name-that-is-"));
	CHECK_ERRNO(prctl(99999, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(uname((struct utsname *)8), EFAULT);
}

static void times_and_clocks(void)
{
	struct timespec a, b, t = {0, 15000000};
	struct timeval tv;
	struct rusage usage;
	struct tms tms;

	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &a), 0);
	CHECK_EQ(nanosleep(&t, NULL), 0);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &b), 0);
	CHECK((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec >= 15000000);
	for (int i = 0; i < 10000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		if (a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec)) {
			CHECK(!"the monotonic clock went back");
			break;
		}
		b = a;
	}
	CHECK_EQ(clock_gettime(CLOCK_REALTIME, &a), 0);
	CHECK_EQ(gettimeofday(&tv, NULL), 0);
	CHECK(labs(a.tv_sec - tv.tv_sec) <= 1 && labs(time(NULL) - tv.tv_sec) <= 1);
	CHECK(a.tv_sec > 1600000000);
	CHECK_EQ(clock_getres(CLOCK_MONOTONIC, &a), 0);
	CHECK(a.tv_sec == 0 && a.tv_nsec > 0);
	CHECK_ERRNO(clock_gettime(999, &a), EINVAL);
	t.tv_nsec = 1000000000;
	CHECK_ERRNO(nanosleep(&t, NULL), EINVAL);
	clock_gettime(CLOCK_MONOTONIC, &a);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL), 0);
	for (volatile long i = 0; i < 50000000; i++)
		;
	CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
	CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 1000);
	CHECK(times(&tms) != (clock_t)-1);
	CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a), 0);
	CHECK(a.tv_sec * 1000000000L + a.tv_nsec > 1000000);
	CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a), 0);
}

static void resources(void)
{
	struct rlimit r, old;
	struct sysinfo info;
	unsigned char random[64] = {0};
	cpu_set_t cpus;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	r = old;
	r.rlim_cur = 20;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &r), 0);
	for (int i = 0; i < 30; i++) {
		if (dup(1) < 0) {
			CHECK_EQ(errno, EMFILE);
			break;
		}
		CHECK(i < 20);
	}
	for (int i = 3; i < 40; i++)
		close(i);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	r.rlim_cur = 10;
	r.rlim_max = 5;
	CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &r), EINVAL);
	CHECK_ERRNO(getrlimit(99, &r), EINVAL);
	CHECK_EQ(sysinfo(&info), 0);
	CHECK(info.totalram > 0 && info.freeram <= info.totalram && info.mem_unit > 0 &&
	      info.procs > 0);
	CHECK_EQ(getrandom(random, sizeof(random), 0), sizeof(random));
	CHECK(memcmp(random, random + 32, 32));
	CHECK_ERRNO(getrandom(random, 1, 0x100), EINVAL);
	CHECK_EQ(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	CHECK(CPU_COUNT(&cpus) >= 1);
	CHECK_EQ(sched_yield(), 0);
	CHECK(sched_getcpu() >= 0);
}

static void *attached(void *arg)
{
	return *(int *)arg == 4711 ? NULL : arg;
}

static void shared_segments(void)
{
	int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600);
	struct shmid_ds ds;
	pthread_t t;
	void *result;
	int *p;

	REQUIRE(id >= 0);
	p = shmat(id, NULL, 0);
	REQUIRE(p != (void *)-1);
	CHECK_EQ(p[0] | p[2499], 0);
	p[100] = 4711;
	pthread_create(&t, NULL, attached, &p[100]);
	pthread_join(t, &result);
	CHECK(!result);
	CHECK_EQ(shmctl(id, IPC_STAT, &ds), 0);
	CHECK(ds.shm_segsz == 10000 && ds.shm_nattch == 1);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	CHECK_EQ(p[100], 4711);
	CHECK_EQ(shmdt(p), 0);
	CHECK_ERRNO(shmdt(p), EINVAL);
	CHECK_ERRNO(shmat(id, NULL, 0), EINVAL);
	CHECK_ERRNO(shmget(1234567, 10, 0), ENOENT);
}

CHECK_MAIN(identity, names, times_and_clocks, resources, shared_segments)
