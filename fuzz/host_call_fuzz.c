/* SPDX-License-Identifier: Apache-2.0 */
/* Every host call wrapper, with the fuzzer as the host. */
#include "tests/fakes/hostile_host.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct hostile_host h = {.bytes = bytes, .size = size, .seed = size};

	hostile_host_run(&h, 64);
	return 0;
}
