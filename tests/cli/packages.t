# needs: enclave no-sgx
# Whole Debian packages go into an instance with what their programs need.
$ occlum new inst && cd inst && "$TOP/demos/debian/add-packages" image bash coreutils
SCRATCH/inst initialized as an Occlum instance
$ occlum build --sgx-mode SIM >/dev/null
$ occlum run /bin/bash -c 'seq 3 | while read -r n; do echo "$n: $(( n * n ))"; done | sort -rn'
3: 9
2: 4
1: 1
$ occlum run /bin/bash -c 'mkfifo /tmp/f; cat /tmp/f & echo through > /tmp/f; wait $!; echo $?'
through
0

# What they depend on, and the names that alternatives give them.
$ "$TOP/demos/debian/add-packages" --depends image mawk dash binutils; ls image/usr/bin/x86_64-linux-gnu-as; readlink image/usr/bin/awk
image/usr/bin/x86_64-linux-gnu-as
/usr/bin/mawk
$ occlum build --sgx-mode SIM >/dev/null 2>&1; occlum run /bin/sh -c 'echo ".byte 7" >/tmp/a.s && as -o /tmp/a.o /tmp/a.s && awk "BEGIN { print 6 * 7 }"'
42
$ "$TOP/demos/debian/add-packages" image no-such-package
! add-packages: no-such-package is not installed here: apt-get install no-such-package
[1]
$ "$TOP/demos/debian/add-packages" elsewhere bash
! add-packages: elsewhere is not a folder; it is the folder image/ of an instance
[1]
$ "$TOP/demos/debian/add-packages" image
! add-packages: usage: add-packages [--depends] IMAGE PACKAGE...
[1]
