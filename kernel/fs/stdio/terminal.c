/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioctls of terminals. Only the commands listed here reach the host, each with a buffer of the
 * size it has; TIOCSTI and all others are -ENOTTY. Job control (kernel/proc/tty.h) stays inside,
 * because the host does not know our processes.
 */
#include "kernel/fs/stdio/terminal.h"

#include "abi/errno.h"
#include "abi/ioctl.h"
#include "edge/hostcall_gen.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/proc/tty.h"
#include "kernel/sys/restart.h"

#define BUFFER_SIZE 64

static s32 terminal_fd = -1; /* atomic */

/* A kick without work, such as one that came late, is nothing that a program should hear of. */
static s64 ask_host(s32 fd, u32 command, u8 *buf, size_t size)
{
	s64 ret;

	do {
		ret = host_fd_ioctl(fd, command, buf, size);
	} while (ret == -EINTR && !thread_was_kicked(current_thread()));
	return ret == -EINTR ? -ERESTARTSYS : ret;
}

bool terminal_probe(s32 host_fd)
{
	u8 buf[BUFFER_SIZE] = {0};
	s64 ret;

	do {
		ret = host_fd_ioctl(host_fd, TCGETS, buf, ABI_TERMIOS_SIZE);
	} while (ret == -EINTR);
	return ret >= 0;
}

void terminal_remember(s32 host_fd)
{
	s32 none = -1;

	__atomic_compare_exchange_n(&terminal_fd, &none, host_fd, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

bool terminal_recall(s32 *ret_host_fd)
{
	*ret_host_fd = __atomic_load_n(&terminal_fd, __ATOMIC_RELAXED);
	return *ret_host_fd >= 0;
}

static long get_from_host(s32 fd, u32 command, u64 arg, size_t size)
{
	u8 buf[BUFFER_SIZE] = {0};
	s64 ret = ask_host(fd, command, buf, size);

	if (ret < 0)
		return ret;
	return copy_to_user((void __user *)arg, buf, size) ? -EFAULT : 0;
}

static long put_to_host(s32 fd, u32 command, u64 arg, size_t size)
{
	u8 buf[BUFFER_SIZE] = {0};
	s64 ret;

	if (copy_from_user(buf, (const void __user *)arg, size))
		return -EFAULT;
	ret = ask_host(fd, command, buf, size);
	return ret < 0 ? ret : 0;
}

/* The host's terminal is the one of the caller's session, or it is none of its business. */
static struct tty *own_terminal(void)
{
	struct tty *t = tty_of_current();

	if (t && t->is_host)
		return t;
	tty_put(t);
	return NULL;
}

static long job_control(u32 command, u64 arg)
{
	struct tty *t = own_terminal();
	s32 value = 0;
	u32 wanted;
	long ret = t ? 0 : -ENOTTY;

	if (!ret && command == TIOCGPGRP)
		ret = tty_get_foreground(t, &value);
	else if (!ret && command == TIOCGSID)
		ret = tty_get_session(t, &value);
	else if (!ret && command == TIOCNOTTY)
		ret = tty_give_up(t);
	else if (!ret && command == TIOCSCTTY)
		ret = tty_set_controlling(t, arg == 1);
	else if (!ret)
		ret = get_user_u32(&wanted, (const void __user *)arg);
	if (!ret && command == TIOCSPGRP)
		ret = tty_set_foreground(t, (s32)wanted);
	else if (!ret && (command == TIOCGPGRP || command == TIOCGSID))
		ret = put_user_u32((void __user *)arg, (u32)value);
	tty_put(t);
	return ret;
}

/* In the background a change of the terminal stops the group that attempts it. */
static long check_change(void)
{
	struct tty *t = own_terminal();
	long ret = t ? tty_check_change(t) : 0;

	tty_put(t);
	return ret;
}

/*
 * Reading nothing asks the host the same: in the background there its terminal stops the whole
 * instance now, and not when something is typed.
 */
long terminal_check_read(s32 fd)
{
	struct tty *t = own_terminal();
	long ret = t ? tty_check_read(t) : 0;
	u8 nothing;

	tty_put(t);
	if (!ret)
		ret = host_fd_read(fd, &nothing, 0);
	return ret == -EAGAIN ? 0 : ret;
}

static long put_checked(s32 fd, u32 command, u64 arg, size_t size)
{
	long err = check_change();

	return err ? err : put_to_host(fd, command, arg, size);
}

long terminal_ioctl(s32 fd, u32 command, u64 arg)
{
	switch (command) {
	case TCGETS: return get_from_host(fd, command, arg, ABI_TERMIOS_SIZE);
	case TCSETS:
	case TCSETSW:
	case TCSETSF: return put_checked(fd, command, arg, ABI_TERMIOS_SIZE);
	case TIOCGWINSZ: return get_from_host(fd, command, arg, ABI_WINSIZE_SIZE);
	case TIOCSWINSZ: return put_to_host(fd, command, arg, ABI_WINSIZE_SIZE);
	case FIONREAD: return get_from_host(fd, command, arg, 4);
	case TIOCGPGRP:
	case TIOCSPGRP:
	case TIOCGSID:
	case TIOCSCTTY:
	case TIOCNOTTY: return job_control(command, arg);
	case TCXONC:
	case TCFLSH:
	case TCSBRK: {
		/* The argument is a number, not a pointer; the PAL hands it over by value. */
		u8 number[8] = {arg & 3};
		s64 ret = check_change();

		if (!ret)
			ret = ask_host(fd, command, number, sizeof(number));
		return ret < 0 ? ret : 0;
	}
	default: return -ENOTTY;
	}
}
