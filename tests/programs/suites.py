#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test suites of others, natively (chroot into a copy of the image) and inside; what differs is a failure.

    suites.py --build BUILD [--long] [bash|run-NAME ...] [cpython|test_NAME ...]

bash: $BASH_TESTS is the folder tests/ of bash's source, with support/ beside it. cpython: the tests of
Debian's libpython3.11-testsuite for the modules that are about processes, signals and memory, with --long
(or named) also those that take more than five minutes.
A suite that is not there is SKIPPED.
"""
import argparse
import difflib
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, Skip, compile_c, expect, scratch
from rooms import DebianRoom, installed

BASH = ["bash", "dash", "coreutils", "sed", "grep", "diffutils", "findutils", "procps", "hostname", "mawk",
        "util-linux", "ncurses-base", ("libc-bin", r"/C\.utf8|getconf")]
CPYTHON = ["bash", "dash", "coreutils", "sed", "grep", "procps", "hostname", ("libc-bin", r"/C\.utf8"),
           "python3.11-minimal", "python3.11", "libpython3.11-minimal", "libpython3.11-stdlib",
           "libpython3.11-testsuite", ("libgcc-s1", r"libgcc_s")]
CPYTHON_TESTS = """pty mmap select selectors poll epoll signal ctypes threading fork1 wait3 wait4 popen pipes fcntl
posix os thread sched queue subprocess""".split()  # docs/programs.md says which are left out, and why
CPYTHON_LONG = "multiprocessing_fork multiprocessing_forkserver multiprocessing_spawn asyncio".split()
LIMIT_S, LIMIT_LONG_S = 250, 2400  # of one file
LINE_SHOWN = 30


class BashRoom(DebianRoom):
    def fill(self):
        tests = os.environ["BASH_TESTS"]
        shutil.copytree(tests, self.image + "/bash-tests", symlinks=True)
        # Two of its reads race with a timeout of 100 microseconds; what they read is there.
        for name in os.listdir(self.image + "/bash-tests"):
            if re.fullmatch(r"read\d*\.sub", name):
                path = f"{self.image}/bash-tests/{name}"
                with open(path, "rb") as f:
                    text = f.read()
                with open(path, "wb") as f:
                    f.write(text.replace(b"-t .0001", b"-t 5").replace(b"-t 0.0001", b"-t 5"))
        for name in ("recho", "zecho", "printenv", "xcase"):
            source = f"{tests}/../support/{name}.c"
            compile_c(source, f"{self.image}/bash-tests/{name}", "-w", "-DHAVE_STRING_H", "-DHAVE_STDLIB_H",
                      "-DHAVE_UNISTD_H", "-I", tests + "/..", "-I", tests + "/../include", "-include", "stdlib.h")


def bash_room(build, folder):
    return BashRoom(build, folder, "session", BASH, [("mawk", "/usr/bin/awk"), ("bash", "/usr/bin/sh")],
                    user_space_size="2GB", kernel_space_heap_size="256MB", default_heap_size="256MB",
                    max_num_of_threads=128)


def cpython_room(build, folder):
    return DebianRoom(build, folder, "session", CPYTHON, user_space_size="4GB",
                      kernel_space_heap_size="512MB", default_heap_size="512MB", max_num_of_threads=256)


# Numbers of processes, names of scratch files, and times: what is different in every run.
VARIABLE = (rb"(?<=terminal process group \()\d+|bashtst-\d+|\b\d{3,6}\b(?= (?:Running|Done|Killed|Terminated|Stopped|Segmentation))|"
            rb"(?<=\[\d\] )\d+|\d+m\d+[.,]\d+s|/tmp/\S+")


def plain(output):
    return re.sub(VARIABLE, b"#", output).decode("utf-8", "replace").splitlines()


def run_bash(room, report, only):
    scripts = sorted(n for n in os.listdir(room.image + "/bash-tests") if n.startswith("run-"))
    for name in scripts:
        if only and name not in only or name in ("run-all", "run-minimal", "run-gprof"):
            continue
        with report.case(f"bash: {name}"):
            # run-read gives up after ten microseconds, which would race with the end of its input.
            endless = "mkfifo /tmp/never; exec <>/tmp/never; " if name == "run-read" else ""
            argv = ["/usr/bin/bash", "-c", endless + "cd /bash-tests; export PATH=.:$PATH THIS_SH=/bin/bash BUILD_DIR=/ "
                    f"TMPDIR=/tmp BASH_TSTOUT=/tmp/bashtst-1; exec timeout 120 sh {name} 2>&1"]
            native, inside = room.run_native(argv, b""), room.run_inside(argv, b"")
            difference = list(difflib.unified_diff(plain(native.stdout), plain(inside.stdout), "native", "inside",
                                                   lineterm="", n=1))
            expect(not difference and native.returncode == inside.returncode,
                   f"status {native.returncode}, {inside.returncode}\n" + "\n".join(difference[:LINE_SHOWN]))


def outcomes(done):
    """{case: result} of a verbose run."""
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return dict(re.findall(r"^(test\w+ \([\w.]+\)).*?\.\.\. .*?(ok|FAIL|ERROR|skipped|expected failure)(?=$| ')", text,
                           re.M | re.S))


def run_cpython(room, report, only, is_long):
    for name in CPYTHON_TESTS + CPYTHON_LONG:
        slow = name in CPYTHON_LONG
        if "test_" + name not in only if only else slow and not is_long:
            continue
        with report.case(f"cpython: test_{name}"):
            limit = LIMIT_LONG_S if slow else LIMIT_S
            argv = ["/usr/bin/python3.11", "-m", "test", "-v", "--timeout", str(limit), "test_" + name]
            native = outcomes(room.run_native(argv, b"", limit + LIMIT_S))
            inside = outcomes(room.run_inside(argv, b"", limit + LIMIT_S))
            differ = sorted(f"{case}: native {native[case]}, inside {inside.get(case, 'not run')}"
                            for case in native if native[case] == "ok" and inside.get(case) != "ok")
            expect(native and not differ, f"{len(inside)} cases of {len(native)}\n" + "\n".join(differ[:LINE_SHOWN]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", help="work in this folder and leave it")
    parser.add_argument("names", nargs="*", default=["bash", "cpython"], help="suites, or tests of a suite")
    args = parser.parse_args()
    work = args.keep or scratch("occlum-suites-")
    report = Report()
    try:
        only = [n for n in args.names if n.startswith("run-")]
        if "bash" in args.names or only:
            if os.environ.get("BASH_TESTS"):
                run_bash(bash_room(args.build, work + "/bash"), report, only)
            else:
                with report.case("bash"):
                    raise Skip("BASH_TESTS does not name the folder of bash's own tests")
        only = [n for n in args.names if n.startswith("test_")]
        if "cpython" in args.names or only:
            if installed("libpython3.11-testsuite"):
                run_cpython(cpython_room(args.build, work + "/cpython"), report, only, args.long)
            else:
                with report.case("cpython"):
                    raise Skip("libpython3.11-testsuite is not installed")
    finally:
        if not args.keep:
            shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
