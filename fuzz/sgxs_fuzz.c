/* SPDX-License-Identifier: Apache-2.0 */
/* A measured stream and a SIGSTRUCT that a reviewer was sent. */
#include <stdio.h>
#include <string.h>

#include "host/lib/sgxs.h"
#include "host/lib/sigstruct_text.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	static FILE *nowhere;
	struct enclave_error error;
	struct sgx_sigstruct sig;
	struct sgxs_info info;
	FILE *f = size ? fmemopen((void *)bytes, size, "r") : NULL;

	if (!nowhere)
		nowhere = fopen("/dev/null", "we");
	if (!f || !nowhere)
		return 0;
	if (sgxs_read(f, &info, &error) == 0) {
		sgxs_print(&info, nowhere);
		sgxs_info_fini(&info);
	}
	fclose(f);
	if (size >= sizeof(sig)) {
		memcpy(&sig, bytes, sizeof(sig));
		sigstruct_print(&sig, nowhere);
		if (sigstruct_review(&sig, NULL, nowhere) < 0)
			return 0;
	}
	return 0;
}
