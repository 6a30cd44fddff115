#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Job control and settings on the terminal that `occlum run` was started on, natively and inside; and
`occlum run` as a job of the shell there.

    terminal_test.py [BUILD]
"""
import argparse
import os
import pty
import re
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


class Dialogue:
    """A shell of the host on a terminal of its own, where somebody types."""

    def __init__(self, folder):
        self.out = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "-i"])
        self.talk((b"PS1='out''er> '\n", b"outer> "))

    def turn(self, text, pattern):
        """Types, until the pattern is in what is printed; a key may come before there is whom it is meant for."""
        os.write(self.fd, text)
        end = time.monotonic() + LIMIT_S
        while not (found := re.search(pattern, self.out, re.S)):
            expect(time.monotonic() < end, f"no {pattern} in\n{self.out.decode('utf-8', 'replace')}")
            if select.select([self.fd], [], [], 1)[0]:
                self.out += os.read(self.fd, 4096)
            elif len(text) == 1:
                os.write(self.fd, text)
        self.out = self.out[found.end():]

    def talk(self, *turns):
        for text, pattern in turns:
            self.turn(text, pattern)

    def close(self):
        os.kill(self.pid, 9)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


SLEEP = b"/bin/bash -c 'echo rea\"\"dy; exec /bin/busybox sleep 1000'"
STOPPED = rb"\[1\]\+ +Stopped.*"
# The key stops a program, and the shell that has started `occlum run` continues it.
ALONE = [(b"%s " + SLEEP + b"\n", rb"ready"), (b"\x1a", STOPPED + rb"outer> "),
         (b"jobs\n", STOPPED + rb"outer> "), (b"bg\n", rb"\[1\]\+ .*sleep 1000' &.*outer> "),
         (b"jobs\n", rb"Running.*outer> "), (b"fg\n", rb"sleep 1000'\r"), (b"\x03", rb"outer> "),
         (b"echo $?\n", rb"130.*outer> ")]
# The same with one that handles the key, and stops itself then.
HANDLER = [(b"%s /bin/bash -c 'trap \"echo ask\"ed\"; kill -STOP \\$\\$; echo back\" TSTP; "
            b"echo read\"\"y; while :; do :; done'\n", rb"ready\r"),
           (b"\x1a", rb"asked.*Stopped.*outer> "), (b"fg\n", rb"back\r"), (b"\x03", rb"outer> ")]
# A shell inside does job control of its own; its prompt does not mind the key, and it can be stopped as a whole.
INNER = [(b"%s /bin/bash --norc --noprofile -i\n", rb"bash-[\d.]+[#$] "), (b"PS1=inn''er'> '\n", rb"inner> "),
         (SLEEP + b"\n", rb"ready"), (b"\x1a", STOPPED + rb"inner> "), (b"\x1a", rb""), (b"jobs\n", STOPPED + rb"inner> "),
         (b"bg\n", rb"\[1\]\+ .*sleep 1000' &.*inner> "), (b"jobs\n", rb"Running.*inner> "),
         (b"fg\n", rb"sleep 1000'\r"), (b"\x1a", STOPPED + rb"inner> "), (b"suspend\n", STOPPED + rb"outer> "),
         (b"fg\n", rb"\r\n"), (b"\n", rb"inner> "),
         (b"kill -KILL %1; until [ -z \"$(jobs -s)\" ]; do /bin/busybox sleep 0.1; done; echo en''ded\n", rb"ended.*inner> "),
         (b"exit\n", rb"outer> ")]
# In the background of the host's terminal a reader is stopped at once, and a change of the settings too.
UNTIL_STOPPED = (b"until [ -n \"$(jobs -s)\" ]; do sleep 0.1; done; jobs\n", STOPPED + rb"outer> ")
READER = [(b"%s /bin/cat &\n", rb"outer> "), UNTIL_STOPPED, (b"fg\n", rb"cat\r"),
          (b"a line\n", rb"a line\r\na line\r"), (b"\x04", rb"outer> "),
          (b"%s /bin/busybox stty -echo &\n", rb"outer> "), UNTIL_STOPPED, (b"fg; stty echo\n", rb"outer> ")]

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
        for name in ("/bin/busybox", "/bin/bash", "/bin/cat"):
            put_program(instance.image, name, name)
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
        for name, turns in (("a program stopped", ALONE), ("a program stops itself", HANDLER),
                            ("a shell inside", INNER), ("in the background", READER)):
            for where, command in (("natively", b""), ("inside", instance.occlum.encode() + b" run")):
                with report.case(f"{name} {where}"):
                    dialogue = Dialogue(instance.dir)
                    try:
                        dialogue.talk(*((text.replace(b"%s ", command + b" "), pattern) for text, pattern in turns))
                    finally:
                        dialogue.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
