# SPDX-License-Identifier: Apache-2.0
"""Processes of python in all the ways it has: fork, subprocess, asyncio, multiprocessing, ptys."""
import asyncio
import ctypes
import mmap
import multiprocessing
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor


def section(name):
    print("==", name, flush=True)


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def square(n):
    return n * n


def forks():
    section("fork")
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        os.write(w, b"from the child")
        os._exit(5)
    os.close(w)
    print(os.read(r, 100), os.read(r, 1), exit_code(pid))
    lock, done = threading.Lock(), []

    def forker(n):
        child = os.fork()
        if child == 0:
            os._exit(n)
        code = exit_code(child)
        with lock:
            done.append(code)

    threads = [threading.Thread(target=forker, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(sorted(done))
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:  # a daemon: the grandchild has a session of its own and no parent
        os.setsid()
        if os.fork():
            os._exit(0)
        os.dup2(w, 1)
        os.execv("/bin/sh", ["sh", "-c", "echo daemon"])
    os.close(w)
    print(exit_code(pid))
    with open(r) as f:
        print(f.read().strip())


def subprocesses():
    section("subprocess")
    print(subprocess.run("echo $((6*7)); exit 3", shell=True, capture_output=True))
    big = subprocess.run(["cat"], input="text\n" * 50000, text=True, capture_output=True)
    print(big.stdout.count("\n"))
    p = subprocess.Popen(["sh", "-c", "trap 'echo got; exit 9' TERM; echo ready; "
                          "while :; do sleep 0.01; done"],
                         stdout=subprocess.PIPE, text=True, preexec_fn=os.setpgrp)
    print(p.stdout.readline().strip())
    os.killpg(p.pid, signal.SIGTERM)
    print(p.stdout.read().strip(), p.wait())
    print(subprocess.getoutput("seq 3 | tac").split(), os.system("exit 2") >> 8,
          os.popen("echo popen").read().strip())
    print(subprocess.run([sys.executable, "-c", "import sys; print(sys.argv)", "a b"],
                         capture_output=True, text=True, close_fds=True).stdout)


async def asyncio_processes():
    script = "read x; echo $x {0}; exit {0}"
    ps = [await asyncio.create_subprocess_exec("sh", "-c", script.format(n), stdin=-1, stdout=-1)
          for n in range(5)]
    outs = await asyncio.gather(*(p.communicate(b"in\n") for p in ps))
    print([o[0] for o in outs], [p.returncode for p in ps])
    p = await asyncio.create_subprocess_shell("exec sleep 100")
    p.kill()
    print(await p.wait())
    loop, got = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await got.wait()
    print("signalled", await loop.run_in_executor(None, square, 9))
    loop.remove_signal_handler(signal.SIGUSR1)


def signals():
    section("signal")
    seen = []
    signal.signal(signal.SIGUSR1, lambda n, f: seen.append(n))
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGALRM, lambda n, f: seen.append("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.pause()
    print(seen)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.kill(os.getpid(), signal.SIGUSR2)
    print(signal.sigpending(), signal.sigwait([signal.SIGUSR2]),
          signal.sigtimedwait([signal.SIGUSR2], 0.01))
    r, w = os.pipe()
    os.set_blocking(w, False)
    old = signal.set_wakeup_fd(w)
    signal.raise_signal(signal.SIGUSR1)
    print(os.read(r, 10), signal.set_wakeup_fd(old) == w)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while True:
            signal.pause()
    fd = os.pidfd_open(pid)
    signal.pidfd_send_signal(fd, signal.SIGTERM)
    print(select.select([fd], [], [], 20)[0] == [fd],
          os.waitid(os.P_PIDFD, fd, os.WEXITED).si_status)


def ptys():
    section("pty")
    pid, fd = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", "test -t 0 && stty size; read x; echo got $x; exit 4"])
    os.write(fd, b"a line\n")
    text = b""
    while True:
        try:
            part = os.read(fd, 1000)
        except OSError:  # EIO: the last user of the other side is gone
            break
        if not part:
            break
        text += part
    print(sorted(text.split()), exit_code(pid))
    os.close(fd)
    master, slave = os.openpty()
    print(os.isatty(slave), os.ttyname(slave).startswith("/dev/pts/"))
    shell = subprocess.Popen(["sh"], stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True)
    os.write(master, b"exit 6\n")
    print(shell.wait())


def memory():
    section("mmap, select, ctypes")
    shared = mmap.mmap(-1, 8192)
    pid = os.fork()
    if pid == 0:
        shared[:5] = b"child"
        os._exit(0)
    print(exit_code(pid), shared[:5])
    with tempfile.TemporaryFile() as f:
        f.truncate(10000)
        m = mmap.mmap(f.fileno(), 0)
        m[9000:9004] = b"file"
        m.flush()
        print(os.pread(f.fileno(), 4, 9000), m.find(b"file"))
        m.close()
    r, w = os.pipe()
    epoll, poll = select.epoll(), select.poll()
    epoll.register(r, select.EPOLLIN | select.EPOLLET)
    poll.register(r)
    print(epoll.poll(0), poll.poll(0))
    os.write(w, b"x")
    print(epoll.poll(5) == [(r, select.EPOLLIN)], epoll.poll(0), poll.poll() == [(r, 1)],
          select.select([r], [w], [], 0) == ([r], [w], []))
    libc = ctypes.CDLL(None, use_errno=True)
    print(libc.abs(-4), libc.strlen(b"five5"), libc.close(-1), ctypes.get_errno())
    pointer = ctypes.POINTER(ctypes.c_int)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer)(lambda x, y: x[0] - y[0])
    numbers = (ctypes.c_int * 6)(5, 1, 4, 2, 6, 3)
    libc.qsort(numbers, 6, 4, compare)
    print(list(numbers))


def put_squares(queue, n):
    for i in range(n):
        queue.put((i, i * i))


def add(counter, n):
    for _ in range(n):
        with counter.get_lock():
            counter.value += 1


def talk(connection):
    while (text := connection.recv()) is not None:
        connection.send(text.upper())


def fail():
    sys.exit(11)


def work(method):
    section("multiprocessing " + method)
    ctx = multiprocessing.get_context(method)
    queue = ctx.Queue()
    p = ctx.Process(target=put_squares, args=(queue, 5))
    p.start()
    print([queue.get() for _ in range(5)], p.join(), p.exitcode)
    counter = ctx.Value("i", 0)
    ps = [ctx.Process(target=add, args=(counter, 200)) for _ in range(3)]
    for p in ps:
        p.start()
    for p in ps:
        p.join()
    print(counter.value)
    here, there = ctx.Pipe()
    p = ctx.Process(target=talk, args=(there,))
    p.start()
    here.send("a word")
    print(here.recv())
    here.send(None)
    p.join()
    q = ctx.Process(target=fail)
    q.start()
    q.join()
    s = ctx.Process(target=time.sleep, args=(100,))
    s.start()
    s.terminate()
    s.join()
    print(p.exitcode, q.exitcode, s.exitcode)
    with ctx.Pool(3) as pool:
        print(pool.map(square, range(20), chunksize=3))
    with ProcessPoolExecutor(2, mp_context=ctx) as pool:
        print(list(pool.map(square, range(6))))
    with ctx.Manager() as manager:
        shared = manager.dict(a=1)
        shared["b"] = 2
        print(dict(shared))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(sys.argv[1])
    else:
        forks()
        subprocesses()
        section("asyncio")
        asyncio.run(asyncio_processes())
        signals()
        ptys()
        memory()
