// SPDX-License-Identifier: Apache-2.0
/* /proc/sysvipc: all objects of System V IPC, whoever may use them. */
#include "kernel/fs/procfs/proc_priv.h"
#include "kernel/ipc/msg.h"
#include "kernel/ipc/sem.h"
#include "kernel/ipc/shm.h"

static int render_shm(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t,
		 "       key      shmid perms                  size  cpid  lpid nattch   uid   gid"
		 "  cuid  cgid      atime      dtime      ctime                   rss"
		 "                  swap\n");
	for (s32 i = 0; i < IPC_OBJECTS_MAX; i++) {
		struct abi_shmid_ds ds;
		long id = shm_stat(i, IPC_STAT_INDEX_ANY, &ds);

		if (id < 0)
			continue;
		proc_add(t, "%10d %10ld  %4o %21llu %5d %5d  %5llu ", ds.perm.key, id, ds.perm.mode,
			 (unsigned long long)ds.size, ds.creator_pid, ds.last_pid,
			 (unsigned long long)ds.attach_count);
		proc_add(t, "%5u %5u %5u %5u %10lld %10lld %10lld %21llu %21u\n", ds.perm.uid,
			 ds.perm.gid, ds.perm.cuid, ds.perm.cgid, (long long)ds.atime,
			 (long long)ds.dtime, (long long)ds.ctime, (unsigned long long)ds.size, 0);
	}
	return 0;
}

static int render_sem(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime"
		    "      ctime\n");
	for (s32 i = 0; i < IPC_OBJECTS_MAX; i++) {
		struct abi_semid_ds ds;
		long id = sem_stat(i, IPC_STAT_INDEX_ANY, &ds);

		if (id < 0)
			continue;
		proc_add(t, "%10d %10ld  %4o %10llu %5u %5u %5u %5u %10lld %10lld\n", ds.perm.key,
			 id, ds.perm.mode, (unsigned long long)ds.count, ds.perm.uid, ds.perm.gid,
			 ds.perm.cuid, ds.perm.cgid, (long long)ds.op_time,
			 (long long)ds.change_time);
	}
	return 0;
}

static int render_msg(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid"
		    "  cuid  cgid      stime      rtime      ctime\n");
	for (s32 i = 0; i < IPC_OBJECTS_MAX; i++) {
		struct abi_msqid_ds ds;
		long id = msg_stat(i, IPC_STAT_INDEX_ANY, &ds);

		if (id < 0)
			continue;
		proc_add(t, "%10d %10ld  %4o  %10llu %10llu %5d %5d ", ds.perm.key, id,
			 ds.perm.mode, (unsigned long long)ds.bytes, (unsigned long long)ds.count,
			 ds.last_sender, ds.last_receiver);
		proc_add(t, "%5u %5u %5u %5u %10lld %10lld %10lld\n", ds.perm.uid, ds.perm.gid,
			 ds.perm.cuid, ds.perm.cgid, (long long)ds.send_time,
			 (long long)ds.receive_time, (long long)ds.change_time);
	}
	return 0;
}

const struct proc_entry proc_sysvipc_children[] = {{"shm", 0444, PROC_TEXT, .render = render_shm},
						   {"sem", 0444, PROC_TEXT, .render = render_sem},
						   {"msg", 0444, PROC_TEXT, .render = render_msg},
						   {NULL}};

int proc_render_sem_limits(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "%u\t%u\t%u\t%u\n", SEM_PER_SET, SEM_TOTAL, SEM_PER_OP, IPC_OBJECTS_MAX);
	return 0;
}

int proc_render_msgmax(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "%u\n", MSG_SIZE_MAX);
	return 0;
}

int proc_render_msgmnb(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "%u\n", MSG_BYTES_MAX);
	return 0;
}

int proc_render_ipc_objects(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "%u\n", IPC_OBJECTS_MAX);
	return 0;
}

int proc_render_shm_max(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "%llu\n", (unsigned long long)(UINT64_MAX - (1ull << 24)));
	return 0;
}
