/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits as the kernel enforces them, and stops that nobody could end. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile sig_atomic_t over_limit;

static void note(int signo)
{
	over_limit++;
}

static void limit(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit r = {soft, hard};

	if (setrlimit(resource, &r))
		_exit(99);
}

static int status_of(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

static void burn(void)
{
	for (volatile long i = 0;; i++)
		;
}

/* SIGXCPU at the soft limit, for a child that inherited it as well; SIGKILL at the hard one. */
static void cpu_time(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		signal(SIGXCPU, note);
		limit(RLIMIT_CPU, 1, 2);
		if (!fork()) {
			signal(SIGXCPU, SIG_DFL);
			burn();
		}
		if (wait(&status) < 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGXCPU)
			_exit(1);
		while (!over_limit)
			;
		burn();
	}
	status = status_of(pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGKILL);
}

static void file_size(void)
{
	char name[] = "/tmp/limits-XXXXXX", bytes[2000] = {0};
	int fd = mkstemp(name);
	pid_t pid = fork();

	if (!pid) {
		limit(RLIMIT_FSIZE, 1000, 1000);
		signal(SIGXFSZ, note);
		if (write(fd, bytes, 2000) != 1000 || write(fd, bytes, 1) != -1 || errno != EFBIG)
			_exit(1);
		if (over_limit != 1 || truncate(name, 1001) != -1 || errno != EFBIG ||
		    over_limit != 2)
			_exit(2);
		if (fallocate(fd, 0, 500, 501) != -1 || errno != EFBIG || over_limit != 3)
			_exit(3);
		/* Room behind the end of the file is not its size. */
		if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 500, 5000) || fallocate(fd, 0, 500, 500))
			_exit(4);
		_exit(truncate(name, 1000) != 0);
	}
	CHECK_EQ(status_of(pid), 0);
	close(fd);
	unlink(name);
}

/* What fails for want of a descriptor has made no file and emptied none. */
static void without_descriptors(void)
{
	char full[] = "/tmp/full-XXXXXX", none[40];
	int fd = mkstemp(full);
	struct stat st;
	pid_t pid;

	CHECK_EQ(write(fd, "bytes", 5), 5);
	close(fd);
	snprintf(none, sizeof(none), "%s-new", full);
	pid = fork();
	if (!pid) {
		limit(RLIMIT_NOFILE, 10, 10);
		while (dup(0) >= 0)
			;
		if (open(none, O_CREAT | O_WRONLY, 0600) != -1 || errno != EMFILE)
			_exit(1);
		if (open(full, O_TRUNC | O_WRONLY) != -1 || errno != EMFILE)
			_exit(2);
		close(0);
		_exit(open(full, O_RDONLY) != 0);
	}
	CHECK_EQ(status_of(pid), 0);
	CHECK_ERRNO(stat(none, &st), ENOENT);
	CHECK(stat(full, &st) == 0 && st.st_size == 5);
	unlink(full);
}

static void others(void)
{
	pid_t pid = fork();

	if (!pid) {
		unsigned long most;
		int fds[2];
		FILE *f;

		limit(RLIMIT_NOFILE, 10, 20);
		while (dup(0) >= 0)
			;
		if (errno != EMFILE || pipe(fds) != -1 || errno != EMFILE)
			_exit(1);
		limit(RLIMIT_NOFILE, 20, 20);
		limit(RLIMIT_AS, 64 << 20, 64 << 20);
		if (mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
			    MAP_FAILED ||
		    errno != ENOMEM)
			_exit(2);
		f = fopen("/proc/sys/fs/nr_open", "r");
		if (!f || fscanf(f, "%lu", &most) != 1 || fclose(f))
			_exit(3);
		if (prlimit(0, RLIMIT_NOFILE, &(struct rlimit){10, most + 1}, NULL) != -1 ||
		    errno != EPERM)
			_exit(4);
		limit(RLIMIT_CORE, 4096, RLIM_INFINITY);
		limit(RLIMIT_NOFILE, 10, 10);
		if (setuid(1000))
			_exit(5);
		_exit(prlimit(getppid(), RLIMIT_NOFILE, NULL, &(struct rlimit){0}) != -1 ||
		      errno != EPERM);
	}
	CHECK_EQ(status_of(pid), 0);
}

static void *map(void *at, size_t size, int prot, int flags)
{
	return mmap(at, size, prot, MAP_ANONYMOUS | flags, -1, 0);
}

/* musl's sbrk() does not ask the kernel. */
static bool grow_heap(size_t size)
{
	long now = syscall(SYS_brk, 0);

	return syscall(SYS_brk, now + size) == now + (long)size;
}

#define STEP(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			_exit(__LINE__ % 256);                                                     \
	} while (0)

/* RLIMIT_DATA counts private writable memory, however it came to be so. */
static void data(void)
{
	const size_t mib = 1 << 20;
	pid_t pid = fork();
	char *a, *b;

	if (!pid) {
		limit(RLIMIT_DATA, 64 * mib, 96 * mib);
		STEP(map(NULL, 128 * mib, 3, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
		STEP(map(NULL, 64 * mib, 3, MAP_SHARED) != MAP_FAILED);
		a = map(NULL, 128 * mib, PROT_READ, MAP_PRIVATE);
		STEP(a != MAP_FAILED);
		STEP(mprotect(a, 128 * mib, 3) == -1 && errno == ENOMEM);
		STEP(!mprotect(a, 40 * mib, 3) && !mprotect(a, 40 * mib, 3));
		STEP(!grow_heap(32 * mib));
		STEP(grow_heap(mib));
		STEP(map(NULL, 32 * mib, 3, MAP_PRIVATE) == MAP_FAILED);
		STEP(map(a, 40 * mib, 3, MAP_PRIVATE | MAP_FIXED) == a);
		/* Moved, it is never there twice. */
		b = mremap(a, 40 * mib, 41 * mib, MREMAP_MAYMOVE);
		STEP(b != MAP_FAILED && b != a);
		STEP(mremap(b, 41 * mib, 80 * mib, MREMAP_MAYMOVE) == MAP_FAILED &&
		     errno == ENOMEM);
		STEP(!munmap(b, 41 * mib));
		STEP(map(NULL, 60 * mib, 3, MAP_PRIVATE) != MAP_FAILED);
		/* 0 is no heap; for the rest the hard limit holds. */
		limit(RLIMIT_DATA, 0, 96 * mib);
		STEP(!grow_heap(mib));
		STEP(map(NULL, 20 * mib, 3, MAP_PRIVATE) != MAP_FAILED);
		STEP(map(NULL, 20 * mib, 3, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
		_exit(0);
	}
	CHECK_EQ(status_of(pid), 0);
}

/* RLIMIT_AS counts what there would be afterwards. */
static void address_space(void)
{
	const size_t mib = 1 << 20;
	pid_t pid = fork();
	char *a, *b;

	if (!pid) {
		a = map(NULL, 120 * mib, 3, MAP_PRIVATE);
		STEP(a != MAP_FAILED && !munmap(a + 110 * mib, 10 * mib));
		b = map(a + 110 * mib, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE);
		STEP(b == a + 110 * mib);
		limit(RLIMIT_AS, 200 * mib, 200 * mib);
		STEP(map(NULL, 100 * mib, 0, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
		STEP(map(NULL, 100 * mib, PROT_READ, MAP_SHARED) == MAP_FAILED && errno == ENOMEM);
		STEP(map(a, 110 * mib, 3, MAP_PRIVATE | MAP_FIXED) == a);
		b = mremap(a, 110 * mib, 120 * mib, MREMAP_MAYMOVE);
		STEP(b != MAP_FAILED && b != a);
		STEP(!grow_heap(100 * mib));
		STEP(!mprotect(b, 60 * mib, 0) && !mprotect(b, 60 * mib, 3));
		_exit(0);
	}
	CHECK_EQ(status_of(pid), 0);
}

/* A session of one: a stop from the terminal does nothing, because nobody could continue it. */
static void orphans_do_not_stop(void)
{
	pid_t pid = fork();

	if (!pid) {
		if (setsid() < 0)
			_exit(1);
		raise(SIGTSTP);
		raise(SIGTTIN);
		raise(SIGTTOU);
		_exit(0);
	}
	CHECK_EQ(status_of(pid), 0);
}

CHECK_MAIN(cpu_time, file_size, without_descriptors, others, data, address_space,
	   orphans_do_not_stop)
