#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Debian's programs natively and inside the enclave and compares.

    run.py --build BUILD [--long] [--emu] [--times N] [--libc musl|glibc] [--keep DIR] [name ...]

--emu: the hardware image, on the emulated machine of tests/emu. Ends with "N passed, N failed, N
skipped". Prints for each program the share of system calls that trapped (were not served by a
patched site); one that reaches 1 % is a failure. rt_sigreturn counts apart: its call sites are
never patched, because unwinders know them by their bytes (CAVEATS.md).
"""
import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import TIMEOUT, host_path, libraries, put, put_program, sh
from programs import (FROM_HOST, MAKEFILE, MODULES_PY, PYTHONS_PY, ROWS_SQL, SOCKETS_PY,
                      SUBPROCESSES_PY)
from programs import PROGRAMS as SMALL_PROGRAMS
from rooms import Room
from session import SESSION, session_room
from workshop import WORKSHOP, runtimes_room, workshop_room

PROGRAMS = SMALL_PROGRAMS + SESSION + WORKSHOP

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "src")

def put_python(image):
    stdlib = "/usr/lib/python3.11"
    shutil.copytree(stdlib, image + stdlib, symlinks=False, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__", "test", "idlelib", "lib2to3",
                                                  "ensurepip", "config-*", "dist-packages"),
                    ignore_dangling_symlinks=True)
    for name in os.listdir(stdlib + "/lib-dynload"):
        for lib, real in libraries(f"{stdlib}/lib-dynload/{name}"):
            put(image, lib, real)


def compile_programs(folder):
    """The small programs of src/, for each libc and kind of linking."""
    cc = lambda *args: sh(*args, cwd=SOURCE)
    out = {}

    def add(name, *command):
        out[name] = os.path.join(folder, name)
        cc(*command, "-o", out[name])

    add("hello", "gcc", "-O2", "hello.c")
    add("hello_static", "gcc", "-O2", "-static", "hello.c")
    add("hello_static_pie", "gcc", "-O2", "-static-pie", "hello.c")
    add("hello_nopie", "gcc", "-O2", "-no-pie", "hello.c")
    add("hello_cc", "g++", "-O2", "-std=c++17", "hello.cc", "-pthread")
    add("threads", "gcc", "-O2", "threads.c", "-pthread")
    if shutil.which("musl-gcc"):
        add("hello_musl", "musl-gcc", "-O2", "hello.c")
        add("hello_musl_static", "musl-gcc", "-O2", "-static", "hello.c")
    if shutil.which("go"):
        env = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=mod", GO111MODULE="off",
                   GOCACHE=os.path.join(folder, "gocache"), HOME=folder)
        for name in ("gohello", "goexec"):
            out[name] = os.path.join(folder, name)
            sh("go", "build", "-trimpath", "-o", out[name], "main.go",
               cwd=os.path.join(SOURCE, name), env=env)
    return out


def make_data(image, long_run):
    data = image + "/data"
    os.makedirs(data + "/tree/a/b")
    with open(data + "/text", "w") as f:
        for i in range(200):
            f.write(f"line {i * 37 % 101} of the text\n")
    blob, state = bytearray(), b"seed"
    while len(blob) < 8 << 20:  # half noise, half repetition: compressors have work to do
        state = hashlib.sha256(state).digest()
        blob += state + b"occlum" * 5 + b"\n\n"
    with open(data + "/blob", "wb") as f:
        f.write(blob)
    if long_run:
        with open(data + "/large", "wb") as f:
            for _ in range(25):
                f.write(blob)
    with open(data + "/tree/a/b/deep", "w") as f:
        f.write("deep\n")
    open(data + "/tree/empty", "w").close()
    os.symlink("text", data + "/link")
    with open(data + "/modules.py", "w") as f:
        f.write(MODULES_PY)
    for name, text in (("rows.sql", ROWS_SQL), ("subprocesses.py", SUBPROCESSES_PY),
                       ("sockets.py", SOCKETS_PY), ("pythons.py", PYTHONS_PY),
                       ("Makefile", MAKEFILE)):
        with open(f"{data}/{name}", "w") as f:
            f.write(text)
    thousand = sh("python3", os.path.join(SOURCE, "thousand.py"), capture_output=True).stdout
    with open(data + "/thousand.py", "wb") as f:
        f.write(thousand)
    sh("gzip", "-k", "-n", data + "/blob")
    sh("xz", "-k", "-1", "-T1", data + "/blob")
    sh("zstd", "-q", "-k", data + "/blob")


def settle(image):
    """Times and owners as the image builder writes them, so that listings are equal."""
    for folder, dirs, files in os.walk(image):
        for name in dirs + files:
            os.utime(os.path.join(folder, name), (0, 0), follow_symlinks=False)


class Machine(Room):
    """One instance with all programs that need no more than their libraries."""

    def __init__(self, build, folder, emu, long_run):
        programs = folder + ".programs"
        os.makedirs(programs)
        super().__init__(build, folder, emu)
        for name, path in compile_programs(programs).items():
            put_program(self.image, "/bin/" + name, path)
        for name in FROM_HOST:
            path = host_path(name)
            if path:
                put_program(self.image, "/bin/" + name, path)
        put_python(self.image)
        make_data(self.image, long_run)
        settle(self.image)
        self.configure(user_space_size="2GB", kernel_space_heap_size="256MB",
                       default_heap_size="256MB", max_num_of_threads=64)
        self.finish()


# Made when the first row that lives there is run.
ROOMS = {
    "programs": Machine,
    "session": lambda build, folder, emu, long_run: session_room(build, folder, emu),
    "workshop": lambda build, folder, emu, long_run: workshop_room(build, folder, emu),
    "runtimes": lambda build, folder, emu, long_run: runtimes_room(build, folder, emu),
}


def brief(data):
    text = data[:600].decode("utf-8", "replace")
    return text if len(data) <= 600 else f"{text}... ({len(data)} bytes, crc {zlib.crc32(data):08x})"


COUNTS = re.compile(rb"(\d+) system calls, (\d+) trapped, (\d+) of them rt_sigreturn")
SHARE_MAX = 0.01


class Counts:
    """Of all processes that a program ran in, init included."""

    def __init__(self):
        self.calls = self.trapped = self.sigreturns = 0

    def add(self, log):
        for match in COUNTS.finditer(log):
            self.calls += int(match.group(1))
            self.trapped += int(match.group(2))
            self.sigreturns += int(match.group(3))

    def are_too_many(self):
        return self.trapped - self.sigreturns >= SHARE_MAX * max(self.calls, 1)

    def __str__(self):
        share = 100 * self.trapped / max(self.calls, 1)
        note = f", {self.sigreturns} rt_sigreturn" if self.sigreturns else ""
        return f"{share:.2f} % of {self.calls} calls trapped ({self.trapped}{note})"


def run_program(instance, program, counts):
    """Returns the error text or None."""
    if program.custom:
        return program.custom(instance)
    for step in program.steps:
        argv, stdin = step if isinstance(step, tuple) else (step, b"")
        if not instance.has(argv[0]):
            return "skipped: not installed: " + (program.package or argv[0])
        try:
            native = instance.run_native(argv, stdin)
            inside = instance.run_inside(argv, stdin)
        except subprocess.TimeoutExpired:
            return f"{' '.join(argv)}: no end after {TIMEOUT} s"
        counts.add(inside.stderr)
        what = " ".join(argv)
        if inside.returncode != native.returncode:
            return (f"{what}: status {inside.returncode}, native {native.returncode}\n"
                    f"stdout: {brief(inside.stdout)}\nstderr: {brief(inside.stderr)}\n"
                    f"native stderr: {brief(native.stderr)}")
        if "find" in argv:  # the order of a folder's entries is the file system's
            native.stdout = b"\n".join(sorted(native.stdout.split(b"\n")))
            inside.stdout = b"\n".join(sorted(inside.stdout.split(b"\n")))
        if program.check == "output" and inside.stdout != native.stdout:
            return (f"{what}: output differs\ninside: {brief(inside.stdout)}\n"
                    f"native: {brief(native.stdout)}\nstderr: {brief(inside.stderr)}")
    if native.returncode != program.expect:
        return f"status {native.returncode}, expected {program.expect}"
    if not counts.calls:
        return "no line said how many calls there were"
    if counts.are_too_many():
        return f"too many calls trapped: {counts}"
    return None


def inherit_no_ignored_signals():
    """What our caller ignores (nohup does SIGHUP) native programs would inherit, and a shell's trap show."""
    for signo in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(signo) == signal.SIG_IGN:
            signal.signal(signo, lambda *_: None)


def main():
    inherit_no_ignored_signals()
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--emu", action="store_true")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--keep", help="work in this folder and leave it")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    unknown = set(args.names) - {p.name for p in PROGRAMS}
    if unknown:
        sys.exit(f"run.py: unknown: {', '.join(unknown)}; there are: "
                 + " ".join(p.name for p in PROGRAMS))
    work = args.keep or tempfile.mkdtemp(prefix="occlum-programs-")
    passed = failed = skipped = 0
    try:
        rooms = {}
        chosen = [p for p in PROGRAMS if not args.names or p.name in args.names]
        for program in chosen * args.times:
            if program.slow and not args.long:
                continue
            if program.room not in rooms:
                rooms[program.room] = ROOMS[program.room](
                    args.build, os.path.join(work, program.room), args.emu, args.long)
            counts = Counts()
            error = run_program(rooms[program.room], program, counts)
            if error and error.startswith("skipped"):
                skipped += 1
                print(f"SKIPPED {program.name}: {error[9:]}", flush=True)
            elif error:
                failed += 1
                print(f"FAILED  {program.name}: {error}", flush=True)
            else:
                passed += 1
                print(f"ok      {program.name:20} {counts if counts.calls else ''}".rstrip(), flush=True)
    finally:
        if not args.keep:
            shutil.rmtree(work, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
