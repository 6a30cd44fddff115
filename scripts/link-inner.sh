#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Joins the objects of host/pal/inner to one and checks what must hold of it: nothing undefined, no
# system call instruction outside the section pal_syscalls, no thread-local storage. Only symbols
# that the outer part uses stay visible.
#
#   link-inner.sh OUTPUT OBJECT...
set -eu
out=$1
shift
trap 'rm -f "$out.tmp"' EXIT
ld -r -z noexecstack -o "$out.tmp" "$@"
undefined=$(nm -u "$out.tmp" | grep -v -e ' __start_pal_syscalls' -e ' __stop_pal_syscalls' || true)
if [ -n "$undefined" ]; then
	echo "host/pal/inner: undefined symbols: $undefined" >&2
	exit 1
fi
stray=$(objdump -d "$out.tmp" | awk '/^Disassembly of section/ {s = $4} /\t(syscall|sysenter|int +\$0x80)/ && s != "pal_syscalls:"')
if [ -n "$stray" ]; then
	echo "host/pal/inner: system call instruction outside pal_syscalls: $stray" >&2
	exit 1
fi
if objdump -h "$out.tmp" | grep -q -e '\.tdata' -e '\.tbss'; then
	echo "host/pal/inner: thread-local storage" >&2
	exit 1
fi
if objdump -d "$out.tmp" | grep -q -e '%[xyz]mm[0-9]' -e '%fs:'; then
	echo "host/pal/inner: vector registers or %fs in use" >&2
	exit 1
fi
objcopy --keep-global-symbol=inner --keep-global-symbol=inner_thread_of \
	--keep-global-symbol=inner_ecall --keep-global-symbol=inner_threads_stop \
	--keep-global-symbol=inner_signals_install --keep-global-symbol=inner_signals_restore \
	--keep-global-symbol=futex_wait --keep-global-symbol=futex_wake "$out.tmp" "$out"
