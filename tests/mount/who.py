# SPDX-License-Identifier: Apache-2.0
"""Who may mount: an ordinary user by fusermount3, a container without device or right; and no older state than the anchor's."""
import errno
import json
import os
import shutil
import struct
import subprocess

from harness import Instance, Skip, describe, expect
from mounts import fill, good, host_bytes, mounted, occlum, raises, read, refused, write

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
CONTAINER_WORDS = ("--device /dev/fuse", "--cap-add SYS_ADMIN", "--privileged")


def in_mount_namespace(script, instance, *argv, env=None):
    """`script` first, in a mount namespace of its own, then occlum with argv; stdout and stderr captured."""
    return subprocess.run(["unshare", "-m", "sh", "-c", f'set -e; {script}\nexec "$@"', "sh", instance.occlum, *argv],
                          cwd=instance.dir, capture_output=True, timeout=120, env={**os.environ, **(env or {})})


def check_no_device(report, instance, point):
    with report.case("without /dev/fuse: the message names what to start a container with"):
        done = in_mount_namespace("mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9",
                                  instance, "mount", point)
        refused(done, "/dev/fuse", *CONTAINER_WORDS)
    with report.case("without the right to mount: the message names what to start a container with"):
        done = in_mount_namespace("", instance, "mount", point) if os.geteuid() else subprocess.run(
            ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", instance.occlum, "mount", point],
            cwd=instance.dir, capture_output=True, timeout=120)
        refused(done, "not permitted", *CONTAINER_WORDS)
        expect(not os.path.ismount(point), "mounted nevertheless")
    with report.case("after both refusals nobody holds the instance"):
        good(occlum(instance, "image", "ls"))


# As nobody, with a /dev/fuse as it is on an ordinary system (every user may open it).
ORDINARY_USER = """
mkdir -p {work}/dev
mknod -m 666 {work}/dev/fuse c 10 229
mount --bind {work}/dev/fuse /dev/fuse
exec setpriv --reuid=65534 --regid=65534 --clear-groups env HOME={work}/home XDG_STATE_HOME= sh -ec '
cd {work}/home
{occlum} new mine >/dev/null
cd mine
mkdir -p image/bin image/root
cp /bin/busybox image/bin/
{occlum} build --sgx-mode SIM >/dev/null
printf inside | {occlum} run /bin/busybox tee /root/inside >/dev/null
mkdir mnt
{occlum} mount --background mnt >/dev/null
grep " $PWD/mnt " /proc/self/mountinfo
cat mnt/root/inside
test "$(stat -c %u:%g:%U mnt/root)" = 65534:65534:nobody
printf outside > mnt/root/outside
sync mnt/root/outside
chmod 640 mnt/root/outside
fusermount3 -u mnt
{occlum} run /bin/busybox cat /root/outside
{occlum} run /bin/busybox stat -c " %u:%g:%a " /root/outside
{occlum} mount mnt >mount.out & server=$!
until [ -s mount.out ]; do sleep 0.01; done
printf again > mnt/root/outside
kill -TERM $server
wait $server
{occlum} run /bin/busybox cat /root/outside
'
"""


def check_ordinary_user(report, instance, work):
    if os.geteuid():
        return # all of this suite runs as one
    home = f"{work}/user"
    os.makedirs(f"{home}/home")
    os.chmod(work, 0o755)
    os.chown(f"{home}/home", 65534, 65534)
    why = None
    if subprocess.run([*NOBODY, "test", "-x", instance.occlum]).returncode:
        why = f"an ordinary user may not run {instance.occlum}"
    elif not shutil.which("fusermount3"):
        why = "no fusermount3"
    with report.case("an ordinary user mounts by fusermount3: seen, written, unmounted, ended by SIGTERM"):
        if why:
            raise Skip(why)
        done = subprocess.run(["unshare", "-m", "sh", "-ec", ORDINARY_USER.format(work=home, occlum=instance.occlum)],
                              capture_output=True, timeout=120)
        expect(done.returncode == 0, describe(done))
        line, rest = done.stdout.split(b"\n", 1)
        for option in (b"nosuid", b"nodev", b"user_id=65534"):
            expect(option in line, line)
        expect(b"allow_other" not in line and rest == b"insideoutside 0:0:640 \nagain", done.stdout)
    with report.case("an ordinary user who may not share the mount is told what permits it"):
        if why:
            raise Skip(why)
        done = subprocess.run(["unshare", "-m", "sh", "-ec", f"""
mount --bind {home}/dev/fuse /dev/fuse
mount --bind /dev/null /etc/fuse.conf
cd {home}/home/mine
exec {" ".join(NOBODY)} env HOME={home}/home XDG_STATE_HOME= {instance.occlum} mount --allow-other mnt
"""], capture_output=True, timeout=120)
        refused(done, "--allow-other", "user_allow_other")
        expect(done.stderr.count(b"\n") == 1, describe(done))
    with report.case("an ordinary user who may not open /dev/fuse is told so"):
        if why: # it uses what the case before has made
            raise Skip(why)
        done = subprocess.run(["unshare", "-m", "sh", "-ec", f"""
mknod -m 600 {home}/closed c 10 229
mount --bind {home}/closed /dev/fuse
cd {home}/home/mine
exec {" ".join(NOBODY)} env HOME={home}/home XDG_STATE_HOME= {instance.occlum} mount mnt"""],
                              capture_output=True, timeout=120)
        refused(done, "may not open /dev/fuse")


def check_rebuilt(report, instance, point, fuse):
    """Where a run goes on with what was written over the image before."""
    good(occlum(instance, "image", "ls"))
    write(f"{instance.image}/etc/rebuilt", b"new image")
    instance.build()
    with report.case("after another build, before any run: looking without writing works"):
        expect(good(occlum(instance, "image", "cat", "/etc/rebuilt")) == b"new image", "cat")
        expect(good(occlum(instance, "image", "cat", "/root/x")) == b"x", "what was written before")
        good(occlum(instance, "image", "verify"))
        if fuse:
            with mounted(instance, point, "--read-only"):
                expect(read(f"{point}/etc/rebuilt") == b"new image" and read(f"{point}/root/x") == b"x", "the mount")
    with report.case("and so does a run after that"):
        done = instance.run("/bin/busybox", "cat", "/etc/rebuilt", "/root/x")
        expect(done.stdout == b"new imagex", describe(done))


def check_stale(report, build, work, point):
    """The third of the three errors; the others are in run.py."""
    instance = Instance(build, f"{work}/anchored")
    fill(instance.image)
    path = instance.dir + "/Occlum.json"
    text = open(path).read()
    where = '"source": "./run/mount/__ROOT"'
    expect(text.count(where) == 1, "the template has another writable layer")
    anchor = {"volume_id": "00112233445566778899aabbccddeeff", "anchor": "strict", "anchor_file": f"{work}/anchor"}
    write(path, text.replace(where, f'{where}, "options": {json.dumps(anchor)}').encode())
    instance.build()
    layer, older = instance.dir + "/run/mount/__ROOT", f"{work}/anchored.older"
    with report.case("an anchored layer: a mount goes on after a run, and a run after a mount"):
        instance.run("/bin/busybox", "tee", "/root/kept", stdin=b"old")
        shutil.copytree(layer, older)
        with mounted(instance, point):
            expect(read(f"{point}/root/kept") == b"old", "the run's file")
            write(f"{point}/root/kept", b"new", sync=True)
        done = instance.run("/bin/busybox", "cat", "/root/kept")
        expect(done.stdout == b"new", describe(done))
    newest = f"{work}/anchored.newest"
    os.rename(layer, newest)
    shutil.copytree(older, layer)
    for command in (("mount", point), ("mount", "--read-only", point), ("image", "ls"), ("image", "verify")):
        with report.case(f"an older copy of the layer: `occlum {' '.join(command[:-1])}` calls it stale and changes nothing"):
            before = {p: d for p, d in host_bytes(instance) if not p.endswith("_lock")}
            record = read(f"{work}/anchor")
            done = occlum(instance, *command)
            refused(done, "stale", "anchor")
            for other in (b"damaged", b"wrong"):
                expect(other not in done.stderr, describe(done))
            after = {p: d for p, d in host_bytes(instance) if not p.endswith("_lock")}
            expect(before == after and read(f"{work}/anchor") == record, "something was changed")
    with report.case("an anchor's record that is gone is named"):
        os.rename(f"{work}/anchor", f"{work}/anchor.kept")
        refused(occlum(instance, "mount", point), "stale", f"{work}/anchor", "gone")
        expect(not os.path.exists(f"{work}/anchor"), "it was made anew")
        os.rename(f"{work}/anchor.kept", f"{work}/anchor")
    with report.case("the newest copy of the layer opens after that"):
        shutil.rmtree(layer)
        os.rename(newest, layer)
        with mounted(instance, point):
            expect(read(f"{point}/root/kept") == b"new", "the newest state")


def check_limits(report, point, work):
    """Of the mount: what it has not is refused with the error that file systems without it give."""
    d = f"{point}/root/limits"
    os.makedirs(d, exist_ok=True)
    with report.case("O_TMPFILE is refused as on a file system without it"):
        raises(errno.EOPNOTSUPP, os.open, d, os.O_TMPFILE | os.O_RDWR, 0o600)
    write(f"{d}/f", b"x")
    with report.case("attribute values up to 2 KiB; beyond that ENOSPC, beyond 64 KiB E2BIG"):
        os.setxattr(f"{d}/f", "user.most", b"v" * 2048)
        expect(os.getxattr(f"{d}/f", "user.most") == b"v" * 2048, "value of 2 KiB")
        raises(errno.ENOSPC, os.setxattr, f"{d}/f", "user.more", b"v" * 2049)
        raises(errno.E2BIG, os.setxattr, f"{d}/f", "user.much", b"v" * 65537)
        raises(errno.ERANGE, os.setxattr, f"{d}/f", "user." + "n" * 251, b"")
    with report.case("access control lists are refused"):
        entries = ((1, 6, -1), (2, 7, 12), (4, 4, -1), (16, 7, -1), (32, 4, -1)) # of the owner, user 12, group, mask, others
        acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *e) for e in entries)
        raises(errno.EOPNOTSUPP, os.setxattr, f"{d}/f", "system.posix_acl_access", acl)
    shutil.rmtree(d)
