# SPDX-License-Identifier: Apache-2.0
"""Rows of a session: shells, tools and servers of Debian in a room of their own (session/)."""
from programs import Program
from rooms import DebianRoom

PACKAGES = ["bash", "dash", "coreutils", "findutils", "mawk", "sed", "grep", "procps", "hostname",
            "util-linux", "make", "diffutils", "gzip", "tar", "git", "perl-base", "perl",
            "perl-modules-5.36", "libperl5.36", "ncurses-base"]
LINKS = [("mawk", "/usr/bin/awk")]


def session_room(build, folder, emu=False):
    return DebianRoom(build, folder, "session", PACKAGES, LINKS, emu, user_space_size="4GB",
                      kernel_space_heap_size="512MB", default_heap_size="512MB",
                      max_num_of_threads=128)


def row(name, *steps, **kw):
    return Program(name, list(steps), room="session", **kw)


SESSION = [
    row("bash", ["/usr/bin/bash", "/session/session.bash"], expect=42),
    row("bash-pipe", (["/usr/bin/bash"], b"echo $((6 * 7)) | tr 4 5; exit 9\n"), expect=9),
    row("dash", ["/usr/bin/dash", "/session/session.dash"], expect=5),
    row("toolbox", ["/usr/bin/bash", "/session/toolbox.sh"], expect=3),
    row("git", ["/usr/bin/bash", "/session/git.sh"]),
    row("perl", ["/usr/bin/perl", "/session/session.pl"]),
]
