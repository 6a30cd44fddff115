# SPDX-License-Identifier: Apache-2.0
"""The programs that must run unmodified, and how each is checked.

Every step runs twice with the same bytes in the same places: natively (chroot into a copy of the
image) and inside the enclave. `check` says what must be equal: "output" (standard output and exit
status), or "status" for programs whose output holds timings.
"""
from dataclasses import dataclass, field


@dataclass
class Program:
    name: str
    steps: list                  # of argv lists; or (argv, stdin bytes)
    check: str = "output"
    slow: bool = False           # only with --long
    expect: int = 0              # exit status that both must give
    cold: bool = True            # counted in the share of trapped system calls
    needs: tuple = field(default_factory=tuple)
    custom: object = None        # instead of steps: called with the room, returns an error text
    room: str = "programs"       # the instance it runs in: one of ROOMS in run.py
    package: str = ""            # what to install when the program is not there


BUSYBOX = "/bin/busybox"

PROGRAMS = [
    Program("hello-glibc", [["/bin/hello"]]),
    Program("hello-args", [["/bin/hello", "200", "two words", ""]], expect=200),
    Program("hello-static", [["/bin/hello_static"]]),
    Program("hello-static-pie", [["/bin/hello_static_pie"]]),
    Program("hello-nopie", [["/bin/hello_nopie"]]),
    Program("hello-musl", [["/bin/hello_musl"]]),
    Program("hello-musl-static", [["/bin/hello_musl_static"]]),
    Program("hello-cc", [["/bin/hello_cc"]]),
    Program("busybox-ls", [[BUSYBOX, "ls", "-ln", "/data/text", "/data/blob", "/data/link"]]),
    Program("busybox-text", [
        [BUSYBOX, "cat", "/data/text"],
        [BUSYBOX, "grep", "-n", "7", "/data/text"],
        [BUSYBOX, "sed", "-e", "s/line/LINE/", "-e", "3d", "/data/text"],
        [BUSYBOX, "awk", "{ s += $2 } END { print NR, s }", "/data/text"],
        [BUSYBOX, "sort", "-r", "/data/text"],
        [BUSYBOX, "sha256sum", "/data/blob"],
    ]),
    Program("busybox-files", [
        [BUSYBOX, "cp", "/data/blob", "/root/copy"],
        [BUSYBOX, "find", "/data", "-type", "f"],
        [BUSYBOX, "sha256sum", "/root/copy"],
        [BUSYBOX, "tar", "cf", "/root/t.tar", "-C", "/data", "text", "tree"],
        [BUSYBOX, "mkdir", "-p", "/root/out"],
        [BUSYBOX, "tar", "xf", "/root/t.tar", "-C", "/root/out"],
        [BUSYBOX, "find", "/root/out"],
        [BUSYBOX, "gzip", "-f", "/root/copy"],
        [BUSYBOX, "gzip", "-d", "-f", "/root/copy.gz"],
        [BUSYBOX, "sha256sum", "/root/copy", "/root/out/tree/a/b/deep"],
        [BUSYBOX, "rm", "-r", "/root/out", "/root/copy", "/root/t.tar"],
        [BUSYBOX, "ls", "/root"],
    ]),
    Program("busybox-note", [
        ([BUSYBOX, "tee", "/root/note"], b"kept between runs\n"),
        [BUSYBOX, "cat", "/root/note"],
    ]),
    Program("coreutils", [
        ["/bin/seq", "1", "2000"],
        ["/bin/sort", "-k2", "-n", "-r", "/data/text"],
        ["/bin/wc", "/data/text", "/data/blob"],
        ["/bin/sha256sum", "/data/blob"],
        ["/bin/md5sum", "/data/text"],
        ["/bin/head", "-n", "3", "/data/text"],
        ["/bin/tail", "-n", "3", "/data/text"],
        ["/bin/cut", "-d", " ", "-f", "2", "/data/text"],
        (["/bin/tr", "a-z", "A-Z"], b"shout this\n"),
        ["/bin/base64", "/data/text"],
        ["/bin/od", "-A", "x", "-t", "x1z", "-N", "64", "/data/blob"],
        ["/bin/cp", "-r", "/data/tree", "/root/tree2"],
        ["/bin/ls", "-R", "/root/tree2"],
        ["/bin/mv", "/root/tree2/a", "/root/tree2/c"],
        ["/bin/ln", "-s", "c/b/deep", "/root/tree2/sym"],
        ["/bin/cat", "/root/tree2/sym"],
        ["/bin/chmod", "0640", "/root/tree2/sym"],
        ["/bin/stat", "--format", "%a %F %s %h %u", "/root/tree2/c/b/deep"],
        ["/bin/ln", "/root/tree2/c/b/deep", "/root/tree2/hard"],
        ["/bin/stat", "--format", "%h", "/root/tree2/hard"],
        ["/bin/truncate", "-s", "100000", "/root/tree2/sparse"],
        ["/bin/stat", "--format", "%s", "/root/tree2/sparse"],
        ["/bin/dd", "if=/dev/zero", "of=/root/tree2/z", "bs=4096", "count=10", "status=none"],
        ["/bin/cksum", "/root/tree2/z"],
        ["/bin/rm", "-r", "/root/tree2"],
        ["/bin/ls", "/root"],
        ["/bin/date", "-u", "-d", "@86400", "+%Y-%m-%d"],
        ["/bin/factor", "1234567890123"],
        ["/bin/readlink", "-f", "/data/link"],
        ["/bin/env", "-i", "A=1", "/bin/hello"],
    ]),
    Program("coreutils-missing", [["/bin/cat", "/no/such/file"]], expect=1),
    Program("sqlite", [
        ["/bin/sqlite3", "/root/test.db", ".read /data/rows.sql"],
        ["/bin/sqlite3", "/root/test.db", "select count(*), sum(n), max(length(t)) from rows;"],
        ["/bin/sqlite3", "/root/test.db", "pragma integrity_check;"],
        ["/bin/rm", "/root/test.db"],
    ]),
    Program("python-c", [
        ["/bin/python3.11", "-c", "print(sum(range(10**6)))"],
        ["/bin/python3.11", "-c", "import sys; sys.exit(77)"],
    ], expect=77),
    Program("python-modules", [["/bin/python3.11", "/data/modules.py"]]),
    Program("python-thousand", [["/bin/python3.11", "/data/thousand.py"]]),
    Program("python-subprocess", [["/bin/python3.11", "/data/subprocesses.py"]]),
    Program("python-python", [["/bin/python3.11", "/data/pythons.py"]]),
    Program("busybox-pipes", [
        [BUSYBOX, "sh", "-c", f"{BUSYBOX} ls /data/tree | {BUSYBOX} cat | {BUSYBOX} sort -r"],
        [BUSYBOX, "sh", "-c", "x=$(/bin/busybox seq 1 5 | /bin/busybox tr '\\n' ' '); echo $x; "
         "for i in 1 2 3; do /bin/busybox echo $i & done | /bin/busybox sort; wait; (exit 3)"],
    ], expect=3),
    Program("python-sockets", [["/bin/python3.11", "/data/sockets.py"]]),
    Program("make-spawns", [["/bin/make", "-s", "-j2", "-f", "/data/Makefile"],
                            ["/bin/make", "-s", "-f", "/data/Makefile", "broken"]], expect=2),
    Program("timeout-nice", [["/bin/nice", "-n", "5", "/bin/nice"],
                             ["/bin/env", "A=1", "/bin/env", "-u", "A", "/bin/readlink", "/proc/self/exe"]]),
    Program("go", [["/bin/gohello", "a", "b"]]),
    Program("go-exec", [["/bin/goexec"]]),
    Program("threads", [["/bin/threads"]]),
    Program("fio", [["/bin/fio", "--name=t", "--thread", "--ioengine=psync", "--rw=randrw", "--size=8M",
                     "--bs=4k", "--verify=crc32c", "--directory=/root", "--numjobs=2",
                     "--group_reporting", "--fallocate=none"],
                    ["/bin/rm", "/root/t.0.0", "/root/t.1.0"]], check="status"),
    Program("gzip", [
        ["/bin/gzip", "-n", "-c", "/data/blob"],
        ["/bin/gzip", "-d", "-c", "/data/blob.gz"],
    ]),
    Program("xz", [
        ["/bin/xz", "-1", "-T1", "-c", "/data/blob"],
        ["/bin/xz", "-d", "-c", "/data/blob.xz"],
    ]),
    Program("zstd", [
        ["/bin/zstd", "-q", "-c", "/data/blob"],
        ["/bin/zstd", "-q", "-d", "-c", "/data/blob.zst"],
    ]),
    Program("compress-large", [
        ["/bin/gzip", "-n", "-1", "-c", "/data/large"],
        ["/bin/zstd", "-q", "-c", "/data/large"],
        ["/bin/xz", "-0", "-T1", "-c", "/data/large"],
    ], slow=True, needs=("large",)),
    Program("openssl-dgst", [["/bin/openssl", "dgst", "-sha256", "-r", "/data/blob"]]),
    Program("openssl-speed", [["/bin/openssl", "speed", "-seconds", "1", "-bytes", "16384",
                               "-evp", "aes-128-gcm"]], check="status"),
]

# Binaries that the image takes from the machine, with the libraries that ldd names.
FROM_HOST = """busybox sqlite3 python3.11 fio gzip xz zstd openssl
seq sort wc sha256sum md5sum head tail cut tr base64 od cp ls mv ln cat chmod stat truncate dd cksum
rm date factor readlink env mkdir
curl make sleep true false nice ps pgrep kill""".split()

MODULES_PY = '''
import ctypes, decimal, hashlib, json, os, queue, random, sqlite3, struct, tempfile, threading, time

print(json.dumps({"b": [1, 2.5, None], "a": "x"}, sort_keys=True))
for name in ("md5", "sha1", "sha256", "sha3_256", "blake2b"):
    print(name, hashlib.new(name, b"occlum").hexdigest())
db = sqlite3.connect("/root/python.db")
db.execute("create table if not exists t (a integer primary key, b text)")
db.executemany("insert or replace into t values (?, ?)", [(i, "v%d" % i) for i in range(1000)])
db.commit()
print(db.execute("select count(*), max(b) from t").fetchone())
db.close()
os.unlink("/root/python.db")
results = queue.Queue()
def work(n):
    total = 0
    for i in range(20000):
        total += i * n
    results.put(total)
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results.get() for _ in threads))
event = threading.Event()
threading.Timer(0.01, event.set).start()
print(event.wait(5))
with tempfile.NamedTemporaryFile() as f:
    f.write(b"temporary"); f.flush()
    print(os.stat(f.name).st_size, open(f.name).read())
random.seed(1)
print(random.random(), decimal.Decimal(2).sqrt(), struct.pack("<IQ", 1, 2))
started = time.monotonic(); time.sleep(0.02)
print(time.monotonic() - started >= 0.02, len(os.urandom(16)), ctypes.sizeof(ctypes.c_long))
print(os.getcwd(), sorted(os.listdir("/data")))
'''

SOCKETS_PY = '''
import asyncio, array, hashlib, http.server, os, socket, socketserver, subprocess, threading, urllib.request

a, b = socket.socketpair()
r, w = os.pipe()
socket.send_fds(a, [b"take"], [w])
data, fds, flags, address = socket.recv_fds(b, 100, 4)
os.write(fds[0], b"through two sockets")
print(data, os.read(r, 100))

class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass

os.chdir("/data")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://127.0.0.1:%d/" % server.server_address[1]
for name in ("text", "blob", "tree/a/b/deep"):
    body = urllib.request.urlopen(url + name).read()
    print(name, len(body), hashlib.sha256(body).hexdigest() == hashlib.sha256(open(name, "rb").read()).hexdigest())
try:
    urllib.request.urlopen(url + "missing")
except urllib.error.HTTPError as e:
    print(e.code)
if os.path.exists("/bin/curl"):
    got = subprocess.run(["/bin/curl", "-s", "-S", "-D", "-", "-o", "/dev/null", url + "text"], stdout=subprocess.PIPE)
    print(got.returncode, got.stdout.splitlines()[0])
server.shutdown()

async def main():
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    unix = await asyncio.start_unix_server(echo, "/tmp/echo.sock")
    async def client(n):
        if n % 2:
            reader, writer = await asyncio.open_unix_connection("/tmp/echo.sock")
        else:
            reader, writer = await asyncio.open_connection(*tcp.sockets[0].getsockname())
        lines = []
        for i in range(20):
            writer.write(b"client %d line %d\\n" % (n, i))
            lines.append(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return b"".join(lines)
    got = await asyncio.gather(*(client(n) for n in range(10)))
    print([len(g) for g in got], got[3][:40])
    tcp.close()
    unix.close()
asyncio.run(main())
os.unlink("/tmp/echo.sock")
print(socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM))
'''

SUBPROCESSES_PY = '''
import os, signal, subprocess, sys, time

run = lambda *a, **k: subprocess.run(a, stdout=subprocess.PIPE, **k)
print(run("/bin/ls", "/data/tree"))
print(run("/bin/false").returncode, run("/bin/true").returncode)
print(run("/bin/cat", input=b"through a pipe"))
print(run("/bin/readlink", "/proc/self/cwd", cwd="/data"))
print(run("/bin/env", env={"ONLY": "this"}))
try:
    run("/no/such/program")
except FileNotFoundError as e:
    print("missing", e.errno)
first = subprocess.Popen(["/bin/cat", "/data/text"], stdout=subprocess.PIPE)
second = subprocess.Popen(["/bin/sort", "-u"], stdin=first.stdout, stdout=subprocess.PIPE)
first.stdout.close()
lines = second.communicate()[0].splitlines()
print(len(lines), lines[0], first.wait(), second.returncode)
p = subprocess.Popen(["/bin/sleep", "100"])
print(p.poll())
os.kill(p.pid, signal.SIGSTOP)
print(os.WIFSTOPPED(os.waitpid(p.pid, os.WUNTRACED)[1]))
print(run("/bin/ps", "-o", "stat=,comm=", "-p", str(p.pid)).stdout)
os.kill(p.pid, signal.SIGCONT)
p.terminate()
print(p.wait())
p = subprocess.Popen(["/bin/sleep", "100"], start_new_session=True)
print(os.getsid(p.pid) == p.pid, run("/bin/pgrep", "-P", str(os.getpid()), "sleep").stdout == b"%d\\n" % p.pid)
print(run("/bin/kill", "-9", str(p.pid)).returncode, p.wait())
try:
    subprocess.run(["/bin/sleep", "100"], timeout=0.05)
except subprocess.TimeoutExpired:
    print("timed out")
many = [subprocess.Popen(["/bin/seq", str(i)], stdout=subprocess.PIPE) for i in range(12)]
print([len(m.communicate()[0]) for m in many], [m.returncode for m in many])
pid = os.posix_spawn("/bin/true", ["true"], {})
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
'''

# python3.11 is linked at fixed addresses: these all want the same.
PYTHONS_PY = '''
import multiprocessing, os, subprocess, sys, threading

def square(n):
    return n * n

if __name__ == "__main__":
    me = "/bin/python3.11"
    multiprocessing.set_executable(me)
    print(subprocess.run([me, "-c", "print(sum(range(100)))"], stdout=subprocess.PIPE).stdout)
    code = "import sys\\nfor line in sys.stdin: print(int(line) + 1, flush=True)"
    many = [subprocess.Popen([me, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(3)]
    total = 0
    for i in range(60):
        p = many[i % 3]
        p.stdin.write(b"%d\\n" % i)
        p.stdin.flush()
        total += int(p.stdout.readline())
    for p in many:
        p.stdin.close()
    print(total, [p.wait() for p in many])
    deep = ("import subprocess, sys; n = int(sys.argv[1]); print(n, flush=True); "
            "n and subprocess.run(['/bin/python3.11', '-c', sys.argv[2], str(n - 1), sys.argv[2]])")
    print(subprocess.run([me, "-c", deep, "3", deep], stdout=subprocess.PIPE).stdout)
    results = []
    def one(n):
        results.append(subprocess.run([me, "-c", "print(%d ** 40)" % n], stdout=subprocess.PIPE).stdout)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    print(sorted(results))
    for method in ("spawn", "forkserver", "fork"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(6)))
'''

MAKEFILE = """all: one two three
	/bin/cat /data/text
one two three:
	/bin/sleep 0
	/bin/env X=$@ /bin/true
broken:
	/bin/false
.PHONY: all one two three broken
"""

ROWS_SQL = """create table rows (id integer primary key, n integer, t text);
with recursive c(i) as (select 1 union all select i + 1 from c where i < 100000)
insert into rows select i, (i * 7919) % 100003, printf('row %d', i) from c;
create index by_n on rows(n);
select count(*), min(n), max(n) from rows where n between 1000 and 90000;
"""
