#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the system call tests: natively first, then the same binaries inside the enclave.

    run.py [--build BUILD] [--libc glibc|musl|both] [--times N] [--long] [--fuzz SECONDS] [name ...]

Every tests/syscalls/NAME.c is one program that exits 0 when all its checks hold, and 77 to be
skipped. Two run at a time, each in an instance of its own. --long: with 10000 children instead of
1000. `fuzz_args` is no test: --fuzz runs it with random seeds for so long. Ends with
"N passed, N failed, N skipped". A name that is no test, as timerfd, stands for the tests that have
functions of that name: timerfds, timerfd_clocks.
"""
import argparse
import concurrent.futures
import copy
import glob
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from harness import (Instance, Report, Skip, compile_c, describe, expect, put_program, scratch, sh,
                     side_by_side)

COMPILERS = {"glibc": ("gcc", ["-pthread"]), "musl": ("musl-gcc", ["-pthread"])}
NOT_TESTS = {"fuzz_args"}
AT_ONCE = 2
EXTRA_FLAGS = {"fixed_addresses": ["-static", "-no-pie"]}
LONG_FLAGS = {"many_children": ["-DROUNDS=10000"]}


def names():
    found = [os.path.basename(p)[:-2] for p in glob.glob(HERE + "/*.c")]
    return sorted(set(found) - NOT_TESTS)


def tests_of(name):
    """The test, or those with functions whose names begin so."""
    if name in names():
        return [name]
    if not re.fullmatch(r"\w+", name):
        return []
    function = re.compile(rf"^static void {name}\w*\(", re.MULTILINE)
    return [n for n in names() if function.search(open(f"{HERE}/{n}.c").read())]


def compile_all(folder, libcs, chosen, is_long):
    """{(name, libc): path}; compiles in parallel."""
    jobs = {}
    extra = {**EXTRA_FLAGS, **(LONG_FLAGS if is_long else {})}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for libc in libcs:
            compiler, flags = COMPILERS[libc]
            for name in chosen:
                target = f"{folder}/{name}-{libc}"
                jobs[name, libc] = pool.submit(compile_c, f"{HERE}/{name}.c", target,
                                               "-D_GNU_SOURCE", "-w", *flags,
                                               *extra.get(name, []), compiler=compiler)
        return {key: job.result() for key, job in jobs.items()}


def native(path, timeout):
    """Its files go where they are removed again, on the file systems of /tmp and of root's home."""
    with_dir = scratch("occlum-native-")
    home = tempfile.mkdtemp(prefix="occlum-native-", dir="/root") \
        if os.access("/root", os.W_OK) else with_dir
    try:
        return subprocess.run([path], cwd=with_dir, capture_output=True, timeout=timeout,
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, "CHECK_TMP": with_dir, "CHECK_ROOT": home})
    finally:
        shutil.rmtree(with_dir, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def twin(instance, number):
    """The same instance again: two runs of one are refused."""
    other = copy.copy(instance)
    other.dir = f"{instance.dir}-{number}"
    sh("cp", "-a", "--reflink=auto", instance.dir, other.dir)
    return other


def run_case(instance, name, libc, path, timeout):
    try:
        before = native(path, timeout)
        inside = instance.run(f"/bin/{name}-{libc}", timeout=timeout)
    except subprocess.TimeoutExpired as e:
        raise AssertionError(f"no end after {e.timeout} s: {e.cmd[0]}") from None
    if before.returncode == 77 or inside.returncode == 77:
        raise Skip((before.stdout + inside.stdout)[-200:].decode())
    for side, done in (("natively", before), ("inside", inside)):
        expect(done.returncode == 0, f"{side}: {describe(done)}")


def worker(instance, cases, position, timeout):
    """Takes the case that `position` says, which all workers share."""
    def job(report):
        while True:
            with position.get_lock():
                mine, position.value = position.value, position.value + 1
            if mine >= len(cases):
                return
            (name, libc), path = cases[mine]
            with report.case(f"{name} ({libc})"):
                run_case(instance, name, libc, path, timeout)
    return job


def fuzz(instance, seconds):
    """Random arguments to every call; the instance must not die of it."""
    end, runs = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        seed = random.getrandbits(32)
        slice_s = max(1, min(10, int(end - time.monotonic())))
        done = instance.run("/bin/fuzz_args", str(seed), str(slice_s), timeout=slice_s + 120)
        runs += 1
        # 0: went through; 128+n: the program killed itself by one of its own calls
        if done.returncode != 0 and not 128 < done.returncode < 193:
            print(f"FAILED  fuzz seed {seed}: status {done.returncode}\n{done.stderr[-2000:].decode()}")
            return False
    check = instance.run("/bin/busybox", "true")
    print(f"fuzz: {runs} runs in {seconds} s, the instance starts again: {check.returncode == 0}")
    return check.returncode == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--libc", choices=["glibc", "musl", "both"], default="both")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    unknown = [n for n in args.names if not tests_of(n)]
    if unknown:
        sys.exit(f"run.py: unknown: {' '.join(unknown)}; there are: {' '.join(names())}")
    chosen = sorted({t for n in args.names for t in tests_of(n)}) or names()
    libcs = ["glibc", "musl"] if args.libc == "both" else [args.libc]
    if "musl" in libcs and not shutil.which("musl-gcc"):
        libcs.remove("musl")
    work = scratch()
    timeout = 600 if args.long else 120
    report = Report()
    try:
        binaries = compile_all(work, libcs, [] if args.fuzz else chosen, args.long)
        instance = Instance(args.build, work + "/instance")
        for (name, libc), path in binaries.items():
            put_program(instance.image, f"/bin/{name}-{libc}", path)
        put_program(instance.image, "/bin/busybox", "/bin/busybox")
        if args.fuzz:
            compile_c(f"{HERE}/fuzz_args.c", f"{work}/fuzz_args", "-D_GNU_SOURCE", "-w", "-static-pie")
            put_program(instance.image, "/bin/fuzz_args", f"{work}/fuzz_args")
        instance.configure(user_space_size="1GB", kernel_space_heap_size="128MB",
                           max_num_of_threads=64)
        instance.build()
        if args.fuzz:
            sys.exit(0 if fuzz(instance, args.fuzz) else 1)
        cases, position = list(binaries.items()) * args.times, multiprocessing.Value("i", 0)
        instances = [instance] + [twin(instance, i) for i in range(1, AT_ONCE)]
        side_by_side(report, [worker(i, cases, position, timeout) for i in instances], AT_ONCE)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
