# SPDX-License-Identifier: Apache-2.0
"""Instances that hold a part of Debian, and a copy of each one's image for native runs.

A room's image is what the named packages put on the machine, in Debian's own places. Packages that
are not installed leave their programs out; rows that need them are skipped and say so.
"""
import os
import re
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import TIMEOUT, Instance, libraries, put, sh

HERE = os.path.dirname(os.path.abspath(__file__))
LEFT_OUT = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/lintian",
            "/usr/share/info", "/usr/share/bash-completion", "/usr/share/fish/man", "/etc/init.d",
            "/usr/share/fish/completions", "/lib/systemd", "/usr/lib/systemd")
ENVIRONMENT = {"OCCLUM": "yes", "PATH": "/usr/bin:/bin:/usr/sbin", "LANG": "C.UTF-8"}


class Room(Instance):
    def __init__(self, build, folder, emu=False):
        super().__init__(build, folder, emu)
        self.native = folder + ".native"

    def finish(self):
        """After image/ and the configuration: the native copy, and `occlum build`."""
        sh("cp", "-a", "--reflink=auto", self.image, self.native)
        for name in ("tmp", "root", "proc", "dev"):
            os.makedirs(f"{self.native}/{name}", exist_ok=True)
        self.build()

    def has(self, inside):
        return os.path.exists(self.native + os.path.realpath("/" + inside)) or \
            os.path.exists(self.native + inside)

    def run_native(self, argv, stdin, timeout=TIMEOUT):
        script = ('mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && root=$0 && '
                  'exec /usr/sbin/chroot "$root" "$@"')
        unshare = ["unshare", "-m"] + ([] if os.getuid() == 0 else ["-r", "-p", "-f"])
        return subprocess.run(unshare + ["sh", "-c", script, self.native] + argv, input=stdin,
                              capture_output=True, timeout=timeout, start_new_session=True,
                              env={"OCCLUM": "yes", "PATH": "/bin:/usr/bin", **self.environment})

    environment = {}

    def start(self, *argv):
        """Runs inside meanwhile; the caller ends it."""
        return subprocess.Popen([self.emu or self.occlum] + ([] if self.emu else ["run"]) + [*argv],
                                cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, start_new_session=True,
                                env={**os.environ, "EMU_KEY": self.emu_key})

    def run_inside(self, argv, stdin, timeout=TIMEOUT):
        return self.run(*argv, stdin=stdin, timeout=timeout, env={"OCCLUM_LOG_LEVEL": "info"})


def installed(package):
    done = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else []


def put_package(image, package, only=None):
    """The files of an installed package, or those whose path matches `only`, with their libraries."""
    for path in installed(package):
        if path.startswith(LEFT_OUT) or (only and not re.search(only, path)):
            continue
        put_file(image, path)


def put_file(image, path):
    target = image + path
    if os.path.islink(path):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            os.symlink(os.readlink(path), target)
    elif os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    elif os.path.isfile(path):
        put(image, path, path)
        with open(path, "rb") as f:
            is_elf = f.read(4) == b"\x7fELF"
        if is_elf:
            os.chmod(target, stat.S_IMODE(os.stat(target).st_mode) & ~0o6000)
            for lib, real in libraries(path):
                put(image, lib, real)


def merge_usr(image):
    for name in ("bin", "sbin", "lib", "lib64"):
        shutil.rmtree(f"{image}/{name}", ignore_errors=True)
        os.makedirs(f"{image}/usr/{name}", exist_ok=True)
        os.symlink("usr/" + name, f"{image}/{name}")


class DebianRoom(Room):
    """`packages` of the machine, `tests/programs/<name>/` as /<name>, and links by `links`."""

    environment = ENVIRONMENT

    def __init__(self, build, folder, name, packages, links=(), emu=False, **limits):
        super().__init__(build, folder, emu)
        merge_usr(self.image)
        for package in packages:
            put_package(self.image, *([package] if isinstance(package, str) else package))
        for target, link in links:
            if not os.path.lexists(self.image + link):
                os.makedirs(os.path.dirname(self.image + link), exist_ok=True)
                os.symlink(target, self.image + link)
        shutil.copytree(f"{HERE}/{name}", f"{self.image}/{name}")
        for database, text in (("passwd", "root:x:0:0:root:/root:/bin/bash\n"),
                               ("group", "root:x:0:\n")):
            with open(f"{self.image}/etc/{database}", "w") as f:
                f.write(text)
        self.fill()
        self.configure(**limits)
        path = self.dir + "/Occlum.json"
        text = open(path).read()
        text = text.replace('"/bin"', '"/bin", "/usr"', 1)
        variables = ", ".join(f'"{k}={v}"' for k, v in ENVIRONMENT.items())
        text, count = re.subn(r'"OCCLUM=yes"[^]]*', lambda m: variables, text)
        assert count == 1
        open(path, "w").write(text)
        self.finish()

    def fill(self):
        """What else a room's programs need in the image."""
