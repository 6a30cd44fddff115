#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Freshness: under an anchor an older copy of the sealed layer is refused, the newest one never is."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, describe, expect, probe_instance, scratch

ID = "00112233445566778899aabbccddeeff"
STALE = b"is not the state that its anchor knows"

# An anchor as its owner would run it: compare-and-swap over one record, all under the image key's HKDF.
HOOK = """#!/usr/bin/env python3
import hashlib, hmac, os, sys
here = os.path.dirname(os.path.abspath(__file__))
image_key = bytes.fromhex(open(here + "/image.key").read().strip().replace("-", ""))
prk = hmac.new(bytes(32), image_key, hashlib.sha256).digest()
key = hmac.new(prk, b"secvol1/anchor\x01", hashlib.sha256).digest()
store, old, puts = here + "/record", here + "/reply", here + "/puts"
ident, nonce = bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
if os.path.exists(here + "/replay"):
    print(open(old).read()); sys.exit(0)
body = b"OCANCHR1" + ident + bytes(104)
held = open(store, "rb").read() if os.path.exists(store) else body + hmac.new(key, body, hashlib.sha256).digest()
if sys.argv[1] == "put":
    expected, record, mac = map(bytes.fromhex, sys.argv[4:])
    if os.path.exists(here + "/meddle"):  # the host in between
        record = open(here + "/meddle", "rb").read()
    if hmac.new(key, b"secvol1/anchor put" + nonce + expected + record, hashlib.sha256).digest() != mac:
        sys.exit(4)
    if held[40:144] != expected:
        sys.exit(3)
    open(puts, "a").write(" ".join(sys.argv[1:]) + "\\n")
    held = record
    open(store, "wb").write(held)
reply = held.hex() + hmac.new(key, b"secvol1/anchor" + nonce + held, hashlib.sha256).hexdigest()
open(old, "w").write(reply)
print(reply)
"""


def set_anchor(instance, **options):
    path = instance.dir + "/Occlum.json"
    if not os.path.exists(path + ".first"):
        shutil.copy(path, path + ".first")
    text = open(path + ".first").read()
    where = '"source": "./run/mount/__ROOT"'
    expect(text.count(where) == 1, "the template has another writable layer")
    at = text.index(where) + len(where)
    text = text[:at] + ', "options": ' + json.dumps({"volume_id": ID, **options}) + text[at:]
    open(path, "w").write(text)


def put(instance, text, **kw):
    return instance.run("/bin/busybox", "tee", "/root/kept", stdin=text, **kw)


def get(instance, **kw):
    return instance.run("/bin/busybox", "cat", "/root/kept", **kw)


class Volume:
    """The host's copies of the sealed layer."""

    def __init__(self, instance, work):
        self.here, self.work = instance.dir + "/run/mount", work

    def copy(self, name):
        shutil.rmtree(f"{self.work}/{name}", ignore_errors=True)
        shutil.copytree(self.here, f"{self.work}/{name}")

    def delete(self):
        for name in os.listdir(self.here + "/__ROOT"):
            os.unlink(f"{self.here}/__ROOT/{name}")

    def restore(self, name):
        shutil.rmtree(self.here)
        shutil.copytree(f"{self.work}/{name}", self.here)


def refused(done, word=STALE):
    expect(done.returncode != 0 and word in done.stderr, describe(done))
    lines = [l for l in done.stderr.splitlines() if b"mount/__ROOT" in l]
    expect(len(lines) == 1, describe(done))
    expect(b"older" not in done.stdout and b"old" not in done.stdout, "content was shown")


def check_history(report, kind, instance, volume, env=None):
    with report.case(f"{kind}: runs follow one another"):
        expect(put(instance, b"old", env=env).returncode == 0, "first run")
        volume.copy("old")
        expect(put(instance, b"new", env=env).returncode == 0, "second run")
        done = get(instance, env=env)
        expect(done.stdout == b"new", describe(done))
    volume.copy("new")
    with report.case(f"{kind}: an older copy of the sealed layer is refused in one line"):
        volume.restore("old")
        refused(get(instance, env=env))
    with report.case(f"{kind}: a layer that was deleted is not begun anew"):
        volume.delete()
        refused(get(instance, env=env))
    with report.case(f"{kind}: the newest state goes on after both"):
        volume.restore("new")
        done = get(instance, env=env)
        expect(done.stdout == b"new", describe(done))


def kill_in_the_middle(instance, seconds):
    """SIGKILL to the whole instance while it commits; the number of commits it has told of."""
    run = subprocess.Popen([instance.occlum, "run", "/bin/busybox", "sh", "-c",
                            "i=0; while :; do i=$((i+1)); echo $i > /root/count; sync; echo $i; done"],
                           cwd=instance.dir, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           start_new_session=True)
    told = run.stdout.readline()  # it has begun
    time.sleep(seconds)  # when exactly is left to chance
    os.killpg(run.pid, signal.SIGKILL)
    lines = (told + run.stdout.read()).split()
    run.wait()
    return int(lines[-1]) if lines else 0


def check_crashes(report, instance, volume):
    with report.case("strict: after a kill exactly one state is accepted, and it has all that was synced"):
        rng = random.Random(1)
        for _ in range(5):
            told = kill_in_the_middle(instance, rng.uniform(0, 0.3))
            volume.copy("crashed")
            done = instance.run("/bin/busybox", "cat", "/root/count")
            expect(done.returncode == 0 and int(done.stdout) >= told, f"told {told}; " + describe(done))
            volume.copy("new")
            volume.restore("crashed")  # the same moment a second time: its successor is there already
            refused(get(instance))
            volume.restore("new")
        done = get(instance)
        expect(done.returncode == 0, describe(done))


def main():
    report = Report()
    work = scratch()
    try:
        instance = probe_instance(sys.argv[1] if len(sys.argv) > 1 else "build", work)
        volume = Volume(instance, work)
        with report.case("without an anchor an older copy opens: the test can fail"):
            instance.build()
            put(instance, b"old")
            volume.copy("old")
            put(instance, b"new")
            volume.restore("old")
            done = get(instance)
            expect(done.stdout == b"old", describe(done))
        for policy in ("strict", "mount"):
            anchor = f"{work}/anchor.{policy}"
            set_anchor(instance, anchor=policy, anchor_file=anchor)
            instance.build("--force")
            volume.delete()
            check_history(report, policy, instance, volume)
            if policy == "strict":
                check_crashes(report, instance, volume)
            with report.case(f"{policy}: a changed record, an older one, and none are refused"):
                good = open(anchor, "rb").read()
                put(instance, b"newer")
                now = open(anchor, "rb").read()
                for bad in (bytes([good[50] ^ 1]).join((now[:50], now[51:])), now[:100], good):
                    open(anchor, "wb").write(bad)
                    done = get(instance)
                    expect(done.returncode != 0 and b"newer" not in done.stdout or policy == "mount",
                           describe(done))
                os.unlink(anchor)
                refused(get(instance))
                open(anchor, "wb").write(now)
                done = get(instance)
                expect(done.stdout == b"newer", describe(done))
        hook, key = work + "/hook", work + "/image.key"
        subprocess.run([instance.occlum, "gen-image-key", key], check=True, capture_output=True)
        open(hook, "w").write(HOOK)
        os.chmod(hook, 0o700)
        env = {"OCCLUM_ANCHOR_COMMAND": hook}
        set_anchor(instance, anchor="strict", anchor_command=True)
        instance.build("--force", "--image-key", key, "--buildin-image-key")
        volume.delete()
        check_history(report, "command", instance, volume, env)
        with report.case("command: an answer that is played again is refused"):
            open(work + "/replay", "w").close()
            done = get(instance, env=env)
            os.unlink(work + "/replay")
            expect(done.returncode != 0 and b"new" not in done.stdout, describe(done))
        with report.case("command: a put that was asked once fits no second time, nor with an older record"):
            asked = [line.split() for line in open(work + "/puts")]
            expect(len(asked) > 5, f"{len(asked)} puts were seen")
            for question in asked:
                again = subprocess.run([hook, *question], capture_output=True)
                expect(again.returncode == 3, f"a put is obeyed again: {again}")
            older = bytes.fromhex(asked[0][4])
            open(work + "/meddle", "wb").write(older)
            done = get(instance, env=env)
            os.unlink(work + "/meddle")
            expect(done.returncode != 0 and b"new" not in done.stdout, describe(done))
            done = get(instance, env=env)
            expect(done.stdout == b"new", describe(done))
        with report.case("command: none named, and one that is not there, are said so"):
            done = get(instance)
            expect(done.returncode != 0 and b"OCCLUM_ANCHOR_COMMAND" in done.stderr, describe(done))
            done = get(instance, env={"OCCLUM_ANCHOR_COMMAND": "/nonexistent"})
            expect(done.returncode != 0 and b"new" not in done.stdout, describe(done))
            done = get(instance, env=env)
            expect(done.stdout == b"new", describe(done))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
