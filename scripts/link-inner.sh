#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Joins the objects of host/pal/inner to one and checks what must hold of it: nothing undefined, no
# system call instruction outside the section pal_syscalls, no thread-local storage. Only symbols
# that the outer part uses stay visible.
#
#   link-inner.sh [--emu] OUTPUT OBJECT...
#
# --emu: for the test build, where the emulation of host/pal/outer/sgx_driver.h is linked as well.
set -eu
elsewhere=' __start_pal_syscalls$| __stop_pal_syscalls$'
keep='inner inner_thread_of inner_ecall inner_threads_stop inner_die inner_signals_install inner_signals_restore
	futex_wait futex_wake'
if [ "$1" = --emu ]; then
	elsewhere="$elsewhere| emu_signal$| emu_signals$| emu_thread_start$| sgx_driver$| _GLOBAL_OFFSET_TABLE_$"
	keep="$keep raw_syscall"
	shift
fi
out=$1
shift
trap 'rm -f "$out.tmp"' EXIT
ld -r -z noexecstack -o "$out.tmp" "$@"
undefined=$(nm -u "$out.tmp" | grep -vE "$elsewhere" || true)
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
keep_flags=
for symbol in $keep; do
	keep_flags="$keep_flags --keep-global-symbol=$symbol"
done
# shellcheck disable=SC2086
objcopy $keep_flags "$out.tmp" "$out"
