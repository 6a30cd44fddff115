/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/fd and fdinfo. */
#include "abi/errno.h"
#include "kernel/fs/procfs/proc_priv.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/fd_table.h"
#include "kernel/vfs/mount.h"

static int fd_file(struct process *p, s32 fd, struct file **ret)
{
	int err = proc_lock_private(p);

	if (err)
		return err;
	*ret = p->files ? fd_lookup(p->files, fd) : NULL;
	mutex_unlock(&p->exec_lock);
	return *ret ? 0 : -ENOENT;
}

static long fd_read_link(struct process *p, struct proc_node *n, char *buf, size_t size)
{
	struct file *f;
	long ret = fd_file(p, n->number, &f);

	if (ret)
		return ret;
	ret = file_path(f, buf, size);
	file_put(f);
	return ret;
}

static int fd_jump(struct process *p, struct proc_node *n, struct dentry **ret)
{
	struct file *f;
	int err = fd_file(p, n->number, &f);

	if (err)
		return err;
	*ret = dentry_get(f->dentry);
	file_put(f);
	return 0;
}

static int render_fdinfo(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct file *f;
	char extra[256] = "";
	size_t len = 0;
	int err = fd_file(p, n->number, &f);

	if (err)
		return err;
	proc_add(t, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n",
		 (unsigned long long)f->pos, f->flags | O_LARGEFILE, f->dentry->mount->id,
		 (unsigned long long)f->vnode->key);
	if (f->ops->describe) {
		f->ops->describe(f, extra, sizeof(extra), &len);
		proc_add_bytes(t, extra, len);
	}
	file_put(f);
	return 0;
}

const struct proc_entry proc_fd_link = {
	.mode = 0700, .kind = PROC_LINK, .read_link = fd_read_link, .jump = fd_jump};
const struct proc_entry proc_fdinfo_text = {
	.mode = 0400, .kind = PROC_TEXT, .is_private = true, .render = render_fdinfo};
