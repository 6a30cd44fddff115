/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to starting and ending a program, and nothing else. */
int main(void)
{
	return 0;
}
