#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes everything that must agree about a host call from its row in edge/hostcall.tbl.

  gen-hostcalls.py TABLE header   edge/hostcall_gen.h: numbers, bounds, the kernel's prototypes
  gen-hostcalls.py TABLE stubs    the kernel's wrappers: copy in, leave, check, copy out
  gen-hostcalls.py TABLE dispatch_header / dispatch
                                  the host's side: unpack, check offsets, call do_<name>()
  gen-hostcalls.py TABLE hostile  tests: calls every wrapper while the host answers arbitrary bytes

The output goes to standard output.
"""

import hashlib
import os
import re
import sys

DATA_SIZE = 65536
ARGS_MAX = 8
SCALARS = ("u32", "u64", "s32")
ROW = re.compile(r"^(\d+)\s+(\w+)\s*\((.*?)\)\s*->\s*([\w()]+)\s*\|([^|]*)\|([^|]*)$")
BUFFER = re.compile(r"^(in|out|inout)\s+u8\[(\d+)\]\s+(\w+)$")
SCALAR = re.compile(r"^(u32|u64|s32)\s+(\w+)$")


class Arg:
    def __init__(self, text, where):
        buffer, scalar = BUFFER.match(text), SCALAR.match(text)
        if buffer:
            self.kind, self.max, self.name = buffer[1], int(buffer[2]), buffer[3]
        elif scalar:
            self.kind, self.max, self.name = scalar[1], 0, scalar[2]
        else:
            sys.exit(f"{where}: cannot read the argument '{text}'")

    @property
    def is_buffer(self):
        return self.kind not in SCALARS

    @property
    def to_host(self):
        return self.kind in ("in", "inout")

    @property
    def from_host(self):
        return self.kind in ("out", "inout")


class Row:
    def __init__(self, line, where):
        match = ROW.match(line)
        if not match:
            sys.exit(f"{where}: cannot read this row")
        self.number, self.name = int(match[1]), match[2]
        texts = [t.strip() for t in match[3].split(",")] if match[3].strip() else []
        self.args = [Arg(t, where) for t in texts]
        self.errnos, self.modes = match[5].split(), match[6].split()
        for errno in self.errnos:
            if not re.match(r"^E[A-Z0-9]+$", errno):
                sys.exit(f"{where}: '{errno}' is no errno")
        for mode in self.modes:
            if mode not in ("SIM", "HW", "LOOSE"):
                sys.exit(f"{where}: unknown mode '{mode}'")
        self.result, self.limit, self.count_of = match[4], 0, None
        inner = re.match(r"^(count|max)\((\w+)\)$", match[4])
        if inner:
            self.result = inner[1]
            if inner[1] == "max":
                self.limit = int(inner[2])
            else:
                self.count_of = inner[2]
                if not any(a.name == inner[2] and a.from_host or a.name == inner[2] and a.is_buffer
                           for a in self.args):
                    sys.exit(f"{where}: count() names no buffer")
        elif match[4] not in ("zero", "u64"):
            sys.exit(f"{where}: unknown result '{match[4]}'")
        if sum(2 if a.is_buffer else 1 for a in self.args) > ARGS_MAX:
            sys.exit(f"{where}: more than {ARGS_MAX} words of arguments")
        if sum((a.max + 7) // 8 * 8 for a in self.args) > DATA_SIZE:
            sys.exit(f"{where}: the buffers do not fit the arena")

    @property
    def upper(self):
        return "HOSTCALL_" + self.name.upper()

    @property
    def c_result(self):
        return "int" if self.result == "zero" else "s64"

    @property
    def condition(self):
        """The preprocessor line of a row that only one kind of image has."""
        if "SIM" in self.modes:
            return "#ifdef OCCLUM_SIM"
        return "#if !defined(OCCLUM_SIM) || !defined(OCCLUM_FREESTANDING)" if "HW" in self.modes else None

    def parameters(self, host_side):
        out = ["struct inner_thread *thread"] if host_side else []
        for a in self.args:
            if a.is_buffer:
                const = "const " if a.kind == "in" else ""
                out += [f"{const}void *{a.name}", f"size_t {a.name}_size"]
            else:
                out.append(f"{a.kind} {a.name}")
        return ", ".join(out) or "void"

    def prototype(self):
        return f"{self.c_result} host_{self.name}({self.parameters(False)})"


def read_table(path):
    rows = []
    with open(path, encoding="ascii") as table:
        for index, line in enumerate(table, 1):
            line = line.split("#")[0].strip()
            if line:
                rows.append(Row(line, f"{path}:{index}"))
    for what in ("number", "name"):
        values = [getattr(r, what) for r in rows]
        twice = {v for v in values if values.count(v) > 1}
        if twice:
            sys.exit(f"{path}: {what} {twice.pop()} is given twice")
    return rows


BANNER = "/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by scripts/gen-hostcalls.py from edge/hostcall.tbl. */\n"


def by_mode(rows, text_of):
    """The texts of all rows, those of one kind of image between #ifdef lines."""
    out = []
    for row in rows:
        text = text_of(row)
        out.append(f"{row.condition}\n{text}\n#endif" if row.condition else text)
    return "\n".join(out)


def interface_of(table):
    """A number that differs when what crosses the wall was made from other files."""
    digest = hashlib.sha256()
    for path in (table, os.path.join(os.path.dirname(table), "enclave.h")):
        with open(path, "rb") as f:
            digest.update(hashlib.sha256(f.read()).digest())
    return f"0x{digest.hexdigest()[:16]}ull"


def make_header(rows):
    numbers = "\n".join(f"\t{r.upper} = {r.number}," for r in rows)
    bounds = "\n".join(f"#define {r.upper}_{a.name.upper()}_MAX {a.max}"
                       for r in rows for a in r.args if a.is_buffer)

    def prototype(row):
        check = "" if "LOOSE" in row.modes else " __must_check"
        return row.prototype() + check + ";"

    return f"""{BANNER}#pragma once

#include "lib/base/types.h"

/* Stands for all of edge/: kernel image and loader fit together when theirs is the same. */
#define EDGE_INTERFACE {interface_of(sys.argv[1])}

enum hostcall {{
{numbers}
}};

/* Bounds of the buffers, in bytes. */
{bounds}

/*
 * The kernel's wrappers: results as the table says, -EPROTO when the host broke it, -EINVAL when a
 * buffer is larger than its bound. Output buffers hold host data only on success, and only as
 * far as the result says.
 */
{by_mode(rows, prototype)}
"""


def make_stubs(rows):
    def wrapper(row):
        body, words = [], []
        if any(a.is_buffer for a in row.args):
            body.append("\tu64 arena_at = 0;")
        limit = {"zero": "0", "u64": "INT64_MAX", "max": str(row.limit),
                 "count": f"(s64){row.count_of}_size"}[row.result]
        body.append("\ts64 result;")
        body.append("\tu64 args[HOST_CALL_ARGS] = {0};")
        body.append("")
        position = 0
        for a in row.args:
            if a.is_buffer:
                body.append(f"\tif ({a.name}_size > {a.max})\n\t\treturn -EINVAL;")
        for a in row.args:
            if not a.is_buffer:
                body.append(f"\targs[{position}] = (u64){a.name};")
                position += 1
                continue
            body.append(f"\targs[{position}] = arena_at;")
            body.append(f"\targs[{position + 1}] = {a.name}_size;")
            if a.to_host:
                body.append(f"\thost_arena_put(arena_at, {a.name}, {a.name}_size);")
            body.append(f"\tarena_at += ALIGN_UP((u64){a.name}_size, 8ul);")
            words.append((position, a))
            position += 2
        errnos = ", ".join(row.errnos)
        if errnos:
            body.append(f"\tstatic const u8 allowed[] = {{{errnos}}};")
            table = "allowed, sizeof(allowed)"
        else:
            table = "NULL, 0"
        body.append(f"\tresult = host_call({row.upper}, args, {position}, {limit}, {table});")
        copies = [(p, a) for p, a in words if a.from_host]
        if copies:
            body.append("\tif (result < 0)\n\t\treturn result;")
        for p, a in copies:
            size = "(size_t)result" if a.name == row.count_of else f"{a.name}_size"
            body.append(f"\thost_arena_get({a.name}, args[{p}], {size});")
        cast = "(int)" if row.c_result == "int" else ""
        body.append(f"\treturn {cast}result;")
        return f"{row.prototype()}\n{{\n" + "\n".join(body) + "\n}\n"

    return f"""{BANNER}#include "edge/hostcall_gen.h"

#include "abi/errno.h"
#include "edge/enclave.h"
#include "kernel/host/host_call.h"

{by_mode(rows, wrapper)}
const char *hostcall_name(u32 number)
{{
	switch (number) {{
""" + "\n".join(f'\tcase {r.upper}:\n\t\treturn "{r.name}";' for r in rows) + """
	default:
		return "?";
	}
}
"""


def make_dispatch_header(rows):
    protos = "\n".join(f"s64 do_{r.name}({r.parameters(True)});" for r in rows)
    return f"""{BANNER}#pragma once

#include "edge/enclave.h"

struct inner_thread;

/*
 * Answers the request in the arena: checks it, calls do_<name>() below and stores the result.
 * -ENOSYS for numbers that are not in the table, -EFAULT for buffers outside the data area.
 */
void hostcall_dispatch(struct inner_thread *thread, struct thread_arena *arena);

/* One for each row. Buffers lie in the arena; the result is stored as it is. */
{protos}
"""


def make_dispatch(rows):
    def case(row):
        position, checks, names = 0, [], ["thread"]
        for a in row.args:
            if a.is_buffer:
                checks.append(f"\t\tif (!buffer_is_ok(args[{position}], args[{position + 1}], {a.max}))\n"
                              "\t\t\treturn -EFAULT;")
                names += [f"arena->data + args[{position}]", f"args[{position + 1}]"]
                position += 2
            else:
                names.append(f"({a.kind})args[{position}]")
                position += 1
        lines = "\n".join(checks + [f"\t\treturn do_{row.name}({', '.join(names)});"])
        return f"\tcase {row.upper}:\n{lines}"

    return f"""{BANNER}#include "edge/hostcall_dispatch.h"

#include "abi/errno.h"
#include "edge/hostcall_gen.h"

static bool buffer_is_ok(u64 offset, u64 size, u64 max)
{{
	return size <= max && offset <= ARENA_DATA_SIZE && size <= ARENA_DATA_SIZE - offset;
}}

static s64 call_row(struct inner_thread *thread, struct thread_arena *arena, u64 number,
		    const u64 args[HOST_CALL_ARGS])
{{
	switch (number) {{
""" + "\n".join(case(r) for r in rows) + """
	default:
		return -ENOSYS;
	}
}

void hostcall_dispatch(struct inner_thread *thread, struct thread_arena *arena)
{
	u64 args[HOST_CALL_ARGS];

	for (size_t i = 0; i < HOST_CALL_ARGS; i++)
		args[i] = arena->call.args[i];
	arena->call.result = call_row(thread, arena, arena->call.number, args);
}
"""


def make_hostile(rows):
    def call(row):
        lines, names, after = [], [], []
        for index, a in enumerate(row.args):
            if not a.is_buffer:
                names.append(f"({a.kind})hostile_word(h)")
                continue
            lines.append(f"\tsize_t size{index} = hostile_size(h, {a.max});")
            lines.append(f"\tu8 *buffer{index} = hostile_buffer(h, size{index});")
            names += [f"buffer{index}", f"size{index}"]
            used = "0"
            if a.from_host:
                used = f"result < 0 ? 0 : size{index}"
                if a.name == row.count_of:
                    used = "result < 0 ? 0 : (size_t)result"
            intact = "true" if a.to_host else "false"
            after.append(f"\thostile_buffer_check(h, buffer{index}, size{index}, {used}, {intact});")
        limit = {"zero": "0", "u64": "INT64_MAX", "max": str(row.limit), "count": "-1"}[row.result]
        if row.count_of:
            index = next(i for i, a in enumerate(row.args) if a.name == row.count_of)
            limit = f"(s64)size{index}"
        errnos = ", ".join(row.errnos + ["EPROTO", "EINVAL"])
        lines.append(f"\tstatic const u8 allowed[] = {{{errnos}}};")
        lines.append(f"\ts64 result = host_{row.name}({', '.join(names)});")
        lines.append(f'\thostile_result_check(h, "{row.name}", result, {limit}, allowed, sizeof(allowed));')
        return (f"static void call_{row.name}(struct hostile_host *h)\n{{\n" + "\n".join(lines + after)
                + "\n}\n")

    def bounds(row):
        position, pairs = 0, []
        for a in row.args:
            if a.is_buffer:
                pairs.append(f"{{{position}, {a.max}}}")
            position += 2 if a.is_buffer else 1
        return (f'\t{{{row.upper}, "{row.name}", call_{row.name}, {len(pairs)}, '
                f"{{{', '.join(pairs) or '{0, 0}'}}}}},")

    return f"""{BANNER}#include "tests/fakes/hostile_host.h"

#include "abi/errno.h"
#include "edge/hostcall_gen.h"

""" + by_mode(rows, call) + """
const struct hostile_row hostile_rows[] = {
""" + by_mode(rows, bounds) + """
};
const size_t hostile_row_count = ARRAY_SIZE(hostile_rows);
"""


def main():
    makers = {"header": make_header, "stubs": make_stubs, "dispatch_header": make_dispatch_header,
              "dispatch": make_dispatch, "hostile": make_hostile}
    if len(sys.argv) != 3 or sys.argv[2] not in makers:
        sys.exit(__doc__)
    sys.stdout.write(makers[sys.argv[2]](read_table(sys.argv[1])))


main()
