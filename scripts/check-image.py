#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gate on a linked kernel image:  check-image.py IMAGE ARCHIVE --sim|--hw

  - no undefined symbol, no dynamic symbol, no interpreter, no needed library
  - only R_X86_64_RELATIVE relocations, all of them in pages that are writable at load
  - no segment that is writable and executable, no executable stack, every segment on its own pages
  - sections .occlum.measured (one page, loaded, read-only) and .occlum.sigstruct (1808 bytes, not loaded)
  - no syscall, sysenter or int 0x80 instruction; cpuid and rdtsc only in functions of kernel/arch
    (members arch_* of ARCHIVE); in the hardware image no cpuid at all
  - enclu in the simulation image nowhere; in the hardware image only in the functions that stand for a leaf
    and in the ways out (ENCLU_FUNCTIONS)
  - the hardware image has none of the wrappers of host calls that are the simulation's: keys, reports and text
    from the host (rows SIM of edge/hostcall.tbl), and the other way round (rows HW)
"""
import os
import re
import subprocess
import sys

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../edge/hostcall.tbl")

# Where the hardware image may execute ENCLU: leaves of kernel/arch/enclu.S, EEXIT in kernel/arch/entry.S.
ENCLU_FUNCTIONS = {
    "enclu_leaf",
    "ecall_return", "arch_abort", "host_leave", "enclave_entry",
}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def arch_functions(archive):
    names, member = set(), ""
    for line in run("nm", "--defined-only", archive).splitlines():
        if line.endswith(".o:"):
            member = line.split("/")[-1]
        elif len(line.split()) == 3 and member.startswith("arch_"):
            names.add(line.split()[2])
    return names


def check_segments(image):
    text = run("readelf", "-lW", image)
    for line in text.splitlines():
        m = re.match(r"\s+(LOAD|GNU_STACK|INTERP|TLS)\s+0x\w+\s+0x(\w+)\s+0x\w+\s+0x\w+\s+0x(\w+)\s+([RWE ]{3})", line)
        if not m:
            continue
        kind, address, size, flags = m[1], int(m[2], 16), int(m[3], 16), m[4]
        if kind in ("INTERP", "TLS"):
            yield f"has a {kind} segment"
        if "W" in flags and "E" in flags:
            yield f"{kind} at {address:#x} is writable and executable"
        if kind == "GNU_STACK" and "E" in flags:
            yield "wants an executable stack"
        if kind == "LOAD" and address % 4096:
            yield f"segment at {address:#x} shares a page"
    writable = [(int(m[1], 16), int(m[1], 16) + int(m[2], 16)) for m in re.finditer(
        r"LOAD\s+0x\w+\s+0x(\w+)\s+0x\w+\s+0x\w+\s+0x(\w+)\s+RW ", text)]
    for line in run("readelf", "-rW", image).splitlines():
        m = re.match(r"([0-9a-f]{16})\s+\w+\s+(R_X86_64_\w+)", line)
        if not m:
            continue
        if m[2] not in ("R_X86_64_RELATIVE", "R_X86_64_NONE"):
            yield f"relocation {m[2]} at {m[1]}"
        elif m[2] != "R_X86_64_NONE" and not any(a <= int(m[1], 16) < b for a, b in writable):
            yield f"relocation of a page that is not writable at {m[1]}"


def check_sections(image):
    sections = {m[1]: (int(m[2], 16), m[3]) for m in re.finditer(
        r"\]\s+(\S+)\s+\w+\s+\w{16}\s+\w+\s+(\w+)\s+\w+\s+([WAXMSILOGTCxopDl]*)\s", run("readelf", "-SW", image))}
    if sections.get(".occlum.measured") != (4096, "A"):
        yield f".occlum.measured is {sections.get('.occlum.measured')}"
    if sections.get(".occlum.sigstruct", (0, "A"))[0] != 1808 or "A" in sections[".occlum.sigstruct"][1]:
        yield f".occlum.sigstruct is {sections.get('.occlum.sigstruct')}"
    if sections.get(".plt", (0, ""))[0]:
        yield "has a procedure linkage table"


def check_symbols(image):
    for line in run("nm", "-u", image).splitlines():
        if line.split()[-1] != "_GLOBAL_OFFSET_TABLE_":
            yield f"undefined symbol {line.split()[-1]}"
    for line in run("readelf", "-dW", image).splitlines():
        if "(NEEDED)" in line or "(TEXTREL)" in line or "(INIT" in line:
            yield line.strip()


def rows_of_mode(mode):
    with open(TABLE, encoding="ascii") as table:
        for line in table:
            columns = line.split("#")[0].rsplit("|", 1)
            if len(columns) == 2 and mode in columns[1].split():
                yield line.split()[1]


def check_mode(image, is_hw):
    symbols = {line.split()[-1] for line in run("nm", "--defined-only", image).splitlines()}
    foreign = [f"host_{name}" for name in rows_of_mode("SIM" if is_hw else "HW")]
    if not foreign:
        yield "edge/hostcall.tbl has no rows of one mode: this gate reads it wrongly"
    for name in foreign:
        if name in symbols:
            yield f"has {name}(), a host call of the other kind of image"


def check_instructions(image, archive, is_hw):
    allowed = arch_functions(archive)
    function = "?"
    for line in run("objdump", "-dw", "--no-show-raw-insn", image).splitlines():
        m = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if m:
            function = m[1]
            continue
        m = re.match(r"^\s+[0-9a-f]+:\s+(?:(?:rep|repz|lock|rex\S*|cs|ds)\s+)*(\w+)\s*(\S*)", line)
        if not m:
            continue
        name, operand = m[1], m[2]
        if name == "enclu" and (not is_hw or function not in ENCLU_FUNCTIONS):
            yield f"enclu in {function}"
        if name in ("syscall", "sysenter") or name == "int" and operand == "$0x80":
            yield f"{name} in {function}"
        if name in ("cpuid", "rdtsc", "rdtscp") and (function not in allowed or is_hw and name == "cpuid"):
            yield f"{name} in {function}"


def main():
    if len(sys.argv) != 4 or sys.argv[3] not in ("--sim", "--hw"):
        sys.exit(__doc__)
    image, archive, is_hw = sys.argv[1], sys.argv[2], sys.argv[3] == "--hw"
    problems = [*check_symbols(image), *check_segments(image), *check_sections(image),
                *check_mode(image, is_hw), *check_instructions(image, archive, is_hw)]
    for problem in problems:
        print(f"{image}: {problem}", file=sys.stderr)
    sys.exit(bool(problems))


main()
