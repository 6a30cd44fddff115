#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures `occlum mount` against plain ext4 (or what the folder lies on), gocryptfs and securefs, in one run.

    bench/mount.py [--build BUILD] [--folder FOLDER] [--rounds N] [--size MIB] [--keep FILE]

Rounds alternate between the file systems; each figure is the median, shown as speed relative to the host's file
system (1.0; higher is better) beside the goal. With --keep the rounds of earlier calls that named the same file count too.
"""
import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))
from harness import Instance

GOALS = {"sequential write 1 MiB + fsync": 0.6, "sequential read 1 MiB, cold": 0.8, "sequential read 1 MiB, warm": 0.5,
         "random write 4 KiB": 0.10, "random read 4 KiB, cold": 0.8, "append 4 KiB + fsync": 1.0, "create file": 0.5,
         "stat warm": 0.1, "stat cold": 0.3, "cp -r": 0.4, "tar cold": 0.5, "rm -r": 0.6,
         "sqlite commit, delete": 0.6, "sqlite commit, WAL": 0.6, "git clone": 0.5}
SWITCHES = "changes of task between client and server, for each of "
LIMITS = { # by profile of the server (perf record -g -p), for what is below its goal
    "sequential write 1 MiB + fsync": "four passes over the data, ext4 has one: the request's copy, the cipher, the copy into "
                                      "the host's page cache (a quarter of the server's time each) and the client's own",
    "sequential read 1 MiB, cold": "three passes over the data in small pages, ext4 has one in large ones: the cipher (a third of "
                                   "the server's time), the reply's copy (a third) and the client's own, on the same two cores",
    "sequential read 1 MiB, warm": "the host's kernel alone, which copies out of pages of 4 KiB for FUSE and out of large ones for "
                                   "ext4 (with data=journal ext4 has small ones too, and is as slow); the server is not asked",
    "random read 4 KiB, cold": "waiting for the disk and " + SWITCHES + "READ; the cipher is below 2 %",
    "append 4 KiB + fsync": SWITCHES + "WRITE, SETATTR (of times) and FSYNC",
    "sqlite commit, delete": SWITCHES + "WRITE, SETATTR (of times) and FSYNC, three times a commit",
    "sqlite commit, WAL": SWITCHES + "WRITE, SETATTR (of times) and FSYNC",
    "create file": SWITCHES + "LOOKUP and MKNOD",
    "cp -r": SWITCHES + "LOOKUP, MKNOD, WRITE and SETATTR",
    "rm -r": SWITCHES + "UNLINK",
    "git clone": SWITCHES + "LOOKUP, MKNOD, WRITE and SETATTR"}
TREE_FILES = 1000
COMMITS = 60


class Plain:
    name = "host"

    def __init__(self, folder, _):
        self.path = folder + "/plain"
        os.mkdir(self.path)

    def remount(self):
        """Nothing that is clean stays cached, in the server or in the kernel."""
        subprocess.run(["sync", "-f", self.path], check=True)
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("3")

    def end(self):
        pass


class Fuse(Plain):
    def __init__(self, folder, build):
        self.point = f"{folder}/{self.name}"
        os.mkdir(self.point)
        self.prepare(folder, build)
        self.mount()
        self.path = self.point # as deep as the others: each folder of a path costs a lookup

    def end(self):
        subprocess.run(["umount", self.point], check=True)

    def remount(self):
        super().remount()
        self.end()
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("3")
        self.mount()


class Occlum(Fuse):
    name = "occlum"

    def prepare(self, folder, build):
        self.instance = Instance(build, folder + "/instance")
        self.instance.build()

    def mount(self):
        subprocess.run([self.instance.occlum, "mount", "--background", self.point], cwd=self.instance.dir,
                       check=True, stdout=subprocess.DEVNULL)


class Gocryptfs(Fuse):
    name = "gocryptfs"

    def prepare(self, folder, _):
        self.cipher, self.password = folder + "/gocryptfs.cipher", folder + "/password"
        os.mkdir(self.cipher)
        with open(self.password, "w") as f:
            f.write("password\n")
        subprocess.run(["gocryptfs", "-q", "-init", "-scryptn", "10", "-passfile", self.password, self.cipher],
                       check=True, stdout=subprocess.DEVNULL)

    def mount(self):
        subprocess.run(["gocryptfs", "-q", "-passfile", self.password, self.cipher, self.point], check=True)


class Securefs(Fuse):
    name = "securefs"

    def prepare(self, folder, _):
        self.cipher = folder + "/securefs.cipher"
        os.mkdir(self.cipher)
        subprocess.run(["securefs", "create", "--pass", "password", "--pbkdf", "scrypt", "-r", "1024", self.cipher], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def mount(self):
        subprocess.run(["securefs", "mount", "-b", "--pass", "password", self.cipher, self.point], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if os.path.ismount(self.point):
                return
            time.sleep(0.01)
        sys.exit("securefs does not mount")


def timed(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def write_file(path, size, sync):
    block = os.urandom(1 << 20)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for _ in range(size):
        os.write(fd, block)
    if sync:
        os.fsync(fd)
    os.close(fd)


def read_file(path, _=None):
    fd = os.open(path, os.O_RDONLY)
    while os.read(fd, 1 << 20):
        pass
    os.close(fd)


def random_io(path, size, count, is_write):
    order = random.Random(1)
    block = os.urandom(4096)
    fd = os.open(path, os.O_RDWR)
    for _ in range(count):
        at = order.randrange(size << 8) << 12
        if is_write:
            os.pwrite(fd, block, at)
        else:
            os.pread(fd, 4096, at)
    if is_write:
        os.fsync(fd)
    os.close(fd)


def append(path, count):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(count):
        os.write(fd, b"x" * 4096)
        os.fsync(fd)
    os.close(fd)


def create(folder, count):
    os.mkdir(folder)
    for i in range(count):
        os.close(os.open(f"{folder}/{i}", os.O_WRONLY | os.O_CREAT))


def stat_all(folder, count):
    for i in range(count):
        os.stat(f"{folder}/{i}")


def commits(path, mode):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"pragma journal_mode={mode}")
    db.execute("pragma synchronous=full")
    db.execute("create table t(a)")

    def work():
        for i in range(COMMITS):
            db.execute("insert into t values(?)", ("x" * 100,))
    seconds = timed(work)
    db.close()
    return seconds


def make_tree(folder):
    for i in range(TREE_FILES):
        d = f"{folder}/{i % 40}"
        os.makedirs(d, exist_ok=True)
        with open(f"{d}/{i}", "wb") as f:
            f.write(os.urandom(4096 * (1 + i % 8)))


def make_repository(tree, folder):
    """Of the tree's files, as a clone reads it: packed."""
    git = ["git", "-C", tree, f"--git-dir={folder}", "--work-tree=.", "-c", "user.name=bench", "-c", "user.email=bench"]
    for step in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "bench"], ["gc", "-q"]):
        subprocess.run(git + step, check=True)


def measure(fs, size, tree, repository):
    p = fs.path + "/bench"
    os.mkdir(p)
    r = {}
    r["sequential write 1 MiB + fsync"] = timed(lambda: write_file(p + "/f", size, True))
    fs.remount()
    r["sequential read 1 MiB, cold"] = timed(lambda: read_file(p + "/f"))
    r["sequential read 1 MiB, warm"] = timed(lambda: read_file(p + "/f"))
    r["random write 4 KiB"] = timed(lambda: random_io(p + "/f", size, 4000, True))
    fs.remount()
    r["random read 4 KiB, cold"] = timed(lambda: random_io(p + "/f", size, 2000, False))
    r["append 4 KiB + fsync"] = timed(lambda: append(p + "/log", 60))
    r["create file"] = timed(lambda: create(p + "/many", 2000))
    stat_all(p + "/many", 2000)
    r["stat warm"] = timed(lambda: stat_all(p + "/many", 2000))
    fs.remount()
    r["stat cold"] = timed(lambda: stat_all(p + "/many", 2000))
    r["cp -r"] = timed(lambda: subprocess.run(["cp", "-r", tree, p + "/tree"], check=True))
    fs.remount()
    r["tar cold"] = timed(lambda: subprocess.run(f"tar cf - -C {p} tree | cat >/dev/null", shell=True, check=True))
    r["rm -r"] = timed(lambda: subprocess.run(["rm", "-r", p + "/tree"], check=True))
    r["sqlite commit, delete"] = commits(p + "/delete.db", "delete")
    r["sqlite commit, WAL"] = commits(p + "/wal.db", "wal")
    if repository:
        clone = ["git", "clone", "-q", "--no-local", repository, p + "/clone"]
        r["git clone"] = timed(lambda: subprocess.run(clone, check=True))
    shutil.rmtree(p)
    return r


def stop(number, frame):
    sys.exit(1)  # so that everything is unmounted


def main():
    signal.signal(signal.SIGTERM, stop)
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--folder", default="/var/tmp")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--keep")
    args = parser.parse_args()
    if os.geteuid():
        sys.exit("bench/mount.py drops the kernel's caches between figures: run it as root")
    kinds = [Plain, Occlum] + [k for k in (Gocryptfs, Securefs) if shutil.which(k.name)]
    work = tempfile.mkdtemp(prefix="occlum-bench-", dir=args.folder)
    tree = work + "/tree"
    make_tree(tree)
    repository = work + "/repository" if shutil.which("git") else None
    if repository:
        make_repository(tree, repository)
    systems, all_of = [], {k.name: {} for k in kinds}
    kept = open(args.keep).read().splitlines() if args.keep and os.path.exists(args.keep) else []
    try:
        for kind in kinds:
            systems.append(kind(work, args.build))
        for _ in range(args.rounds):
            for fs in systems:
                print(f"{fs.name}...", end="", file=sys.stderr, flush=True)
                kept.append(json.dumps([fs.name, measure(fs, args.size, tree, repository)]))
                if args.keep:
                    with open(args.keep, "a") as f:
                        f.write(kept[-1] + "\n")
    finally:
        for fs in systems:
            fs.end()
        shutil.rmtree(work, ignore_errors=True)
    for line in kept:
        fs_name, figures = json.loads(line)
        for name, seconds in figures.items():
            all_of[fs_name].setdefault(name, []).append(seconds)
    print(f"{'speed relative to the host':32}" + "".join(f"{k.name:>11}" for k in kinds) + f"{'goal':>8}{'host, ms':>11}")
    missed = []
    for name, goal in GOALS.items():
        if name not in all_of["host"]:
            print(f"{name:32}   its program is not installed")
            continue
        base = statistics.median(all_of["host"][name])
        row = [base / statistics.median(all_of[k.name][name]) for k in kinds]
        best = max(row[2:], default=0)
        note = ("" if row[1] >= goal else "  below the goal") + ("" if row[1] >= best else "  below a peer")
        print(f"{name:32}" + "".join(f"{x:11.2f}" for x in row) + f"{goal:8.2f}{base * 1000:11.1f}{note}")
        missed += [name] * (row[1] < goal)
    for name in missed:
        print(f"{name}: {LIMITS.get(name, 'not looked into')}")


main()
