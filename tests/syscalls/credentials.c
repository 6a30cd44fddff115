/* SPDX-License-Identifier: Apache-2.0 */
/* User and group ids, capabilities, sessions. Ends without root's rights: the order matters. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void groups(void)
{
	gid_t list[40] = {7, 8, 9};
	int count;

	if (geteuid() != 0)
		exit(77);
	CHECK_EQ(setgroups(3, list), 0);
	CHECK_EQ(getgroups(0, NULL), 3);
	memset(list, 0, sizeof(list));
	count = getgroups(40, list);
	CHECK(count == 3 && list[0] == 7 && list[2] == 9);
	CHECK_ERRNO(getgroups(2, list), EINVAL);
	CHECK_ERRNO(getgroups(-1, list), EINVAL);
	CHECK_ERRNO(syscall(SYS_setgroups, 3, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_getgroups, 3, 8), EFAULT);
	CHECK_EQ(setgroups(0, NULL), 0);
	CHECK_EQ(getgroups(0, NULL), 0);
}

/* <linux/capability.h>, which not every libc comes with. */
#define VERSION_3 0x20080522
struct cap_header {
	unsigned version;
	int pid;
};
struct cap_data {
	unsigned effective, permitted, inheritable;
};
#define CAP_CHOWN	    0
#define CAP_DAC_OVERRIDE    1
#define CAP_DAC_READ_SEARCH 2
#define CAP_FOWNER	    3
#define CAP_KILL	    5
#define CAP_SETGID	    6
#define CAP_SETUID	    7
#define CAP_SETPCAP	    8
#define BIT(cap)	    (1u << (cap))
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#endif

static void capabilities(void)
{
	struct cap_header header = {VERSION_3, 0};
	struct cap_data data[2] = {{0}};

	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	CHECK(data[0].permitted != 0);
	header.version = 1;
	CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
	CHECK_EQ(header.version, VERSION_3);
	header.version = 1;
	CHECK_EQ(syscall(SYS_capget, &header, NULL), 0);
}

static struct cap_data sets_of(pid_t pid)
{
	struct cap_header header = {VERSION_3, pid};
	struct cap_data data[2] = {{0}};

	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	return data[0];
}

static long set_low(unsigned permitted, unsigned effective, unsigned inheritable)
{
	struct cap_header header = {VERSION_3, 0};
	struct cap_data data[2] = {{effective, permitted, inheritable}};

	return syscall(SYS_capset, &header, data);
}

static void in_child(void (*test)(void))
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		check_failures = 0;
		test();
		fflush(stdout);
		_exit(check_failures != 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
}

/* This program again, as a child, which says whether its sets are those of `text`. */
static void exec_self(const char *text)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "credentials", "sets", text, NULL);
		_exit(99);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
}

static unsigned long long status_field(const char *name)
{
	char line[200];
	unsigned long long value = -1;
	FILE *f = fopen("/proc/self/status", "r");

	REQUIRE(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)))
			value = strtoull(line + strlen(name) + 1, NULL, 16);
	}
	fclose(f);
	return value;
}

/* What capset takes and refuses; a set given up is gone, and what it allowed is refused. */
static void capset_rules(void)
{
	struct cap_header header = {VERSION_3, 0};
	struct cap_header parent = {VERSION_3, getppid()};
	struct cap_data data[2] = {{0}};
	unsigned two = BIT(CAP_SETUID) | BIT(CAP_SETPCAP);

	header.version = 7;
	CHECK_ERRNO(syscall(SYS_capset, &header, data), EINVAL);
	CHECK_EQ(header.version, VERSION_3);
	CHECK_ERRNO(syscall(SYS_capset, &parent, data), EPERM);
	CHECK_ERRNO(syscall(SYS_capset, &header, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_capset, 8, data), EFAULT);
	CHECK_ERRNO(set_low(BIT(CAP_SETUID), two, 0), EPERM); /* effective beyond permitted */
	CHECK_EQ(set_low(two, BIT(CAP_SETPCAP), BIT(CAP_CHOWN)), 0);
	CHECK_EQ(sets_of(0).permitted, two);
	CHECK_EQ(sets_of(getpid()).effective, BIT(CAP_SETPCAP));
	CHECK_EQ(sets_of(0).inheritable, BIT(CAP_CHOWN));
	CHECK_EQ(status_field("CapPrm:") & 0xffffffff, two);
	CHECK_EQ(status_field("CapEff:"), BIT(CAP_SETPCAP));
	CHECK_ERRNO(setresuid(5, 6, 7), EPERM);
	CHECK_ERRNO(set_low(two | BIT(CAP_CHOWN), 0, 0), EPERM); /* never comes back */
	CHECK_EQ(set_low(two, two, 0), 0);
	CHECK_EQ(set_low(two, BIT(CAP_SETUID), 0), 0);
	CHECK_ERRNO(set_low(two, 0, BIT(CAP_CHOWN)), EPERM); /* without CAP_SETPCAP */
	CHECK_EQ(set_low(two, 0, BIT(CAP_SETUID)), 0);
	CHECK_EQ(set_low(0, 0, 0), 0);
	CHECK_EQ(sets_of(0).permitted, 0);
	CHECK_EQ(geteuid(), 0);
	CHECK_ERRNO(setgroups(0, NULL), EPERM);
	CHECK_ERRNO(chroot("/"), EPERM);
}

/* Files: root without CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_CHOWN is a user like others. */
static void files_without(void)
{
	char name[] = "/tmp/caps-XXXXXX";
	int fd = mkstemp(name);

	REQUIRE(fd >= 0);
	CHECK_EQ(fchown(fd, 1000, 1000), 0);
	CHECK_EQ(fchmod(fd, 0600), 0);
	CHECK_EQ(set_low(BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER), BIT(CAP_DAC_READ_SEARCH), 0),
		 0);
	CHECK_EQ(close(open(name, O_RDONLY)), 0);
	CHECK_ERRNO(open(name, O_RDWR), EACCES);
	CHECK_ERRNO(chmod(name, 0666), EPERM);
	CHECK_ERRNO(chown(name, 0, 0), EPERM);
	CHECK_ERRNO(access(name, W_OK), EACCES);
	CHECK_EQ(access(name, R_OK), 0);
	CHECK_EQ(set_low(BIT(CAP_FOWNER), BIT(CAP_FOWNER), 0), 0);
	CHECK_ERRNO(chown(name, -1, 0), EPERM); /* our group, but not our file */
	CHECK_ERRNO(open(name, O_RDONLY), EACCES);
	CHECK_EQ(chmod(name, 0666), 0);
	CHECK_EQ(close(open(name, O_RDWR)), 0);
	close(fd);
	CHECK_EQ(unlink(name), 0); /* a sticky folder, another's file */
}

/* Changes of the user ids, alone and with PR_SET_KEEPCAPS and secure bits. */
static void ids_and_sets(void)
{
	unsigned all = sets_of(0).permitted;

	CHECK_EQ(seteuid(1000), 0);
	CHECK_EQ(sets_of(0).effective, 0);
	CHECK_EQ(sets_of(0).permitted, all);
	CHECK_EQ(seteuid(0), 0);
	CHECK_EQ(sets_of(0).effective, all);
	setfsuid(1000);
	CHECK_EQ(sets_of(0).effective & BIT(CAP_DAC_OVERRIDE), 0);
	CHECK(sets_of(0).effective & BIT(CAP_SETUID));
	setfsuid(0);
	CHECK_EQ(sets_of(0).effective, all);
	CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
	CHECK_EQ(prctl(PR_SET_KEEPCAPS, 1), 0);
	CHECK_EQ(prctl(PR_GET_SECUREBITS), 0x10);
	CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
	CHECK_EQ(setresuid(1000, 1000, 1000), 0);
	CHECK_EQ(sets_of(0).permitted, all);
	CHECK_EQ(sets_of(0).effective, 0);
	CHECK_EQ(set_low(BIT(CAP_SETUID), BIT(CAP_SETUID), 0), 0);
	CHECK_EQ(setresuid(0, 0, 0), 0);
}

static void secure_bits(void)
{
	unsigned all = sets_of(0).permitted;

	CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0x100000), EPERM);
	CHECK_EQ(prctl(PR_SET_SECUREBITS, 0x0c), 0); /* no setuid fixup, locked */
	CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0x08), EPERM);
	CHECK_EQ(setresuid(1000, 1000, 1000), 0);
	CHECK_EQ(sets_of(0).effective, all);
	CHECK_EQ(prctl(PR_SET_SECUREBITS, 0x2c), 0);
	CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 1), EPERM);
	CHECK_EQ(set_low(all & ~BIT(CAP_SETPCAP), all & ~BIT(CAP_SETPCAP), 0), 0);
	CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0x2d), EPERM);
}

static void bounding_and_ambient(void)
{
	unsigned all = sets_of(0).permitted;

	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 1);
	CHECK_ERRNO(prctl(PR_CAPBSET_READ, 63), EINVAL);
	CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 63), EINVAL);
	CHECK_EQ(prctl(PR_CAPBSET_DROP, CAP_CHOWN), 0);
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
	CHECK_EQ(status_field("CapBnd:") & BIT(CAP_CHOWN), 0);
	CHECK_ERRNO(set_low(all, all, BIT(CAP_CHOWN)), EPERM);
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, 9, CAP_KILL, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, 2, 99, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, 2, CAP_KILL, 0, 0), EPERM); /* not inheritable */
	CHECK_EQ(set_low(all, all, BIT(CAP_KILL) | BIT(CAP_SETGID)), 0);
	CHECK_EQ(prctl(PR_CAP_AMBIENT, 2, CAP_KILL, 0, 0), 0);
	CHECK_EQ(prctl(PR_CAP_AMBIENT, 2, CAP_SETGID, 0, 0), 0);
	CHECK_EQ(prctl(PR_CAP_AMBIENT, 1, CAP_KILL, 0, 0), 1);
	CHECK_EQ(status_field("CapAmb:"), BIT(CAP_KILL) | BIT(CAP_SETGID));
	CHECK_EQ(prctl(PR_CAP_AMBIENT, 3, CAP_SETGID, 0, 0), 0);
	CHECK_EQ(set_low(all, all, 0), 0);
	CHECK_EQ(status_field("CapAmb:"), 0); /* follows the inheritable set */
	CHECK_EQ(prctl(PR_CAP_AMBIENT, 4, 0, 0, 0), 0);
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, 4, 1, 0, 0), EINVAL);
	CHECK_EQ(set_low(0, 0, 0), 0);
	CHECK_ERRNO(prctl(PR_CAPBSET_DROP, CAP_KILL), EPERM);
}

/* Over execve: root gets what the bounding set leaves, a user his ambient set. */
static void over_exec(void)
{
	char text[200];
	unsigned all = sets_of(0).permitted;

	CHECK_EQ(prctl(PR_CAPBSET_DROP, CAP_CHOWN), 0);
	CHECK_EQ(set_low(BIT(CAP_SETPCAP) | BIT(CAP_SETUID) | BIT(CAP_KILL),
			 BIT(CAP_SETPCAP) | BIT(CAP_SETUID), BIT(CAP_KILL)),
		 0);
	snprintf(text, sizeof(text), "%x %x", all & ~BIT(CAP_CHOWN), all & ~BIT(CAP_CHOWN));
	exec_self(text);
	CHECK_EQ(prctl(PR_CAP_AMBIENT, 2, CAP_KILL, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_SECUREBITS, 0x04), 0);
	CHECK_EQ(setresuid(1000, 1000, 1000), 0);
	snprintf(text, sizeof(text), "%x %x", BIT(CAP_KILL), BIT(CAP_KILL));
	exec_self(text);
}

/* PR_SET_NO_NEW_PRIVS: exec gives nothing that was given up, to root either. */
static void over_exec_without_new(void)
{
	char text[200];

	CHECK_EQ(set_low(BIT(CAP_KILL), 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	snprintf(text, sizeof(text), "%x %x", BIT(CAP_KILL), BIT(CAP_KILL));
	exec_self(text);
}

static void capability_sets(void)
{
	in_child(capset_rules);
	in_child(files_without);
	in_child(ids_and_sets);
	in_child(secure_bits);
	in_child(bounding_and_ambient);
	in_child(over_exec);
	in_child(over_exec_without_new);
}

static long look(pid_t pid, const char *what)
{
	char path[64], target[256];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	return readlink(path, target, sizeof(target));
}

static long open_of(pid_t pid, const char *what)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	fd = open(path, O_RDONLY);
	return fd < 0 ? fd : close(fd);
}

/* Without rights: what is open to all, and what is not, of root's process in root's folder. */
static void look_at_root(pid_t root)
{
	static const char *const links[] = {"cwd", "root", "exe"};
	struct rlimit limit;
	cpu_set_t cpus;

	for (int i = 0; i < 3; i++)
		CHECK_ERRNO(look(root, links[i]), EACCES);
	CHECK_ERRNO(open_of(root, "cwd/secret"), EACCES);
	CHECK_ERRNO(open_of(root, "maps"), EACCES);
	CHECK_ERRNO(open_of(root, "smaps"), EACCES);
	CHECK_ERRNO(open_of(root, "environ"), EACCES);
	CHECK_ERRNO(open_of(root, "fd/0"), EACCES);
	CHECK_EQ(open_of(root, "stat"), 0);
	CHECK_EQ(open_of(root, "cmdline"), 0);
	CHECK_EQ(open_of(getpid(), "maps"), 0);
	CHECK(look(getpid(), "cwd") > 0);
	CHECK_ERRNO(prlimit(root, RLIMIT_CORE, NULL, &limit), EPERM);
	CHECK_ERRNO(setpriority(PRIO_PROCESS, root, 5), EPERM);
	CHECK_EQ(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	CHECK_ERRNO(sched_setaffinity(root, sizeof(cpus), &cpus), EPERM);
}

/* Another process of its user looks at one that was root: `who` has what root left in it. */
static void look_at_former_root(pid_t who, bool allowed)
{
	struct rlimit limit;
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		check_failures = 0;
		if (allowed) {
			CHECK(look(who, "cwd") > 0);
			CHECK_EQ(open_of(who, "maps"), 0);
		} else {
			CHECK_ERRNO(look(who, "cwd"), EACCES);
			CHECK_ERRNO(open_of(who, "maps"), EACCES);
		}
		CHECK_EQ(prlimit(who, RLIMIT_CORE, NULL, &limit), 0); /* by the ids alone */
		fflush(stdout);
		_exit(check_failures != 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
}

static void become_user(void)
{
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
	CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
	CHECK_EQ(setresgid(1000, 1000, 1000), 0);
	CHECK_EQ(setresuid(1000, 1000, 1000), 0);
	CHECK(prctl(PR_GET_DUMPABLE) != 1);
}

/* Where everybody may write: no set-group-id for others' groups, no moving of others' folders. */
static void folders_of_others(void)
{
	struct stat st;
	int fd;

	CHECK_EQ(setgroups(0, NULL), 0);
	CHECK_EQ(setresgid(1000, 1000, 1000), 0);
	CHECK_EQ(setresuid(1000, 1000, 1000), 0);
	umask(0);
	fd = open("of-group/program", O_CREAT | O_WRONLY, 02755);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	CHECK(st.st_gid == 50 && !(st.st_mode & S_ISGID));
	close(fd);
	fd = open("of-group/data", O_CREAT | O_WRONLY, 02744);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	CHECK(st.st_gid == 50 && (st.st_mode & S_ISGID));
	CHECK_ERRNO(fsetxattr(fd, "security.test", "x", 1, 0), EPERM);
	close(fd);
	CHECK_EQ(mkdir("own", 0755), 0);
	CHECK_ERRNO(rename("of-root", "own/of-root"), EACCES);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "own/x", AT_FDCWD, "of-root", 2), ENOENT);
	CHECK_EQ(mkdir("own/x", 0755), 0);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "own/x", AT_FDCWD, "of-root", 2), EACCES);
	CHECK_EQ(rename("of-root", "by-another-name"), 0); /* it stays where it is */
	CHECK_EQ(rmdir("own/x") || rmdir("own") || unlink("of-group/program") ||
			 unlink("of-group/data"),
		 0);
}

static void shared_folders(void)
{
	char folder[] = "/tmp/shared-XXXXXX";

	REQUIRE(mkdtemp(folder) && chmod(folder, 0777) == 0 && chdir(folder) == 0);
	REQUIRE(mkdir("of-group", 0777) == 0 && chown("of-group", 0, 50) == 0 &&
		chmod("of-group", 02777) == 0);
	REQUIRE(mkdir("of-root", 0755) == 0);
	in_child(folders_of_others);
	CHECK(rmdir("by-another-name") == 0 && rmdir("of-group") == 0 && rmdir(folder) == 0);
}

static void other_users(void)
{
	char folder[] = "/tmp/private-XXXXXX";
	int status = -1, signo = -1;
	pid_t root = getpid(), pid;

	REQUIRE(mkdtemp(folder) && chdir(folder) == 0);
	CHECK_EQ(close(open("secret", O_CREAT | O_WRONLY, 0644)), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		check_failures = 0;
		become_user();
		CHECK_EQ(prctl(PR_GET_PDEATHSIG, &signo), 0);
		CHECK_EQ(signo, 0);
		look_at_root(root);
		look_at_former_root(getpid(), false);
		CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
		look_at_former_root(getpid(), true);
		fflush(stdout);
		_exit(check_failures != 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	CHECK(unlink("secret") == 0 && rmdir(folder) == 0);
}

static void group_ids(void)
{
	gid_t r, e, s;

	CHECK_EQ(setresgid(100, 101, 102), 0);
	CHECK_EQ(getresgid(&r, &e, &s), 0);
	CHECK(r == 100 && e == 101 && s == 102 && getgid() == 100 && getegid() == 101);
	CHECK_EQ(setfsgid(55), 101);
	CHECK_EQ(setfsgid(-1), 55);
	CHECK_EQ(setregid(-1, 100), 0);
	CHECK_EQ(getegid(), 100);
	CHECK_EQ(setgid(200), 0);
	CHECK_EQ(getresgid(&r, &e, &s), 0);
	CHECK(r == 200 && e == 200 && s == 200);
	CHECK_ERRNO(syscall(SYS_getresgid, 8, &e, &s), EFAULT);
}

static void user_ids(void)
{
	uid_t r, e, s;

	CHECK_EQ(setresuid(-1, 1000, 1001), 0);
	CHECK_EQ(getresuid(&r, &e, &s), 0);
	CHECK(r == 0 && e == 1000 && s == 1001 && geteuid() == 1000);
	CHECK_EQ(setfsuid(-1), 1000);
	CHECK_EQ(setfsuid(77), 1000);
	CHECK_EQ(setfsuid(-1), 1000);	   /* refused: no rights, none of ours */
	CHECK_EQ(setresuid(-1, 0, -1), 0); /* the real id is still root's */
	CHECK_EQ(setreuid(5, 6), 0);
	CHECK_EQ(getresuid(&r, &e, &s), 0);
	CHECK(r == 5 && e == 6 && s == 6);
	CHECK_ERRNO(setuid(0), EPERM);
	CHECK_ERRNO(setresuid(1, 2, 3), EPERM);
	CHECK_ERRNO(setreuid(9, -1), EPERM);
	CHECK_EQ(setuid(5), 0);
	CHECK_EQ(geteuid(), 5);
	CHECK_ERRNO(syscall(SYS_setuid, -1), EINVAL);
	CHECK_ERRNO(setgroups(0, NULL), EPERM);
	CHECK_ERRNO(setgid(1), EPERM);
}

/* A descriptor of others gives no right to give its file a name. */
static void passed_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	CHECK(fd >= 0);
	CHECK_EQ(linkat(fd, "", AT_FDCWD, "/tmp/of-root", AT_EMPTY_PATH), 0);
	CHECK_EQ(unlink("/tmp/of-root"), 0);
	CHECK_EQ(setresuid(1000, 1000, 1000), 0);
	CHECK_ERRNO(linkat(fd, "", AT_FDCWD, "/tmp/of-another", AT_EMPTY_PATH), ENOENT);
}

static void sessions(void)
{
	CHECK_ERRNO(setpgid(-1, 0), EINVAL);
	CHECK_ERRNO(setpgid(0, -1), EINVAL);
	CHECK_ERRNO(setpgid(999999, 0), ESRCH);
	CHECK_ERRNO(getsid(999999), ESRCH);
	CHECK(getsid(0) == getsid(getpid()));
	if (getpgrp() == getpid())
		CHECK_ERRNO(setsid(), EPERM);
	else
		CHECK_EQ(setsid(), getpid());
	CHECK_EQ(getpgrp(), getpid());
}

/* A server that opens what it needs as root, and gives that up then. */
static void own_folder(void)
{
	char path[40];
	struct stat st;
	DIR *held;
	int fd, more;

	snprintf(path, sizeof(path), "/proc/%d", getpid());
	held = opendir("/proc/self/fd");
	fd = open(path, O_RDONLY | O_DIRECTORY);
	CHECK(held && fd >= 0);
	CHECK(stat(path, &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	CHECK_EQ(setgid(1000), 0);
	CHECK_EQ(setuid(1000), 0);
	CHECK(stat(path, &st) == 0 && st.st_uid == 1000 && st.st_gid == 1000);
	CHECK(fstat(fd, &st) == 0 && st.st_uid == 1000);
	more = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	CHECK(more >= 0);
	close(more);
	close(fd);
	closedir(held);
}

/* With "sets" as first argument: are the permitted and effective sets those of the second? */
int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "sets")) {
		char text[200];

		snprintf(text, sizeof(text), "%x %x", sets_of(0).permitted, sets_of(0).effective);
		if (strcmp(text, argv[2]))
			printf("after exec: %s, not %s\n", text, argv[2]);
		return strcmp(text, argv[2]) != 0;
	}
	groups();
	capabilities();
	capability_sets();
	in_child(other_users);
	in_child(shared_folders);
	in_child(passed_file);
	in_child(own_folder);
	group_ids();
	user_ids();
	sessions();
	return check_failures != 0;
}
