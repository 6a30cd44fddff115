# Making instances, and refusing to.
$ occlum new
! Error: target directory is not set
[1]
$ occlum new inst
SCRATCH/inst initialized as an Occlum instance
$ cd inst
$ cat .__occlum_status
initialized
$ occlum status
initialized
$ ls -A
.__occlum_status
Occlum.json
build
image
initfs
run
$ (cd image && find . -type d | sort)
.
./bin
./dev
./etc
./ext2
./host
./lib
./lib/x86_64-linux-gnu
./lib64
./opt
./proc
./root
./sbin
./sfs
./sys
./tmp
$ cat image/etc/hosts image/etc/passwd image/etc/group
127.0.0.1   localhost
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
root:x:0:
nogroup:x:65534:
$ stat -c %a image image/tmp image/bin Occlum.json .__occlum_status
755
1777
755
644
644
$ (cd initfs && find . ! -name localtime | sort)
.
./bin
./bin/init
./dev
./etc
./etc/hosts
./lib
./proc
$ for tree in image initfs; do test ! -f /etc/localtime || cmp /etc/localtime $tree/etc/localtime; done
$ test -x image/lib64/ld-linux-x86-64.so.2 && test -e image/lib/x86_64-linux-gnu/libc.so.6
$ readelf -h initfs/bin/init | grep Type:
  Type:                              DYN (Position-Independent Executable file)
$ cmp Occlum.json $TOP/etc/template/Occlum.json
$ occlum init
! Error: the current working directory has been initialized as an Occlum instance
[1]
$ cd ..
$ occlum new inst
! Error: destination "inst" already exists
[1]
$ occlum new --init-ra aecs
! Error: Unknown option: --init-ra
[1]
$ occlum new other --init-ra aecs
! occlum: new: --init-ra is not yet supported
[1]
$ occlum new other more
! Error: Unknown option: more
[1]
$ ls
home
inst

# Something that is no instance is not overwritten.
$ mkdir busy && cd busy && mkdir image && touch image/mine
$ occlum init
! occlum: init: 'image' is there already, in a directory that is no instance; choose another directory or move it away
[1]
$ find . | sort
.
./image
./image/mine
$ cd ..

# Unwritable directory, as a user without rights: one line, and nothing is left.
$ mkdir locked && chmod 755 locked && cd locked
$ chmod 555 .; as_nobody occlum init
! occlum: init: cannot make 'image': Permission denied
[1]
$ ls -A
$ cd .. && as_nobody occlum new locked/deeper
! occlum: new: cannot make 'locked/deeper': Permission denied
[1]
$ touch file && occlum new file/below
! occlum: new: cannot make 'file/below': Not a directory
[1]

# A full disk: one line, and nothing is left.
$ mkdir full && cd full && (ulimit -f 200; trap '' XFSZ; occlum init; occlum new sub); ls -A; cd ..
! occlum: init: cannot copy '/lib64/ld-linux-x86-64.so.2' to 'image/lib64/ld-linux-x86-64.so.2': File too large
! occlum: new: cannot copy '/lib64/ld-linux-x86-64.so.2' to 'image/lib64/ld-linux-x86-64.so.2': File too large

# Several at once: one makes it, and the others leave it alone.
$ for r in 1 2 3; do for i in 1 2 3 4; do occlum new many$r & done; wait; done >said 2>&1; ls -d many*/Occlum.json; grep -c initialized said; rm -r many* said
many1/Occlum.json
many2/Occlum.json
many3/Occlum.json
3

# Commands outside an instance.
$ mkdir empty && cd empty
$ occlum build
! Error: the current working directory is not initialized as an Occlum instance. Need to run "occlum init" first.
[1]
$ occlum run /bin/true
! Error: the current working directory is not initialized as an Occlum instance. Need to run "occlum init" first.
[1]
$ occlum status
! Error: the current working directory is not initialized as an Occlum instance. Need to run "occlum init" first.
[1]
$ occlum print mrenclave
! Error: the current working directory is not initialized as an Occlum instance. Need to run "occlum init" first.
[1]
$ occlum print
! Error: print info name not provided
[1]
$ occlum print mrsomething
! occlum: print: No valid info name provided; accepted are mrenclave, mrsigner, sigstruct and sgxs
[1]
