/* SPDX-License-Identifier: Apache-2.0 */
/* poll, select and epoll at the border: sets of descriptors in, readiness out. */
#include "kernel/core/kmem.h"
#include "kernel/fs/anon/eventfd.h"
#include "kernel/mm/uaccess.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/restart.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/epoll.h"
#include "lib/base/string.h"

#define RLIMIT_NOFILE 7
#define NSEC	      1000000000ull

static u64 deadline_after(u64 ns)
{
	u64 now = clock_monotonic_ns();

	return ns == 0 ? 0 : ns > DEADLINE_NEVER - 1 - now ? DEADLINE_NEVER : now + ns;
}

static u64 deadline_ms(int ms)
{
	return ms < 0 ? DEADLINE_NEVER : deadline_after((u64)ms * 1000000);
}

/* A relative timespec, or none. */
static int deadline_from(const void __user *user, u64 *ret)
{
	struct abi_timespec t;

	*ret = DEADLINE_NEVER;
	if (!user)
		return 0;
	if (copy_from_user(&t, user, sizeof(t)))
		return -EFAULT;
	if (t.sec < 0 || t.nsec < 0 || t.nsec >= (s64)NSEC)
		return -EINVAL;
	*ret = t.sec > INT64_MAX / (s64)NSEC - 1 ? DEADLINE_NEVER
						 : deadline_after(t.sec * NSEC + t.nsec);
	return 0;
}

/* Linux tells what was left of the time. */
static void put_left(void __user *user, u64 deadline, u64 unit)
{
	u64 now = clock_monotonic_ns(), left = 0;
	s64 pair[2];

	if (!user || deadline == DEADLINE_NEVER)
		return;
	if (deadline > now)
		left = deadline - now;
	pair[0] = left / NSEC;
	pair[1] = left % NSEC / unit;
	if (copy_to_user(user, pair, sizeof(pair)))
		return; /* as Linux: the result counts, not this */
}

/* --- poll ---------------------------------------------------------------------------------- */

static long poll_items(struct abi_pollfd *fds, u32 count, u64 deadline)
{
	struct poll_item *items = kcalloc(MAX(count, 1u), sizeof(*items));
	u32 bad = 0;
	long ret;

	if (!items)
		return -ENOMEM;
	for (u32 i = 0; i < count; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < 0)
			continue;
		items[i].file = arg_file(fds[i].fd);
		items[i].events = (u16)fds[i].events;
		if (!items[i].file) {
			fds[i].revents = POLLNVAL;
			bad++;
		}
	}
	ret = poll_wait(items, count, bad ? 0 : deadline);
	for (u32 i = 0; i < count; i++) {
		if (!items[i].file)
			continue;
		fds[i].revents = items[i].revents;
		file_put(items[i].file);
	}
	kfree(items);
	if (bad && ret == -EINTR)
		ret = 0;
	return ret < 0 ? ret : ret + bad;
}

static long poll_user(void __user *user, u32 count, u64 deadline)
{
	struct abi_pollfd *fds;
	long ret;

	if (count > current_process()->limits[RLIMIT_NOFILE].soft || count > FD_MAX)
		return -EINVAL;
	fds = kmalloc(MAX(count, 1u) * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	if (copy_from_user(fds, user, count * sizeof(*fds))) {
		ret = -EFAULT;
	} else {
		ret = poll_items(fds, count, deadline);
		/* Only revents may be written: another thread may change the rest. */
		for (u32 i = 0; i < count && ret >= 0; i++) {
			void __user *at = (char __user *)user + i * sizeof(*fds) +
					  offsetof(struct abi_pollfd, revents);

			if (copy_to_user(at, &fds[i].revents, sizeof(fds[i].revents)))
				ret = -EFAULT;
		}
	}
	kfree(fds);
	return ret;
}

long sys_poll(void __user *fds, u32 count, int timeout_ms)
{
	long ret = poll_user(fds, count, deadline_ms(timeout_ms));

	if (ret == -EINTR && timeout_ms < 0)
		return -ERESTARTNOHAND;
	return ret;
}

long sys_ppoll(void __user *fds, u32 count, void __user *timeout, const void __user *sigmask,
	       u64 sigset_size)
{
	u64 deadline;
	long ret = deadline_from(timeout, &deadline);

	if (!ret)
		ret = signal_mask_push(sigmask, sigset_size);
	if (ret)
		return ret;
	ret = poll_user(fds, count, deadline);
	put_left(timeout, deadline, 1);
	if (ret == -EINTR)
		ret = -ERESTARTNOHAND;
	return signal_mask_pop(ret);
}

/* --- select -------------------------------------------------------------------------------- */

enum { SET_READ, SET_WRITE, SET_EXCEPT, SET_COUNT };

#define EPOLL_EVENTS_SPARE 64

#define IN_EVENTS	   (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define OUT_EVENTS	   (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)

static const u32 set_events[SET_COUNT] = {IN_EVENTS, OUT_EVENTS, POLLPRI};

struct select_sets {
	u64 *in[SET_COUNT]; /* words; results replace them */
	u32 words;
	int fds;
};

static bool has_bit(const u64 *set, int fd)
{
	return set[fd / 64] >> (fd % 64) & 1;
}

static long select_wait(struct select_sets *s, u64 deadline)
{
	struct poll_item *items = kcalloc(MAX(s->fds, 1), sizeof(*items));
	long ret = 0, bits = 0;

	if (!items)
		return -ENOMEM;
	for (int fd = 0; fd < s->fds && !ret; fd++) {
		u32 events = 0;

		for (u32 k = 0; k < SET_COUNT; k++)
			events |= has_bit(s->in[k], fd) ? set_events[k] : 0;
		if (!events)
			continue;
		items[fd].events = events;
		items[fd].file = arg_file(fd);
		if (!items[fd].file)
			ret = -EBADF;
	}
	if (!ret)
		ret = poll_wait(items, s->fds, deadline);
	for (int fd = 0; fd < s->fds; fd++) {
		for (u32 k = 0; k < SET_COUNT && ret >= 0; k++) {
			if (!has_bit(s->in[k], fd))
				continue;
			if (items[fd].revents & set_events[k])
				bits++;
			else
				s->in[k][fd / 64] &= ~(1ull << (fd % 64));
		}
		file_put(items[fd].file);
	}
	kfree(items);
	return ret < 0 ? ret : bits;
}

static long select_user(int fds, void __user *const users[SET_COUNT], u64 deadline)
{
	struct select_sets s = {.fds = MIN(fds, (int)FD_MAX)};
	size_t bytes;
	u64 *block;
	long ret = 0;

	if (fds < 0)
		return -EINVAL;
	s.words = (s.fds + 63) / 64;
	bytes = s.words * sizeof(u64);
	block = kzalloc(SET_COUNT * bytes + 8);
	if (!block)
		return -ENOMEM;
	for (u32 k = 0; k < SET_COUNT; k++) {
		s.in[k] = block + k * s.words;
		if (users[k] && copy_from_user(s.in[k], users[k], bytes))
			ret = -EFAULT;
	}
	if (!ret)
		ret = select_wait(&s, deadline);
	for (u32 k = 0; k < SET_COUNT && ret >= 0; k++) {
		if (users[k] && copy_to_user(users[k], s.in[k], bytes))
			ret = -EFAULT;
	}
	kfree(block);
	return ret;
}

long sys_select(int nfds, void __user *readfds, void __user *writefds, void __user *exceptfds,
		void __user *timeout)
{
	void __user *const sets[SET_COUNT] = {readfds, writefds, exceptfds};
	u64 deadline = DEADLINE_NEVER;
	struct abi_timeval tv;
	long ret;

	if (timeout) {
		if (copy_from_user(&tv, timeout, sizeof(tv)))
			return -EFAULT;
		if (tv.sec < 0 || tv.usec < 0)
			return -EINVAL;
		if (tv.sec < INT64_MAX / (s64)NSEC / 2 && tv.usec < INT64_MAX / 2000)
			deadline = deadline_after(tv.sec * NSEC + tv.usec * 1000);
	}
	ret = select_user(nfds, sets, deadline);
	put_left(timeout, deadline, 1000);
	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}

long sys_pselect6(int nfds, void __user *readfds, void __user *writefds, void __user *exceptfds,
		  void __user *timeout, const void __user *sigmask)
{
	void __user *const sets[SET_COUNT] = {readfds, writefds, exceptfds};
	u64 mask[2] = {0}; /* address and size of the set */
	u64 deadline;
	long ret = deadline_from(timeout, &deadline);

	if (!ret && sigmask && copy_from_user(mask, sigmask, sizeof(mask)))
		ret = -EFAULT;
	if (!ret)
		ret = signal_mask_push((const void __user *)mask[0], mask[1]);
	if (ret)
		return ret;
	ret = select_user(nfds, sets, deadline);
	put_left(timeout, deadline, 1);
	if (ret == -EINTR)
		ret = -ERESTARTNOHAND;
	return signal_mask_pop(ret);
}

/* --- epoll --------------------------------------------------------------------------------- */

long sys_epoll_create1(int flags)
{
	struct file *f;
	int err;

	if (flags & ~EPOLL_CLOEXEC)
		return -EINVAL;
	err = epoll_new(0, &f);
	return err ? err : fd_publish(f, flags & EPOLL_CLOEXEC);
}

long sys_epoll_create(int size)
{
	return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

long sys_epoll_ctl(int epfd, int op, int fd, const void __user *user)
{
	struct abi_epoll_event event = {0};
	struct file *ep, *f;
	long ret = -EBADF;

	if (op != EPOLL_CTL_DEL && copy_from_user(&event, user, sizeof(event)))
		return -EFAULT;
	ep = arg_file(epfd);
	f = arg_file(fd);
	if (ep && f)
		ret = epoll_ctl(ep, op, fd, f, &event);
	file_put(f);
	file_put(ep);
	return ret;
}

static long epoll_wait_user(int epfd, void __user *user, int count, u64 deadline)
{
	struct abi_epoll_event *events;
	struct file *ep;
	long ret;

	if (count <= 0 || (u64)count > INT32_MAX / sizeof(*events))
		return -EINVAL;
	ep = arg_file(epfd);
	if (!ep)
		return -EBADF;
	/* About as many as it watches; what is added meanwhile is told of by the next call. */
	count = (int)MIN((u32)count, epoll_item_count(ep) + EPOLL_EVENTS_SPARE);
	events = kmalloc(count * sizeof(*events));
	ret = events ? epoll_wait(ep, events, count, deadline) : -ENOMEM;
	if (ret > 0 && copy_to_user(user, events, ret * sizeof(*events)))
		ret = -EFAULT;
	kfree(events);
	file_put(ep);
	return ret;
}

long sys_epoll_wait(int epfd, void __user *events, int count, int timeout_ms)
{
	return epoll_wait_user(epfd, events, count, deadline_ms(timeout_ms));
}

long sys_epoll_pwait(int epfd, void __user *events, int count, int timeout_ms,
		     const void __user *sigmask, u64 sigset_size)
{
	long ret = signal_mask_push(sigmask, sigset_size);

	if (ret)
		return ret;
	return signal_mask_pop(epoll_wait_user(epfd, events, count, deadline_ms(timeout_ms)));
}

long sys_epoll_pwait2(int epfd, void __user *events, int count, const void __user *timeout,
		      const void __user *sigmask, u64 sigset_size)
{
	u64 deadline;
	long ret = deadline_from(timeout, &deadline);

	if (!ret)
		ret = signal_mask_push(sigmask, sigset_size);
	if (ret)
		return ret;
	return signal_mask_pop(epoll_wait_user(epfd, events, count, deadline));
}

/* --- eventfd ------------------------------------------------------------------------------- */

long sys_eventfd2(u32 count, int flags)
{
	struct file *f;
	int err;

	if (flags & ~(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC))
		return -EINVAL;
	err = eventfd_new(count, flags, &f);
	return err ? err : fd_publish(f, flags & EFD_CLOEXEC);
}

long sys_eventfd(u32 count)
{
	return sys_eventfd2(count, 0);
}
