# SPDX-License-Identifier: Apache-2.0
"""What the tests of `occlum mount` share: mounting, ending, looking at what lies on the host."""
import contextlib
import errno
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import describe, expect, put_program


def can_mount():
    """None, or why not."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse here"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as e:
        return f"/dev/fuse: {e.strerror}"
    if not shutil.which("fusermount3") and os.geteuid():
        return "no fusermount3"
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    return "mounting is not permitted here" if done.returncode and not os.geteuid() else None


def in_own_namespace():
    """
    Starts this test anew where its mounts are its own: whoever makes a mount namespace meanwhile (another test)
    would keep copies of them, and a server ends only with the last.
    """
    if os.geteuid() or os.environ.get("OCCLUM_TEST_NAMESPACE") or \
            subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        return
    os.environ["OCCLUM_TEST_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


def occlum(instance, *argv, env=None, timeout=120):
    return subprocess.run([instance.occlum, *argv], cwd=instance.dir, capture_output=True,
                          timeout=timeout, env={**os.environ, **(env or {})})


def good(done):
    expect(done.returncode == 0, describe(done))
    return done.stdout


def refused(done, *words):
    text = done.stderr.decode("utf-8", "replace")
    expect(done.returncode == 1, describe(done))
    for word in words:
        expect(word in text, f"no {word!r} in: {text}")


class Mounted:
    """A mount in the foreground, ready when its first line is out."""

    def __init__(self, instance, point, *options, env=None):
        os.makedirs(point, exist_ok=True)
        self.point = point
        self.process = subprocess.Popen([instance.occlum, "mount", *options, point], cwd=instance.dir,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**os.environ, **(env or {})})
        line = self.process.stdout.readline()
        if not line.startswith(b"mounted at"):
            raise AssertionError(f"not mounted: {self.process.communicate()[1].decode()}")

    def end(self, how="umount"):
        if how == "umount":
            subprocess.run(["umount", self.point], check=True)
        else:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=60)
        expect(self.process.returncode == 0, f"server: {self.process.returncode} {err.decode()}")
        expect(not os.path.ismount(self.point), "still mounted")

    def kill(self):
        self.process.kill()
        self.process.communicate()
        subprocess.run(["umount", "-l", self.point], check=True)


@contextlib.contextmanager
def mounted(instance, point, *options, env=None):
    m = Mounted(instance, point, *options, env=env)
    try:
        yield point
    except BaseException:
        m.process.kill()
        m.process.communicate()
        subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
        raise
    m.end()


def write(path, data, sync=False):
    with open(path, "wb") as f:
        f.write(data)
        f.flush()
        if sync:
            os.fsync(f.fileno())


def read(path):
    with open(path, "rb") as f:
        return f.read()


def raises(number, call, *args, **kw):
    try:
        call(*args, **kw)
    except OSError as e:
        expect(e.errno == number, f"{errno.errorcode[e.errno]} instead of {errno.errorcode[number]}")
        return
    raise AssertionError(f"no {errno.errorcode[number]}")


def host_bytes(instance):
    for folder, _, files in os.walk(instance.dir):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                yield path, read(path)


def fill(image):
    put_program(image, "/bin/busybox", "/bin/busybox")
    for folder in ("etc", "root"):
        os.makedirs(f"{image}/{folder}", exist_ok=True)
    write(f"{image}/etc/gone", b"gone\n")
    write(f"{image}/etc/changed", b"old\n")
    write(f"{image}/etc/damaged", b"to be damaged" * 1000)
    write(f"{image}/etc/one", b"1")
    os.link(f"{image}/etc/one", f"{image}/etc/two")
    os.symlink("one", f"{image}/etc/link")
