#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header alone: `check-headers.py BUILD`. Freestanding folders without libc."""
import concurrent.futures
import os
import subprocess
import sys

FREESTANDING = ("abi/", "edge/", "lib/", "kernel/")


def check(path, build):
    include = subprocess.run(["gcc", "-print-file-name=include"], capture_output=True,
                             text=True).stdout.strip()
    args = ["gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused-parameter",
            "-Wno-unused-function", "-Wno-sign-compare", "-Wno-pragma-once-outside-header", "-I.", f"-I{build}",
            "-include", "lib/base/types.h", "-x", "c"]
    if path.startswith(FREESTANDING):
        args += ["-DOCCLUM_FREESTANDING", "-D_LIBC_LIMITS_H_", "-ffreestanding", "-nostdinc",
                 "-idirafter", include]
    else:
        args += ["-D_GNU_SOURCE"]
    done = subprocess.run(args + [path], capture_output=True, text=True)
    text = "\n".join(l for l in done.stderr.splitlines() if "pragma once in main file" not in l)
    return path, done.returncode, text


def main():
    build = sys.argv[1]
    headers = subprocess.run(["git", "ls-files", "*.h"], capture_output=True, text=True,
                             check=True).stdout.split()
    headers = [h for h in headers if not h.startswith(("tests/", "fuzz/", "bench/", "demos/"))]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, status, text in pool.map(lambda h: check(h, build), headers):
            if status:
                print(f"{path}: does not compile alone\n{text}")
                bad += 1
    return 1 if bad else 0


sys.exit(main())
