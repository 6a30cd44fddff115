/* SPDX-License-Identifier: Apache-2.0 */
/* Threads below the C library: clone, clone3, tid words, robust lists, waiting for children. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* <linux/futex.h> and <linux/sched.h>, which not every libc comes with. */
#define FUTEX_WAIT 0
struct robust_list {
	struct robust_list *next;
};
struct robust_list_head {
	struct robust_list list;
	long futex_offset;
	struct robust_list *list_op_pending;
};
struct clone_args {
	unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
		set_tid, set_tid_size, cgroup;
};

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static volatile int ran, tid_seen;
static int parent_tid, child_tid;
static int *volatile named_word;
static volatile int named_tid;

/* Runs on a bare stack without thread-local storage of its own: no libc in here. */
static long raw_exit(void)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(SYS_exit), "D"(0) : "rcx", "r11", "memory");
	return ret;
}

static void thread_body(void)
{
	long tid;

	__asm__ volatile("syscall" : "=a"(tid) : "a"(SYS_gettid) : "rcx", "r11", "memory");
	tid_seen = (int)tid;
	if (named_word) {
		__asm__ volatile("syscall"
				 : "=a"(tid)
				 : "a"(SYS_set_tid_address), "D"(named_word)
				 : "rcx", "r11", "memory");
		named_tid = (int)tid;
	}
	ran = 1;
	raw_exit();
}

static long raw_clone(unsigned long flags, char *top)
{
	register long r10 __asm__("r10") = (long)&child_tid;
	register long r8 __asm__("r8") = 0;
	void **stack = (void **)top;
	long ret;

	*--stack = (void *)thread_body;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "pop %%rax\n\t"
			 "and $-16, %%rsp\n\t"
			 "call *%%rax\n\t"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone), "D"(flags), "S"(stack), "d"(&parent_tid), "r"(r10),
			   "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

static void wait_for_zero(int *word)
{
	int value;

	while ((value = __atomic_load_n(word, __ATOMIC_SEQ_CST)))
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static char *new_stack(void)
{
	return (char *)mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0) +
	       65536;
}

static void cloned(void)
{
	long tid;

	ran = 0;
	child_tid = 1;
	tid = raw_clone(THREAD_FLAGS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
				CLONE_CHILD_CLEARTID,
			new_stack());
	REQUIRE(tid > 0);
	CHECK_EQ(parent_tid, tid);
	wait_for_zero(&child_tid);
	CHECK(ran && tid_seen == tid);
	while (syscall(SYS_tgkill, getpid(), tid, 0) == 0)
		usleep(1000);
	CHECK_EQ(errno, ESRCH);
}

static void refused(void)
{
	struct clone_args args = {0};
	char big[256] = {0};

	CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone3, &args, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone3, 8, sizeof(args)), EFAULT);
	CHECK_ERRNO(syscall(SYS_clone3, &args, 1 << 20), E2BIG);
	big[200] = 1;
	CHECK_ERRNO(syscall(SYS_clone3, big, sizeof(big)), E2BIG);
	args.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	args.exit_signal = SIGCHLD;
	CHECK_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	args.exit_signal = 0;
	args.stack_size = 4096;
	CHECK_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	args.flags = 0;
	args.stack_size = 0;
	args.exit_signal = 999;
	CHECK_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
}

static void no_children(void)
{
	siginfo_t info;
	int status;

	CHECK_ERRNO(wait4(-1, &status, 0, NULL), ECHILD);
	CHECK_ERRNO(wait4(999999, &status, WNOHANG, NULL), ECHILD);
	CHECK_ERRNO(wait4(-1, &status, 0x40, NULL), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED | WNOHANG), ECHILD);
	CHECK_ERRNO(waitid(P_PID, 999999, &info, WEXITED), ECHILD);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, 0), EINVAL);
	CHECK_ERRNO(waitid(99, 0, &info, WEXITED), EINVAL);
}

/* Without CLONE_CHILD_CLEARTID the thread names the word itself. */
static void tid_address(void)
{
	long tid;

	ran = 0;
	named_word = &child_tid;
	child_tid = 1;
	tid = raw_clone(THREAD_FLAGS, new_stack());
	REQUIRE(tid > 0);
	wait_for_zero(&child_tid);
	CHECK(ran && tid_seen == tid && named_tid == tid);
	CHECK(syscall(SYS_set_tid_address, &child_tid) == getpid());
	named_word = NULL;
}

static void robust_lists(void)
{
	struct robust_list_head head, *got = NULL;
	size_t size = 0;

	head.list.next = &head.list;
	head.futex_offset = 0;
	head.list_op_pending = NULL;
	CHECK_EQ(syscall(SYS_set_robust_list, &head, sizeof(head)), 0);
	CHECK_EQ(syscall(SYS_get_robust_list, 0, &got, &size), 0);
	CHECK(got == &head && size == sizeof(head));
	CHECK_ERRNO(syscall(SYS_set_robust_list, &head, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 999999, &got, &size), ESRCH);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 0, 8, &size), EFAULT);
}

static void restart_alone(void)
{
	CHECK_ERRNO(syscall(SYS_restart_syscall), EINTR);
}

static void *add(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	for (int i = 0; i < 1000; i++) {
		pthread_mutex_lock(&lock);
		++*(int *)arg;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void many(void)
{
	pthread_t threads[16];
	int count = 0;

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 16; i++)
			REQUIRE(pthread_create(&threads[i], NULL, add, &count) == 0);
		for (int i = 0; i < 16; i++)
			CHECK_EQ(pthread_join(threads[i], NULL), 0);
	}
	CHECK_EQ(count, 160000);
}

CHECK_MAIN(cloned, refused, no_children, tid_address, restart_alone, many, robust_lists)
