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
$ "$TOP/demos/debian/add-packages" image no-such-package
! add-packages: no-such-package is not installed here: apt-get install no-such-package
[1]
$ "$TOP/demos/debian/add-packages" elsewhere bash
! add-packages: elsewhere is not a folder; it is the folder image/ of an instance
[1]
$ "$TOP/demos/debian/add-packages" image
! add-packages: usage: add-packages IMAGE PACKAGE...
[1]
