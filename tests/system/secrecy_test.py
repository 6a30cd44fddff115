#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the host may see: under strace of whole runs, markers of sealed data appear nowhere."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import Report, Skip, describe, expect, probe_instance, scratch

HOST_OBJECTS = re.compile(r"\b(pipe2?|socketpair|eventfd2?|timerfd_create|signalfd4?|memfd_create)\(")


def mark():
    """(what the command line carries, what the program makes of it)."""
    text = "marker" + os.urandom(12).hex()
    return text[::-1], text


def trace(instance, work, *argv):
    """Runs under strace; returns (completed run, text of all host calls of all threads)."""
    log = work + "/strace.log"
    prefix = ["strace", "-f", "-qq", "-s", "1000000", "-e", "signal=none", "-o", log]
    done = instance.run(*argv, prefix=prefix)
    with open(log, errors="replace") as f:
        return done, f.read()


def host_files(instance):
    for folder, _, files in os.walk(instance.dir):
        for name in files:
            with open(os.path.join(folder, name), "rb") as f:
                yield os.path.join(folder, name), f.read()


def check_marker(report, instance, work, what, *argv):
    given, secret = mark()
    with report.case(f"{what}: in no host call's buffer and in no host file"):
        done, calls = trace(instance, work, *[given if a == "MARK" else a for a in argv])
        expect(done.returncode == 0, describe(done))
        expect(given in calls, "strace saw nothing: the test could not fail")
        expect(secret not in calls, "a host call carried the marker")
        for path, data in host_files(instance):
            expect(secret.encode() not in data, f"{path} holds the marker")
    return calls


def main():
    report = Report()
    work = scratch()
    try:
        if not shutil.which("strace"):
            with report.case("strace"):
                raise Skip("not installed")
            report.finish()
        instance = probe_instance(sys.argv[1] if len(sys.argv) > 1 else "build", work)
        instance.build()
        calls = check_marker(report, instance, work, "a sealed file", "/bin/probe", "secret", "/root/s",
                             "MARK")
        check_marker(report, instance, work, "a ramfs file", "/bin/probe", "secret", "/tmp/s", "MARK")
        check_marker(report, instance, work, "argv and environment of an execve", "/bin/probe", "exec",
                     "MARK")
        with report.case("one host process"):
            # threads share an address space (CLONE_THREAD); a process would not
            forks = [l for l in calls.splitlines()
                     if re.search(r"\b(fork|vfork)\(|\bclone3?\((?!.*CLONE_THREAD)", l)
                     and "resumed" not in l]
            expect(not forks, forks[:3])
        with report.case("no host object stands for an object of a program"):
            found = HOST_OBJECTS.search(calls)
            expect(not found, found and calls[max(0, found.start() - 100):found.end() + 100])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish()


main()
