#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of docs/security-rules.md that need a whole instance to be seen, by their numbers."""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import TOP, Report, Skip, compile_c, describe, expect, probe_instance, put_program, scratch

SECRET = 0x5EC2E7C0FFEE1234


class Rules:
    def __init__(self, build, work):
        self.work = work
        self.instance = probe_instance(build, work)
        compile_c(f"{TOP}/tests/system/rules_probe.c", f"{work}/rules", "-pthread", "-w")
        put_program(self.instance.image, "/bin/rules", f"{work}/rules")
        for name in ("exec", "threads", "signals"):
            compile_c(f"{TOP}/tests/syscalls/{name}.c", f"{work}/{name}", "-pthread", "-w", "-D_GNU_SOURCE")
            put_program(self.instance.image, f"/bin/{name}", f"{work}/{name}")
        self.path = self.instance.dir + "/Occlum.json"
        self.base = json.loads(re.sub(r"^\s*//.*$", "", open(self.path).read(), flags=re.M))

    def build(self, change, *options):
        config = json.loads(json.dumps(self.base))
        change(config)
        with open(self.path, "w") as f:
            json.dump(config, f, indent=1)
        return self.instance.build(*options)


def rule_5(report, rules):
    def two(config):
        for name in ("one", "two"):
            config["mount"].append({"target": f"/{name}", "type": "sefs", "source": f"./run/{name}"})

    rules.build(two)
    instance = rules.instance
    for name in ("one", "two", "root"):
        done = instance.run("/bin/busybox", "tee", f"/{name}/f", stdin=name.encode())
        expect(done.returncode == 0, describe(done))
    folders = {"one": "run/one", "two": "run/two", "root": "run/mount/__ROOT"}
    with report.case("5: a data volume in the place of the root layer, and the other way round"):
        swap(instance, folders["one"], folders["root"])
        done = instance.run("/bin/busybox", "cat", "/one/f")
        swap(instance, folders["one"], folders["root"])
        expect(done.returncode != 0 and b"another kind of volume" in done.stderr, describe(done))
        expect(b"root" not in done.stdout and b"one" not in done.stdout, describe(done))
    with report.case("5: everything back in its place, it is read"):
        for name in folders:
            done = instance.run("/bin/busybox", "cat", f"/{name}/f")
            expect(done.stdout == name.encode(), describe(done))


def swap(instance, a, b):
    a, b = f"{instance.dir}/{a}", f"{instance.dir}/{b}"
    os.rename(a, a + ".swap")
    os.rename(b, a)
    os.rename(a + ".swap", b)


def rule_16(report, rules):
    rules.build(lambda c: None)
    if not shutil.which("strace"):
        with report.case("16"):
            raise Skip("strace is not installed")
        return
    # The host lets single threads wait before or behind calls: wake-ups, kicks, memory.
    delays = ("futex:delay_exit=3000:when=2+3", "tgkill:delay_enter=3000:when=1+2",
              "mprotect:delay_exit=2000:when=3+4", "futex:delay_enter=3000:when=1+4")
    for program in ("exec", "threads", "signals"):
        for delay in delays:
            with report.case(f"16: {program} with a host that delays {delay}"):
                done = rules.instance.run(f"/bin/{program}", timeout=120, prefix=(
                    "strace", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", "inject=" + delay))
                expect(done.returncode == 0, describe(done))


def rule_17(report, rules):
    shared = rules.instance.dir + "/shared"
    os.makedirs(shared, exist_ok=True)
    for word in ("one", "two"):
        compile_c(f"{TOP}/tests/system/rules_probe.c", f"{rules.work}/{word}", "-pthread", "-w",
                  f'-DWORD="{word}"', "-static-pie")
    rules.build(lambda c: (c.update(entry_points=["/bin", "/shared"]), c["mount"].append(
        {"target": "/shared", "type": "hostfs", "source": "./shared", "options": {"exec": True}})))
    with report.case("17: what hostfs reports does not identify text: another file with all its marks"):
        target = shared + "/prog"
        shutil.copy(rules.work + "/one", target)
        os.utime(target, (1, 1))
        expect(os.path.getsize(target) == os.path.getsize(rules.work + "/two"), "sizes differ")
        run = subprocess.Popen([rules.instance.occlum, "run", "/shared/prog", "/shared/prog"],
                               cwd=rules.instance.dir,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        first = run.stdout.readline()
        with open(rules.work + "/two", "rb") as new, open(target, "r+b") as f:
            f.write(new.read())
        os.utime(target, (1, 1))
        out, _ = run.communicate(b"x", timeout=60)
        expect(first == b"one\n" and out == b"two\n", f"{first} then {out}")


def rule_18(report, rules):
    rules.build(lambda c: None)
    with report.case("18: no page of the enclave is writable and executable"):
        run = subprocess.Popen([rules.instance.occlum, "run", "/bin/rules"], cwd=rules.instance.dir,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        run.stdout.readline()
        maps = open(f"/proc/{run.pid}/maps").read()
        run.communicate(timeout=60)
        both = [l for l in maps.splitlines() if re.match(r"\S+ .w.?x|\S+ rwx", l)]
        expect("r-x" in maps and not both, both[:3])


def rule_21(report, rules):
    rules.build(lambda c: None)
    dirty = {"OCCLUM_TEST_DIRTY_PAGES": "1"}
    with report.case("21: unmeasured pages start as 0xcc: programs see zeros"):
        done = rules.instance.run("/bin/rules", "zeros", env=dirty)
        expect(done.returncode == 0 and done.stdout == b"all zero\n", describe(done))
    with report.case("21: and run as ever"):
        done = rules.instance.run("/bin/busybox", "sha256sum", "/bin/busybox", env=dirty)
        plain = rules.instance.run("/bin/busybox", "sha256sum", "/bin/busybox")
        expect(done.returncode == 0 and done.stdout == plain.stdout, describe(done))
        for program in ("threads", "signals"):
            done = rules.instance.run(f"/bin/{program}", env=dirty)
            expect(done.returncode == 0, describe(done))


def rule_24(report, rules):
    shared = rules.instance.dir + "/shared"
    os.makedirs(shared, exist_ok=True)
    shutil.copy("/bin/busybox", shared + "/code")
    rules.build(lambda c: c["mount"].append({"target": "/shared", "type": "hostfs", "source": "./shared"}))
    with report.case("24: no executable mapping of a file of the host"):
        done = rules.instance.run("/bin/rules", "map-exec", "/shared/code")
        expect(b"mapped" not in done.stdout and b"done" not in done.stdout and
               done.stdout.count(b":") == 2, describe(done))


def rule_25(report, rules):
    key = rules.work + "/release.pem"
    subprocess.run(["openssl", "genrsa", "-3", "-out", key, "3072"], check=True, capture_output=True)
    given = f"{SECRET ^ (2 ** 64 - 1):x}"
    shown = [f"{SECRET:x}".encode(), str(SECRET).encode(), SECRET.to_bytes(8, "little")]

    def crash(change, *options):
        rules.build(change, *options)
        return rules.instance.run("/bin/rules", "die", given, env={"OCCLUM_LOG_LEVEL": "trace"})

    with report.case("25: a debug instance shows the registers of a crash: the test can fail"):
        done = crash(lambda c: None)
        expect(any(s in done.stderr.lower() for s in shown), describe(done))
    with report.case("25: a release shows neither registers nor addresses nor arguments"):
        done = crash(lambda c: c["metadata"].update(debuggable=False), "--sign-key", key, "--reset")
        expect(done.returncode == 128 + 11, describe(done))
        expect(not any(s in done.stderr.lower() for s in shown), describe(done))
        expect(not re.search(rb"0x[0-9a-f]{4,}|\brip\b|\brax\b", done.stderr.lower()), describe(done))
        expect(given.encode() not in done.stderr, describe(done))


def rule_26(report, rules):
    instance = rules.instance
    hosts = rules.work + "/hosts"
    with open(hosts, "w") as f:
        f.write("6.6.6.6 localhost\n6.6.6.6 LocalHost. evil\n9.8.7.6 good.example\n\x1b[2J 1.1.1.1\n")

    def cat(name, over=hosts):
        if not os.path.exists("/etc/hosts"):
            raise Skip("this machine has no /etc/hosts to lay another one over")
        script = f'mount --bind {over} /etc/hosts && exec "$0" run /bin/busybox cat {name}'
        unshare = ["unshare", "-m"] + ([] if os.getuid() == 0 else ["-r"])
        return subprocess.run([*unshare, "sh", "-c", script, instance.occlum], cwd=instance.dir,
                              capture_output=True, timeout=60)

    if os.path.exists(instance.image + "/etc/hosts"):
        os.unlink(instance.image + "/etc/hosts")
    rules.build(lambda c: None)
    with report.case("26: the host's names are there, localhost stays what it is"):
        done = cat("/etc/hosts")
        expect(b"9.8.7.6 good.example" in done.stdout, describe(done))
        expect(b"6.6.6.6" not in done.stdout and b"\x1b" not in done.stdout, describe(done))
        expect(b"127.0.0.1 localhost" in done.stdout, describe(done))
    with report.case("26: they lie above the file system, not in it"):
        done = cat("/etc/hosts", "/dev/null")
        expect(b"good.example" not in done.stdout, "kept from the run before: " + describe(done))
    with report.case("26: what the image brings stays"):
        os.makedirs(instance.image + "/etc", exist_ok=True)
        with open(instance.image + "/etc/hosts", "w") as f:
            f.write("127.0.0.1 localhost mine\n")
        rules.build(lambda c: None)
        done = cat("/etc/hosts")
        expect(done.stdout == b"127.0.0.1 localhost mine\n", describe(done))


def main():
    report = Report()
    work = scratch()
    try:
        rules = Rules(sys.argv[1] if len(sys.argv) > 1 else "build", work)
        for rule in (rule_18, rule_21, rule_24, rule_17, rule_5, rule_26, rule_16, rule_25):
            rule(report, rules)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
