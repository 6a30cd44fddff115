#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exit status, signals, terminal, pipes and exhaustion, as a user of `occlum run` sees them."""
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, Skip, describe, expect, probe_instance, scratch


def start(instance, *argv, **kw):
    kw = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **kw}
    return subprocess.Popen([instance.occlum, "run", *argv], cwd=instance.dir, **kw)


def check_status(report, instance):
    for code in (0, 1, 77, 127, 128, 200, 255):
        with report.case(f"exit status {code} is passed on"):
            done = instance.run("/bin/probe", "exit", str(code))
            expect(done.returncode == code, describe(done))
    with report.case("a program that is not there gives 127"):
        done = instance.run("/bin/missing")
        expect(done.returncode == 127 and b"/bin/missing" in done.stderr, describe(done))
    with report.case("a program outside entry_points is refused with the list and the field"):
        done = instance.run("/lib/x86_64-linux-gnu/libc.so.6")
        expect(done.returncode != 0 and b"entry_points" in done.stderr and b"/bin" in done.stderr,
               describe(done))
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGUSR1):
        with report.case(f"death by {number.name} gives 128+{int(number)}"):
            done = instance.run("/bin/probe", "die", str(int(number)))
            expect(done.returncode == 128 + number, describe(done))
    with report.case("what is another user's alone is started all the same: the host's programs are root's"):
        done = instance.run("/bin/busybox", "sh", "-c", "mkdir -m 700 /bin/own && cp -p /bin/busybox /bin/own/true && "
                            "chmod 700 /bin/own/true && chown -R 1000:1000 /bin/own")
        expect(done.returncode == 0, describe(done))
        done = instance.run("/bin/own/true")
        expect(done.returncode == 0, describe(done))
    with report.case("a wild pointer gives 139 and is said like a shell says it"):
        done = instance.run("/bin/probe", "fault", "8")
        expect(done.returncode == 139 and b"Segmentation fault" in done.stderr, describe(done))
    with report.case("the kernel's memory is out of a program's reach"):
        done = instance.run("/bin/probe", "kernel")
        expect(done.returncode == 139, describe(done))
    with report.case("at log level error one line tells registers, module and offset"):
        done = instance.run("/bin/probe", "fault", "8", env={"OCCLUM_LOG_LEVEL": "error"})
        expect(b"probe+0x" in done.stderr and b"rip" in done.stderr.lower(), describe(done))
        expect(done.stderr.count(b"dies of SIGSEGV") == 1, describe(done))
    with report.case("so it is when a program aborts"):
        done = instance.run("/bin/probe", "die", str(int(signal.SIGABRT)), env={"OCCLUM_LOG_LEVEL": "error"})
        expect(done.stderr.count(b"dies of SIGABRT") == 1 and b" rip 0x" in done.stderr, describe(done))
    with report.case("and not when somebody ends it"):
        done = instance.run("/bin/probe", "die", str(int(signal.SIGTERM)), env={"OCCLUM_LOG_LEVEL": "error"})
        expect(b"dies of" not in done.stderr, describe(done))


def check_fork(report, instance):
    with report.case("a pipeline of a shell: parts that fork and take turns"):
        done = instance.run("/bin/busybox", "sh", "-c",
                            "x=$(echo one; exit 4); echo $x $?; (echo two; exit 3) | (read y; echo $y)")
        expect(done.stdout == b"one 4\ntwo\n", describe(done))
        expect(done.returncode == 0, describe(done))


def check_name(report, instance):
    with report.case("uname -n is the host's /etc/hostname"):
        name = "occlum-node"
        if os.path.exists("/etc/hostname"):
            with open("/etc/hostname") as f:
                name = f.read().strip()
        done = instance.run("/bin/busybox", "uname", "-n")
        expect(done.stdout.decode().strip() == name, describe(done))


def check_pipes(report, instance):
    with report.case("membarrier does not wait for a thread that waits for a reader"):
        p = start(instance, "/bin/probe", "barrier")
        try:
            expect(p.wait(timeout=60) == 0, f"status {p.returncode}")
        finally:
            p.kill()
        expect(b"passed" in p.stderr.read(), "the end was not reached")
    with report.case("standard input and output are pipes, nothing else on standard output"):
        done = instance.run("/bin/busybox", "cat", stdin=b"through the enclave\n")
        expect(done.stdout == b"through the enclave\n" and done.returncode == 0, describe(done))
    with report.case("a closed reader kills like a native program (SIGPIPE)"):
        p = start(instance, "/bin/probe", "yes", "die")
        p.stdout.read(10)
        p.stdout.close()
        expect(p.wait(20) == 128 + signal.SIGPIPE, f"status {p.returncode}")
    with report.case("a program that ignores SIGPIPE gets EPIPE"):
        p = start(instance, "/bin/probe", "yes", "ignore")
        p.stdout.read(10)
        p.stdout.close()
        expect(p.wait(20) == 42, f"status {p.returncode}")


FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1, signal.SIGUSR2,
             signal.SIGPIPE, signal.SIGALRM, signal.SIGTERM, signal.SIGCONT, signal.SIGURG, signal.SIGXCPU,
             signal.SIGXFSZ, signal.SIGVTALRM, signal.SIGPROF, signal.SIGWINCH, signal.SIGIO,
             signal.SIGPWR, signal.SIGRTMIN, signal.SIGRTMAX - 1)


def check_host_signals(report, instance):
    # A shell's background job is started with some of them ignored, and what is ignored stays so.
    for number in FORWARDED:
        signal.signal(number, signal.SIG_DFL)
    for number in FORWARDED:
        with report.case(f"signal {int(number)} of the host reaches a handler"):
            p = start(instance, "/bin/probe", "wait-signal", str(int(number)))
            expect(p.stdout.readline() == b"ready\n", "did not start")
            p.send_signal(number)
            out, _ = p.communicate(timeout=20)
            expect(out == f"caught {int(number)}\n".encode() and p.returncode == 0,
                   f"{out} {p.returncode}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        with report.case(f"{number.name} ends a program that spins in user code"):
            p = start(instance, "/bin/probe", "spin")
            expect(p.stdout.readline() == b"ready\n", "did not start")
            p.send_signal(number)
            expect(p.wait(20) == 128 + number, f"status {p.returncode}")


def check_terminal(report, instance):
    with report.case("a terminal is a terminal: size, termios"):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        p = start(instance, "/bin/probe", "tty", stdin=slave, stdout=slave, stderr=slave)
        expect(p.wait(20) == 0, f"status {p.returncode}")
        time_limit = time.monotonic() + 5
        out = b""
        while b"echo off" not in out and time.monotonic() < time_limit:
            out += os.read(master, 1000)
        expect(b"isatty 1 1 1" in out and b"99 x 33" in out, out.decode())
        expect(not termios.tcgetattr(slave)[3] & termios.ECHO, "ECHO is still set")
        os.close(master)
        os.close(slave)
    with report.case("Ctrl-C on the terminal interrupts the program"):
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(instance.dir)
            os.execv(instance.occlum, [instance.occlum, "run", "/bin/probe", "wait-signal", "2"])
        out = b""
        while b"ready" not in out:
            out += os.read(master, 1000)
        os.write(master, b"\x03")
        while b"caught" not in out:
            out += os.read(master, 1000)
        _, status = os.waitpid(pid, 0)
        expect(os.WEXITSTATUS(status) == 0 and b"caught 2" in out, f"{out} {status}")
        os.close(master)


def on_terminal(instance, *argv):
    """Runs it on a terminal of its own; returns the status, and the terminal's settings before and after."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    pid = os.fork()
    if pid == 0:
        os.close(master)
        os.login_tty(os.dup(slave))
        os.chdir(instance.dir)
        os.execv(instance.occlum, [instance.occlum, "run", *argv])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    after = termios.tcgetattr(slave)
    os.close(slave)
    os.close(master)
    return status, before, after


def check_settings(report, instance):
    with report.case("a program that a signal ends leaves the terminal's settings as they were"):
        status, before, after = on_terminal(instance, "/bin/busybox", "sh", "-c", "stty raw -echo; kill -9 $$")
        expect(status == 137 and before == after, f"{status}\n{before}\n{after}")
    with report.case("a program that exits has the last word about the terminal's settings"):
        status, before, after = on_terminal(instance, "/bin/busybox", "stty", "raw", "-echo")
        expect(status == 0 and before != after, f"{status}\n{before}\n{after}")


def break_kernel(kernel, pid):
    """An illegal instruction takes the place of uname(2) in the kernel that runs in the process."""
    symbols = subprocess.run(["nm", kernel + ".debug"], capture_output=True, text=True, check=True).stdout
    at = int(re.search(r"^(\w+) \w sys_uname$", symbols, re.M)[1], 16)
    with open(kernel, "rb") as f:
        image = f.read()
    at += struct.unpack_from("<Q", image, 64 + 8)[0]  # where the first segment, the text, begins
    wanted = image[at:at + 64]
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "r+b", 0) as memory:
        for line in maps:
            start, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            start, end = int(start, 16), int(end, 16)
            if "x" not in mode or end - start > 1 << 24 or "[v" in line:
                continue
            memory.seek(start)
            found = memory.read(end - start).find(wanted)
            if found >= 0:
                memory.seek(start + found)
                memory.write(b"\x0f\x0b")
                return
    expect(False, "the kernel was not found")


def check_stopped(report, instance, build):
    kernel = build + "/kernel/libocclum-libos_sim.so"
    with report.case("a kernel that stops is told from a program that could not be started"):
        if not os.path.exists(kernel + ".debug"):
            raise Skip("the kernel's symbols are not here")
        p = start(instance, "/bin/busybox", "sh", "-c", "echo ready; read x; uname", stdin=subprocess.PIPE)
        expect(p.stdout.readline() == b"ready\n", "did not start")
        break_kernel(kernel, p.pid)
        out, err = p.communicate(b"\n", timeout=60)
        expect(p.returncode == 1, f"status {p.returncode}: {err}")
        expect(err.count(b"the kernel stops: exception 6") == 2 and b"the enclave ended" in err, err)
        expect(b"the enclave stopped while '/bin/busybox' was running" in err, err)


def check_exhaustion(report, instance):
    cases = (
        ("user space", ["map", "1"], "resource_limits.user_space_size", 0),
        ("user space by one large piece", ["map", "51200"], "asked for 51200 MiB", 0),
        ("user space in large pieces", ["map", "64"], "resource_limits.user_space_size", 0),
        ("threads", ["threads"], "resource_limits.max_num_of_threads", 0),
        ("stack", ["stack"], "process.default_stack_size", 139),
        ("kernel heap", ["ramfs", "/tmp/fill"], "resource_limits.kernel_space_heap_size", 0),
    )
    for name, argv, field, status in cases:
        with report.case(f"exhausted {name}: Linux's result, a line naming {field}"):
            done = instance.run("/bin/probe", *argv)
            expect(done.returncode == status and field.encode() in done.stderr, describe(done))
        with report.case(f"after exhausted {name} the instance runs on"):
            done = instance.run("/bin/probe", "exit", "3")
            expect(done.returncode == 3, describe(done))
    with report.case("a heap at its end is said to who asks: allocators go on with mmap"):
        done = instance.run("/bin/probe", "brk")
        expect(done.returncode == 0 and not done.stderr, describe(done))
        done = instance.run("/bin/probe", "brk", env={"OCCLUM_LOG_LEVEL": "info"})
        expect(done.returncode == 0 and b"process.default_heap_size" in done.stderr, describe(done))
    with report.case("a stack that a limit made small is said so"):
        done = instance.run("/bin/busybox", "sh", "-c", "ulimit -s 128; exec /bin/probe stack")
        expect(done.returncode == 139 and b"128 KiB" in done.stderr and b"ulimit -s" in done.stderr, describe(done))


def main():
    report = Report()
    work = scratch()
    try:
        build = sys.argv[1] if len(sys.argv) > 1 else "build"
        instance = probe_instance(build, work)
        instance.build()
        check_status(report, instance)
        check_fork(report, instance)
        check_name(report, instance)
        check_pipes(report, instance)
        check_host_signals(report, instance)
        check_terminal(report, instance)
        check_settings(report, instance)
        check_stopped(report, instance, build)
        check_exhaustion(report, instance)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
