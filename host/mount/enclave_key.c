// SPDX-License-Identifier: Apache-2.0
/*
 * The key of the CPU for `occlum mount`. Only an enclave of the instance's signer gets it, so the
 * owner signs one more: the ordinary kernel of the hardware, with the instance's configuration,
 * whose initfs (measured through the configuration) is user/keyhelper with the key request and the
 * hash of a secret. The secret exists in this process alone, goes to the helper through a pipe, and
 * what comes back is encrypted under it. A copy of the signed helper answers nobody who has not the
 * secret, and asks the CPU for this one key only. Its folder is private and removed at once.
 */
#include "host/mount/enclave_key.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/lib/mkimage.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"
#include "lib/base/string.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"
#include "lib/sgx/sgx.h"

#define SECRET_SIZE 32
#define ANSWER_SIZE (SGX_KEY_SIZE + SHA256_SIZE)
#define TIMEOUT_S   120

/* What the helper reads: user/keyhelper/keyhelper.c. */
struct key_request {
	u8 magic[8];
	u8 expected[SHA256_SIZE];
	u8 request[sizeof(struct sgx_keyrequest)];
};
static_assert(sizeof(struct key_request) == 552, "key_request");

static void hash(const char label[17], const u8 *secret, const u8 *more, size_t more_size,
		 u8 digest[SHA256_SIZE])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, label, 16);
	sha256_update(&s, secret, SECRET_SIZE);
	if (more_size)
		sha256_update(&s, more, more_size);
	sha256_final(&s, digest);
	mem_wipe(&s, sizeof(s));
}

/* ---- the helper's folder, which looks like an instance ---- */

static int put(const char *work, const char *name, const void *bytes, size_t size)
{
	char path[PATH_MAX];
	int err = path_join(path, sizeof(path), work, name);

	if (!err)
		err = file_create(path, bytes, size, 0600);
	return err ? complain_errno(err, "cannot write the helper's '%s'", name) : 0;
}

static int make_folders(const char *work)
{
	static const char *const names[] = {
		"initfs/bin",	      "initfs/etc",	  "build/lib",	      "build/initfs",
		"build/mount/__ROOT", "run/mount/__ROOT", "run/initfs/__ROOT"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[PATH_MAX];
		int err = path_join(path, sizeof(path), work, names[i]);

		if (!err)
			err = dir_make(path, 0700);
		if (err)
			return complain_errno(err, "cannot make a folder for the helper enclave");
	}
	return 0;
}

static int make_initfs(const char *work, const struct key_request *r, u8 digest[32])
{
	char from[PATH_MAX], to[PATH_MAX], program[PATH_MAX];
	struct mkimage_params params = {
		.source = from, .output = to, .role = SECVOL_ROLE_INITFS, .force = true};
	static struct mkimage_result result;
	int err;

	if (path_join(from, sizeof(from), work, "initfs") ||
	    path_join(to, sizeof(to), work, "build/initfs/__ROOT") ||
	    path_join(program, sizeof(program), work, "initfs/bin/init"))
		return complain("the path of the temporary folder is too long");
	err = file_copy(place_of(PIECE_KEY_HELPER), program, 0755);
	if (err)
		return complain_errno(err, "cannot copy '%s'", place_of(PIECE_KEY_HELPER));
	if (put(work, "initfs/etc/key_request", r, sizeof(*r)))
		return 1;
	if (mkimage_build(&params, &result) < 0)
		return complain("%s", result.error);
	memcpy(digest, result.sha256, 32);
	return 0;
}

/* The configuration with the helper's initfs: product id, versions and attributes stay. */
static int make_config(const char *work, const struct occlum_config *config, const u8 initfs[32],
		       u8 digest[32])
{
	struct occlum_config *own = malloc(sizeof(*own));
	u8 *bytes = malloc(CONFIG_SIZE_MAX);
	size_t size;
	int status = 1;

	if (!own || !bytes) {
		complain("out of memory");
		goto out;
	}
	*own = *config;
	memcpy(own->init.mounts[0].layers[0].digest, initfs, 32);
	if (config_encode(own, bytes, CONFIG_SIZE_MAX, &size) < 0) {
		complain("the configuration of the helper enclave is refused");
		goto out;
	}
	sha256(bytes, size, digest);
	status = put(work, INSTANCE_CONFIG, bytes, size);
out:
	free(bytes);
	free(own);
	return status;
}

static int sign(const char *work, const struct enclave_key_params *p, const u8 config_digest[32])
{
	char out[PATH_MAX];
	struct sign_params params = {.image_path = place_of(PIECE_KERNEL_HW),
				     .output_path = out,
				     .work_dir = work,
				     .key_path = p->key_path,
				     .tool_path = p->tool_path,
				     .config = p->config};
	struct enclave_error error = {0};
	struct sign_info info;

	if (path_join(out, sizeof(out), work, INSTANCE_SIGNED))
		return complain("the path of the temporary folder is too long");
	memcpy(params.config_sha256, config_digest, 32);
	if (sign_kernel_image(&params, &info, &error) < 0)
		return complain("cannot sign the helper enclave: %s", error.text);
	/* Otherwise the CPU gives it other keys than the instance's. */
	if (memcmp(info.mrsigner, p->instance->mrsigner, SGX_HASH_SIZE) != 0 ||
	    info.sigstruct.isvprodid != p->instance->sigstruct.isvprodid)
		return complain("wrong signer: the helper enclave was signed by another");
	return 0;
}

static int make_helper(const char *work, const struct enclave_key_params *p,
		       const struct key_request *r)
{
	u8 initfs[32], config[32];

	return make_folders(work) || make_initfs(work, r, initfs) ||
	       make_config(work, p->config, initfs, config) || sign(work, p, config) ||
	       put(work, INSTANCE_STATUS, "built\n", 6) || put(work, INSTANCE_MODE, "HW\n", 3);
}

/* ---- asking it ---- */

static const char *loader(void)
{
	const char *other = getenv("OCCLUM_MOUNT_LOADER"); /* an emulated machine's */

	return other && other[0] == '/' ? other : place_of(PIECE_OCCLUM_RUN);
}

static void become_loader(const char *work, int in, int out)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || chdir(work) < 0)
		_exit(127);
	alarm(TIMEOUT_S); /* a helper that hangs does not hold the mount up */
	execl(loader(), loader(), "/bin/init", (char *)NULL);
	_exit(127);
}

static size_t read_answer(int fd, u8 answer[ANSWER_SIZE])
{
	size_t done = 0;

	while (done < ANSWER_SIZE) {
		ssize_t n = read(fd, answer + done, ANSWER_SIZE - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/* The child gets the secret by a pipe alone: the memory that it lies in is wiped on fork. */
static int ask(const char *work, const u8 *secret, u8 answer[ANSWER_SIZE])
{
	int in[2], out[2], status = 0;
	size_t got = 0;
	pid_t child;

	if (pipe2(in, O_CLOEXEC) < 0)
		return complain_errno(errno, "cannot make a pipe");
	if (write(in[1], secret, SECRET_SIZE) != SECRET_SIZE || pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return complain_errno(errno, "cannot make a pipe");
	}
	child = fork();
	if (child == 0)
		become_loader(work, in[0], out[1]);
	close(in[0]);
	close(in[1]);
	close(out[1]);
	if (child > 0)
		got = read_answer(out[0], answer);
	close(out[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child > 0 && got == ANSWER_SIZE)
		return 0;
	return complain("the helper enclave gave no key; it needs an SGX device "
			"(`occlum doctor` says what is missing)");
}

static int open_answer(const u8 *secret, const u8 answer[ANSWER_SIZE], u8 *key)
{
	u8 digest[SHA256_SIZE];

	hash("occlum key tag 1", secret, answer, SGX_KEY_SIZE, digest);
	if (!crypto_equal(digest, answer + SGX_KEY_SIZE, SHA256_SIZE))
		return complain("the answer of the helper enclave was changed");
	hash("occlum key pad 1", secret, NULL, 0, digest);
	for (int i = 0; i < SGX_KEY_SIZE; i++)
		key[i] = answer[i] ^ digest[i];
	mem_wipe(digest, sizeof(digest));
	return 0;
}

int enclave_key_get(const struct enclave_key_params *p, const void *request, u8 *secret, u8 *key)
{
	const char *tmp = getenv("TMPDIR");
	struct key_request r = {.magic = "OCKEYRQ1"};
	u8 answer[ANSWER_SIZE];
	char work[PATH_MAX];
	int status;

	if (getrandom(secret, SECRET_SIZE, 0) != SECRET_SIZE)
		return complain_errno(errno, "cannot get random bytes");
	hash("occlum key ask 1", secret, NULL, 0, r.expected);
	memcpy(r.request, request, sizeof(r.request));
	if (path_join(work, sizeof(work), tmp && tmp[0] == '/' ? tmp : "/tmp",
		      "occlum-helper.XXXXXX") < 0)
		return complain("the path of the temporary folder is too long");
	if (!mkdtemp(work))
		return complain_errno(errno, "cannot make a temporary folder '%s'", work);
	status = make_helper(work, p, &r) || ask(work, secret, answer);
	if (tree_remove(work) < 0)
		warn("cannot remove '%s'", work);
	status = status || open_answer(secret, answer, key);
	mem_wipe(secret, SECRET_SIZE);
	return status;
}
