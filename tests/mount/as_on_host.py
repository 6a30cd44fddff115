# SPDX-License-Identifier: Apache-2.0
"""POSIX behaviour of a mount: each test runs in a folder of the mount and in one of the host's, and must see the same."""
import errno
import mmap
import os
import shutil
import stat

from harness import Skip, expect
from mounts import raises, read, write


def posix_names(d):
    write(f"{d}/a", b"1")
    os.link(f"{d}/a", f"{d}/b")
    expect(os.stat(f"{d}/b").st_nlink == 2 and os.path.samefile(f"{d}/a", f"{d}/b"), "hard link")
    os.unlink(f"{d}/a")
    expect(os.stat(f"{d}/b").st_nlink == 1, "nlink after unlink")
    os.mkdir(f"{d}/dir")
    raises(errno.EISDIR, os.unlink, f"{d}/dir")
    raises(errno.ENOTDIR, os.rmdir, f"{d}/b")
    write(f"{d}/dir/x", b"")
    raises(errno.ENOTEMPTY, os.rmdir, f"{d}/dir")
    raises(errno.EEXIST, os.mkdir, f"{d}/dir")
    os.symlink("dir/x", f"{d}/link")
    expect(os.readlink(f"{d}/link") == "dir/x", "readlink")
    os.mkfifo(f"{d}/fifo", 0o640)
    expect(stat.S_ISFIFO(os.lstat(f"{d}/fifo").st_mode), "fifo")
    long = "n" * 255
    write(f"{d}/{long}", b"long")
    expect(read(f"{d}/{long}") == b"long", "name of 255 bytes")
    raises(errno.ENAMETOOLONG, write, f"{d}/{long}n", b"")
    raises(errno.ENOENT, os.stat, f"{d}/nothing")
    return sorted(os.listdir(d))


def rename2(old, new, flags):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def posix_rename(d):
    write(f"{d}/a", b"a")
    write(f"{d}/b", b"b")
    raises(errno.EEXIST, rename2, f"{d}/a", f"{d}/b", 1)
    rename2(f"{d}/a", f"{d}/b", 2)
    expect(read(f"{d}/a") == b"b" and read(f"{d}/b") == b"a", "exchange")
    os.rename(f"{d}/a", f"{d}/b")
    expect(read(f"{d}/b") == b"b" and not os.path.exists(f"{d}/a"), "replace")
    os.makedirs(f"{d}/p/q")
    raises(errno.EINVAL, os.rename, f"{d}/p", f"{d}/p/q/r")
    raises(errno.ENOTDIR, os.rename, f"{d}/p", f"{d}/b")
    raises(errno.EISDIR, os.rename, f"{d}/b", f"{d}/p")
    os.mkdir(f"{d}/empty")
    os.rename(f"{d}/p", f"{d}/empty")
    return sorted(os.listdir(d)) + os.listdir(f"{d}/empty")


def posix_contents(d):
    path = f"{d}/f"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x" * 10000, 0)
    os.pwrite(fd, b"end", 1 << 20)
    os.fsync(fd)
    expect(os.fstat(fd).st_size == (1 << 20) + 3, "size")
    expect(os.pread(fd, 5, 500000) == bytes(5), "hole reads as zeros")
    hole = os.lseek(fd, 0, os.SEEK_HOLE)
    data = os.lseek(fd, 200000, os.SEEK_DATA)
    os.ftruncate(fd, 9000)
    os.ftruncate(fd, 20000)
    expect(os.pread(fd, 20000, 0) == b"x" * 9000 + bytes(11000), "truncate down and up")
    os.posix_fallocate(fd, 0, 30000)
    expect(os.fstat(fd).st_size == 30000, "fallocate")
    with mmap.mmap(fd, 30000) as m:
        m[8190:8200] = b"0123456789"
        m.flush()
    expect(os.pread(fd, 10, 8190) == b"0123456789", "mmap")
    os.unlink(path)
    expect(os.pread(fd, 3, 0) == b"xxx" and os.fstat(fd).st_nlink == 0, "unlinked and open")
    os.close(fd)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"one")
    os.write(fd, b"two")
    os.close(fd)
    expect(read(path) == b"onetwo", "append")
    raises(errno.EEXIST, os.open, path, os.O_CREAT | os.O_EXCL)
    return 10000 <= hole <= 12288, 900000 < data <= 1 << 20


def posix_held_back(d):
    """What nobody has closed or synced yet is data for who looks for holes."""
    fd = os.open(f"{d}/f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x" * 13000, 5 << 20)
    expect(os.stat(f"{d}/f").st_blocks > 0, "a file of bytes without a block")
    places = [os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_HOLE)]
    os.pwrite(fd, b"x" * 4096, 1 << 20)
    places += [os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 1 << 20, os.SEEK_HOLE), os.lseek(fd, 2 << 20, os.SEEK_DATA)]
    os.ftruncate(fd, 6 << 20)
    os.pwrite(fd, b"y", (6 << 20) - 1)
    places += [os.lseek(fd, (5 << 20) + 16384, os.SEEK_DATA), os.lseek(fd, (6 << 20) - 1, os.SEEK_HOLE)]
    raises(errno.ENXIO, os.lseek, fd, 6 << 20, os.SEEK_DATA)
    with mmap.mmap(fd, 6 << 20) as m:
        m[3 << 20] = 1
        places.append(os.lseek(fd, 2 << 20, os.SEEK_DATA))
    os.close(fd)
    return places


def posix_copy(d):
    write(f"{d}/from", os.urandom(300000))
    a, b = os.open(f"{d}/from", os.O_RDONLY), os.open(f"{d}/to", os.O_RDWR | os.O_CREAT)
    left = 300000
    while left:
        n = os.copy_file_range(a, b, left)
        expect(n > 0, "copy_file_range")
        left -= n
    os.close(a)
    os.close(b)
    expect(read(f"{d}/from") == read(f"{d}/to"), "copied bytes")


def posix_attributes(d):
    path = f"{d}/f"
    write(path, b"x")
    os.chmod(path, 0o4751)
    os.utime(path, ns=(1234567890123456789, 987654321987654321))
    st = os.stat(path)
    expect(st.st_mtime_ns == 987654321987654321 and st.st_atime_ns == 1234567890123456789, "times")
    mode = st.st_mode
    os.chown(path, 12, 34)
    st = os.stat(path)
    expect((st.st_uid, st.st_gid) == (12, 34), "owner")
    vfs = os.statvfs(d)
    expect(vfs.f_namemax == 255 and vfs.f_bavail > 0, "statvfs")
    return oct(mode)


def posix_xattr(d):
    path = f"{d}/f"
    write(path, b"x")
    os.setxattr(path, "user.one", b"1" * 100)
    os.setxattr(path, "user.two", b"")
    raises(errno.EEXIST, os.setxattr, path, "user.one", b"", os.XATTR_CREATE)
    raises(errno.ENODATA, os.getxattr, path, "user.three")
    expect(os.getxattr(path, "user.one") == b"1" * 100, "value")
    names = sorted(n for n in os.listxattr(path) if n.startswith("user."))
    os.removexattr(path, "user.one")
    raises(errno.ENODATA, os.removexattr, path, "user.one")
    return names


def posix_many(d):
    for i in range(1500):
        write(f"{d}/file{i:04}", b"%d" % i)
    names = sorted(os.listdir(d))
    expect(len(names) == 1500, f"{len(names)} names")
    with os.scandir(d) as entries:
        seen = 0
        for e in entries: # deleting while listing
            os.unlink(e.path)
            seen += 1
    expect(seen == 1500 and not os.listdir(d), "unlink while listing")


POSIX = {"names": posix_names, "rename": posix_rename, "contents": posix_contents,
         "holes of unsynced files": posix_held_back,
         "copy_file_range": posix_copy, "attributes": posix_attributes, "xattrs": posix_xattr,
         "many names": posix_many}


def compare_posix(report, point, work):
    for name, test in POSIX.items():
        with report.case(f"as on the host's file system: {name}"):
            ours, host = f"{point}/root/t", f"{work}/host"
            for d in (ours, host):
                shutil.rmtree(d, ignore_errors=True)
                os.mkdir(d)
            try:
                expected = test(host)
            except OSError as e:
                raise Skip(f"the host's file system itself: {e}")
            seen = test(ours)
            expect(seen == expected, f"{seen} instead of {expected}")
            shutil.rmtree(ours)
