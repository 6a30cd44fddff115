#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that embed the library: in a process without standard streams no file passes for one."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Instance, Report, compile_c, expect, put_program, scratch


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    report = Report()
    work = scratch()
    try:
        here = os.path.dirname(os.path.abspath(__file__))
        pal = build + "/host/pal"
        embed = compile_c(here + "/embed.c", work + "/embed", "-L" + pal, "-Wl,-rpath," + pal,
                          "-Wl,--no-as-needed", "-locclum-pal")
        instance = Instance(build, work + "/instance")
        put_program(instance.image, "/bin/busybox", "/bin/busybox")
        instance.build()
        with open(instance.dir + "/shown", "w") as f:
            f.write("shown\n")
        for when in ("before", "after"):
            with report.case(f"standard streams closed {when} the enclave starts"):
                done = subprocess.run([embed, work + "/result", when], cwd=instance.dir,
                                      stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
                seen = open(work + "/result").read().split()
                expect(done.returncode == 0, f"status {done.returncode}: {done.stderr!r}")
                expect(seen == ["0", "1", "1", "1", "0"], f"programs ended with {seen}")
                expect(open(instance.dir + "/copied").read() == "shown\n", "not copied")
                os.unlink(instance.dir + "/copied")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
