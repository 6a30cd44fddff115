#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Minima of the configuration: what was written under an older key epoch or version is refused, what is migrated opens."""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, describe, expect, probe_instance, scratch

TOO_OLD = b"was written under an older key epoch or security version"


class Layer:
    """The instance with its writable layer, and the host's copies of that."""

    def __init__(self, instance, work):
        self.instance, self.work = instance, work
        self.here, self.config = instance.dir + "/run/mount", instance.dir + "/Occlum.json"
        self.first = open(self.config).read()

    def configure(self, version, **options):
        where = '"source": "./run/mount/__ROOT"'
        number = '"version_number": 0'
        expect(self.first.count(where) == 1 and self.first.count(number) == 1, "the template is another one")
        text = self.first.replace(where, f'{where}, "options": {json.dumps(options)}')
        open(self.config, "w").write(text.replace(number, f'"version_number": {version}'))
        self.instance.build()

    def copy(self, name):
        shutil.copytree(self.here, f"{self.work}/{name}")

    def restore(self, name):
        shutil.rmtree(self.here)
        shutil.copytree(f"{self.work}/{name}", self.here)

    def delete(self):
        for name in os.listdir(self.here + "/__ROOT"):
            os.unlink(f"{self.here}/__ROOT/{name}")

    def put(self, text):
        done = self.instance.run("/bin/busybox", "tee", "/root/kept", stdin=text)
        expect(done.returncode == 0, describe(done))

    def holds(self, text):
        done = self.instance.run("/bin/busybox", "cat", "/root/kept")
        expect(done.returncode == 0 and done.stdout == text, describe(done))

    def is_refused(self):
        done = self.instance.run("/bin/busybox", "cat", "/root/kept")
        expect(done.returncode != 0 and TOO_OLD in done.stderr and not done.stdout, describe(done))

    def rotate(self):
        done = subprocess.run([self.instance.occlum, "image", "rotate"], cwd=self.instance.dir, capture_output=True)
        expect(done.returncode == 0, describe(done))


def main():
    report = Report()
    work = scratch()
    try:
        layer = Layer(probe_instance(sys.argv[1] if len(sys.argv) > 1 else "build", work), work)
        with report.case("without minima a layer of before a rotation opens: the test can fail"):
            layer.configure(0)
            layer.put(b"first")
            layer.copy("first")
            layer.rotate()
            layer.holds(b"first")
            layer.copy("rotated")
            layer.restore("first")
            layer.holds(b"first")
        with report.case("min_key_epoch: an older epoch is refused, the rotated layer opens"):
            layer.configure(0, min_key_epoch=2)
            layer.is_refused()
            layer.restore("rotated")
            layer.holds(b"first")
        with report.case("min_key_epoch: a new layer begins at the epoch that is asked for"):
            layer.delete()
            layer.put(b"new")
            layer.holds(b"new")
        with report.case("min_isvsvn: what an older version of the enclave wrote is refused"):
            layer.configure(1, min_isvsvn=1)
            layer.is_refused()
            layer.delete()
            layer.put(b"newer")
            layer.holds(b"newer")
        with report.case("min_isvsvn: the owner's rotation brings an older layer forward"):
            layer.configure(1)
            layer.restore("rotated")
            layer.holds(b"first")
            layer.rotate()
            layer.configure(1, min_isvsvn=1)
            layer.holds(b"first")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
