/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds keys, so that panic() can overwrite them. */
#pragma once

#include "lib/base/types.h"

#define WIPERS_MAX 64

/*
 * `wipe(arg)` will be called when the kernel stops: with other threads anywhere, so it takes no
 * lock, allocates nothing, makes no host call and comes to an end whatever it finds. False: too
 * many are there already.
 */
bool __must_check wiper_add(void (*wipe)(void *arg), void *arg);
void wiper_remove(void (*wipe)(void *arg), void *arg);

void wipers_run(void);
