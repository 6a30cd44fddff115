#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processes and what they tell each other, against native Linux: native, ours, ratio, goal.

    bench/libos.py [--build BUILD] [--rounds N]

Rounds of native and inside alternate; each figure is the median of the rounds, each ratio the
median of the rounds' ratios. What the machine has no program for is left out and said so.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE) + "/tests/programs"]
from rooms import Room, merge_usr, put_package
from run import parse

TIMEOUT = 300

# Ratios of ours to native; True: less is better.
GOALS = {
    "null_syscall": (0.2, True), "read_zero_1": (0.35, True), "clock_gettime": (1.4, True),
    "pread_4k": (0.8, True), "open_close": (0.5, True), "stat": (0.5, True),
    "pipe_round_trip": (1.2, True), "pipe_throughput": (1.2, False),
    "futex_round_trip": (1.3, True), "eventfd_round_trip": (0.8, True),
    "epoll_wait_1_of_64": (0.6, True), "unix_round_trip": (0.8, True),
    "unix_throughput": (1.2, False), "spawn_glibc_static": (0.2, True), "spawn_glibc": (0.3, True),
    "spawn_musl": (0.7, True), "spawn_musl_static": (0.8, True), "spawn_14mb": (0.3, True),
    "fork_exit_wait": (1.5, True), "bash_subshell": (0.35, True),
    "thread_create_join": (2, True), "mmap_64k": (0.1, True), "mmap_1m": (0.15, True),
    "raise_handler": (1.2, True), "segv_caught": (1.5, True), "bash_200_commands": (0.5, True),
    "bash_20_pipelines": (0.8, True), "gcc_compile": (1.05, True),
}
# Bounds on ours, from native, in the unit of the row.
BOUNDS = {"start_hello": lambda native: 25, "start_python3": lambda native: 2 * native + 20,
          "signal_to_spinning_thread": lambda native: 1e7, "signal_to_spinning_child": lambda native: 1e7}

PACKAGES = ["bash", "coreutils", ("gcc-12", "^/usr/(bin/|lib/gcc)"), "cpp-12", "binutils",
            "binutils-x86-64-linux-gnu", "libbinutils", "libc6-dev", "linux-libc-dev",
            ("libgcc-12-dev", "/include/"),
            "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"]

SCRIPT = r"""
now() { echo $((${EPOCHREALTIME/./} - $1)); }
row() { echo "$1 $(($2 / $3)).0 us"; }
t=${EPOCHREALTIME/./}; for i in {1..100}; do (:); done; row bash_subshell $(now $t) 100
t=${EPOCHREALTIME/./}; for i in {1..200}; do /usr/bin/true; done; row bash_200_commands $(now $t) 1
t=${EPOCHREALTIME/./}
for i in {1..20}; do echo line $i | /usr/bin/cat | /usr/bin/tr a-z A-Z >/dev/null; done
row bash_20_pipelines $(now $t) 1
"""
COMPILE = r"""
[ -x /usr/bin/gcc-12 ] || exit 0
t=${EPOCHREALTIME/./}
/usr/bin/gcc-12 -O2 -c "$1" -o /tmp/occlum-bench.o || exit
echo "gcc_compile $((${EPOCHREALTIME/./} - t)).0 us"
"""


class BenchRoom(Room):
    """Our own programs in /bench, and of Debian what is named above."""

    def __init__(self, build, folder):
        super().__init__(build, folder)
        merge_usr(self.image)
        for package in PACKAGES:
            put_package(self.image, *([package] if isinstance(package, str) else package))
        self.programs = f"{self.image}/bench"
        os.makedirs(self.programs)
        self.compile()
        for name, text in (("script.sh", SCRIPT), ("compile.sh", COMPILE)):
            with open(f"{self.programs}/{name}", "w") as f:
                f.write(text)
        with open(f"{self.programs}/large.c", "w") as f:
            f.write(large_source())
        self.configure(user_space_size="2GB", kernel_space_heap_size="256MB",
                       default_heap_size="256MB", max_num_of_threads=64)
        path = self.dir + "/Occlum.json"
        text = open(path).read().replace('"/bin"', '"/bin", "/usr", "/bench"', 1)
        with open(path, "w") as f:
            f.write(text)
        self.build()

    def compile(self):
        for name, flags in (("micro", ["-pthread"]), ("ipc", []), ("hello", [])):
            cc("gcc", f"{HERE}/{name}.c", *flags, "-o", f"{self.programs}/{name}")
        for kind, compiler, flags in (("glibc", "gcc", []), ("glibc_static", "gcc", ["-static-pie"]),
                                      ("musl", "musl-gcc", []),
                                      ("musl_static", "musl-gcc", ["-static-pie"]),
                                      ("14mb", "gcc", ["-DLARGE"])):
            if shutil.which(compiler):
                cc(compiler, f"{HERE}/nothing.c", *flags, "-o", f"{self.programs}/nothing_{kind}")
        if os.path.exists("/lib/ld-musl-x86_64.so.1"):
            os.makedirs(f"{self.image}/usr/lib", exist_ok=True)
            shutil.copy(os.path.realpath("/lib/ld-musl-x86_64.so.1"),
                        f"{self.image}/usr/lib/ld-musl-x86_64.so.1")


def large_source():
    """What takes a compiler about a second, as most files of a project that is worth building do."""
    body = """
int f{n}(int *v, int count)
{{
	int best = {n};

	for (int i = 1; i < count; i++) {{
		int x = v[i] * {n} + v[i - 1];

		for (int j = i; j > 0 && v[j] < v[j - 1]; j--) {{
			x = v[j];
			v[j] = v[j - 1];
			v[j - 1] = x;
		}}
		switch (x & 7) {{
		case 0: best += x; break;
		case 1: best ^= x << 3; break;
		case 5: best = printf("%d %d", best, x); break;
		default: best = best > x ? best : x % (i + {n});
		}}
	}}
	return best;
}}
"""
    return "#include <stdio.h>\n" + "".join(body.format(n=n) for n in range(1, 101))


def cc(compiler, *args):
    subprocess.run([compiler, "-O2", "-w", *args], check=True)


def steps(programs):
    """(name, argv inside, argv natively): without a name, the output has the figures."""
    bash = ["/usr/bin/bash"]
    yield None, ["/bench/micro"], [f"{programs}/micro"]
    yield None, ["/bench/ipc"], [f"{programs}/ipc"]
    yield None, bash + ["/bench/script.sh"], bash + [f"{programs}/script.sh"]
    yield None, bash + ["/bench/compile.sh", "/bench/large.c"], \
        bash + [f"{programs}/compile.sh", f"{programs}/large.c"]
    yield "start_hello", ["/bench/hello"], [f"{programs}/hello"]
    yield "start_bash", bash + ["-c", ":"], bash + ["-c", ":"]
    if os.path.exists("/usr/bin/python3.11"):
        python = ["/usr/bin/python3.11", "-c", "pass"]
        yield "start_python3", python, python


def figures(command, name, cwd):
    begin = time.monotonic()
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        print(f"{command[-1]}: took more than {TIMEOUT} s", file=sys.stderr)
        return {}
    passed = (time.monotonic() - begin) * 1e3
    if done.returncode:
        print(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}", file=sys.stderr)
        return {}
    return {name: (passed, "ms")} if name else parse(done.stdout)


def show(name, pairs, unit):
    native, ours = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    ratio = statistics.median(o / n for n, o in pairs)
    text, ok = "", True
    if name in BOUNDS:
        bound = BOUNDS[name](native)
        text, ok = f"<= {bound:.0f} {unit}", ours <= bound
    elif name in GOALS:
        goal, less = GOALS[name]
        text, ok = f"{'<=' if less else '>='} {goal}", ratio <= goal if less else ratio >= goal
    print(f"{name:26}{native:12.1f}{ours:12.1f} {unit:5}{ratio:8.2f}  {text}"
          f"{'' if ok else '   MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    work = tempfile.mkdtemp(prefix="occlum-bench-")
    try:
        room = BenchRoom(os.path.abspath(args.build), f"{work}/instance")
        rows, units, ours_missing = {}, {}, set()
        for _ in range(args.rounds):
            for name, inside, native in steps(room.programs):
                n = figures(native, name, work)
                o = figures([f"{os.path.abspath(args.build)}/host/occlum/occlum", "run", *inside],
                            name, room.dir)
                for key, (value, unit) in n.items():
                    units[key] = unit
                    if key in o:
                        rows.setdefault(key, []).append((value, o[key][0]))
                    else:
                        ours_missing.add(key)
        print(f"{'figure':26}{'native':>12}{'ours':>12} {'':5}{'ratio':>8}  goal")
        for key, pairs in rows.items():
            show(key, pairs, units[key])
        for key in sorted(ours_missing - set(rows)):
            print(f"{key:26}{'':12}{'-':>12}   does not run inside")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
