// SPDX-License-Identifier: Apache-2.0
/*
 * From the first entry to a running instance, and what the host may ask of it later. Everything
 * the host passes is copied once and judged as a copy. The configuration is believed only when
 * its SHA-256 equals the measured one; it then decides what may be mounted, started and passed.
 *
 * Order: heap, configuration, CPU, crypto and random numbers, clock, memory, initfs, process 1.
 * Process 1 (/bin/init) mounts the application's root by system call 363 and ends; after that
 * the host may start the programs that entry_points lists.
 */
#include "kernel/core/boot.h"

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/commit.h"
#include "kernel/core/config.h"
#include "kernel/core/entry_point.h"
#include "kernel/core/identity.h"
#include "kernel/core/kmem.h"
#include "kernel/core/kmem_priv.h"
#include "kernel/core/random.h"
#include "kernel/core/reason.h"
#include "kernel/host/host_call.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/process.h"
#include "kernel/proc/tty.h"
#include "kernel/signal/signal.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/host_names.h"
#include "lib/base/string.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"
#define LOG_TAG "boot"
#include "kernel/core/log.h"

#define CPUID_HINTS_MAX	   256
#define CREATED_MAX	   64
#define PATH_SIZE	   4096
#define SHUTDOWN_WAIT_NS   1000000000ull
#define INIT_PATH	   "/bin/init"
#define SIGNAL_FROM_KERNEL 0x80 /* SI_KERNEL */

struct process kernel_process;

static struct occlum_config config;

/* Programs that ECALL_NEW_PROCESS made and ECALL_EXEC has not run yet. */
static struct spinlock created_lock = SPINLOCK_INIT(LOCK_CREATED);
static struct process *created[CREATED_MAX]; /* created_lock; counted */

const struct occlum_config *kernel_config(void)
{
	return &config;
}

static void kernel_process_init(void)
{
	struct process *p = &kernel_process;

	p->refs = 1;
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->table_node);
	list_init(&p->threads);
	list_init(&p->pending);
	waitq_init(&p->exit_wait);
	waitq_init(&p->stop_wait);
	pollq_init(&p->exit_poll);
	pollq_init(&p->signal_poll);
	spin_init(&p->lock, LOCK_PROCESS);
	mutex_init(&p->exec_lock, LOCK_EXEC);
	credentials_init(&p->cred, 0, 0); /* root: it looks up what the host is to start */
	memcpy(p->comm, "kernel", 7);
}

/* Copies a blob of at most `max` bytes into a new block that ends with a NUL of ours. */
static int blob_read(const struct host_blob *blob, size_t max, char **ret, size_t *ret_size)
{
	char *copy;
	int err;

	if (blob->size > max)
		return -E2BIG;
	copy = kmalloc(blob->size + 1);
	if (!copy)
		return -ENOMEM;
	err = host_copy_in(copy, blob->address, blob->size);
	if (err) {
		kfree(copy);
		return err;
	}
	copy[blob->size] = '\0';
	*ret = copy;
	*ret_size = blob->size;
	return 0;
}

/* ---- the configuration ---- */

static void clamp_log(u32 wanted)
{
	enum log_level most = LOG_TRACE;

	if (config.disable_log)
		most = LOG_OFF;
	else if (!config.debuggable)
		most = LOG_WARN; /* no registers, addresses or arguments at these levels */
	log_set_level(MIN(wanted, (u32)most));
}

static int config_load(const struct boot_info *info)
{
	const struct measured_params *m = arch_measured();
	u8 digest[SHA256_SIZE];
	char *bytes;
	size_t size;
	int err;

	if (mem_is_zero(m->config_sha256, sizeof(m->config_sha256))) {
		log_always("this kernel image has not been signed: it measures no configuration; "
			   "run `occlum build`");
		return -EKEYREJECTED;
	}
	err = blob_read(&info->config, CONFIG_SIZE_MAX, &bytes, &size);
	if (err) {
		log_always("the configuration of the instance could not be read");
		return err;
	}
	sha256(bytes, size, digest);
	if (!crypto_equal(digest, m->config_sha256, sizeof(digest))) {
		log_always("the configuration of the instance was changed after `occlum build`: "
			   "its SHA-256 differs from the measured one; run it again");
		err = -EBADMSG;
		goto out_free;
	}
	err = config_decode(&config, bytes, size); /* keeps pointers into `bytes` */
	if (err) {
		log_always("the measured configuration is of another version than this kernel");
		goto out_free;
	}
	return 0;
out_free:
	kfree(bytes);
	return err;
}

/*
 * A debug enclave can be read from outside. The signature of a release image forbids that launch
 * already; the simulation, which protects nothing from the host, knows no other.
 */
static int check_debug(void)
{
	if (!COMMIT_IS_HARDWARE || config.debuggable ||
	    !(identity()->attributes.flags & SGX_ATTR_DEBUG))
		return 0;
	log_always("metadata.debuggable is false and the enclave was launched with DEBUG");
	return -EPERM;
}

static int cpu_init(const struct boot_info *info)
{
	struct cpuid_hint *hints;
	char *bytes;
	size_t size;
	u32 leaf1[4], leaf7[4];
	struct crypto_caps caps;
	int err;

	err = blob_read(&info->cpuid, CPUID_HINTS_MAX * sizeof(*hints), &bytes, &size);
	if (err)
		return err;
	hints = (struct cpuid_hint *)bytes;
	err = arch_init(hints, size / sizeof(*hints));
	kfree(bytes);
	if (!err) {
		arch_cpuid(1, 0, leaf1);
		arch_cpuid(7, 0, leaf7);
		caps.leaf1_ecx = leaf1[2];
		caps.leaf1_edx = leaf1[3];
		caps.leaf7_ebx = leaf7[1];
		caps.leaf7_ecx = leaf7[2];
		err = crypto_init(&caps);
	}
	if (err)
		log_always(
			"this CPU lacks AES-NI, PCLMULQDQ, AVX or RDRAND, which the kernel needs");
	return err;
}

/* ---- arguments and environment ---- */

/* The next string of a blob of NUL-terminated ones, or NULL at its end. */
static const char *next_string(const char **at, const char *end)
{
	const char *s = *at;

	if (s >= end)
		return NULL;
	*at = s + strlen(s) + 1;
	return s;
}

static bool is_overridden(const char *variable, const char *host, const char *host_end)
{
	size_t name = (size_t)(strchr(variable, '=') - variable) + 1;
	const char *s;

	while ((s = next_string(&host, host_end))) {
		if (strncmp(s, variable, name) == 0 && config_env_allows(&config, s))
			return true;
	}
	return false;
}

/* The environment of a first program: the measured defaults, and what env.untrusted lets in. */
static int add_environment(struct exec_args *args, const char *host, size_t size)
{
	const char *end = host + size, *s;
	int err;

	for (u32 i = 0; i < config.env_default_count; i++) {
		s = config.env_default[i];
		if (is_overridden(s, host, end))
			continue;
		err = exec_args_add(args, s, strlen(s), true);
		if (err)
			return err;
	}
	while ((s = next_string(&host, end))) {
		if (!strchr(s, '=') || !config_env_allows(&config, s))
			continue;
		err = exec_args_add(args, s, strlen(s), true);
		if (err)
			return err;
	}
	return 0;
}

static int add_arguments(struct exec_args *args, const char *host, size_t size)
{
	const char *end = host + size, *s;
	int err;

	while ((s = next_string(&host, end))) {
		err = exec_args_add(args, s, strlen(s), false);
		if (err)
			return err;
	}
	return args->argc ? 0 : -EINVAL;
}

/* ---- process 1 ---- */

static int run_init(const struct boot_info *info, s32 *ret_status)
{
	static const s32 stdio[3] = {0, 1, 2};
	struct exec_args args = {0};
	struct credentials root;
	struct process *p;
	char *host_environ;
	size_t size;
	int err;

	err = blob_read(&info->host_environ, HOST_BLOB_MAX, &host_environ, &size);
	if (err)
		return err;
	err = exec_args_add(&args, INIT_PATH, strlen(INIT_PATH), false);
	if (!err)
		err = add_environment(&args, host_environ, size);
	kfree(host_environ);
	credentials_init(&root, 0, 0);
	if (!err)
		err = process_create(INIT_PATH, NULL, &args, &root, stdio, &p);
	exec_args_free(&args);
	if (err) {
		log_always("%s of initfs could not be started: %s (error %d)", INIT_PATH,
			   error_reason(err), -err);
		return err;
	}
	err = process_start(p);
	if (!err)
		*ret_status = process_wait_exit(p);
	process_put(p);
	return err;
}

/* The kernel's own threads walk paths from the root that is mounted now. */
static int kernel_look_at_root(void)
{
	fs_context_put(kernel_process.fs);
	kernel_process.fs = fs_context_new();
	return kernel_process.fs ? 0 : -ENOMEM;
}

/* Advice from the host; what cannot be read is left out. */
static void take_host_names(const struct boot_info *info)
{
	const struct host_blob *blobs[] = {&info->hosts, &info->resolv_conf, &info->hostname};
	static const enum host_name_file which[] = {HOST_NAMES_HOSTS, HOST_NAMES_RESOLV_CONF,
						    HOST_NAMES_HOSTNAME};

	for (u32 i = 0; i < ARRAY_SIZE(blobs); i++) {
		char *text;
		size_t size;

		if (!blobs[i]->size || blob_read(blobs[i], KIB(64), &text, &size))
			continue;
		host_names_set(which[i], text, size);
		kfree(text);
	}
}

s64 boot_main(u64 boot_info_address)
{
	const struct measured_params *m = arch_measured();
	struct boot_info info;
	s32 status = 0;
	int err;

	kernel_process_init();
	err = host_copy_in(&info, boot_info_address, sizeof(info));
	if (err)
		return err;
	if (info.version != BOOT_INFO_VERSION ||
	    !host_range_is_outside(info.arena_start, info.arena_size))
		return -EINVAL;
	kmem_init((void *)(enclave_base() + m->heap_offset), m->heap_size);
	err = cpu_init(&info);
	if (err)
		return err;
	err = identity_init();
	if (err)
		return err;
	err = config_load(&info);
	if (!err)
		err = check_debug();
	if (err)
		return err;
	clamp_log(info.log_level);
	clock_init(arch_tsc_is_usable() ? info.tsc_hz : ARCH_TSC_SUBSTITUTE_HZ);
	mm_init();
	err = vfs_mount_init();
	if (!err)
		err = kernel_look_at_root();
	if (err)
		return err;
	take_host_names(&info);
	err = run_init(&info, &status);
	if (err)
		return err;
	if (status & 0x7f) /* an init that exits has said why */
		log_always("%s was killed by signal %d", INIT_PATH, status & 0x7f);
	if (status)
		return status;
	/* Else the host could start files of initfs whose paths look like the application's. */
	if (!vfs_has_app()) {
		log_always("%s ended without mounting the application's root", INIT_PATH);
		return -ENODEV;
	}
	return kernel_look_at_root(); /* the one that init has mounted */
}

/* ---- programs of the host's choice ---- */

static int created_add(struct process *p)
{
	spin_lock(&created_lock);
	for (u32 i = 0; i < CREATED_MAX; i++) {
		if (!created[i]) {
			created[i] = p;
			spin_unlock(&created_lock);
			return 0;
		}
	}
	spin_unlock(&created_lock);
	return -EAGAIN;
}

static struct process *created_take(s32 pid)
{
	struct process *p = NULL;

	spin_lock(&created_lock);
	for (u32 i = 0; i < CREATED_MAX && !p; i++) {
		if (created[i] && created[i]->pid == pid) {
			p = created[i];
			created[i] = NULL;
		}
	}
	spin_unlock(&created_lock);
	return p;
}

static int create_program(const char *path, struct exec_args *args, const s32 stdio[3],
			  bool has_shell)
{
	struct process *p;
	int err;

	err = entry_point_create(path, args, stdio, &p);
	if (err)
		return err;
	p->has_host_shell = has_shell;
	err = created_add(p);
	if (err) {
		process_put(p);
		return err;
	}
	return p->pid;
}

s64 boot_new_process(u64 new_process_address)
{
	struct new_process request;
	struct exec_args args = {0};
	char *path = NULL, *argv = NULL, *environment = NULL;
	size_t path_size, argv_size, environment_size;
	int err;

	err = host_copy_in(&request, new_process_address, sizeof(request));
	if (err)
		return err;
	err = blob_read(&request.path, PATH_SIZE - 1, &path, &path_size);
	if (err)
		return err == -E2BIG ? -ENAMETOOLONG : err;
	if (strlen(path) != path_size || path[0] != '/')
		err = -EINVAL;
	if (!err)
		err = blob_read(&request.argv, HOST_BLOB_MAX, &argv, &argv_size);
	if (!err)
		err = blob_read(&request.environment, HOST_BLOB_MAX, &environment,
				&environment_size);
	if (!err)
		err = add_arguments(&args, argv, argv_size);
	if (!err)
		err = add_environment(&args, environment, environment_size);
	if (!err)
		err = create_program(path, &args, request.stdio,
				     request.flags & NEW_PROCESS_HAS_SHELL);
	exec_args_free(&args);
	kfree(environment);
	kfree(argv);
	kfree(path);
	return err;
}

s64 boot_exec(u64 pid)
{
	struct process *p = pid <= INT32_MAX ? created_take((s32)pid) : NULL;
	s64 ret;

	if (!p)
		return -ESRCH;
	ret = process_start(p);
	if (!ret)
		ret = process_wait_exit(p);
	process_put(p);
	return ret;
}

static int kill_one(struct process *p, void *arg)
{
	if (p != &kernel_process)
		(void)signal_send_process(p, arg);
	return 0;
}

s64 boot_kill(u64 pid_and_signal)
{
	struct signal_info info = {.signo = (int)(pid_and_signal >> 32),
				   .code = SIGNAL_FROM_KERNEL};
	s32 pid = (s32)(u32)pid_and_signal;
	struct process *p;
	int ret;

	if (info.signo < 1 || info.signo > SIGNAL_COUNT)
		return -EINVAL;
	if (pid == -1)
		return process_for_each(kill_one, &info);
	p = process_lookup(pid);
	if (!p)
		return -ESRCH;
	/* What comes from the terminal is for whoever is in the foreground there. */
	ret = tty_signal_from_host(p, info.signo);
	if (ret)
		ret = signal_send_process(p, &info);
	process_put(p);
	return ret;
}

s64 boot_shutdown(void)
{
	/* Threads of ended programs are on their way out; what still runs is the host's doing. */
	if (!threads_wait_gone(SHUTDOWN_WAIT_NS))
		log_warn("programs are still running at shutdown");
	fs_context_put(kernel_process.fs);
	kernel_process.fs = NULL;
	return vfs_shutdown();
}
