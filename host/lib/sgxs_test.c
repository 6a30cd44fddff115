/* SPDX-License-Identifier: Apache-2.0 */
/* The synthetic enclave of 15 680 bytes of stream and a known MRENCLAVE, and damaged streams. */
#include "tests/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/lib/sgxs.h"
#include "host/lib/sigstruct_text.h"
#include "lib/base/hex.h"

#define STREAM_SIZE 15680
#define PAGE_STREAM (64 + 16 * (64 + 256)) /* a measured page */

static u8 stream[STREAM_SIZE + 64];
static u64 stream_size;

static void take_piece(void *arg, const void *bytes, size_t size)
{
	assert_true(stream_size + size <= STREAM_SIZE);
	memcpy(stream + stream_size, bytes, size);
	stream_size += size;
}

static void make_stream(void)
{
	static u8 page[PAGE_SIZE];
	struct sgx_tcs tcs = {.ossa = 0x2000,
			      .nssa = 2,
			      .ofsbase = 0x3000,
			      .ogsbase = 0x3000,
			      .fslimit = 0xfff,
			      .gslimit = 0xfff};
	struct sgx_measure m;
	u8 mrenclave[SGX_HASH_SIZE];

	stream_size = 0;
	for (u32 i = 0; i < PAGE_SIZE; i++)
		page[i] = (u8)i;
	sgx_measure_create(&m, 0x4000, 1);
	m.tap = take_piece;
	sgx_measure_add(&m, 0, 0x205);
	sgx_measure_extend_page(&m, 0, page);
	sgx_measure_add(&m, 0x1000, 0x100);
	sgx_measure_extend_page(&m, 0x1000, (const u8 *)&tcs);
	sgx_measure_add(&m, 0x2000, 0x203);
	sgx_measure_add(&m, 0x3000, 0x203);
	memset(page, 0, sizeof(page));
	sgx_measure_extend_page(&m, 0x3000, page);
	sgx_measure_final(&m, mrenclave);
	assert_int_equal(stream_size, STREAM_SIZE);
}

static int read_stream(size_t size, struct sgxs_info *info, struct enclave_error *error)
{
	FILE *f = fmemopen(stream, size ? size : 1, "r");
	int err;

	if (!size)
		fgetc(f);
	err = sgxs_read(f, info, error);
	fclose(f);
	return err;
}

static void the_synthetic_stream_is_read(void **state)
{
	struct enclave_error error;
	struct sgxs_info info;
	char hex[65], *text;
	size_t size;
	FILE *f;

	make_stream();
	assert_int_equal(read_stream(STREAM_SIZE, &info, &error), 0);
	hex_encode(hex, info.mrenclave, sizeof(info.mrenclave));
	assert_string_equal(hex,
			    "6c3145a0ae1ce328273ff4fa76bf31af35e5393825946822c708892c81a0a2e8");
	assert_int_equal(info.row_count, 4);
	assert_int_equal(info.rows[1].secinfo, SGX_SECINFO_TCS);
	assert_int_equal(info.rows[2].chunks, 0);
	assert_int_equal(info.rows[3].chunks, SGXS_CHUNKS);
	f = open_memstream(&text, &size);
	sgxs_print(&info, f);
	fclose(f);
	assert_string_equal(
		text, "enclave of 0x4000 bytes, SSA frames of 1 page\n"
		      "offset                  pages  kind  measured\n"
		      "0x0000000000000000          1  r-x   yes\n"
		      "0x0000000000001000          1  TCS   yes\n"
		      "0x0000000000002000          1  rw-   no, the host chooses the content\n"
		      "0x0000000000003000          1  rw-   yes\n");
	free(text);
	sgxs_info_fini(&info);
}

static void expect_refusal(size_t size, const char *what)
{
	struct enclave_error error = {""};
	struct sgxs_info info;

	assert_int_equal(read_stream(size, &info, &error), -EUCLEAN);
	if (!strstr(error.text, what))
		print_error("%s, not %s\n", error.text, what);
	assert_non_null(strstr(error.text, what));
}

/* Changes a byte of the intact stream. */
static void expect_byte_refused(size_t at, u8 value, const char *what)
{
	make_stream();
	stream[at] = value;
	expect_refusal(STREAM_SIZE, what);
}

static void streams_that_no_cpu_makes_are_refused(void **state)
{
	const size_t second_page = 64 + PAGE_STREAM;

	make_stream();
	expect_refusal(0, "no ECREATE");
	expect_refusal(63, "half a record");
	expect_refusal(STREAM_SIZE - 1, "without its bytes");
	expect_refusal(64 + 64 + 64, "without its bytes");
	expect_byte_refused(0, 'e', "no ECREATE");
	expect_byte_refused(8, 0, "no CPU accepts");	     /* SSA frames of no page */
	expect_byte_refused(12 + 1, 0x41, "no CPU accepts"); /* no power of two */
	expect_byte_refused(20, 1, "no CPU accepts");
	expect_byte_refused(64, 'X', "unknown record");
	expect_byte_refused(64 + 8, 1, "outside of the enclave");
	expect_byte_refused(64 + 8 + 1, 0x40, "outside of the enclave");
	expect_byte_refused(64 + 17, 3, "unknown kind");
	expect_byte_refused(64 + 16, 0x80, "unknown kind");
	expect_byte_refused(64 + 24, 1, "reserved bytes");
	expect_byte_refused(128 + 8, 1, "no whole chunk");
	expect_byte_refused(128 + 9, 0x10, "not added");
	expect_byte_refused(128 + 16, 1, "reserved bytes");
	expect_byte_refused(128 + 320 + 9, 0, "a second EEXTEND");
	expect_byte_refused(second_page + 9, 0, "not added");
	make_stream();
	memset(stream + STREAM_SIZE - PAGE_STREAM + 8, 0, 8);
	expect_refusal(STREAM_SIZE - PAGE_STREAM + 64, "added twice");
}

static void pages_may_be_measured_in_part(void **state)
{
	struct enclave_error error;
	struct sgxs_info info;

	make_stream();
	assert_int_equal(read_stream(STREAM_SIZE - 320, &info, &error), 0);
	assert_int_equal(info.rows[3].chunks, SGXS_CHUNKS - 1);
	sgxs_info_fini(&info);
}

UNIT_TESTS(the_synthetic_stream_is_read, streams_that_no_cpu_makes_are_refused,
	   pages_may_be_measured_in_part)
