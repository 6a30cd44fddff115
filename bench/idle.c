/* SPDX-License-Identifier: Apache-2.0 */
/* Says that it runs, then sleeps: for the memory of an idle instance. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	puts("idle");
	fflush(stdout);
	pause();
	return 0;
}
