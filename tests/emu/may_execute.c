/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM_MAYEXEC of a mapping, from /proc/self/smaps ("me" among its VmFlags): the driver takes enclave
 * pages from such memory alone.
 */
#include "lib/base/string.h"
#include "tests/emu/driver.h"

struct reader {
	s32 fd;
	char bytes[4096];
	u64 used, fill;
};

/* A line without its end; cut when too long. False at the end of the file. */
static bool read_line(struct reader *r, char *line, u64 size)
{
	u64 len = 0;

	for (;;) {
		char c;

		if (r->used == r->fill) {
			s64 n = emu_call(NR_read, r->fd, r->bytes, sizeof(r->bytes), 0, 0, 0);

			if (n <= 0)
				return false;
			r->used = 0;
			r->fill = (u64)n;
		}
		c = r->bytes[r->used++];
		if (c == '\n')
			break;
		if (len + 1 < size)
			line[len++] = c;
	}
	line[len] = 0;
	return true;
}

static bool parse_hex(const char **text, u64 *ret)
{
	const char *p = *text;

	*ret = 0;
	for (;; p++) {
		u64 digit;

		if (*p >= '0' && *p <= '9')
			digit = (u64)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			digit = (u64)(*p - 'a') + 10;
		else
			break;
		*ret = *ret << 4 | digit;
	}
	if (p == *text)
		return false;
	*text = p;
	return true;
}

/* "start-end rights ..." */
static bool parse_range(const char *line, u64 *ret_start, u64 *ret_end)
{
	if (!parse_hex(&line, ret_start) || *line++ != '-')
		return false;
	return parse_hex(&line, ret_end) && *line == ' ';
}

bool emu_may_execute(u64 address)
{
	static u64 known_start, known_end; /* the answer "yes" of before; under the lock */
	static struct reader r;
	char line[256];
	u64 start = 0, end = 0;
	bool ret = false;

	if (address >= known_start && address < known_end)
		return true;
	r = (struct reader){.fd = (s32)emu_call(NR_openat, -100, "/proc/self/smaps", 0, 0, 0, 0)};
	while (r.fd >= 0 && read_line(&r, line, sizeof(line))) {
		if (parse_range(line, &start, &end) || address < start || address >= end ||
		    !str_has_prefix(line, "VmFlags:"))
			continue;
		ret = strstr(line, " me") != NULL;
		break;
	}
	emu_call(NR_close, r.fd, 0, 0, 0, 0, 0);
	if (ret) {
		known_start = start;
		known_end = end;
	}
	return ret;
}
