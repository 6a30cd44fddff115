/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public functions. One enclave per process and one life per enclave. The lock covers starting
 * and ending; ecalls run without it, and what they return is decided inside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "host/lib/instance_lock.h"
#include "host/lib/streams.h"
#include "host/pal/inner/inner.h"
#include "host/pal/outer/enclave.h"
#include "host/pal/outer/pal.h"
#include "include/occlum/occlum_pal_api.h"

#define SIGNED_IMAGE "build/lib/libocclum-libos.signed.so"

enum pal_state {
	PAL_NEW = 0,
	PAL_RUNNING,
	PAL_ENDED,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum pal_state state;
static struct enclave enclave;
static u32 ecalls_running;
static int instance_fd = -1; /* lock: holds the instance against other processes */

static int fail(s64 err)
{
	errno = err < 0 ? (int)-err : EIO;
	return -1;
}

/* Of what was asked of a dead enclave nothing else can be said. */
static int fail_ecall(s64 err)
{
	return fail(__atomic_load_n(&inner.is_dead, __ATOMIC_ACQUIRE) ? -ENOTRECOVERABLE : err);
}

static void complain(const char *text)
{
	fprintf(stderr, "[ERROR] occlum-pal: %s\n", text);
}

static const char *abort_text(u64 reason)
{
	switch (reason) {
	case 1: return "it was entered in a way that its state does not allow";
	case INNER_ABORT_NESTED: return "an exception came while another was being handled";
	case 3: return "the kernel found an error in itself";
	case 4: return "the kernel image is damaged";
	case 5: return "an exception came on a thread that had not started yet";
	case INNER_ABORT_LOST:
		return "its memory is lost (the machine was suspended, or moved to another host): "
		       "start it again";
	case INNER_ABORT_REFUSED: return "Linux refuses to enter it";
	default: return "for an unknown reason";
	}
}

/* Between these the enclave cannot be unloaded. */
static bool begin_ecall(void)
{
	bool ok;

	pthread_mutex_lock(&lock);
	ok = state == PAL_RUNNING;
	if (ok)
		ecalls_running++;
	pthread_mutex_unlock(&lock);
	return ok;
}

static void end_ecall(void)
{
	static u32 reported;

	if (__atomic_load_n(&inner.is_dead, __ATOMIC_ACQUIRE) &&
	    !__atomic_exchange_n(&reported, 1, __ATOMIC_RELAXED))
		fprintf(stderr, "[ERROR] occlum-pal: the enclave ended: %s%s%s\n",
			abort_text(inner.abort_reason), inner.last_words[0] ? "; it said: " : "",
			inner.last_words);
	pthread_mutex_lock(&lock);
	ecalls_running--;
	pthread_mutex_unlock(&lock);
}

static int parse_log_level(const char *name, u32 *ret_level)
{
	/* As Occlum's users know them: in any case, and with two names for some. */
	static const struct {
		const char *name;
		u32 level;
	} levels[] = {
		{"off", 0},  {"error", 1}, {"fatal", 1},   {"panic", 1}, {"warn", 2},
		{"info", 3}, {"debug", 4}, {"warning", 2}, {"trace", 5},
	};

	*ret_level = 0;
	if (!name || !*name)
		return 0;
	for (u32 i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcasecmp(name, levels[i].name) == 0) {
			*ret_level = levels[i].level;
			return 0;
		}
	}
	fprintf(stderr,
		"[ERROR] occlum-pal: unknown log level '%s' (off, error, warn, info, debug, "
		"trace)\n",
		name);
	return -EINVAL;
}

static int boot(const char *instance_dir, u32 log_level, struct enclave_error *error)
{
	struct boot_memory memory;
	s64 result;
	int err = boot_memory_make(&memory, instance_dir, log_level, error);

	if (err < 0)
		return err;
	result = inner_ecall(ECALL_BOOT, (u64)memory.info);
	boot_memory_free(&memory);
	if (result == 0)
		return 0;
	/* Whoever refused inside has said why, in words; a second line would only confuse. */
	if (!inner.is_dead && inner.has_spoken && log_level == 0)
		return result < 0 ? (int)result : -EIO;
	if (inner.is_dead)
		enclave_error_set(error, "the enclave ended: %s", abort_text(inner.abort_reason));
	else if (result < 0)
		enclave_error_set(error, "the kernel refuses to boot: %s", strerror((int)-result));
	else if ((result & 0x7f) == 0)
		enclave_error_set(error, "the init process ended with exit status %d",
				  (int)(result >> 8) & 0xff);
	else
		enclave_error_set(error, "the init process was killed by signal %d",
				  (int)result & 0x7f);
	return result < 0 ? (int)result : -EIO;
}

/* Threads that left a dead instance need a moment; those that hang keep the memory mapped. */
static void unload(void)
{
	for (int i = 0; i < 2000 && !inner_threads_stop(); i++)
		usleep(i < 100 ? 50 : 1000);
	if (!inner_threads_stop()) {
		service_stop();
		return;
	}
	service_stop();
	inner_signals_restore();
	enclave_inner_fini();
	enclave_unload(&enclave);
}

static void instance_drop(void)
{
	if (instance_fd >= 0)
		close(instance_fd);
	instance_fd = -1;
}

static int instance_take(const char *directory, struct enclave_error *error)
{
	char text[256];
	int err = instance_lock_take(directory, "run", &instance_fd, text, sizeof(text));

	if (err)
		enclave_error_set(error, "%s", text);
	return err;
}

static int start(const struct occlum_pal_attr *attr, struct enclave_error *error)
{
	char directory[PATH_MAX], image[PATH_MAX + sizeof(SIGNED_IMAGE) + 1];
	u32 log_level;
	int err = parse_log_level(attr->log_level, &log_level);

	if (err < 0)
		return err;
	err = streams_occupy(); /* none of our files is a program's standard stream */
	if (err < 0) {
		enclave_error_set(error, "cannot open /dev/null for a closed standard stream: %s",
				  strerror(-err));
		return err;
	}
	if (!realpath(attr->instance_dir, directory)) {
		err = -errno;
		enclave_error_set(error, "cannot open the instance '%s': %s", attr->instance_dir,
				  strerror(-err));
		return err;
	}
	err = instance_take(directory, error);
	if (err < 0)
		return err;
	snprintf(image, sizeof(image), "%s/" SIGNED_IMAGE, directory);
	err = enclave_load(&enclave, image, error);
	if (err < 0)
		return err;
	err = enclave_inner_init(&enclave, directory, error);
	if (err < 0) {
		enclave_unload(&enclave);
		return err;
	}
	err = service_start(&enclave, error);
	if (!err)
		err = boot(directory, log_level, error);
	if (err < 0)
		unload();
	return err;
}

int occlum_pal_get_version(void)
{
	return OCCLUM_PAL_VERSION;
}

int occlum_pal_init(const struct occlum_pal_attr *attr)
{
	struct enclave_error error = {""};
	int err;

	if (!attr || !attr->instance_dir)
		return fail(-EINVAL);
	pthread_mutex_lock(&lock);
	if (state != PAL_NEW) {
		pthread_mutex_unlock(&lock);
		return fail(-EEXIST);
	}
	err = start(attr, &error);
	if (!err)
		state = PAL_RUNNING;
	else
		instance_drop();
	pthread_mutex_unlock(&lock);
	if (err && error.text[0])
		complain(error.text);
	return err ? fail(err) : 0;
}

static bool is_any(const char *string)
{
	return true;
}

/* The wanted ones, NUL-terminated, one after the other, in one piece of memory. */
static int join_strings(const char **strings, bool (*wanted)(const char *string),
			struct host_blob *ret_blob)
{
	size_t size = 0;
	char *bytes;

	for (const char **s = strings; s && *s; s++) {
		if (!wanted(*s))
			continue;
		size += strlen(*s) + 1;
		if (size > HOST_BLOB_MAX)
			return -E2BIG;
	}
	bytes = malloc(size ? size : 1);
	if (!bytes)
		return -ENOMEM;
	*ret_blob = (struct host_blob){.address = (u64)bytes, .size = size};
	for (const char **s = strings; s && *s; s++) {
		if (!wanted(*s))
			continue;
		memcpy(bytes, *s, strlen(*s) + 1);
		bytes += strlen(*s) + 1;
	}
	return 0;
}

int occlum_pal_create_process(struct occlum_pal_create_process_args *args)
{
	static const struct occlum_stdio_fds standard = {0, 1, 2};
	const struct occlum_stdio_fds *stdio;
	struct new_process *new;
	s64 result;

	if (!args || !args->path || !args->argv || !args->pid)
		return fail(-EINVAL);
	stdio = args->stdio ? args->stdio : &standard;
	if (!begin_ecall())
		return fail(-ENOENT);
	new = calloc(1, sizeof(*new));
	if (!new) {
		end_ecall();
		return fail(-ENOMEM);
	}
	new->path = (struct host_blob){(u64)args->path, strlen(args->path)};
	new->stdio[0] = stdio->stdin_fd;
	new->stdio[1] = stdio->stdout_fd;
	new->stdio[2] = stdio->stderr_fd;
	new->flags = foreground_has_shell() ? NEW_PROCESS_HAS_SHELL : 0;
	result = join_strings(args->argv, is_any, &new->argv);
	if (result == 0)
		result = join_strings(args->env, environment_allows, &new->environment);
	if (result == 0)
		result = inner_ecall(ECALL_NEW_PROCESS, (u64) new);
	free((void *)new->argv.address);
	free((void *)new->environment.address);
	free(new);
	end_ecall();
	if (result <= 0)
		return fail_ecall(result);
	*args->pid = (int)result;
	return 0;
}

int occlum_pal_exec(struct occlum_pal_exec_args *args)
{
	s64 result;

	if (!args || !args->exit_value || args->pid <= 0)
		return fail(-EINVAL);
	if (!begin_ecall())
		return fail(-ENOENT);
	foreground_add(args->pid);
	result = inner_ecall(ECALL_EXEC, (u64)args->pid);
	foreground_remove(args->pid);
	end_ecall();
	if (result < 0)
		return fail_ecall(result);
	*args->exit_value = (int)result;
	return 0;
}

s64 pal_send_signal(int pid, int sig)
{
	s64 result;

	if (!begin_ecall())
		return -ENOENT;
	result = inner_ecall(ECALL_KILL, (u32)pid | (u64)(u32)sig << 32);
	end_ecall();
	return result;
}

int occlum_pal_kill(int pid, int sig)
{
	s64 result;

	if ((pid <= 0 && pid != -1) || (sig != SIGKILL && sig != SIGTERM))
		return fail(-EINVAL);
	result = pal_send_signal(pid, sig);
	return result < 0 ? fail(result) : 0;
}

int occlum_pal_destroy(void)
{
	s64 result = 0;

	pthread_mutex_lock(&lock);
	if (state != PAL_RUNNING) {
		pthread_mutex_unlock(&lock);
		return fail(-ENOENT);
	}
	state = PAL_ENDED;
	pthread_mutex_unlock(&lock);
	if (!inner.is_dead)
		inner_ecall(ECALL_KILL, (u64)UINT32_MAX | (u64)SIGKILL << 32);
	while (__atomic_load_n(&ecalls_running, __ATOMIC_ACQUIRE))
		usleep(100);
	if (!inner.is_dead) {
		result = inner_ecall(ECALL_SHUTDOWN, 0);
		if (result < 0 && !inner.is_dead && !inner.has_spoken)
			complain("the enclave could not write back what programs changed");
	}
	/* The kernel's own threads (timers, commits) wait for ever: they are kicked out. */
	inner_die(0);
	pthread_mutex_lock(&lock);
	unload();
	instance_drop();
	pthread_mutex_unlock(&lock);
	return result < 0 ? fail(result) : 0;
}

#define WEAK_ALIAS(name) __attribute__((weak, alias("occlum_" #name)))

int pal_get_version(void) WEAK_ALIAS(pal_get_version);
int pal_init(const struct occlum_pal_attr *attr) WEAK_ALIAS(pal_init);
int pal_create_process(struct occlum_pal_create_process_args *args) WEAK_ALIAS(pal_create_process);
int pal_exec(struct occlum_pal_exec_args *args) WEAK_ALIAS(pal_exec);
int pal_kill(int pid, int sig) WEAK_ALIAS(pal_kill);
int pal_destroy(void) WEAK_ALIAS(pal_destroy);
