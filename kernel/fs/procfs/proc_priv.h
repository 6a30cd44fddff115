/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the parts of procfs. */
#pragma once

#include "kernel/fs/procfs/procfs.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/file_ops.h"

/* A text that grows while it is written, up to PROC_TEXT_MAX; then it is cut and marked. */
#define PROC_TEXT_MAX MIB(4)

struct proc_text {
	char *bytes;
	size_t len, room;
	bool failed;
};
void proc_add(struct proc_text *t, const char *format, ...) __printf(2, 3);
void proc_add_bytes(struct proc_text *t, const void *bytes, size_t size);

enum proc_kind { PROC_DIR, PROC_TEXT, PROC_LINK };

/* Which numbers a directory lists besides its entries. */
enum proc_numbers { NUMBERS_NONE, NUMBERS_PROCESSES, NUMBERS_THREADS, NUMBERS_FDS };

struct proc_node;

struct proc_entry {
	const char *name;
	u16 mode; /* permissions */
	enum proc_kind kind;
	const struct proc_entry *children; /* directories; ends with a NULL name */
	enum proc_numbers numbers;
	const struct proc_entry *number_entry; /* what a number is */
	/* Of a process's directory: only for those who may look into the process. */
	bool is_private;
	/* Texts; p is NULL outside a process's directory, else counted. 0 or -errno. */
	int (*render)(struct proc_text *t, struct process *p, struct proc_node *n);
	/*
	 * What was written, as a string: a hostile one. p is counted, and the open file's reader. 0
	 * or -errno. NULL: nobody may write.
	 */
	int (*store)(struct process *p, struct proc_node *n, const char *text);
	/* Links: the text, and (jump) the object. */
	long (*read_link)(struct process *p, struct proc_node *n, char *buf, size_t size);
	int (*jump)(struct process *p, struct proc_node *n, struct dentry **ret);
};

struct proc_node {
	struct vnode v;
	const struct proc_entry *entry;
	s32 pid;      /* 0: not of a process */
	s32 number;   /* thread or descriptor */
	u64 start_ns; /* of the process: numbers come again */
};

static inline struct proc_node *proc_of(struct vnode *v)
{
	return container_of(v, struct proc_node, v);
}

extern const struct proc_entry proc_root_entry;	   /* system.c */
extern const struct proc_entry proc_process_entry; /* process.c */
int proc_text_open(struct file *f);		   /* text.c */
/*
 * Locks p->exec_lock for a caller that may look into the process: a link of /proc leads past
 * folders that he may not search. With the lock, because what the process becomes by exec may be
 * another user's. -EACCES.
 */
int __must_check proc_lock_private(struct process *p);
int proc_render_mounts(struct proc_text *t, struct process *p, struct proc_node *n);
int proc_render_mountinfo(struct proc_text *t, struct process *p, struct proc_node *n);

extern const struct proc_entry proc_fd_link, proc_fdinfo_text; /* fd.c: what a descriptor is */
extern const struct proc_entry proc_net_children[];	       /* net.c */
/* sysvipc.c: the folder's contents, and limits in /proc/sys/kernel. */
extern const struct proc_entry proc_sysvipc_children[];
int proc_render_sem_limits(struct proc_text *t, struct process *p, struct proc_node *n);
int proc_render_msgmax(struct proc_text *t, struct process *p, struct proc_node *n);
int proc_render_msgmnb(struct proc_text *t, struct process *p, struct proc_node *n);
int proc_render_ipc_objects(struct proc_text *t, struct process *p, struct proc_node *n);
int proc_render_shm_max(struct proc_text *t, struct process *p, struct proc_node *n);
