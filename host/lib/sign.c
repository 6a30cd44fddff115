/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing a kernel image; see sign.h. What a tool gives back is not believed: its output must be
 * its input plus a SIGSTRUCT that verifies and names the identity that was asked for. Dates come
 * from SOURCE_DATE_EPOCH or are constant, so that the same key signs the same bytes.
 */
#define _GNU_SOURCE
#include "host/lib/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/string.h"

extern char **environ;

#define XML_SIZE_MAX 16384
#define DEFAULT_DATE 0x20240101u

/* ---- files ---------------------------------------------------------------------------------- */

/* Writes beside `path`, flushes, renames. */
static int write_file(const char *path, const void *bytes, u64 size, struct enclave_error *error)
{
	char temporary[4096];
	u64 done = 0;
	int err = 0, fd;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary)) {
		enclave_error_set(error, "path too long: '%s'", path);
		return -ENAMETOOLONG;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		enclave_error_set(error, "cannot create '%s': %s", path, strerror(-err));
		return err;
	}
	while (!err && done < size) {
		ssize_t n = write(fd, (const u8 *)bytes + done, size - done);

		if (n > 0)
			done += (u64)n;
		else if (errno != EINTR)
			err = -errno;
	}
	if (!err && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && rename(temporary, path) < 0)
		err = -errno;
	if (err) {
		unlink(temporary);
		enclave_error_set(error, "cannot write '%s': %s", path, strerror(-err));
	}
	return err;
}

static int load_image(const char *path, u8 **ret_bytes, struct enclave_image *image,
		      struct enclave_error *error)
{
	u64 size;
	int err = enclave_file_read(path, ENCLAVE_IMAGE_SIZE_MAX, ret_bytes, &size, error);

	if (err < 0)
		return err;
	err = enclave_image_open(image, *ret_bytes, size, error);
	if (err < 0) {
		struct enclave_error why = *error;

		enclave_error_set(error, "'%.80s': %.160s", path, why.text);
		free(*ret_bytes);
		*ret_bytes = NULL;
	}
	return err;
}

static EVP_PKEY *read_key(const char *path, bool is_private, struct enclave_error *error)
{
	EVP_PKEY *key = NULL;
	FILE *file = fopen(path, "re");

	if (!file) {
		enclave_error_set(error, "cannot open the key '%s': %s", path, strerror(errno));
		return NULL;
	}
	key = is_private ? PEM_read_PrivateKey(file, NULL, NULL, NULL)
			 : PEM_read_PUBKEY(file, NULL, NULL, NULL);
	fclose(file);
	if (!key)
		enclave_error_set(error, "'%s' holds no %s key in PEM form", path,
				  is_private ? "private" : "public");
	return key;
}

/* ---- what to sign --------------------------------------------------------------------------- */

static u32 signing_date(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	char text[16], *end;
	struct tm tm;
	time_t t;

	if (!epoch || !*epoch)
		return DEFAULT_DATE;
	t = (time_t)strtoll(epoch, &end, 10);
	if (*end || !gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y%m%d", &tm))
		return DEFAULT_DATE;
	return (u32)strtoul(text, NULL, 16);
}

static void identity_of(const struct sign_params *params, struct sigstruct_identity *identity)
{
	const struct occlum_config *config = params->config;

	memset(identity, 0, sizeof(*identity));
	identity->debug = params->simulation || config->debuggable;
	identity->kss = config->enable_kss;
	identity->provision_key = config->provision_key;
	identity->product_id = config->product_id;
	identity->security_version = config->version_number;
	identity->date = signing_date();
	memcpy(identity->family_id, config->family_id, sizeof(identity->family_id));
	memcpy(identity->ext_product_id, config->ext_prod_id, sizeof(identity->ext_product_id));
}

static u64 half_of(const u8 id[16], int which)
{
	u64 half;

	memcpy(&half, id + 8 * which, sizeof(half));
	return half;
}

/* The names are those of Intel's Enclave.xml, Date apart. */
static int write_xml(const char *path, const struct sigstruct_identity *identity,
		     struct enclave_error *error)
{
	char xml[2048];
	int size = snprintf(xml, sizeof(xml),
			    "<EnclaveConfiguration>\n"
			    "  <ProdID>%u</ProdID>\n"
			    "  <ISVSVN>%u</ISVSVN>\n"
			    "  <DisableDebug>%d</DisableDebug>\n"
			    "  <ProvisionKey>%d</ProvisionKey>\n"
			    "  <MiscSelect>1</MiscSelect>\n"
			    "  <MiscMask>0xffffffff</MiscMask>\n"
			    "  <EnableKSS>%d</EnableKSS>\n"
			    "  <ISVEXTPRODID_H>0x%016llx</ISVEXTPRODID_H>\n"
			    "  <ISVEXTPRODID_L>0x%016llx</ISVEXTPRODID_L>\n"
			    "  <ISVFAMILYID_H>0x%016llx</ISVFAMILYID_H>\n"
			    "  <ISVFAMILYID_L>0x%016llx</ISVFAMILYID_L>\n"
			    "  <Date>0x%08x</Date>\n"
			    "</EnclaveConfiguration>\n",
			    identity->product_id, identity->security_version, !identity->debug,
			    identity->provision_key, identity->kss,
			    (unsigned long long)half_of(identity->ext_product_id, 1),
			    (unsigned long long)half_of(identity->ext_product_id, 0),
			    (unsigned long long)half_of(identity->family_id, 1),
			    (unsigned long long)half_of(identity->family_id, 0), identity->date);

	return write_file(path, xml, (u64)size, error);
}

/* One element's number. `max` bounds it. */
static int xml_number(const char *xml, const char *name, u64 max, u64 *ret,
		      struct enclave_error *error)
{
	char open[64], close[64], *end;
	const char *at;
	u64 value;

	snprintf(open, sizeof(open), "<%s>", name);
	snprintf(close, sizeof(close), "</%s>", name);
	at = strstr(xml, open);
	if (at && !strstr(at + 1, open)) {
		at += strlen(open);
		errno = 0;
		value = strtoull(at, &end, 0);
		if (end != at && errno == 0 && value <= max && *at != '-' &&
		    str_has_prefix(end, close)) {
			*ret = value;
			return 0;
		}
	}
	enclave_error_set(error, "the XML file has no valid element <%s>", name);
	return -EINVAL;
}

static int parse_identity(const char *xml, struct sigstruct_identity *identity,
			  struct enclave_error *error)
{
	enum {
		PRODUCT,
		VERSION,
		NO_DEBUG,
		PROVISION,
		KSS,
		EXT_H,
		EXT_L,
		FAMILY_H,
		FAMILY_L,
		DATE,
		COUNT
	};
	static const struct {
		const char *name;
		u64 max;
	} elements[COUNT] = {
		[PRODUCT] = {"ProdID", UINT16_MAX},
		[VERSION] = {"ISVSVN", UINT16_MAX},
		[NO_DEBUG] = {"DisableDebug", 1},
		[PROVISION] = {"ProvisionKey", 1},
		[KSS] = {"EnableKSS", 1},
		[EXT_H] = {"ISVEXTPRODID_H", UINT64_MAX},
		[EXT_L] = {"ISVEXTPRODID_L", UINT64_MAX},
		[FAMILY_H] = {"ISVFAMILYID_H", UINT64_MAX},
		[FAMILY_L] = {"ISVFAMILYID_L", UINT64_MAX},
		[DATE] = {"Date", 0x99991231},
	};
	u64 values[COUNT];

	for (int i = 0; i < COUNT; i++) {
		int err = xml_number(xml, elements[i].name, elements[i].max, &values[i], error);

		if (err < 0)
			return err;
	}
	memset(identity, 0, sizeof(*identity));
	identity->debug = !values[NO_DEBUG];
	identity->kss = values[KSS];
	identity->provision_key = values[PROVISION];
	identity->product_id = (u16)values[PRODUCT];
	identity->security_version = (u16)values[VERSION];
	identity->date = (u32)values[DATE];
	memcpy(identity->ext_product_id, &values[EXT_L], 8);
	memcpy(identity->ext_product_id + 8, &values[EXT_H], 8);
	memcpy(identity->family_id, &values[FAMILY_L], 8);
	memcpy(identity->family_id + 8, &values[FAMILY_H], 8);
	return 0;
}

/* A prepared image and the SIGSTRUCT that it should get, unsigned. */
struct job {
	u8 *bytes;
	struct enclave_image image;
	struct sgx_sigstruct sig;
};

static int job_open(struct job *job, const char *xml_path, const char *enclave_path,
		    struct enclave_error *error)
{
	struct sigstruct_identity identity;
	u8 mrenclave[SGX_HASH_SIZE];
	u8 *xml = NULL;
	u64 xml_size;
	int err;

	memset(job, 0, sizeof(*job));
	err = enclave_file_read(xml_path, XML_SIZE_MAX, &xml, &xml_size, error);
	if (!err)
		err = parse_identity((const char *)xml, &identity, error);
	free(xml);
	if (!err)
		err = load_image(enclave_path, &job->bytes, &job->image, error);
	if (!err)
		err = enclave_image_check(&job->image, error);
	if (!err)
		err = enclave_image_measure(&job->image, mrenclave);
	if (!err)
		sigstruct_fill(&job->sig, &identity, mrenclave);
	return err;
}

static int job_finish(struct job *job, const char *output_path, struct enclave_error *error)
{
	memcpy(job->bytes + job->image.sigstruct_offset, &job->sig, sizeof(job->sig));
	return write_file(output_path, job->bytes, job->image.size, error);
}

int sign_with_key(const char *key_path, const char *xml_path, const char *enclave_path,
		  const char *output_path, struct enclave_error *error)
{
	struct job job;
	EVP_PKEY *key = NULL;
	int err = job_open(&job, xml_path, enclave_path, error);

	if (!err) {
		key = read_key(key_path, true, error);
		err = key ? sigstruct_sign(&job.sig, key, error) : -EINVAL;
	}
	if (!err)
		err = job_finish(&job, output_path, error);
	EVP_PKEY_free(key);
	free(job.bytes);
	return err;
}

int sign_digest(const char *xml_path, const char *enclave_path, const char *output_path,
		struct enclave_error *error)
{
	u8 message[SGX_SIGSTRUCT_PART1_SIZE + SGX_SIGSTRUCT_PART2_SIZE];
	struct job job;
	int err = job_open(&job, xml_path, enclave_path, error);

	if (!err) {
		memcpy(message, &job.sig, SGX_SIGSTRUCT_PART1_SIZE);
		memcpy(message + SGX_SIGSTRUCT_PART1_SIZE,
		       (u8 *)&job.sig + SGX_SIGSTRUCT_PART2_OFFSET, SGX_SIGSTRUCT_PART2_SIZE);
		err = write_file(output_path, message, sizeof(message), error);
	}
	free(job.bytes);
	return err;
}

int sign_attach(const char *public_key_path, const char *signature_path, const char *xml_path,
		const char *enclave_path, const char *output_path, struct enclave_error *error)
{
	EVP_PKEY *key = NULL;
	u8 *signature = NULL;
	u64 size = 0;
	struct job job;
	int err = job_open(&job, xml_path, enclave_path, error);

	if (!err)
		err = enclave_file_read(signature_path, SGX_RSA_SIZE, &signature, &size, error);
	if (!err && size != SGX_RSA_SIZE) {
		enclave_error_set(error, "'%s' holds no signature of %d bytes", signature_path,
				  SGX_RSA_SIZE);
		err = -EINVAL;
	}
	if (!err) {
		key = read_key(public_key_path, false, error);
		err = key ? sigstruct_attach(&job.sig, key, signature, error) : -EINVAL;
	}
	if (!err)
		err = job_finish(&job, output_path, error);
	EVP_PKEY_free(key);
	free(signature);
	free(job.bytes);
	return err;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int prepare(const struct sign_params *params, const char *prepared_path,
		   struct enclave_error *error)
{
	const struct occlum_config *config = params->config;
	struct enclave_shape shape = {
		.user_space_size = config->user_space_size,
		.heap_size = config->kernel_heap_size,
		.stack_size = config->kernel_stack_size,
		.max_threads = config->max_threads,
	};
	struct measured_params measured;
	struct enclave_image image;
	u8 *bytes = NULL;
	int err = load_image(params->image_path, &bytes, &image, error);

	if (err < 0)
		return err;
	memcpy(shape.config_sha256, params->config_sha256, sizeof(shape.config_sha256));
	err = enclave_image_plan(&image, &shape, &measured, error);
	if (!err) {
		memcpy(bytes + image.measured_offset, &measured, sizeof(measured));
		memset(bytes + image.sigstruct_offset, 0, sizeof(struct sgx_sigstruct));
		err = write_file(prepared_path, bytes, image.size, error);
	}
	free(bytes);
	return err;
}

static int run_tool(const struct sign_params *params, const char *xml_path, const char *in_path,
		    const char *out_path, struct enclave_error *error)
{
	char *argv[] = {(char *)params->tool_path,
			(char *)"sign",
			(char *)"-key",
			(char *)params->key_path,
			(char *)"-config",
			(char *)xml_path,
			(char *)"-enclave",
			(char *)in_path,
			(char *)"-out",
			(char *)out_path,
			NULL};
	posix_spawn_file_actions_t actions;
	int status, err;
	pid_t pid;

	/* A tool's chatter must not get into what our caller prints. */
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	err = posix_spawnp(&pid, params->tool_path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err) {
		enclave_error_set(error, "cannot run the sign tool '%s': %s", params->tool_path,
				  strerror(err));
		return -err;
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (access(out_path, F_OK) == 0)
			return 0;
		enclave_error_set(error,
				  "the sign tool '%s' ended with success and has not made the file "
				  "that -out names",
				  params->tool_path);
		return -ENOENT;
	}
	enclave_error_set(error, "the sign tool '%s' failed (%s %d)", params->tool_path,
			  WIFEXITED(status) ? "exit status" : "signal",
			  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return -EIO;
}

/* OUT is IN with another SIGSTRUCT. */
static int compare_images(const char *in_path, const char *out_path, struct enclave_error *error)
{
	struct enclave_image in, out;
	u8 *in_bytes = NULL, *out_bytes = NULL;
	int err = load_image(in_path, &in_bytes, &in, error);

	if (!err)
		err = load_image(out_path, &out_bytes, &out, error);
	if (!err) {
		memset(in_bytes + in.sigstruct_offset, 0, sizeof(struct sgx_sigstruct));
		if (in.size == out.size)
			memset(out_bytes + in.sigstruct_offset, 0, sizeof(struct sgx_sigstruct));
		if (in.size != out.size || memcmp(in_bytes, out_bytes, in.size) != 0) {
			enclave_error_set(error, "the sign tool changed more than the signature");
			err = -EBADMSG;
		}
	}
	free(in_bytes);
	free(out_bytes);
	return err;
}

static int check_identity(const struct sign_params *params,
			  const struct sigstruct_identity *identity, const struct sign_info *info,
			  struct enclave_error *error)
{
	const struct sgx_sigstruct *sig = &info->sigstruct;
	struct sgx_sigstruct want;

	sigstruct_fill(&want, identity, info->mrenclave);
	if (memcmp(&sig->attributes, &want.attributes, sizeof(want.attributes)) != 0 ||
	    (sig->attributemask.flags & SGX_ATTR_DEBUG) == 0 ||
	    (sig->miscselect & sig->miscmask) != (want.miscselect & sig->miscmask) ||
	    sig->isvprodid != want.isvprodid || sig->isvsvn != want.isvsvn ||
	    memcmp(sig->isvfamilyid, want.isvfamilyid, sizeof(want.isvfamilyid)) != 0 ||
	    memcmp(sig->isvextprodid, want.isvextprodid, sizeof(want.isvextprodid)) != 0) {
		enclave_error_set(error, "the sign tool signed another identity than the "
					 "configuration's");
		return -EBADMSG;
	}
	if (!params->config->debuggable &&
	    memcmp(info->mrsigner, sigstruct_sample_mrsigner, SGX_HASH_SIZE) == 0) {
		enclave_error_set(error, "Intel's public sample key cannot sign a release "
					 "(metadata.debuggable is false)");
		return -EPERM;
	}
	return 0;
}

int sign_kernel_image(const struct sign_params *params, struct sign_info *ret_info,
		      struct enclave_error *error)
{
	char xml[4096], prepared[4096], signed_path[4096];
	struct sigstruct_identity identity;
	struct sign_info info;
	int err;

	if (snprintf(xml, sizeof(xml), "%s/Enclave.xml", params->work_dir) >= (int)sizeof(xml) ||
	    snprintf(prepared, sizeof(prepared), "%s/libocclum-libos.prepared.so",
		     params->work_dir) >= (int)sizeof(prepared) ||
	    snprintf(signed_path, sizeof(signed_path), "%s.signing", params->output_path) >=
		    (int)sizeof(signed_path)) {
		enclave_error_set(error, "path too long: '%s'", params->work_dir);
		return -ENAMETOOLONG;
	}
	identity_of(params, &identity);
	err = write_xml(xml, &identity, error);
	if (!err)
		err = prepare(params, prepared, error);
	if (!err)
		err = run_tool(params, xml, prepared, signed_path, error);
	if (!err)
		err = compare_images(prepared, signed_path, error);
	if (!err)
		err = sign_image_verify(signed_path, &info, error);
	if (!err)
		err = check_identity(params, &identity, &info, error);
	if (!err && rename(signed_path, params->output_path) < 0) {
		err = -errno;
		enclave_error_set(error, "cannot write '%s': %s", params->output_path,
				  strerror(-err));
	}
	unlink(prepared);
	if (err)
		unlink(signed_path);
	else
		*ret_info = info;
	return err;
}

int sign_image_verify(const char *path, struct sign_info *ret_info, struct enclave_error *error)
{
	struct enclave_image image;
	struct sign_info info;
	struct sgx_secs secs;
	u8 *bytes = NULL;
	int err = load_image(path, &bytes, &image, error);

	if (err < 0)
		return err;
	err = enclave_image_check(&image, error);
	if (!err)
		err = enclave_image_measure(&image, info.mrenclave);
	if (!err) {
		memcpy(&info.sigstruct, bytes + image.sigstruct_offset, sizeof(info.sigstruct));
		info.params = image.params;
		/* As if started the way it is signed for. */
		memset(&secs, 0, sizeof(secs));
		secs.attributes = info.sigstruct.attributes;
		secs.miscselect = info.sigstruct.miscselect;
		memcpy(secs.mrenclave, info.mrenclave, SGX_HASH_SIZE);
		err = sigstruct_einit(&info.sigstruct, &secs, error);
	}
	if (!err) {
		memcpy(info.mrsigner, secs.mrsigner, SGX_HASH_SIZE);
		*ret_info = info;
	}
	free(bytes);
	return err;
}

int sign_key_generate(const char *path, struct enclave_error *error)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *three = BN_new();
	EVP_PKEY *key = NULL;
	FILE *file;
	int err = -EIO, fd;

	if (!ctx || !three || !BN_set_word(three, 3) || EVP_PKEY_keygen_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 8 * SGX_RSA_SIZE) <= 0 ||
	    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, three) <= 0 ||
	    EVP_PKEY_generate(ctx, &key) <= 0) {
		enclave_error_set(error, "cannot generate an RSA key");
		goto end;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = -errno;
		enclave_error_set(error, "cannot create '%s': %s", path, strerror(-err));
		goto end;
	}
	file = fdopen(fd, "w");
	if (!file)
		close(fd);
	if (file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) &&
	    fflush(file) == 0 && fsync(fd) == 0)
		err = 0;
	if (file && fclose(file) != 0)
		err = -EIO;
	if (err < 0) {
		unlink(path);
		enclave_error_set(error, "cannot write '%s'", path);
	}
end:
	BN_free(three);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return err;
}
