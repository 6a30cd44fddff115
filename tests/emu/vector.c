/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/crypto's bracket around vector registers: nothing to do. In a signal handler they lie in the
 * frame, and who calls the driver to add pages is an ordinary function call away.
 */
#include "lib/crypto/vector.h"

void arch_vector_save(void *regs)
{
}

void arch_vector_restore(const void *regs)
{
}
