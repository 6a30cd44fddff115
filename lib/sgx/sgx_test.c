/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers: a synthetic enclave, and the keys of Intel's simulation for its identity. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/crypto/cmac.h"
#include "lib/sgx/measure.h"
#include "lib/sgx/report.h"
#include "lib/sgx/rsa.h"
#include "lib/sgx/sim_key.h"

static void from_hex(u8 *to, size_t size, const char *hex)
{
	for (size_t i = 0; i < size; i++) {
		unsigned high = hex[2 * i], low = hex[2 * i + 1];

		high = high >= 'a' ? high - 'a' + 10 : high - '0';
		low = low >= 'a' ? low - 'a' + 10 : low - '0';
		to[i] = (u8)(high << 4 | low);
	}
}

static void assert_hex(const u8 *bytes, size_t size, const char *hex)
{
	u8 want[64];

	from_hex(want, size, hex);
	assert_memory_equal(bytes, want, size);
}

static const char synthetic_mrenclave[] =
	"6c3145a0ae1ce328273ff4fa76bf31af35e5393825946822c708892c81a0a2e8";

static void measure_synthetic(u8 mrenclave[SGX_HASH_SIZE])
{
	static u8 page[4096];
	static struct sgx_tcs tcs = {.ossa = 0x2000,
				     .nssa = 2,
				     .ofsbase = 0x3000,
				     .ogsbase = 0x3000,
				     .fslimit = 0xfff,
				     .gslimit = 0xfff};
	struct sgx_measure m;

	for (int i = 0; i < 4096; i++)
		page[i] = (u8)i;
	sgx_measure_create(&m, 0x4000, 1);
	sgx_measure_add(&m, 0, 0x205);
	sgx_measure_extend_page(&m, 0, page);
	sgx_measure_add(&m, 0x1000, 0x100);
	sgx_measure_extend_page(&m, 0x1000, (const u8 *)&tcs);
	sgx_measure_add(&m, 0x2000, 0x203);
	sgx_measure_add(&m, 0x3000, 0x203);
	memset(page, 0, sizeof(page));
	sgx_measure_extend_page(&m, 0x3000, page);
	sgx_measure_final(&m, mrenclave);
}

static void test_synthetic_mrenclave(void **state)
{
	u8 mrenclave[SGX_HASH_SIZE];

	measure_synthetic(mrenclave);
	assert_hex(mrenclave, sizeof(mrenclave), synthetic_mrenclave);
}

/* Intel's public simulation constants. */
static void intel_cpu(struct sgx_sim_cpu *cpu)
{
	memset(cpu, 0, sizeof(*cpu));
	from_hex(cpu->seal, 16, "00112233445566778899aabbccddeeff");
	from_hex(cpu->report, 16, "ff00ff00ff00ff00ff00ff00ff00ff00");
	memcpy(cpu->owner_epoch, "THISISOWNEREPOCH", 16);
	from_hex(cpu->cpusvn, 16, "4820f3376ae6b2f2034d3b7a4b48a778");
}

static void synthetic_secs(struct sgx_secs *secs)
{
	memset(secs, 0, sizeof(*secs));
	secs->attributes.flags = 5;
	secs->attributes.xfrm = 3;
	secs->isvprodid = 1;
	secs->isvsvn = 2;
	from_hex(secs->mrenclave, 32, synthetic_mrenclave);
	from_hex(secs->mrsigner, 32,
		 "83d719e77deaca1470f6baf62a4d774303c899db69020f9c70ee1dfc08c7ce9e");
}

static void seal_request(struct sgx_keyrequest *r, u16 policy)
{
	memset(r, 0, sizeof(*r));
	r->keyname = SGX_KEYNAME_SEAL;
	r->keypolicy = policy;
	r->isvsvn = 2;
	r->attributemask.flags = 0xff0000000000000b;
	r->miscmask = 0xf0000000;
	for (int i = 0; i < 32; i++)
		r->keyid[i] = (u8)i;
}

static void test_key_vectors(void **state)
{
	struct sgx_sim_cpu cpu;
	static struct sgx_secs secs;
	struct sgx_keyrequest r;
	u8 key[16];

	intel_cpu(&cpu);
	synthetic_secs(&secs);
	seal_request(&r, SGX_KEYPOLICY_MRSIGNER);
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	assert_hex(key, 16, "957af95a588833946a3186e8bc77c54e");
	seal_request(&r, SGX_KEYPOLICY_MRENCLAVE);
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	assert_hex(key, 16, "6999dda2d9bd7543d50c3160203417f0");
	r.keyname = SGX_KEYNAME_REPORT;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	assert_hex(key, 16, "00152073612ac108c0e3d59c883ad473");
}

/* The MAC of the vector's report: CMAC of the body under that report key, as EREPORT makes it. */
static void test_report_is_verified_by_its_target(void **state)
{
	struct sgx_sim_cpu cpu;
	static struct sgx_secs secs;
	struct sgx_targetinfo target = {0};
	struct sgx_keyrequest r = {.keyname = SGX_KEYNAME_REPORT};
	struct sgx_report report;
	u8 data[64], key[16], mac[16];

	intel_cpu(&cpu);
	synthetic_secs(&secs);
	for (int i = 0; i < 64; i++)
		data[i] = (u8)i;
	memcpy(target.mrenclave, secs.mrenclave, 32);
	target.attributes = secs.attributes;
	assert_int_equal(sgx_sim_report(&cpu, &secs, &target, data, &report), 0);

	seal_request(&r, 0);
	r.keyname = SGX_KEYNAME_REPORT;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	aes128_cmac(key, &report.body, sizeof(report.body), mac);
	assert_hex(mac, 16, "277f5fed27a0390414c624c7ae69e43e");

	memcpy(r.keyid, report.keyid, sizeof(r.keyid));
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	aes128_cmac(key, &report.body, sizeof(report.body), mac);
	assert_memory_equal(mac, report.mac, 16);

	target.rsv49 = 1;
	assert_int_equal(sgx_sim_report(&cpu, &secs, &target, data, &report), -EINVAL);
}

static void test_requests_that_are_refused(void **state)
{
	struct sgx_sim_cpu cpu;
	static struct sgx_secs secs;
	struct sgx_keyrequest r;
	u8 key[16];

	intel_cpu(&cpu);
	synthetic_secs(&secs);
	seal_request(&r, SGX_KEYPOLICY_MRSIGNER);
	r.isvsvn = 3;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), SGX_INVALID_ISVSVN);
	seal_request(&r, SGX_KEYPOLICY_MRSIGNER);
	r.cpusvn[0] = 0xff;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), SGX_INVALID_CPUSVN);
	seal_request(&r, SGX_KEYPOLICY_CONFIGID);
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), -EINVAL);
	secs.attributes.flags |= SGX_ATTR_KSS;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	seal_request(&r, 0x40);
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), -EINVAL);
	seal_request(&r, 0);
	r.rsv78[433] = 1;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), -EINVAL);
	seal_request(&r, 0);
	r.keyname = SGX_KEYNAME_PROVISION;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), SGX_INVALID_ATTRIBUTE);
	r.keyname = 9;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), SGX_INVALID_KEYNAME);
}

/*
 * A newer machine and a newer enclave can ask for what older ones had, never the other way round.
 */
static void test_old_versions_keep_their_keys(void **state)
{
	struct sgx_sim_cpu cpu;
	static struct sgx_secs secs;
	struct sgx_keyrequest r;
	u8 old_key[16], key[16];

	intel_cpu(&cpu);
	memset(cpu.cpusvn, 7, sizeof(cpu.cpusvn));
	synthetic_secs(&secs);
	seal_request(&r, SGX_KEYPOLICY_MRSIGNER);
	memcpy(r.cpusvn, cpu.cpusvn, sizeof(r.cpusvn));
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, old_key), 0);

	cpu.cpusvn[3] = 8;
	secs.isvsvn++;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	assert_memory_equal(key, old_key, sizeof(key));
	r.cpusvn[3] = 8;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	assert_memory_not_equal(key, old_key, sizeof(key));
	cpu.cpusvn[3] = 7; /* back on the old machine */
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), SGX_INVALID_CPUSVN);
	r.cpusvn[3] = 7;
	r.isvsvn = secs.isvsvn;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), 0);
	assert_memory_not_equal(key, old_key, sizeof(key));
	secs.isvsvn--; /* and the old enclave */
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, key), SGX_INVALID_ISVSVN);
}

/* Two instances on one CPU prove themselves to each other; nobody else can read or make it up. */
static void test_local_attestation(void **state)
{
	struct sgx_sim_cpu cpu, elsewhere;
	static struct sgx_secs a, b;
	struct sgx_targetinfo nobody = {0}, target;
	struct sgx_report of_b, report, changed;
	struct sgx_keyrequest r;
	const u8 data[64] = {1, 2, 3}, secret[32] = {9};
	u8 key[16];

	intel_cpu(&cpu);
	synthetic_secs(&a);
	synthetic_secs(&b);
	b.mrenclave[0] ^= 1;
	b.configid[5] = 5;
	b.configsvn = 2;
	assert_int_equal(sgx_sim_report(&cpu, &b, &nobody, data, &of_b), 0);
	sgx_report_target(&of_b.body, &target);
	assert_int_equal(sgx_sim_report(&cpu, &a, &target, data, &report), 0);
	sgx_report_key_request(report.keyid, &r);
	assert_int_equal(sgx_sim_getkey(&cpu, &b, &r, key), 0);
	assert_true(sgx_report_is_genuine(&report, key));
	for (size_t i = 0; i < sizeof(report.body); i++) {
		changed = report;
		((u8 *)&changed)[i] ^= 1;
		assert_false(sgx_report_is_genuine(&changed, key));
	}
	changed = report;
	changed.mac[15] ^= 0x80;
	assert_false(sgx_report_is_genuine(&changed, key));
	assert_int_equal(sgx_sim_getkey(&cpu, &a, &r, key), 0); /* its maker is not its target */
	assert_false(sgx_report_is_genuine(&report, key));
	sgx_sim_cpu_init(&elsewhere, secret);
	assert_int_equal(sgx_sim_getkey(&elsewhere, &b, &r, key), 0);
	assert_false(sgx_report_is_genuine(&report, key));
}

/* DEBUG binds even when the mask leaves it out. */
static void test_debug_enclaves_get_other_keys(void **state)
{
	struct sgx_sim_cpu cpu;
	static struct sgx_secs secs;
	struct sgx_keyrequest r;
	u8 release[16], debug[16], other[16];
	const u8 secret[32] = {1};

	intel_cpu(&cpu);
	synthetic_secs(&secs);
	seal_request(&r, SGX_KEYPOLICY_MRSIGNER);
	r.attributemask.flags = 0;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, release), 0);
	secs.attributes.flags |= SGX_ATTR_DEBUG;
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, debug), 0);
	assert_memory_not_equal(release, debug, 16);
	sgx_sim_cpu_init(&cpu, secret);
	assert_int_equal(sgx_sim_getkey(&cpu, &secs, &r, other), 0);
	assert_memory_not_equal(other, debug, 16);
}

/* M = 2^3072 - 1: small numbers stay as they are, and 2^1600 squared is 2^128 * M + 2^128. */
static void test_rsa_needs_the_right_quotients(void **state)
{
	static struct sgx_sigstruct sig;
	u8 cube[SGX_RSA_SIZE], want[SGX_RSA_SIZE] = {8};

	memset(sig.modulus, 0xff, sizeof(sig.modulus));
	sig.signature[0] = 2;
	assert_true(sgx_rsa_cube(&sig, cube));
	assert_memory_equal(cube, want, sizeof(cube));
	sig.q1[0] = 1;
	assert_false(sgx_rsa_cube(&sig, cube));
	sig.q1[0] = 0;
	sig.q2[383] = 1;
	assert_false(sgx_rsa_cube(&sig, cube));

	memset(sig.q2, 0, sizeof(sig.q2));
	memset(sig.signature, 0, sizeof(sig.signature));
	sig.signature[200] = 1; /* 2^1600; its square is 2^3200 */
	assert_false(sgx_rsa_cube(&sig, cube));
	sig.q1[16] = 1;
	assert_true(sgx_rsa_cube(&sig, cube)); /* 2^1600 * 2^128 */
	memset(want, 0, sizeof(want));
	want[216] = 1;
	assert_memory_equal(cube, want, sizeof(cube));

	memset(sig.signature, 0xff, sizeof(sig.signature)); /* S = M */
	assert_false(sgx_rsa_cube(&sig, cube));
	sig.modulus[383] = 0x7f;
	assert_false(sgx_rsa_cube(&sig, cube));
}

UNIT_TESTS(test_rsa_needs_the_right_quotients, test_synthetic_mrenclave, test_key_vectors,
	   test_report_is_verified_by_its_target, test_requests_that_are_refused,
	   test_debug_enclaves_get_other_keys, test_old_versions_keep_their_keys,
	   test_local_attestation)
