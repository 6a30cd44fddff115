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
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# Ratios of ours to native: name: (goal, True when less is better).
GOALS = {
    "null_syscall": (0.25, True), "clock_gettime": (1.6, True), "mmap_64k": (0.2, True),
    "pread_4k": (1.2, True),
}
# What the design aims at beyond those; shown, not demanded.
LATER = {
    "null_syscall": (0.2, True), "clock_gettime": (1.4, True), "mmap_64k": (0.1, True),
    "pread_4k": (0.8, True), "read_zero_1": (0.35, True), "open_close": (0.5, True),
    "stat": (0.5, True), "mmap_1m": (0.15, True), "thread_create_join": (2, True),
    "raise_handler": (1.2, True), "segv_caught": (1.5, True), "futex_round_trip": (1.3, True),
    "spawn_glibc_static": (0.2, True), "spawn_glibc": (0.3, True), "spawn_musl_static": (0.8, True),
    "spawn_musl": (0.7, True),
    "sequential_write": (0.3, False), "sequential_read": (0.5, False),
}
HELLO_MS, HELLO_LATER_MS = 60, 25
IDLE_MIB = 16
SECVOL_WRITE, SECVOL_READ, IMAGE_MB = 0.7, 0.75, 300

# Where an instance of up to 56 GiB lies: programs, then the kernel's zone, then the host's process.
KERNEL_ZONE = range(0xf00000000, 0x1000000000)


def run(*args, **kw):
    return subprocess.run(args, check=True, **kw)


def parse(text):
    return {n: (float(v), u) for n, v, u in re.findall(r"^(\w+) ([\d.]+) (\S+)$", text, re.M)}


def resident_kib(pid):
    """Resident KiB by owner: programs, kernel, host (PAL and its libraries: written pages), files."""
    kib = {"programs": 0, "kernel": 0, "host": 0, "files": 0}
    owner = ""
    for line in open(f"/proc/{pid}/smaps"):
        m = re.match(r"([0-9a-f]+)-[0-9a-f]+ \S+ \S+ \S+ (\d+)\s*(\S*)", line)
        if m:
            at, is_file = int(m[1], 16), m[2] != "0" and not m[3].startswith("/memfd:")
            owner = ("programs" if at < KERNEL_ZONE.start else "kernel" if at in KERNEL_ZONE else "host")
            continue
        name, value = line.split(":")
        if name == "Rss":
            rss = int(value.split()[0])
            kib["files" if owner == "host" and is_file else owner] += rss
        elif name == "Anonymous" and owner == "host" and is_file:  # written copies of file pages
            kib["files"] -= int(value.split()[0])
            kib["host"] += int(value.split()[0])
    return kib


def make_instance(work, occlum):
    instance = os.path.join(work, "instance")
    run(occlum, "new", instance, stdout=subprocess.DEVNULL)
    for name, source, flags in (("micro", "micro.c", ["-pthread"]), ("hello", "hello.c", []),
                                ("idle", "idle.c", [])):
        run("gcc", "-O2", os.path.join(HERE, source), *flags, "-o", f"{instance}/image/bin/{name}")
        shutil.copy(f"{instance}/image/bin/{name}", f"{work}/{name}")
    for kind, compiler, flags in (("glibc", "gcc", []), ("glibc_static", "gcc", ["-static-pie"]),
                                  ("musl", "musl-gcc", []), ("musl_static", "musl-gcc", ["-static-pie"])):
        if not shutil.which(compiler):
            continue
        program = f"{instance}/image/bin/nothing_{kind}"
        run(compiler, "-O2", os.path.join(HERE, "nothing.c"), *flags, "-o", program)
        shutil.copy(program, work)
        if kind == "musl":  # its loader, which is its libc as well
            loader = "/lib/ld-musl-x86_64.so.1"
            os.makedirs(instance + "/image/lib", exist_ok=True)
            shutil.copy(os.path.realpath(loader), instance + "/image" + loader)
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
    """Memory of an instance whose program sleeps."""
    process = subprocess.Popen([occlum, "run", "/bin/idle"], cwd=instance, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    kib = resident_kib(process.pid)
    for child in open(f"/proc/{process.pid}/task/{process.pid}/children").read().split():
        kib = max(kib, resident_kib(child), key=lambda k: k["kernel"])
    process.send_signal(signal.SIGTERM)
    process.wait()
    return kib


def tool(build, path):
    """The figures of one of the benchmarks that need no enclave."""
    out = run(os.path.join(build, path), capture_output=True, text=True).stdout
    return {m[1]: float(m[2]) for m in re.finditer(r"^(\w+) ([\d.]+) ", out, re.M)}


def verdict(value, goal, less=True):
    return "" if (value <= goal if less else value >= goal) else "   MISSED"


def sign(goal, less):
    return f"{'<=' if less else '>='} {goal}"


def show_ratio(name, n, o, unit):
    text = f"{name:22}{n:12.1f}{o:12.1f}{o / n:8.2f}  "
    if name in GOALS:
        text += f"{sign(*GOALS[name])} {unit}{verdict(o / n, *GOALS[name])}"
    else:
        text += unit
    if name in LATER:
        text += f"   (later goal {sign(*LATER[name])})"
    print(text)


def show_storage(build):
    v, i = tool(build, "bench/bench-secvol"), tool(build, "bench/bench-image")
    print(f"\n{'storage core':22}{'AEAD loop':>12}{'secvol':>12}{'ratio':>8}  goal, MB/s in memory")
    for name, goal in (("write", SECVOL_WRITE), ("read", SECVOL_READ)):
        rate, ratio = v[f"secvol_seq_{name}"], v[f"secvol_seq_{name}_ratio"]
        print(f"{'sequential ' + name:22}{v['aead_4k_raw']:12.0f}{rate:12.0f}{ratio:8.2f}"
              f"  >= {goal}{verdict(ratio, goal, False)}")
    print(f"{'random read 4 KiB':22}{'':12}{v['secvol_random_read_4k']:12.2f}{'':8}  us")
    print(f"{'write 4 KiB, commit':22}{'':12}{v['secvol_write_4k_commit']:12.1f}{'':8}  us")
    for text, key, goal, unit in (
            ("4 KiB fsync writes", "kib_per_4k_fsync", 12, "KiB"),
            ("same, 1 TiB / 1 GiB", "fsync_1tib_to_1gib", 1.05, ""),
            ("random write, written", "write_amplification_random", 1.5, "times"),
            ("sequential, written", "write_amplification_sequential", 1.02, "times"),
            ("mount, clean", "mount_clean", 10, "ms"),
            ("mount, full log", "mount_dirty", 150, "ms")):
        value = v[f"secvol_{key}"]
        print(f"{text:22}{'':12}{value:12.2f}{'':8}  <= {goal} {unit}{verdict(value, goal)}")
    print(f"{'image build':22}{'':12}{i['image_build']:12.0f}{'':8}  >= {IMAGE_MB} MB/s on 2 cores"
          f"{verdict(i['image_build'], IMAGE_MB, False)}")
    print(f"{'image build, CPU':22}{'':12}{i['image_build_per_cpu_second']:12.0f}{'':8}  MB in a CPU second")


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
            show_ratio(name, n, o, values[0][1])
        n, o = (statistics.median(hello[k]) for k in ("native", "ours"))
        print(f"{'hello start to exit':22}{n:12.1f}{o:12.1f}{o / n:8.2f}  <= {HELLO_MS} ms"
              f"{verdict(o, HELLO_MS)}   (later goal <= {HELLO_LATER_MS} ms)")
        kib = idle_resident(occlum, instance)
        mib = (kib["kernel"] + kib["host"]) / 1024
        print(f"{'idle kernel memory':22}{'':12}{mib:12.1f}{'':8}  <= {IDLE_MIB} MiB{verdict(mib, IDLE_MIB)}")
        print(f"  resident: kernel's zone {kib['kernel'] / 1024:.1f}, PAL and its libraries"
              f" {kib['host'] / 1024:.1f}; not counted: the program {kib['programs'] / 1024:.1f},"
              f" text and data shared with files {kib['files'] / 1024:.1f}")
        show_storage(args.build)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
