#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the system against native Linux in one run: native, ours, ratio, goal.

    bench/run.py [--build BUILD] [--rounds N]

Rounds of native and inside alternate; each figure is the median of the rounds.
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# name: (goal of ours/native, True when less is better)
GOALS = {
    "null_syscall": (0.25, True), "clock_gettime": (1.6, True), "read_zero_1": (0.35, True),
    "pread_4k": (1.2, True), "open_close": (0.5, True), "stat": (0.5, True),
    "mmap_64k": (0.2, True), "mmap_1m": (0.15, True), "thread_create_join": (2, True),
    "raise_handler": (1.2, True), "segv_caught": (1.5, True), "futex_round_trip": (1.3, True),
    "sequential_write": (0.3, False), "sequential_read": (0.5, False),
}


def run(*args, **kw):
    return subprocess.run(args, check=True, **kw)


def parse(text):
    return {n: (float(v), u) for n, v, u in re.findall(r"^(\w+) ([\d.]+) (\S+)$", text, re.M)}


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def make_instance(work, occlum):
    instance = os.path.join(work, "instance")
    run(occlum, "new", instance, stdout=subprocess.DEVNULL)
    for name, source, flags in (("micro", "micro.c", ["-pthread"]), ("hello", "hello.c", []),
                                ("idle", "idle.c", [])):
        run("gcc", "-O2", os.path.join(HERE, source), *flags, "-o", f"{instance}/image/bin/{name}")
        shutil.copy(f"{instance}/image/bin/{name}", f"{work}/{name}")
    path = instance + "/Occlum.json"
    text = re.sub(r'("user_space_size"\s*:\s*)"[^"]*"', r'\1"1GB"', open(path).read())
    open(path, "w").write(text)
    run(occlum, "build", "--sgx-mode", "SIM", cwd=instance, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    return instance


def hello_ms(command, cwd):
    begin = time.monotonic()
    run(*command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.monotonic() - begin) * 1e3


def idle_resident(occlum, instance):
    """Memory of an instance whose program sleeps, less what the same program takes natively."""
    process = subprocess.Popen([occlum, "run", "/bin/idle"], cwd=instance, stdout=subprocess.PIPE)
    process.stdout.readline()
    kib = resident_kib(process.pid)
    for child in open(f"/proc/{process.pid}/task/{process.pid}/children").read().split():
        kib = max(kib, resident_kib(child))
    process.kill()
    process.wait()
    return kib


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    occlum = os.path.abspath(os.path.join(args.build, "host/occlum/occlum"))
    work = tempfile.mkdtemp(prefix="occlum-bench-")
    try:
        instance = make_instance(work, occlum)
        native, ours = {}, {}
        hello = {"native": [], "ours": []}
        for _ in range(args.rounds):
            for into, command, cwd in ((native, [f"{work}/micro"], work),
                                       (ours, [occlum, "run", "/bin/micro"], instance)):
                out = run(*command, cwd=cwd, capture_output=True, text=True).stdout
                for name, (value, unit) in parse(out).items():
                    into.setdefault(name, []).append((value, unit))
            for _ in range(4):
                hello["native"].append(hello_ms([f"{work}/hello"], work))
                hello["ours"].append(hello_ms([occlum, "run", "/bin/hello"], instance))
        print(f"{'figure':22}{'native':>12}{'ours':>12}{'ratio':>8}  goal")
        for name, values in native.items():
            n = statistics.median(v for v, _ in values)
            if name not in ours:
                print(f"{name:22}{n:12.1f}{'-':>12}")
                continue
            o = statistics.median(v for v, _ in ours[name])
            goal, less = GOALS[name]
            met = (o / n <= goal) if less else (o / n >= goal)
            print(f"{name:22}{n:12.1f}{o:12.1f}{o / n:8.2f}  {'<=' if less else '>='} {goal}"
                  f" {values[0][1]}{'' if met else '   MISSED'}")
        n, o = (statistics.median(hello[k]) for k in ("native", "ours"))
        print(f"{'hello start to exit':22}{n:12.1f}{o:12.1f}{o / n:8.2f}  <= 60 ms (goal 25)"
              f"{'' if o <= 60 else '   MISSED'}")
        kib = idle_resident(occlum, instance)
        print(f"{'idle instance, RSS':22}{'':12}{kib / 1024:12.1f}{'':8}  <= 16 MiB of kernel")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


sys.exit(main())
