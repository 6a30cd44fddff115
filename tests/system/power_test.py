#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Power cuts under sqlite and git. kill -9 loses nothing that the host has taken, so what they wrote to the
block store is recorded (strace of a whole run) and put together again as a disk could have it: all that was
flushed, and of the rest each class of subsets. Every such store must open, and what was durable be in it.

    power_test.py BUILD [--long]     every moment instead of some
"""
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Instance, Report, Skip, describe, expect, host_path, put_program, scratch

LONG = "--long" in sys.argv
STATES = 2000 if LONG else 45
CALLS = "pwrite64,fdatasync,fsync,fallocate,ftruncate,write,writev"
SECTOR = 512

GIT = """
cd /root
export HOME=/root GIT_CONFIG_NOSYSTEM=1
[ -d repo/.git ] || { git init -q repo && cd repo && git config core.fsync all && git config gc.auto 0 &&
    git config user.email a@b && git config user.name a; }
cd /root/repo
for i in 1 2 3 4; do
    echo "content of $i" > file$i
    git add . && git commit -qm $i && busybox sync && echo "told $i" || exit 1
done
"""

LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
FILE = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>(.*)$", re.S)
TOLD = re.compile(rb"told[ |](\d+)\n")


def unhex(text):
    return bytes.fromhex(text.replace("\\x", ""))


class Trace:
    """Events in the order in which they began: ("write", id, file, offset, bytes), ("done", id), ("sync", id, file),
    ("synced", id) and ("told", number)."""

    def __init__(self, log):
        self.events, self.said, open_calls = [], b"", {}
        with open(log, errors="replace") as f:
            for number, line in enumerate(f):
                again = RESUMED.match(line)
                if again:
                    began = open_calls.pop(again.group(1), None)
                    if began:
                        self.end(*began, again.group(3))
                    continue
                call = LINE.match(line)
                if not call:
                    continue
                kind = self.begin(number, call.group(2), call.group(3))
                if kind and "<unfinished ...>" in line[-40:]:
                    open_calls[call.group(1)] = (number, kind)
                elif kind:
                    self.end(number, kind, line)

    def begin(self, number, name, rest):
        if name in ("write", "writev"):
            for text in re.findall(r'"((?:\\x[0-9a-f]{2})+)"', rest):
                self.said += unhex(text)
            for found in TOLD.findall(self.said):
                self.events.append(("told", int(found)))
            self.said = self.said[self.said.rfind(b"\n") + 1:]
            return None
        where = FILE.match(rest)
        path = unhex(where.group(1)).decode() if where else ""
        if "/__ROOT" not in path:
            return None
        rest = where.group(2)
        if name == "pwrite64":
            data, size, offset = re.match(r', "((?:\\x[0-9a-f]{2})*)", (\d+), (\d+)', rest).groups()
            data = unhex(data)
            expect(len(data) == int(size), "strace has cut a write short")
            self.events.append(("write", number, path, int(offset), data))
            return "done"
        if name == "fallocate":
            offset, size = re.match(r", [A-Z_|0-9x]+, (\d+), (\d+)", rest).groups()
            self.events.append(("write", number, path, int(offset), bytes(int(size))))
            return "done"
        if name in ("fsync", "fdatasync"):
            self.events.append(("sync", number, path))
            return "synced"
        return None

    def end(self, number, kind, rest):
        result = re.search(r"= (-?\d+)", rest[rest.rfind(")"):])
        expect(result and int(result.group(1)) >= 0, f"a call of the run failed: {rest[-80:]}")
        self.events.append((kind, number))


class Disk:
    """The files of the store: what is surely there, and the writes that may not be."""

    def __init__(self, base):
        self.files = {}
        for name in os.listdir(base):
            with open(os.path.join(base, name), "rb") as f:
                self.files[name] = bytearray(f.read())

    @staticmethod
    def put(files, write):
        name, offset, data = os.path.basename(write[2]), write[3], write[4]
        content = files.setdefault(name, bytearray())
        if len(content) < offset + len(data):
            content.extend(bytes(offset + len(data) - len(content)))
        content[offset:offset + len(data)] = data

    def with_writes(self, writes, folder):
        touched = {os.path.basename(w[2]) for w in writes}
        files = {n: bytearray(c) if n in touched else c for n, c in self.files.items()}
        for write in writes:
            self.put(files, write)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, 0o700)
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content)


def torn(write, rng):
    """Some sectors of it, from the first on."""
    sectors = len(write[4]) // SECTOR
    keep = rng.randrange(1, sectors) * SECTOR if sectors > 1 else 0
    return (*write[:4], write[4][:keep])


def classes(pending, rng):
    """Of the writes that no flush covers: every class of subsets, each with a name."""
    n = len(pending)
    yield "none", []
    if not n:
        return
    yield "all", pending
    yield "the first half", pending[:n // 2]
    yield "the second half", pending[n // 2:]
    yield "every other", pending[::2]
    yield "the others", pending[1::2]
    yield "all but the last", pending[:-1]
    yield "only the last", pending[-1:]
    lost = rng.randrange(n)
    yield "all but one", pending[:lost] + pending[lost + 1:]
    yield "only one", pending[lost:lost + 1]
    yield "a random half", [w for w in pending if rng.random() < 0.5]
    yield "all, the last one torn", pending[:-1] + [torn(pending[-1], rng)]
    yield "all, one torn", pending[:lost] + [torn(pending[lost], rng)] + pending[lost + 1:]
    yield "in another order", rng.sample(pending, n) if disjoint(pending) else pending


def disjoint(writes):
    taken = sorted((w[2], w[3], w[3] + len(w[4])) for w in writes)
    return all(a[0] != b[0] or a[2] <= b[1] for a, b in zip(taken, taken[1:]))


def moments(trace, base, rng):
    """At each beginning of a flush and after each word of a transaction: (disk, unflushed, last told)."""
    disk, unflushed, finished, syncs, told = Disk(base), [], set(), {}, 0
    for event in trace.events:
        if event[0] == "write":
            unflushed.append(event)
        elif event[0] == "done":
            finished.add(event[1])
        elif event[0] == "sync":
            yield disk, list(unflushed), told
            syncs[event[1]] = [w for w in unflushed if w[2] == event[2] and w[1] in finished]
        elif event[0] == "synced":
            for write in syncs.pop(event[1]):
                if write in unflushed:
                    unflushed.remove(write)
                    Disk.put(disk.files, write)
        else:
            told = max(told, event[1])
            yield disk, list(unflushed), told


class Recorded:
    """A program's run on a store that was saved before, and the states that a power cut could leave."""

    def __init__(self, instance, work, argv, stdin=b""):
        self.instance, self.work = instance, work
        self.store = instance.dir + "/run/mount/__ROOT"
        self.base = work + "/base"
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.copytree(self.store, self.base)
        log = work + "/strace.log"
        prefix = ["strace", "-f", "-qq", "-y", "-xx", "-s", "70000", "-e", "signal=none", "-e", "trace=" + CALLS,
                  "-o", log]
        done = instance.run(*argv, stdin=stdin, prefix=prefix)
        expect(done.returncode == 0, describe(done))
        self.trace = Trace(log)
        self.ending = work + "/ending"
        shutil.rmtree(self.ending, ignore_errors=True)
        shutil.copytree(self.store, self.ending)

    def replay_is_complete(self):
        """The recorded writes, all of them, make the store that the run left: the recorder misses nothing."""
        disk = Disk(self.base)
        for event in self.trace.events:
            if event[0] == "write":
                Disk.put(disk.files, event)
        for name in os.listdir(self.ending):
            with open(os.path.join(self.ending, name), "rb") as f:
                expect(f.read().rstrip(b"\0") == bytes(disk.files[name]).rstrip(b"\0"), f"{name} differs")

    def states(self, rng):
        every = [(len(u), t) for _, u, t in moments(self.trace, self.base, rng)]
        chosen = set(range(len(every)))
        if not LONG:
            with_writes = [i for i, (n, _) in enumerate(every) if n]
            chosen = set(rng.sample(with_writes, min(len(with_writes), STATES // 14 + 1)))
        for at, (disk, unflushed, told) in enumerate(moments(self.trace, self.base, rng)):
            if at not in chosen:
                continue
            for name, subset in classes(unflushed, rng):
                disk.with_writes(subset, self.store)
                yield f"moment {at} of {len(every)}, told {told}, {name} of {len(unflushed)} writes", told

    def look(self, inside):
        """What is at a path of the store as it lies there now, brought out."""
        out = self.work + "/out"
        shutil.rmtree(out, ignore_errors=True)
        done = subprocess.run([self.instance.occlum, "image", "extract", inside, out], cwd=self.instance.dir,
                              capture_output=True)
        return done, out


def sqlite_rows(folder, name):
    """Recovered by the host's own sqlite: a hot journal or log beside it is obeyed."""
    with sqlite3.connect(f"{folder}/{name}") as db:
        expect(db.execute("pragma integrity_check").fetchone() == ("ok",), "the database is damaged")
        return db.execute("select count(*), ifnull(max(n), 0) from t").fetchone()


def check_sqlite(report, instance, work, mode):
    # Only "extra" syncs the folder after the journal is deleted, which is what commits in mode "delete".
    head = b"pragma journal_mode=%s;\npragma synchronous=extra;\n" % mode.encode()
    folder = f"/root/{mode}"
    argv = ["/bin/sqlite3", f"{folder}/t.db"]
    insert = b"insert into t select ifnull(max(n), 0) + 1, hex(randomblob(700)) from t;\nselect 'told', max(n) from t;\n"
    with report.case(f"sqlite ({mode}): after any power cut each durable transaction is there, and no half of one"):
        instance.run("/bin/busybox", "mkdir", folder)
        done = instance.run(*argv, stdin=head + b"create table t(n integer primary key, filler);\n")
        expect(done.returncode == 0, describe(done))
        run = Recorded(instance, work, argv, head + b".output stderr\n" + insert * 8)
        run.replay_is_complete()
        count, newest = 0, 0
        for what, told in run.states(random.Random(mode)):
            done, out = run.look(folder)
            expect(done.returncode == 0, f"{what}: {describe(done)}")
            rows, last = sqlite_rows(out, "t.db")
            expect(rows == last and told <= last <= told + 1, f"{what}: {rows} rows, the last one {last}")
            count, newest = count + 1, max(newest, last)
        expect(count > 20 and newest >= 1, f"{count} states were tried, {newest} rows seen at most")
        print(f"        {count} states", flush=True)
        Disk(run.base).with_writes([], run.store)  # a disk that lost what it had flushed: this can be seen
        done, out = run.look(folder)
        expect(done.returncode == 0 and sqlite_rows(out, "t.db")[1] == 0, describe(done))


def check_git(report, instance, work):
    with report.case("git: after any power cut each durable commit is there, and git fsck finds nothing"):
        run = Recorded(instance, work, ["/bin/busybox", "sh", "/git.sh"])
        run.replay_is_complete()
        count = 0
        for what, told in run.states(random.Random("git")):
            done, out = run.look("/root")
            expect(done.returncode == 0, f"{what}: {describe(done)}")
            count += 1
            if not told:
                continue  # the repository itself is being made
            git = ["git", "-c", "safe.directory=*", "-C", out + "/repo"]
            checked = subprocess.run([*git, "fsck", "--strict", "--no-dangling"], capture_output=True)
            expect(checked.returncode == 0, f"{what}: {describe(checked)}")
            newest = subprocess.run([*git, "log", "-1", "--format=%s"], capture_output=True)
            expect(newest.returncode == 0 and told <= int(newest.stdout) <= told + 1, f"{what}: {describe(newest)}")
        expect(count > 20, f"{count} states were tried")
        print(f"        {count} states", flush=True)


def main():
    report = Report()
    work = scratch()
    try:
        if not shutil.which("strace"):
            with report.case("strace"):
                raise Skip("not installed")
            report.finish()
        instance = Instance(sys.argv[1] if len(sys.argv) > 1 else "build", work + "/instance")
        for name in ("busybox", "sqlite3", "git"):
            if host_path(name):
                put_program(instance.image, f"/bin/{name}", host_path(name))
        open(instance.image + "/git.sh", "w").write(GIT)
        instance.configure(user_space_size="1GB", kernel_space_heap_size="96MB", max_num_of_threads=64)
        instance.build()
        for mode in ("delete", "wal"):
            check_sqlite(report, instance, work, mode)
        check_git(report, instance, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
