/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of /proc. A text is made when its file is first read and stays with the open file, so that
 * a reader in small steps sees one state; reading from the start again makes a new one.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/procfs/proc_priv.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

void proc_add_bytes(struct proc_text *t, const void *bytes, size_t size)
{
	if (t->failed)
		return;
	if (size > t->room - t->len) {
		size_t room = MAX(t->room * 2, ALIGN_UP(t->len + size, PAGE_SIZE));
		char *grown = room <= PROC_TEXT_MAX ? krealloc(t->bytes, room) : NULL;

		if (!grown) {
			t->failed = true;
			return;
		}
		t->bytes = grown;
		t->room = room;
	}
	memcpy(t->bytes + t->len, bytes, size);
	t->len += size;
}

void proc_add(struct proc_text *t, const char *format, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, format);
	len = fmt_vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	proc_add_bytes(t, line, MIN((size_t)len, sizeof(line) - 1));
}

static int make_text(struct file *f, struct proc_text *t)
{
	struct proc_node *n = proc_of(f->vnode);
	struct process *p = n->pid ? process_lookup(n->pid) : NULL;
	int err;

	if (n->pid && !p)
		return -ESRCH;
	err = n->entry->render(t, p, n);
	if (p)
		process_put(p);
	return !err && t->failed ? -ENOMEM : err;
}

static long text_read(struct file *f, struct uio *uio, u64 offset)
{
	struct proc_text *t = f->priv;
	size_t part;
	int err;

	if (!offset || !t->bytes) {
		struct proc_text fresh = {0};

		err = make_text(f, &fresh);
		if (err) {
			kfree(fresh.bytes);
			return err;
		}
		kfree(t->bytes);
		*t = fresh;
	}
	if (offset >= t->len)
		return 0;
	part = MIN(uio->left, t->len - offset);
	return uio_copy_out(uio, t->bytes + offset, part) ? -EFAULT : (long)part;
}

#define STORE_MAX 128

/* One write is one value; more than any value is long is not looked at, as on Linux. */
static long text_write(struct file *f, struct uio *uio, u64 *offset)
{
	struct proc_node *n = proc_of(f->vnode);
	char text[STORE_MAX] = {0};
	size_t size = uio->left;
	struct process *p;
	int err;

	if (uio_copy_in(uio, text, MIN(size, sizeof(text) - 1)))
		return -EFAULT;
	p = n->pid ? process_lookup(n->pid) : NULL;
	if (!p)
		return -ESRCH;
	err = n->entry->store(p, n, text);
	process_put(p);
	return err ? err : (long)size;
}

static void text_release(struct file *f)
{
	struct proc_text *t = f->priv;

	kfree(t->bytes);
	kfree(t);
}

static int text_sync(struct file *f, bool data_only)
{
	return -EINVAL;
}

static const struct file_ops text_ops = {
	.release = text_release,
	.read = text_read,
	.write = text_write,
	.seek = vnode_file_seek,
	.sync = text_sync,
};

/* Asked at each reading as well: it may be another process's descriptor, or a set-user-ID program by then. */
static int check_private(const struct proc_node *n)
{
	struct process *p = process_lookup(n->pid);
	int err;

	if (!p)
		return -ESRCH;
	err = proc_lock_private(p);
	if (!err)
		mutex_unlock(&p->exec_lock);
	process_put(p);
	return err;
}

int proc_text_open(struct file *f)
{
	const struct proc_node *n = proc_of(f->vnode);
	int err = n->entry->is_private ? check_private(n) : 0;

	if (err)
		return err;
	if (file_can_write(f) && !n->entry->store)
		return -EACCES;
	f->priv = kzalloc(sizeof(struct proc_text));
	if (!f->priv)
		return -ENOMEM;
	f->ops = &text_ops;
	return 0;
}
