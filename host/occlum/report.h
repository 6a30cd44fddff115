/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tools say. Errors and warnings go to stderr, one line each, "occlum: COMMAND: ...";
 * where users of Occlum know a text ("Error: ...") it is kept. Bytes that could steer a terminal
 * are replaced before they are printed.
 */
#pragma once

#include "lib/base/types.h"

/* The sub-command in messages; NULL for none. */
extern const char *report_command;

/* All return 1, the exit status of a failed command, so that `return complain(...)` reads well. */
int complain(const char *format, ...) __printf(1, 2);
/* The same, with ": " and the text of the error number (positive or negative). */
int complain_errno(int error, const char *format, ...) __printf(2, 3);
/* "Error: " and the text, as Occlum prints it. */
int complain_known(const char *format, ...) __printf(1, 2);

void warn(const char *format, ...) __printf(1, 2);

/* A line on stdout. */
void inform(const char *format, ...) __printf(1, 2);

/* Some line could not be written to stdout. */
bool report_is_incomplete(void);
