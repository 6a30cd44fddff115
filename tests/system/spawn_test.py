#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting programs leaves nothing behind: memory, processes and descriptors are where they were.

    spawn_test.py [BUILD] [--count N]
"""
import argparse
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from harness import TOP, Instance, Report, compile_c, describe, expect, put_program, scratch

# The table of process numbers fills its chunks once: 32768 slots of 24 bytes.
HEAP_GROWTH_KIB = 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--count", type=int, default=10000)
    args = parser.parse_args()
    work = scratch()
    report = Report()
    try:
        instance = Instance(args.build, work + "/instance")
        source = TOP + "/tests/programs/src"
        compile_c(f"{source}/spawner.c", f"{work}/spawner", "-w")
        put_program(instance.image, "/bin/spawner", f"{work}/spawner")
        programs = {"glibc": ("gcc", [])}
        if shutil.which("musl-gcc"):
            programs["musl"] = ("musl-gcc", ["-static-pie"])
        for libc, (compiler, flags) in programs.items():
            compile_c(f"{TOP}/bench/nothing.c", f"{work}/nothing-{libc}", *flags, compiler=compiler)
            put_program(instance.image, f"/bin/nothing-{libc}", f"{work}/nothing-{libc}")
        instance.configure(user_space_size="1GB", kernel_space_heap_size="128MB",
                           max_num_of_threads=64)
        instance.build()
        for libc in programs:
            count = args.count if libc == "musl" else args.count // 10
            with report.case(f"{count} spawns of a {libc} program leave nothing behind"):
                done = instance.run("/bin/spawner", str(count), f"/bin/nothing-{libc}", timeout=600)
                expect(done.returncode == 0, describe(done))
                heap = re.search(rb"kernel heap (\d+) (\d+)", done.stderr)
                expect(heap, "no line told the kernel's heap: " + describe(done))
                grown = int(heap[2]) - int(heap[1])
                expect(grown <= HEAP_GROWTH_KIB, f"the kernel's heap grew by {grown} KiB")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
