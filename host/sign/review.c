/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump, check, measure and sgxs: nothing is believed that can be computed. They take images of
 * ours, and streams and SIGSTRUCTs of any enclave, so that others' tools can be compared with them.
 */
#include "host/sign/review.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/lib/sigstruct_text.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"

struct review_input {
	u8 *bytes; /* of the image */
	struct enclave_image image;
	struct sgxs_info info;
	bool has_info;
	struct sgx_sigstruct sig;
	bool has_sig;
	struct enclave_error error;
};

static int read_sigstruct(struct review_input *in, const char *path)
{
	u8 *bytes;
	u64 size;
	int err = enclave_file_read(path, sizeof(in->sig), &bytes, &size, &in->error);

	if (err < 0)
		return err;
	if (size == sizeof(in->sig)) {
		memcpy(&in->sig, bytes, sizeof(in->sig));
		in->has_sig = true;
	} else {
		enclave_error_set(&in->error, "'%s' is no SIGSTRUCT: not %zu bytes", path,
				  sizeof(in->sig));
		err = -EINVAL;
	}
	free(bytes);
	return err;
}

static int read_image(struct review_input *in, const char *path)
{
	u64 size;
	int err = enclave_file_read(path, ENCLAVE_IMAGE_SIZE_MAX, &in->bytes, &size, &in->error);

	if (!err)
		err = enclave_image_open(&in->image, in->bytes, size, &in->error);
	if (!err)
		err = enclave_image_check(&in->image, &in->error);
	if (!err)
		err = sgxs_of_image(&in->image, &in->info, &in->error);
	if (err)
		return err;
	in->has_info = true;
	memcpy(&in->sig, in->bytes + in->image.sigstruct_offset, sizeof(in->sig));
	in->has_sig = !mem_is_zero(&in->sig, sizeof(in->sig));
	return 0;
}

static int read_stream(struct review_input *in, const char *path)
{
	FILE *f = fopen(path, "re");
	int err;

	if (!f) {
		err = -errno;
		enclave_error_set(&in->error, "cannot open '%s': %s", path, strerror(-err));
		return err;
	}
	err = sgxs_read(f, &in->info, &in->error);
	fclose(f);
	in->has_info = !err;
	return err;
}

static int open_input(struct review_input *in, const struct review_files *files)
{
	int err = 0;

	memset(in, 0, sizeof(*in));
	if (files->enclave)
		err = read_image(in, files->enclave);
	if (!err && files->sgxs)
		err = read_stream(in, files->sgxs);
	if (!err && files->sigstruct)
		err = read_sigstruct(in, files->sigstruct);
	return err;
}

static int close_input(struct review_input *in, int status)
{
	if (in->error.text[0])
		fprintf(stderr, "occlum-sign: %s\n", in->error.text);
	free(in->bytes);
	sgxs_info_fini(&in->info);
	if (fflush(stdout) != 0 && status == 0) {
		fprintf(stderr, "occlum-sign: cannot write the output: %s\n", strerror(errno));
		status = 1;
	}
	return in->error.text[0] ? 1 : status;
}

static void need_signature(struct review_input *in)
{
	if (!in->has_sig)
		enclave_error_set(&in->error, "there is no SIGSTRUCT: the enclave is not signed");
}

static void write_out(struct review_input *in, const char *out,
		      int (*put)(struct review_input *, FILE *))
{
	FILE *f = fopen(out, "we");
	int err;

	if (!f) {
		enclave_error_set(&in->error, "cannot create '%s': %s", out, strerror(errno));
		return;
	}
	err = put(in, f);
	if (fclose(f) != 0 && !err) {
		err = -errno;
		enclave_error_set(&in->error, "cannot write '%s': %s", out, strerror(-err));
	}
	if (err)
		unlink(out);
}

static int put_sigstruct(struct review_input *in, FILE *f)
{
	if (fwrite(&in->sig, sizeof(in->sig), 1, f) == 1 && fflush(f) == 0)
		return 0;
	enclave_error_set(&in->error, "cannot write the SIGSTRUCT: %s", strerror(errno));
	return -EIO;
}

static int put_stream(struct review_input *in, FILE *f)
{
	return sgxs_write(&in->image, f, &in->error);
}

int review_dump(const struct review_files *files, const char *out)
{
	static struct review_input in;

	if (open_input(&in, files) == 0) {
		need_signature(&in);
		if (in.has_sig && out)
			write_out(&in, out, put_sigstruct);
		else if (in.has_sig)
			sigstruct_print(&in.sig, stdout);
	}
	return close_input(&in, 0);
}

static void print_hex(const char *name, const u8 *bytes)
{
	char hex[2 * SGX_HASH_SIZE + 1];

	hex_encode(hex, bytes, SGX_HASH_SIZE);
	printf("%s %s\n", name, hex);
}

int review_check(const struct review_files *files)
{
	static struct review_input in;
	u8 mrsigner[SGX_HASH_SIZE];
	int wrong = 0;

	if (open_input(&in, files) == 0) {
		need_signature(&in);
		if (in.has_sig) {
			wrong = sigstruct_review(&in.sig, in.has_info ? in.info.mrenclave : NULL,
						 stdout);
			sigstruct_mrsigner(&in.sig, mrsigner);
			print_hex("MRSIGNER", mrsigner);
		}
		if (in.has_info)
			print_hex("MRENCLAVE", in.info.mrenclave);
	}
	return close_input(&in, wrong ? 1 : 0);
}

int review_measure(const struct review_files *files)
{
	static struct review_input in;

	if (open_input(&in, files) == 0) {
		sgxs_print(&in.info, stdout);
		if (files->enclave) {
			printf("kernel image for %s\n", in.image.params.mode == ENCLAVE_MODE_HW
								? "SGX hardware"
								: "simulation");
			print_hex("configuration", in.image.params.config_sha256);
		}
		print_hex("MRENCLAVE", in.info.mrenclave);
	}
	return close_input(&in, 0);
}

int review_stream(const struct review_files *files, const char *out)
{
	static struct review_input in;

	if (open_input(&in, files) == 0)
		write_out(&in, out, put_stream);
	return close_input(&in, 0);
}
