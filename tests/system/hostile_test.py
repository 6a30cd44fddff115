#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
An instance that somebody else has prepared (security rule 27). Where a file is expected lies a fifo,
a socket, a link, a folder or a device; the folder may be written by everybody, or belongs to
somebody else. Nothing hangs, nothing outside of the instance is touched, and each refusal is a line
that names the file.
"""
import os
import shutil
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, Skip, describe, expect, probe_instance, scratch

PATIENCE = 30
RUN = ("run", "/bin/busybox", "cat", "/root/kept")
# What lies in the file's place -> how it gets there.
KINDS = {
    "fifo": lambda path, victim: os.mkfifo(path),
    "socket": lambda path, victim: bind(path),
    "link": lambda path, victim: os.symlink(victim, path),
    "folder": lambda path, victim: os.mkdir(path),
    "device": lambda path, victim: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(5, 0)),
}


def bind(path):
    here = os.getcwd()
    os.chdir(os.path.dirname(path))  # the address has room for a name alone
    socket.socket(socket.AF_UNIX).bind(os.path.basename(path))
    os.chdir(here)


class Replaced:
    """For the time of the block something else lies at `path`."""

    def __init__(self, path, kind, victim):
        self.path, self.kind, self.victim = path, kind, victim
        self.aside = os.path.dirname(victim) + "/aside"

    def __enter__(self):
        os.rename(self.path, self.aside)
        try:
            # The link leads to the very file: only that it is a link is wrong.
            KINDS[self.kind](self.path, self.aside if self.kind == "link" else self.victim)
        except PermissionError as e:
            os.rename(self.aside, self.path)
            raise Skip(str(e))

    def __exit__(self, *_):
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            shutil.rmtree(self.path)
        elif os.path.lexists(self.path):
            os.unlink(self.path)
        os.rename(self.aside, self.path)


def occlum(instance, *argv, **kw):
    return subprocess.run([instance.occlum, *argv], cwd=instance.dir, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=PATIENCE, **kw)


def check_files(report, instance, victim):
    """(file, word of the line that must name it)"""
    files = (
        ("build/mount/__ROOT/root", b"build/mount/__ROOT/root"),
        ("build/mount/__ROOT/seg.00000000", b"build/mount/__ROOT/seg.00000000"),
        ("build/initfs/__ROOT/root", b"build/initfs/__ROOT/root"),
        ("run/mount/__ROOT/root", b"run/mount/__ROOT/root"),
        ("run/mount/__ROOT/seg.00000000", b"run/mount/__ROOT/seg.00000000"),
        ("build/.Occlum_sys.bin", b".Occlum_sys.bin"),
        ("build/lib/libocclum-libos.signed.so", b"libocclum-libos.signed.so"),
        (".__occlum_lock", b".__occlum_lock"),
    )
    for name, word in files:
        for kind in KINDS:
            with report.case(f"a {kind} in place of {name} is refused"):
                path = f"{instance.dir}/{name}"
                with Replaced(path, kind, victim):
                    done = occlum(instance, *RUN)
                    if kind == "link" and name in LINKS_ARE_FINE:
                        expect(done.returncode == 0, describe(done))
                    else:
                        expect(done.returncode != 0 and word in done.stderr, describe(done))
                        expect(b"kept" not in done.stdout, describe(done))
                        expect(b"the kernel stops" not in done.stderr, describe(done))
    with report.case("with every file back, it runs"):
        done = occlum(instance, *RUN)
        expect(done.returncode == 0 and done.stdout == b"kept", describe(done))


# Read alone, and checked as bytes (signature, measured digest): where they lie says nothing.
LINKS_ARE_FINE = {"build/.Occlum_sys.bin", "build/lib/libocclum-libos.signed.so"}


def check_links(report, instance, victim):
    for name in ("run/mount/__ROOT/root", "run/mount/__ROOT/seg.00000000", ".__occlum_lock"):
        for how in (os.symlink, os.link):
            with report.case(f"{name} is a {how.__name__} to another file: that one stays as it is"):
                path = f"{instance.dir}/{name}"
                with Replaced(path, "folder", victim):
                    os.rmdir(path)
                    how(victim, path)
                    done = occlum(instance, *RUN)
                    expect(done.returncode != 0 and done.stderr, describe(done))
                    expect(open(victim, "rb").read() == NOT_YOURS, "it was written")
    with report.case("the folder of a volume is a link"):
        path = f"{instance.dir}/run/mount/__ROOT"
        with Replaced(path, "link", victim):
            done = occlum(instance, *RUN)
            expect(done.returncode != 0 and done.stderr, describe(done))


NOT_YOURS = b"not yours\n" * 5000


def check_commands(report, instance, victim):
    for name in (".__occlum_lock", ".__occlum_status", "Occlum.json", "build/.stamp", "build/mount/.ROOT_MAC",
                 "build/.Occlum_sys.bin", "build/lib/libocclum-libos.signed.so", "build/mount/__ROOT/root"):
        for command in (("status",), ("print", "mrenclave"), ("build", "--sgx-mode", "SIM")):
            with report.case(f"a fifo in place of {name}: occlum {command[0]} ends"):
                path = f"{instance.dir}/{name}"
                if not os.path.exists(path):
                    raise Skip("no such file")
                with Replaced(path, "fifo", victim):
                    done = occlum(instance, *command)
                    expect(done.returncode == 0 or done.stderr, describe(done))
    with report.case("it builds and runs after that"):
        expect(occlum(instance, "build", "--sgx-mode", "SIM").returncode == 0, "build")
        expect(occlum(instance, *RUN).stdout == b"kept", "run")


def check_owners(report, instance):
    with report.case("an instance that everybody may write is refused"):
        mode = stat.S_IMODE(os.stat(instance.dir).st_mode)
        os.chmod(instance.dir, 0o777)
        try:
            for command in (RUN, ("build", "--sgx-mode", "SIM"), ("status",)):
                done = occlum(instance, *command)
                expect(done.returncode != 0 and b"writable by everyone" in done.stderr,
                       f"{command}: {describe(done)}")
        finally:
            os.chmod(instance.dir, mode)
    with report.case("an instance of another user is refused"):
        if os.getuid():
            raise Skip("needs root")
        os.chown(instance.dir, 12345, 12345)
        try:
            for command in (RUN, ("build", "--sgx-mode", "SIM")):
                done = occlum(instance, *command)
                expect(done.returncode != 0 and b"belongs to user 12345" in done.stderr,
                       f"{command}: {describe(done)}")
        finally:
            os.chown(instance.dir, 0, 0)


def main():
    report = Report()
    work = scratch()
    try:
        instance = probe_instance(sys.argv[1] if len(sys.argv) > 1 else "build", work)
        instance.build()
        victim = f"{work}/victim"
        with open(victim, "wb") as f:
            f.write(NOT_YOURS)
        expect(instance.run("/bin/probe", "secret", "/root/kept", "tpek").returncode == 0, "setup")
        check_files(report, instance, victim)
        check_links(report, instance, victim)
        check_commands(report, instance, victim)
        check_owners(report, instance)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
