# SPDX-License-Identifier: Apache-2.0
"""occlum image for scripts: --json of every sub-command; and what bash completes."""
import contextlib
import json
import os
import re
import subprocess

from harness import TOP, describe, expect
from mounts import good, occlum, refused


def parsed(instance, *argv):
    text = good(occlum(instance, "image", *argv, "--json"))
    try:
        return json.loads(text)
    except ValueError as e:
        raise AssertionError(f"occlum image {' '.join(argv)}: {e}: {text!r}")


def check_json(report, instance, work):
    """On an instance that has /etc (fill()) and a writable layer."""
    strange = b"/root/a\"b\\c\x01\xff\xc3\xa9\xed\xa0\x80"
    made = instance.run("/bin/busybox", "touch", strange)
    with report.case("--json: every sub-command writes one JSON value"):
        expect(made.returncode == 0, describe(made))
        info = parsed(instance, "info")
        expect(info["version"] == 1 and info["written"] is True, info)
        expect(parsed(instance, "info", "--layer", "ro")["written"] is None, "info of one layer")
        names = [e["path"] for e in parsed(instance, "ls", "/root")]
        # Bytes that are no text are shown by their values.
        expect('a"b\\c\x01\xffé\xed\xa0\x80' in names, names)
        expect(any(e["path"].endswith("x") for e in parsed(instance, "ls", "-R", "/")), "ls -R")
        expect(parsed(instance, "extract", "/etc", f"{work}/json-etc")["complete"] is True, "extract")
        expect(isinstance(parsed(instance, "diff"), list), "diff")
        expect(parsed(instance, "verify") == [], "verify")
        snapshot = parsed(instance, "snapshot", "create", "of-json")
        expect(snapshot["change"] == "create" and snapshot["name"] == "of-json", snapshot)
        expect([s["name"] for s in parsed(instance, "snapshot", "list")] == ["of-json"], "list")
        expect(parsed(instance, "snapshot", "rollback", "of-json")["generation"] > 0, "rollback")
        expect(parsed(instance, "snapshot", "delete", "of-json")["change"] == "delete", "delete")
        scrub = parsed(instance, "scrub")
        expect(scrub["damaged"] == [] and scrub["complete"] and scrub["bytes_read"], scrub)
        limit = parsed(instance, "info")["upper"]["bytes_limit"]
        expect(parsed(instance, "grow", f"{(limit >> 30) + 1}GB")["bytes_limit"] > limit, "grow")
        expect(parsed(instance, "label", "a \"label\"") == {"label": "a \"label\""}, "label")
        rotated = parsed(instance, "rotate")
        expect(rotated["old_epochs"] == 0 and rotated["key_epoch"], rotated)
        expect(parsed(instance, "rotate", "finish") == rotated, "rotate finish")
    with report.case("--json: cat has none and says so"):
        refused(occlum(instance, "image", "cat", "--json", "/etc/one"), "cat", "--json")


def at_terminal(instance, *argv):
    """What it prints at a terminal that both of its outputs are."""
    end, terminal = os.openpty()
    process = subprocess.Popen([instance.occlum, "image", *argv], cwd=instance.dir, stdin=subprocess.DEVNULL, stdout=terminal,
                               stderr=terminal)
    os.close(terminal)
    text = b""
    with contextlib.suppress(OSError): # EIO: nobody has the terminal any more
        while part := os.read(end, 65536):
            text += part
    os.close(end)
    expect(process.wait() == 0, text)
    return text.decode("utf-8", "replace")


def check_progress(report, instance, work):
    for words, shown in ((("verify",), r"\d+ %"), (("scrub",), r"\d+ %"), (("diff",), r"\d+ objects"),
                         (("extract", "/", f"{work}/all"), r"\d+ objects")):
        with report.case(f"{words[0]} at a terminal: how far it is, in a line that goes before anything else is said"):
            lines = at_terminal(instance, *words).split("\r\n")
            first, *bars, rest = lines[0].split("\r")
            expect(not first and bars and all(re.search(shown, b) for b in bars), lines)
            expect(rest.startswith("\x1b[K") and not re.search(r"^\x1b\[K$", rest), lines)
            expect(not any("\r" in l or "\x1b" in l for l in lines[1:]), lines)
    with report.case("extract at a terminal: what is left out is said in a line of its own"):
        made = instance.run("/bin/busybox", "sh", "-c", "mkdir /root/odd && mkfifo /root/odd/a /root/odd/b")
        expect(made.returncode == 0, describe(made))
        text = at_terminal(instance, "extract", "/root/odd", f"{work}/odd")
        expect(len(re.findall(r"(?:^|\n|\r\x1b\[K)occlum: image: warning: 'odd/[ab]' is a", text)) == 2, repr(text))


def complete(instance, *words):
    """What bash offers for the last of the words."""
    script = f"""
source {TOP}/packaging/occlum.bash
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_occlum 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script, "bash", instance.occlum, *words], capture_output=True, timeout=60)
    expect(done.returncode == 0 and not done.stderr, describe(done))
    return set(done.stdout.decode().split())


def options_of(text):
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", text))


def check_completion(report, instance):
    with report.case("completion: the commands that `occlum help` lists"):
        listed = re.findall(r"^  ([a-z-]+)  +(.*)", good(occlum(instance, "help")).decode(), re.M)
        there = {name for name, text in listed if "not yet supported" not in text}
        expect(complete(instance, "") == there | {"--help", "--version"}, complete(instance, ""))
        expect(complete(instance, "mo") == {"mount"}, "mo")
        expect(complete(instance, "help", "") == there, "help")
    for command in sorted(there):
        with report.case(f"completion: the options of {command} are those of its help"):
            wanted = options_of(good(occlum(instance, "help", command)).decode().split("\n\n")[0])
            if command in ("image", "help"):
                continue
            offered = {w for w in complete(instance, command, "-") if w.startswith("-")}
            expect(offered == wanted | {"--help"}, f"{sorted(offered)} instead of {sorted(wanted)}")
    with report.case("completion: image's sub-commands and their options are those of its help"):
        text = good(occlum(instance, "image", "--help")).decode()
        known = {m[0]: m[1] for m in re.findall(r"^  ([a-z-]+) ?(.*)", text, re.M)}
        expect(complete(instance, "image", "") == set(known) | {"--help"}, complete(instance, "image", ""))
        general = options_of(text.split("\n\n")[0])
        for name, arguments in known.items():
            offered = complete(instance, "image", name, *(["list"] if name in ("snapshot", "keys") else []), "-")
            wanted = (general | options_of(arguments)) - ({"--json"} if name == "cat" else set())
            expect(offered == wanted, f"{name}: {sorted(offered)} instead of {sorted(wanted)}")
        expect(complete(instance, "image", "snapshot", "") == {"list", "create", "delete", "rollback"}, "snapshot")
        expect(complete(instance, "image", "keys", "") == {"list", "add", "remove", "rewrap"}, "keys")
    with report.case("completion: values of options"):
        for words, wanted in ((("mount", "--layer", ""), {"ro", "rw"}), (("build", "--sgx-mode", ""), {"HW", "SIM"}),
                              (("build", "--enable-edmm", ""), {"Y", "N"}), (("image", "rotate", "f"), {"finish"}),
                              (("image", "diff", "p"), {"present"}), (("mount", "--sign-key", ""), set()),
                              (("print", "mrs"), {"mrsigner"})):
            expect(complete(instance, *words) == wanted, f"{words}: {complete(instance, *words)}")
