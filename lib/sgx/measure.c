/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement stream; see measure.h. Records are collected and hashed by the page: an enclave
 * has tens of thousands of them, and hashing each alone costs more than the hash.
 */
#include "lib/sgx/measure.h"

#include "lib/base/string.h"

#define RECORD_SIZE 64
static_assert(sizeof(((struct sgx_measure *)0)->records) % RECORD_SIZE == 0, "whole records");

static void flush(struct sgx_measure *m)
{
	sha256_update(&m->hash, m->records, m->fill);
	if (m->tap)
		m->tap(m->tap_arg, m->records, m->fill);
	m->fill = 0;
}

/* An empty record with its name and what follows that: a number at byte 8. */
static u8 *record_new(struct sgx_measure *m, const char name[8], u64 number)
{
	u8 *record;

	if (m->fill == sizeof(m->records))
		flush(m);
	record = m->records + m->fill;
	m->fill += RECORD_SIZE;
	memset(record, 0, RECORD_SIZE);
	memcpy(record, name, 8);
	memcpy(record + 8, &number, sizeof(number));
	return record;
}

void sgx_measure_create(struct sgx_measure *m, u64 enclave_size, u32 ssa_frame_pages)
{
	u8 *record;

	sha256_init(&m->hash);
	m->fill = 0;
	m->tap = NULL;
	m->tap_arg = NULL;
	record = record_new(m, "ECREATE", 0);
	memcpy(record + 8, &ssa_frame_pages, sizeof(ssa_frame_pages));
	memcpy(record + 12, &enclave_size, sizeof(enclave_size));
}

void sgx_measure_add(struct sgx_measure *m, u64 offset, u64 secinfo_flags)
{
	u8 *record = record_new(m, "EADD\0\0\0", offset);

	memcpy(record + 16, &secinfo_flags, sizeof(secinfo_flags));
}

void sgx_measure_extend_page(struct sgx_measure *m, u64 offset, const u8 page[4096])
{
	for (u64 chunk = 0; chunk < 4096; chunk += SGX_CHUNK_SIZE) {
		record_new(m, "EEXTEND", offset + chunk);
		if (sizeof(m->records) - m->fill < SGX_CHUNK_SIZE)
			flush(m);
		memcpy(m->records + m->fill, page + chunk, SGX_CHUNK_SIZE);
		m->fill += SGX_CHUNK_SIZE;
	}
}

void sgx_measure_final(struct sgx_measure *m, u8 ret_mrenclave[SGX_HASH_SIZE])
{
	flush(m);
	sha256_final(&m->hash, ret_mrenclave);
}
