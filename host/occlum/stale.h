/* SPDX-License-Identifier: Apache-2.0 */
/* Warns of a run of what is older than the instance's sources. */
#pragma once

/*
 * Looks at Occlum.json, image/ and initfs/ of the current directory and warns when they have
 * changed since the last build. Trees that are looked at in no time are done when it returns; for
 * others a thread goes on beside the start of the enclave.
 */
void stale_watch(void);

/* At the end of a run: waits for the thread, for a second at most. */
void stale_watch_finish(void);
