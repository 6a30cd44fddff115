/* SPDX-License-Identifier: Apache-2.0 */
/*
 * occlum-sign: the standard sign tool. `sign` has the contract that any tool named by
 * `occlum build --sign-tool` must keep; `gendata` and `catsig` are for keys in a hardware module;
 * the rest is for those who review an enclave that others built and signed.
 */
#include <stdio.h>
#include <string.h>

#include "host/lib/sign.h"
#include "host/sign/review.h"

static const char usage[] =
	"usage: occlum-sign sign -key KEY.pem -config XML -enclave IN -out OUT\n"
	"       occlum-sign gendata -config XML -enclave IN -out TO_BE_SIGNED\n"
	"       occlum-sign catsig -key PUBLIC.pem -sig SIGNATURE -config XML -enclave IN -out "
	"OUT\n"
	"       occlum-sign genkey -out KEY.pem\n"
	"to review:\n"
	"       occlum-sign dump -enclave SIGNED [-out FILE] | -sigstruct FILE\n"
	"       occlum-sign check -enclave SIGNED | [-sgxs STREAM] -sigstruct FILE\n"
	"       occlum-sign measure -enclave SIGNED | -sgxs STREAM\n"
	"       occlum-sign sgxs -enclave SIGNED -out STREAM\n";

struct options {
	const char *key, *config, *enclave, *out, *sig, *sgxs, *sigstruct;
};

static int parse(struct options *o, int argc, char **argv)
{
	const struct {
		const char *name;
		const char **value;
	} known[] = {
		{"-key", &o->key},
		{"-config", &o->config},
		{"-enclave", &o->enclave},
		{"-out", &o->out},
		{"-sig", &o->sig},
		{"-sgxs", &o->sgxs},
		{"-sigstruct", &o->sigstruct},
	};

	for (int i = 2; i < argc; i += 2) {
		size_t k = 0;

		while (k < ARRAY_SIZE(known) && strcmp(argv[i], known[k].name) != 0)
			k++;
		if (k == ARRAY_SIZE(known)) {
			fprintf(stderr, "occlum-sign: unknown option '%s'\n", argv[i]);
			return -1;
		}
		if (i + 1 == argc) {
			fprintf(stderr, "occlum-sign: %s needs a value\n", argv[i]);
			return -1;
		}
		*known[k].value = argv[i + 1];
	}
	return 0;
}

/* The exit status, or -1 for wrong usage. */
static int review(const char *command, const struct options *o)
{
	struct review_files files = {o->enclave, o->sgxs, o->sigstruct};
	int given = !!o->enclave + !!o->sgxs;

	if (!strcmp(command, "dump") && !!o->enclave + !!o->sigstruct == 1 && !o->sgxs)
		return review_dump(&files, o->out);
	if (!strcmp(command, "check") && given <= 1 && (o->enclave || o->sigstruct))
		return review_check(&files);
	if (!strcmp(command, "measure") && given == 1 && !o->sigstruct)
		return review_measure(&files);
	if (!strcmp(command, "sgxs") && o->enclave && o->out && !o->sgxs && !o->sigstruct)
		return review_stream(&files, o->out);
	return -1;
}

/* Likewise. */
static int make(const char *command, const struct options *o)
{
	struct enclave_error error = {""};
	int err;

	if (!strcmp(command, "sign") && o->key && o->config && o->enclave && o->out)
		err = sign_with_key(o->key, o->config, o->enclave, o->out, &error);
	else if (!strcmp(command, "gendata") && o->config && o->enclave && o->out)
		err = sign_digest(o->config, o->enclave, o->out, &error);
	else if (!strcmp(command, "catsig") && o->key && o->sig && o->config && o->enclave &&
		 o->out)
		err = sign_attach(o->key, o->sig, o->config, o->enclave, o->out, &error);
	else if (!strcmp(command, "genkey") && o->out)
		err = sign_key_generate(o->out, &error);
	else
		return -1;
	if (err)
		fprintf(stderr, "occlum-sign: %s\n", error.text);
	return err ? 1 : 0;
}

/* Says why no command fits. */
static void say_misfit(const char *command)
{
	static const char *const commands[] = {"sign", "gendata", "catsig",  "genkey",
					       "dump", "check",	  "measure", "sgxs"};
	size_t k = 0;

	while (k < ARRAY_SIZE(commands) && strcmp(command, commands[k]) != 0)
		k++;
	if (k == ARRAY_SIZE(commands))
		fprintf(stderr, "occlum-sign: unknown command '%s'\n", command);
	else
		fprintf(stderr, "occlum-sign: %s takes other options\n", command);
}

int main(int argc, char **argv)
{
	struct options o = {0};
	int status = -1;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < 2) {
		fprintf(stderr, "occlum-sign: no command is given\n");
	} else if (parse(&o, argc, argv) == 0) {
		status = make(argv[1], &o);
		if (status < 0)
			status = review(argv[1], &o);
		if (status < 0)
			say_misfit(argv[1]);
	}
	if (status < 0) {
		fputs(usage, stderr);
		return 2;
	}
	return status;
}
