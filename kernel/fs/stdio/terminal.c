/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioctls of terminals. Only the commands listed here reach the host, each with a buffer of the
 * size it has; TIOCSTI and all others are -ENOTTY. The foreground process group is kept inside,
 * because the host does not know our processes.
 */
#include "kernel/fs/stdio/terminal.h"

#include "abi/errno.h"
#include "abi/ioctl.h"
#include "edge/hostcall_gen.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"

#define BUFFER_SIZE 64

static s32 terminal_fd = -1; /* atomic */
static s32 foreground_group; /* atomic; 0: whoever asks */

bool terminal_probe(s32 host_fd)
{
	u8 buf[BUFFER_SIZE] = {0};

	return host_fd_ioctl(host_fd, TCGETS, buf, ABI_TERMIOS_SIZE) >= 0;
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
	s64 ret = host_fd_ioctl(fd, command, buf, size);

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
	ret = host_fd_ioctl(fd, command, buf, size);
	return ret < 0 ? ret : 0;
}

static long set_foreground(u64 arg)
{
	u32 group;

	if (get_user_u32(&group, (const void __user *)arg))
		return -EFAULT;
	if ((s32)group < 0)
		return -EINVAL;
	__atomic_store_n(&foreground_group, (s32)group, __ATOMIC_RELAXED);
	return 0;
}

static long get_foreground(u64 arg)
{
	s32 group = __atomic_load_n(&foreground_group, __ATOMIC_RELAXED);

	if (!group)
		group = current_process()->pgid;
	return put_user_u32((void __user *)arg, group);
}

long terminal_ioctl(s32 fd, u32 command, u64 arg)
{
	switch (command) {
	case TCGETS: return get_from_host(fd, command, arg, ABI_TERMIOS_SIZE);
	case TCSETS:
	case TCSETSW:
	case TCSETSF: return put_to_host(fd, command, arg, ABI_TERMIOS_SIZE);
	case TIOCGWINSZ: return get_from_host(fd, command, arg, ABI_WINSIZE_SIZE);
	case TIOCSWINSZ: return put_to_host(fd, command, arg, ABI_WINSIZE_SIZE);
	case FIONREAD: return get_from_host(fd, command, arg, 4);
	case TIOCGPGRP: return get_foreground(arg);
	case TIOCSPGRP: return set_foreground(arg);
	case TIOCGSID: return put_user_u32((void __user *)arg, current_process()->sid);
	case TCXONC:
	case TCFLSH:
	case TCSBRK: {
		/* The argument is a number, not a pointer; the PAL hands it over by value. */
		u8 number[8] = {arg & 3};
		s64 ret = host_fd_ioctl(fd, command, number, sizeof(number));

		return ret < 0 ? ret : 0;
	}
	default: return -ENOTTY;
	}
}
