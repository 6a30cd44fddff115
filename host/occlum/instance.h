/* SPDX-License-Identifier: Apache-2.0 */
/* An instance is the current directory; this is what the commands ask about it. */
#pragma once

#include "host/lib/instance_lock.h"

#define INSTANCE_STATUS	      ".__occlum_status"
#define INSTANCE_MODE	      ".sgx_mode"
#define INSTANCE_SETTINGS     "Occlum.json"
#define INSTANCE_CONFIG	      "build/.Occlum_sys.bin"
#define INSTANCE_CONFIG_TEXT  "build/.Occlum_sys.json"
#define INSTANCE_STAMP	      "build/.stamp"
#define INSTANCE_SIGNED	      "build/lib/libocclum-libos.signed.so"
#define INSTANCE_SETTINGS_MAX (1024 * 1024)

/*
 * All of these say what is wrong and return 1, or return 0.
 */
int __must_check instance_need_initialized(void);
int __must_check instance_need_built(void);

/* Tools act with their user's rights: nobody else may be able to change what they act on. */
int __must_check instance_need_owner(void);

/*
 * Takes the instance for this process until it ends. One instance is built or run by one process at
 * a time. `what` ("build", "run") is for messages and `occlum status`.
 */
int __must_check instance_lock(const char *what);

/* What the process that holds the instance does, or NULL. */
const char *instance_in_use(void);

/* Of the files; whether a process uses them is instance_in_use(). */
int __must_check instance_set_status(const char *status);
