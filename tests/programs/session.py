# SPDX-License-Identifier: Apache-2.0
"""Rows of a session: shells, tools and servers of Debian in a room of their own (session/)."""
import re
import shutil
import socket
import subprocess
import time

from harness import TIMEOUT
from programs import Program
from rooms import DebianRoom

PACKAGES = ["bash", "dash", "coreutils", "findutils", "mawk", "sed", "grep", "procps", "hostname",
            "util-linux", "make", "diffutils", "gzip", "tar", "git", "perl-base", "perl",
            "perl-modules-5.36", "libperl5.36", "ncurses-base", "fish", "fish-common", "sqlite3",
            ("redis-tools", r"redis-check-rdb$"), "stress-ng", "tmux", ("libc-bin", r"/C\.utf8"),
            "python3.11-minimal", "python3.11", "libpython3.11-minimal", "libgcc-s1",
            ("libpython3.11-stdlib", r"^(?!.*/(idlelib|lib2to3|ensurepip|config-|pydoc_data))")]
PYTHON = "/usr/bin/python3.11"
LINKS = [("mawk", "/usr/bin/awk"), ("redis-check-rdb", "/usr/bin/redis-server")]


def session_room(build, folder, emu=False):
    return DebianRoom(build, folder, "session", PACKAGES, LINKS, emu, user_space_size="4GB",
                      kernel_space_heap_size="512MB", default_heap_size="512MB",
                      max_num_of_threads=128)


def row(name, *steps, **kw):
    return Program(name, list(steps), room="session", **kw)


STRESSORS = "cpu vm pipe futex fork vfork signal timer poll epoll mmap shm sem msg".split()


def stress(kind, seconds, slow=False):
    """Two workers, which check what they do where they can; only success counts."""
    return row(f"stress-{kind}" + ("-long" if slow else ""),
               ["/usr/bin/stress-ng", "--quiet", "--verify", "--temp-path", "/root", f"--{kind}", "2",
                "--timeout", f"{seconds}s"] + (["--vm-bytes", "64m"] if kind == "vm" else []),
               check="status", package="stress-ng", slow=slow)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def redis_from_host(room):
    """redis-server inside, redis-cli and redis-benchmark outside. Returns the error text or None."""
    port = str(free_port())
    if not shutil.which("redis-cli") or not room.has("/usr/bin/redis-server"):
        return "skipped: not installed: redis-tools"

    def cli(*args):
        return subprocess.run(["redis-cli", "-p", port, *args], capture_output=True, text=True,
                              timeout=TIMEOUT).stdout.strip()

    server = room.start("/usr/bin/redis-server", "--port", port, "--save", "", "--dir", "/root")
    try:
        deadline = time.monotonic() + TIMEOUT
        while cli("ping") != "PONG":
            if server.poll() is not None or time.monotonic() > deadline:
                return f"no answer: {server.communicate()[1][-1500:]}"
            time.sleep(0.05)
        asked = [("set", "key", "value"), ("get", "key"), ("incrby", "n", "41"), ("incr", "n"),
                 ("rpush", "list", "a", "b", "c"), ("lrange", "list", "0", "-1"),
                 ("eval", "return redis.call('get', KEYS[1])", "1", "key"), ("dbsize",),
                 ("save",), ("bgsave",)]
        got = [cli(*question) for question in asked]
        want = ["OK", "value", "41", "42", "3", "a\nb\nc", "value", "3", "OK",
                "Background saving started"]
        if got != want:
            return f"redis-cli got {got}, not {want}"
        while "rdb_bgsave_in_progress:1" in cli("info", "persistence"):
            time.sleep(0.05)
        if "rdb_last_bgsave_status:ok" not in cli("info", "persistence"):
            return "bgsave failed: " + cli("info", "persistence")
        bench = subprocess.run(["redis-benchmark", "-p", port, "-q", "-n", "3000", "-c", "20", "-t",
                                "ping,set,get,lpush,lrange_100", "-P", "4"], capture_output=True,
                               text=True, timeout=TIMEOUT)
        if bench.returncode or len(re.findall("requests per second", bench.stdout)) < 6:
            return f"redis-benchmark: {bench.returncode} {bench.stdout[-500:]} {bench.stderr[-500:]}"
        cli("shutdown", "nosave")
        return server.wait(TIMEOUT) and f"status {server.returncode} after SHUTDOWN"
    finally:
        if server.poll() is None:
            server.terminate()
        server.communicate()


SESSION = [
    row("bash", ["/usr/bin/bash", "/session/session.bash"], expect=42),
    row("bash-pipe", (["/usr/bin/bash"], b"echo $((6 * 7)) | tr 4 5; exit 9\n"), expect=9),
    row("dash", ["/usr/bin/dash", "/session/session.dash"], expect=5),
    row("fish", ["/usr/bin/fish", "--no-config", "/session/session.fish"], expect=6, package="fish"),
    row("toolbox", ["/usr/bin/bash", "/session/toolbox.sh"], expect=3),
    row("git", ["/usr/bin/bash", "/session/git.sh"]),
    row("perl", ["/usr/bin/perl", "/session/session.pl"]),
    row("python-processes", [PYTHON, "/session/processes.py"]),
    *(row(f"python-{method}", [PYTHON, "/session/processes.py", method])
      for method in ("fork", "forkserver", "spawn")),
    row("sqlite-several", ["/usr/bin/bash", "/session/sqlite.sh"]),
    row("tmux", ["/usr/bin/bash", "/session/tmux.sh"], package="tmux"),
    row("setpriv", ["/usr/bin/bash", "/session/setpriv.sh"]),
    row("limits", ["/usr/bin/bash", "/session/limits.sh"]),
    row("redis", package="redis-tools", custom=redis_from_host),
    *(stress(kind, 1) for kind in STRESSORS),
    *(stress(kind, 10, slow=True) for kind in STRESSORS),
]
