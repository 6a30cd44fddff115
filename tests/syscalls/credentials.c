/* SPDX-License-Identifier: Apache-2.0 */
/* User and group ids, capabilities, sessions. Ends without root's rights: the order matters. */
#include "check.h"

#include <grp.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
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

CHECK_MAIN(groups, capabilities, group_ids, user_ids, sessions)
