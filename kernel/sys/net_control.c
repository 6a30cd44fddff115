/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list is copied once, whole; its headers are walked in the copy with every length checked
 * against what is left. A process may claim no identity but its own, unless it is root.
 */
#include "kernel/sys/net_control.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/sys/fs_args.h"
#include "lib/base/string.h"

#define CONTROL_MAX   20480u /* Linux's net.core.optmem_max */
#define CMSG_ALIGN(n) (((n) + 7) & ~7ull)
#define NOBODY	      65534u
#define RLIMIT_NOFILE 7

static int add_files(struct net_control *c, const u8 *data, u64 size)
{
	u64 count = size / sizeof(s32);

	if (c->file_count + count > SCM_RIGHTS_MAX)
		return -EINVAL;
	for (u64 i = 0; i < count; i++) {
		struct file *f;
		s32 fd;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		f = arg_file_any(fd);
		if (!f)
			return -EBADF;
		c->files[c->file_count++] = f;
	}
	return 0;
}

static int add_cred(struct net_control *c, const u8 *data, u64 size)
{
	const struct process *p = current_process();
	const struct credentials *own = &p->cred;
	struct abi_ucred cred;

	if (size != sizeof(cred))
		return -EINVAL;
	memcpy(&cred, data, sizeof(cred));
	if ((cred.pid != p->pid && !credentials_capable(own, CAP_SYS_ADMIN)) ||
	    (cred.uid != own->uid && cred.uid != own->euid && cred.uid != own->suid &&
	     !credentials_capable(own, CAP_SETUID)) ||
	    (cred.gid != own->gid && cred.gid != own->egid && cred.gid != own->sgid &&
	     !credentials_capable(own, CAP_SETGID)))
		return -EPERM;
	c->cred = cred;
	c->has_cred = true;
	return 0;
}

static int parse(struct net_control *c, const u8 *list, u64 size)
{
	struct abi_cmsghdr h;
	u64 at = 0;

	while (size - at >= sizeof(h)) {
		int err = 0;

		memcpy(&h, list + at, sizeof(h));
		if (h.size < sizeof(h) || h.size > size - at)
			return -EINVAL;
		if (h.level == SOL_SOCKET && h.type == SCM_RIGHTS)
			err = add_files(c, list + at + sizeof(h), h.size - sizeof(h));
		else if (h.level == SOL_SOCKET && h.type == SCM_CREDENTIALS)
			err = add_cred(c, list + at + sizeof(h), h.size - sizeof(h));
		else if (h.level == SOL_SOCKET)
			err = -EINVAL;
		if (err)
			return err;
		if (CMSG_ALIGN(h.size) > size - at)
			break;
		at += CMSG_ALIGN(h.size);
	}
	return 0;
}

int control_from_user(struct socket *s, const struct abi_msghdr *h, struct net_control **ret)
{
	struct net_control *c;
	u8 *list;
	int err;

	if (h->control_size > CONTROL_MAX)
		return -ENOBUFS;
	if (s->family != AF_UNIX)
		return -EOPNOTSUPP; /* none of theirs is obeyed */
	list = kmalloc(h->control_size);
	c = net_control_new(MIN(h->control_size / sizeof(s32), (u64)SCM_RIGHTS_MAX));
	err = !list || !c ? -ENOMEM : 0;
	if (!err && copy_from_user(list, (const void __user *)h->control, h->control_size))
		err = -EFAULT;
	if (!err)
		err = parse(c, list, h->control_size);
	if (!err)
		err = net_control_charge(c, current_process()->limits[RLIMIT_NOFILE].soft);
	kfree(list);
	if (err || (!c->file_count && !c->has_cred)) {
		net_control_free(c);
		return err;
	}
	*ret = c;
	return 0;
}

/* Where the next control message goes. */
struct writer {
	u8 __user *at;
	u64 left;
	u64 used;
	u32 flags;
};

static int put_head(struct writer *w, u64 size, int type)
{
	struct abi_cmsghdr h = {sizeof(h) + size, SOL_SOCKET, type};

	return copy_to_user(w->at, &h, sizeof(h));
}

static void advance(struct writer *w, u64 size)
{
	u64 step = MIN(CMSG_ALIGN(sizeof(struct abi_cmsghdr) + size), w->left);

	w->at += step;
	w->left -= step;
	w->used += step;
}

static int put_cred(struct writer *w, const struct abi_ucred *cred)
{
	u64 size = sizeof(*cred);

	if (w->left < sizeof(struct abi_cmsghdr)) {
		w->flags |= MSG_CTRUNC;
		return 0;
	}
	if (w->left - sizeof(struct abi_cmsghdr) < size) {
		size = w->left - sizeof(struct abi_cmsghdr);
		w->flags |= MSG_CTRUNC;
	}
	if (put_head(w, size, SCM_CREDENTIALS) ||
	    copy_to_user(w->at + sizeof(struct abi_cmsghdr), cred, size))
		return -EFAULT;
	advance(w, size);
	return 0;
}

static int put_files(struct writer *w, struct net_control *c, bool cloexec)
{
	u64 room = w->left > sizeof(struct abi_cmsghdr)
			   ? (w->left - sizeof(struct abi_cmsghdr)) / sizeof(s32)
			   : 0;
	u64 count = MIN(room, (u64)c->file_count), done = 0;
	u8 __user *numbers = w->at + sizeof(struct abi_cmsghdr);

	for (; done < count; done++) {
		s32 fd = fd_install(current_files(), c->files[done], 0, cloexec);

		if (fd < 0)
			break;
		/* The table has the reference now; the slot must not be put again. */
		c->files[done] = NULL;
		/* The buffer need not be aligned. */
		if (copy_to_user(numbers + done * sizeof(s32), &fd, sizeof(fd)))
			return fd_close(current_files(), fd) ? -EBADF : -EFAULT;
	}
	if (done < c->file_count)
		w->flags |= MSG_CTRUNC;
	if (!done)
		return 0;
	if (put_head(w, done * sizeof(s32), SCM_RIGHTS))
		return -EFAULT;
	advance(w, done * sizeof(s32));
	return 0;
}

int control_to_user(struct socket *s, struct abi_msghdr *h, struct net_message *m, bool cloexec)
{
	struct abi_ucred unknown = {0, NOBODY, NOBODY};
	struct writer w = {(u8 __user *)h->control, h->control ? h->control_size : 0, 0, 0};
	int err = 0;

	if (s->passes_cred)
		err = put_cred(&w,
			       m->control && m->control->has_cred ? &m->control->cred : &unknown);
	if (!err && m->control && m->control->file_count)
		err = put_files(&w, m->control, cloexec);
	h->control_size = w.used;
	h->flags |= w.flags;
	return err;
}
