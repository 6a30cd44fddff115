# SPDX-License-Identifier: Apache-2.0
"""What the tests that use a whole instance share: making one, filling its image, running it."""
import copy
import multiprocessing
import multiprocessing.connection
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIMEOUT = 300


def occlum_command(build):
    """The command under test: that of BUILD, or the installed one in the folder OCCLUM_BIN_PATH."""
    installed = os.environ.get("OCCLUM_BIN_PATH")
    if installed:
        return os.path.join(os.path.abspath(installed), "occlum")
    return os.path.abspath(os.path.join(build, "host/occlum/occlum"))


def sh(*args, **kw):
    return subprocess.run(args, check=True, **kw)


def host_path(name):
    for folder in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return os.path.realpath(path)
    return None


def libraries(path):
    """What ldd finds, as (path in the image, file on the host)."""
    out = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
    for line in out.splitlines():
        m = re.search(r"(?:=> )?(/\S+) \(0x", line)
        if m:
            yield m.group(1), os.path.realpath(m.group(1))


def put(image, inside, source):
    target = image + inside
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.exists(target):
        shutil.copy2(source, target)


def put_program(image, inside, source):
    """Copies a program and the libraries it needs."""
    put(image, inside, source)
    for lib, real in libraries(source):
        put(image, lib, real)


def compile_c(source, target, *flags, compiler="gcc"):
    """Compiles one file of tests or bench; returns the target."""
    sh(compiler, "-O2", "-Wall", "-I", TOP, *flags, source, "-o", target)
    return target


def scratch(prefix="occlum-test-"):
    return tempfile.mkdtemp(prefix=prefix)


class Instance:
    """
    An instance in `folder`. Fill image/, configure(), then build() and run(). With `emu` it is built for
    hardware and runs on the emulated machine of tests/emu, whose EMU_* `env` may set.
    """

    def __init__(self, build, folder, emu=False):
        self.occlum = occlum_command(build)
        self.emu = emu and os.path.abspath(os.path.join(build, "tests/emu/occlum-run-emu"))
        self.emu_key = folder + ".platform"
        if emu:
            with open(self.emu_key, "wb") as f:
                f.write(os.urandom(32))
        self.dir = folder
        sh(self.occlum, "new", folder, stdout=subprocess.DEVNULL)
        self.image = folder + "/image"

    def configure(self, **fields):
        """Sets fields of Occlum.json by their (unique) names; values as JSON text or str/int."""
        path = self.dir + "/Occlum.json"
        text = open(path).read()
        for field, value in fields.items():
            literal = str(value) if isinstance(value, (int, float)) else f'"{value}"'
            if isinstance(value, bool):
                literal = "true" if value else "false"
            text, count = re.subn(rf'("{field}"\s*:\s*)("[^"]*"|[^,\s\}}]+)', rf"\g<1>{literal}", text)
            if count != 1:
                raise KeyError(f"Occlum.json has {count} fields named {field}")
        open(path, "w").write(text)

    def set_layer_options(self, **options):
        """Gives the writable layer of the root mount options; once."""
        path = self.dir + "/Occlum.json"
        text = open(path).read()
        source = '"source": "./run/mount/__ROOT"'
        expect(text.count(source) == 1, "the layer has options, or the template has changed")
        with open(path, "w") as f:
            f.write(text.replace(source, source + ', "options": ' + json.dumps(options)))

    def build(self, *options, check=True):
        mode = "HW" if self.emu else "SIM"
        done = subprocess.run([self.occlum, "build", "--sgx-mode", mode, *options], cwd=self.dir,
                              capture_output=True, text=True)
        if check and done.returncode:
            sys.exit(f"occlum build failed:\n{done.stdout}{done.stderr}")
        return done

    def copy(self, folder):
        """Another one that was built and has written the same."""
        other = copy.copy(self)
        shutil.copytree(self.dir, folder, symlinks=True)
        other.dir, other.image = folder, folder + "/image"
        return other

    def run(self, *argv, stdin=b"", env=None, timeout=TIMEOUT, prefix=()):
        command = [self.emu] if self.emu else [self.occlum, "run"]
        machine = {"EMU_KEY": self.emu_key} if self.emu else {}
        return subprocess.run([*prefix, *command, *argv], cwd=self.dir, input=stdin,
                              capture_output=True, timeout=timeout,
                              env={**os.environ, **machine, **(env or {})})


def probe_instance(build, work):
    """An instance with tests/system/probe.c and busybox in its image; not built yet."""
    instance = Instance(build, work + "/instance")
    compile_c(f"{TOP}/tests/system/probe.c", f"{work}/probe", "-pthread",
              "-fno-optimize-sibling-calls", "-w")
    put_program(instance.image, "/bin/probe", f"{work}/probe")
    put_program(instance.image, "/bin/busybox", "/bin/busybox")
    return instance


class Report:
    """Counts and prints outcomes; `with report.case("name"):` turns exceptions into failures."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    class _Case:
        def __init__(self, report, name):
            self.report, self.name = report, name

        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            if kind is None:
                self.report.passed += 1
                print(f"ok      {self.name}", flush=True)
            elif kind is Skip:
                self.report.skipped += 1
                print(f"SKIPPED {self.name}: {error}", flush=True)
            elif issubclass(kind, Exception):
                self.report.failed += 1
                print(f"FAILED  {self.name}: {kind.__name__}: {error}", flush=True)
            else:
                return False
            return True

    def case(self, name):
        return self._Case(self, name)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed else 0)


class Skip(Exception):
    pass


def side_by_side(report, jobs, at_once=2):
    """
    Calls each of `jobs` with a Report in a process of its own, so many at a time in this order, and
    adds up what they count. They share nothing that one of them writes.
    """
    fork, waiting, running = multiprocessing.get_context("fork"), list(jobs), {}

    def begin(job):
        ours, theirs = fork.Pipe(duplex=False)

        def work():
            own = Report()
            try:
                job(own)
            except Exception as error:  # what is no case's is a failure of its own
                own.failed += 1
                print(f"FAILED  between cases: {type(error).__name__}: {error}", flush=True)
            theirs.send((own.passed, own.failed, own.skipped))

        process = fork.Process(target=work)
        process.start()
        theirs.close()
        running[ours] = process

    while waiting or running:
        while waiting and len(running) < at_once:
            begin(waiting.pop(0))
        for end in multiprocessing.connection.wait(list(running)):
            try:
                passed, failed, skipped = end.recv()
            except EOFError:
                passed, failed, skipped = 0, 1, 0
                print("FAILED  tests that ran beside others ended without a word", flush=True)
            report.passed += passed
            report.failed += failed
            report.skipped += skipped
            running.pop(end).join()
            end.close()


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def describe(done):
    return (f"status {done.returncode}\nstdout: {done.stdout[:1500].decode('utf-8', 'replace')}\n"
            f"stderr: {done.stderr[:1500].decode('utf-8', 'replace')}")
