#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every #include against scripts/layers.conf. One line per violation; status 1 if any."""
import re
import subprocess
import sys

FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "stdarg.h", "limits.h", "stdalign.h"}
FREE_FOLDERS = ("tests/", "fuzz/", "bench/", "demos/")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def read_rules(path):
    rules = {}
    for line in open(path):
        line = line.split("#")[0].strip()
        if line:
            folder, allowed = line.split(":", 1)
            rules[folder.strip()] = allowed.split()
    return rules


def rule_of(path, rules):
    folders = [f for f in rules if path.startswith(f + "/")]
    return max(folders, key=len) if folders else None


def hosted_lines(path):
    """Yields (number, line) outside blocks that only host builds see."""
    depth, skip = 0, None
    for number, line in enumerate(open(path, errors="replace"), 1):
        stripped = line.strip()
        if re.match(r"#\s*if", stripped):
            depth += 1
            if skip is None and "ifndef OCCLUM_FREESTANDING" in stripped:
                skip = depth
        elif re.match(r"#\s*(else|elif)", stripped) and skip == depth:
            skip = None
        elif re.match(r"#\s*endif", stripped):
            if skip == depth:
                skip = None
            depth -= 1
        if skip is None:
            yield number, line


def main():
    rules = read_rules("scripts/layers.conf")
    files = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.S"], capture_output=True, text=True,
                           check=True).stdout.split()
    bad = 0
    for path in files:
        if path.startswith(FREE_FOLDERS) or path.endswith("_test.c"):
            continue
        folder = rule_of(path, rules)
        if folder is None:
            print(f"{path}: no rule in scripts/layers.conf")
            bad += 1
            continue
        allowed = rules[folder]
        for number, line in hosted_lines(path):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, name = match.groups()
            if kind == "<":
                ok = "+libc" in allowed or name in FREESTANDING
            else:
                ok = any(name.startswith(a + "/") for a in allowed + [folder])
            if not ok:
                print(f"{path}:{number}: {folder} may not include {name}")
                bad += 1
    return 1 if bad else 0


sys.exit(main())
