#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs and other people's file system tests on a mount, compared with the same on ext4.

    tests/mount/suites.py [--build BUILD] [--folder FOLDER] [--long] [NAME...]

NAME picks parts: programs, pjdfstest, fsx, fsstress, ltp. The tests of others are builds outside of this tree, named by
the environment, and SKIPPED where it does not:

    PJDFSTEST=folder of pjdfstest and its tests/     FSX=program     FSSTRESS=program     LTP=folder it was installed in

They are compared with an ext4 on a loop device, or, where that cannot be had, with FOLDER's own file system. With --long
fsx runs for 30 minutes, LTP's fs tests run all, and all of /usr is copied.
"""
import argparse
import contextlib
import hashlib
import mmap
import os
import random
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.path.dirname(os.path.abspath(__file__))]
from harness import TOP, Instance, Report, Skip, describe, expect
from mounts import Mounted, can_mount, fill, good, in_own_namespace, occlum, write

FSX_SECONDS = 1800
LTP_LEFT_OUT = re.compile(r"^(proc|read_all|isofs|quota|binfmt|squashfs|fs_fill|acl_)")  # not about a folder that is given
LTP_SHORT = re.compile(r"^(gf0[1-5]|gf27|gf28|fs_inod|linker|openfile|inode|stream|ftest|lftest|writetest)")


def run(*argv, timeout=600, **kw):
    done = subprocess.run(argv, capture_output=True, timeout=timeout, **kw)
    expect(done.returncode == 0, describe(done))
    return done.stdout


# ---- what a tree is ---------------------------------------------------------------------------------------


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(f.read()).hexdigest()


def manifest(top, xattrs=True):
    """Path -> all that a copy has to keep; of directories not the size, nor the links."""
    seen, first = {}, {}
    for folder, folders, files in os.walk(top):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            st = os.lstat(path)
            entry = [oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns]
            if stat.S_ISREG(st.st_mode):
                # One file's names: the first, and how many there are. Others may lie outside of the tree.
                names = first.setdefault(st.st_ino, [path[len(top):], 0])
                names[1] += 1
                entry += [st.st_size, digest(path), names]
            elif stat.S_ISLNK(st.st_mode):
                entry.append(os.readlink(path))
            if xattrs and not stat.S_ISLNK(st.st_mode):
                entry.append(sorted((n, os.getxattr(path, n)) for n in os.listxattr(path) if n.startswith("user.")))
            seen[path[len(top):]] = entry
    return seen


def same(a, b):
    if a == b:
        return
    for path in sorted(set(a) | set(b)):
        expect(a.get(path) == b.get(path), f"{path}: {a.get(path)} instead of {b.get(path)}")


# ---- programs: each runs in a folder of the mount and in one of ext4's; what it returns must be equal ----------


def git_clone(d, work, long):
    source = f"{work}/repository"
    if not os.path.exists(source):
        shutil.copytree(f"{TOP}/lib" if not long else f"{TOP}/kernel", source)
        git = ["git", "-C", source, "-c", "user.name=n", "-c", "user.email=n@e"]
        run(*git, "init", "-q")
        for name in ("first", "second"):
            write(f"{source}/{name}", name.encode())
            run(*git, "add", "-A")
            run(*git, "commit", "-q", "-m", name)
    env = {**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    run("git", "clone", "-q", "--no-local", source, f"{d}/clone", env=env)
    git = ["git", "-C", f"{d}/clone"]
    run(*git, "fsck", "--strict", env=env)
    run(*git, "gc", "-q", env=env)
    run(*git, "checkout", "-q", "HEAD~1", env=env)
    return run(*git, "status", "--porcelain", env=env), run(*git, "rev-parse", "HEAD^{tree}", env=env)


def make_project(d, _, long):
    sources = [f for folder in (("base", "crypto") if not long else ("base", "crypto", "elf", "config", "secvol"))
               for f in sorted(os.listdir(f"{TOP}/lib/{folder}")) if f.endswith(".c") and not f.endswith("_test.c")
               and shutil.copy(f"{TOP}/lib/{folder}/{f}", d)]
    objects = " ".join(s[:-1] + "o" for s in sources)
    write(f"{d}/Makefile", (f"CFLAGS = -I{TOP} -O1 -maes -mpclmul -msse4.1 -mssse3\nOBJ = {objects}\n"
                            "lib.a: $(OBJ)\n\tar rcD $@ $^\n-include *.d\n"
                            "%.o: %.c\n\t$(CC) -MMD $(CFLAGS) -c -o $@ $<\n").encode())
    run("make", "-k", "-j2", "-C", d)
    expect(b"up to date" in run("make", "-C", d), "made twice")
    later = os.stat(f"{d}/lib.a").st_mtime + 5 # however long the compiler took
    os.utime(f"{d}/{sources[0]}", (later, later))
    again = run("make", "-C", d)
    expect(again.count(b"-c -o") == 1, again)
    return digest(f"{d}/lib.a")


# Another process sees all of a transaction or nothing.
READER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
last = 0
while last < int(sys.argv[2]):
    db.execute("begin")
    done, noted = db.execute("select done, sum from s").fetchone()
    seen = db.execute("select coalesce(sum(a), 0) from t").fetchone()[0]
    db.execute("commit")
    assert done >= last and seen == noted, (done, last, seen, noted)
    last = done
"""


def sqlite(mode):
    def work_with(d, _, long):
        path, rng, times = f"{d}/db", random.Random(mode), 2000 if long else 20
        db = sqlite3.connect(path, timeout=60, isolation_level=None)
        expect(db.execute(f"pragma journal_mode={mode}").fetchone()[0] == mode, "journal mode")
        db.execute("create table t(a integer primary key, b)")
        db.execute("create table s(done, sum)")
        db.execute("insert into s values(0, 0)")
        other = subprocess.Popen([sys.executable, "-c", READER, path, str(times)], stderr=subprocess.PIPE)
        for i in range(times):
            db.execute("begin immediate")
            for k in range(10):
                db.execute("insert into t values(?, ?)", (i * 10 + k, rng.randbytes(rng.randrange(3000))))
            if i % 5 == 4:
                db.execute("delete from t where a % 7 = ? and a < ?", (i % 7, (i - 2) * 10))
            db.execute("update s set done = ?, sum = (select sum(a) from t)", (i + 1,))
            db.execute("rollback" if i % 10 == 8 else "commit")
        err = other.communicate(timeout=600)[1]
        expect(other.returncode == 0, f"the reader: {err}")
        db.execute("vacuum")
        expect(db.execute("pragma integrity_check").fetchone()[0] == "ok", "integrity")
        seen = hashlib.sha256(repr(db.execute("select * from t order by a").fetchall()).encode()).hexdigest()
        db.close()
        return seen
    return work_with


def a_tree(work):
    """Everything a copy can lose; made once, on the host."""
    top = f"{work}/tree"
    if os.path.exists(top):
        return top
    os.makedirs(f"{top}/deep/" + "/".join("d" * 20 for _ in range(10)))
    rng = random.Random(1)
    for i in range(60):
        write(f"{top}/deep/f{i}", rng.randbytes(rng.choice((0, 1, 4095, 4096, 4097, 100000))))
        os.setxattr(f"{top}/deep/f{i}", "user.number", b"%d" % i)
    os.chown(f"{top}/deep/f1", 12, 34)
    os.chmod(f"{top}/deep/f1", 0o4711)
    os.link(f"{top}/deep/f2", f"{top}/second name")
    os.symlink("nowhere/at all", f"{top}/dangling")
    os.mkfifo(f"{top}/fifo", 0o600)
    write(f"{top}/" + "\u00e4" * 100, b"")
    with open(f"{top}/sparse", "wb") as f:
        f.truncate(64 << 20)
        f.seek(20 << 20)
        f.write(b"in the middle" * 1000)
    os.setxattr(f"{top}/deep", "user.of a folder", bytes(range(256)))
    for i, (folder, folders, files) in enumerate(os.walk(top, topdown=False)):
        for name in files + folders: # in the past: rsync takes times of the same second for equal
            os.utime(f"{folder}/{name}", ns=(1, 1234567890123456789 + i), follow_symlinks=False)
    os.sync() # while ext4 gives blocks to what it held back, a file of it can seem to have none, which tar -S believes
    return top


def few_blocks(path):
    """As a hole's file has them: whether it takes less than 2 of its 64 MiB."""
    return os.stat(path).st_blocks * 512 < 2 << 20


def rsync(d, work, _):
    if not shutil.which("rsync"):
        raise Skip("no rsync")
    top = a_tree(work)
    run("rsync", "-aHXS", f"{top}/", f"{d}/copy/")
    expect(run("rsync", "-aHXSnic", f"{top}/", f"{d}/copy/") == b"", "a second rsync finds something to do")
    same(manifest(f"{d}/copy"), manifest(top))
    write(f"{d}/copy/deep/f3", b"changed")
    run("rsync", "-aHXS", "--delete", "--inplace", f"{top}/", f"{d}/copy/")
    same(manifest(f"{d}/copy"), manifest(top))
    return few_blocks(f"{d}/copy/sparse")


def tar(d, work, _):
    top = a_tree(work)
    tar = "tar --xattrs --xattrs-include=user.* -S --numeric-owner"
    os.mkdir(f"{d}/in")
    run("sh", "-ec", f'{tar} -C "$1" --format=posix -cf "$2/a.tar" . && {tar} -C "$2/in" -xpf "$2/a.tar"', "sh", top, d)
    same(manifest(f"{d}/in"), manifest(top))
    os.mkdir(f"{d}/again") # and out of the mount
    run("sh", "-ec", f'{tar} -C "$1/in" --format=posix -cf - . | {tar} -C "$1/again" -xpf -', "sh", d)
    same(manifest(f"{d}/again"), manifest(top))
    return few_blocks(f"{d}/in/sparse"), few_blocks(f"{d}/again/sparse")


def while_open(d, *_):
    """Copies that look for holes, of a file that its writer neither closed nor synced: bytes held back are no hole."""
    path, random_bytes = f"{d}/f", random.Random(1).randbytes
    copies = ("tar -Scf - f | tar -xOf -", "cp --sparse=auto f g && cat g && rm g", "tar -cf - f | tar -xOf -")
    for copy in copies:
        for size, hole in ((10, 0), (3000, 1 << 20), (13000, 2 << 20), (1 << 20, 2 << 20)):
            for after in (0, 1 << 20):
                for by_mmap in (False, True):
                    # Started before: the fork of a process that has the file open closes it, which hands it over.
                    copier = subprocess.Popen(["sh", "-c", f"read go; {copy}"], cwd=d, stdin=subprocess.PIPE,
                                              stdout=subprocess.PIPE)
                    fd, data = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), random_bytes(size)
                    if by_mmap:
                        os.ftruncate(fd, hole + size + after)
                        view = mmap.mmap(fd, hole + size + after)
                        view[hole:hole + size] = data
                    else:
                        os.pwrite(fd, data, hole)
                        if after:
                            os.ftruncate(fd, hole + size + after)
                    seen = copier.communicate(b"go\n", timeout=60)[0]
                    expect(seen == bytes(hole) + data + bytes(after),
                           f"{copy}: {len(seen)} bytes{'' if any(seen) else ', all zeros'} of {hole}+{size}+{after}, "
                           f"mmap {by_mmap}")
                    if by_mmap:
                        view.close()
                    os.close(fd)
                    os.unlink(path)


def as_another_user(work):
    child = os.fork()
    if not child:
        try:
            os.setgid(65534)
            os.setuid(65534)
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def set_ids(d, *_):
    """Modes after what takes set-id bits away, of a file of every mode that has some, by root and by another user."""
    path, seen, page = f"{d}/f", [], mmap.mmap(-1, 4096)

    def write_at(flags, data):
        fd = os.open(path, os.O_WRONLY | flags)
        os.write(fd, data)
        os.close(fd)

    def open_for(work):
        fd = os.open(path, os.O_RDWR)
        work(fd)
        os.close(fd)

    def copy_into(fd):
        source = os.open(f"{d}/g", os.O_RDONLY)
        os.copy_file_range(source, fd, 100)
        os.close(source)

    os.chmod(d, 0o777)
    write(f"{d}/g", b"other" * 100)
    works = [lambda: open_for(lambda fd: os.posix_fallocate(fd, 0, 20000)),
             lambda: open_for(copy_into),
             lambda: write_at(0, b"x"), lambda: write_at(os.O_TRUNC, b""), lambda: write_at(os.O_DIRECT, page),
             lambda: os.truncate(path, 5), lambda: os.truncate(path, 50000)]
    for mode in (0o6777, 0o4766, 0o2777, 0o2767, 0o777):
        for work in works:
            for who in (as_another_user, lambda work: work()):
                write(path, b"text" * 3000)
                os.chmod(path, mode)
                who(work)
                seen.append((oct(os.stat(path).st_mode), os.stat(path).st_size))
        os.chmod(path, mode)
        os.chown(path, 1, 2)
        seen.append(oct(os.stat(path).st_mode))
    return seen


def cp_a(d, _, long):
    source = "/usr" if long else "/usr/include/linux" if os.path.exists("/usr/include/linux") else "/usr/share/perl5"
    room = os.statvfs(d)
    need = int(run("du", "-sk", source, timeout=600).split()[0]) << 10
    if room.f_bavail * room.f_bsize < need * 1.2:
        raise Skip(f"{d} has no room for {need >> 20} MiB")
    run("cp", "-a", source, f"{d}/copy", timeout=3600)
    same(manifest(f"{d}/copy"), manifest(source))


PROGRAMS = {"git clone, fsck, gc, checkout": git_clone, "make of a C project": make_project,
            "sqlite, rollback journal": sqlite("delete"), "sqlite, WAL": sqlite("wal"), "rsync": rsync,
            "tar with xattrs and holes": tar, "copies of a file that is being written": while_open,
            "set-id bits": set_ids, "cp -a": cp_a}


def check_programs(report, places, work, long):
    for name, program in PROGRAMS.items():
        with report.case(f"as on ext4: {name}"):
            seen = []
            for d in places.fresh():
                seen.append(program(d, work, long))
                shutil.rmtree(d)
            expect(seen[0] == seen[1], f"{seen[0]} instead of {seen[1]}")


# ---- other people's tests -------------------------------------------------------------------------------


def named(variable):
    path = os.environ.get(variable)
    if not path:
        raise Skip(f"{variable} is not set")
    expect(os.path.exists(path), f"{variable}={path} is not there")
    return os.path.abspath(path)


def pjdfstest_failures(suite, d, tools):
    """
    {"chmod/00.t 3", ...}; a test file that ends early fails as its whole. Some checks are made only where `df` says ext4:
    here it does.
    """
    failed, count = set(), 0
    os.makedirs(tools, exist_ok=True)
    write(f"{tools}/df", b"#!/bin/sh\necho Filesystem Type\necho any ext4\n")
    os.chmod(f"{tools}/df", 0o755)
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    for folder, folders, files in os.walk(f"{suite}/tests"):
        folders.sort()
        for name in sorted(f for f in files if f.endswith(".t")):
            path = os.path.join(folder, name)
            short = os.path.relpath(path, f"{suite}/tests")
            where = f"{d}/{short.replace('/', '.')}"
            os.mkdir(where)
            done = subprocess.run(["sh", path], cwd=where, env=env, capture_output=True, text=True, timeout=600)
            plan = re.search(r"^1\.\.(\d+)", done.stdout, re.M)
            results = re.findall(r"^(not )?ok (\d+)(?!.*# (?:TODO|SKIP))", done.stdout, re.M)
            failed |= {f"{short} {number}" for bad, number in results if bad}
            count += len(results)
            if not plan or len(re.findall(r"^(?:not )?ok", done.stdout, re.M)) != int(plan.group(1)):
                failed.add(f"{short} (ends early)")
            subprocess.run(["rm", "-rf", where])
    return failed, count


def check_pjdfstest(report, places, work, long):
    with report.case("pjdfstest: fails nothing that passes on ext4"):
        suite = named("PJDFSTEST")
        ours, host = (pjdfstest_failures(suite, d, f"{work}/tools") for d in places.fresh())
        print(f"        {ours[1]} checks on the mount, {len(ours[0])} failed; on ext4 {host[1]}, {len(host[0])} failed")
        expect(host[1] > 1000, "the suite does not run on ext4 either")
        expect(ours[1] == host[1], "it does not check the same on both")
        for test in sorted(host[0]):
            print(f"        fails on ext4{'' if test in ours[0] else ', not on the mount'}: {test}")
        worse = sorted(ours[0] - host[0])
        expect(not worse, "only on the mount: " + ", ".join(worse))


def check_fsx(report, places, work, long):
    with report.case(f"fsx{' for 30 minutes' if long else ''}: every byte as written"):
        program = named("FSX")
        ours, host = places.fresh()
        run(program, "-q", "-N", "500", "-S", "1", "f", cwd=host)
        seed, end = random.randrange(1 << 30), time.monotonic() + (FSX_SECONDS if long else 0)
        # One with buffered requests of any size, one without mmap as with O_DIRECT beside it.
        kinds = (["-q"], ["-q", "-W", "-R"], ["-q", "-l", "5000000"], ["-q", "-o", "1000000", "-l", "8000000"])
        rounds = 0
        while rounds < len(kinds) or time.monotonic() < end:
            kind = kinds[rounds % len(kinds)]
            done = subprocess.run([program, *kind, "-N", "20000" if long else "3000", "-S", str(seed + rounds), "f"],
                                  cwd=ours, capture_output=True, timeout=3600)
            expect(done.returncode == 0, f"{kind} seed {seed + rounds}: {describe(done)[-2000:]}")
            os.unlink(f"{ours}/f")
            rounds += 1
        print(f"        {rounds} rounds from seed {seed}")


def check_fsstress(report, places, work, long):
    with report.case("fsstress: nothing hangs or crashes, and what it leaves can be read and removed"):
        program = named("FSSTRESS")
        for d, seed in zip(places.fresh(), (random.randrange(1 << 30), 1)):
            run(program, "-d", d, "-n", "20000" if long else "1000", "-p", "4", "-s", str(seed), timeout=3600)
            manifest(d)
            run("rm", "-rf", d)
            expect(not os.path.exists(d), f"seed {seed}: something stays")


def ltp_run(suite, line, d):
    name, command = line.split(None, 1)
    env = {**os.environ, "PATH": f"{suite}/testcases/bin:{os.environ['PATH']}", "LTPROOT": suite, "TMPDIR": d,
           "LTP_COLORIZE_OUTPUT": "n"}
    with subprocess.Popen(["sh", "-c", command], cwd=d, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as p:
        try:
            text = p.communicate(timeout=900)[0]
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            return -1, b"longer than 15 minutes"
    return p.returncode, text


def check_ltp(report, places, work, long):
    with report.case("LTP: the list of fs tests"):
        suite = named("LTP")
        lines = [l for l in open(f"{suite}/runtest/fs").read().splitlines() if l.strip() and l[0] != "#"]
        lines = [l for l in lines if not LTP_LEFT_OUT.match(l) and (long or LTP_SHORT.match(l))]
        expect(lines, "no tests in it")
    if not os.environ.get("LTP"):
        return
    for line in lines:
        name = line.split()[0]
        with report.case(f"LTP {name}"):
            ours, host = places.fresh()
            code, text = ltp_run(suite, line, ours)
            if code == 32:
                raise Skip("not for this machine")
            if code:
                there, text_there = ltp_run(suite, line, host)
                if there:
                    raise Skip(f"fails on ext4 too ({there})")
            expect(code == 0, f"{code}, and 0 on ext4: {text[-1500:].decode('utf-8', 'replace')}")


# ---- where ---------------------------------------------------------------------------------------------------


class Places:
    """A folder of the mount and one of ext4, empty, as often as asked."""

    def __init__(self, ours, host):
        self.tops, self.count = (ours, host), 0

    def fresh(self):
        self.count += 1
        made = [f"{top}/t{self.count}" for top in self.tops]
        for d in made:
            os.mkdir(d)
            os.chmod(d, 0o755)
        return made


@contextlib.contextmanager
def an_ext4(work, size):
    image, point = f"{work}/ext4.image", f"{work}/ext4"
    os.mkdir(point)
    with open(image, "wb") as f:
        f.truncate(size)
    done = shutil.which("mkfs.ext4") and subprocess.run(
        f"mkfs.ext4 -q -F '{image}' && mount -o loop '{image}' '{point}'", shell=True, capture_output=True)
    if not done or done.returncode:
        os.unlink(image)
        kind = run("stat", "-f", "-c", "%T", work).decode().strip()
        print(f"        no ext4 of our own can be made here: compared with {work} ({kind})")
        yield point
        return
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--folder", default="/var/tmp")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    in_own_namespace()
    report = Report()
    why = can_mount()
    if why or os.geteuid():
        print(f"SKIPPED all suites on mounts: {why or 'owners, devices and other users need root'}")
        report.skipped += 1
        report.finish()
    work = tempfile.mkdtemp(prefix="occlum-suites-", dir=args.folder)
    os.chmod(work, 0o755) # for tests that become other users
    parts = {"programs": check_programs, "pjdfstest": check_pjdfstest, "fsx": check_fsx, "fsstress": check_fsstress,
             "ltp": check_ltp}
    point = f"{work}/mnt"
    os.mkdir(point)
    try:
        instance = Instance(args.build, f"{work}/instance")
        fill(instance.image)
        instance.build()
        with an_ext4(work, (12 if args.long else 2) << 30) as host:
            m = Mounted(instance, point, "--allow-other")
            try:
                os.mkdir(f"{point}/suites")
                places = Places(f"{point}/suites", host)
                for name, part in parts.items():
                    if not args.names or name in args.names:
                        part(report, places, work, args.long)
            finally:
                m.end()
        with report.case("after all of it the volume is whole"):
            good(occlum(instance, "image", "verify", timeout=3600))
    finally:
        subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
