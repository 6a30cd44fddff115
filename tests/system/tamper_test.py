#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The trust chain: one changed byte of kernel, configuration or image stops the run and is named."""
import fcntl
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, describe, expect, probe_instance, scratch


class Flipped:
    """One bit of a file is changed for the time of the block."""

    def __init__(self, path, offset):
        self.path, self.offset = path, offset

    def __enter__(self):
        with open(self.path, "r+b") as f:
            f.seek(self.offset)
            self.byte = f.read(1)
            f.seek(self.offset)
            f.write(bytes([self.byte[0] ^ 4]))

    def __exit__(self, *_):
        with open(self.path, "r+b") as f:
            f.seek(self.offset)
            f.write(self.byte)


def position(path, what):
    with open(path, "rb") as f:
        at = f.read().find(what)
    expect(at >= 0, f"{path} does not hold {what}")
    return at


def check_flips(report, instance):
    kernel = instance.dir + "/build/lib/libocclum-libos.signed.so"
    config = [p for p in glob.glob(instance.dir + "/build/.Occlum_sys*") if not p.endswith(".json")][0]
    image = sorted(glob.glob(instance.dir + "/build/mount/__ROOT/*"))
    initfs = sorted(glob.glob(instance.dir + "/build/initfs/__ROOT/*"))
    largest = max(image, key=os.path.getsize)
    targets = (
        ("the kernel", kernel, 0x3000, b"kernel image was changed"),
        ("the kernel's file header", kernel, 0x28, b"kernel image"),
        ("the kernel's file that is not loaded", kernel, os.path.getsize(kernel) - 20, b"kernel image"),
        ("the configuration", config, os.path.getsize(config) // 2, b"onfiguration"),
        ("the image, in a file's data", largest, position(largest, b"probe: no such command"), b"mount/__ROOT"),
        # A fresh image has its root in the second slot.
        ("the image's root", image[0], 4096 + 600, b"mount/__ROOT"),
        ("an unused root slot of the image", image[0], 600, b"mount/__ROOT"),
        ("the initfs", initfs[0], 4096 + 600, b"initfs/__ROOT"),
    )
    for what, path, offset, word in targets:
        with report.case(f"one changed byte of {what} stops the run"), Flipped(path, offset):
            done = instance.run("/bin/probe", "nothing-of-this-name")
            expect(done.returncode not in (0, 2) and word in done.stderr and done.stderr,
                   describe(done))
            expect(b"no such command" not in done.stderr, "the changed text was shown")
    with report.case("with every byte back, it runs again"):
        expect(instance.run("/bin/probe", "exit", "5").returncode == 5, "does not")


BLOCKS = [f"block {n} of a long file. ".encode() * 200 for n in range(100, 164)]
LONG_FILE = b"".join(b[:4096] for b in BLOCKS)


def check_long_file(report, instance):
    """Reads take many blocks at once: a bad one must neither become zeros nor take others along."""
    path = max(glob.glob(instance.dir + "/build/mount/__ROOT/*"), key=os.path.getsize)
    with report.case("a changed block in the middle of a file: what is before and behind it reads well, it does not"), \
            Flipped(path, position(path, b"block 121 of") + 50):
        done = instance.run("/bin/busybox", "cat", "/long")
        expect(done.returncode == 1 and b"/output error" in done.stderr, describe(done))
        expect(done.stdout == LONG_FILE[:21 * 4096], f"{len(done.stdout)} bytes came")
        done = instance.run("/bin/busybox", "dd", "if=/long", "bs=4096", "skip=22")
        expect(done.returncode == 0 and done.stdout == LONG_FILE[22 * 4096:], describe(done))
    with report.case("the same through occlum image cat"), Flipped(path, position(path, b"block 121 of") + 50):
        done = subprocess.run([instance.occlum, "image", "cat", "/long"], cwd=instance.dir, capture_output=True)
        expect(done.returncode != 0 and LONG_FILE.startswith(done.stdout) and b"damaged" in done.stderr, describe(done))


def check_sealed(report, instance, work):
    expect(instance.run("/bin/probe", "secret", "/root/kept", "abc").returncode == 0, "secret")
    upper = sorted(glob.glob(instance.dir + "/run/mount/__ROOT/*"))
    with report.case("the sealed layer is read by the same owner on the same machine"):
        done = instance.run("/bin/busybox", "cat", "/root/kept")
        expect(done.stdout == b"cba", describe(done))
    with report.case("a sealed layer that another process has open is not opened twice"):
        held = os.open(instance.dir + "/run/mount/__ROOT", os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_SH)
        done = instance.run("/bin/busybox", "cat", "/root/kept")
        os.close(held)
        expect(done.returncode == 1 and b"in use" in done.stderr, describe(done))
    with report.case("a copied instance on another machine cannot read the sealed layer"):
        done = instance.run("/bin/busybox", "cat", "/root/kept",
                            env={"OCCLUM_SIM_KEY": work + "/other-machine.key"})
        expect(done.returncode != 0 and b"cba" not in done.stdout and b"key" in done.stderr,
               describe(done))
    with report.case("a re-signed instance cannot read the sealed layer"):
        sh = subprocess.run(["openssl", "genrsa", "-3", "-out", work + "/other.pem", "3072"],
                            capture_output=True)
        expect(sh.returncode == 0, sh.stderr)
        instance.build("--sign-key", work + "/other.pem", "--force")
        done = instance.run("/bin/busybox", "cat", "/root/kept")
        expect(done.returncode != 0 and b"cba" not in done.stdout, describe(done))
        instance.build("--force")
        done = instance.run("/bin/busybox", "cat", "/root/kept")
        expect(done.stdout == b"cba", describe(done))
    with report.case("a sealed layer whose file root is lost is not written over"):
        os.rename(upper[0], work + "/root")
        done = instance.run("/bin/busybox", "cat", "/root/kept")
        expect(done.returncode == 1 and b"`root` is lost" in done.stderr, describe(done))
        os.rename(work + "/root", upper[0])
        done = instance.run("/bin/busybox", "cat", "/root/kept")
        expect(done.stdout == b"cba", describe(done))
    for path in upper:
        size = os.path.getsize(path)
        for offset in (700, size // 2, size - 100):
            with open(path, "rb") as f:
                f.seek(offset)
                if f.read(1) == b"\0":
                    continue
            with report.case(f"a changed byte of {os.path.basename(path)} at {offset} gives no other data"):
                with Flipped(path, offset):
                    done = instance.run("/bin/busybox", "cat", "/root/kept")
                expect(done.stdout in (b"cba", b""), describe(done))


def main():
    report = Report()
    work = scratch()
    try:
        instance = probe_instance(sys.argv[1] if len(sys.argv) > 1 else "build", work)
        with open(instance.image + "/long", "wb") as f:
            f.write(LONG_FILE)
        instance.build()
        check_flips(report, instance)
        check_long_file(report, instance)
        check_sealed(report, instance, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
