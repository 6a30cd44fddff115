// SPDX-License-Identifier: Apache-2.0
/*
 * .eh_frame reader. A section is a row of records {length 4 [8], id 4, ...}: id 0 is a CIE, any
 * other id is the distance back to the CIE whose augmentation says how this FDE's pointers are
 * encoded. Every read goes through a cursor over one record; the CIE is decoded anew for each
 * FDE, which costs little and needs no table.
 */
#include "lib/elf/eh_frame.h"

#include "abi/errno.h"
#include "lib/base/cursor.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"

enum {
	PE_ABSPTR = 0x00,
	PE_ULEB128 = 0x01,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SLEB128 = 0x09,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_FORMAT = 0x0f,
	PE_PCREL = 0x10,
	PE_APPLICATION = 0x70,
	PE_INDIRECT = 0x80,
	PE_OMIT = 0xff,
};

enum { LEB_MAX = 10 };

struct record {
	struct cursor body; /* after the id */
	u64 at;		    /* of the id field in the section */
	u64 next;	    /* of the record after this one */
	u32 id;
};

struct cie {
	u8 pointer_encoding;
	u8 lsda_encoding;
	bool has_augmentation;
	bool is_signal_frame; /* 'z': FDEs carry augmentation data */
};

static u64 leb_read(struct cursor *c, bool is_signed)
{
	u64 value = 0;
	u8 byte = 0;
	unsigned shift = 0;

	for (unsigned i = 0; i < LEB_MAX; i++) {
		byte = cursor_u8(c);
		if (shift < 64)
			value |= (u64)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80)) {
			if (is_signed && (byte & 0x40) && shift < 64)
				value |= ~0ull << shift;
			return value;
		}
	}
	c->bad = true;
	return 0;
}

static u64 value_read(struct cursor *c, u8 format)
{
	switch (format) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8: return cursor_le64(c);
	case PE_UDATA4: return cursor_le32(c);
	case PE_SDATA4: return (u64)(s64)(s32)cursor_le32(c);
	case PE_UDATA2: return cursor_le16(c);
	case PE_SDATA2: return (u64)(s64)(s16)cursor_le16(c);
	case PE_ULEB128: return leb_read(c, false);
	case PE_SLEB128: return leb_read(c, true);
	default: c->bad = true; return 0;
	}
}

/* 1 and the record at `at`, 0 at the end of the section. */
static int record_read(const struct eh_frame *frame, u64 at, struct record *r)
{
	struct cursor c;
	u64 length;

	if (at >= frame->size)
		return 0;
	c = cursor_of(frame->bytes + at, frame->size - at);
	length = cursor_le32(&c);
	if (length == 0xffffffff)
		length = cursor_le64(&c);
	if (c.bad)
		return -ENOEXEC;
	if (length == 0)
		return 0;
	if (length < 4 || length > cursor_left(&c))
		return -ENOEXEC;
	r->at = (u64)(c.pos - frame->bytes);
	r->next = r->at + length;
	r->body = cursor_of(c.pos, length);
	r->id = cursor_le32(&r->body);
	return 1;
}

static int cie_parse(struct cursor c, struct cie *ret_cie)
{
	struct cie cie = {.pointer_encoding = PE_ABSPTR, .lsda_encoding = PE_OMIT};
	u8 version = cursor_u8(&c);
	const char *augmentation = (const char *)c.pos;
	const char *end = c.bad ? NULL : memchr(augmentation, 0, cursor_left(&c));

	if (!end || (version != 1 && version != 3))
		return -ENOEXEC;
	(void)cursor_take(&c, (size_t)(end - augmentation) + 1);
	(void)leb_read(&c, false); /* code alignment */
	(void)leb_read(&c, true);  /* data alignment */
	if (version == 1)
		(void)cursor_u8(&c);
	else
		(void)leb_read(&c, false); /* return address register */
	if (*augmentation == 'z') {
		cie.has_augmentation = true;
		augmentation++;
		(void)leb_read(&c, false);
	}
	for (; *augmentation; augmentation++) {
		switch (*augmentation) {
		case 'R': cie.pointer_encoding = cursor_u8(&c); break;
		case 'L': cie.lsda_encoding = cursor_u8(&c); break;
		case 'P': (void)value_read(&c, cursor_u8(&c) & PE_FORMAT); break;
		case 'S': cie.is_signal_frame = true; break;
		case 'B': break;
		default: return -ENOEXEC;
		}
	}
	if (c.bad)
		return -ENOEXEC;
	*ret_cie = cie;
	return 0;
}

/* 1 a function, 0 nothing to say. */
static int fde_parse(const struct eh_frame *frame, const struct record *r,
		     struct eh_function *ret_function)
{
	struct eh_function f = {0};
	struct record origin;
	struct cursor c = r->body;
	struct cie cie;
	u64 field = frame->vaddr + r->at + 4, end;
	int err;

	if (r->id > r->at)
		return -ENOEXEC;
	err = record_read(frame, r->at - r->id, &origin);
	if (err != 1 || origin.id != 0 || cie_parse(origin.body, &cie))
		return -ENOEXEC;
	if ((cie.pointer_encoding & PE_INDIRECT) ||
	    ((cie.pointer_encoding & PE_APPLICATION) != PE_PCREL &&
	     (cie.pointer_encoding & PE_APPLICATION) != PE_ABSPTR))
		return 0;
	/*
	 * That of a signal trampoline begins a byte early, for unwinders: no place to decode from.
	 */
	if (cie.is_signal_frame)
		return 0;
	f.start = value_read(&c, cie.pointer_encoding & PE_FORMAT);
	if ((cie.pointer_encoding & PE_APPLICATION) == PE_PCREL)
		f.start += field;
	f.size = value_read(&c, cie.pointer_encoding & PE_FORMAT);
	if (cie.has_augmentation) {
		u64 len = leb_read(&c, false);

		if (len && cie.lsda_encoding != PE_OMIT)
			f.has_lsda = value_read(&c, cie.lsda_encoding & PE_FORMAT) != 0;
	}
	if (c.bad)
		return -ENOEXEC;
	if (f.size == 0 || check_add_overflow(f.start, f.size, &end))
		return 0;
	*ret_function = f;
	return 1;
}

int eh_frame_next(struct eh_frame *frame, struct eh_function *ret_function)
{
	for (;;) {
		struct record r;
		int got = record_read(frame, frame->at, &r);

		if (got <= 0)
			return got;
		frame->at = r.next;
		if (r.id == 0)
			continue;
		got = fde_parse(frame, &r, ret_function);
		if (got)
			return got;
	}
}
