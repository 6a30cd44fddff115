#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files inside against the same program on the host's file system, and against the AEAD loop.

    bench/files.py [--build BUILD] [--rounds N] [--dir FOLDER]

FOLDER (default: the temporary one) lies on the file system that is compared with and holds the instance. Rounds of
native and inside alternate; each figure is the median of the rounds.
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# Name, text, goal of ours to native, True when less is better; None: measured against the AEAD rate below.
ROWS = (
    ("sequential_read", "sequential read 64 KiB, cached", 0.8, False),
    ("sequential_read_first", "the same, first touch", None, False),
    ("sequential_write", "sequential write 64 KiB", 0.3, False),
    ("random_read_4k", "random read 4 KiB, cached", 1.5, True),
    ("random_read_4k_first_cpu", "the same, first touch, CPU", None, True),
    ("random_write_4k", "random write 4 KiB", 1.2, True),
    ("write_4k_fsync", "write 4 KiB, fsync", 1.3, True),
    ("create_1k_unlink", "create, write 1 KiB, unlink", 1.2, True),
    ("open_read_close", "open, read 4 KiB, close", 0.8, True),
)
# Of the AEAD rate: first touch, write. Microseconds: random read, first touch.
OF_AEAD = {"sequential_read_first": 0.5, "sequential_write": 0.7}
FIRST_READ_US = 6


def parse(text):
    return {n: (float(v), u) for n, v, u in re.findall(r"^(\w+) ([\d.]+) (\S+)$", text, re.M)}


def missed(good):
    return "" if good else "   MISSED"


def measure(command, cwd, into):
    for step in ("write", "read"):
        out = subprocess.run([*command(step)], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout
        for name, value in parse(out).items():
            into.setdefault(name, []).append(value)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir")
    args = parser.parse_args()
    occlum = os.path.abspath(os.path.join(args.build, "host/occlum/occlum"))
    core = subprocess.run([os.path.join(args.build, "bench/bench-secvol"), "core"], check=True, capture_output=True,
                          text=True).stdout
    aead = float(re.search(r"^aead_4k_raw ([\d.]+) ", core, re.M)[1])
    work = tempfile.mkdtemp(prefix="occlum-bench-", dir=args.dir)
    try:
        instance = os.path.join(work, "instance")
        subprocess.run([occlum, "new", instance], check=True, stdout=subprocess.DEVNULL)
        program = f"{instance}/image/bin/files"
        subprocess.run(["gcc", "-O2", os.path.join(HERE, "files.c"), "-o", program], check=True)
        path = instance + "/Occlum.json"
        text = re.sub(r'("user_space_size"\s*:\s*)"[^"]*"', r'\1"256MB"', open(path).read())
        text = re.sub(r'("kernel_space_heap_size"\s*:\s*)"[^"]*"', r'\1"192MB"', text)
        open(path, "w").write(text)
        subprocess.run([occlum, "build", "--sgx-mode", "SIM"], cwd=instance, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        shutil.copy(program, work + "/files")
        os.mkdir(work + "/native")
        native, ours = {}, {}
        for _ in range(args.rounds):
            measure(lambda step: [work + "/files", step, work + "/native"], work, native)
            measure(lambda step: [occlum, "run", "/bin/files", step, "/root"], instance, ours)
        print(f"{'':32}{'native':>10}{'ours':>10}{'ratio':>8}  goal   (AEAD loop {aead:.0f} MB/s)")
        for name, text, goal, less in ROWS:
            n, o = (statistics.median(v for v, _ in x[name]) for x in (native, ours))
            unit, notes, good = ours[name][0][1], [], True
            if goal:
                notes.append(f"{'<=' if less else '>='} {goal}")
                good = o / n <= goal if less else o / n >= goal
            if name in OF_AEAD:
                notes.append(f">= {OF_AEAD[name]} of AEAD ({o / aead:.2f})")
                good = good and o / aead >= OF_AEAD[name]
            if name == "random_read_4k_first_cpu":
                notes.append(f"<= {FIRST_READ_US} us")
                good = o <= FIRST_READ_US
            print(f"{text:32}{n:10.1f}{o:10.1f}{o / n:8.2f}  {', '.join(notes)}, {unit}{missed(good)}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
