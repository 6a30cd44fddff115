#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""occlum mount when things go wrong: killed servers, full and vanishing disks, who may use an instance with whom.

    tests/mount/faults.py [--build BUILD] [--long] [NAME...]

NAME picks parts: kills, ends, disks, truncated, matrix. Without the right to mount, all of it is SKIPPED.
"""
import argparse
import contextlib
import errno
import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.path.dirname(os.path.abspath(__file__))]
from harness import Instance, Report, Skip, expect, scratch
from mounts import Mounted, can_mount, fill, good, host_bytes, in_own_namespace, mounted, occlum, raises, read, refused, write

F_SETPIPE_SZ = 1031

# Writes, fsyncs, and only then says on stdout what is kept; between that it leaves much that is not. What was fsynced
# is never touched again under its name.
WRITER = """
import os, random, sys
root, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
os.makedirs(root, exist_ok=True)
i = 0
while True:
    n = rng.choice((1, 100, 5000, 70000, 300000))
    data = bytes([65 + i % 26]) * n
    loose = f"{root}/loose{i % 7}"
    with open(loose, "wb") as f:
        f.write(os.urandom(rng.choice((10, 100000))))
    if rng.random() < 0.3:
        os.unlink(loose)
    with open(f"{root}/new", "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.rename(f"{root}/new", f"{root}/kept{i}")
    d = os.open(root, os.O_RDONLY)
    os.fsync(d)
    os.close(d)
    print(i, n, flush=True)
    i += 1
"""


class Writer:
    """WRITER in a process of its own; said() is what it promised."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.process = subprocess.Popen([sys.executable, "-c", WRITER, folder, str(seed)], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)

    def wait_for(self, count):
        self.first = [self.process.stdout.readline() for _ in range(count)]
        expect(all(self.first), "the writer ended")

    def said(self):
        """Ends it. {name: bytes}"""
        self.process.kill()
        lines = self.first + self.process.stdout.read().split(b"\n")
        self.process.wait()
        kept = {}
        for line in lines:
            numbers = line.split()
            if len(numbers) == 2:
                kept[f"kept{int(numbers[0])}"] = bytes([65 + int(numbers[0]) % 26]) * int(numbers[1])
        return kept


def compare(folder, kept):
    for name, data in kept.items():
        expect(os.path.exists(f"{folder}/{name}"), f"{name} of {len(kept)} is gone")
        expect(read(f"{folder}/{name}") == data, f"{name} has other bytes")


def check_kills(report, instance, work, times):
    point, rng = f"{work}/mnt", random.Random()
    seed = rng.randrange(1 << 30)
    rng.seed(seed)
    with report.case(f"kill -9 of the server under load, {times} times (seed {seed}): what was fsynced is there"):
        for i in range(times):
            m = Mounted(instance, point)
            writers = [Writer(f"{point}/root/w{i}.{k}", rng.randrange(1 << 30)) for k in range(2)]
            for w in writers:
                w.wait_for(1)
            time.sleep(rng.random() * 0.5) # not to wait for anything: the moment is random
            m.process.kill()
            m.process.communicate()
            kept = [w.said() for w in writers]
            subprocess.run(["umount", "-l", point], check=True)
            good(occlum(instance, "image", "verify"))
            with mounted(instance, point):
                for w, k in zip(writers, kept):
                    compare(w.folder, k)
                    shutil.rmtree(w.folder)


def check_ends(report, instance, work):
    point = f"{work}/mnt"
    for name, how in (("umount -l", None), ("SIGTERM", signal.SIGTERM), ("SIGINT", signal.SIGINT)):
        with report.case(f"{name} during writes: committed and clean"):
            m = Mounted(instance, point)
            writer = Writer(f"{point}/root/busy", 1)
            writer.wait_for(3)
            if how is None:
                held = os.open(point, os.O_RDONLY) # the writer has no file open all the time
                done = subprocess.run(["umount", point], capture_output=True)
                expect(done.returncode != 0, "umount of a busy file system worked")
                subprocess.run(["umount", "-l", point], check=True)
                os.close(held)
            else:
                m.process.send_signal(how)
                m.process.communicate(timeout=60)
            kept = writer.said() # with it goes the last file that holds a lazily unmounted file system
            m.process.communicate(timeout=60)
            expect(m.process.returncode == 0, f"server: {m.process.returncode}")
            good(occlum(instance, "image", "verify"))
            with mounted(instance, point):
                compare(writer.folder, kept)
                shutil.rmtree(writer.folder)


def used(folder):
    return int(subprocess.run(["du", "-sk", folder], capture_output=True, check=True).stdout.split()[0]) << 10


@contextlib.contextmanager
def moved_to(instance, device, *options):
    """The instance as a copy on a file system of its own."""
    place = device + ".mounted"
    os.makedirs(place, exist_ok=True)
    done = subprocess.run(["mount", *options, place], capture_output=True)
    if done.returncode:
        raise Skip(f"cannot mount: {done.stderr.decode().strip()}")
    try:
        subprocess.run(["cp", "-a", instance.dir, place + "/instance"], check=True)
        copy = object.__new__(Instance)
        copy.__dict__.update(instance.__dict__)
        copy.dir = place + "/instance"
        yield copy, place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill_up(path):
    """Writes until the disk is full; the error must come, at write or at fsync."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(4096):
            os.write(fd, os.urandom(1 << 20))
            os.fsync(fd)
    except OSError as e:
        expect(e.errno == errno.ENOSPC, f"{errno.errorcode[e.errno]} instead of ENOSPC")
        return
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)
    raise AssertionError("the disk is never full")


def room_after_removing(path):
    """The kernel says later that nobody holds it any more."""
    folder, end = os.path.dirname(path), time.monotonic() + 30
    os.unlink(path)
    while (left := os.statvfs(folder)).f_bavail * left.f_bsize < 10 << 20:
        expect(time.monotonic() < end, f"removing gave back nothing: {left}")


def check_disks(report, instance, work):
    point = f"{work}/mnt"
    with report.case("disk full: ENOSPC, nothing fsynced is lost, room helps"):
        size = used(instance.dir) + (24 << 20)
        with moved_to(instance, f"{work}/full", "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as (copy, place):
            m = Mounted(copy, point)
            try:
                write(f"{point}/root/before", b"kept" * 10000, sync=True)
                fill_up(f"{point}/root/big")
                expect(read(f"{point}/root/before") == b"kept" * 10000, "what was there")
                room_after_removing(f"{point}/root/big")
                write(f"{point}/root/instead", b"room" * (2 << 20), sync=True)
                fill_up(f"{point}/root/big")
            finally:
                m.process.send_signal(signal.SIGTERM)
                m.process.communicate(timeout=60)
            subprocess.run(["mount", "-o", f"remount,size={size + (64 << 20)}", place], check=True)
            good(occlum(copy, "image", "verify"))
            with mounted(copy, point):
                expect(read(f"{point}/root/before") == b"kept" * 10000, "what was fsynced")
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{point}/root/big")
                write(f"{point}/root/after", b"room" * 100000, sync=True)
            good(occlum(copy, "image", "verify"))
    with report.case("not even room for the holder's name: what is there can be read"):
        size = used(instance.dir) + (1 << 20)
        with moved_to(instance, f"{work}/brim", "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as (copy, place):
            os.truncate(f"{copy.dir}/.__occlum_lock", 0)
            with contextlib.suppress(OSError), open(f"{place}/filler", "wb") as f:
                while f.write(bytes(4096)):
                    pass
            expect(os.statvfs(place).f_bavail == 0, "there is room")
            expect(good(occlum(copy, "image", "cat", "/root/x")) == b"x", "what programs wrote")
            with mounted(copy, point, "--read-only"):
                expect(read(f"{point}/root/x") == b"x", "what programs wrote, on the mount")
    with report.case("the first run has filled the host's disk: a mount says so, and the image can be read"):
        with moved_to(instance, f"{work}/filled", "-t", "tmpfs", "-o", f"size={used(instance.dir) + (8 << 20)}", "tmpfs") as (copy, place):
            layer = f"{copy.dir}/run/mount/__ROOT"
            shutil.rmtree(layer)
            os.mkdir(layer)
            copy.run("/bin/busybox", "dd", "if=/dev/zero", "of=/root/fill", "bs=1M")
            with contextlib.suppress(OSError), open(f"{place}/filler", "wb", buffering=0) as f:
                while f.write(bytes(4096)):
                    pass
            refused(occlum(copy, "mount", "--background", point), "disk is full", "run/mount/__ROOT", "--read-only")
            with mounted(copy, point, "--read-only"):
                expect(read(f"{point}/bin/busybox") == read("/bin/busybox"), "the image's file")
    with report.case("a read-only host directory: refused with the reason, or shown read-only"):
        with moved_to(instance, f"{work}/ro", "-t", "tmpfs", "tmpfs") as (copy, place):
            subprocess.run(["mount", "-o", "remount,ro", place], check=True)
            for command in (("mount", point), ("image", "snapshot", "create", "no")):
                refused(occlum(copy, *command), "read-only", "occlum mount --read-only")
            with mounted(copy, point, "--read-only"):
                expect(read(f"{point}/root/x") == b"x", "what programs wrote")
                raises(errno.EROFS, write, f"{point}/root/no", b"")
                # The name that lies in the lock file is that of who was there before.
                refused(occlum(copy, "image", "ls"), "another process (occlum mount)", "umount")
                expect(good(occlum(copy, "status")) == b"mounted\n", "status")
            good(occlum(copy, "image", "ls"))
    with report.case("the backing file goes away while mounted: EIO, no wrong byte, no crash"):
        with moved_to(instance, f"{work}/gone", "-t", "tmpfs", "tmpfs") as (copy, place):
            data = os.urandom(4 << 20)
            with mounted(copy, point):
                write(f"{point}/root/data", data)
            m = Mounted(copy, point)
            for folder, _, files in os.walk(copy.dir + "/run/mount/__ROOT"):
                for name in files:
                    os.truncate(f"{folder}/{name}", 0)
            fd = os.open(f"{point}/root/data", os.O_RDONLY)
            try:
                raises(errno.EIO, os.pread, fd, 4096, 2 << 20)
            finally:
                os.close(fd)
            expect(read(f"{point}/bin/busybox") == read("/bin/busybox"), "the image's files stay readable")
            m.process.send_signal(signal.SIGTERM)
            m.process.communicate(timeout=60)
            expect(m.process.returncode >= 0, f"the server crashed: {m.process.returncode}")


def check_truncated(report, instance, work):
    point = f"{work}/mnt"
    for what in ("build", "run"):
        with report.case(f"a truncated volume of {what}/: damaged is named, nothing is changed"):
            copy = object.__new__(Instance)
            copy.__dict__.update(instance.__dict__)
            copy.dir = f"{work}/truncated-{what}"
            subprocess.run(["cp", "-a", instance.dir, copy.dir], check=True)
            segment = f"{copy.dir}/{what}/mount/__ROOT/seg.00000000"
            os.truncate(segment, 128 << 10) # what was written first lies in the beginning
            before = {p: d for p, d in host_bytes(copy) if not p.endswith("_lock")}
            done = occlum(copy, "image", "verify")
            refused(done, "damaged")
            opened = occlum(copy, "mount", "--background", "--read-only", point)
            if opened.returncode == 0: # its structure lies in the first half: what opens can be read
                subprocess.run(["umount", point], check=True)
                good(occlum(copy, "image", "info"))
            else:
                refused(opened, "damaged", *(["occlum build --force"] if what == "build" else []))
            after = {p: d for p, d in host_bytes(copy) if not p.endswith("_lock")}
            expect(before == after, "something was changed")


@contextlib.contextmanager
def waiting_tool(work):
    """A sign tool that says it was called and waits: whoever signs with it holds the instance meanwhile."""
    tool, ready, go = (f"{work}/tool.{x}" for x in ("sh", "ready", "go"))
    os.mkfifo(ready)
    os.mkfifo(go)
    write(tool, f"#!/bin/sh\necho up > {ready}\nread x < {go}\nexit 1\n".encode())
    os.chmod(tool, 0o755)
    yield tool, ready, go
    for path in (tool, ready, go):
        os.unlink(path)


def start_holder(instance, what, point, tool):
    """Starts a user that stays; returns it when it has the instance, and how it is made to end."""
    if what == "mount":
        m = Mounted(instance, point)
        return m.process, m.end
    path, ready, go = tool
    commands = {"build": ("build", "--force", "--sign-tool", path),
                "image": ("image", "ls", "--sign-tool", path),
                "run": ("run", "/bin/busybox", "cat"),
                # nobody reads all that it has to say
                "fsck": ("fsck", "--dump", "build/mount/__ROOT")}
    holder = subprocess.Popen([instance.occlum, *commands[what]], cwd=instance.dir, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if what == "run":
        holder.stdin.write(b"up\n")
        holder.stdin.flush()
        expect(holder.stdout.readline() == b"up\n", "the program runs")
    elif what == "fsck":
        fcntl.fcntl(holder.stdout, F_SETPIPE_SZ, 4096)
        expect(holder.stdout.read(1), "it writes")
    else:
        expect(read(ready) == b"up\n", "the tool is called")

    def end():
        if what in ("build", "image"):
            write(go, b"\n")
        holder.communicate(timeout=60)
    return holder, end


def check_matrix(report, instance, work):
    point = f"{work}/mnt"
    os.makedirs(point + ".2", exist_ok=True)
    second = {"run": ("run", "/bin/busybox", "true"), "build": ("build",), "mount": ("mount", point + ".2"),
              "fsck": ("fsck", "run/mount/__ROOT"), "image": ("image", "ls")}
    for holder in second:
        with waiting_tool(work) as tool:
            process, end = start_holder(instance, holder, point, tool)
            try:
                pid = read(instance.dir + "/.__occlum_lock").split()[0].decode()
                for name, command in second.items():
                    with report.case(f"while `occlum {holder}` has the instance: {name} is refused, the holder named"):
                        refused(occlum(instance, *command), pid, f"occlum {holder}")
            finally:
                end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    in_own_namespace()
    report = Report()
    why = can_mount()
    if why or os.geteuid():
        print(f"SKIPPED all faults of mounts: {why or 'only root mounts what is taken away here'}")
        report.skipped += 1
        report.finish()
    work = scratch("occlum-mount-")
    os.makedirs(f"{work}/mnt", exist_ok=True)
    parts = {"kills": lambda: check_kills(report, instance, work, 100 if args.long else 4),
             "ends": lambda: check_ends(report, instance, work),
             "disks": lambda: check_disks(report, instance, work),
             "truncated": lambda: check_truncated(report, instance, work),
             "matrix": lambda: check_matrix(report, instance, work)}
    try:
        instance = Instance(args.build, f"{work}/instance")
        fill(instance.image)
        for i in range(300): # so that fsck --dump has more to say than a pipe takes
            write(f"{instance.image}/etc/{i:0200}", b"")
        instance.build()
        instance.run("/bin/busybox", "tee", "/root/x", stdin=b"x")
        instance.run("/bin/busybox", "tee", "/root/much", stdin=os.urandom(1 << 20))
        for name, part in parts.items():
            if not args.names or name in args.names:
                part()
    finally:
        for point in (f"{work}/mnt", f"{work}/mnt.2"):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
