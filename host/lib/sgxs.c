/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and reading measured streams; see sgxs.h. A stream from elsewhere may be anything: each
 * record is checked before it counts, and memory grows with the bytes read, not with numbers in
 * them.
 */
#include "host/lib/sgxs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/string.h"

#define RECORD_SIZE 64
#define PERMISSIONS (SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_X)
#define PAGES_MAX   (1u << 24) /* 64 GiB added one by one */

/* ---- writing --------------------------------------------------------------------------------- */

static void write_piece(void *arg, const void *bytes, size_t size)
{
	fwrite(bytes, 1, size, arg); /* a failure stays in ferror() */
}

static int measure_run(void *ctx, const struct enclave_run *run)
{
	enclave_measure_run(ctx, run);
	return 0;
}

int sgxs_write(const struct enclave_image *image, FILE *to, struct enclave_error *error)
{
	struct sgx_measure m;
	u8 mrenclave[SGX_HASH_SIZE];
	int err;

	sgx_measure_create(&m, image->params.enclave_size, image->params.ssa_frame_pages);
	m.tap = write_piece;
	m.tap_arg = to;
	err = enclave_image_walk(image, measure_run, &m);
	if (!err)
		sgx_measure_final(&m, mrenclave);
	if (!err && (ferror(to) || fflush(to) != 0))
		err = errno ? -errno : -EIO;
	if (err)
		enclave_error_set(error, "cannot write the measured stream: %s", strerror(-err));
	return err;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int add_row(struct sgxs_info *info, const struct sgxs_pages *p)
{
	struct sgxs_pages *last = info->row_count ? &info->rows[info->row_count - 1] : NULL;
	struct sgxs_pages *more;

	if (last && last->offset + last->count * PAGE_SIZE == p->offset &&
	    last->secinfo == p->secinfo && last->chunks == p->chunks) {
		last->count += p->count;
		return 0;
	}
	if (IS_POWER_OF_2(info->row_count) || !info->row_count) {
		more = realloc(info->rows, MAX(2 * info->row_count, 16u) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		info->rows = more;
	}
	info->rows[info->row_count++] = *p;
	return 0;
}

static int note_run(void *ctx, const struct enclave_run *run)
{
	struct sgxs_pages p = {run->offset, run->count, run->secinfo,
			       run->measured ? SGXS_CHUNKS : 0};

	return add_row(ctx, &p);
}

int sgxs_of_image(const struct enclave_image *image, struct sgxs_info *ret,
		  struct enclave_error *error)
{
	int err;

	*ret = (struct sgxs_info){
		.enclave_size = image->params.enclave_size,
		.ssa_frame_pages = image->params.ssa_frame_pages,
	};
	err = enclave_image_walk(image, note_run, ret);
	if (!err)
		err = enclave_image_measure(image, ret->mrenclave);
	if (err) {
		enclave_error_set(error, "cannot measure the image: %s", strerror(-err));
		sgxs_info_fini(ret);
	}
	return err;
}

void sgxs_info_fini(struct sgxs_info *info)
{
	free(info->rows);
	*info = (struct sgxs_info){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

struct page {
	u64 offset;
	u64 secinfo;
	u32 chunks; /* measured, a bit each */
};

struct reader {
	FILE *from;
	struct sha256 hash;
	u64 at; /* in the file, of the record */
	u64 enclave_size;
	struct page *pages; /* in the order of the stream */
	u32 count;
	struct enclave_error *error;
};

static int bad(struct reader *r, const char *what)
{
	enclave_error_set(r->error, "no measured stream: %s at byte %llu", what,
			  (unsigned long long)r->at);
	return -EUCLEAN;
}

/* 1: read; 0: the file has ended. */
static int next_record(struct reader *r, u8 record[RECORD_SIZE])
{
	size_t n = fread(record, 1, RECORD_SIZE, r->from);

	if (n == 0 && feof(r->from))
		return 0;
	if (n != RECORD_SIZE)
		return bad(r, "half a record");
	sha256_update(&r->hash, record, RECORD_SIZE);
	return 1;
}

static int take_page(struct reader *r, const u8 record[RECORD_SIZE])
{
	struct page p = {.chunks = 0};

	memcpy(&p.offset, record + 8, 8);
	memcpy(&p.secinfo, record + 16, 8);
	if (!mem_is_zero(record + 24, RECORD_SIZE - 24))
		return bad(r, "an EADD with reserved bytes");
	if (!IS_ALIGNED(p.offset, PAGE_SIZE) || p.offset >= r->enclave_size)
		return bad(r, "an EADD outside of the enclave");
	if (p.secinfo != SGX_SECINFO_TCS && (p.secinfo & ~(u64)PERMISSIONS) != SGX_SECINFO_REG)
		return bad(r, "an EADD of an unknown kind of page");
	if (r->count == PAGES_MAX)
		return bad(r, "too many pages");
	if (IS_POWER_OF_2(r->count) || !r->count) {
		struct page *more = realloc(r->pages, MAX(2 * r->count, 1024u) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->pages = more;
	}
	r->pages[r->count++] = p;
	return 0;
}

/* Loaders measure a page right after adding it; anything else is searched for. */
static struct page *find_page(struct reader *r, u64 offset)
{
	for (u32 i = r->count; i > 0; i--) {
		if (r->pages[i - 1].offset == offset)
			return &r->pages[i - 1];
	}
	return NULL;
}

static int take_chunk(struct reader *r, const u8 record[RECORD_SIZE])
{
	u8 content[SGX_CHUNK_SIZE];
	struct page *p;
	u64 offset;
	u32 bit;

	memcpy(&offset, record + 8, 8);
	if (!mem_is_zero(record + 16, RECORD_SIZE - 16))
		return bad(r, "an EEXTEND with reserved bytes");
	if (!IS_ALIGNED(offset, (u64)SGX_CHUNK_SIZE))
		return bad(r, "an EEXTEND of no whole chunk");
	p = find_page(r, ALIGN_DOWN(offset, PAGE_SIZE));
	if (!p)
		return bad(r, "an EEXTEND of a page that was not added");
	bit = 1u << (offset % PAGE_SIZE / SGX_CHUNK_SIZE);
	if (p->chunks & bit)
		return bad(r, "a second EEXTEND of a chunk");
	p->chunks |= bit;
	if (fread(content, 1, sizeof(content), r->from) != sizeof(content))
		return bad(r, "an EEXTEND without its bytes");
	sha256_update(&r->hash, content, sizeof(content));
	r->at += sizeof(content);
	return 0;
}

static int take_create(struct reader *r, struct sgxs_info *info)
{
	u8 record[RECORD_SIZE];
	int n = next_record(r, record);

	if (n < 0)
		return n;
	if (n == 0 || memcmp(record, "ECREATE", 8) != 0)
		return bad(r, "no ECREATE");
	memcpy(&info->ssa_frame_pages, record + 8, 4);
	memcpy(&info->enclave_size, record + 12, 8);
	r->enclave_size = info->enclave_size;
	if (!mem_is_zero(record + 20, RECORD_SIZE - 20) || !IS_POWER_OF_2(info->enclave_size) ||
	    info->enclave_size < 2 * PAGE_SIZE || !info->ssa_frame_pages)
		return bad(r, "an ECREATE that no CPU accepts");
	r->at += RECORD_SIZE;
	return 0;
}

static int take_rest(struct reader *r)
{
	u8 record[RECORD_SIZE];
	int n, err = 0;

	while (!err && (n = next_record(r, record)) != 0) {
		if (n < 0)
			return n;
		if (memcmp(record, "EADD\0\0\0", 8) == 0)
			err = take_page(r, record);
		else if (memcmp(record, "EEXTEND", 8) == 0)
			err = take_chunk(r, record);
		else
			err = bad(r, "an unknown record");
		r->at += RECORD_SIZE;
	}
	return err;
}

static int page_order(const void *a, const void *b)
{
	const struct page *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int rows_from_pages(struct reader *r, struct sgxs_info *info)
{
	int err = 0;

	for (u32 i = 0; !err && i < r->count; i++) {
		const struct page *p = &r->pages[i];
		struct sgxs_pages row = {p->offset, 1, p->secinfo,
					 (u32)__builtin_popcount(p->chunks)};

		err = add_row(info, &row);
	}
	if (r->count)
		qsort(r->pages, r->count, sizeof(*r->pages), page_order);
	for (u32 i = 1; !err && i < r->count; i++) {
		if (r->pages[i].offset == r->pages[i - 1].offset)
			err = bad(r, "a page that is added twice");
	}
	return err;
}

int sgxs_read(FILE *from, struct sgxs_info *ret, struct enclave_error *error)
{
	struct reader r = {.from = from, .error = error};
	struct sgxs_info info = {0};
	int err;

	sha256_init(&r.hash);
	err = take_create(&r, &info);
	if (!err)
		err = take_rest(&r);
	if (!err)
		err = rows_from_pages(&r, &info);
	free(r.pages);
	if (err) {
		if (err == -ENOMEM)
			enclave_error_set(error, "not enough memory for this stream");
		sgxs_info_fini(&info);
		return err;
	}
	sha256_final(&r.hash, info.mrenclave);
	*ret = info;
	return 0;
}
