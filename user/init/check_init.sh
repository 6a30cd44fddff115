#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# init relocates nothing, so it must need no relocation; nor an interpreter or a library. Run
# outside an enclave it must fail with one clear line, since the host knows no system call 363.
set -eu
init=$1
if readelf -Wr "$init" | grep -q R_X86_64; then
	echo "init has relocations" >&2
	exit 1
fi
if readelf -Wl "$init" | grep -qE 'INTERP|RWE'; then
	echo "init has an interpreter or a writable and executable segment" >&2
	exit 1
fi
readelf -Wh "$init" | grep -q 'Type: *DYN'
status=0
text=$("$init" 2>&1) || status=$?
[ "$status" = 1 ] && [ "$text" = "init: cannot mount the root file system: error 38" ] || {
	echo "run on the host it exits $status saying: $text" >&2
	exit 1
}
