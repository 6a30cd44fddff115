// SPDX-License-Identifier: Apache-2.0
/*
 * Pseudo terminals. What the master writes goes through the line discipline to the slave's
 * readers, what the slave writes goes through its other half to the master. Where the discipline
 * has no room, typed bytes wait in a ring, then the master does.
 *
 * One mutex per pair covers all its state. Conditions of blocked calls are bits of `ready`, which
 * is renewed before every unlocking; signals and wakes follow the unlocking. The struct tty inside
 * counts references: of open files, of the name's vnode, of processes whose terminal it is. A name
 * is there until the master closes, its number is taken until the last reference goes.
 */
#include "kernel/tty/pty.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/sys/restart.h"
#include "kernel/time/clock.h"
#include "kernel/tty/pty_priv.h"
#include "kernel/vfs/walk.h"
#include "lib/base/string.h"

#define TYPED_MAX     8192u
#define NAME_GID      5 /* tty, as Debian mounts devpts */
#define NAME_MODE     (S_IFCHR | 0620)
#define NS_PER_VTIME  100000000ull
#define NS_PER_SECOND 1000000000ull
#define ANY_EVENT     (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLPRI | POLLHUP | POLLERR)

static struct spinlock table_lock = SPINLOCK_INIT(LOCK_TTY_TABLE);
static struct pty *table[PTY_MAX]; /* table_lock */

static const struct file_ops master_ops, slave_ops;

static s64 now_seconds(void)
{
	return (s64)(clock_realtime_ns() / NS_PER_SECOND);
}

/* --- lock and news ------------------------------------------------------------------------- */

void pty_lock(struct pty *p)
{
	mutex_lock(&p->lock);
}

static u32 ready_now(const struct pty *p)
{
	return (ldisc_has_input(&p->ld, false) ? PTY_SLAVE_READS : 0) |
	       (ldisc_can_write(&p->ld) ? PTY_SLAVE_WRITES : 0) |
	       (p->ld.output.fill || p->packet_news ? PTY_MASTER_READS : 0) |
	       (p->typed.fill < TYPED_MAX ? PTY_MASTER_WRITES : 0) |
	       (p->is_hung_up ? PTY_HUNG_UP : 0) | (p->had_slave && !p->slaves ? PTY_ALONE : 0);
}

void pty_unlock(struct pty *p, u32 master_events, u32 slave_events)
{
	u32 signals = p->ld.signals;

	if (p->ld.news && p->is_packet) {
		p->packet_news |= p->ld.news;
		master_events |= POLLIN | POLLRDNORM | POLLPRI;
	}
	p->ld.news = 0;
	p->ld.signals = 0;
	__atomic_store_n(&p->ready, ready_now(p), __ATOMIC_RELEASE);
	mutex_unlock(&p->lock);
	while (signals) {
		int signo = __builtin_ctz(signals);

		(void)tty_signal(&p->tty, signo);
		signals &= signals - 1;
	}
	if (master_events)
		pollq_wake(&p->master_queue, master_events);
	if (slave_events)
		pollq_wake(&p->slave_queue, slave_events);
}

static bool is_ready(const struct pty *p, u32 bits)
{
	return __atomic_load_n(&p->ready, __ATOMIC_ACQUIRE) & bits;
}

void pty_feed(struct pty *p)
{
	u8 bytes[256];

	while (p->typed.fill) {
		u32 room = MIN(ldisc_room(&p->ld), (u32)sizeof(bytes));
		struct uio uio = uio_kernel(bytes, room);
		long count = room ? byte_ring_get(&p->typed, &uio, room) : 0;

		if (count <= 0)
			break;
		ldisc_receive(&p->ld, bytes, (u32)count);
	}
}

/* --- the pair ------------------------------------------------------------------------------ */

static void pty_free(struct tty *t)
{
	struct pty *p = container_of(t, struct pty, tty);

	spin_lock(&table_lock);
	table[p->index] = NULL;
	spin_unlock(&table_lock);
	pollq_fini(&p->master_queue);
	pollq_fini(&p->slave_queue);
	ldisc_fini(&p->ld);
	byte_ring_fini(&p->typed);
	kfree(p);
}

u64 pty_device(u32 index)
{
	return MKDEV(PTY_DEVICE + index / 256, index % 256);
}

static int take_number(struct pty *p)
{
	int err = -ENOSPC;

	spin_lock(&table_lock);
	for (u32 i = 0; i < PTY_MAX; i++) {
		if (table[i])
			continue;
		table[i] = p;
		p->index = i;
		p->is_named = true;
		err = 0;
		break;
	}
	spin_unlock(&table_lock);
	return err;
}

static int pty_new(struct pty **ret)
{
	struct pty *p = kzalloc(sizeof(*p));
	u32 gid;
	int err;

	if (!p)
		return -ENOMEM;
	tty_init(&p->tty, pty_free);
	mutex_init(&p->lock, LOCK_TTY);
	pollq_init(&p->master_queue);
	pollq_init(&p->slave_queue);
	ldisc_init(&p->ld);
	p->is_locked = true;
	p->mode = NAME_MODE;
	vfs_caller_ids(&p->uid, &gid);
	p->gid = NAME_GID;
	p->created = p->read = p->written = now_seconds();
	p->ready = ready_now(p);
	err = take_number(p);
	if (err) {
		kfree(p);
		return err;
	}
	p->tty.device = (u32)pty_device(p->index);
	*ret = p;
	return 0;
}

int pty_open_master(struct file *f)
{
	struct pty *p;
	int err = pty_new(&p);

	if (err)
		return err;
	f->ops = &master_ops;
	f->priv = p;
	return 0;
}

struct pty *pty_lookup(u32 index)
{
	struct pty *p = NULL;

	spin_lock(&table_lock);
	/* As long as it has a name its master has a reference. */
	if (index < PTY_MAX && table[index] && table[index]->is_named) {
		p = table[index];
		tty_get(&p->tty);
	}
	spin_unlock(&table_lock);
	return p;
}

void pty_put(struct pty *p)
{
	tty_put(&p->tty);
}

s32 pty_next(u32 index)
{
	s32 found = -1;

	spin_lock(&table_lock);
	for (; index < PTY_MAX && found < 0; index++) {
		if (table[index] && table[index]->is_named)
			found = (s32)index;
	}
	spin_unlock(&table_lock);
	return found;
}

void pty_attributes(struct pty *p, struct pty_attributes *ret)
{
	mutex_lock(&p->lock);
	*ret = (struct pty_attributes){
		.index = p->index,
		.mode = p->mode,
		.uid = p->uid,
		.gid = p->gid,
		.created = p->created,
		.read = p->read,
		.written = p->written,
	};
	mutex_unlock(&p->lock);
}

void pty_set_attributes(struct pty *p, u32 mode, u32 uid, u32 gid)
{
	mutex_lock(&p->lock);
	p->mode = S_IFCHR | (mode & 07777);
	p->uid = uid;
	p->gid = gid;
	mutex_unlock(&p->lock);
}

/* --- the master ---------------------------------------------------------------------------- */

/* Lock held. Bytes given, 0: nothing is there. */
static long give_master(struct pty *p, struct uio *uio)
{
	u8 head = p->packet_news;

	if (p->is_packet && (head || p->ld.output.fill)) {
		long ret = uio_copy_out(uio, &head, 1);

		if (ret)
			return ret;
		p->packet_news = 0;
		if (!head && uio->left)
			ret = byte_ring_get(&p->ld.output, uio, UINT32_MAX);
		return ret < 0 ? ret : ret + 1;
	}
	return byte_ring_get(&p->ld.output, uio, UINT32_MAX);
}

static long master_read(struct file *f, struct uio *uio, u64 offset)
{
	struct pty *p = f->priv;
	long ret;

	if (!uio->left)
		return 0;
	for (;;) {
		bool is_alone;

		pty_lock(p);
		ret = give_master(p, uio);
		is_alone = p->had_slave && !p->slaves;
		pty_unlock(p, 0, ret > 0 ? POLLOUT | POLLWRNORM : 0);
		if (ret)
			return ret;
		if (is_alone)
			return -EIO;
		if (file_is_nonblocking(f))
			return -EAGAIN;
		if (wait_event(&p->master_queue.threads, is_ready(p, PTY_MASTER_READS | PTY_ALONE),
			       DEADLINE_NEVER, true))
			return -ERESTARTSYS;
	}
}

static long master_write(struct file *f, struct uio *uio, u64 *offset)
{
	struct pty *p = f->priv;
	long done = 0, ret;

	while (uio->left) {
		pty_lock(p);
		ret = p->typed.fill < TYPED_MAX ? byte_ring_put(&p->typed, uio, TYPED_MAX) : 0;
		pty_feed(p);
		/* Echo for the master; input, and with ^Q or ^C room for output, for the slave. */
		pty_unlock(p, POLLIN | POLLRDNORM, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
		if (ret < 0)
			return done ? done : ret;
		done += ret;
		if (uio->left && thread_has_work(current_thread()))
			return done ? done : -ERESTARTSYS;
		if (!uio->left || is_ready(p, PTY_MASTER_WRITES))
			continue;
		if (file_is_nonblocking(f))
			return done ? done : -EAGAIN;
		if (wait_event(&p->master_queue.threads, is_ready(p, PTY_MASTER_WRITES),
			       DEADLINE_NEVER, true))
			return done ? done : -ERESTARTSYS;
	}
	return done;
}

static u32 master_poll(struct file *f, struct poll_table *pt)
{
	struct pty *p = f->priv;
	u32 events = 0;

	poll_listen(pt, &p->master_queue);
	pty_lock(p);
	if (p->ld.output.fill || p->packet_news)
		events |= POLLIN | POLLRDNORM;
	if (p->packet_news)
		events |= POLLPRI;
	if (p->typed.fill < TYPED_MAX)
		events |= POLLOUT | POLLWRNORM;
	if (p->had_slave && !p->slaves)
		events |= POLLHUP;
	mutex_unlock(&p->lock);
	return events;
}

static void master_release(struct file *f)
{
	struct pty *p = f->priv;

	spin_lock(&table_lock);
	p->is_named = false;
	spin_unlock(&table_lock);
	pty_lock(p);
	p->is_hung_up = true;
	p->typed.fill = 0;
	ldisc_flush_input(&p->ld);
	pty_unlock(p, 0, ANY_EVENT);
	tty_hangup(&p->tty);
	pty_put(p);
}

static u64 master_data_size(struct file *f)
{
	struct pty *p = f->priv;

	return __atomic_load_n(&p->ld.output.fill, __ATOMIC_RELAXED);
}

static const struct file_ops master_ops = {
	.is_stream = true,
	.release = master_release,
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = pty_master_ioctl,
	.data_size = master_data_size,
};

/* --- the slave ----------------------------------------------------------------------------- */

static int slave_attach(struct pty *p, struct file *f)
{
	int err = 0;

	pty_lock(p);
	if (p->is_locked || p->is_hung_up)
		err = -EIO;
	else if (p->is_exclusive && p->slaves && !vfs_caller_capable(CAP_SYS_ADMIN))
		err = -EBUSY;
	if (!err) {
		p->slaves++;
		p->had_slave = true;
	}
	pty_unlock(p, 0, 0);
	if (err)
		return err;
	tty_get(&p->tty);
	f->ops = &slave_ops;
	f->priv = p;
	return 0;
}

int pty_open_slave(struct pty *p, struct file *f)
{
	int err = slave_attach(p, f);

	if (!err && !(f->flags & O_NOCTTY) && file_can_read(f))
		tty_adopt(&p->tty);
	return err;
}

int pty_open_controlling(struct tty *t, struct file *f)
{
	return slave_attach(container_of(t, struct pty, tty), f);
}

static void slave_release(struct file *f)
{
	struct pty *p = f->priv;
	bool is_last;

	pty_lock(p);
	is_last = --p->slaves == 0;
	if (is_last)
		p->is_exclusive = false;
	pty_unlock(p, is_last ? POLLIN | POLLHUP : 0, 0);
	if (is_last && !is_ready(p, PTY_HUNG_UP))
		tty_abandon(&p->tty);
	pty_put(p);
}

/* How long a read waits: VMIN and VTIME, as they are when it begins. */
struct patience {
	long least;  /* bytes, then it returns */
	u64 between; /* ns that may pass after a byte; 0: any */
	u64 deadline;
	bool is_polling; /* does not wait at all */
};

static void patience_init(struct patience *w, const struct ldisc *ld)
{
	u64 time = ld->termios.cc[VTIME] * NS_PER_VTIME;

	*w = (struct patience){.least = 1, .deadline = DEADLINE_NEVER};
	if (ldisc_is_canonical(ld))
		return;
	if (ld->termios.cc[VMIN]) {
		w->least = ld->termios.cc[VMIN];
		w->between = time;
	} else if (time) {
		w->deadline = clock_monotonic_ns() + time;
	} else {
		w->is_polling = true;
	}
}

enum step { STEP_WAIT, STEP_AGAIN, STEP_DONE };

/* Takes what is there. *done grows, or is an error when it was 0. */
static enum step slave_take(struct pty *p, struct uio *uio, struct patience *w, long *done)
{
	enum step step = STEP_AGAIN;
	bool has_input;
	long ret;

	pty_lock(p);
	has_input = !p->is_hung_up && ldisc_has_input(&p->ld, false);
	if (!has_input) {
		step = p->is_hung_up ? STEP_DONE : STEP_WAIT;
		mutex_unlock(&p->lock);
		return step;
	}
	ret = ldisc_read(&p->ld, uio);
	if (ret >= 0)
		*done += ret;
	else if (!*done)
		*done = ret;
	if (ret < 0 || ldisc_is_canonical(&p->ld) || !uio->left || *done >= w->least)
		step = STEP_DONE;
	p->read = now_seconds();
	pty_feed(p);
	/* What was fed may be for other readers, or start output again; the master gets its echo */
	pty_unlock(p, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
		   POLLOUT | POLLWRNORM |
			   (ldisc_has_input(&p->ld, false) ? POLLIN | POLLRDNORM : 0));
	return step;
}

static long slave_read(struct file *f, struct uio *uio, u64 offset)
{
	struct pty *p = f->priv;
	struct patience w;
	long done = 0, ret;

	if (!uio->left || is_ready(p, PTY_HUNG_UP))
		return 0;
	ret = tty_check_read(&p->tty);
	if (ret)
		return ret;
	pty_lock(p);
	patience_init(&w, &p->ld);
	mutex_unlock(&p->lock);
	for (;;) {
		enum step step = slave_take(p, uio, &w, &done);

		if (step == STEP_DONE)
			return done;
		if (step == STEP_AGAIN) {
			if (w.between)
				w.deadline = clock_monotonic_ns() + w.between;
			continue;
		}
		if (w.is_polling)
			return done;
		if (file_is_nonblocking(f))
			return done ? done : -EAGAIN;
		ret = wait_event(&p->slave_queue.threads,
				 is_ready(p, PTY_SLAVE_READS | PTY_HUNG_UP), w.deadline, true);
		if (ret == -ETIMEDOUT)
			w.is_polling = true;
		else if (ret)
			return done ? done : -ERESTARTSYS;
	}
}

static long slave_write(struct file *f, struct uio *uio, u64 *offset)
{
	struct pty *p = f->priv;
	long done = 0, ret;
	bool stops_background, is_hung_up;

	pty_lock(p);
	stops_background = p->ld.termios.lflag & TOSTOP;
	mutex_unlock(&p->lock);
	ret = stops_background ? tty_check_change(&p->tty) : 0;
	if (ret)
		return ret;
	do {
		pty_lock(p);
		is_hung_up = p->is_hung_up;
		ret = is_hung_up ? -EIO : ldisc_write(&p->ld, uio);
		p->written = now_seconds();
		pty_unlock(p, ret > 0 ? POLLIN | POLLRDNORM : 0, 0);
		if (ret < 0)
			return done ? done : ret;
		done += ret;
		if (!uio->left || is_ready(p, PTY_SLAVE_WRITES))
			continue;
		if (file_is_nonblocking(f))
			return done ? done : -EAGAIN;
		if (wait_event(&p->slave_queue.threads, is_ready(p, PTY_SLAVE_WRITES | PTY_HUNG_UP),
			       DEADLINE_NEVER, true))
			return done ? done : -ERESTARTSYS;
	} while (uio->left);
	return done;
}

static u32 slave_poll(struct file *f, struct poll_table *pt)
{
	struct pty *p = f->priv;
	u32 events = 0;

	poll_listen(pt, &p->slave_queue);
	pty_lock(p);
	if (p->is_hung_up)
		events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;
	if (ldisc_has_input(&p->ld, true))
		events |= POLLIN | POLLRDNORM;
	if (ldisc_can_write(&p->ld))
		events |= POLLOUT | POLLWRNORM;
	mutex_unlock(&p->lock);
	return events;
}

static const struct file_ops slave_ops = {
	.is_stream = true,
	.release = slave_release,
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.ioctl = pty_slave_ioctl,
};
