# Instances that are not as they should be.
$ occlum new inst && cd inst
SCRATCH/inst initialized as an Occlum instance
$ mv image gone && occlum build --sgx-mode SIM; mv gone image
! occlum: build: there is no directory 'image' to build from
$ mv initfs gone && occlum build --sgx-mode SIM; mv gone initfs
! occlum: build: there is no directory 'initfs' to build from
$ mv image gone && ln -s gone image; occlum build --sgx-mode SIM; rm image; mv gone image
! occlum: build: 'image' is not a directory (links are not followed)

# One process at a time; the second is told by whom.
$ flock .__occlum_lock sh -c 'echo "$$ run" > .__occlum_lock; occlum build --sgx-mode SIM; occlum status'
running
! occlum: build: the instance is in use by process PID (occlum run). Need to wait for the process to finish or kill it first.
$ ln -sf /etc/passwd .__occlum_lock && occlum build --sgx-mode SIM; rm .__occlum_lock
! occlum: build: cannot open .__occlum_lock: Too many levels of symbolic links
$ occlum status
initialized

# What others can change is not acted upon.
$ chmod o+w . && occlum build --sgx-mode SIM; chmod o-w .
! occlum: build: the instance is writable by everyone; run: chmod o-w .
$ if [ "$(id -u)" = 0 ]; then chown 12345 . && occlum status 2>&1 | sed 's/chown -R [0-9]*/chown -R UID/'; chown 0 .; else echo "occlum: status: the instance belongs to user 12345; run as that user, or: chown -R UID ."; fi
occlum: status: the instance belongs to user 12345; run as that user, or: chown -R UID .

# Not built yet.
$ occlum run
! occlum: run: at least one argument must be provided: the program to run
[1]
$ occlum run /bin/true
! Error: the Occlum image and enclave are not built yet. Need to run "occlum build" first.
[1]
$ occlum run --cpus 2 /bin/true
! occlum: run: --cpus is not yet supported
[1]
$ occlum run --config-id x /bin/true
! occlum: run: the config id (--config-id) is not base64 text of 1 to 64 bytes: 'x'
[1]
$ occlum run --config-id
! occlum: run: --config-id needs a value
[1]
$ occlum run --config-id AAAA --config-svn 65536 /bin/true
! occlum: run: the config svn (--config-svn) is not a number from 0 to 65535: '65536'
[1]
$ occlum run --config-id AAAA --config-svn 65535
! occlum: run: at least one argument must be provided: the program to run
[1]
$ occlum run --bogus /bin/true
! Error: Unknown option: --bogus
[1]
$ occlum print mrenclave
! occlum: print: No build/lib/libocclum-libos.signed.so existed
[1]
