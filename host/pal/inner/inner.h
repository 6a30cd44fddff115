/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner PAL: what enclave threads run outside the enclave. Their FS and GS bases belong to the
 * enclave and its programs, so nothing here may use thread-local storage, a stack protector or
 * libc; nor vector registers, since those hold a program's values. No undefined symbol, all
 * system calls in one section (entry.S).
 *
 * Host thread i runs on thread slot i, has block i and arena i, for ever.
 */
#pragma once

#include "edge/enclave.h"
#include "host/pal/outer/sgx_driver.h"
#include "lib/sgx/sgx.h"

#define hidden __attribute__((visibility("hidden")))

enum inner_thread_state {
	INNER_NONE = 0, /* no host thread yet */
	INNER_IDLE = 1, /* waits for work */
	INNER_BUSY = 2, /* taken */
	INNER_DEAD = 3, /* its host thread left a dead instance */
};

/* Why an instance is dead, when the host found out. Beside the enclave's own reasons. */
enum inner_abort {
	INNER_ABORT_NESTED = 2,	     /* an exception in stage 1 */
	INNER_ABORT_LOST = 0x101,    /* EENTER does not work any more */
	INNER_ABORT_REFUSED = 0x102, /* by the kernel's function */
};

/* Somebody waits for an ecall's result. Lives with the one who waits. */
struct inner_request {
	u64 ecall;
	u64 argument;
	s64 result;
	u32 done; /* futex */
};

struct inner_thread {
	/* offsets.h */
	u64 tcs;   /* addresses in the enclave */
	u64 block; /* FS and GS base at entry */
	u64 entry; /* BASE + OENTRY */
	struct thread_arena *arena;
	u64 ssa;
	u64 ssa_size; /* of one frame */
	u32 inside;   /* between EENTER and EEXIT */
	u32 kicked;   /* makes the next interruptible call return -EINTR */
	u64 stack_top;
	/* The hardware's alone. */
	u64 enter;     /* the kernel's function to enter; 0: our own ENCLU */
	u64 resume_sp; /* of hw_kernel_resume() */
	u32 resuming;  /* hw_kernel_resume() has begun and not returned */
	u32 reenter;   /* a kick came: another round of stage 1 before the resume */
	struct sgx_enclave_run run;
	u32 in_stage1;

	u32 cssa; /* simulation */
	u32 slot;
	u32 tid;   /* cleared by the host kernel when the thread is gone */
	u32 state; /* enum inner_thread_state, atomic */
	u32 work;  /* futex: 1 = request below */
	u64 ecall, argument;
	struct inner_request *request; /* who waits, or NULL: a thread of a program */
	u32 dead_seen;
};

/* A block: this structure, guard, signal stack, guard, stack. Aligned to its size. */
#define INNER_BLOCK_SIZE 0x40000ul
#define INNER_ALTSTACK	 0x2000ul
#define INNER_STACK	 0x22000ul

/* Work that needs libc, done by a thread of the outer part. */
enum service_kind {
	SERVICE_GETKEY = 1,
	SERVICE_REPORT = 2,
	SERVICE_ANCHOR = 3,
	SERVICE_STOP = 4, /* the whole process, by the signal `number` */
};

struct service_request {
	struct service_request *next;
	u32 kind;
	u32 done; /* futex */
	u32 number;
	const void *in1;
	const void *in2;
	size_t in1_size;
	void *out;
	s64 result;
};

/* One enclave per process. Written by the outer part before the first thread starts. */
struct inner_state {
	u64 base, size; /* of the enclave's range */
	u64 user_start, user_end;
	u64 image_start, image_end;
	u8 *blocks; /* thread_count * INNER_BLOCK_SIZE */
	u32 thread_count;
	struct thread_arena *arenas;
	s32 instance_fd; /* folder to which relative paths belong */
	s32 mem_fd;	 /* /proc/self/mem */
	s32 kick_signal;
	u64 stop_signals; /* open in enclave threads: the terminal stops us in the background */
	bool is_hardware;
	s32 sgx_fd;	 /* of the enclave */
	u64 entry_enclu; /* address of the ENCLU in the kernel's function to enter; 0: none */
	u32 driver_lock; /* of requests to the driver; futex */
	u32 is_dead;	 /* EXIT_ABORT was seen */
	u64 abort_reason;
	u32 has_spoken;	      /* a message from inside went to stderr */
	char last_words[256]; /* the last message of the kernel to everybody; ends with 0 */
	u32 is_quitting;      /* idle threads end */
	u32 service_word;     /* futex: bumped with each request */
	struct service_request *service_list;
};

extern hidden struct inner_state inner;

struct exit_value {
	u64 why; /* enum enclave_exit */
	u64 value;
};

/* entry.S */
hidden s64 raw_syscall(u64 number, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);
hidden s64 raw_syscall_kickable(const u32 *kicked, u64 number, u64 a1, u64 a2, u64 a3, u64 a4,
				u64 a5);
#define SYSCALL_0(n, ...)	      raw_syscall(n, 0, 0, 0, 0, 0, 0)
#define SYSCALL_1(n, a, ...)	      raw_syscall(n, (u64)(a), 0, 0, 0, 0, 0)
#define SYSCALL_2(n, a, b, ...)	      raw_syscall(n, (u64)(a), (u64)(b), 0, 0, 0, 0)
#define SYSCALL_3(n, a, b, c, ...)    raw_syscall(n, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)
#define SYSCALL_4(n, a, b, c, d, ...) raw_syscall(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)
#define SYSCALL_5(n, a, b, c, d, e, ...)                                                           \
	raw_syscall(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), 0)
#define SYSCALL_PICK(n, a, b, c, d, e, name, ...) name
/* host_syscall(number, up to five arguments of any integer or pointer type) */
#define host_syscall(...)                                                                          \
	SYSCALL_PICK(__VA_ARGS__, SYSCALL_5, SYSCALL_4, SYSCALL_3, SYSCALL_2, SYSCALL_1,           \
		     SYSCALL_0, )                                                                  \
	(__VA_ARGS__, 0)
hidden s64 raw_clone(u64 flags, void *stack, u32 *parent_tid, u32 *child_tid,
		     struct inner_thread *thread);
hidden void raw_exit(void) __noreturn;
hidden struct exit_value sim_enter(struct inner_thread *thread, u64 rdi, u64 rsi, u64 cssa);
hidden s64 touch_pages(u64 address, u64 size); /* enter_hw.S */
hidden void signal_entry(void);
hidden void signal_restorer(void);
hidden void abandon_entry(void);
hidden extern const u8 kick_window_start[], kick_window_end[];

/* thread.c */
hidden struct inner_thread *inner_thread_of(u32 slot);
hidden struct inner_thread *inner_thread_current(u64 stack_pointer); /* NULL: foreign */
/* Runs an ecall on a thread of the pool and waits for its result; for the embedder's threads. */
hidden s64 inner_ecall(u64 ecall, u64 argument);
/* Gives a thread work that nobody waits for. 0, -EAGAIN, -ENOMEM. */
hidden s64 inner_thread_give(u64 ecall, u64 argument);
/* Ends idle threads and waits for them; false when some are still busy. */
hidden bool inner_threads_stop(void);
hidden void inner_thread_main(struct inner_thread *thread) __noreturn;
hidden void inner_thread_abandon(void) __noreturn;
hidden void inner_die(u64 reason);

/* signal.c */
hidden u64 inner_signals_handled(void); /* bit n - 1: open in enclave threads */
hidden s64 inner_signals_install(void);
hidden void inner_signals_restore(void);

/* calls_file.c */
enum { HOST_PATH_ROOM = 4096 };
/* A path of a host call as a string. 0, -ENOENT (empty), -ENAMETOOLONG, -EINVAL (a NUL in it). */
hidden s64 path_copy(char to[HOST_PATH_ROOM], const void *path, size_t size);
/* A new descriptor moved away from the places of standard streams; errors pass through. */
hidden s64 descriptor_off_streams(s64 fd);

hidden void futex_wait(u32 *word, u32 value);
hidden void futex_wake(u32 *word, u32 count);
