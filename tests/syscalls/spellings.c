/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that C libraries spell in another way today, and old ones that programs still make. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static void files_of_old(void)
{
	struct stat st, same;
	char buf[1000];
	int fd;

	fd = syscall(SYS_open, "file", O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK(fd >= 0);
	CHECK_ERRNO(syscall(SYS_open, "file", O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_EQ(syscall(SYS_stat, "file", &st), 0);
	CHECK_EQ(syscall(SYS_fstat, fd, &same), 0);
	CHECK_EQ(st.st_ino, same.st_ino);
	CHECK_EQ(st.st_mode, S_IFREG | 0600);
	CHECK_ERRNO(syscall(SYS_stat, "none", &st), ENOENT);
	CHECK_EQ(syscall(SYS_symlink, "file", "link"), 0);
	CHECK_EQ(syscall(SYS_lstat, "link", &st), 0);
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(syscall(SYS_readlinkat, AT_FDCWD, "link", buf, sizeof(buf)), 4);
	CHECK(!memcmp(buf, "file", 4));
	CHECK_EQ(syscall(SYS_readlinkat, AT_FDCWD, "link", buf, 2), 2);
	CHECK_ERRNO(syscall(SYS_readlinkat, AT_FDCWD, "file", buf, 2), EINVAL);
	CHECK_ERRNO(syscall(SYS_readlinkat, AT_FDCWD, "link", buf, 0), EINVAL);
	CHECK_EQ(syscall(SYS_mknod, "fifo", S_IFIFO | 0640, 0), 0);
	CHECK_EQ(syscall(SYS_stat, "fifo", &st), 0);
	CHECK(S_ISFIFO(st.st_mode));
	CHECK_EQ(syscall(SYS_mknodat, AT_FDCWD, "fifo2", S_IFIFO | 0600, 0), 0);
	CHECK_ERRNO(syscall(SYS_mknodat, AT_FDCWD, "fifo2", S_IFIFO | 0600, 0), EEXIST);
	CHECK_ERRNO(syscall(SYS_mknodat, fd, "x", S_IFIFO | 0600, 0), ENOTDIR);
	CHECK_EQ(syscall(SYS_faccessat2, AT_FDCWD, "link", R_OK, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_EQ(syscall(SYS_faccessat2, fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS), 0);
	CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "none", F_OK, 0), ENOENT);
	CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "file", F_OK, 0x40000000), EINVAL);
	CHECK_EQ(syscall(SYS_mknod, "plain", S_IFREG | 0640, 0), 0);
	CHECK_ERRNO(syscall(SYS_mknod, "folder", S_IFDIR | 0700, 0), EPERM);
	CHECK_ERRNO(syscall(SYS_mknod, "odd", 0170000 | 0700, 0), EINVAL);
	close(fd);
}

struct old_dirent {
	unsigned long ino, off;
	unsigned short reclen;
	char name[];
};

static void getdents_of_old(void)
{
	char buf[2000];
	int fd = open(".", O_RDONLY | O_DIRECTORY), found = 0;
	long n;

	while ((n = syscall(SYS_getdents, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += ((struct old_dirent *)(buf + at))->reclen) {
			struct old_dirent *d = (struct old_dirent *)(buf + at);

			if (!strcmp(d->name, "fifo")) {
				found++;
				CHECK_EQ(buf[at + d->reclen - 1], DT_FIFO);
			}
		}
	}
	CHECK_EQ(n, 0);
	CHECK_EQ(found, 1);
	lseek(fd, 0, SEEK_SET);
	CHECK_ERRNO(syscall(SYS_getdents, fd, buf, 5), EINVAL);
	close(fd);
}

static void descriptors(void)
{
	int p[2], fd, at, set[4];
	char c = 0;

	CHECK_EQ(syscall(SYS_pipe, p), 0);
	CHECK_EQ(fcntl(p[0], F_GETFD), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(fcntl(p[1], 1031 /* F_SETPIPE_SZ */, 100000), 131072);
	CHECK_EQ(fcntl(p[1], 1032 /* F_GETPIPE_SZ */), 131072);
	CHECK_EQ(fcntl(p[1], 1031, 1), 4096);
	close(p[0]);
	close(p[1]);
	fd = syscall(SYS_eventfd, 7);
	CHECK(fd >= 0);
	{
		unsigned long value = 0;

		CHECK_EQ(read(fd, &value, 8), 8);
		CHECK_EQ(value, 7);
	}
	close(fd);
	CHECK_ERRNO(syscall(SYS_epoll_create, 0), EINVAL);
	fd = syscall(SYS_epoll_create, 1);
	CHECK(fd >= 0);
	close(fd);
	fd = syscall(SYS_memfd_create, "name", 1 /* MFD_CLOEXEC */);
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(ftruncate(fd, 5000), 0);
	CHECK_EQ(pwrite(fd, "end", 3, 4997), 3);
	CHECK_ERRNO(syscall(SYS_memfd_create, "name", 0x80000000u), EINVAL);
	close(fd);

	at = dup(0);
	for (int i = 0; i < 4; i++)
		set[i] = dup2(0, at + 10 + i);
	CHECK_EQ(syscall(SYS_close_range, set[1], set[2], 0), 0);
	CHECK(fcntl(set[0], F_GETFD) >= 0);
	CHECK_ERRNO(fcntl(set[1], F_GETFD), EBADF);
	CHECK_ERRNO(fcntl(set[2], F_GETFD), EBADF);
	CHECK_EQ(fcntl(set[3], F_GETFD), 0);
	CHECK_EQ(syscall(SYS_close_range, set[0], ~0u, 4 /* CLOEXEC */), 0);
	CHECK_EQ(fcntl(set[3], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(syscall(SYS_close_range, set[0], ~0u, 0), 0);
	CHECK_ERRNO(fcntl(set[3], F_GETFD), EBADF);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_close_range, 4, 5, 8), EINVAL);
	close(at);
}

static void clocks_of_old(void)
{
	struct timespec ts, resolution, back = {-1, 0};
	struct timeval tv;
	time_t t = 0;

	CHECK_EQ(clock_gettime(CLOCK_REALTIME, &ts), 0);
	CHECK_EQ(syscall(SYS_gettimeofday, &tv, NULL), 0);
	CHECK(tv.tv_sec >= ts.tv_sec && tv.tv_sec <= ts.tv_sec + 5 && tv.tv_usec < 1000000);
	CHECK_EQ(syscall(SYS_time, &t), t);
	CHECK(t >= ts.tv_sec && t <= ts.tv_sec + 5);
	CHECK_EQ(syscall(SYS_clock_getres, CLOCK_MONOTONIC, &resolution), 0);
	CHECK(resolution.tv_sec == 0 && resolution.tv_nsec >= 1);
	CHECK_ERRNO(syscall(SYS_clock_getres, 77, &resolution), EINVAL);
	ts = (struct timespec){0, 1000000};
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL),
		    EOPNOTSUPP);
	CHECK_EQ(syscall(SYS_nanosleep, &ts, NULL), 0);
	CHECK_ERRNO(syscall(SYS_nanosleep, &back, NULL), EINVAL);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signo)
{
	alarms++;
}

/* Timers of a process's CPU time, read and set. */
static void interval_timers(void)
{
	struct itimerval t = {{0, 0}, {0, 20000}}, old, now;
	struct {
		int which, signo;
	} kinds[] = {{ITIMER_VIRTUAL, SIGVTALRM}, {ITIMER_PROF, SIGPROF}};

	for (int i = 0; i < 2; i++) {
		signal(kinds[i].signo, count_alarm);
		alarms = 0;
		CHECK_EQ(syscall(SYS_setitimer, kinds[i].which, &t, &old), 0);
		CHECK_EQ(old.it_value.tv_sec, 0);
		CHECK_EQ(syscall(SYS_getitimer, kinds[i].which, &now), 0);
		CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_usec <= 20000 + 10000);
		while (!alarms) /* it is the work that counts */
			;
		CHECK_EQ(syscall(SYS_getitimer, kinds[i].which, &now), 0);
		CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0);
	}
	CHECK_ERRNO(syscall(SYS_getitimer, 3, &now), EINVAL);
	CHECK_ERRNO(syscall(SYS_setitimer, 3, &now, NULL), EINVAL);
}

static void posix_timer(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_NONE};
	struct itimerspec t = {{1, 0}, {1000, 0}}, now;
	int id;

	CHECK_EQ(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), 0);
	CHECK_EQ(syscall(SYS_timer_gettime, id, &now), 0);
	CHECK_EQ(now.it_value.tv_sec, 0);
	CHECK_EQ(syscall(SYS_timer_settime, id, 0, &t, NULL), 0);
	CHECK_EQ(syscall(SYS_timer_gettime, id, &now), 0);
	CHECK(now.it_value.tv_sec >= 990 && now.it_interval.tv_sec == 1);
	CHECK_EQ(syscall(SYS_timer_delete, id), 0);
	CHECK_ERRNO(syscall(SYS_timer_gettime, id, &now), EINVAL);
}

static void nothing(int signo)
{
}

/* The mask counts while the call waits, and only then. */
static void selects_with_mask(int fd)
{
	struct timespec none = {0, 0};
	struct {
		const sigset_t *set;
		size_t size;
	} mask;
	sigset_t usr1, empty, now;
	fd_set set;

	sigemptyset(&empty);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	signal(SIGUSR1, nothing);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	mask.set = &empty;
	mask.size = 8;
	FD_ZERO(&set);
	CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, &mask), EINTR);
	sigprocmask(SIG_BLOCK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1));
	FD_SET(fd, &set);
	CHECK_EQ(syscall(SYS_pselect6, fd + 1, NULL, &set, NULL, &none, NULL), 1);
	mask.size = 4;
	CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &none, &mask), EINVAL);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
}

static void selects(void)
{
	struct timeval none = {0, 0};
	fd_set set;
	int p[2];

	CHECK_EQ(pipe(p), 0);
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	CHECK_EQ(syscall(SYS_select, p[0] + 1, &set, NULL, NULL, &none), 0);
	CHECK(!FD_ISSET(p[0], &set));
	FD_SET(p[0], &set);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(syscall(SYS_select, p[0] + 1, &set, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(p[0], &set));
	close(p[0]);
	FD_SET(p[0], &set);
	CHECK_ERRNO(syscall(SYS_select, p[0] + 1, &set, NULL, NULL, &none), EBADF);
	CHECK_ERRNO(syscall(SYS_select, -1, NULL, NULL, NULL, &none), EINVAL);
	selects_with_mask(p[1]);
	close(p[1]);
}

/* The mask counts while the call waits, and only then. */
static void epoll_with_masks(void)
{
	struct epoll_event e = {.events = EPOLLIN}, got;
	struct timespec none = {0, 0}, bad = {0, -1};
	int ep = epoll_create1(0), p[2];
	sigset_t usr1, empty, now;

	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e), 0);
	sigemptyset(&empty);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	signal(SIGUSR1, nothing);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	CHECK_EQ(syscall(SYS_epoll_pwait, ep, &got, 1, 0, NULL, 8), 0);
	CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, &got, 1, -1, &empty, 8), EINTR);
	sigprocmask(SIG_BLOCK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1));
	CHECK_EQ(syscall(SYS_epoll_pwait2, ep, &got, 1, &none, NULL, 8), 0);
	CHECK_ERRNO(syscall(SYS_epoll_pwait2, ep, &got, 1, &bad, NULL, 8), EINVAL);
	raise(SIGUSR1);
	CHECK_ERRNO(syscall(SYS_epoll_pwait2, ep, &got, 1, NULL, &empty, 8), EINTR);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(syscall(SYS_epoll_pwait2, ep, &got, 1, NULL, &usr1, 8), 1);
	CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, &got, 1, 0, &empty, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, &got, 0, 0, NULL, 8), EINVAL);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	close(ep);
	close(p[0]);
	close(p[1]);
}

static void signals_of_old(void)
{
	sigset_t set;
	siginfo_t info = {0}, got;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK_EQ(syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR2), 0);
	CHECK_EQ(syscall(SYS_rt_sigtimedwait, &set, &got, NULL, 8),
		 SIGUSR2); /* glibc changes si_code */
	CHECK_EQ(got.si_code, SI_TKILL);
	CHECK_EQ(got.si_pid, getpid());
	CHECK_ERRNO(syscall(SYS_tkill, -1, SIGUSR2), EINVAL);
	CHECK_ERRNO(syscall(SYS_tkill, syscall(SYS_gettid), 99), EINVAL);
	info.si_code = SI_QUEUE;
	info.si_value.sival_int = 1234;
	CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGUSR2, &info), 0);
	CHECK_EQ(sigwaitinfo(&set, &got), SIGUSR2);
	CHECK_EQ(got.si_code, SI_QUEUE);
	CHECK_EQ(got.si_value.sival_int, 1234);
	CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, -1, 1, SIGUSR2, &info), EINVAL);
	fd = syscall(SYS_signalfd, -1, &set, 8);
	CHECK(fd >= 0);
	CHECK_EQ(raise(SIGUSR2), 0);
	{
		char buf[128];

		CHECK_EQ(read(fd, buf, sizeof(buf)), 128);
		CHECK_EQ(*(unsigned *)buf, SIGUSR2);
	}
	CHECK_ERRNO(syscall(SYS_signalfd, -1, &set, 4), EINVAL);
	close(fd);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void processes_of_old(void)
{
	int id = semget(IPC_PRIVATE, 1, 0600), status;
	struct sembuf up = {0, 1, 0}, down = {0, -1, 0};
	pid_t pid = syscall(SYS_fork);
	siginfo_t info;

	if (!pid) {
		setpgid(0, 0);
		_exit(syscall(SYS_semop, id, &up, 1L) ? 1 : 5);
	}
	CHECK_EQ(syscall(SYS_semop, id, &down, 1L), 0);
	/* The child has its own group by now. */
	CHECK_EQ(waitid(P_PGID, pid, &info, WEXITED | WNOWAIT), 0);
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_status, 5);
	CHECK_EQ(waitpid(-pid, &status, 0), pid);
	CHECK_EQ(status, 5 << 8);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
}

static void limits_of_old(void)
{
	struct rlimit before, l, now;

	CHECK_EQ(syscall(SYS_getrlimit, RLIMIT_CORE, &before), 0);
	l = (struct rlimit){0, before.rlim_max};
	CHECK_EQ(syscall(SYS_setrlimit, RLIMIT_CORE, &l), 0);
	CHECK_EQ(syscall(SYS_getrlimit, RLIMIT_CORE, &now), 0);
	CHECK_EQ(now.rlim_cur, 0);
	l = (struct rlimit){10, 5};
	CHECK_ERRNO(syscall(SYS_setrlimit, RLIMIT_NOFILE, &l), EINVAL);
	CHECK_ERRNO(syscall(SYS_getrlimit, 77, &now), EINVAL);
	CHECK_EQ(syscall(SYS_setrlimit, RLIMIT_CORE, &before), 0);
}

static void priorities_of_io(void)
{
	int best_effort_3 = 2 << 13 | 3;

	CHECK_EQ(syscall(SYS_ioprio_set, 1, 0, best_effort_3), 0);
	CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), best_effort_3);
	CHECK_ERRNO(syscall(SYS_ioprio_set, 9, 0, best_effort_3), EINVAL);
	CHECK_ERRNO(syscall(SYS_ioprio_set, 1, 0, 7 << 13), EINVAL);
	CHECK_ERRNO(syscall(SYS_ioprio_get, 1, 999999), ESRCH);
}

/* Run in children: a root of its own, and a table of descriptors of its own. */
static int in_root(void)
{
	struct stat st;
	char cwd[100];

	if (mkdir("jail", 0755) || mkdir("jail/in", 0755) ||
	    syscall(SYS_chroot, "jail/none") != -1 || errno != ENOENT ||
	    syscall(SYS_chroot, "jail") || syscall(SYS_getcwd, cwd, sizeof(cwd)) < 14 ||
	    strncmp(cwd, "(unreachable)/", 14) || chdir("/"))
		return 1;
	if (stat("/in", &st) || stat("/../in", &st) || !stat("/jail", &st))
		return 2;
	return !getcwd(cwd, sizeof(cwd)) || strcmp(cwd, "/") ? 3 : 0;
}

static int unshared(void)
{
	if (syscall(SYS_unshare, CLONE_FILES | CLONE_FS))
		return 1;
	return syscall(SYS_unshare, 1) != -1 || errno != EINVAL ? 2 : 0;
}

static int status_in_child(int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(fn());
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

/* Who may not search a folder hears that, before what is kept for root. */
static int nobody_in_root(void)
{
	if (mkdir("closed", 0700) || setuid(65534))
		return 1;
	if (syscall(SYS_chroot, "closed") != -1 || errno != EACCES)
		return 2;
	return syscall(SYS_chroot, "/") != -1 || errno != EPERM ? 3 : 0;
}

static void roots(void)
{
	if (!geteuid()) {
		CHECK_EQ(status_in_child(in_root), 0);
		CHECK_EQ(chmod(".", 0755), 0);
		CHECK_EQ(status_in_child(nobody_in_root), 0);
	}
	CHECK_EQ(status_in_child(unshared), 0);
}

static void start(void)
{
	enter_fresh_folder("/tmp");
}

CHECK_MAIN(start, files_of_old, getdents_of_old, descriptors, clocks_of_old, interval_timers,
	   posix_timer, selects, epoll_with_masks, signals_of_old, processes_of_old, limits_of_old,
	   priorities_of_io, roots)
