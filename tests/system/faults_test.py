#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A host that fails: strace makes single host calls return errors. The program may see an error or
not, the run may fail; but the kernel does not stop, failures say something and have a status, and
what was committed before is still there afterwards.
"""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, Skip, describe, expect, probe_instance, scratch, side_by_side

# call, errno, and from which call on (1: every one)
FAULTS = [(call, error, when)
          for call, errors in (("pwrite64", ("ENOSPC", "EIO", "EINTR")), ("fdatasync", ("EIO", "EINTR")),
                               ("pread64", ("EIO", "EINTR")), ("ftruncate", ("ENOSPC",)),
                               ("mprotect", ("ENOMEM",)), ("clone", ("EAGAIN",)),
                               ("openat", ("EMFILE", "EACCES")))
          for error in errors
          for when in ("1+", "2", "3+", "9+", "30")]


def inject(instance, call, error, when, *argv, stdin=b""):
    prefix = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none",
              "-e", f"inject={call}:error={error}:when={when}"]
    return instance.run(*argv, stdin=stdin, prefix=prefix, timeout=60)


def check_faults(report, instance, faults):
    for call, error, when in faults:
        with report.case(f"{call} fails with {error}, {when}"):
            done = inject(instance, call, error, when, "/bin/probe", "secret", "/root/new", "abc")
            expect(b"the kernel stops" not in done.stderr, describe(done))
            expect(done.returncode < 128, describe(done))
            if done.returncode:
                expect(done.stderr or done.stdout, "failed without a word")
            done = instance.run("/bin/busybox", "cat", "/root/kept")
            expect(done.stdout == b"kept", "lost: " + describe(done))


def main():
    report = Report()
    work = scratch()
    try:
        if not shutil.which("strace"):
            with report.case("strace"):
                raise Skip("not installed")
            report.finish()
        instance = probe_instance(sys.argv[1] if len(sys.argv) > 1 else "build", work)
        instance.build()
        expect(instance.run("/bin/probe", "secret", "/root/kept", "tpek").returncode == 0, "setup")
        other = instance.copy(work + "/other")
        side_by_side(report, (lambda own: check_faults(own, instance, FAULTS[::2]),
                              lambda own: check_faults(own, other, FAULTS[1::2])))
        with report.case("a full disk below run/ says so and loses nothing"):
            full_disk(instance)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


def full_disk(instance):
    """The sealed layer on a file system of 3 MiB."""
    script = ('mount -t tmpfs -o size=3m tmpfs run/mount && mkdir run/mount/__ROOT && '
              '"$0" run /bin/busybox tee /root/first >/dev/null <<X\nfirst\nX\n'
              '"$0" run /bin/busybox dd if=/bin/busybox of=/root/big bs=1M; echo "status $?"; '
              '"$0" run /bin/busybox sh -c "cat /root/first"; echo "status $?"; '
              '"$0" run /bin/busybox dd if=/dev/urandom of=/root/big2 bs=64k count=200; echo "status $?"; '
              '"$0" run /bin/busybox cat /root/first; echo "status $?"')
    unshare = ["unshare", "-m"] + ([] if os.getuid() == 0 else ["-r"])
    done = subprocess.run([*unshare, "sh", "-c", script, instance.occlum], cwd=instance.dir,
                          capture_output=True, timeout=120)
    lines = done.stdout.decode().split("\n")
    expect(lines.count("first") == 2, describe(done))
    expect("status 1" in lines, "writing 12 MB to 3 MiB succeeded: " + describe(done))
    expect(b"error writing '/root/big2': No space left on device" in done.stderr, describe(done))
    expect(b"the kernel stops" not in done.stderr, describe(done))


main()
