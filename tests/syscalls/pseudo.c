/* SPDX-License-Identifier: Apache-2.0 */
/* /dev and /proc as programs rely on them. */
#include "check.h"

#include <cpuid.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <time.h>

static char text[70000];

static long slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	long len = 0, n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	close(fd);
	return len;
}

static void devices(void)
{
	char buf[64], zeros[64] = {0};
	struct stat st;
	int fd = open("/dev/null", O_RDWR);

	CHECK_EQ(write(fd, "gone", 4), 4);
	CHECK_EQ(read(fd, buf, 10), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(S_ISCHR(st.st_mode) && st.st_rdev == 0x103);
	close(fd);
	fd = open("/dev/zero", O_RDWR);
	memset(buf, 1, sizeof(buf));
	CHECK_EQ(read(fd, buf, sizeof(buf)), sizeof(buf));
	CHECK(!memcmp(buf, zeros, sizeof(buf)));
	close(fd);
	fd = open("/dev/full", O_RDWR);
	CHECK_ERRNO(write(fd, "x", 1), ENOSPC);
	close(fd);
	for (int i = 0; i < 2; i++) {
		char other[64];

		fd = open(i ? "/dev/random" : "/dev/urandom", O_RDONLY);
		CHECK_EQ(read(fd, buf, sizeof(buf)), sizeof(buf));
		CHECK_EQ(read(fd, other, sizeof(other)), sizeof(other));
		CHECK(memcmp(buf, other, sizeof(buf)));
		close(fd);
	}
	CHECK_EQ(stat("/dev/fd/1", &st), 0);
	CHECK_EQ(access("/dev/stdin", F_OK) | access("/dev/stdout", F_OK), 0);
	fd = open("/dev/shm/check-pseudo", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK_EQ(unlink("/dev/shm/check-pseudo"), 0);
}

static void self(void)
{
	char link[4096] = "", pid[20];
	int fd;

	CHECK(readlink("/proc/self", pid, sizeof(pid)) > 0 && atoi(pid) == getpid());
	CHECK(readlink("/proc/self/exe", link, sizeof(link)) > 0 && link[0] == '/');
	CHECK(strstr(link, "pseudo"));
	CHECK(readlink("/proc/self/cwd", link, sizeof(link)) > 0 && link[0] == '/');
	fd = open("/dev/null", O_RDONLY);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	memset(text, 0, 100);
	CHECK_EQ(readlink(link, text, 100), 9);
	CHECK(!strcmp(text, "/dev/null"));
	close(fd);
	CHECK_ERRNO(readlink(link, text, 100), ENOENT);
	CHECK(slurp("/proc/self/maps") > 0 && strstr(text, "[stack]") && strstr(text, "r-xp"));
	CHECK(slurp("/proc/self/cmdline") > 0 && strstr(text, "pseudo"));
	CHECK(slurp("/proc/self/stat") > 0 && atoi(text) == getpid() && strchr(text, ')'));
	CHECK(slurp("/proc/self/status") > 0 && strstr(text, "Pid:") && strstr(text, "VmRSS:") &&
	      strstr(text, "Threads:\t1\n"));
	CHECK(slurp("/proc/self/comm") > 0);
	CHECK(slurp("/proc/self/statm") > 0);
	CHECK(slurp("/proc/self/environ") >= 0);
	CHECK(slurp("/proc/self/limits") > 0 && strstr(text, "Max open files"));
	CHECK(slurp("/proc/self/mounts") > 0 && strstr(text, " / "));
	CHECK(slurp("/proc/self/mountinfo") > 0);
	/* Flags of the mount come before the dash, and are not said again behind it. */
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		CHECK(strstr(line, " - ") && !strstr(strstr(line, " - "), "nosuid"));
	}
}

static long write_to(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	long n;

	if (fd < 0)
		return -1;
	n = write(fd, value, strlen(value));
	close(fd);
	return n;
}

static void *named_by_another(void *arg)
{
	char name[16];

	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	CHECK_EQ(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
	CHECK(!strcmp(name, "by-another"));
	return NULL;
}

/* What a process may change by writing. */
static void writable(void)
{
	pthread_barrier_t both;
	pthread_t t;

	CHECK_EQ(write_to("/proc/self/comm", "a name that is longer than fifteen\n"), 35);
	CHECK(slurp("/proc/self/comm") == 16 && !memcmp(text, "a name that is \n", 16));
	pthread_barrier_init(&both, NULL, 2);
	pthread_create(&t, NULL, named_by_another, &both);
	pthread_barrier_wait(&both);
	CHECK_EQ(pthread_setname_np(t, "by-another"), 0);
	pthread_barrier_wait(&both);
	pthread_join(t, NULL);
	CHECK(getppid() <= 1 || write_to("/proc/1/comm", "mine") < 0);
	CHECK(write_to("/proc/self/stat", "x") < 0);

	CHECK_EQ(write_to("/proc/self/oom_score_adj", "500\n"), 4);
	CHECK(slurp("/proc/self/oom_score_adj") == 4 && atoi(text) == 500);
	CHECK_ERRNO(write_to("/proc/self/oom_score_adj", "1001"), EINVAL);
	CHECK_ERRNO(write_to("/proc/self/oom_score_adj", "-1001"), EINVAL);
	CHECK_ERRNO(write_to("/proc/self/oom_score_adj", "5x"), EINVAL);
	CHECK_ERRNO(write_to("/proc/self/oom_score_adj", "-"), EINVAL);
	/* Less than before is a privilege. */
	if (write_to("/proc/self/oom_score_adj", "-100") == 4)
		CHECK(slurp("/proc/self/oom_score_adj") > 0 && atoi(text) == -100);
	else
		CHECK_EQ(errno, EACCES);
}

static void instance(void)
{
	CHECK(slurp("/proc/meminfo") > 0 && strstr(text, "MemTotal:") &&
	      strstr(text, "MemAvailable:"));
	CHECK(slurp("/proc/cpuinfo") > 0 && strstr(text, "processor"));
	CHECK(slurp("/proc/uptime") > 0 && atof(text) >= 0);
	CHECK(slurp("/proc/loadavg") > 0);
	CHECK(slurp("/proc/stat") > 0 && strstr(text, "btime"));
	CHECK(slurp("/proc/version") > 0);
	CHECK(slurp("/proc/filesystems") > 0);
	CHECK(slurp("/proc/mounts") > 0);
	CHECK(slurp("/proc/sys/kernel/osrelease") > 0);
	CHECK(slurp("/proc/sys/kernel/random/boot_id") == 37);
	CHECK_ERRNO(open("/proc/99999999", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/proc/none", O_RDONLY), ENOENT);
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(list, word); at; at = strstr(at + len, word)) {
		if (at[-1] == ' ' && (at[len] == ' ' || at[len] == '\n'))
			return true;
	}
	return false;
}

/* The flags say what the cpuid instruction says. */
static void processor_flags(void)
{
	static const struct {
		unsigned leaf, reg, bit;
		const char *name;
	} flags[] = {
		{1, 2, 1, "pclmulqdq"}, {1, 2, 25, "aes"},     {1, 2, 28, "avx"},
		{7, 1, 5, "avx2"},	{7, 1, 16, "avx512f"}, {7, 1, 29, "sha_ni"},
		{7, 2, 8, "gfni"},	{7, 2, 9, "vaes"},     {7, 2, 10, "vpclmulqdq"},
		{7, 3, 4, "fsrm"},
	};
	const char *list;
	char *end;

	CHECK(slurp("/proc/cpuinfo") > 0);
	list = strstr(text, "flags");
	REQUIRE(list);
	end = strchr(list, '\n');
	REQUIRE(end);
	end[1] = '\0';
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		unsigned r[4];

		__cpuid_count(flags[i].leaf, 0, r[0], r[1], r[2], r[3]);
		if (has_word(list, flags[i].name) != (r[flags[i].reg] >> flags[i].bit & 1))
			printf("# %s\n", flags[i].name);
		CHECK_EQ(has_word(list, flags[i].name), r[flags[i].reg] >> flags[i].bit & 1);
	}
}

/* What all did together: sums move with what we do. */
static unsigned long long number_after(const char *word)
{
	char *at = strstr(text, word);

	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

/* Of all processors, in user mode, niced, and in the kernel: ticks. */
static unsigned long long busy_ticks(void)
{
	unsigned long long user, nice, kernel;
	char *at = strstr(text, "cpu  ");

	if (!at || sscanf(at, "cpu  %llu %llu %llu", &user, &nice, &kernel) != 3)
		return 0;
	return user + nice + kernel;
}

static void totals(void)
{
	unsigned long long used, switches;
	struct timespec until, now, nap = {0, 1000000};
	struct sysinfo info;
	double average;
	long running;
	char *end;

	CHECK(slurp("/proc/stat") > 0);
	used = busy_ticks();
	switches = number_after("ctxt ");
	CHECK(number_after("btime ") > 1600000000 && number_after("procs_running ") >= 1);
	/* Of its own: on a busy machine a second is less than that. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &until);
	until.tv_sec++;
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while (now.tv_sec < until.tv_sec || now.tv_nsec < until.tv_nsec);
	for (int i = 0; i < 20; i++)
		nanosleep(&nap, NULL);
	CHECK(slurp("/proc/stat") > 0);
	CHECK(busy_ticks() >= used + 20);
	CHECK(number_after("ctxt ") >= switches + 20);
	CHECK(slurp("/proc/loadavg") > 0);
	average = strtod(text, &end);
	CHECK(average >= 0 && *end == ' ');
	CHECK(sscanf(text, "%*s %*s %*s %ld/", &running) == 1 && running >= 1);
	CHECK_EQ(sysinfo(&info), 0);
	CHECK(slurp("/proc/self/schedstat") > 0 && strtoull(text, NULL, 10) > 500000000);
	CHECK(slurp("/proc/self/status") > 0 && number_after("voluntary_ctxt_switches:\t") >= 20);
	CHECK(slurp("/proc/self/wchan") >= 1 && slurp("/proc/self/personality") == 9);
	CHECK(slurp("/proc/vmstat") > 0 && strstr(text, "nr_free_pages "));
	CHECK(slurp("/proc/swaps") > 0 && slurp("/proc/diskstats") >= 0);
}

static char *line_of(unsigned long long inode)
{
	static char found[300];
	char *line = text;

	for (char *next; line && *line; line = next ? next + 1 : NULL) {
		char word[30];
		char *at;

		next = strchr(line, '\n');
		snprintf(found, sizeof(found), "%.*s ", next ? (int)(next - line) : 0, line);
		snprintf(word, sizeof(word), " %llu ", inode);
		at = strstr(found, word);
		if (at)
			return found;
	}
	return NULL;
}

static unsigned long long inode_of(int fd)
{
	struct stat st = {0};

	fstat(fd, &st);
	return st.st_ino;
}

#define LONG_HEADING                                                                               \
	"  sl  local_address                         "                                             \
	"remote_address                        st "

static void sockets(void)
{
	static const char *const headings[][2] = {
		{"/proc/net/tcp", "  sl  local_address rem_address   st "},
		{"/proc/net/raw", "  sl  local_address rem_address   st "},
		{"/proc/net/udp", "   sl  local_address rem_address   st "},
		{"/proc/net/tcp6", LONG_HEADING},
		{"/proc/net/udp6", LONG_HEADING},
		{"/proc/net/raw6", LONG_HEADING},
	};
	int pair[2], named = socket(AF_UNIX, SOCK_STREAM, 0),
		     server = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_un path = {.sun_family = AF_UNIX};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	char wanted[40], *line;

	snprintf(path.sun_path + 1, 30, "pseudo-%d", getpid());
	CHECK_EQ(bind(named, (struct sockaddr *)&path, 3 + strlen(path.sun_path + 1)), 0);
	CHECK_EQ(listen(named, 5), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	CHECK(slurp("/proc/net/unix") > 0);
	line = line_of(inode_of(named));
	CHECK(line && strstr(line, path.sun_path + 1) && strstr(line, " 00010000 0001 01 "));
	line = line_of(inode_of(pair[0]));
	CHECK(line && strstr(line, " 0002 "));
	CHECK(line_of(inode_of(pair[1])));
	CHECK_EQ(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_EQ(listen(server, 1), 0);
	CHECK_EQ(getsockname(server, (struct sockaddr *)&a, &size), 0);
	CHECK(slurp("/proc/self/net/tcp") > 0);
	line = line_of(inode_of(server));
	snprintf(wanted, sizeof(wanted), ": 0100007F:%04X 00000000:0000 0A ", ntohs(a.sin_port));
	CHECK(line && strstr(line, wanted));
	for (size_t i = 0; i < sizeof(headings) / sizeof(headings[0]); i++) {
		CHECK(slurp(headings[i][0]) > 0);
		CHECK(!strncmp(text, headings[i][1], strlen(headings[i][1])));
		CHECK(strstr(text,
			     " st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"));
	}
	CHECK(slurp("/proc/net/dev") > 0);
	close(named);
	close(server);
}

/* One open file, several readers at places of their own: each sees a text, or the end of one. */
static int shared_fd;
static volatile int readers_stop;

static void *reads_at(void *offset)
{
	long odd = 0;

	while (!readers_stop) {
		char part[64] = "";
		ssize_t n = pread(shared_fd, part, sizeof(part) - 1, (long)offset);

		odd += n < 0 ||
		       (n > 0 && strncmp(part, &"processor"[(long)offset], 9 - (long)offset) != 0);
	}
	return (void *)odd;
}

static void shared_readers(void)
{
	const struct timespec while_they_read = {.tv_nsec = 300000000};
	pthread_t readers[4];
	void *odd;

	shared_fd = open("/proc/cpuinfo", O_RDONLY);
	CHECK(shared_fd >= 0);
	for (long i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&readers[i], NULL, reads_at, (void *)(i / 2)), 0);
	nanosleep(&while_they_read, NULL);
	readers_stop = 1;
	for (int i = 0; i < 4; i++) {
		pthread_join(readers[i], &odd);
		CHECK(odd == NULL);
	}
	close(shared_fd);
}

CHECK_MAIN(devices, self, writable, instance, processor_flags, totals, sockets, shared_readers)
