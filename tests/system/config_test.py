#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every field of Occlum.json that is obeyed: changing it changes what a program (or the host) sees."""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, describe, expect, probe_instance, put_program, scratch


class Configured:
    """An instance whose Occlum.json is written anew for each case."""

    def __init__(self, build, work):
        self.instance = probe_instance(build, work)
        put_program(self.instance.image, "/usr/bin/probe2", f"{work}/probe")
        self.path = self.instance.dir + "/Occlum.json"
        text = re.sub(r"^\s*//.*$", "", open(self.path).read(), flags=re.M)
        self.base = json.loads(text)

    def with_config(self, change):
        config = json.loads(json.dumps(self.base))
        change(config)
        with open(self.path, "w") as f:
            json.dump(config, f, indent=1)
        self.instance.build()
        return self.instance

    def restore(self):
        return self.with_config(lambda c: None)


def section(name, **fields):
    def change(config):
        config.setdefault(name, {}).update(fields)
    return change


def output(instance, *argv, **kw):
    done = instance.run(*argv, **kw)
    return done.stdout + done.stderr


def differs(report, configured, field, values, *argv, **kw):
    """Runs argv under two values; what is printed must differ."""
    with report.case(field):
        name, key = field.split(".")
        seen = [output(configured.with_config(section(name, **{key: v})), *argv, **kw)
                for v in values]
        expect(seen[0] != seen[1] and all(seen), f"both print {seen[0]!r}")


def check_limits(report, configured):
    differs(report, configured, "resource_limits.user_space_size", ("300MB", "600MB"),
            "/bin/probe", "map", "1")
    differs(report, configured, "resource_limits.kernel_space_heap_size", ("32MB", "64MB"),
            "/bin/busybox", "grep", "KernelHeapTotal", "/proc/meminfo")
    differs(report, configured, "resource_limits.user_space_max_size", ("300MB", "600MB"),
            "/bin/busybox", "grep", "MemTotal", "/proc/meminfo")
    differs(report, configured, "resource_limits.kernel_space_heap_max_size", ("32MB", "64MB"),
            "/bin/busybox", "grep", "KernelHeapTotal", "/proc/meminfo")
    differs(report, configured, "resource_limits.max_num_of_threads", (16, 32),
            "/bin/probe", "threads")
    differs(report, configured, "process.default_stack_size", ("4MB", "8MB"), "/bin/probe", "limits")
    differs(report, configured, "process.default_heap_size", ("32MB", "16MB"), "/bin/probe", "brk")
    with report.case("resource_limits.kernel_space_stack_size is measured"):
        numbers = set()
        for size in ("1MB", "2MB"):
            instance = configured.with_config(section("resource_limits", kernel_space_stack_size=size))
            numbers.add(subprocess.run([instance.occlum, "print", "mrenclave"], cwd=instance.dir,
                                       capture_output=True).stdout)
            expect(instance.run("/bin/probe", "exit", "9").returncode == 9, "does not run")
        expect(len(numbers) == 2, f"MRENCLAVE is {numbers}")


WHOAMI = """
id -u; id -g; id -G
grep -E '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb))' /proc/self/status
stat -c %u:%g /proc/self/
rm -f /tmp/mine; touch /tmp/mine; stat -c %u:%g /tmp/mine
cat /etc/for-root 2>/dev/null || echo unreadable
echo x >/mine 2>/dev/null || echo unwritable
chown 7 /tmp/mine 2>/dev/null || echo not given away
echo said >/dev/stdout
"""


def whoami(uid, gid):
    caps = "0000000000000000" if uid else "000001ffffffffff"
    none = "0000000000000000"
    ids = f"{uid}\n{gid}\n{gid}\nUid:" + f"\t{uid}" * 4 + "\nGid:" + f"\t{gid}" * 4
    return (f"{ids}\nGroups:\t{gid} \nCapInh:\t{none}\nCapPrm:\t{caps}\nCapEff:\t{caps}\n"
            f"CapAmb:\t{none}\n{uid}:{gid}\n{uid}:{gid}\n"
            + ("unreadable\nunwritable\nnot given away\n" if uid else "for root\n") + "said\n")


def check_user(report, configured):
    image = configured.instance.image
    os.makedirs(image + "/etc", exist_ok=True)
    with open(image + "/etc/for-root", "w") as f:
        f.write("for root\n")
    os.chmod(image + "/etc/for-root", 0o600)
    put_program(image, "/bin/for-root", configured.instance.image + "/bin/probe")
    os.chmod(image + "/bin/for-root", 0o700)
    with report.case("process.uid and process.gid"):
        for uid, gid in ((0, 0), (1000, 0), (1000, 100), (4294967294, 4294967294), (0, 100)):
            instance = configured.with_config(section("process", uid=uid, gid=gid))
            done = instance.run("/bin/busybox", "sh", "-c", WHOAMI)
            expect(done.stdout.decode() == whoami(uid, gid), describe(done))
            done = instance.run("/bin/for-root", "exit", "4")
            expect((done.returncode == 4) == (uid == 0), describe(done))
    with report.case("process.uid is measured, and what a user wrote stays his"):
        root = configured.restore()
        numbers = set()
        expect(root.run("/bin/busybox", "sh", "-c", "mkdir -m 777 /all").returncode == 0, "mkdir")
        for uid in (1000, 1001):
            instance = configured.with_config(section("process", uid=uid))
            numbers.add(subprocess.run([instance.occlum, "print", "mrenclave"], cwd=instance.dir,
                                       capture_output=True).stdout)
            instance.run("/bin/busybox", "sh", "-c", "umask 77; echo of $(id -u) >/all/$(id -u)")
        expect(len(numbers) == 2, f"MRENCLAVE is {numbers}")
        done = instance.run("/bin/busybox", "cat", "/all/1001", "/all/1000")
        expect(done.stdout == b"of 1001\n" and b"/all/1000': Permission denied" in done.stderr, describe(done))


def check_start(report, configured):
    with report.case("entry_points"):
        instance = configured.with_config(lambda c: c.update(entry_points=["/usr/bin"]))
        expect(instance.run("/usr/bin/probe2", "exit", "4").returncode == 4, "listed: refused")
        done = instance.run("/bin/probe", "exit", "4")
        expect(done.returncode != 4 and b"entry_points" in done.stderr and b"/usr/bin" in done.stderr,
               describe(done))
    with report.case("entry_args"):
        instance = configured.with_config(
            lambda c: c.update(entry_args={"/bin/probe": ["exit", "?"]}))
        expect(instance.run("/bin/probe", "exit", "4").returncode == 4, "matching: refused")
        done = instance.run("/bin/probe", "exit", "44")
        expect(done.returncode not in (0, 44) and b"entry_args" in done.stderr, describe(done))
        done = instance.run("/bin/probe", "exit", "4", "more")
        expect(done.returncode != 4, describe(done))
    with report.case("env.default and env.untrusted"):
        instance = configured.with_config(section("env", default=["A=1", "B=2"], untrusted=["B", "C"]))
        done = instance.run("/bin/probe", "env", env={"A": "host", "B": "host", "C": "host", "D": "host"})
        lines = sorted(l for l in done.stdout.decode().split() if l[0] in "ABCD")
        expect(lines == ["A=1", "B=host", "C=host"], describe(done))
    with report.case("env.untrusted does not let loader variables in unless named"):
        instance = configured.restore()
        for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PERL5LIB", "JAVA_TOOL_OPTIONS"):
            done = instance.run("/bin/probe", "env", env={name: "/host/evil.so"})
            expect(name.encode() not in done.stdout, describe(done))


def check_metadata(report, configured):
    with report.case("metadata.product_id binds the sealed layer"):
        instance = configured.restore()
        instance.run("/bin/probe", "secret", "/root/bound", "abc")
        instance = configured.with_config(section("metadata", product_id=7))
        done = instance.run("/bin/busybox", "cat", "/root/bound")
        expect(done.returncode != 0 and b"cba" not in done.stdout, describe(done))
        instance = configured.restore()
        expect(instance.run("/bin/busybox", "cat", "/root/bound").stdout == b"cba", "lost")
    with report.case("metadata.version_number: a newer version reads the sealed layer"):
        instance = configured.with_config(section("metadata", version_number=3))
        expect(instance.run("/bin/busybox", "cat", "/root/bound").stdout == b"cba", "lost")
    with report.case("metadata.disable_log"):
        for value, there in ((False, True), (True, False)):
            instance = configured.with_config(section("metadata", disable_log=value))
            done = instance.run("/bin/probe", "fault", "8", env={"OCCLUM_LOG_LEVEL": "error"})
            expect((b"probe+0x" in done.stderr) == there, describe(done))
    with report.case("metadata.debuggable: false never implies simulation"):
        configured.with_config(lambda c: None)
        config = json.loads(json.dumps(configured.base))
        config["metadata"]["debuggable"] = False
        with open(configured.path, "w") as f:
            json.dump(config, f)
        done = subprocess.run([configured.instance.occlum, "build"], cwd=configured.instance.dir,
                              capture_output=True, env={k: v for k, v in os.environ.items()
                                                        if k != "SGX_MODE"})
        expect(done.returncode != 0 and b"debuggable" in done.stderr, describe(done))


def check_features(report, configured):
    with report.case("feature.strict_memory"):
        instance = configured.with_config(section("feature", strict_memory=True))
        done = instance.run("/bin/probe", "after-munmap")
        expect(done.stdout == b"faults\n", describe(done))
    with report.case("feature.enable_posix_shm"):
        for value, said in ((True, b"shared\nshared by both\n"), (False, b"shared\nno such mappings\n")):
            instance = configured.with_config(section("feature", enable_posix_shm=value))
            done = instance.run("/bin/probe", "map-shared", "first")
            expect(done.stdout == said, describe(done))


def check_mounts(report, configured):
    def mounts(change):
        def apply(config):
            change(config["mount"])
        return apply

    with report.case("mount: a hostfs where the configuration says"):
        shared = configured.instance.dir + "/shared"
        os.makedirs(shared, exist_ok=True)
        with open(shared + "/from-host", "w") as f:
            f.write("seen\n")
        instance = configured.with_config(mounts(lambda m: m.append(
            {"target": "/host2", "type": "hostfs", "source": "./shared"})))
        done = instance.run("/bin/busybox", "cat", "/host2/from-host")
        expect(done.stdout == b"seen\n", describe(done))
        done = instance.run("/bin/busybox", "tee", "/host2/from-inside", stdin=b"back\n")
        expect(open(shared + "/from-inside").read() == "back\n", describe(done))
    with report.case("mount: nothing is executed from hostfs unless the configuration says so"):
        shutil.copy("/bin/busybox", configured.instance.dir + "/shared/busybox")
        entry = {"target": "/host2", "type": "hostfs", "source": "./shared"}
        for may in (False, True):
            def change(config):
                config["entry_points"] = ["/bin", "/host2"]
                config["mount"].append(dict(entry, options={"exec": may}))
            done = configured.with_config(change).run("/host2/busybox", "true")
            expect((done.returncode == 0) == may, f"exec={may}: {describe(done)}")
    with report.case("mount: ramfs is empty at each start"):
        instance = configured.with_config(mounts(lambda m: m.append({"target": "/scratch", "type": "ramfs"})))
        instance.run("/bin/busybox", "tee", "/scratch/a", stdin=b"x")
        done = instance.run("/bin/busybox", "ls", "/scratch")
        expect(done.stdout == b"" and done.returncode == 0, describe(done))
    with report.case("mount: a sealed data volume of its own survives"):
        instance = configured.with_config(mounts(lambda m: m.append(
            {"target": "/volume", "type": "sefs", "source": "./run/volume"})))
        instance.run("/bin/busybox", "tee", "/volume/a", stdin=b"kept\n")
        done = instance.run("/bin/busybox", "cat", "/volume/a")
        expect(done.stdout == b"kept\n", describe(done))
    with report.case("mount: temporary volumes start empty"):
        instance = configured.with_config(mounts(lambda m: m.append(
            {"target": "/volume", "type": "sefs", "source": "./run/temporary",
             "options": {"temporary": True}})))
        instance.run("/bin/busybox", "tee", "/volume/a", stdin=b"gone\n")
        done = instance.run("/bin/busybox", "ls", "/volume")
        expect(done.stdout == b"" and done.returncode == 0, describe(done))


def main():
    report = Report()
    work = scratch()
    try:
        configured = Configured(sys.argv[1] if len(sys.argv) > 1 else "build", work)
        for check in (check_limits, check_user, check_start, check_metadata, check_features, check_mounts):
            check(report, configured)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
