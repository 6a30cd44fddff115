/* SPDX-License-Identifier: Apache-2.0 */
/* What occlum-sign tells reviewers. NULL for what was not given. All return the exit status. */
#pragma once

/* What is looked at: a signed image, or a measured stream and a SIGSTRUCT from elsewhere. */
struct review_files {
	const char *enclave;
	const char *sgxs;
	const char *sigstruct; /* 1808 bytes; else the image's own */
};

/* With `out`: the SIGSTRUCT as it is goes there, and nothing is printed. */
int review_dump(const struct review_files *files, const char *out);
int review_check(const struct review_files *files);
int review_measure(const struct review_files *files);
int review_stream(const struct review_files *files, const char *out);
