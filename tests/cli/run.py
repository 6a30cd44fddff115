#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Command line tests as transcripts.

A .t file holds commands and what they print:

    # a comment
    $ occlum status
    initialized
    ! a line on standard error
    [3]                            an exit status that is not 0

Commands run one after the other in a scratch directory, each by sh, and keep its working directory.
`run.py --build BUILD FILE.t` compares; with --update it writes what it sees into the file. A file
whose comments say "needs: X" is skipped where X is not: enclave (a kernel image and occlum-run),
hw-kernel (the one for hardware),
no-sgx (no SGX device), root.
"""
import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# What tests need again and again. as_nobody CMD: as another user than root, without_powers CMD: as
# root, whom permissions stop like everybody else. on_terminal CMD: with a terminal of 80 columns as
# standard input, output and error; what it shows has a line per redrawing.
PRELUDE = r"""
without_powers() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --bounding-set=-all --inh-caps=-all "$@"
	else
		"$@"
	fi
}
as_nobody() {
	drop="--reuid=65534 --regid=65534 --clear-groups"
	if [ "$(id -u)" != 0 ]; then
		"$@"
		return
	fi
	# Where nobody may not go, as below /root: root without its powers.
	setpriv $drop test -x "$BUILD/host/occlum/occlum" 2>/dev/null ||
		drop="--bounding-set=-all --inh-caps=-all"
	setpriv $drop env HOME="$HOME/nobody" "$@"
}
on_terminal() {
	python3 "$TOP/tests/cli/on-terminal" "$@"
}
"""


def have(need, build):
    if need == "enclave":
        return all(os.path.exists(f"{build}/{p}") for p in
                   ("kernel/libocclum-libos_sim.so", "host/occlum/occlum-run"))
    if need == "build":
        return os.path.exists(f"{build}/kernel/libocclum-libos_sim.so")
    if need == "hw-kernel":
        return os.path.exists(f"{build}/kernel/libocclum-libos.so")
    if need == "occlum":
        return os.path.exists(f"{build}/host/occlum/occlum")
    if need == "no-sgx":
        return not any(os.path.exists(p) for p in ("/dev/sgx_enclave", "/dev/sgx/enclave"))
    if need == "root":
        return os.geteuid() == 0
    sys.exit(f"unknown need: {need}")


class Session:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.scratch = os.path.realpath(tempfile.mkdtemp(prefix="occlum-cli-"))
        os.chmod(self.scratch, 0o755)
        self.cwd = self.scratch
        self.env = {
            "PATH": f"{self.build}/host/occlum:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": self.scratch + "/home", "LC_ALL": "C", "TZ": "UTC", "SCRATCH": self.scratch,
            "TOP": TOP, "BUILD": self.build,
            "OCCLUM_SIM_KEY": self.scratch + "/sim-root.key",
        }
        os.makedirs(self.env["HOME"] + "/nobody")
        os.chmod(self.env["HOME"] + "/nobody", 0o777)

    def close(self):
        shutil.rmtree(self.scratch, ignore_errors=True)

    def normalise(self, text):
        text = text.replace(self.scratch, "SCRATCH").replace(self.build, "BUILD").replace(TOP, "TOP")
        text = re.sub(r"\b(process|pid) \d+", r"\1 PID", text)
        return re.sub(r"occlum \d+\.\d+\.\d+", "occlum VERSION", text)

    def run(self, command):
        """Returns the lines that follow the command in a transcript."""
        where = self.scratch + "/.cwd"
        script = f"{PRELUDE}\n{command}\nstatus=$?\npwd > {where}\nexit $status\n"
        done = subprocess.run(["sh", "-c", script], cwd=self.cwd, env=self.env,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        with open(where) as f:
            self.cwd = f.read().strip()
        os.unlink(where)
        lines = self.normalise(done.stdout.decode("utf-8", "backslashreplace")).splitlines()
        lines += ["! " + l for l in
                  self.normalise(done.stderr.decode("utf-8", "backslashreplace")).splitlines()]
        if done.returncode:
            lines.append(f"[{done.returncode}]")
        return lines


def play(path, build):
    """Returns the transcript as it came out."""
    out = []
    session = Session(build)
    try:
        with open(path) as f:
            lines = f.read().splitlines()
        for i, line in enumerate(lines):
            if line.startswith("#") or (line == "" and (i + 1 == len(lines)
                                                        or lines[i + 1][:1] in ("#", "$", ""))):
                out.append(line)
            elif line.startswith("$ "):
                out.append(line)
                out += session.run(line[2:])
    finally:
        session.close()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=TOP + "/build")
    parser.add_argument("--update", action="store_true", help="write what is seen into the files")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    failed = skipped = 0
    for path in args.files:
        with open(path) as f:
            expected = f.read().splitlines()
        needs = ["occlum"] + [w for l in expected if l.startswith("# needs:") for w in l[8:].split()]
        missing = [n for n in needs if not have(n, args.build)]
        if missing:
            print(f"SKIPPED {os.path.basename(path)}: no {', '.join(missing)}")
            skipped += 1
            continue
        seen = play(path, args.build)
        if seen == expected:
            print(f"ok      {os.path.basename(path)}")
        elif args.update:
            with open(path, "w") as f:
                f.write("\n".join(seen) + "\n")
            print(f"updated {os.path.basename(path)}")
        else:
            failed += 1
            print(f"FAILED  {os.path.basename(path)}")
            print("\n".join(difflib.unified_diff(expected, seen, "expected", "seen", lineterm="")))
    sys.exit(1 if failed else SKIP if skipped == len(args.files) else 0)


main()
