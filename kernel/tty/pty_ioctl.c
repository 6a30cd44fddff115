// SPDX-License-Identifier: Apache-2.0
/*
 * What programs ask of a pair. Modes and size belong to the pair and can be asked for at either
 * end; what is input to one end is output of the other. TIOCSTI is refused, as Linux does unless
 * told otherwise: nobody types for others.
 */
#include "abi/errno.h"
#include "abi/ioctl.h"
#include "abi/signal.h"
#include "kernel/fs/devpts/devpts.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/tty/pty_priv.h"
#include "lib/base/string.h"

static long give(u64 to, const void *from, size_t size)
{
	return copy_to_user((void __user *)to, from, size) ? -EFAULT : 0;
}

static long give_number(u64 to, u32 value)
{
	return give(to, &value, sizeof(value));
}

static long take_number(u64 from, u32 *ret)
{
	return copy_from_user(ret, (const void __user *)from, sizeof(*ret)) ? -EFAULT : 0;
}

/* --- modes --------------------------------------------------------------------------------- */

static long get_modes(struct pty *p, u64 arg, bool with_speeds)
{
	struct abi_termios2 t = {.ispeed = 38400, .ospeed = 38400};

	pty_lock(p);
	t.termios = p->ld.termios;
	mutex_unlock(&p->lock);
	return give(arg, &t, with_speeds ? sizeof(t) : sizeof(t.termios));
}

static long set_modes(struct pty *p, u64 arg, bool flushes)
{
	struct abi_termios t;

	if (copy_from_user(&t, (const void __user *)arg, sizeof(t)))
		return -EFAULT;
	pty_lock(p);
	if (flushes) {
		p->typed.fill = 0;
		ldisc_flush_input(&p->ld);
	}
	ldisc_set_termios(&p->ld, &t);
	pty_feed(p);
	pty_unlock(p, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
		   POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
	return 0;
}

static long get_size(struct pty *p, u64 arg)
{
	struct abi_winsize size;

	pty_lock(p);
	size = p->size;
	mutex_unlock(&p->lock);
	return give(arg, &size, sizeof(size));
}

static long set_size(struct pty *p, u64 arg)
{
	struct abi_winsize size;
	bool is_new;

	if (copy_from_user(&size, (const void __user *)arg, sizeof(size)))
		return -EFAULT;
	pty_lock(p);
	is_new = memcmp(&p->size, &size, sizeof(size)) != 0;
	p->size = size;
	mutex_unlock(&p->lock);
	if (is_new)
		(void)tty_signal(&p->tty, SIGWINCH);
	return 0;
}

/* --- flow ---------------------------------------------------------------------------------- */

static void flush_typed(struct pty *p)
{
	p->typed.fill = 0;
	ldisc_flush_input(&p->ld);
}

static long flush(struct pty *p, u64 which, bool is_master)
{
	bool input = which == TCIFLUSH || which == TCIOFLUSH;
	bool output = which == TCOFLUSH || which == TCIOFLUSH;

	if (which > TCIOFLUSH)
		return -EINVAL;
	pty_lock(p);
	if (is_master ? output : input)
		flush_typed(p);
	if (is_master ? input : output)
		ldisc_flush_output(&p->ld);
	pty_unlock(p, POLLOUT | POLLWRNORM, POLLOUT | POLLWRNORM);
	return 0;
}

static long control_flow(struct pty *p, u64 what)
{
	if (what > TCION)
		return -EINVAL;
	pty_lock(p);
	if (what == TCOOFF) {
		ldisc_stop(&p->ld);
		p->ld.is_stopped_by_call = true;
	} else if (what == TCOON) {
		if (p->ld.is_stopped_by_call) {
			p->ld.is_stopped_by_call = false;
			ldisc_start(&p->ld);
		}
	} else {
		u8 key = p->ld.termios.cc[what == TCIOFF ? VSTOP : VSTART];

		if (key)
			ldisc_put_raw(&p->ld, key);
	}
	pty_unlock(p, POLLIN | POLLRDNORM, POLLOUT | POLLWRNORM);
	return 0;
}

static long input_size(struct pty *p, u64 arg, bool is_master)
{
	u32 size;

	pty_lock(p);
	size = is_master ? p->ld.output.fill : ldisc_input_size(&p->ld);
	mutex_unlock(&p->lock);
	return give_number(arg, size);
}

/* --- job control --------------------------------------------------------------------------- */

static long get_group(struct pty *p, u64 arg, bool is_master)
{
	s32 pgid = 0;
	long ret = 0;

	if (is_master)
		pgid = tty_foreground(&p->tty);
	else
		ret = tty_get_foreground(&p->tty, &pgid);
	return ret ? ret : give_number(arg, (u32)pgid);
}

static long get_session(struct pty *p, u64 arg, bool is_master)
{
	s32 sid = 0;
	long ret = 0;

	if (is_master)
		sid = tty_session(&p->tty);
	else
		ret = tty_get_session(&p->tty, &sid);
	if (!ret && !sid)
		ret = -ENOTTY;
	return ret ? ret : give_number(arg, (u32)sid);
}

static long set_group(struct pty *p, u64 arg)
{
	u32 pgid;
	long ret = take_number(arg, &pgid);

	return ret ? ret : tty_set_foreground(&p->tty, (s32)pgid);
}

static long set_exclusive(struct pty *p, bool on)
{
	pty_lock(p);
	p->is_exclusive = on;
	mutex_unlock(&p->lock);
	return 0;
}

/* In the background these stop the group that tries. */
static bool needs_foreground(u32 command)
{
	switch (command) {
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
	case TCSBRK:
	case TCSBRKP:
	case TCXONC:
	case TCFLSH:
	case TIOCSETD: return true;
	default: return false;
	}
}

static long common_ioctl(struct pty *p, u32 command, u64 arg, bool is_master)
{
	u32 number;
	long ret = needs_foreground(command) ? tty_check_change(&p->tty) : 0;

	if (ret)
		return ret;
	switch (command) {
	case TCGETS: return get_modes(p, arg, false);
	case TCGETS2: return get_modes(p, arg, true);
	case TCSETS:
	case TCSETSW:
	case TCSETS2:
	case TCSETSW2: return set_modes(p, arg, false);
	case TCSETSF:
	case TCSETSF2: return set_modes(p, arg, true);
	case TIOCGWINSZ: return get_size(p, arg);
	case TIOCSWINSZ: return set_size(p, arg);
	case TCSBRK:
	case TCSBRKP: return 0; /* what was written is at the other end; no line to break */
	case TCXONC: return control_flow(p, arg);
	case TCFLSH: return flush(p, arg, is_master);
	case FIONREAD: return input_size(p, arg, is_master);
	case TIOCOUTQ: return give_number(arg, 0); /* likewise */
	case TIOCGPGRP: return get_group(p, arg, is_master);
	case TIOCSPGRP: return set_group(p, arg);
	case TIOCGSID: return get_session(p, arg, is_master);
	case TIOCSCTTY: return tty_set_controlling(&p->tty, arg == 1);
	case TIOCNOTTY: return is_master ? -ENOTTY : tty_give_up(&p->tty);
	case TIOCGETD: return give_number(arg, 0);
	case TIOCSETD: ret = take_number(arg, &number); return ret || !number ? ret : -EINVAL;
	case TIOCEXCL: return set_exclusive(p, true);
	case TIOCNXCL: return set_exclusive(p, false);
	case TIOCGEXCL: return give_number(arg, p->is_exclusive);
	case TIOCGDEV: return give_number(arg, is_master ? 5 << 8 | 2 : p->tty.device);
	case TIOCSTI: return -EIO;
	default: return -ENOTTY;
	}
}

/* --- the two ends -------------------------------------------------------------------------- */

static long set_packet(struct pty *p, u64 arg)
{
	u32 on;
	long ret = take_number(arg, &on);

	if (ret)
		return ret;
	pty_lock(p);
	if (on && !p->is_packet)
		p->packet_news = 0;
	p->is_packet = on != 0;
	if (!on)
		p->packet_news = 0;
	pty_unlock(p, 0, 0);
	return 0;
}

static long set_locked(struct pty *p, u64 arg)
{
	u32 on;
	long ret = take_number(arg, &on);

	if (ret)
		return ret;
	pty_lock(p);
	p->is_locked = on != 0;
	mutex_unlock(&p->lock);
	return 0;
}

static long open_peer(struct pty *p, u64 flags)
{
	struct process *self = current_process();
	struct file *f;
	int fd, err = devpts_open_peer(p->index, (u32)flags, &f);

	if (err)
		return err;
	fd = fd_install(self->files, f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

static long send_signal(struct pty *p, u64 signo)
{
	if (signo != SIGINT && signo != SIGQUIT && signo != SIGTSTP)
		return -EINVAL;
	(void)tty_signal(&p->tty, (int)signo);
	return 0;
}

long pty_master_ioctl(struct file *f, u32 command, u64 arg)
{
	struct pty *p = f->priv;

	switch (command) {
	case TIOCGPTN: return give_number(arg, p->index);
	case TIOCSPTLCK: return set_locked(p, arg);
	case TIOCGPTLCK: return give_number(arg, p->is_locked);
	case TIOCPKT: return set_packet(p, arg);
	case TIOCGPKT: return give_number(arg, p->is_packet);
	case TIOCGPTPEER: return open_peer(p, arg);
	case TIOCSIG: return send_signal(p, arg);
	default: return common_ioctl(p, command, arg, true);
	}
}

long pty_slave_ioctl(struct file *f, u32 command, u64 arg)
{
	struct pty *p = f->priv;

	if (__atomic_load_n(&p->ready, __ATOMIC_ACQUIRE) & PTY_HUNG_UP)
		return command == TIOCSPGRP ? -ENOTTY : -EIO;
	return common_ioctl(p, command, arg, false);
}
