#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hardware image on the emulated machine of this folder.

    run.py --build BUILD [--long] [--keep DIR] [name ...]

Programs give the same output as in the simulation, with everything poisoned that hardware leaves to
the host; a million asynchronous exits at arbitrary instructions change nothing; hosts that unmap,
replace, delay, lie and enter at the wrong time get no secret and make no program fault. What was sealed
under newer versions stays closed to older ones, releases are not launched for debugging, and two
enclaves attest to each other. At the end a table: how often what leaves the enclave. Ends with "N passed, N failed, N skipped".
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import (TOP, Instance, Report, Skip, compile_c, describe, expect, host_path,
                     put_program, sh, side_by_side)

HERE = os.path.dirname(os.path.abspath(__file__))
KERNEL_ZONE = 4 << 30
MARKER = 0x5EC2E75E
MILLION = 1_000_000
STDLIB = ("encodings codecs io abc site os stat posixpath genericpath _collections_abc _sitebuiltins "
          "__future__ ntpath linecache tokenize re enum types functools collections operator keyword "
          "reprlib copyreg sre_parse sre_compile sre_constants warnings contextlib json heapq random "
          "bisect hashlib math statistics").split()

ROWS = ("create table rows (n integer, t text);"
        "with recursive c(i) as (select 1 union all select i + 1 from c where i < 500) "
        "insert into rows select i, hex(i * i) from c; select count(*), sum(n), max(t) from rows;")

# Forks, pipes and programs found again by PATH: what a shell script does all day.
SHELL = ("i=0; while [ $i -lt 4 ]; do n=$( (echo b; echo a; /bin/busybox echo c) | /bin/busybox sort | "
         "/bin/busybox wc -l); (i=9; echo $i) & wait; i=$((i + 1)); done; echo $i $n")

PROGRAMS = [
    ["/bin/hello", "a", "b"],
    ["/bin/busybox", "ls", "-ln", "/data/blob"],
    ["/bin/busybox", "sha256sum", "/data/blob"],
    ["/bin/busybox", "awk", "BEGIN { for (i = 0; i < 1000; i++) s += i * i; print s }"],
    ["/bin/python3.11", "-S", "-c", "print(sum(range(10**5)), [x ** 2.5 for x in range(5)])"],
    ["/bin/sqlite3", "/root/test.db", ROWS],
    ["/bin/sqlite3", "/root/test.db", "pragma integrity_check; drop table rows;"],
    ["/bin/inside", "marked", "20"],
    ["/bin/inside", "faults", "5"],
    ["/bin/inside", "memory", "4"],
    ["/bin/inside", "work", "20000"],
    ["/bin/inside", "leaves"],
    ["/bin/forks", "2"],
    ["/bin/busybox", "sh", "-c", SHELL],
]


class Machine(Instance):
    """An instance for hardware, and one for the simulation from the same image."""

    def __init__(self, build, work):
        super().__init__(build, work + "/hw", emu=True)
        self.occlum_build = build
        self.stats_file = work + "/stats"
        self.stats = {}
        self.interrupts = 0
        self.seconds = 0.0
        self.in_ranges = {}
        self.fill(work)
        self.simulation = Instance(build, work + "/sim")
        shutil.rmtree(self.simulation.image)
        sh("cp", "-al", self.image, self.simulation.image)
        for instance in (self, self.simulation):
            instance.configure(user_space_size="1GB", kernel_space_heap_size="64MB",
                               default_heap_size="128MB", max_num_of_threads=32)
            instance.build()
        self.ranges = find_ranges(build)

    def fill(self, work):
        compile_c(f"{TOP}/tests/programs/src/hello.c", f"{work}/hello")
        compile_c(f"{HERE}/inside.c", f"{work}/inside", "-pthread")
        compile_c(f"{HERE}/attest.c", f"{work}/attest")
        compile_c(f"{HERE}/forks.c", f"{work}/forks")
        compile_c(f"{TOP}/tests/syscalls/many_children.c", f"{work}/many_children", "-D_GNU_SOURCE", "-w")
        for name in ("hello", "inside", "attest", "forks", "many_children"):
            put_program(self.image, "/bin/" + name, f"{work}/{name}")
        for name in ("busybox", "python3.11", "sqlite3"):
            path = host_path(name)
            if path:
                put_program(self.image, "/bin/" + name, path)
        library = "/usr/lib/python3.11"
        for name in STDLIB:
            for form in (name + ".py", name):
                source, target = f"{library}/{form}", self.image + f"{library}/{form}"
                if os.path.isdir(source):
                    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
                elif os.path.exists(source):
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    shutil.copy2(source, target)
        os.makedirs(self.image + library + "/lib-dynload", exist_ok=True)
        os.makedirs(self.image + "/data")
        with open(self.image + "/data/blob", "wb") as f:
            f.write(bytes(i * 7 & 0xFF for i in range(1 << 16)) * 128)
        os.utime(self.image + "/data/blob", (0, 0))

    def has(self, path):
        return os.path.exists(self.image + path)

    def emulate(self, *argv, timeout=120, until=None, **machine):
        """Runs with EMU_<NAME> settings; the counters are in self.stats afterwards. What will never end is
        ended one second after the line `until`."""
        env = {k.upper() if k.startswith("occlum_") else "EMU_" + k.upper(): str(v)
               for k, v in machine.items()}
        env.update(EMU_STATS=self.stats_file, EMU_RANGES=self.ranges)
        if os.path.exists(self.stats_file):
            os.unlink(self.stats_file)
        begin = time.monotonic()
        try:
            done = self.run_until(until, argv, env, timeout) if until else self.run(*argv, env=env, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            done = subprocess.CompletedProcess(argv, None, late.stdout or b"", late.stderr or b"")
        self.seconds = time.monotonic() - begin
        self.stats = read_stats(self.stats_file)
        for name, value in self.stats.items():
            if name.startswith("aex_in_"):
                self.in_ranges[name[7:]] = self.in_ranges.get(name[7:], 0) + value
        self.interrupts += self.stats.get("aex_interrupt", 0)
        return done

    def run_until(self, line, argv, env, timeout):
        with open(self.stats_file + ".err", "w+b") as err, \
             subprocess.Popen([self.emu, *argv], cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=err, env={**os.environ, "EMU_KEY": self.emu_key, **env}) as run:
            late = threading.Timer(timeout, run.kill)
            late.start()
            out = []
            for said in run.stdout:
                out.append(said)
                if said == line:
                    late.cancel()
                    late = threading.Timer(1, run.kill)
                    late.start()
            status = run.wait()
            late.cancel()
            err.seek(0)
            return subprocess.CompletedProcess(argv, None if status < 0 else status, b"".join(out), err.read())

    def count(self, name):
        return self.stats.get(name, 0)

    def fresh(self):
        """What programs wrote is gone."""
        shutil.rmtree(self.dir + "/run", ignore_errors=True)
        self.build("-f")


def read_stats(path):
    stats = {}
    if not os.path.exists(path):
        return stats
    for line in open(path):
        if line.startswith("#"):
            stats["dirty_text"] = line[2:].strip()
            continue
        name, value = line.split()
        stats[name] = value if name == "mrenclave" else int(value)
    return stats


FUNCTIONS = {"stage1": "exception_stage1", "signals": "signal_deliver", "turn": "resume_in_family",
             "exchange": "exchange_all", "clone": "process_clone", "exec": "process_exec",
             "load": "exec_load_opened"}


def find_ranges(build):
    """Where entry, exit and the other places of interest lie in the kernel, as offsets from BASE."""
    out = subprocess.run(["nm", "-S", build + "/kernel/libocclum-libos.so.debug"], check=True,
                         capture_output=True, text=True).stdout
    at, size = {}, {}
    for line in out.splitlines():
        words = line.split()
        if len(words) == 4:
            size[words[3]] = int(words[1], 16)
        if len(words) >= 3:
            at[words[-1]] = int(words[0], 16)
    ranges = {
        "entry": (at["enclave_entry"], at["arch_abort"]),
        "exit": (at["host_leave"], at["syscall_entry"]),
        "call": (at["syscall_entry"], at["syscall_exit"]),
        "return": (at["syscall_exit"], at["syscall_exit_jump"] + 2),
        "full-return": (at["full_exit"], at["full_exit_jump"] + 8),
    }
    # Functions that must be hit: delivery of signals, the turns of forked families, exec.
    for name, function in FUNCTIONS.items():
        ranges[name] = (at[function], at[function] + size[function])
    base = (64 << 30) - KERNEL_ZONE
    return ",".join(f"{n}:{base + s:x}-{base + e:x}" for n, (s, e) in ranges.items())


def clean(machine, done, status=0):
    """The program ended as it should, and no exit left anything behind."""
    expect(done.returncode == status, describe(done))
    expect(machine.count("dirty_exits") == 0,
           f"{machine.count('dirty_exits')} dirty exits: {machine.stats.get('dirty_text')}")


def no_secret(done):
    """Neither the marker's bytes nor a fault of a program."""
    text = done.stdout + done.stderr
    expect(MARKER.to_bytes(4, "little") not in text and b"5ec2e75e" not in text.lower(),
           "a secret left: " + describe(done))
    expect(b"Segmentation" not in text and b"SIGSEGV" not in text,
           "a fault reached the program: " + describe(done))


def one_line(done, word):
    """Refused in one line that says why."""
    text = done.stderr.decode()
    expect(done.returncode not in (0, None) and text.count("\n") == 1 and word in text, describe(done))


# ---- programs ------------------------------------------------------------------------------------

def same_output(machine, argv, **settings):
    if not machine.has(argv[0]):
        raise Skip(argv[0] + " is not installed")
    expected = machine.simulation.run(*argv)
    expect(expected.returncode in (0, 3), "in the simulation: " + describe(expected))
    done = machine.emulate(*argv, **settings)
    clean(machine, done, expected.returncode)
    expect(done.stdout == expected.stdout,
           f"simulation: {expected.stdout[:500]}\nhardware: {describe(done)}")


def programs(machine, report, long_run):
    for argv in PROGRAMS:
        name = " ".join(argv)[:40].split("(")[0].strip()
        with report.case(f"same output: {name}"):
            same_output(machine, argv)
    with report.case("1000 forks and 1000 spawns leave nothing behind"):
        done = machine.emulate("/bin/many_children", timeout=300)
        clean(machine, done)
        expect(done.returncode == 0, describe(done))


def measurements(machine, report, long_run):
    with report.case("MRENCLAVE of the signer and of the running hash"):
        machine.emulate("/bin/hello")
        done = subprocess.run([machine.occlum, "print", "mrenclave"], cwd=machine.dir,
                              capture_output=True, text=True)
        expect(machine.stats["mrenclave"] in done.stdout.lower(),
               f"{machine.stats['mrenclave']}: {done.stdout}{done.stderr}")


def machines(machine, report, long_run):
    variants = {
        "a kernel without the entry function": dict(no_entry_function=1),
        "old device names": dict(old_names=1),
        "short counts, EINTR, EAGAIN": dict(short_counts=500, interrupted=500, again=50),
        "unmeasured pages full of 0xCC": dict(fill_unmeasured=1),
    }
    for name, settings in variants.items():
        with report.case(name):
            same_output(machine, ["/bin/inside", "work", "3000"], seed=7, **settings)
            same_output(machine, ["/bin/inside", "memory", "2"], seed=8, **settings)
    lines = {
        "no device": (dict(no_device=1), "SGX"),
        "a device that may not be opened": (dict(device_is_locked=1), "ermission"),
        "no SGX2": (dict(no_sgx2=1), "SGX2"),
        "no EXINFO": (dict(no_exinfo=1), "EXINFO"),
        "a busy driver": (dict(busy=1000), "EBUSY"),
        "a driver that is busy from the first page on": (dict(busy_adding=1000), "EBUSY"),
        "a driver that gets busy": (dict(busy_adding=100, seed=3), "EBUSY"),
        "XFRM that the registers contradict": (dict(xfrm=3), "extended state"),
        "no launch control": (dict(no_launch_control=1), "launch control"),
    }
    for name, (settings, word) in lines.items():
        with report.case("one clear line: " + name):
            one_line(machine.emulate("/bin/hello", **settings), word)
    for seed in range(6):
        with report.case(f"a host that has no memory for mappings now and then: {seed}"):
            done = machine.emulate("/bin/inside", "memory", "4", no_memory=60, seed=seed)
            expect(done.returncode is not None and b"broke the contract" not in done.stderr
                   and b"exception" not in done.stderr, describe(done))
            expect(done.stdout == b"memory\n" if not done.returncode else b"" == done.stdout, describe(done))
            no_secret(done)
    # 1: all bits, 2: none, 3: chance, 4: all bits but those of leaf 1
    for lie, name in ((1, "all bits set"), (4, "more than there is"), (2, "no bit set")):
        with report.case(f"a host that lies in CPUID: {name}"):
            done = machine.emulate("/bin/inside", "leaves", lie_in_cpuid=lie)
            expect(machine.count("scenario_done") == 1, "no lie was told")
            if lie == 2:
                one_line(done, "this CPU lacks")
            else:
                clean(machine, done)
                expect(done.stdout == b"sane\n", describe(done))
    with report.case("a host that lies in CPUID: chance"):
        for seed in range(8):
            done = machine.emulate("/bin/inside", "leaves", lie_in_cpuid=3, seed=seed)
            if done.returncode or b"sane" not in done.stdout:
                one_line(done, "this CPU lacks")


# ---- asynchronous exits --------------------------------------------------------------------------

def million(machine, report, long_run):
    """Interrupts at arbitrary instructions, until there were a million."""
    steps = [
        ["/bin/inside", "faults", "20"],
        ["/bin/inside", "work", "30000"],
        ["/bin/inside", "marked", "30"],
        ["/bin/inside", "memory", "2"],
        ["/bin/busybox", "sha256sum", "/data/blob"],
        ["/bin/hello", "x"],
        ["/bin/forks", "4" if long_run else "1"],
        ["/bin/busybox", "sh", "-c", SHELL if long_run else SHELL.replace("-lt 4", "-lt 1")],
    ]
    machine.interrupts = 0
    machine.in_ranges = {}
    settings = dict(aex_min_ns=3000, aex_max_ns=15000, step_permille=20, step_length=300,
                    long_way_permille=60)
    # Time goes on while the host interrupts: at that rate the turns of a family end as they begin.
    slower = dict(settings, aex_max_ns=40000, step_permille=10)
    seconds, seed, wanted = 0.0, 0, MILLION * (4 if long_run else 1)
    while seed < len(steps) or machine.interrupts < wanted:
        argv = steps[seed] if seed < len(steps) else ["/bin/inside", "work", "3000000"]
        with report.case(f"interrupted at will: {' '.join(argv)}"):
            before = machine.interrupts
            forks = argv[0] == "/bin/forks" or "sh" in argv
            same_output(machine, argv, seed=seed + 1, timeout=300, **(slower if forks else settings))
            seconds += machine.seconds
            expect(machine.interrupts > before, "no interrupt came")
        seed += 1
        if report.failed > 5 or seed > 200:
            break
    with report.case(f"{machine.interrupts} interrupts, {machine.interrupts / max(seconds, 0.001):.0f} per second"):
        expect(machine.interrupts >= wanted, "too few")
        hit = {n for n, count in machine.in_ranges.items() if count}
        missing = {"entry", "exit", "call", "return", "full-return", "stage1", "signals", "turn", "exchange"} - hit
        if not hit & {"clone", "exec", "load"}:
            missing.add("clone, exec and load")
        print("        of them: " + ", ".join(f"{n} {c}" for n, c in sorted(machine.in_ranges.items())))
        expect(not missing, f"none came in {missing}")


def storms(machine, report, long_run):
    settings = dict(scenario="storm:20:1", step_permille=100, step_length=200, aex_min_ns=2000,
                    aex_max_ns=40000)
    few = dict(step_permille=10, step_length=100, aex_min_ns=5000, aex_max_ns=60000)
    for argv, other in ((["/bin/inside", "faults", "5"], {}), (["/bin/inside", "work", "20000"], {}),
                        (["/bin/inside", "marked", "20"], {}), (["/bin/forks", "1"], few)):
        with report.case(f"exceptions that did not happen: {' '.join(argv)}"):
            same_output(machine, argv, timeout=300, **{**settings, **other})
            expect(machine.count("eenter_nested") > 100, "no storm")
    with report.case("exceptions within exceptions end the instance"):
        done = machine.emulate("/bin/inside", "hold", "1", scenario="storm:100:2", step_permille=500,
                               step_length=2000, timeout=60)
        expect(done.returncode not in (0, None), describe(done))
        expect(machine.count("exits_abort") >= 1, "not by the enclave's own decision: " + describe(done))
        no_secret(done)


# ---- hosts ---------------------------------------------------------------------------------------

def stops(machine, done, why):
    expect(machine.count("scenario_done") == 1, f"{why}: nothing happened: {describe(done)}")
    expect(done.returncode not in (0, None), f"{why}: goes on: {describe(done)}")
    expect(b"held" not in done.stdout, f"{why}: the program came to its end: {describe(done)}")
    no_secret(done)


def hosts(machine, report, long_run):
    hold = ("/bin/inside", "hold", "1")
    alone = machine.simulation.run("/bin/inside", "alone", "20").stdout
    with report.case("committed pages are unmapped"):
        stops(machine, machine.emulate(*hold, scenario="unmap:250"), "unmapped")
    with report.case("committed pages are replaced"):
        stops(machine, machine.emulate(*hold, scenario="replace:250"), "replaced")
    with report.case("committed pages are away for one fault"):
        done = machine.emulate(*hold, scenario="unmap-once:250")
        expect(machine.count("scenario_done") == 1, describe(done))
        clean(machine, done)
        expect(done.stdout == b"holding\nheld\n", describe(done))
    with report.case("the kernel's heap is unmapped"):
        stops(machine, machine.emulate(*hold, scenario="unmap-kernel:250"), "unmapped")
    # The thread that was to be entered never goes on: the host can have that at any time.
    with report.case("an entry goes to a slot that was never used"):
        done = machine.emulate(*hold, scenario="wrong-tcs:250:25", timeout=8)
        expect(done.stdout == b"holding\n" and done.returncode != 0, describe(done))
        no_secret(done)
    with report.case("entries go to a slot that waits for the host"):
        for at in range(300, 330, 10):
            done = machine.emulate("/bin/inside", "alone", "20", scenario=f"wrong-tcs:{at}:0", timeout=4)
            # A write that the host answers before it was made is made again: a line twice.
            expect(set(done.stdout.splitlines()) <= set(alone.splitlines()), describe(done))
            no_secret(done)
    with report.case("an entry goes to a slot that another thread is in"):
        done = machine.emulate("/bin/inside", "work", "100000000", scenario="busy-tcs:300", timeout=60)
        stops(machine, done, "busy slot")
        expect(machine.count("host_faults") >= 1, "the CPU took it")
    with report.case("a thread is stopped for ever, the first one works"):
        done = machine.emulate("/bin/inside", "alone", "20000", scenario="delay:300:2", until=b"worked\n")
        expect(done.returncode is None and b"worked\n" in done.stdout and
               b"joined" not in done.stdout, describe(done))
        no_secret(done)
    with report.case("the first thread is stopped for ever, the other works"):
        done = machine.emulate("/bin/inside", "alone", "1000000", scenario="delay:300:1", timeout=5)
        # 300 entries are not enough for that many
        expect(b"worked" not in done.stdout and done.stderr.count(b".") > 1000, describe(done))
        no_secret(done)
    with report.case("an exception is claimed on a slot that was never entered"):
        done = machine.emulate(*hold, scenario="early-exception:0", step_permille=1000, step_length=50,
                               timeout=30)
        stops(machine, done, "early")
        expect(b"on a thread that had not started yet" in done.stderr, describe(done))
    for number, name in enumerate(("boot", "thread", "new process", "exec", "kill", "shutdown",
                                   "host return", "unknown")):
        for at in (0, 3, 250):
            if (name, at > 0) in (("boot", False), ("host return", True)):
                continue  # that is what it was
            with report.case(f"out of order: ecall {name} as entry {at}"):
                done = machine.emulate(*hold, scenario=f"ecall:{at}:{number}", timeout=30)
                stops(machine, done, name)


# ---- keys and reports ----------------------------------------------------------------------------

def rebuild(machine, *options, **fields):
    machine.configure(**fields)
    machine.build(*options)


WRITE = ("/bin/busybox", "sh", "-c", "echo sealed > /root/sealed")
READ = ("/bin/busybox", "cat", "/root/sealed")


def stays_closed(machine, **settings):
    done = machine.emulate(*READ, **settings)
    expect(done.returncode not in (0, None) and b"sealed\n" not in done.stdout and
           b"does not open with this enclave's key" in done.stderr, describe(done))


def keys(machine, report, long_run):
    """What was written under a newer version of CPU or enclave stays closed to an older one."""
    new, old = "02" * 16, "02" * 15 + "01"

    def opens(**settings):
        done = machine.emulate(*READ, **settings)
        clean(machine, done)
        expect(done.stdout == b"sealed\n", describe(done))

    machine.fresh()
    with report.case("written under the older CPUSVN, read under the newer"):
        clean(machine, machine.emulate(*WRITE, cpusvn=old))
        opens(cpusvn=new)
    machine.fresh()
    with report.case("written under the newer CPUSVN, refused to the older"):
        clean(machine, machine.emulate(*WRITE, cpusvn=new))
        stays_closed(machine, cpusvn=old)
        opens(cpusvn=new)
    with report.case("another processor does not open it"):
        other = machine.emu_key + ".other"
        with open(other, "wb") as f:
            f.write(os.urandom(32))
        stays_closed(machine, cpusvn=new, key=other)
    rebuild(machine, version_number=2)
    with report.case("written under ISVSVN 0, read under 2"):
        opens(cpusvn=new)
    machine.fresh()
    with report.case("written under ISVSVN 2, refused to 1"):
        clean(machine, machine.emulate(*WRITE))
        rebuild(machine, version_number=1)
        stays_closed(machine)
        rebuild(machine, version_number=2)
        opens()
    rebuild(machine, version_number=0)
    machine.fresh()


def releases(machine, report, long_run):
    key = machine.dir + ".release.pem"
    sh("openssl", "genrsa", "-3", "-out", key, "3072", stderr=subprocess.DEVNULL)
    machine.fresh()
    rebuild(machine, "--sign-key", key, debuggable=False)
    with report.case("a release runs"):
        clean(machine, machine.emulate(*WRITE))
        done = machine.emulate(*READ)
        clean(machine, done)
        expect(done.stdout == b"sealed\n", describe(done))
    with report.case("one clear line: a release that the loader launches for debugging"):
        one_line(machine.emulate("/bin/hello", launch_debug=1), "EINIT refuses it")
    with report.case("the report of a release says so"):
        expect(not own_report(machine)["flags"] & DEBUG, "DEBUG")
    rebuild(machine, "--sign-key", key, debuggable=True)
    with report.case("a debug enclave of the same signer does not open what the release wrote"):
        stays_closed(machine)
    rebuild(machine, debuggable=True)
    machine.fresh()


REPORT_FIELDS = {"family": (304, 16), "product": (32, 16), "flags": (48, 8), "xfrm": (56, 8),
                 "misc": (16, 4), "configid": (192, 64), "prodid": (256, 2), "svn": (258, 2),
                 "configsvn": (260, 2)}
DEBUG, PROVISIONKEY, KSS = 0x2, 0x10, 0x80


def own_report(machine, **env):
    """What the CPU says of the enclave, in the report that it makes for itself."""
    def attest(*argv):
        done = machine.run("/bin/attest", *argv, timeout=60,
                           env={**env, "EMU_STATS": machine.stats_file})
        expect(done.returncode == 0, describe(done))
        return done.stdout.decode().strip()

    text = bytes.fromhex(attest("report", attest("target"), "00" * 64))
    machine.stats = read_stats(machine.stats_file)
    return {name: int.from_bytes(text[at:at + size], "little")
            for name, (at, size) in REPORT_FIELDS.items()}


def attributes(machine, report, long_run):
    """Who may be what: the provision key, KSS, debugging; as the report of the CPU has it."""
    path = machine.dir + "/Occlum.json"
    plain = open(path).read()

    def rebuilt(**fields):
        text = plain
        for name, value in fields.items():
            text, known = re.subn(rf'("{name}"\s*:\s*)[^,\s]+', rf"\g<1>{value}", text)
            if not known:
                text = text.replace('"metadata": {', f'"metadata": {{\n    "{name}": {value},')
        open(path, "w").write(text)
        machine.fresh()

    try:
        with report.case("without the setting no enclave asks for the provision key"):
            rebuilt()
            got = own_report(machine)
            expect(got["flags"] & (PROVISIONKEY | KSS | DEBUG) == DEBUG and not got["configid"]
                   and not got["configsvn"] and got["misc"] == 1, str(got))
            expect(machine.count("ioctl_provision") == 0, "asked")
        with report.case("one clear line: --config-id without KSS"):
            one_line(machine.run("/bin/hello", env={"OCCLUM_CONF_ID_BASE64": "AQID"}), "enable_kss")
        with report.case("the provision key where it is configured"):
            rebuilt(provision_key="true")
            got = own_report(machine)
            expect(got["flags"] & PROVISIONKEY, str(got))
            expect(machine.count("ioctl_provision") == 1, "not asked for")
        with report.case("one clear line: the provision key without its device"):
            one_line(machine.emulate("/bin/hello", no_provision_device=1), "/dev/sgx_provision")
        with report.case("KSS: the starter's and the signer's fields are in the report"):
            rebuilt(enable_kss="true", version_number=3, product_id=9,
                    family_id='{"high": "0x0102030405060708", "low": "0x1112131415161718"}',
                    ext_prod_id='{"high": "0x2122232425262728", "low": "0x3132333435363738"}')
            got = own_report(machine, OCCLUM_CONF_ID_BASE64="AQID", OCCLUM_CONF_SVN="513")
            expect(got["flags"] & KSS and got["configid"] == 0x030201 and got["configsvn"] == 513
                   and got["prodid"] == 9 and got["svn"] == 3, str(got))
            expect(got["family"] == 0x01020304050607081112131415161718
                   and got["product"] == 0x21222324252627283132333435363738, str(got))
        with report.case("what was written for one configuration id stays closed to others"):
            mine = dict(occlum_conf_id_base64="AQID", occlum_conf_svn=513)
            clean(machine, machine.emulate(*WRITE, **mine))
            for other in ({}, {**mine, "occlum_conf_id_base64": "AQIE"}, {**mine, "occlum_conf_svn": 512}):
                stays_closed(machine, **other)
            for same in (mine, {**mine, "occlum_conf_svn": 514}):
                done = machine.emulate(*READ, **same)
                expect(done.stdout == b"sealed\n", describe(done))
            machine.fresh()
            got = own_report(machine)
            expect(got["flags"] & KSS and not got["configid"] and not got["configsvn"], str(got))
        with report.case("one clear line: a configuration id that is too long"):
            one_line(machine.run("/bin/hello", env={"OCCLUM_CONF_ID_BASE64": "AAAA" * 22}), "64")
        with report.case("one clear line: a debug image started as a release"):
            one_line(machine.run("/bin/hello", env={"OCCLUM_RELEASE_ENCLAVE": "1"}), "debuggable")
    finally:
        open(path, "w").write(plain)
        machine.fresh()


def attestation(machine, report, long_run):
    """Two enclaves of one machine: `machine` tells `other` who it is."""
    other = Instance(machine.occlum_build, machine.dir + "-other", emu=True)
    shutil.rmtree(other.image)
    sh("cp", "-al", machine.image, other.image)
    other.configure(product_id=7)
    other.build()
    shutil.copy(machine.emu_key, other.emu_key)
    data = os.urandom(64).hex()

    def attest(instance, *argv, **env):
        done = instance.run("/bin/attest", *argv, timeout=60, env=env)
        expect(done.returncode == 0 or done.stdout == b"refused\n", describe(done))
        return done.stdout.decode().strip()

    def mrenclave(instance):
        return subprocess.run([machine.occlum, "print", "mrenclave"], cwd=instance.dir, check=True,
                              capture_output=True, text=True).stdout.strip().lower()

    with report.case("a report says who made it, and the other enclave believes it"):
        target = attest(other, "target")
        expect(target[:64] == mrenclave(other) and target[:64] != mrenclave(machine), target)
        made = attest(machine, "report", target, data)
        expect(made[128:192] == mrenclave(machine) and made[640:768] == data, made)
        expect(attest(other, "verify", made) == "genuine", "refused")
    with report.case("a report with a changed byte is refused"):
        for at in (0, 64, 258, 320, 383, 384, 431):
            changed = bytearray.fromhex(made)
            changed[at] ^= 1
            expect(attest(other, "verify", changed.hex()) == "refused", f"byte {at}")
    with report.case("a report for somebody else is refused"):
        expect(attest(machine, "verify", made) == "refused", "its maker takes it")
        own = attest(machine, "report", attest(machine, "target"), data)
        expect(attest(machine, "verify", own) == "genuine", "its target refuses it")
        expect(attest(other, "verify", own) == "refused", "another takes it")
    with report.case("a report of another processor is refused"):
        foreign = machine.emu_key + ".foreign"
        with open(foreign, "wb") as f:
            f.write(os.urandom(32))
        shutil.rmtree(other.dir + "/run", ignore_errors=True)
        other.build("-f")
        expect(attest(other, "verify", made, EMU_KEY=foreign) == "refused", "taken")


def table(machine, report, long_run):
    classes = [("getppid", 200, "calls"), ("clock_gettime", 200, "calls"), ("stat", 200, "calls"),
               ("open-close", 100, "pairs"), ("pipe", 200, "pairs"), ("futex", 200, "pairs"),
               ("signal", 100, "signals"), ("stdout", 100, "calls"), ("mmap-64K", 50, "pieces"),
               ("fault-64MiB-sparse", 6, "faults"), ("fresh-MiB", 32, "MiB"), ("read-4K", 64, "calls"),
               ("read-MiB", 8, "MiB"), ("write-MiB", 8, "MiB")]
    rows = []

    def transitions(what, count):
        done = machine.emulate("/bin/inside", "speed", what, str(count))
        clean(machine, done)
        faults = sum(v for k, v in machine.stats.items() if k.startswith("aex_vector"))
        return machine.count("eexit"), faults

    with report.case("transitions"):
        for what, count, unit in classes:
            few, many = transitions(what, 1), transitions(what, count + 1)
            rows.append((what, (many[0] - few[0]) / count, (many[1] - few[1]) / count, unit))
        print(f"        {'':22}{'exits':>10}{'faults':>10}")
        for what, exits, faults, unit in rows:
            print(f"        {what:22}{exits:10.2f}{faults:10.2f}  per one of {unit}")
        inside = {"getppid", "clock_gettime", "stat", "open-close", "pipe", "futex"}
        leaving = [r[0] for r in rows if r[0] in inside and r[1] > 0.5]
        expect(not leaving, f"calls that need not leave do: {leaving}")


# Two machines that take about as long as each other.
MACHINES = [[measurements, programs, machines, attributes, keys, releases, attestation],
            [storms, hosts, million, table]]
PARTS = MACHINES[0] + MACHINES[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", help="work in this folder and leave it")
    parser.add_argument("names", nargs="*", help="of " + " ".join(p.__name__ for p in PARTS))
    args = parser.parse_args()
    work = args.keep or tempfile.mkdtemp(prefix="occlum-emu-")
    os.makedirs(work, exist_ok=True)
    report = Report()

    def on_a_machine(number, parts):
        def job(own):
            folder = f"{work}/{number}"
            os.makedirs(folder)
            machine = Machine(args.build, folder)
            for part in parts:
                part(machine, own, args.long)
        return job

    try:
        chosen = [[p for p in parts if not args.names or p.__name__ in args.names] for parts in MACHINES]
        side_by_side(report, [on_a_machine(i, parts) for i, parts in enumerate(chosen) if parts])
    finally:
        if not args.keep:
            shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
