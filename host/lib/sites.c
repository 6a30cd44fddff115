// SPDX-License-Identifier: Apache-2.0
/*
 * Call-site finder. Three passes over the executable bytes of an ELF file:
 *
 *   1. functions: .eh_frame, .symtab and .dynsym mark where decoding must start afresh;
 *   2. sweep: decode every instruction, note sites, branch targets and functions with indirect
 *      jumps in one flag byte per code byte;
 *   3. classify: with all targets known, choose each site's patch class in the order A, P, B, C.
 *
 * A wrong site would corrupt a program, a missed one costs a trap: in doubt a site is left out or
 * left trapping. Nothing here depends on anything but the file's bytes. The first two passes are in
 * sites_sweep.c, the last in sites_patch.c.
 */
#include "host/lib/sites_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int memory_read(void *ctx, void *buf, size_t size, u64 offset)
{
	memcpy(buf, (const u8 *)ctx + offset, size);
	return 0;
}

static struct secvol_site unpatched(struct scan *s, const struct found *f)
{
	return (struct secvol_site){.offset = s->ranges[f->range].offset + f->at, .kind = f->kind};
}

static int site_order(const void *a, const void *b)
{
	const struct secvol_site *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int scan_run(struct scan *s, struct sites_table *ret_table)
{
	struct sites_table t = {0};
	bool exact;
	int err = sites_sweep(s, &exact);

	if (err || s->found_count == 0)
		return err;
	t.sites = calloc(s->found_count, sizeof(*t.sites));
	if (!t.sites)
		return -ENOMEM;
	for (u32 i = 0; i < s->found_count; i++)
		t.sites[t.count++] =
			exact ? sites_classify(s, &s->found[i]) : unpatched(s, &s->found[i]);
	qsort(t.sites, t.count, sizeof(*t.sites), site_order);
	*ret_table = t;
	return 0;
}

int sites_scan(const void *bytes, u64 size, struct sites_table *ret_table)
{
	struct scan *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->bytes = bytes;
	s->source = (struct elf_source){.ctx = (void *)bytes, .size = size, .read = memory_read};
	*ret_table = (struct sites_table){0};
	if (elf_header_read(&s->source, &s->header) == 0 &&
	    ZYAN_SUCCESS(ZydisDecoderInit(&s->decoder, ZYDIS_MACHINE_MODE_LONG_64,
					  ZYDIS_STACK_WIDTH_64)))
		err = scan_run(s, ret_table);
	else
		err = 0;
	for (u32 i = 0; i < s->range_count; i++)
		free(s->ranges[i].flags);
	free(s->found);
	free(s);
	return err;
}

void sites_table_fini(struct sites_table *table)
{
	free(table->sites);
	*table = (struct sites_table){0};
}
