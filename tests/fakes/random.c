// SPDX-License-Identifier: Apache-2.0
/* Random bytes for unit tests: the same in every run; can fail on demand. */
#include "kernel/core/random.h"

#include "abi/errno.h"
#include "tests/fakes/fakes.h"

static bool random_fails;

void fake_fail_random(bool fail)
{
	random_fails = fail;
}

int random_bytes(void *bytes, size_t size)
{
	static u64 state = 0x243f6a8885a308d3ull;
	u8 *p = bytes;

	if (random_fails)
		return -EIO;
	for (size_t i = 0; i < size; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		p[i] = (u8)(state >> 56);
	}
	return 0;
}
