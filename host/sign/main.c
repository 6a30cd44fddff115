/* SPDX-License-Identifier: Apache-2.0 */
/*
 * occlum-sign: the standard sign tool. `sign` has the contract that any tool named by
 * `occlum build --sign-tool` must keep; `gendata` and `catsig` are for keys in a hardware module.
 */
#include <stdio.h>
#include <string.h>

#include "host/lib/sign.h"

static const char usage[] =
	"usage: occlum-sign sign -key KEY.pem -config XML -enclave IN -out OUT\n"
	"       occlum-sign gendata -config XML -enclave IN -out TO_BE_SIGNED\n"
	"       occlum-sign catsig -key PUBLIC.pem -sig SIGNATURE -config XML -enclave IN -out "
	"OUT\n"
	"       occlum-sign genkey -out KEY.pem\n";

static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 2; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	}
	return NULL;
}

static bool options_are_known(int argc, char **argv)
{
	static const char *const known[] = {"-key", "-config", "-enclave", "-out", "-sig"};

	for (int i = 2; i < argc; i += 2) {
		bool found = false;

		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			found |= strcmp(argv[i], known[k]) == 0;
		if (!found || i + 1 == argc)
			return false;
	}
	return argc >= 2;
}

int main(int argc, char **argv)
{
	const char *key = option(argc, argv, "-key"), *xml = option(argc, argv, "-config");
	const char *in = option(argc, argv, "-enclave"), *out = option(argc, argv, "-out");
	const char *signature = option(argc, argv, "-sig");
	struct enclave_error error = {""};
	int err;

	if (!options_are_known(argc, argv))
		goto misuse;
	if (!strcmp(argv[1], "sign") && key && xml && in && out)
		err = sign_with_key(key, xml, in, out, &error);
	else if (!strcmp(argv[1], "gendata") && xml && in && out)
		err = sign_digest(xml, in, out, &error);
	else if (!strcmp(argv[1], "catsig") && key && signature && xml && in && out)
		err = sign_attach(key, signature, xml, in, out, &error);
	else if (!strcmp(argv[1], "genkey") && out)
		err = sign_key_generate(out, &error);
	else
		goto misuse;
	if (err)
		fprintf(stderr, "occlum-sign: %s\n", error.text);
	return err ? 1 : 0;
misuse:
	fputs(usage, stderr);
	return 2;
}
