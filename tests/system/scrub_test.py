#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running instance reads its writable layer again (mount.options.scrub_rate): what somebody changed on the
host's disk meanwhile is named in the log, and /proc/fs/sefs counts.

    scrub_test.py BUILD
"""
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Instance, Report, describe, expect, host_path, put_program, scratch

# Says when it runs, then waits until damage is counted.
SCRIPT = """
echo running
read go
until busybox grep -q 'damaged [1-9]' /proc/fs/sefs; do busybox usleep 50000; done
busybox cat /proc/fs/sefs
"""


def spoil(layer):
    """A byte of every data block that is not zeros, from the middle of the segments on."""
    for path in glob.glob(f"{layer}/seg.*"):
        data = bytearray(open(path, "rb").read())
        for at in range(len(data) // 2 // 4096 * 4096 if len(data) > 1 << 20 else len(data), len(data), 4096):
            data[at + 100] ^= any(data[at:at + 4096])
        with open(path, "r+b") as f:
            f.write(data)


def main():
    report = Report()
    work = scratch()
    try:
        instance = Instance(sys.argv[1] if len(sys.argv) > 1 else "build", work + "/instance")
        put_program(instance.image, "/bin/busybox", host_path("busybox"))
        open(instance.image + "/watch.sh", "w").write(SCRIPT)
        instance.set_layer_options(scrub_rate="500MB")
        instance.build()
        done = instance.run("/bin/busybox", "sh", "-c", "busybox seq 1 400000 > /root/watched")
        expect(done.returncode == 0, describe(done))
        with report.case("a running instance finds and names what was changed on the disk"):
            run = subprocess.Popen([instance.occlum, "run", "/bin/busybox", "sh", "/watch.sh"], cwd=instance.dir,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            expect(run.stdout.readline() == b"running\n", run.stderr.read() if run.poll() is not None else "")
            spoil(f"{instance.dir}/run/mount/__ROOT")
            try:
                out, err = run.communicate(b"go\n", timeout=60)
            finally:
                run.kill()
            expect(b"rate 524288000" in out and b"damaged" in out, (out, err))
            expect(b"/root/watched in run/mount/__ROOT does not open any more" in err, (out, err))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
