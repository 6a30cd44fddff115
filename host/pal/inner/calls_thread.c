/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls about threads, time, messages, and the simulation's keys. */
#include "abi/errno.h"
#include "edge/anchor.h"
#include "edge/hostcall_dispatch.h"
#include "host/pal/inner/inner.h"
#include "host/pal/inner/linux.h"

#define NS_PER_S 1000000000ull

/* The last one is said again when the enclave has died, after which nobody else gets here. */
static void keep_words(const char *text, size_t size)
{
	size_t i;

	for (i = 0; i < MIN(size, sizeof(inner.last_words) - 1); i++)
		inner.last_words[i] = text[i];
	inner.last_words[i] = 0;
}

/* One line, without control bytes: what comes from inside must not drive the user's terminal. */
s64 do_log(struct inner_thread *t, u32 level, const void *text, size_t text_size)
{
	static const char *const names[] = {"occlum: ", "[ERROR] ", "[WARN] ",
					    "[INFO] ",	"[DEBUG] ", "[TRACE] "};
	const char *name = names[level < ARRAY_SIZE(names) ? level : ARRAY_SIZE(names) - 1];
	char line[4096 + 32];
	size_t size = 0, name_size;

	while (*name)
		line[size++] = *name++;
	name_size = size;
	for (size_t i = 0; i < text_size; i++) {
		u8 c = ((const u8 *)text)[i];

		line[size++] = (c >= 32 && c != 127) || c == '\t' ? (char)c : '?';
	}
	if (size && line[size - 1] == '?' && text_size && ((const u8 *)text)[text_size - 1] == '\n')
		size--;
	line[size++] = '\n';
	host_syscall(NR_write, 2, line, size);
	if (level == 0) {
		__atomic_store_n(&inner.has_spoken, 1, __ATOMIC_RELAXED);
		keep_words(line + name_size, size - name_size - 1);
	}
	return 0;
}

s64 do_wait(struct inner_thread *t, u64 timeout_ns)
{
	u32 *word = &t->arena->wait_word;
	struct linux_timespec until;
	bool forever = timeout_ns == UINT64_MAX;

	if (!forever) {
		host_syscall(NR_clock_gettime, CLOCK_MONOTONIC_, &until);
		until.sec += (s64)MIN(timeout_ns / NS_PER_S, (u64)1 << 40);
		until.nsec += (s64)(timeout_ns % NS_PER_S);
		if (until.nsec >= (s64)NS_PER_S) {
			until.nsec -= (s64)NS_PER_S;
			until.sec++;
		}
	}
	for (;;) {
		s64 result;

		if (__atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL))
			return 0;
		result = raw_syscall_kickable(&t->kicked, NR_futex, (u64)word,
					      FUTEX_WAIT_BITSET_PRIVATE_, 0,
					      forever ? 0 : (u64)&until, 0);
		if (result == -EINTR && __atomic_load_n(&t->kicked, __ATOMIC_RELAXED)) {
			t->kicked = 0;
			return -EINTR;
		}
		if (result == -ETIMEDOUT)
			return __atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL) ? 0 : -ETIMEDOUT;
	}
}

s64 do_wake(struct inner_thread *t, u32 slot)
{
	struct inner_thread *other = inner_thread_of(slot);

	if (!other)
		return 0;
	if (!__atomic_exchange_n(&other->arena->wait_word, 1, __ATOMIC_ACQ_REL))
		futex_wake(&other->arena->wait_word, 1);
	return 0;
}

s64 do_thread_start(struct inner_thread *t, u64 token)
{
	return inner_thread_give(ECALL_THREAD, token);
}

s64 do_thread_kick(struct inner_thread *t, u32 slot)
{
	struct inner_thread *other = inner_thread_of(slot);
	u32 tid = other ? __atomic_load_n(&other->tid, __ATOMIC_ACQUIRE) : 0;

	if (!tid || __atomic_load_n(&other->state, __ATOMIC_ACQUIRE) != INNER_BUSY)
		return -ESRCH;
	__atomic_store_n(&other->kicked, 1, __ATOMIC_RELEASE);
	host_syscall(NR_tgkill, host_syscall(NR_getpid), tid, inner.kick_signal);
	return 0;
}

s64 do_clock_read(struct inner_thread *t, u32 clock, void *time, size_t time_size)
{
	if (time_size != sizeof(struct linux_timespec))
		return -EINVAL;
	return host_syscall(NR_clock_gettime, clock, time);
}

s64 do_yield(struct inner_thread *t)
{
	host_syscall(NR_sched_yield);
	return 0;
}

/* A thread of the outer part has libc, and with it the cryptography and the secret. */
static s64 serve(struct service_request *request)
{
	struct service_request *head = __atomic_load_n(&inner.service_list, __ATOMIC_RELAXED);

	do {
		request->next = head;
	} while (!__atomic_compare_exchange_n(&inner.service_list, &head, request, false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	__atomic_fetch_add(&inner.service_word, 1, __ATOMIC_RELEASE);
	futex_wake(&inner.service_word, 1);
	while (!__atomic_load_n(&request->done, __ATOMIC_ACQUIRE))
		futex_wait(&request->done, 0);
	return request->result;
}

s64 do_sim_getkey(struct inner_thread *t, const void *request, size_t request_size, void *key,
		  size_t key_size)
{
	struct service_request r = {.kind = SERVICE_GETKEY, .in1 = request, .out = key};

	if (inner.is_hardware || request_size != sizeof(struct sgx_keyrequest) ||
	    key_size != SGX_KEY_SIZE)
		return -EINVAL;
	return serve(&r);
}

s64 do_sim_report(struct inner_thread *t, const void *target, size_t target_size, const void *data,
		  size_t data_size, void *report, size_t report_size)
{
	struct service_request r = {
		.kind = SERVICE_REPORT, .in1 = target, .in2 = data, .out = report};

	if (inner.is_hardware || target_size != sizeof(struct sgx_targetinfo) ||
	    data_size != SGX_REPORTDATA_SIZE || report_size != sizeof(struct sgx_report))
		return -EINVAL;
	return serve(&r);
}

/* Every thread stops with it, this one too. */
s64 do_job_stopped(struct inner_thread *t, u32 signo)
{
	struct service_request r = {.kind = SERVICE_STOP, .number = signo};

	return serve(&r);
}

/* A program is started and waited for. */
s64 do_anchor_ask(struct inner_thread *t, const void *question, size_t question_size, void *reply,
		  size_t reply_size)
{
	struct service_request r = {
		.kind = SERVICE_ANCHOR, .in1 = question, .in1_size = question_size, .out = reply};

	if (reply_size != ANCHOR_REPLY_SIZE ||
	    (question_size != ANCHOR_GET_SIZE && question_size != ANCHOR_PUT_SIZE))
		return -EIO;
	return serve(&r);
}
