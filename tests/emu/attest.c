/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that attests itself to another enclave of the same machine, by way of /dev/sgx:
 *
 *   attest target              what a report for this enclave is addressed to
 *   attest report TARGET DATA  a report about this enclave for that one, with 64 bytes of data
 *   attest verify REPORT       "genuine", or "refused" and status 1
 *
 * Bytes are hexadecimal, on the command line and on standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define TARGET_SIZE   512
#define DATA_SIZE     64
#define REPORT_SIZE   432
#define SELF_TARGET   _IOR('s', 3, uint8_t[TARGET_SIZE])
#define CREATE_REPORT _IOWR('s', 4, struct create)
#define VERIFY_REPORT _IOW('s', 5, uint8_t[REPORT_SIZE])

struct create {
	const void *target, *data;
	void *report;
};

static void fail(const char *what)
{
	fprintf(stderr, "attest: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void print(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
}

static void parse(const char *text, uint8_t *out, size_t size)
{
	errno = EINVAL;
	if (strlen(text) != 2 * size)
		fail("the length of an argument");
	for (size_t i = 0; i < size; i++) {
		unsigned int byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			fail("an argument");
		out[i] = (uint8_t)byte;
	}
}

int main(int argc, char **argv)
{
	uint8_t target[TARGET_SIZE], data[DATA_SIZE], report[REPORT_SIZE];
	struct create create = {target, data, report};
	const char *what = argc > 1 ? argv[1] : "";
	int fd = open("/dev/sgx", O_RDWR);

	if (fd < 0)
		fail("/dev/sgx");
	if (strcmp(what, "target") == 0) {
		if (ioctl(fd, SELF_TARGET, target))
			fail("target");
		print(target, sizeof(target));
	} else if (strcmp(what, "report") == 0 && argc == 4) {
		parse(argv[2], target, sizeof(target));
		parse(argv[3], data, sizeof(data));
		if (ioctl(fd, CREATE_REPORT, &create))
			fail("report");
		print(report, sizeof(report));
	} else if (strcmp(what, "verify") == 0 && argc == 3) {
		parse(argv[2], report, sizeof(report));
		if (ioctl(fd, VERIFY_REPORT, report)) {
			if (errno != EINVAL)
				fail("verify");
			puts("refused");
			return 1;
		}
		puts("genuine");
	} else {
		errno = EINVAL;
		fail("arguments");
	}
	return 0;
}
