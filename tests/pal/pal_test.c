/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader refuses what was changed after signing; entry, exceptions, host calls, threads and
 * keys work for the test enclave. Linked with the PAL's own objects. Arguments: test enclave, sign
 * tool. With an enclave for hardware the same is asked of the hardware backend, over an emulation
 * (tests/emu).
 */
#define _GNU_SOURCE
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/lib/sign.h"
#include "host/lib/sim_root.h"
#include "host/pal/inner/inner.h"
#include "host/pal/outer/enclave.h"
#include "host/pal/outer/sgx_driver.h"
#include "include/occlum/occlum_pal_api.h"
#include "tests/pal/scenarios.h"

#ifdef __SANITIZE_ADDRESS__
#define LOW_ADDRESSES_ARE_FREE 0 /* its shadow lies there */
#else
#define LOW_ADDRESSES_ARE_FREE 1
#endif

static const char *image_path, *tool_path;
static char directory[] = "/tmp/occlum-pal-test.XXXXXX";
static char signed_path[128], key_path[128];
static struct sign_info signed_info;
static bool is_hardware; /* by the image's name */

static void write_bytes(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static int sign_again(bool debuggable, struct enclave_error *error)
{
	static struct occlum_config config;
	struct sign_params params = {
		.image_path = image_path,
		.output_path = signed_path,
		.work_dir = directory,
		.key_path = key_path,
		.tool_path = tool_path,
		.config = &config,
		.config_sha256 = {1},
		.simulation = debuggable && !is_hardware,
	};

	config.user_space_size = MIB(256);
	config.kernel_heap_size = MIB(4);
	config.kernel_stack_size = TEST_STACK_SIZE;
	config.max_threads = 8;
	config.product_id = 7;
	config.version_number = 3;
	config.debuggable = debuggable;
	return sign_kernel_image(&params, &signed_info, error);
}

static int group_setup(void **state)
{
	struct enclave_error error = {""};
	char path[128];

	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/build", directory);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/build/lib", directory);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/link", directory);
	if (symlink("build", path) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/build/.Occlum_sys.bin", directory);
	write_bytes(path, "configuration", 13);
	snprintf(path, sizeof(path), "%s/state/sim.key", directory);
	setenv("OCCLUM_SIM_KEY", path, 1);
	snprintf(signed_path, sizeof(signed_path), "%s/build/lib/libocclum-libos.signed.so",
		 directory);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", directory);
	if (sign_key_generate(key_path, &error) < 0 || sign_again(true, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	return 0;
}

static int group_teardown(void **state)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execlp("rm", "rm", "-rf", directory, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* ---- loading --------------------------------------------------------------------------------- */

static void test_loader_computes_the_signed_mrenclave(void **state)
{
	struct enclave_error error = {""};
	struct sign_info info;
	struct enclave e;

	assert_int_equal(enclave_load(&e, signed_path, &error), 0);
	assert_memory_equal(e.secs.mrenclave, signed_info.mrenclave, 32);
	assert_memory_equal(e.secs.mrsigner, signed_info.mrsigner, 32);
	assert_int_equal(e.secs.isvprodid, 7);
	assert_int_equal(e.secs.isvsvn, 3);
	enclave_unload(&e);
	assert_int_equal(sign_image_verify(signed_path, &info, &error), 0);
	assert_memory_equal(info.mrenclave, signed_info.mrenclave, 32);
}

static u8 *original;
static u64 original_size;

static void read_original(struct enclave_image *image)
{
	struct enclave_error error = {""};

	if (!original)
		assert_int_equal(
			enclave_file_read(signed_path, MIB(64), &original, &original_size, &error),
			0);
	assert_int_equal(enclave_image_open(image, original, original_size, &error), 0);
}

/* Flips one bit, expects the loader to say `what`, repairs the file. */
static void expect_refusal(u64 offset, u8 bit, const char *what)
{
	char path[160];
	struct enclave_error error = {""};
	struct enclave e;

	snprintf(path, sizeof(path), "%s/changed.so", directory);
	original[offset] ^= bit;
	write_bytes(path, original, original_size);
	original[offset] ^= bit;
	assert_true(enclave_load(&e, path, &error) < 0);
	if (!strstr(error.text, what))
		print_error("offset %llu: %s\n", (unsigned long long)offset, error.text);
	assert_non_null(strstr(error.text, what));
}

static void test_changed_images_are_refused(void **state)
{
	struct enclave_image image;

	read_original(&image);
	expect_refusal(0x1000 + 64, 1, "MRENCLAVE"); /* text */
	expect_refusal(image.measured_offset + offsetof(struct measured_params, config_sha256), 1,
		       "MRENCLAVE");
	expect_refusal(image.measured_offset + 200, 0x80, "MRENCLAVE");
	expect_refusal(image.measured_offset + offsetof(struct measured_params, heap_size) + 2, 1,
		       "MRENCLAVE");
	expect_refusal(image.measured_offset + offsetof(struct measured_params, slots_offset) + 2,
		       1, "contradicts itself");
	expect_refusal(image.measured_offset, 1, "damaged");
	expect_refusal(image.measured_offset + offsetof(struct measured_params, version), 2,
		       "another version of Occlum");
	expect_refusal(image.measured_offset + offsetof(struct measured_params, interface), 1,
		       "another version of Occlum");
}

static void test_changed_signatures_are_refused(void **state)
{
	struct enclave_image image;
	u64 at;

	read_original(&image);
	at = image.sigstruct_offset;
	expect_refusal(at + offsetof(struct sgx_sigstruct, header), 1, "malformed");
	expect_refusal(at + offsetof(struct sgx_sigstruct, rsv44), 1, "malformed");
	expect_refusal(at + offsetof(struct sgx_sigstruct, date), 1, "is wrong");
	expect_refusal(at + offsetof(struct sgx_sigstruct, swdefined), 1, "is wrong");
	expect_refusal(at + offsetof(struct sgx_sigstruct, modulus), 2, "is wrong");
	expect_refusal(at + offsetof(struct sgx_sigstruct, signature) + 100, 1, "is wrong");
	expect_refusal(at + offsetof(struct sgx_sigstruct, enclavehash), 1, "is wrong");
	expect_refusal(at + offsetof(struct sgx_sigstruct, isvsvn), 1, "is wrong");
	expect_refusal(at + offsetof(struct sgx_sigstruct, attributes), SGX_ATTR_DEBUG, "is wrong");
	expect_refusal(at + offsetof(struct sgx_sigstruct, q1) + 5, 1, "is wrong");
	expect_refusal(at + offsetof(struct sgx_sigstruct, q2) + 380, 1, "is wrong");
}

/* Any byte of the file, loaded or not. */
static void test_every_part_of_the_file_counts(void **state)
{
	struct enclave_image image;

	read_original(&image);
	for (u64 at = 0; at < ELF_HEADER_SIZE; at++)
		expect_refusal(at, 4, "");
	for (u64 at = ELF_HEADER_SIZE; at < original_size; at += original_size / 257)
		expect_refusal(at, 1, "");
	for (u64 at = 0; at < sizeof(struct sgx_sigstruct); at += 13)
		expect_refusal(image.sigstruct_offset + at, 8, "");
	for (u64 at = 1; at < 400; at += 3) /* the section headers come last */
		expect_refusal(original_size - at, 2, "");
}

static void test_truncated_images_are_refused(void **state)
{
	static const u64 sizes[] = {0, 1, 63, 64, 4096, 5000};
	struct enclave_error error;
	struct enclave_image image;
	struct enclave e;
	char path[160];

	read_original(&image);
	snprintf(path, sizeof(path), "%s/short.so", directory);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		error.text[0] = 0;
		write_bytes(path, original, sizes[i]);
		assert_true(enclave_load(&e, path, &error) < 0);
		assert_true(error.text[0] != 0);
	}
	assert_int_equal(enclave_load(&e, "/nowhere", &error), -ENOENT);
}

static void test_release_signatures_do_not_run_in_simulation(void **state)
{
	struct enclave_error error = {""};
	struct enclave e;

	if (is_hardware)
		skip();
	assert_int_equal(sign_again(false, &error), 0);
	assert_int_equal(enclave_load(&e, signed_path, &error), -EPERM);
	assert_non_null(strstr(error.text, "without DEBUG"));
	assert_int_equal(sign_again(true, &error), 0);
}

static void test_same_inputs_sign_the_same_bytes(void **state)
{
	struct enclave_error error = {""};
	struct enclave_image image;
	u8 *again;
	u64 size;

	read_original(&image);
	assert_int_equal(sign_again(true, &error), 0);
	assert_int_equal(enclave_file_read(signed_path, MIB(64), &again, &size, &error), 0);
	assert_int_equal(size, original_size);
	assert_memory_equal(again, original, size);
	free(again);
}

/* A tool that changes the image, fails, or signs another one. */
static void test_sign_tools_are_not_believed(void **state)
{
	static const char *const scripts[][2] = {
		{"#!/bin/sh\nexit 3\n", "failed"},
		{"#!/bin/sh\ncp \"$7\" \"$9\"\n", "malformed"},
		{"#!/bin/sh\n\"$TOOL\" \"$@\" && printf x | dd of=\"$9\" bs=1 seek=256 "
		 "conv=notrunc "
		 "2>/dev/null\n",
		 "changed more"},
		{"#!/bin/sh\nsed -i 's/<ISVSVN>3/<ISVSVN>4/' \"$5\"; \"$TOOL\" \"$@\"\n",
		 "another identity"},
	};
	struct enclave_error error;
	const char *saved = tool_path;
	char path[160];

	setenv("TOOL", tool_path, 1);
	snprintf(path, sizeof(path), "%s/tool", directory);
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		write_bytes(path, scripts[i][0], strlen(scripts[i][0]));
		chmod(path, 0755);
		tool_path = path;
		error.text[0] = 0;
		assert_true(sign_again(true, &error) < 0);
		if (!strstr(error.text, scripts[i][1]))
			print_error("tool %zu: %s\n", i, error.text);
		assert_non_null(strstr(error.text, scripts[i][1]));
	}
	tool_path = saved;
}

static void test_secret_must_be_private(void **state)
{
	struct enclave_error error = {""};
	const char *path = getenv("OCCLUM_SIM_KEY");
	u8 secret[SIM_ROOT_SIZE], again[SIM_ROOT_SIZE];
	struct stat st;

	assert_int_equal(sim_root_read(secret, &error), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sim_root_read(again, &error), 0);
	assert_memory_equal(secret, again, sizeof(secret));
	chmod(path, 0644);
	assert_int_equal(sim_root_read(again, &error), -EPERM);
	chmod(path, 0600);
	assert_int_equal(truncate(path, 31), 0);
	assert_int_equal(sim_root_read(again, &error), -EUCLEAN);
	write_bytes(path, secret, sizeof(secret));
}

/* ---- running --------------------------------------------------------------------------------- */

static int run(enum scenario which)
{
	int result = -1;
	struct occlum_pal_exec_args args = {.pid = which, .exit_value = &result};

	return occlum_pal_exec(&args) == 0 ? result : -errno;
}

static void start(void)
{
	struct occlum_pal_attr attr = OCCLUM_PAL_ATTR_INITVAL;

	attr.instance_dir = directory;
	if (occlum_pal_init(&attr) < 0)
		_exit(99);
}

/* One enclave per process: each test of a running one has its own child. */
static int in_child(int (*what)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(60);
		_exit(what());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		print_error("killed by signal %d\n", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		print_error("failed with %d\n", WEXITSTATUS(status));
	return status;
}

static int all_scenarios(void)
{
	static const enum scenario list[] = {SCENARIO_EXCEPTIONS, SCENARIO_HOST_CALLS,
					     SCENARIO_MEMORY,	  SCENARIO_KEYS,
					     SCENARIO_THREADS,	  SCENARIO_KICKS};
	const char *argv[] = {"a", "b", NULL};
	struct occlum_stdio_fds stdio = {0, 2, 2};
	int pid = 0;
	struct occlum_pal_create_process_args args = {
		.path = "/bin/x", .argv = argv, .stdio = &stdio, .pid = &pid};

	if (occlum_pal_exec(&(struct occlum_pal_exec_args){1, &pid}) == 0 || errno != ENOENT)
		return 90;
	start();
	if (occlum_pal_init(&(struct occlum_pal_attr)OCCLUM_PAL_ATTR_INITVAL) == 0 ||
	    errno != EEXIST)
		return 91;
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		int line = run(list[i]);

		if (line) {
			fprintf(stderr, "scenario %d fails at line %d of enclave.c\n", list[i],
				line);
			return 92;
		}
	}
	if (run(SCENARIO_BASE_IS_ZERO) != LOW_ADDRESSES_ARE_FREE)
		return 93;
	if (occlum_pal_create_process(&args) < 0 || pid != 102)
		return 94;
	if (occlum_pal_kill(pid, SIGUSR1) == 0 || errno != EINVAL)
		return 95;
	return occlum_pal_destroy() == 0 ? 0 : 96;
}

static void test_scenarios(void **state)
{
	assert_int_equal(in_child(all_scenarios), 0);
}

/* With the low addresses taken the enclave lives elsewhere. */
static int elsewhere(void)
{
	if (mmap((void *)0x20000, 4096, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
		return 97;
	start();
	if (run(SCENARIO_BASE_IS_ZERO) != 0)
		return 93;
	return run(SCENARIO_MEMORY) || run(SCENARIO_EXCEPTIONS) || occlum_pal_destroy();
}

static void test_other_base(void **state)
{
	assert_int_equal(in_child(elsewhere), 0);
}

static int dirty(void)
{
	setenv("OCCLUM_TEST_DIRTY_PAGES", "1", 1);
	start();
	return run(SCENARIO_DIRTY) == 1 ? 0 : 93;
}

static void test_unmeasured_pages_can_be_dirty(void **state)
{
	assert_int_equal(in_child(dirty), 0);
}

static void *spin(void *unused)
{
	return (void *)(long)run(SCENARIO_SPIN);
}

/* One thread aborts; the one that spins inside is thrown out; the embedder lives on. */
static int another_is_refused(void)
{
	struct occlum_pal_attr attr = OCCLUM_PAL_ATTR_INITVAL;
	int status;
	pid_t pid;

	start();
	fflush(NULL);
	pid = fork();
	if (pid == 0) { /* a process of its own, as the library knows nothing of forks */
		execl("/proc/self/exe", "test-pal", "--init-fails-with", "16", directory, NULL);
		_exit(97);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return 93;
	if (occlum_pal_destroy() < 0)
		return 94;
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "test-pal", "--init-fails-with", "0", directory, NULL);
		_exit(97);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return 95;
	attr.instance_dir = directory;
	return occlum_pal_init(&attr) < 0 && errno == EEXIST ? 0 : 96;
}

static void test_one_process_at_a_time(void **state)
{
	assert_int_equal(in_child(another_is_refused), 0);
}

/* The other process of the test above. */
static int init_fails_with(int error, const char *folder)
{
	struct occlum_pal_attr attr = {.instance_dir = folder};
	int got = occlum_pal_init(&attr) < 0 ? errno : 0;

	if (got != error)
		fprintf(stderr, "occlum_pal_init: %d instead of %d\n", got, error);
	return got != error;
}

static int abort_ends_all(void)
{
	pthread_t thread;
	void *result;

	start();
	freopen("/dev/null", "w", stderr);
	if (pthread_create(&thread, NULL, spin, NULL))
		return 97;
	usleep(20000);
	if (run(SCENARIO_ABORT) != -ENOTRECOVERABLE)
		return 93;
	pthread_join(thread, &result);
	if ((long)result != -ENOTRECOVERABLE)
		return 94;
	if (run(SCENARIO_EXCEPTIONS) != -ENOTRECOVERABLE)
		return 95;
	return occlum_pal_destroy() == 0 ? 0 : 96;
}

static void test_abort_ends_the_instance_alone(void **state)
{
	assert_int_equal(in_child(abort_ends_all), 0);
}

/* The processor loses all enclaves when the machine sleeps: the same as no TCS any more. */
static int lost(void)
{
	pthread_t thread;
	void *result;

	start();
	freopen("/dev/null", "w", stderr);
	if (pthread_create(&thread, NULL, spin, NULL))
		return 97;
	usleep(20000);
	for (u32 i = 0; i < inner.thread_count; i++)
		sgx_driver.munmap((void *)inner_thread_of(i)->tcs, PAGE_SIZE);
	if (run(SCENARIO_EXCEPTIONS) != -ENOTRECOVERABLE || inner.abort_reason != INNER_ABORT_LOST)
		return 93;
	pthread_join(thread, &result);
	if ((long)result != -ENOTRECOVERABLE)
		return 94;
	return occlum_pal_destroy() == 0 ? 0 : 96;
}

static void test_lost_memory_ends_the_instance(void **state)
{
	if (!is_hardware)
		skip();
	assert_int_equal(in_child(lost), 0);
}

static volatile sig_atomic_t handled;

static void on_segv(int sig, siginfo_t *info, void *uc)
{
	handled++;
	mprotect((void *)((unsigned long)info->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE);
}

/* The embedder's own faults go to its own handler, with the enclave loaded. */
static int foreign_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
	volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigaction(SIGSEGV, &action, NULL);
	start();
	*page = 1;
	if (handled != 1)
		return 93;
	if (run(SCENARIO_EXCEPTIONS))
		return 94;
	mprotect((void *)page, 4096, PROT_NONE);
	*page = 2;
	return handled == 2 ? 0 : 95;
}

static void test_faults_of_the_embedder(void **state)
{
	assert_int_equal(in_child(foreign_faults), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loader_computes_the_signed_mrenclave),
		cmocka_unit_test(test_changed_images_are_refused),
		cmocka_unit_test(test_changed_signatures_are_refused),
		cmocka_unit_test(test_every_part_of_the_file_counts),
		cmocka_unit_test(test_truncated_images_are_refused),
		cmocka_unit_test(test_release_signatures_do_not_run_in_simulation),
		cmocka_unit_test(test_same_inputs_sign_the_same_bytes),
		cmocka_unit_test(test_sign_tools_are_not_believed),
		cmocka_unit_test(test_secret_must_be_private),
		cmocka_unit_test(test_scenarios),
		cmocka_unit_test(test_other_base),
		cmocka_unit_test(test_one_process_at_a_time),
		cmocka_unit_test(test_unmeasured_pages_can_be_dirty),
		cmocka_unit_test(test_abort_ends_the_instance_alone),
		cmocka_unit_test(test_lost_memory_ends_the_instance),
		cmocka_unit_test(test_faults_of_the_embedder),
	};

	if (argc == 4 && strcmp(argv[1], "--init-fails-with") == 0)
		return init_fails_with(atoi(argv[2]), argv[3]);
	if (argc != 3)
		return 2;
	image_path = argv[1];
	is_hardware = strstr(image_path, "-hw") != NULL;
	tool_path = argv[2];
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
