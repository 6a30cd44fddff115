/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves host calls that need libc: keys and reports of the simulated CPU, questions to the
 * program that $OCCLUM_ANCHOR_COMMAND names, and the stop of the whole process. One thread with all
 * signals blocked; the keys made from the machine's secret live in this process alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "edge/anchor.h"
#include "host/lib/anchor_ask.h"
#include "host/lib/sim_root.h"
#include "host/pal/inner/inner.h"
#include "host/pal/outer/enclave.h"
#include "host/pal/outer/pal.h"
#include "lib/base/string.h"
#include "lib/sgx/sim_key.h"

static pthread_t thread;
static bool is_running;
static u32 must_stop;
static const struct enclave *served;
static struct sgx_sim_cpu cpu;

/* The arena is shared memory: work on copies. */
static s64 serve(const struct service_request *r)
{
	struct sgx_keyrequest request;
	struct sgx_targetinfo target;
	struct sgx_report report;
	u8 data[SGX_REPORTDATA_SIZE], key[SGX_KEY_SIZE];
	int err = -EINVAL;

	if (r->kind == SERVICE_GETKEY) {
		memcpy(&request, r->in1, sizeof(request));
		err = sgx_sim_getkey(&cpu, &served->secs, &request, key);
		if (err == 0)
			memcpy(r->out, key, sizeof(key));
		mem_wipe(key, sizeof(key));
	} else if (r->kind == SERVICE_REPORT) {
		memcpy(&target, r->in1, sizeof(target));
		memcpy(data, r->in2, sizeof(data));
		err = sgx_sim_report(&cpu, &served->secs, &target, data, &report);
		if (err == 0)
			memcpy(r->out, &report, sizeof(report));
	} else if (r->kind == SERVICE_ANCHOR) {
		u8 question[ANCHOR_PUT_SIZE], reply[ANCHOR_REPLY_SIZE];

		memcpy(question, r->in1, r->in1_size);
		err = anchor_ask(getenv("OCCLUM_ANCHOR_COMMAND"), 0, question, r->in1_size, reply);
		if (err == 0) {
			memcpy(r->out, reply, sizeof(reply));
			err = sizeof(reply);
		}
	} else if (r->kind == SERVICE_STOP) {
		err = foreground_stop((int)r->number);
	}
	return err;
}

static void *service_main(void *unused)
{
	while (!__atomic_load_n(&must_stop, __ATOMIC_ACQUIRE)) {
		u32 word = __atomic_load_n(&inner.service_word, __ATOMIC_ACQUIRE);
		struct service_request *r =
			__atomic_exchange_n(&inner.service_list, NULL, __ATOMIC_ACQUIRE);

		while (r) {
			struct service_request *next = r->next; /* gone once done is set */

			r->result = serve(r);
			__atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
			futex_wake(&r->done, 1);
			r = next;
		}
		if (!__atomic_load_n(&inner.service_list, __ATOMIC_ACQUIRE) &&
		    !__atomic_load_n(&must_stop, __ATOMIC_ACQUIRE))
			futex_wait(&inner.service_word, word);
	}
	return NULL;
}

int service_start(const struct enclave *e, struct enclave_error *error)
{
	u8 secret[SIM_ROOT_SIZE];
	sigset_t all, old;
	int err;

	if (!enclave_is_hardware(e)) {
		err = sim_root_read(secret, error);
		if (err < 0)
			return err;
		sgx_sim_cpu_init(&cpu, secret);
		mem_wipe(secret, sizeof(secret));
	}
	served = e;
	must_stop = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&thread, NULL, service_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err < 0) {
		enclave_error_set(error, "cannot start a thread: %s", strerror(-err));
		return err;
	}
	is_running = true;
	return 0;
}

void service_stop(void)
{
	if (!is_running)
		return;
	__atomic_store_n(&must_stop, 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&inner.service_word, 1, __ATOMIC_RELEASE);
	futex_wake(&inner.service_word, 1);
	pthread_join(thread, NULL);
	mem_wipe(&cpu, sizeof(cpu));
	is_running = false;
}
