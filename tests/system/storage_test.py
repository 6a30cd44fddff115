#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sealed root under programs that know what was durable: sqlite and git while the whole instance is
killed, fio's verification, stress-ng's file stressors, and fsx and fsstress where FSX= and FSSTRESS= name builds of them.

    storage_test.py BUILD [--long] [NAME...]

--long: 100 kills each and ten minutes each of fio and stress-ng instead of 10 and one minute. NAME picks parts: kills,
fio, stress, tools.
"""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Instance, Report, Skip, describe, expect, host_path, put_program, scratch, side_by_side

LONG = "--long" in sys.argv
KILLS = 100 if LONG else 10

# Numbers are inserted one by one, each a transaction; its number is told, unbuffered, when it is durable.
TABLE = b".output stderr\ncreate table if not exists t(n integer primary key, filler);\n"
STATE = b"select 'check', integrity_check from pragma_integrity_check;\nselect 'rows', count(*), ifnull(max(n), 0) from t;\n"
INSERT = b"insert into t select ifnull(max(n), 0) + 1, hex(randomblob(700)) from t;\nselect 'told', max(n) from t;\n"

# git syncs its files and not the folder in which a branch gets its new name, so sync comes before the word.
GIT = """
cd /root
export HOME=/root GIT_CONFIG_NOSYSTEM=1
[ -d repo/.git ] || { git init -q repo && cd repo && git config core.fsync all && git config gc.auto 0 &&
    git config user.email a@b && git config user.name a; }
cd /root/repo
rm -f .git/*.lock .git/refs/heads/*.lock
git fsck --strict --no-dangling || echo "fsck FAILED"
i=$(git log -1 --format=%s 2>/dev/null || echo 0)
echo "rows $i $i"
[ "$1" = look ] && exit
while :; do
    i=$((i + 1))
    echo "content of $i" > file$((i % 7))
    git add . && git commit -qm $i && busybox sync && echo "told $i" || exit 1
done
"""


class Killed:
    """One run that is killed as a whole at a moment left to chance; the lines it had said until then."""

    def __init__(self, instance, argv, feed, seconds):
        run = subprocess.Popen([instance.occlum, "run", *argv], cwd=instance.dir, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            run.stdin.write(feed)
            run.stdin.flush()
        except BrokenPipeError:
            pass
        lines = []
        for line in run.stdout:  # killed only once it is at work
            lines.append(line)
            if line.startswith(b"told"):
                break
        time.sleep(seconds)
        os.killpg(run.pid, signal.SIGKILL)
        self.lines = [l.decode("utf-8", "replace").replace("|", " ").strip()
                      for l in lines + run.stdout.read().splitlines()]
        run.wait()
        run.stdin.close()

    def number(self, word):
        """The last number said after `word`."""
        found = [l.split()[-1] for l in self.lines if l.startswith(word + " ") and l.split()[-1].isdigit()]
        return int(found[-1]) if found else None


def check_kills(report, name, instance, argv, feed, look, bad):
    with report.case(f"{name}: {KILLS} kills of the instance, each durable transaction is there"):
        rng = random.Random(name)
        told = 0
        for kill in range(KILLS):
            run = Killed(instance, argv, feed, rng.uniform(0, 0.25))
            rows = run.number("rows")
            said = "\n".join(run.lines[:12])
            expect(rows is not None and rows >= told, f"kill {kill}: told {told}, found {rows}\n{said}")
            expect(rows <= told + 1, f"kill {kill}: told {told}, but {rows} are there\n{said}")
            expect(not any(w in "\n".join(run.lines) for w in bad), f"kill {kill}:\n{said}")
            told = run.number("told") or rows
        done = look()
        expect(done.returncode == 0 and not any(w.encode() in done.stdout + done.stderr for w in bad),
               describe(done))
        print(f"        {told} transactions", flush=True)


def check_sqlite(report, instance, mode):
    db = f"/root/{mode}.db"
    # With FULL a transaction of mode delete ends with an unlink that is not synced: durable only with the next one.
    synchronous = {"delete": "extra"}.get(mode, "full")
    feed = f"pragma journal_mode={mode};\npragma synchronous={synchronous};\n".encode() + TABLE + STATE + INSERT * 1500
    argv = ["/bin/sqlite3", db]
    check_kills(report, f"sqlite ({mode})", instance, argv, feed,
                lambda: instance.run(*argv, stdin=STATE), ("malformed", "row ", "Error", "rror:"))


def check_git(report, instance):
    argv = ["/bin/busybox", "sh", "/git.sh"]
    check_kills(report, "git", instance, argv, b"", lambda: instance.run(*argv, "look"),
                ("FAILED", "error", "fatal", "missing", "corrupt"))


def check_fio(report, instance, seconds):
    if not host_path("fio"):
        return
    for name, options in (("random 4 KiB with fsync", ("--rw=randwrite", "--bs=4k", "--fsync=32")),
                          ("mixed sizes", ("--rw=randrw", "--bsrange=512-128k", "--bs_unaligned")),
                          ("sequential 64 KiB", ("--rw=write", "--bs=64k", "--end_fsync=1"))):
        with report.case(f"fio verifies: {name}"):
            done = instance.run("/bin/fio", "--name=v", "--filename=/root/fio.dat", "--size=24m", "--thread",
                                "--ioengine=psync", "--verify=crc32c", "--verify_fatal=1", "--randseed=7",
                                "--fallocate=none", "--loops=1", f"--runtime={seconds}",
                                *(("--time_based",) if LONG else ()), *options, timeout=seconds + 600)
            expect(done.returncode == 0 and b"verify:" not in done.stderr and b"err= 0" in done.stdout,
                   describe(done))
            instance.run("/bin/busybox", "rm", "-f", "/root/fio.dat")


# What works on files, by what it works on. Without handle, which asks for more than there is.
STRESSORS = {
    "names": "access chmod chown dentry dir filename link mknod rename symlink touch utime xattr",
    "contents": "copy-file fallocate fpunch fsize hdd io iomix readahead revio seek sync-file",
    "locks": "fcntl flock lease locka lockf lockofd",
    "descriptors and folders": "chdir dirmany dup file-ioctl fstat getdent inode-flags open verity",
}


def check_stress(report, instance, seconds):
    if not host_path("stress-ng"):
        return
    for name, kinds in STRESSORS.items():
        with report.case(f"stress-ng: {name}"):
            done = instance.run("/bin/stress-ng", "--quiet", "--verify", "--temp-path", "/root", "--timeout", f"{seconds}s",
                                *(word for kind in kinds.split() for word in ("--" + kind, "1")), timeout=seconds + 300)
            expect(done.returncode == 0 and b"fail:" not in done.stdout + done.stderr, describe(done))


def check_tool(report, instance, variable, inside, *argv):
    with report.case(f"{os.path.basename(inside)} on the sealed root"):
        if not os.environ.get(variable):
            raise Skip(f"{variable}= names no build of it")
        done = instance.run(inside, *argv, timeout=1200)
        expect(done.returncode == 0, describe(done))


def main():
    build, *names = [arg for arg in sys.argv[1:] if arg != "--long"] or ["build"]
    report = Report()
    work = scratch()

    def is_asked(part):
        return not names or part in names

    try:
        instance = Instance(build, work + "/instance")
        for name in ("busybox", "sqlite3", "git", "fio", "stress-ng"):
            if host_path(name):
                put_program(instance.image, f"/bin/{name}", host_path(name))
        for variable, inside in (("FSX", "/bin/fsx"), ("FSSTRESS", "/bin/fsstress")):
            if os.environ.get(variable):
                put_program(instance.image, inside, os.environ[variable])
        open(instance.image + "/git.sh", "w").write(GIT)
        instance.configure(user_space_size="1GB", kernel_space_heap_size="96MB", max_num_of_threads=64)
        instance.build()
        if is_asked("kills"):
            other = instance.copy(work + "/other")
            side_by_side(report, (lambda own: [check_sqlite(own, instance, mode) for mode in ("delete", "wal")],
                                  lambda own: check_git(own, other)))
        if is_asked("fio"):
            check_fio(report, instance, 200 if LONG else 20)
        if is_asked("stress"):
            check_stress(report, instance, 150 if LONG else 15)
        if is_asked("tools"):
            check_tool(report, instance, "FSX", "/bin/fsx", "-N", "200000" if LONG else "5000", "/root/fsx.file")
            check_tool(report, instance, "FSSTRESS", "/bin/fsstress", "-d", "/root/stress", "-n",
                       "100000" if LONG else "2000", "-p", "4")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
