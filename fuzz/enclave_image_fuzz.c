/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel image as somebody may have left it in an instance: open, check, measure, EINIT. */
#include <string.h>

#include "host/lib/enclave_image.h"
#include "host/lib/sigstruct.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct enclave_error error;
	struct enclave_image image;
	struct sgx_sigstruct sig;
	static struct sgx_secs secs;

	if (enclave_image_open(&image, bytes, size, &error) < 0)
		return 0;
	memcpy(&sig, bytes + image.sigstruct_offset, sizeof(sig));
	if (sigstruct_einit(&sig, &secs, &error) == 0)
		return 0;
	/* Up to 3.5 GiB of pages may be claimed; measuring those would only be slow. */
	if (enclave_image_check(&image, &error) == 0 && image.params.heap_size <= MIB(8) &&
	    image.params.slot_count <= 64 && image.params.stack_size <= MIB(1) &&
	    enclave_image_measure(&image, secs.mrenclave) < 0)
		return 0;
	return 0;
}
