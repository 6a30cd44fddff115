# needs: enclave no-sgx
# Running: what is said besides what the program says.
$ occlum new inst && cd inst && cp /bin/busybox image/bin/ && occlum build --sgx-mode SIM >/dev/null
$ occlum run /bin/busybox echo hello
$ occlum run /bin/busybox false
$ occlum run /bin/busybox sh -c 'exit 200'
$ occlum run /bin/nothing
$ occlum run busybox
$ occlum run /sbin/nothing
$ occlum status

# A program outside entry_points is refused with the list and the field's name.
$ occlum run /lib64/ld-linux-x86-64.so.2 --help
$ occlum run /bin/../lib64/ld-linux-x86-64.so.2 --help

# Names and arguments reach the program as they are.
$ ln image/bin/busybox image/bin/echo && occlum build --sgx-mode SIM >/dev/null && occlum run /bin/echo '' 'a b' '*' -- "it's"

# Environment: only what env.untrusted names.
$ EXAMPLE=1 OTHER=2 LD_PRELOAD=/host/x.so occlum run /bin/busybox env | grep -E 'EXAMPLE|OTHER|LD_PRELOAD|OCCLUM'

# Running what is older than its sources warns.
$ touch image/root/new && occlum run /bin/busybox true
$ echo '// changed' >> Occlum.json && occlum run /bin/busybox true
$ occlum build --sgx-mode SIM >/dev/null && occlum run /bin/busybox true

# One at a time.
$ mkfifo go && (occlum run /bin/busybox cat < go > out &) ; exec 3> go; while ! [ "$(occlum status)" = running ]; do sleep 0.1; done; occlum run /bin/busybox true; occlum build --sgx-mode SIM 2>&1; echo passed >&3; exec 3>&-; while ! [ "$(occlum status)" = built ]; do sleep 0.1; done; cat out

# An encrypted image needs its key.
$ occlum gen-image-key ../key && occlum build --sgx-mode SIM --image-key ../key --reset >/dev/null && occlum run /bin/busybox echo hello
$ occlum build --sgx-mode SIM --image-key ../key --buildin-image-key >/dev/null 2>&1 && occlum run /bin/busybox echo hello
$ grep -c busybox build/mount/__ROOT/* | cut -d: -f2 | sort -u
$ occlum gen-image-key ../key2 && mv build/initfs ../initfs && occlum build --sgx-mode SIM --image-key ../key2 --buildin-image-key >/dev/null 2>&1 && rm -r build/initfs && mv ../initfs build/ && occlum run /bin/busybox echo hello

# The tool alone, as packages use it.
$ build/bin/occlum-run
