#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the system call border from abi/syscall_64.tbl.

Usage: gen-syscalls.py TABLE header|source OUTPUT

header: prototypes of every sys_<name>(), numbers, the interface of the source.
source: syscall_invoke(), a switch whose cases decode the registers and call (the compiler makes
        one indexed jump and a tail call of it, without relocations), and the trace table.
"""

import re
import sys

ROW = re.compile(r"^\s*(\d+)\s+(\w+)\s+(real|enosys)\s+(\w+)\s+\((.*)\)\s*$")
REGISTERS = ["rdi", "rsi", "rdx", "r10", "r8", "r9"]
TYPES = {
    # kind: (C type, how the trace prints it)
    "int": ("int ", "d"),
    "u32": ("u32 ", "u"),
    "s64": ("s64 ", "d"),
    "u64": ("u64 ", "x"),
    "in": ("const void __user *", "p"),
    "out": ("void __user *", "p"),
    "inout": ("void __user *", "p"),
    "str": ("const char __user *", "s"),
}
# Not `new`, `signed`...: names that C or a checker would not take.
RENAME = {"new": "new_", "signed": "signed_", "register": "register_"}


def fail(line_number, text):
    sys.exit(f"gen-syscalls.py: line {line_number}: {text}")


def read_table(path):
    rows = []
    seen_numbers, seen_names = set(), set()
    with open(path, encoding="utf-8") as table:
        for line_number, line in enumerate(table, 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = ROW.match(line)
            if not match:
                fail(line_number, "not a row: " + line.strip())
            number, name, state, group, text = match.groups()
            args = []
            for arg in filter(None, (a.strip() for a in text.split(","))):
                words = arg.split()
                if len(words) != 2 or words[0] not in TYPES:
                    fail(line_number, f"bad argument '{arg}'")
                args.append((words[0], RENAME.get(words[1], words[1])))
            if len(args) > len(REGISTERS):
                fail(line_number, "more than six arguments")
            if int(number) in seen_numbers or name in seen_names:
                fail(line_number, f"{number} {name} appears twice")
            seen_numbers.add(int(number))
            seen_names.add(name)
            rows.append((int(number), name, state, group, args))
    return sorted(rows)


HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by scripts/gen-syscalls.py from abi/syscall_64.tbl. */\n"


def header(rows):
    out = [HEAD, "#pragma once\n\n", '#include "kernel/arch/regs.h"\n\n']
    out.append(f"#define SYSCALL_NUMBER_MAX {rows[-1][0]}\n\n")
    out.append("enum syscall_number {\n")
    for number, name, _, _, _ in rows:
        out.append(f"\tSYS_NR_{name} = {number},\n")
    out.append("};\n\n")
    out.append("/* Runs the call in *regs; its result, -ENOSYS without one. */\n")
    out.append("long syscall_invoke(u64 number, const struct user_regs *regs);\n\n")
    out.append("/* How the trace shows a call: d decimal, u unsigned, x hexadecimal, p pointer, s string. */\n")
    out.append("struct syscall_trace_row {\n\tchar name[25];\n\tchar arguments[7];\n};\n")
    out.append("const struct syscall_trace_row *syscall_trace_row(u64 number); /* NULL: unknown */\n\n")
    for number, name, state, group, args in rows:
        params = ", ".join(TYPES[kind][0] + arg for kind, arg in args) or "void"
        out.append(f"long sys_{name}({params}); /* {number}, {group}, {state} */\n")
    return "".join(out)


def source(rows):
    out = [HEAD, '#include "kernel/sys/syscalls_gen.h"\n\n#include "abi/errno.h"\n\n']
    out.append("long syscall_invoke(u64 number, const struct user_regs *regs)\n{\n\tswitch (number) {\n")
    for number, name, state, _, args in rows:
        if state != "real":
            continue
        casts = ", ".join(
            f"({TYPES[kind][0].rstrip()})regs->{reg}" for (kind, _), reg in zip(args, REGISTERS)
        )
        out.append(f"\tcase {number}:\n\t\treturn sys_{name}({casts});\n")
    out.append("\tdefault:\n\t\treturn -ENOSYS;\n\t}\n}\n\n")
    out.append("static const struct syscall_trace_row rows[SYSCALL_NUMBER_MAX + 1] = {\n")
    for number, name, _, _, args in rows:
        kinds = "".join(TYPES[kind][1] for kind, _ in args)
        out.append(f'\t[{number}] = {{"{name}", "{kinds}"}},\n')
    out.append("};\n\n")
    out.append("const struct syscall_trace_row *syscall_trace_row(u64 number)\n{\n")
    out.append("\tif (number > SYSCALL_NUMBER_MAX || !rows[number].name[0])\n\t\treturn NULL;\n")
    out.append("\treturn &rows[number];\n}\n")
    return "".join(out)


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in ("header", "source"):
        sys.exit(__doc__)
    rows = read_table(sys.argv[1])
    text = header(rows) if sys.argv[2] == "header" else source(rows)
    with open(sys.argv[3], "w", encoding="utf-8") as out:
        out.write(text)


main()
