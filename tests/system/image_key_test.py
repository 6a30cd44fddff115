#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Encrypted images: what the host sees of them, and who can run them."""
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, describe, expect, probe_instance, scratch

SECRET = b"text of the image that the host must not see"


def image_bytes(instance):
    return b"".join(open(p, "rb").read() for p in glob.glob(instance.dir + "/build/mount/__ROOT/*"))


def main():
    report = Report()
    work = scratch()
    try:
        instance = probe_instance(sys.argv[1] if len(sys.argv) > 1 else "build", work)
        with open(instance.image + "/etc/secret", "wb") as f:
            f.write(SECRET * 200)
        key = work + "/image.key"
        with report.case("gen-image-key makes a private file of the manual's form"):
            subprocess.run([instance.occlum, "gen-image-key", key], check=True, capture_output=True)
            text = open(key).read()
            expect(len(text) == 48 and text.count("-") == 15 and text.endswith("\n"), repr(text))
            expect(os.stat(key).st_mode & 0o077 == 0, oct(os.stat(key).st_mode))
        with report.case("the host reads an integrity-only image: the test can fail"):
            instance.build()
            expect(SECRET in image_bytes(instance), "not found")
        with report.case("the host does not read an encrypted image"):
            instance.build("--image-key", key)
            expect(SECRET not in image_bytes(instance), "found")
        with report.case("without a key an encrypted image gives one clear error"):
            done = instance.run("/bin/busybox", "cat", "/etc/secret")
            expect(done.returncode != 0 and SECRET not in done.stdout and b"key" in done.stderr,
                   describe(done))
        with report.case("with the built-in key it runs"):
            instance.build("--image-key", key, "--buildin-image-key")
            done = instance.run("/bin/busybox", "cat", "/etc/secret")
            expect(done.stdout == SECRET * 200, describe(done))
            expect(SECRET not in image_bytes(instance), "readable on the host")
        with report.case("the sealed layer works above an encrypted image"):
            instance.run("/bin/busybox", "tee", "/root/above", stdin=b"above\n")
            done = instance.run("/bin/busybox", "cat", "/root/above")
            expect(done.stdout == b"above\n", describe(done))
        with report.case("another image key, and none: the build says what does not open any more"):
            other = work + "/other.key"
            subprocess.run([instance.occlum, "gen-image-key", other], check=True, capture_output=True)
            done = instance.build("--image-key", other, "--buildin-image-key")
            expect("do not open" in done.stderr, done.stderr)
            done = instance.run("/bin/busybox", "true")
            expect(done.returncode != 0 and b"image key" in done.stderr, describe(done))
        with report.case("the layer opens with its image key, whatever the machine"):
            instance.build("--image-key", key, "--buildin-image-key")
            machine = work + "/other-machine.key"
            with open(machine, "wb") as f:
                f.write(os.urandom(32))
            os.chmod(machine, 0o600)
            done = instance.run("/bin/busybox", "cat", "/root/above", env={"OCCLUM_SIM_KEY": machine})
            expect(done.stdout == b"above\n", describe(done))
        with report.case("back to an integrity-only image without --force"):
            instance.build("--reset")
            done = instance.run("/bin/busybox", "cat", "/etc/secret")
            expect(done.stdout == SECRET * 200, describe(done))
        for name, text in (("short", "c7-32\n"), ("letters", "zz-" * 15 + "zz\n"), ("empty", "")):
            with report.case(f"a {name} key file is refused by name"):
                bad = f"{work}/{name}.key"
                open(bad, "w").write(text)
                done = instance.build("--image-key", bad, check=False)
                expect(done.returncode != 0 and bad in done.stderr, f"{done.returncode} {done.stderr}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
