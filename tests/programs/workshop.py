# SPDX-License-Identifier: Apache-2.0
"""Rows of compilers and of languages with a runtime of their own, in rooms of their own."""
import os
import shutil
import subprocess
import tempfile

from programs import Program
from rooms import DebianRoom

GCC = ["bash", "dash", "coreutils", "sed", "grep", "make", "gcc", "cpp-12", "binutils",
       "binutils-common", "binutils-x86-64-linux-gnu", "libc6-dev", "linux-libc-dev",
       ("gcc-12", r"^(?!.*/(lto1|lto-dump|g.*-wrapper))"),
       ("libgcc-12-dev", r"^(?!.*san)")]


def workshop_room(build, folder, emu=False):
    return DebianRoom(build, folder, "workshop", GCC, [], emu, user_space_size="4GB",
                      kernel_space_heap_size="512MB", default_heap_size="512MB",
                      max_num_of_threads=64)


JAVA = "/usr/lib/jvm/java-17-openjdk-amd64"
RUNTIMES = ["bash", "dash", "coreutils",
            ("nodejs", r"^(?!.*/(include|doc|node_modules)/)"),
            ("openjdk-17-jre-headless", r"^(/etc|/usr/lib)")]


class Runtimes(DebianRoom):
    """node and java; the class files are compiled on the host, where it has javac."""

    def fill(self):
        if not shutil.which("javac"):
            return
        with tempfile.TemporaryDirectory() as classes:
            subprocess.run(["javac", "-d", classes, f"{self.image}/runtimes/Threads.java"],
                           check=True)
            shutil.copytree(classes, self.image + "/runtimes/classes")
        jsa = JAVA + "/lib/server/classes.jsa"
        if os.path.exists(jsa):
            shutil.copy2(jsa, self.image + jsa)


def runtimes_room(build, folder, emu=False):
    return Runtimes(build, folder, "runtimes", RUNTIMES, [], emu, user_space_size="8GB",
                    kernel_space_heap_size="1GB", default_heap_size="512MB",
                    max_num_of_threads=128)


def in_room(room, name, *steps, **kw):
    return Program(name, list(steps), room=room, **kw)


JVM = [JAVA + "/bin/java", "-XX:+UseSerialGC", "-Xmx256m", "-cp", "/runtimes/classes"]

WORKSHOP = [
    in_room("workshop", "make-gcc", ["/usr/bin/bash", "/workshop/project.sh"], package="gcc"),
    in_room("runtimes", "node", ["/usr/bin/node", "-e", "console.log('hello', 6 * 7)"],
            ["/usr/bin/node", "/runtimes/workers.js"], package="nodejs", slow=True, expect=3),
    in_room("runtimes", "java", [JAVA + "/bin/java", "-version"], [*JVM, "Threads"],
            package="openjdk-17-jdk-headless", slow=True, expect=4),
]
