#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the system call table against the list of calls that the predecessor of this system had.

    check-syscalls.py [--table]

Every number of that list has to be real, but for those that are excused below, the two internal
entries must not be callable, and a call that is real is made by a test in tests/syscalls. --table
prints number, name, state and the test programs in tests/syscalls that mention the call, in
Markdown.
"""
import glob
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

HAD = """0-26 28-33 35 39-56 58-63 67 72-97 99 102 104 107-111 115 121 127-128 130-132 137-138 140-141
157-158 160 162 165-166 186 200-204 213 217-218 228-235 257-258 260-271 273-274 280-281 283-288
290-293 295-296 302 307 309 318 359-360 363"""
EXCUSED = {165: "mount", 166: "umount2"}
UNTESTED = {"mount_root_fs"}  # init's own; every run makes it
INTERNAL = {361: "handle_exception", 362: "handle_interrupt"}

# What tests call them, where that is not the name itself.
ALIASES = {
    "pread64": "pread", "pwrite64": "pwrite", "getdents64": "readdir|getdents64", "newfstatat": "fstatat",
    "rt_sigaction": "sigaction", "rt_sigprocmask": "sigprocmask|pthread_sigmask", "_exit": "exit",
    "rt_sigpending": "sigpending", "rt_sigtimedwait": "sigtimedwait|sigwaitinfo", "exit_group": "_exit",
    "rt_sigsuspend": "sigsuspend", "prlimit64": "prlimit", "umask": "umask", "wait4": "waitpid|wait4",
    "pselect6": "pselect", "eventfd2": "eventfd", "rt_sigreturn": "sigaction", "exit": "_exit|pthread_exit",
    "signalfd4": "signalfd", "set_robust_list": "ROBUST|robust", "set_tid_address": "pthread_join",
    "spawn_glibc": "359|SPAWN_GLIBC", "spawn_musl": "360|SPAWN_MUSL", "arch_prctl": "pthread_create",
    "rt_sigqueueinfo": "sigqueue", "mknodat": "mkfifoat|mknodat",
}


def numbers(text):
    for word in text.split():
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def table():
    for line in open(f"{TOP}/abi/syscall_64.tbl"):
        row = re.match(r"\s*(\d+)\s+(\w+)\s+(real|enosys)\s", line)
        if row:
            yield int(row[1]), row[2], row[3]


def tests_of(name, sources):
    pattern = re.compile(rf"\b(SYS_{name}|{ALIASES.get(name, name)})\b")
    return [test for test, text in sources.items() if pattern.search(text)]


def test_sources():
    sources = {os.path.basename(p)[:-2]: open(p).read()
               for p in sorted(glob.glob(f"{TOP}/tests/syscalls/*.c"))}
    sources.pop("fuzz_args", None)
    return sources


def print_table(rows):
    sources = test_sources()
    print("| number | name | state | tests in tests/syscalls |\n|---|---|---|---|")
    for number, name, state in rows:
        tests = tests_of(name, sources) if state == "real" else []
        shown = ", ".join(tests[:4]) + (", ..." if len(tests) > 4 else "")
        print(f"| {number} | {name} | {'real' if state == 'real' else 'ENOSYS'} | {shown} |")


def main():
    rows = list(table())
    if "--table" in sys.argv:
        print_table(rows)
        return 0
    states = {number: state for number, _, state in rows}
    wrong = [f"{n} is not real" for n in numbers(HAD) if n not in EXCUSED and states.get(n) != "real"]
    wrong += [f"{n} can be called" for n in INTERNAL if states.get(n) == "real"]
    sources = test_sources()
    wrong += [f"no test in tests/syscalls makes the call {name}" for _, name, state in rows
              if state == "real" and name not in UNTESTED and not tests_of(name, sources)]
    for line in wrong:
        print(f"check-syscalls: {line}")
    return 1 if wrong else 0


sys.exit(main())
