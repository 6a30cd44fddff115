#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is durable without fsync: after the commit interval, and at a program's end by a signal. Who
else may open a volume meanwhile: nobody."""
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Instance, Report, describe, expect, host_path, put_program, scratch

INTERVAL = 5
LAYER = "run/mount/__ROOT"


def start(instance, *argv):
    return subprocess.Popen([instance.occlum, "run", *argv], cwd=instance.dir, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


def note(instance, name, text):
    """A program that has written the text to the file, without fsync, and goes on living."""
    run = start(instance, "/bin/busybox", "tee", name)
    for part in (text, b"."):  # the echo of the second part says that the first is in the file
        run.stdin.write(part)
        run.stdin.flush()
        expect(run.stdout.read(len(part)) == part, "tee wrote something else")
    return run


def kept(instance, name):
    return instance.run("/bin/busybox", "cat", name)


def switches(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        for line in open(f"/proc/{pid}/task/{task}/status"):
            if line.startswith("voluntary_ctxt"):
                total += int(line.split()[1])
    return total


def written_and_killed(instance, name, seconds):
    """What is there afterwards of something that was written without fsync."""
    run = note(instance, name, b"later\n")
    time.sleep(seconds)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return kept(instance, name)


def check_interval(report, instance):
    with report.case("written without fsync, killed after the interval: there"):
        done = written_and_killed(instance, "/root/late", INTERVAL + 2)
        expect(done.returncode == 0 and done.stdout == b"later\n.", describe(done))
    with report.case("nothing to commit: nothing wakes up"):
        run = note(instance, "/root/idle", b"x\n")
        time.sleep(INTERVAL + 2)
        before = switches(run.pid)
        time.sleep(INTERVAL + 1)
        woken = switches(run.pid) - before
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        expect(woken <= 2, f"{woken} wake-ups in {INTERVAL + 1} s")


def check_configured(report, build, work):
    for text, option, wait, is_there in (("commit: 1, killed after 3 s: there", 1, 3, True),
                                         ("commit: explicit, killed after the usual interval: not there",
                                          "explicit", INTERVAL + 2, False)):
        with report.case(text):
            instance = Instance(build, f"{work}/commit-{option}")
            put_program(instance.image, "/bin/busybox", host_path("busybox"))
            instance.set_layer_options(commit=option)
            instance.build()
            done = written_and_killed(instance, "/root/late", wait)
            expect((done.stdout == b"later\n.") == is_there, describe(done))
            expect(instance.run("/bin/busybox", "sh", "-c", "echo x > /root/end").returncode == 0, "the end")
            expect(kept(instance, "/root/end").stdout == b"x\n", "a clean end commits")


def check_signals(report, instance):
    for name in ("SIGTERM", "SIGINT"):
        with report.case(f"{name}: the program dies, what it wrote stays"):
            run = note(instance, "/root/" + name, name.encode())
            run.send_signal(getattr(signal, name))
            status = run.wait()
            expect(status in (128 + getattr(signal, name), -getattr(signal, name)), status)
            done = kept(instance, "/root/" + name)
            expect(done.stdout.startswith(name.encode()), describe(done))


def layer_state(instance):
    folder = f"{instance.dir}/{LAYER}"
    return {name: (os.stat(f"{folder}/{name}").st_mtime_ns, open(f"{folder}/{name}", "rb").read())
            for name in os.listdir(folder)}


def check_reading(report, instance):
    with report.case("a run that only reads writes nothing"):
        before = layer_state(instance)
        done = instance.run("/bin/busybox", "ls", "/root")
        expect(done.returncode == 0, describe(done))
        expect(layer_state(instance) == before, "the layer was written to")


def check_room(report, instance):
    with report.case("the log of commits lies in blocks that the host's file has: no hole around it"):
        done = instance.run("/bin/busybox", "sh", "-c", "echo x > /root/synced; sync")
        expect(done.returncode == 0, describe(done))
        found = 0
        for name in os.listdir(f"{instance.dir}/{LAYER}"):
            with open(f"{instance.dir}/{LAYER}/{name}", "rb") as f:
                at = f.read().find(b"SVLG")
                if at >= 0:
                    chunk = at // 2**20 * 2**20
                    hole = os.lseek(f.fileno(), chunk, os.SEEK_HOLE)
                    expect(hole >= chunk + 2**20, f"{name}: the log is at {at}, a hole at {hole}")
                    found += 1
        expect(found, "no log")


def check_locks(report, instance):
    with report.case("a volume that a tool has locked is refused by name"):
        folder = os.open(f"{instance.dir}/{LAYER}", os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        done = instance.run("/bin/busybox", "true")
        os.close(folder)
        expect(done.returncode != 0 and LAYER.encode() in done.stderr and b"in use" in done.stderr,
               describe(done))
        expect(instance.run("/bin/busybox", "true").returncode == 0, "not released")
    with report.case("a running instance holds its volumes, and its images with other readers"):
        run = note(instance, "/root/held", b"held")
        try:
            folder = os.open(f"{instance.dir}/{LAYER}", os.O_RDONLY)
            try:
                fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
                expect(False, "the layer was not locked")
            except BlockingIOError:
                pass
            image = os.open(f"{instance.dir}/build/mount/__ROOT", os.O_RDONLY)
            fcntl.flock(image, fcntl.LOCK_SH | fcntl.LOCK_NB)
            os.close(folder)
            os.close(image)
        finally:
            run.stdin.close()
            run.wait()


def main():
    report = Report()
    work = scratch()
    try:
        build = sys.argv[1] if len(sys.argv) > 1 else "build"
        instance = Instance(build, work + "/instance")
        put_program(instance.image, "/bin/busybox", host_path("busybox"))
        instance.build()
        check_interval(report, instance)
        check_configured(report, build, work)
        check_signals(report, instance)
        check_reading(report, instance)
        check_room(report, instance)
        check_locks(report, instance)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
