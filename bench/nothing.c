/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does nothing: what starting and ending a program costs. LARGE: of 14 MB, with addresses in half a
 * MB of data that the loader has to relocate, as in programs of that size.
 */
#ifdef LARGE
__asm__(".section .rodata\n.fill 13500000, 1, 0x5a\n.previous");
#define FOUR(x) x, x, x, x
#define MANY(x) FOUR(FOUR(FOUR(FOUR(FOUR(FOUR(FOUR(FOUR(x))))))))
static char target;
void *const addresses[] __attribute__((used)) = {MANY(&target)};
#endif

int main(void)
{
	return 0;
}
