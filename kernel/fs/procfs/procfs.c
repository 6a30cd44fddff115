/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of /proc: static tables of entries, and directories whose names are numbers
 * (processes, threads, descriptors). Names are asked for each time, since processes come and go.
 */
#include "kernel/fs/procfs/procfs.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/procfs/proc_priv.h"
#include "kernel/vfs/fd_table.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

static const struct vnode_ops proc_ops;
static const struct vnode_ops proc_jump_ops;

static u64 key_of(const struct proc_entry *e, s32 pid, s32 number)
{
	/* Entries lie side by side: mixed before the next part, or e ^ pid would meet another's. */
	u64 h = (u64)e * 0x9e3779b97f4a7c15ull;

	h = ((h ^ h >> 29) + (u32)pid) * 0xbf58476d1ce4e5b9ull;
	h = ((h ^ h >> 32) + (u32)number) * 0x94d049bb133111ebull;
	return (h ^ h >> 31) | 1;
}

static void describe_process(struct proc_node *n, u32 *uid, u32 *gid)
{
	struct process *p = n->pid ? process_lookup(n->pid) : NULL;

	*uid = p ? p->cred.euid : 0;
	*gid = p ? p->cred.egid : 0;
	n->start_ns = p ? p->start_ns : 0;
	if (p)
		process_put(p);
}

/* A process changes its ids while somebody has its folder. */
static void renew_owner(struct vnode *v)
{
	const struct proc_node *n = proc_of(v);
	struct process *p = n->pid ? process_lookup(n->pid) : NULL;

	if (p && p->start_ns == n->start_ns) {
		__atomic_store_n(&v->uid, p->cred.euid, __ATOMIC_RELAXED);
		__atomic_store_n(&v->gid, p->cred.egid, __ATOMIC_RELAXED);
	}
	if (p)
		process_put(p);
}

static int node_get(struct filesystem *fs, const struct proc_entry *e, s32 pid, s32 number,
		    struct vnode **ret)
{
	static const u32 types[] = {S_IFDIR, S_IFREG, S_IFLNK};
	u64 key = key_of(e, pid, number);
	struct vnode *v = vnode_find(fs, key), *other;
	struct proc_node *n;
	u32 uid, gid;

	if (v) {
		renew_owner(v);
		*ret = v;
		return 0;
	}
	n = kzalloc(sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->pid = pid;
	describe_process(n, &uid, &gid);
	vnode_init(&n->v, fs, e->jump ? &proc_jump_ops : &proc_ops, key, types[e->kind] | e->mode,
		   uid, gid);
	n->entry = e;
	n->number = number;
	other = vnode_insert(&n->v);
	if (other != &n->v)
		kfree(n);
	*ret = other;
	return 0;
}

int procfs_process_of(struct file *f, struct process **ret)
{
	struct proc_node *n = proc_of(f->vnode);
	struct process *p;

	if (f->vnode->ops != &proc_ops || n->entry != &proc_process_entry || (f->flags & O_PATH))
		return -EBADF;
	p = process_lookup(n->pid);
	/* The number may be another's by now. */
	if (p && p->start_ns != n->start_ns) {
		process_put(p);
		p = NULL;
	}
	if (!p)
		return -ESRCH;
	*ret = p;
	return 0;
}

static void proc_release(struct vnode *v)
{
	kfree(proc_of(v));
}

static int proc_getattr(struct vnode *v, struct vattr *ret)
{
	renew_owner(v);
	ret->ino = v->key;
	ret->mode = v->mode;
	ret->uid = v->uid;
	ret->gid = v->gid;
	ret->nlink = S_ISDIR(v->mode) ? 2 : 1;
	ret->size = S_ISLNK(v->mode) ? 64 : 0;
	ret->blksize = 1024;
	vtime_now(&ret->mtime);
	ret->atime = ret->ctime = ret->btime = ret->mtime;
	return 0;
}

static int proc_setattr(struct vnode *v, const struct vattr *a, u32 set)
{
	return -EPERM;
}

/* Opening with O_TRUNC is asked of what may be written, and means nothing. */
static int proc_truncate(struct vnode *v, u64 size)
{
	const struct proc_entry *e = proc_of(v)->entry;

	return e->kind == PROC_TEXT && e->store ? 0 : -EACCES;
}

/* A decimal number without leading zeros, or -1. */
static s32 parse_number(struct vfs_name name)
{
	s64 value = 0;

	if (!name.len || name.len > 9 || (name.text[0] == '0' && name.len > 1))
		return -1;
	for (size_t i = 0; i < name.len; i++) {
		if (name.text[i] < '0' || name.text[i] > '9')
			return -1;
		value = value * 10 + (name.text[i] - '0');
	}
	return value;
}

/* Does the number exist in this directory now? Sets pid and number of the child. */
static bool number_exists(const struct proc_node *dir, s32 number, s32 *pid, s32 *child)
{
	struct process *p = NULL;
	struct thread *t;
	struct file *f;
	bool ok = false;

	*pid = dir->pid;
	*child = number;
	switch (dir->entry->numbers) {
	case NUMBERS_PROCESSES:
		p = number > 0 ? process_lookup(number) : NULL;
		ok = p != NULL;
		*pid = number;
		*child = 0;
		break;
	case NUMBERS_THREADS:
		t = number > 0 ? thread_lookup(number) : NULL;
		ok = t && t->process->pid == dir->pid;
		if (t)
			thread_put(t);
		break;
	case NUMBERS_FDS:
		p = process_lookup(dir->pid);
		if (!p)
			break;
		mutex_lock(&p->exec_lock);
		f = p->files ? fd_lookup(p->files, number) : NULL;
		mutex_unlock(&p->exec_lock);
		ok = f != NULL;
		file_put(f);
		break;
	default: break;
	}
	if (p)
		process_put(p);
	return ok;
}

static int proc_lookup(struct vnode *v, struct vfs_name name, struct vnode **ret)
{
	struct proc_node *dir = proc_of(v);
	const struct proc_entry *e = dir->entry->children;
	s32 number = parse_number(name), pid, child;

	for (; e && e->name; e++) {
		if (strlen(e->name) == name.len && !memcmp(e->name, name.text, name.len))
			return node_get(v->fs, e, dir->pid, dir->number, ret);
	}
	if (number < 0 || !number_exists(dir, number, &pid, &child))
		return -ENOENT;
	return node_get(v->fs, dir->entry->number_entry, pid, child, ret);
}

/* --- listing ------------------------------------------------------------------------------- */

#define COOKIE_ENTRIES 3u	  /* after "." and ".." */
#define COOKIE_NUMBERS (1u << 16) /* number n has the cookie COOKIE_NUMBERS + n + 1 */

struct number_list {
	struct dir_sink *sink;
	const struct proc_node *dir;
	s64 after; /* numbers up to this one were listed */
};

static int list_number(struct number_list *l, s32 number)
{
	const struct proc_entry *e = l->dir->entry->number_entry;
	bool is_process = l->dir->entry->numbers == NUMBERS_PROCESSES;
	static const u8 types[] = {DT_DIR, DT_REG, DT_LNK};
	char text[16];
	int len;

	if (number <= l->after)
		return 0;
	len = fmt_snprintf(text, sizeof(text), "%d", number);
	return l->sink->add(l->sink, text, len,
			    key_of(e, is_process ? number : l->dir->pid, is_process ? 0 : number),
			    types[e->kind], COOKIE_NUMBERS + number + 1);
}

static int visit_process(struct process *p, void *arg)
{
	return p->pid > 0 ? list_number(arg, p->pid) : 0;
}

static void list_threads(struct number_list *l, struct process *p)
{
	s32 tids[64];

	/* In portions of ascending ids, so that the lock is never held over the sink. */
	for (;;) {
		u32 count = 0;
		struct thread *t;

		process_lock(p);
		list_for_each_entry (t, &p->threads, process_node) {
			u32 i;

			if (t->tid <= l->after)
				continue;
			if (count == ARRAY_SIZE(tids) && t->tid >= tids[count - 1])
				continue;
			count -= count == ARRAY_SIZE(tids);
			for (i = count++; i > 0 && tids[i - 1] > t->tid; i--)
				tids[i] = tids[i - 1];
			tids[i] = t->tid;
		}
		process_unlock(p);
		for (u32 i = 0; i < count; i++) {
			if (list_number(l, tids[i]))
				return;
			l->after = tids[i];
		}
		if (!count)
			return;
	}
}

static void list_fds(struct number_list *l, struct process *p)
{
	mutex_lock(&p->exec_lock);
	for (int fd = p->files ? fd_next(p->files, l->after + 1) : -1; fd >= 0;
	     fd = fd_next(p->files, fd + 1)) {
		if (list_number(l, fd))
			break;
	}
	mutex_unlock(&p->exec_lock);
}

static void list_numbers(const struct proc_node *dir, u64 cookie, struct dir_sink *sink)
{
	struct number_list l = {sink, dir,
				cookie > COOKIE_NUMBERS ? (s64)(cookie - COOKIE_NUMBERS - 1) : -1};
	struct process *p;

	if (dir->entry->numbers == NUMBERS_PROCESSES) {
		if (process_for_each(visit_process, &l))
			return;
		return;
	}
	p = process_lookup(dir->pid);
	if (!p)
		return;
	if (dir->entry->numbers == NUMBERS_THREADS)
		list_threads(&l, p);
	else
		list_fds(&l, p);
	process_put(p);
}

static int proc_readdir(struct vnode *v, u64 cookie, struct dir_sink *sink)
{
	static const u8 types[] = {DT_DIR, DT_REG, DT_LNK};
	struct proc_node *dir = proc_of(v);
	const struct proc_entry *e = dir->entry->children;
	u64 at = COOKIE_ENTRIES;

	if (cookie < 1 && sink->add(sink, ".", 1, v->key, DT_DIR, 1))
		return 0;
	if (cookie < 2 && sink->add(sink, "..", 2, v->key, DT_DIR, 2))
		return 0;
	for (; e && e->name; e++, at++) {
		if (at <= cookie)
			continue;
		if (sink->add(sink, e->name, strlen(e->name), key_of(e, dir->pid, dir->number),
			      types[e->kind], at))
			return 0;
	}
	if (dir->entry->numbers != NUMBERS_NONE)
		list_numbers(dir, cookie, sink);
	return 0;
}

/* --- links, opening ------------------------------------------------------------------------ */

static long proc_readlink(struct vnode *v, char *buf, size_t size)
{
	struct proc_node *n = proc_of(v);
	struct process *p = n->pid ? process_lookup(n->pid) : NULL;
	long ret;

	if (n->pid && !p)
		return -ENOENT;
	ret = n->entry->read_link(p, n, buf, size);
	if (p)
		process_put(p);
	return ret;
}

static int proc_jump(struct vnode *v, struct dentry **ret)
{
	struct proc_node *n = proc_of(v);
	struct process *p = process_lookup(n->pid);
	int err;

	if (!p)
		return -ENOENT;
	err = n->entry->jump(p, n, ret);
	process_put(p);
	return err;
}

static int proc_open(struct vnode *v, struct file *f)
{
	return proc_of(v)->entry->kind == PROC_TEXT ? proc_text_open(f) : 0;
}

#define PROC_OPS                                                                                   \
	.release = proc_release, .getattr = proc_getattr, .setattr = proc_setattr,                 \
	.truncate = proc_truncate, .lookup = proc_lookup, .readdir = proc_readdir,                 \
	.readlink = proc_readlink, .open = proc_open

static const struct vnode_ops proc_ops = {PROC_OPS};
static const struct vnode_ops proc_jump_ops = {PROC_OPS, .jump = proc_jump};

static int proc_shutdown(struct filesystem *fs)
{
	vnode_put(fs->root);
	kfree(fs);
	return 0;
}

int procfs_new(struct filesystem **ret)
{
	static const struct fs_ops ops = {.shutdown = proc_shutdown};
	struct filesystem *fs = kzalloc(sizeof(*fs));
	int err;

	if (!fs)
		return -ENOMEM;
	fs_init(fs, &ops, "proc", "proc", PROC_SUPER_MAGIC, FS_NOEXEC | FS_NOSUID | FS_NODEV);
	err = node_get(fs, &proc_root_entry, 0, 0, &fs->root);
	if (err) {
		kfree(fs);
		return err;
	}
	*ret = fs;
	return 0;
}
