/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program, for start-to-exit time. */
#include <stdio.h>

int main(void)
{
	puts("Hello World!");
	return 0;
}
