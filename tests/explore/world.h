/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of the explorer. A program is a function that runs as user mode does: it touches memory
 * of its process, page by page, and makes system calls by calling the kernel. Every process knows
 * what each page of its own must hold and looks whenever it runs: a page that anybody else has
 * changed, or that is not its own, ends the run.
 */
#pragma once

#include "lib/base/types.h"

#define DATA_PAGES 4 /* of one process */

typedef void (*program)(void);

/* --- the kernel's side --- */

/* By a kernel thread: starts a process without a file, and waits for its end. Its wait status. */
struct process *world_start(program main);
s32 world_wait(struct process *p);
/* The current thread begins to copy the pages of mm: until it resumes them no sibling may run. */
struct mm;
void world_copies(struct mm *mm);
/* A file that u_exec() takes: its program is `main`. Fixed: linked at that address; 0: anywhere. */
void world_install(const char *path, program main, u64 fixed);

/* --- a program's --- */

/* Memory that is looked after. One such range per process; pages begin with values of their own. */
void u_map(u32 pages);
void u_adopt_data(void); /* the same for the data segment of a file */
void u_write(u32 page);	 /* looks at everything, then changes the page */
void u_look(void);	 /* looks at everything */
void u_unmap(u32 page, u32 count);
void u_remap(u32 page); /* another mapping over it */
void u_protect(u32 page, bool writable);

s32 u_fork(program child);
s32 u_thread(program main);
s32 u_vfork(program child);
s32 u_spawn_in_memory(program child); /* clone(CLONE_VM), as vfork() without the waiting */
void u_exit(int status) __noreturn;
void u_thread_exit(void) __noreturn;
s32 u_wait(s32 pid); /* -1: any. Wait status, or -errno */
void u_kill(s32 pid, int signo);
void u_exec(const char *path) __noreturn;
s32 u_pid(void);
u32 u_random(u32 below);

/* A page that relatives share. Word 0.. are futexes. */
void u_map_shared(void);
void u_shared_store_and_wake(u32 word, u32 value);
void u_shared_wait(u32 word, u32 value); /* until it holds that */
void u_shared_spin(u32 word, u32 value); /* the same without sleeping */

/* A page of a file that all first programs have mapped; its address. */
u64 u_map_file(void);

/* A pipe that holds one page: descriptor 0 reads, 1 writes. Pages of data are sent whole. */
void u_pipe(void);
void u_close(u32 fd);
void u_send(u32 page);
s32 u_receive_page(u32 page); /* waits; who wrote what came, 0: nobody is left to send */

/* What a process waits for that is none of its relatives'. */
void u_event_set(u32 event);
void u_event_wait(u32 event);

/* As read() does with what it got: 256 bytes into a buffer that may be gone. 0 or -EFAULT. */
u64 u_map_buffer(void);
void u_unmap_buffer(u64 at);
int u_receive(u64 buffer);
/* Reads the first page of another process's data as /proc does; what comes must be that. */
void u_look_into(struct process *p);
