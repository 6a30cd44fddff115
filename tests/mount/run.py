#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""occlum mount and occlum image: what they show, what they keep, whom they refuse.

    tests/mount/run.py [--build BUILD] [NAME...]

NAME picks cases by a part of their names. Without /dev/fuse, or the right to use it, what needs a mount is SKIPPED.
"""
import argparse
import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.path.dirname(os.path.abspath(__file__))]
from harness import Instance, Report, describe, expect, scratch
from as_on_host import compare_posix
from tools import check_completion, check_json, check_progress
from who import check_limits, check_no_device, check_ordinary_user, check_rebuilt, check_stale
from mounts import Mounted, can_mount, fill, good, host_bytes, in_own_namespace, mounted, occlum, raises, read, refused, write

# ---- the cases ------------------------------------------------------------------------------------------


def check_both_ways(report, instance, point, what, options=()):
    secret = "marker" + os.urandom(12).hex()
    with report.case(f"{what}: what a program writes is seen under the mount, and the reverse"):
        instance.run("/bin/busybox", "tee", "/root/inside", stdin=secret.encode())
        with mounted(instance, point, *options):
            expect(read(f"{point}/root/inside").decode() == secret, "the program's file")
            expect(read(f"{point}/bin/busybox") == read("/bin/busybox"), "the image's file")
            write(f"{point}/root/outside", secret.encode())
            os.mkdir(f"{point}/made")
            os.unlink(f"{point}/etc/gone")
            write(f"{point}/etc/changed", b"new\n")
        done = instance.run("/bin/busybox", "cat", "/root/outside", "/etc/changed")
        expect(done.stdout.decode() == secret + "new\n", describe(done))
        done = instance.run("/bin/busybox", "ls", "-d", "/made", "/etc/gone")
        expect(done.stdout == b"/made\n", describe(done))
        for path, data in host_bytes(instance):
            expect(secret.encode() not in data, f"{path} holds the marker")
    with report.case(f"{what}: image tools see the same"):
        expect(good(occlum(instance, "image", "cat", *options, "/root/outside")).decode() == secret, "cat")
        changes = json.loads(good(occlum(instance, "image", "diff", "--json", *options)))
        found = {(c["change"], c["path"]) for c in changes}
        for want in (("deleted", "/etc/gone"), ("content", "/etc/changed"), ("added", "/made")):
            expect(want in found, f"no {want} in {found}")
        good(occlum(instance, "image", "verify", *options))


def check_ends(report, instance, point):
    for name, how in (("umount", "umount"), ("Ctrl-C", signal.SIGINT), ("SIGTERM", signal.SIGTERM)):
        with report.case(f"{name} ends it, committed"):
            m = Mounted(instance, point)
            write(f"{point}/root/last", name.encode() * 100000) # dirty in the kernel's cache
            m.end(how)
            done = occlum(instance, "image", "cat", "/root/last")
            expect(done.stdout == name.encode() * 100000, f"{len(done.stdout)} bytes")
    with report.case("--background returns when it is there"):
        done = occlum(instance, "mount", "--background", point)
        expect(done.returncode == 0 and os.path.ismount(point), describe(done))
        expect(b"umount" in done.stdout and b"Ctrl-C" not in done.stdout, "what it ends with")
        subprocess.run(["umount", point], check=True)
        good(occlum(instance, "image", "info")) # waits for the commit behind umount


def check_kill(report, instance, point):
    with report.case("kill -9 loses nothing that was fsynced"):
        for i in range(5):
            m = Mounted(instance, point)
            write(f"{point}/root/kept{i}", b"%d" % i * 50000, sync=True)
            write(f"{point}/root/perhaps", os.urandom(100000))
            m.kill()
            for k in range(i + 1):
                done = occlum(instance, "image", "cat", f"/root/kept{k}")
                expect(done.stdout == b"%d" % k * 50000, f"after kill {i}: {describe(done)[:300]}")
            good(occlum(instance, "image", "verify"))


@contextlib.contextmanager
def held_by(what, instance, point, work):
    """The instance while `what` uses it; the pid that the others shall hear."""
    if what == "mount":
        with mounted(instance, point):
            yield read(instance.dir + "/.__occlum_lock").split()[0].decode()
        return
    tool, fifo = f"{work}/waiting-tool", f"{work}/fifo"
    if not os.path.exists(fifo):
        os.mkfifo(fifo)
        write(tool, f"#!/bin/sh\ncat {fifo}\nexit 1\n".encode())
        os.chmod(tool, 0o755)
    # Two wait for their input, two for room in a full pipe.
    commands = {"run": ("run", "/bin/busybox", "sh", "-c", "echo up; cat"), "build": ("build", "--sign-tool", tool),
                "fsck": ("fsck", "--dump", "build/mount/__ROOT"), "image": ("image", "cat", "/bin/busybox")}
    out, into = os.pipe()
    if what in ("fsck", "image"):
        os.write(into, bytes(fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)))
    holder = subprocess.Popen([instance.occlum, *commands[what]], cwd=instance.dir, stdin=subprocess.PIPE, stdout=into,
                              stderr=subprocess.DEVNULL)
    os.close(into)
    release = open(fifo, "wb") if what == "build" else holder.stdin # the tool has started
    with open(out, "rb") as output:
        while not read(instance.dir + "/.__occlum_lock").startswith(b"%d " % holder.pid):
            expect(holder.poll() is None, f"{what} has ended")
            time.sleep(0.01)
        yield str(holder.pid)
        release.close()
        holder.stdin.close()
        output.read()
    holder.wait()


def check_exclusion(report, instance, point, work):
    users = {"run": ("run", "/bin/busybox", "true"), "build": ("build",), "mount": ("mount", point + ".2"),
             "fsck": ("fsck", "run/mount/__ROOT"), "image": ("image", "ls")}
    os.makedirs(point + ".2", exist_ok=True)
    for holder in users:
        with report.case(f"while it is used by {holder}: {', '.join(users)} are refused, and told by whom"):
            with held_by(holder, instance, point, work) as pid:
                for command in users.values():
                    refused(occlum(instance, *command), f"process {pid} (occlum {holder})")
                states = {"run": b"running", "build": b"building", "mount": b"mounted"}
                expect(good(occlum(instance, "status")).strip() == states.get(holder, b"in use"), "status")
    with report.case("after all of them it runs"):
        expect(instance.run("/bin/busybox", "true").returncode == 0, "it does not")


def check_keys(report, instance, point, work, other_key):
    """Of an instance that was built without an image key."""
    def untouched(*argv, words, env=None):
        before = dict(host_bytes(instance))
        refused(occlum(instance, *argv, env=env), *words)
        after = dict(host_bytes(instance))
        lock = instance.dir + "/.__occlum_lock"
        before.pop(lock, 0), after.pop(lock, 0)
        expect(before == after, "the instance was changed")

    machine = f"{work}/other-machine.key"
    write(machine, os.urandom(32))
    os.chmod(machine, 0o600)
    public = f"{work}/public.pem"
    own = os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"),
                       "occlum/development-sign.key")
    subprocess.run(["openssl", "rsa", "-in", own, "-pubout", "-out", public], check=True,
                   capture_output=True)
    copier = f"{work}/copier"
    write(copier, b"#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = -out ] && out=$2; shift; done\n"
          + b"cp " + instance.dir.encode() + b"/build/lib/libocclum-libos.signed.so \"$out\"\n")
    os.chmod(copier, 0o755)
    for command in (("mount", point), ("image", "ls")):
        with report.case(f"{command[0]}: another signer"):
            untouched(*command, "--sign-key", other_key, words=["wrong signer"])
        with report.case(f"{command[0]}: another machine"):
            untouched(*command, words=["wrong machine"], env={"OCCLUM_SIM_KEY": machine})
        with report.case(f"{command[0]}: an image key where there is none"):
            untouched(*command, "--image-key", machine, words=["without an image key"])
        with report.case(f"{command[0]}: the public key is not enough"):
            untouched(*command, "--sign-key", public, words=["sign"])
        with report.case(f"{command[0]}: a tool that hands out the instance's signature is not enough"):
            untouched(*command, "--sign-tool", copier, words=["sign"])


def check_mounted_damage(report, instance, point):
    with report.case("a damaged block in the middle of a file: EIO and no zeros, the rest can be read on the mount"):
        segment = instance.dir + "/build/mount/__ROOT/seg.00000000"
        data = read(segment)
        at = data.find(b"to be damaged" * 10)
        with open(segment, "r+b") as f:
            f.seek(at + 5000)
            f.write(b"X")
        with mounted(instance, point):
            raises(errno.EIO, read, point + "/etc/damaged")
            fd = os.open(point + "/etc/damaged", os.O_RDONLY)
            raises(errno.EIO, os.pread, fd, 100, 6000)
            for where, size in ((0, 4096), (8192, 4096), (12288, 1000)):
                expect(os.pread(fd, size, where) == (b"to be damaged" * 1000)[where:where + size], f"at {where}")
            os.close(fd)
        write(segment, data)


def check_point(report, instance, point):
    with report.case("a directory that holds something is not hidden"):
        refused(occlum(instance, "mount", instance.image), instance.image, "not empty")
    with report.case("where something is mounted already, that is said"):
        with mounted(instance, point):
            refused(occlum(instance, "mount", point), "mounted there already", "umount")
    with report.case("a snapshot of the image, which has none, is refused"):
        refused(occlum(instance, "mount", "--layer", "ro", "--snapshot", "any", point), "--layer ro")
        refused(occlum(instance, "image", "ls", "--layer", "ro", "--snapshot", "any"), "--layer ro")
    with report.case("commands that are about the present take no snapshot"):
        for command in (("grow", "2TB"), ("diff",), ("snapshot", "list"), ("rotate",)):
            refused(occlum(instance, "image", *command, "--snapshot", "any"), f"not for {command[0]}")


def check_damage(report, instance):
    with report.case("a damaged image: the file is named, the rest can be read"):
        segment = instance.dir + "/build/mount/__ROOT/seg.00000000"
        data = read(segment)
        at = data.find(b"to be damaged" * 10)
        expect(at > 0, "the plaintext image shows the text")
        with open(segment, "r+b") as f:
            f.seek(at)
            f.write(b"X")
        refused(occlum(instance, "image", "cat", "/etc/damaged"), "damaged", "/etc/damaged")
        refused(occlum(instance, "image", "verify"), "damaged", "/etc/damaged")
        good(occlum(instance, "image", "cat", "/bin/busybox"))
        write(segment, data)
        good(occlum(instance, "image", "verify"))


def check_snapshots(report, instance, point, fuse):
    with report.case("snapshots: create, list, diff, look, roll back, delete"):
        good(occlum(instance, "image", "snapshot", "create", "first"))
        refused(occlum(instance, "image", "snapshot", "create", "first"), "already")
        for name in ("", "a/b", "..", "x" * 256):
            refused(occlum(instance, "image", "snapshot", "create", name), f"'{name}' cannot be the name of a snapshot")
        instance.run("/bin/busybox", "tee", "/root/later", stdin=b"later")
        changes = json.loads(good(occlum(instance, "image", "diff", "--json", "first")))
        expect([c["path"] for c in changes] == ["/root/later"], changes)
        names = [s["name"] for s in json.loads(good(occlum(instance, "image", "snapshot", "list", "--json")))]
        expect(names == ["first"], names)
        if fuse:
            with mounted(instance, point, "--snapshot", "first"):
                expect(not os.path.exists(f"{point}/root/later"), "the past shows the present")
                raises(errno.EROFS, write, f"{point}/root/no", b"")
        good(occlum(instance, "image", "snapshot", "rollback", "first"))
        done = instance.run("/bin/busybox", "ls", "/root/later")
        expect(done.returncode != 0, describe(done))
        good(occlum(instance, "image", "snapshot", "delete", "first"))


def check_care(report, instance, work):
    with report.case("the writable layer is scrubbed, named, grown and gets a new key"):
        instance.run("/bin/busybox", "tee", "/root/cared", stdin=b"cared for " * 5000)
        expect(b"opens" in good(occlum(instance, "image", "scrub")), "scrub says nothing")
        good(occlum(instance, "image", "scrub", "50MB"))
        refused(occlum(instance, "image", "scrub", "fast"), "rate")
        good(occlum(instance, "image", "label", "of the test"))
        refused(occlum(instance, "image", "label", "x" * 65), "64 bytes")
        good(occlum(instance, "image", "grow", "2TB"))
        refused(occlum(instance, "image", "grow", "1GB"), "only grows")
        upper = json.loads(good(occlum(instance, "image", "info", "--json")))["upper"]
        expect(upper["label"] == "of the test" and upper["bytes_limit"] == 2 << 40, upper)
        expect(b"epoch" in good(occlum(instance, "image", "rotate")), "rotate says nothing")
        after = json.loads(good(occlum(instance, "image", "info", "--json")))["upper"]
        expect(after["key_epoch"] == upper["key_epoch"] + 1 and after["old_epochs"] == 0, after)
        done = instance.run("/bin/busybox", "cat", "/root/cared")
        expect(done.stdout == b"cared for " * 5000, describe(done))
    with report.case("keys: a key file opens the layer, until it is removed; the instance's own stays"):
        recovery, layer = f"{work}/recovery.key", f"{instance.dir}/run/mount/__ROOT"
        good(occlum(instance, "gen-image-key", recovery))
        own = json.loads(good(occlum(instance, "image", "keys", "list", "--json")))
        expect(len(own) == 1 and own[0]["opened"] and own[0]["holder"] == "enclave", own)
        for key in (("--key", recovery), ()): # no key file opens it: who checks it then
            refused(occlum(instance, "fsck", *key, layer), "does not open", "occlum image verify")
        good(occlum(instance, "image", "keys", "add", recovery))
        refused(occlum(instance, "fsck", layer), "--key")
        listed = json.loads(good(occlum(instance, "image", "keys", "list", "--json")))
        expect([k["holder"] for k in listed] == ["enclave", "key file"], listed)
        good(occlum(instance, "fsck", "--key", recovery, layer))
        refused(occlum(instance, "image", "keys", "remove", "0"), "opens the volume with")
        refused(occlum(instance, "image", "keys", "remove", "3"), "empty")
        good(occlum(instance, "image", "keys", "rewrap"))
        good(occlum(instance, "fsck", "--key", recovery, layer))
        good(occlum(instance, "image", "keys", "remove", "1"))
        refused(occlum(instance, "fsck", "--key", recovery, layer), "does not open")
        done = instance.run("/bin/busybox", "cat", "/root/cared")
        expect(done.stdout == b"cared for " * 5000, describe(done))
    with report.case("to-root: an older state becomes the present, and the newer can be gone back to"):
        def generation():
            return json.loads(good(occlum(instance, "image", "info", "--json")))["upper"]["generation"]
        old = generation()
        instance.run("/bin/busybox", "tee", "/root/cared", stdin=b"changed")
        new = generation()
        done = occlum(instance, "image", "to-root", str(new))
        refused(done, "no older one")
        expect(done.stderr.count(b"\n") == 1, describe(done))
        refused(occlum(instance, "image", "to-root", "one"), "is no generation")
        told = json.loads(good(occlum(instance, "image", "to-root", "--json", str(old))))
        expect(told["given_up"] == new and told["went_to"] == old and told["generation"] == new + 1, told)
        done = instance.run("/bin/busybox", "cat", "/root/cared")
        expect(done.stdout == b"cared for " * 5000, describe(done))
        good(occlum(instance, "image", "scrub"))
    with report.case("a snapshot keeps the old key in use, which rotate says and finish ends"):
        good(occlum(instance, "image", "snapshot", "create", "keeps"))
        refused(occlum(instance, "image", "rotate"), "snapshots")
        good(occlum(instance, "image", "snapshot", "delete", "keeps"))
        good(occlum(instance, "image", "rotate", "finish"))
        good(occlum(instance, "image", "scrub"))
    with report.case("a scrub names the file that does not open any more"):
        layer = f"{instance.dir}/run/mount/__ROOT"
        saved = f"{work}/scrubbed"
        shutil.copytree(layer, saved)
        found = False
        for name in sorted(os.listdir(layer)):
            data = read(f"{layer}/{name}")
            for at in range(65536, len(data), 4096):
                if found or not any(data[at:at + 4096]):
                    continue
                with open(f"{layer}/{name}", "r+b") as f:
                    f.seek(at + 100)
                    f.write(bytes([data[at + 100] ^ 1]))
                done = occlum(instance, "image", "scrub")
                found = done.returncode == 1 and b"/root/cared" in done.stdout + done.stderr
                write(f"{layer}/{name}", data)
        expect(found, "no changed block led to the file's name")
        good(occlum(instance, "image", "scrub"))
        shutil.rmtree(saved)


def check_extract(report, instance, work):
    with report.case("extract brings bytes, modes and links, and replaces nothing"):
        good(occlum(instance, "image", "extract", "/etc", f"{work}/etc"))
        expect(read(f"{work}/etc/damaged") == b"to be damaged" * 1000, "bytes")
        expect(os.path.samefile(f"{work}/etc/one", f"{work}/etc/two"), "hard links")
        expect(os.readlink(f"{work}/etc/link") == "one", "symbolic link")
        refused(occlum(instance, "image", "extract", "/etc", f"{work}/etc"), f"'{work}/etc' exists", "new path")
        refused(occlum(instance, "image", "extract", "/etc", f"{work}/none/etc"), f"'{work}/none/'")
    with report.case("cat of a directory says what it is"):
        refused(occlum(instance, "image", "cat", "/etc"), "'/etc'", "Is a directory")


def run_all(report, build, work, fuse):
    point = f"{work}/mnt"
    instance = Instance(build, f"{work}/instance")
    fill(instance.image)
    instance.build()
    other_key = f"{work}/other.pem"
    subprocess.run([os.path.abspath(f"{build}/host/sign/occlum-sign"), "genkey", "-out", other_key],
                   check=True, capture_output=True)
    with report.case("an instance that never ran: the image alone"):
        expect(b"etc" in good(occlum(instance, "image", "ls")), "ls")
        expect(good(occlum(instance, "image", "ls", "-lR")) == good(occlum(instance, "image", "ls", "-R", "-l")), "ls -lR")
        refused(occlum(instance, "image", "ls", "-lx"), "-lx")
        expect(not json.loads(good(occlum(instance, "image", "info", "--json")))["written"], "info")
    instance.run("/bin/busybox", "tee", "/root/x", stdin=b"x")
    check_keys(report, instance, point, work, other_key)
    check_damage(report, instance)
    check_extract(report, instance, work)
    check_snapshots(report, instance, point, fuse)
    check_care(report, instance, work)
    check_json(report, instance, work)
    check_progress(report, instance, work)
    check_rebuilt(report, instance, point, fuse)
    check_completion(report, instance)
    if not fuse:
        return
    check_no_device(report, instance, point)
    check_ordinary_user(report, instance, work)
    check_stale(report, build, work, point)
    check_point(report, instance, point)
    check_mounted_damage(report, instance, point)
    check_both_ways(report, instance, point, "autokey")
    check_ends(report, instance, point)
    check_exclusion(report, instance, point, work)
    check_kill(report, instance, point)
    with report.case("nosuid, nodev and private"):
        with mounted(instance, point):
            line = next(l for l in open("/proc/self/mountinfo") if f" {point} " in l)
            expect("nosuid" in line and "nodev" in line and "allow_other" not in line, line)
    with report.case("the memory for keys is wiped on fork and in no dump"):
        m = Mounted(instance, point)
        try:
            holder = read(instance.dir + "/.__occlum_lock").split()[0].decode()
            flags = [l.split()[1:] for l in open(f"/proc/{holder}/smaps") if l.startswith("VmFlags:")]
            expect(any("wf" in f and "dd" in f for f in flags), "no such mapping")
            expect(not any("wf" in f and "dd" not in f for f in flags), "some of it is dumped")
        finally:
            m.end()
    with report.case("a mount point that a killed server left is named"):
        for look in (True, False): # whether the kernel has the folder's attributes, which it goes on telling
            m = Mounted(instance, point)
            if look:
                os.listdir(point)
            m.process.kill()
            m.process.communicate()
            refused(occlum(instance, "mount", point), "left behind", "umount" if os.geteuid() == 0 else "fusermount3 -u")
            subprocess.run(["umount", "-l", point], check=True)
            expect(not os.path.ismount(point), "another mount below it")
    with report.case("no point to mount at, and a file"):
        refused(occlum(instance, "mount", f"{work}/nowhere"), "nowhere")
        refused(occlum(instance, "mount", f"{work}/other.pem"), "not a directory")
    with report.case("--read-only and --layer"):
        with mounted(instance, point, "--read-only"):
            raises(errno.EROFS, write, f"{point}/root/no", b"")
        with mounted(instance, point, "--layer", "ro"):
            expect(os.path.exists(f"{point}/etc/gone") and not os.path.exists(f"{point}/root/inside"), "image")
        with mounted(instance, point, "--layer", "rw", "--read-only"):
            expect(sorted(os.listdir(point)) == ["upper", "work"], os.listdir(point))
    m = Mounted(instance, point)
    try:
        compare_posix(report, point, work)
        check_limits(report, point, work)
    finally:
        m.end()
    with report.case("after all of it the volume is whole"):
        good(occlum(instance, "image", "verify"))


def run_encrypted(report, build, work):
    point = f"{work}/mnt"
    instance = Instance(build, f"{work}/encrypted")
    fill(instance.image)
    keys = [f"{work}/{n}.key" for n in ("right", "wrong")]
    for key in keys:
        good(occlum(instance, "gen-image-key", key))
    instance.build("--image-key", keys[0], "--buildin-image-key")
    with report.case("an encrypted image: without its key, and with another"):
        refused(occlum(instance, "image", "ls"), "--image-key")
        refused(occlum(instance, "image", "ls", "--image-key", keys[1]), "wrong key")
        for options, words in (((), "--image-key"), (("--image-key", keys[1]), "wrong key")):
            done = occlum(instance, "image", "info", "--json", *options)
            refused(done, words)
            expect(done.stderr.count(b"\n") == 1, describe(done))
            expect(json.loads(done.stdout)["written"] is None, "who cannot look claims to know what was written")
        refused(occlum(instance, "mount", "--image-key", keys[1], point), "wrong key")
    check_both_ways(report, instance, point, "image key", ("--image-key", keys[0]))


def run_host_made(report, build, work):
    """An empty encrypted image, filled under a mount, is one that runs, on another machine too."""
    point = f"{work}/mnt"
    instance = Instance(build, f"{work}/made")
    key, machine = f"{work}/made.key", f"{work}/made-elsewhere.machine"
    shutil.rmtree(instance.image)
    os.mkdir(instance.image)
    good(occlum(instance, "gen-image-key", key))
    instance.build("--image-key", key, "--buildin-image-key")
    root = f"{work}/made-root"
    fill(root)
    secret = os.urandom(16).hex().encode()
    write(f"{root}/etc/secret", secret * 100)
    os.chmod(f"{root}/etc/secret", 0o640)
    with report.case("an image made on the host: mount the empty one, copy a root in, unmount"):
        with mounted(instance, point, "--image-key", key):
            expect(os.listdir(point) == [], f"not empty: {os.listdir(point)}")
            subprocess.run(["cp", "-a", root + "/.", point], check=True)
        for path, data in host_bytes(instance):
            expect(secret not in data, f"{path} holds the plaintext")
    with report.case("an image made on the host: verify and a run accept it"):
        good(occlum(instance, "image", "verify", "--image-key", key))
        done = instance.run("/bin/busybox", "cat", "/etc/secret")
        expect(done.stdout == secret * 100, describe(done))
    write(machine, os.urandom(32))
    os.chmod(machine, 0o600)
    elsewhere = {"OCCLUM_SIM_KEY": machine}
    with report.case("an image made on the host: another machine that has the key runs and mounts it"):
        done = instance.run("/bin/busybox", "tee", "/root/there", stdin=b"there", env=elsewhere)
        expect(done.returncode == 0, describe(done))
        with mounted(instance, point, "--image-key", key, env=elsewhere):
            expect(read(f"{point}/root/there") == b"there", "the other machine's file")
            expect(os.stat(f"{point}/etc/secret").st_mode & 0o777 == 0o640, "mode")
        with mounted(instance, point, "--image-key", key):
            expect(read(f"{point}/root/there") == b"there", "back on the first")
    with report.case("an image made on the host: not without the key, not with another, not by another signer"):
        other = f"{work}/made-other.key"
        good(occlum(instance, "gen-image-key", other))
        refused(occlum(instance, "mount", point), "--image-key")
        refused(occlum(instance, "mount", "--layer", "rw", point), "--image-key")
        refused(occlum(instance, "mount", "--layer", "rw", "--image-key", other, point), "wrong key")
        refused(occlum(instance, "mount", "--image-key", key, "--sign-key", f"{work}/other.pem", point),
                "wrong signer")


def run_hardware(report, build, work):
    """An instance for hardware: the key comes out of a helper enclave, on the emulated processor."""
    point = f"{work}/mnt"
    instance = Instance(build, f"{work}/hardware", emu=True)
    fill(instance.image)
    instance.configure(user_space_size="1GB", kernel_space_heap_size="64MB", max_num_of_threads=32)
    instance.build()
    env = {"OCCLUM_MOUNT_LOADER": instance.emu, "EMU_KEY": instance.emu_key}
    with report.case("hardware: where nothing was written yet, that is said"):
        refused(occlum(instance, "mount", point, env=env), "run the instance once")
    done = instance.run("/bin/busybox", "tee", "/root/inside", stdin=b"sealed by the CPU")
    expect(done.returncode == 0, describe(done))
    before = set(os.listdir("/tmp"))
    with report.case("hardware: a mount shows what the enclave wrote, and the reverse"):
        with mounted(instance, point, env=env):
            expect(read(f"{point}/root/inside") == b"sealed by the CPU", "the program's file")
            write(f"{point}/root/outside", b"from the host")
        done = instance.run("/bin/busybox", "cat", "/root/outside")
        expect(done.stdout == b"from the host", describe(done))
        left = [n for n in set(os.listdir("/tmp")) - before if n.startswith("occlum-helper")]
        expect(not left, f"the helper stays: {left}")
    with report.case("hardware: another processor"):
        other = f"{work}/other.processor"
        write(other, os.urandom(32))
        refused(occlum(instance, "image", "ls", env={**env, "EMU_KEY": other}), "wrong machine")
    with report.case("hardware: another signer"):
        refused(occlum(instance, "image", "ls", "--sign-key", f"{work}/other.pem", env=env), "wrong signer")
    with report.case("hardware: no processor that would do it"):
        refused(occlum(instance, "image", "ls", env={**env, "OCCLUM_MOUNT_LOADER": "/bin/false"}), "gave no key")
    with report.case("hardware: a copy of the helper gives nothing to who has not its secret"):
        copy, keeper = f"{work}/copied-helper", f"{work}/keeper"
        write(keeper, f"""#!/bin/sh
cp -a . {copy}
exec {instance.emu} "$@"
""".encode())
        os.chmod(keeper, 0o755)
        good(occlum(instance, "image", "ls", env={**env, "OCCLUM_MOUNT_LOADER": keeper}))
        for secret in (b"", os.urandom(32), bytes(32)):
            done = subprocess.run([instance.emu, "/bin/init"], cwd=copy, input=secret, capture_output=True,
                                  env={**os.environ, **env}, timeout=120)
            expect(not done.stdout and b"exit status 1" in done.stderr, describe(done))
    with report.case("hardware: a helper of another product id gets another key"):
        fields = read(instance.dir + "/Occlum.json").decode()
        instance.configure(product_id=77)
        instance.build()
        refused(occlum(instance, "image", "ls", env=env), "wrong machine", "product id")
        write(instance.dir + "/Occlum.json", fields.encode())
        instance.build()
        expect(b"inside" in good(occlum(instance, "image", "ls", "/root", env=env)), "with its own again")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    in_own_namespace()
    report = Report()
    if args.names:
        plain = report.case

        def case(name):
            if any(n in name for n in args.names):
                return plain(name)
            return contextlib.suppress(Exception)
        report.case = case
    work = scratch("occlum-mount-")
    why = can_mount()
    if why:
        print(f"SKIPPED everything that needs a mount: {why}")
        report.skipped += 1
    os.makedirs(f"{work}/mnt", exist_ok=True)
    try:
        run_all(report, args.build, work, not why)
        if not why:
            run_encrypted(report, args.build, work)
            run_host_made(report, args.build, work)
            run_hardware(report, args.build, work)
    finally:
        for point in (f"{work}/mnt", f"{work}/mnt.2"):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
