#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Job control and settings on the terminal that `occlum run` was started on, natively and inside.

    terminal_test.py [BUILD]
"""
import argparse
import os
import pty
import select
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from harness import Instance, Report, compile_c, expect, put_program, scratch

LIMIT_S = 60
# Processes come and go around each change of the settings, which must not notice.
SETTINGS = """i=0
while [ $i -lt 20 ]; do
	%s true | %s cat && %s stty sane && %s stty -echo || exit 1
	i=$((i + 1))
done
%s stty sane && echo done""".replace("%s", "/bin/busybox")


def on_terminal(command, folder):
    """Runs the command on a terminal of its own; presses ^C when it waits for the key."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(command[0], command)
    out, pressed, end = b"", False, time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            data = os.read(fd, 4096)
        except OSError:  # the other side is closed
            break
        out += data
        if not pressed and b"waiting for the key" in out and b"job in the foreground" in out:
            pressed = True
            os.write(fd, b"\x03")
    else:
        os.kill(pid, 9)
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode("utf-8", "replace")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default="build")
    args = parser.parse_args()
    work = scratch()
    report = Report()
    try:
        program = compile_c(HERE + "/foreground.c", work + "/foreground")
        instance = Instance(args.build, work + "/instance")
        put_program(instance.image, "/bin/foreground", program)
        put_program(instance.image, "/bin/busybox", "/bin/busybox")
        instance.build()
        for where, command in (("natively", [program]),
                               ("inside", [instance.occlum, "run", "/bin/foreground"])):
            with report.case("job control " + where):
                status, out = on_terminal(command, instance.dir)
                expect(status == 0 and "done" in out, f"status {status}\n{out}")
        shell = ["/bin/busybox", "sh", "-c", SETTINGS]
        for where, command in (("natively", shell), ("inside", [instance.occlum, "run"] + shell)):
            with report.case("settings " + where):
                status, out = on_terminal(command, instance.dir)
                expect(status == 0 and out == "done\r\n", f"status {status}\n{out}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
