#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Joins the emulator's freestanding objects to one and hides all but its interface, so that its own
# memcpy() and friends stay its own. Checks that it has no thread-local storage and makes system
# calls in the one section only.
#
#   link-emu.sh OUTPUT OBJECT...
set -eu
out=$1
shift
trap 'rm -f "$out.tmp"' EXIT
ld -r -z noexecstack -o "$out.tmp" "$@"
stray=$(objdump -d "$out.tmp" | awk '/^Disassembly of section/ {s = $4} /\t(syscall|sysenter)/ && s != "pal_syscalls:"')
if [ -n "$stray" ]; then
	echo "tests/emu: system call instruction outside pal_syscalls: $stray" >&2
	exit 1
fi
if objdump -h "$out.tmp" | grep -q -e '\.tdata' -e '\.tbss'; then
	echo "tests/emu: thread-local storage" >&2
	exit 1
fi
keep=
for symbol in sgx_driver emu_signal emu_signals emu_thread_start emu_config emu_stats emu_dirty_text \
	emu_die emu_enter_enclave emu_enter_enclu emu_enter_fixup emu_enter_end emu_secs_at emu_bytes_at; do
	keep="$keep --keep-global-symbol=$symbol"
done
# shellcheck disable=SC2086
objcopy $keep "$out.tmp" "$out"
