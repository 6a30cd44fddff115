/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine has of the things that SGX and the simulation need, as findings: each one is
 * there or not, and when it is not there is something to do about it.
 */
#pragma once

#include "lib/base/types.h"

enum need {
	NEED_NEITHER = 0, /* useful */
	NEED_SIM = 1,
	NEED_HW = 2,
	NEED_BOTH = 3,
};

struct finding {
	const char *section;
	bool ok;
	enum need need;
	char what[160];
	char advice[320]; /* when it is not ok */
};

#define FINDINGS_MAX 32
struct machine {
	char processor[32], release[72], container[32]; /* container: empty for none */
	struct finding findings[FINDINGS_MAX];
	u32 count;
};

/* Where the facts come from. Tests have their own; nothing a user sets changes machine_here. */
struct machine_source {
	const char *root; /* before /dev, /var and /proc/1 */
	void (*cpuid)(u32 leaf, u32 subleaf,
		      u32 ret[4]); /* EAX, EBX, ECX, EDX; zeros above the last leaf */
	unsigned long (*hwcap2)(void);
	void (*release)(char *text, size_t size); /* of Linux */
};
extern const struct machine_source machine_here;

void machine_examine(struct machine *ret, const struct machine_source *source);

/* Everything that a mode needs was found. */
bool machine_can(const struct machine *m, enum need need);

/* This machine can run enclaves for hardware; else says all that is missing and returns 1. */
int __must_check machine_need_hardware(void);
