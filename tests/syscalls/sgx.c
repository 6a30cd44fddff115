/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/sgx: reports, local attestation and keys. Outside there is no such device: nothing to do. */
#include "check.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define IS_EDMM_SUPPORTED   0x80047300
#define GET_EPID_GROUP_ID   0x80047301
#define SELF_TARGET	    0x82007303
#define CREATE_REPORT	    0xc0187304
#define VERIFY_REPORT	    0x41b07305
#define DETECT_DCAP_DRIVER  0x80047306
#define GET_DCAP_QUOTE_SIZE 0x80047307
#define GET_KEY		    0xc010730b

#define KEY_PROVISION	    1
#define KEY_SEAL	    4
#define POLICY_MRENCLAVE    1
#define POLICY_MRSIGNER	    2

struct key_request {
	uint16_t name, policy, isvsvn, rsv;
	uint8_t cpusvn[16];
	uint64_t flags_mask, xfrm_mask;
	uint8_t keyid[32];
	uint32_t miscmask;
	uint16_t configsvn;
	uint8_t rsv2[434];
};
_Static_assert(sizeof(struct key_request) == 512, "key_request");

struct create {
	void *target, *data, *report;
};

struct get_key {
	void *request, *key;
};

static int fd;

static void make_report(void *target, void *data, uint8_t *report)
{
	struct create c = {target, data, report};

	CHECK_EQ(ioctl(fd, CREATE_REPORT, &c), 0);
}

static void reports(void)
{
	uint8_t target[512], data[64], report[432], other[432], zeros[64] = {0};

	for (int i = 0; i < 64; i++)
		data[i] = (uint8_t)i;
	CHECK_EQ(ioctl(fd, SELF_TARGET, target), 0);
	make_report(target, data, report);
	CHECK(!memcmp(report + 320, data, 64));
	CHECK(!memcmp(report + 64, target, 32)); /* MRENCLAVE */
	CHECK_EQ(ioctl(fd, VERIFY_REPORT, report), 0);
	/* Every byte counts, those that are reserved as well. */
	for (int i = 0; i < 432; i += 7) {
		memcpy(other, report, sizeof(other));
		other[i] ^= 0x10;
		CHECK_ERRNO(ioctl(fd, VERIFY_REPORT, other), EINVAL);
	}
	/* For somebody else, or for nobody: not for us to verify. */
	target[0] ^= 1;
	make_report(target, data, other);
	CHECK_ERRNO(ioctl(fd, VERIFY_REPORT, other), EINVAL);
	make_report(NULL, NULL, other);
	CHECK(!memcmp(other + 320, zeros, 64));
	CHECK(!memcmp(other, report, 320));
	CHECK_ERRNO(ioctl(fd, VERIFY_REPORT, other), EINVAL);
	target[0] ^= 1;
	target[200] = 1; /* reserved */
	CHECK_ERRNO(ioctl(fd, CREATE_REPORT, (&(struct create){target, data, other})), EINVAL);
	target[200] = 0;
	CHECK_ERRNO(ioctl(fd, CREATE_REPORT, (&(struct create){target, data, (void *)1})), EFAULT);
	CHECK_ERRNO(ioctl(fd, CREATE_REPORT, (&(struct create){(void *)1, data, other})), EFAULT);
	CHECK_ERRNO(ioctl(fd, VERIFY_REPORT, (void *)1), EFAULT);
}

static int key(struct key_request *r, uint8_t out[16])
{
	struct get_key k = {r, out};

	return ioctl(fd, GET_KEY, &k);
}

static void keys(void)
{
	uint8_t report[432], one[16], two[16], untouched[16];
	struct key_request r = {.name = KEY_SEAL, .policy = POLICY_MRSIGNER}, changed;

	make_report(NULL, NULL, report);
	memcpy(r.cpusvn, report, 16);
	memcpy(&r.isvsvn, report + 258, 2);
	r.flags_mask = ~0ull;
	CHECK_EQ(key(&r, one), 0);
	CHECK_EQ(key(&r, two), 0);
	CHECK(!memcmp(one, two, 16));
	changed = r;
	changed.keyid[31] = 1;
	CHECK_EQ(key(&changed, two), 0);
	CHECK(memcmp(one, two, 16));
	changed = r;
	changed.policy = POLICY_MRENCLAVE;
	CHECK_EQ(key(&changed, two), 0);
	CHECK(memcmp(one, two, 16));
	/* Newer than this enclave or this CPU: refused, and nothing is written. */
	memset(two, 0x5a, 16);
	memset(untouched, 0x5a, 16);
	changed = r;
	changed.isvsvn++;
	CHECK_ERRNO(key(&changed, two), EINVAL);
	changed = r;
	memset(changed.cpusvn, 0xff, 16);
	CHECK_ERRNO(key(&changed, two), EINVAL);
	changed = r;
	changed.name = KEY_PROVISION; /* needs an attribute that only few enclaves get */
	CHECK_ERRNO(key(&changed, two), EPERM);
	changed = r;
	changed.name = 77;
	CHECK_ERRNO(key(&changed, two), EINVAL);
	changed = r;
	changed.rsv2[0] = 1;
	CHECK_ERRNO(key(&changed, two), EINVAL);
	changed = r;
	changed.policy = 0x8000;
	CHECK_ERRNO(key(&changed, two), EINVAL);
	CHECK(!memcmp(two, untouched, 16));
	CHECK_ERRNO(key(&r, (void *)1), EFAULT);
	CHECK_ERRNO(key((void *)1, two), EFAULT);
}

static void the_rest(void)
{
	uint8_t buf[600];
	int value = 7;

	CHECK_EQ(ioctl(fd, IS_EDMM_SUPPORTED, &value), 0);
	CHECK(value == 0 || value == 1);
	CHECK_EQ(ioctl(fd, DETECT_DCAP_DRIVER, &value), 0);
	CHECK(value == 0 || value == 1);
	if (!value) { /* no quotes: said so, not made up */
		CHECK_ERRNO(ioctl(fd, GET_DCAP_QUOTE_SIZE, &value), EIO);
		CHECK_ERRNO(ioctl(fd, GET_EPID_GROUP_ID, buf), EIO);
	}
	CHECK_ERRNO(ioctl(fd, 0x80047340, buf), ENOSYS);		/* no such number */
	CHECK_ERRNO(ioctl(fd, SELF_TARGET & ~0x3fff0000, buf), EINVAL); /* of another size */
	CHECK_ERRNO(ioctl(fd, 0x5401 /* TCGETS */, buf), ENOTTY);
	CHECK_ERRNO(read(fd, buf, 1), EPERM);
	CHECK_ERRNO(write(fd, buf, 1), EPERM);
}

static bool there_is_one(void)
{
	if (access("/dev/arandom", F_OK)) /* a device of ours alone */
		return false;
	fd = open("/dev/sgx", O_RDWR);
	CHECK(fd >= 0);
	return fd >= 0;
}

static void all(void)
{
	if (!there_is_one())
		return;
	reports();
	keys();
	the_rest();
}

CHECK_MAIN(all)
