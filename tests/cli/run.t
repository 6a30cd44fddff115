# needs: enclave no-sgx
# Running: what is said besides what the program says.
$ occlum new inst && cd inst && cp /bin/busybox image/bin/ && occlum build --sgx-mode SIM >/dev/null
SCRATCH/inst initialized as an Occlum instance
$ occlum run /bin/busybox echo hello
hello
$ occlum run /bin/busybox false
[1]
$ occlum run /bin/busybox sh -c 'exit 200'
[200]
$ occlum run /bin/nothing
! occlum: run: cannot run '/bin/nothing': No such file or directory
[127]
$ occlum run busybox
! occlum: run: 'busybox' is not an absolute path inside the instance
[127]
$ occlum run /sbin/nothing
! occlum: '/sbin/nothing' is not under any of the entry_points in Occlum.json: /bin
[127]
# The kernel's own threads (timers, commits) do not hold up the end: this took 2 s for each run.
$ timeout 9 bash -c 'for i in 1 2 3 4 5; do occlum run /bin/busybox sh -c "echo $i > /root/x; timeout 5 true; cat /root/x"; done'
1
2
3
4
5
$ occlum status
built

# As in a shell: 126 for what is there and is no program, 127 for what is not there.
$ ln -s /usr/bin/env image/bin/away && touch image/bin/empty image/bin/plain && chmod 755 image/bin/empty && chmod 644 image/bin/plain && occlum build --sgx-mode SIM --reset >/dev/null
$ occlum run /bin/empty
! occlum: run: cannot run '/bin/empty': Exec format error (it is empty)
[126]
$ occlum run /bin/away # what is there on the host is not in the image
! occlum: run: cannot run '/bin/away': No such file or directory
[127]
$ occlum run /bin/plain
! occlum: run: cannot run '/bin/plain': Permission denied (it has no x bit: chmod +x)
[126]
$ occlum run /bin
! occlum: run: cannot run '/bin': Permission denied (it is a directory)
[126]
$ occlum run /bin/busybox echo $(seq -f %0100.0f 1 13000)
! occlum: run: cannot run '/bin/busybox': Argument list too long
[126]
$ occlum run /bin/busybox/none
! occlum: run: cannot run '/bin/busybox/none': Not a directory
[127]
$ occlum run /bin/busybox/
! occlum: run: cannot run '/bin/busybox/': Not a directory
[127]
$ occlum run //bin//
! occlum: run: cannot run '//bin//': Permission denied (it is a directory)
[126]
$ rm image/bin/away image/bin/empty image/bin/plain && occlum build --sgx-mode SIM --reset >/dev/null

# A program outside entry_points is refused with the list and the field's name.
$ occlum run /lib64/ld-linux-x86-64.so.2 --help
! occlum: '/lib64/ld-linux-x86-64.so.2' is not under any of the entry_points in Occlum.json: /bin
[127]
$ occlum run /bin/../lib64/ld-linux-x86-64.so.2 --help
! occlum: '/bin/../lib64/ld-linux-x86-64.so.2' is not under any of the entry_points in Occlum.json: /bin
[127]
$ ln -s ../lib64/ld-linux-x86-64.so.2 image/bin/loader && occlum build --sgx-mode SIM >/dev/null 2>&1; occlum run /bin/loader --help; rm image/bin/loader; occlum build --sgx-mode SIM >/dev/null 2>&1
! occlum: '/bin/loader' is a link to a place that is not under any of the entry_points in Occlum.json: /bin

# Names and arguments reach the program as they are.
$ ln image/bin/busybox image/bin/echo && occlum build --sgx-mode SIM >/dev/null && occlum run /bin/echo '' 'a b' '*' -- "it's"
 a b * -- it's
! occlum: build: the image below run/ has changed; the files that earlier runs wrote are kept (`occlum build --reset` deletes them)

# A program sees its name as it was typed, as natively.
$ occlum run /bin/busybox cat /proc/self/cmdline | tr '\0' ' '; occlum run //bin/busybox cat /proc/self/cmdline | tr '\0' ' '; echo
/bin/busybox cat /proc/self/cmdline //bin/busybox cat /proc/self/cmdline 

# A closed stream is closed inside too: no file of the instance takes its place.
$ occlum run /bin/busybox cat <&-
! cat: read error: Bad file descriptor
[1]
$ occlum run /bin/busybox echo hello >&-; cat .__occlum_lock | tr -d '0-9'
 run
! echo: write error: Bad file descriptor

# Environment: only what env.untrusted names.
$ EXAMPLE=1 OTHER=2 PYTHONPATH=/host occlum run /bin/busybox env | grep -E 'EXAMPLE|OTHER|PYTHONPATH|OCCLUM'
OCCLUM=yes
EXAMPLE=1
$ occlum run /bin/busybox env | sort
HOME=/root
OCCLUM=yes
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Others do not count, however large they are.
$ (for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do export BIG$i=$(head -c 100000 /dev/zero | tr '\0' x); done; EXAMPLE=1 occlum run /bin/busybox env | grep -E 'EXAMPLE|BIG')
EXAMPLE=1

# The program is there and what it names is not.
$ printf '#!/bin/nosuch\n' > image/bin/script && printf '#! /bin/busybox\r\n' > image/bin/dos && printf '#!/bin/script -x\n' > image/bin/twice && printf 'echo hello\n' > image/bin/text && printf '#!/bin\n' > image/bin/dir
$ printf '#!/bin/arm\n' > image/bin/armed && { head -c 18 /bin/busybox; printf '\267\0'; tail -c +21 /bin/busybox; } > image/bin/arm && { head -c 18 /bin/busybox; printf '\3\0'; } > image/bin/cut
$ sed 's#/lib64/ld-linux-x86-64.so.2#/lib64/ld-linux-x86-64.so.9#' /bin/true > image/bin/loader && (cd image/bin && chmod 755 script dos twice text dir arm armed cut loader) && occlum build --sgx-mode SIM >/dev/null 2>&1
$ for p in script dos twice text dir arm armed cut loader; do occlum run /bin/$p; echo $?; done
127
127
127
126
126
126
126
126
127
! occlum: run: cannot run '/bin/script': its interpreter '/bin/nosuch' is not in the image
! occlum: run: cannot run '/bin/dos': it has the line ends of DOS: a carriage return follows its interpreter '/bin/busybox'
! occlum: run: cannot run '/bin/twice': its interpreter '/bin/nosuch' is not in the image
! occlum: run: cannot run '/bin/text': Exec format error (it is neither an ELF program nor a script with a #! line)
! occlum: run: cannot run '/bin/dir': Permission denied (its interpreter '/bin' is a directory)
! occlum: run: cannot run '/bin/arm': Exec format error (it is built for AArch64)
! occlum: run: cannot run '/bin/armed': Exec format error (its interpreter '/bin/arm' is built for AArch64)
! occlum: run: cannot run '/bin/cut': Exec format error (it is an ELF file that is cut off)
! occlum: run: cannot run '/bin/loader': the loader '/lib64/ld-linux-x86-64.so.9' is not in the image
$ rm image/bin/script image/bin/dos image/bin/twice image/bin/text image/bin/dir image/bin/arm image/bin/armed image/bin/cut image/bin/loader && occlum build --sgx-mode SIM >/dev/null 2>&1

# Running what is older than its sources warns.
$ touch image/root/new && occlum run /bin/busybox true
! occlum: run: warning: changed since the last `occlum build`: image; running what was built then
$ echo '// changed' >> Occlum.json && occlum run /bin/busybox true
! occlum: run: warning: changed since the last `occlum build`: Occlum.json, image; running what was built then
$ occlum build --sgx-mode SIM >/dev/null && occlum run /bin/busybox true
! occlum: build: the image below run/ has changed; the files that earlier runs wrote are kept (`occlum build --reset` deletes them)

# So does one that takes longer to look at than the enclave takes to start, for one file changed in place.
$ mkdir image/root/many && (cd image/root/many && seq 12000 | xargs touch) && occlum build --sgx-mode SIM >/dev/null 2>&1 && occlum run /bin/busybox true
$ echo more >> image/root/many/9 && occlum run /bin/busybox true
! occlum: run: warning: changed since the last `occlum build`: image; running what was built then
$ rm -r image/root/many && occlum build --sgx-mode SIM >/dev/null 2>&1

# Levels of the log, as Occlum's users write them.
$ OCCLUM_LOG_LEVEL=Warning occlum run /bin/busybox echo logged
logged
$ OCCLUM_LOG_LEVEL=loud occlum run /bin/busybox echo logged
! [ERROR] occlum-pal: unknown log level 'loud' (off, error, warn, info, debug, trace)
[1]

# A copied instance is no older than its sources.
$ cp -a . ../copy; (cd ../copy; occlum run /bin/busybox echo copied); rm -r ../copy
copied

# One at a time.
$ mkfifo go && (occlum run /bin/busybox cat < go > out &) ; exec 3> go; while ! [ "$(occlum status)" = running ]; do sleep 0.1; done; occlum run /bin/busybox true; occlum build --sgx-mode SIM; echo passed >&3; exec 3>&-; while ! [ "$(occlum status)" = built ]; do sleep 0.1; done; cat out
passed
! [ERROR] occlum-pal: the instance is in use by process PID (occlum run). Need to wait for the process to finish or kill it first.
! occlum: build: the instance is in use by process PID (occlum run). Need to wait for the process to finish or kill it first.

# What the host refuses is said with the file, the reason and the remedy.
$ chmod 000 run/mount/__ROOT/*; without_powers occlum run /bin/busybox true; chmod 600 run/mount/__ROOT/*
! occlum: The host's file run/mount/__ROOT/root cannot be opened: permission denied; give the user of this process the right to read and write it (error 13).
$ chmod 444 run/mount/__ROOT/*; without_powers occlum run /bin/busybox true; chmod 600 run/mount/__ROOT/*
! occlum: The host's file run/mount/__ROOT/root cannot be opened: permission denied; give the user of this process the right to read and write it (error 13).
$ mv run/mount/__ROOT ../kept && mkdir run/mount/__ROOT && chmod 555 run/mount/__ROOT; without_powers occlum run /bin/busybox true; rmdir run/mount/__ROOT && mv ../kept run/mount/__ROOT
! occlum: The host's file run/mount/__ROOT/root cannot be opened: permission denied; give the user of this process the right to read and write it (error 13).
$ chmod 000 run/mount/__ROOT; without_powers occlum run /bin/busybox true; chmod 755 run/mount/__ROOT
! occlum: The file system run/mount/__ROOT is not accessible: permission denied; give the user of this process the right to read and write below it (error 13).
$ chmod 000 build/mount/__ROOT; without_powers occlum run /bin/busybox true; chmod 755 build/mount/__ROOT
! occlum: The file system build/mount/__ROOT is not accessible: permission denied; give the user of this process the right to read and write below it (error 13).
$ (ulimit -f 100; occlum run /bin/busybox dd if=/bin/busybox of=/root/large bs=64k count=16 2>&1) | grep -v records
dd: can't open '/root/large': Input/output error
occlum: The host's file run/mount/__ROOT/seg.00000000 cannot be written: it may not become larger; raise `ulimit -f` (error 27).

# An instance of another version of Occlum.
$ cp build/lib/libocclum-libos.signed.so ../signed && $TOP/tests/cli/other-version build/lib/libocclum-libos.signed.so && occlum run /bin/busybox true; mv ../signed build/lib/libocclum-libos.signed.so
! [ERROR] occlum-pal: this kernel image comes from another version of Occlum; run `occlum build` again

# An encrypted image needs its key.
$ occlum gen-image-key ../key && occlum build --sgx-mode SIM --image-key ../key --reset >/dev/null && occlum run /bin/busybox echo hello
! init: the image is encrypted and its key is not here; build with --buildin-image-key, or give initfs an init that fetches the key
[1]
$ occlum build --sgx-mode SIM --image-key ../key --buildin-image-key >/dev/null 2>&1 && occlum run /bin/busybox echo hello
hello
$ grep -c busybox build/mount/__ROOT/* | cut -d: -f2 | sort -u
0
$ occlum gen-image-key ../key2 && mv build/initfs ../initfs && occlum build --sgx-mode SIM --image-key ../key2 --buildin-image-key >/dev/null 2>&1 && rm -r build/initfs && mv ../initfs build/ && occlum run /bin/busybox echo hello
! occlum: The file system build/initfs/__ROOT was changed by someone: a digest or tag does not fit; `occlum build --force` makes it anew (error 74).
[1]

# A wrong key, a key that is none.
$ rm -rf build && mkdir build && cp ../key2 initfs/etc/image_key && occlum build --sgx-mode SIM --image-key ../key --reset >/dev/null && occlum run /bin/busybox echo hello
! occlum: The file system build/mount/__ROOT does not open with the image key that init gave (error 129).
[1]
$ echo nonsense > initfs/etc/image_key && occlum build --sgx-mode SIM --image-key ../key >/dev/null && occlum run /bin/busybox echo hello
! init: /etc/image_key is not 16 pairs of hexadecimal digits joined by '-'
[1]
$ rm initfs/etc/image_key && rm initfs/bin/init && occlum build --sgx-mode SIM >/dev/null 2>&1; occlum run /bin/busybox echo hello
! occlum: /bin/init of initfs could not be started: it is not there (error 2)
[1]

# The tool alone, as packages use it.
$ build/bin/occlum-run
! [ERROR] occlum-run: at least one argument must be provided
[1]

# CONFIGID and CONFIGSVN are for enclaves that are signed with KSS. What is written belongs to the id.
$ cp /bin/busybox image/bin/ && occlum new ../kss >/dev/null && cd ../kss && cp /bin/busybox image/bin/ && occlum build --sgx-mode SIM >/dev/null && occlum run --config-id AQID --config-svn 3 /bin/busybox echo hello
! [ERROR] occlum-pal: --config-id and --config-svn need metadata.enable_kss in the configuration, and another build
[1]
$ sed -i 's/"enable_kss": false/"enable_kss": true/' Occlum.json && occlum build --sgx-mode SIM >/dev/null && occlum run --config-id AQID --config-svn 3 /bin/busybox echo hello
hello
$ occlum run /bin/busybox echo hello
! occlum: The file system run/mount/__ROOT does not open with this enclave's key: it belongs to another signer, product, config id or machine, or is another kind of volume (error 129).
[1]
$ occlum run --config-id AQIE /bin/busybox true 2>/dev/null || occlum run --config-id AQID --config-svn 4 /bin/busybox echo again
again

# Another signer or product does not open what the first one wrote; the build says so.
$ occlum new ../signer >/dev/null && cd ../signer && cp /bin/busybox image/bin/ && occlum build --sgx-mode SIM >/dev/null && occlum run /bin/busybox touch /root/mine && $BUILD/host/sign/occlum-sign genkey -out ../other.pem && occlum build --sgx-mode SIM --sign-key ../other.pem >/dev/null
! occlum: build: the enclave has another signer or product id than before; the files that earlier runs wrote open only for the one that wrote them (`occlum build --reset` deletes them)
$ occlum build --sgx-mode SIM >/dev/null && occlum run /bin/busybox ls /root
mine
! occlum: build: the enclave has another signer or product id than before; the files that earlier runs wrote open only for the one that wrote them (`occlum build --reset` deletes them)
$ sed -i 's/"product_id": 0/"product_id": 1/' Occlum.json && occlum build --sgx-mode SIM >/dev/null; occlum build --sgx-mode SIM >/dev/null
! occlum: build: the enclave has another signer or product id than before; the files that earlier runs wrote open only for the one that wrote them (`occlum build --reset` deletes them)
$ occlum build --sgx-mode SIM --reset >/dev/null && occlum run /bin/busybox ls /root

# The writable layer keeps the key of its first run; the build says when its own does not open it.
$ try() { occlum build --sgx-mode SIM "$@" 2>&1 >/dev/null | grep -o 'sealed under.*one '; occlum run /bin/busybox ls /root; }; occlum new ../layer >/dev/null && cd ../layer && cp /bin/busybox image/bin/ && occlum build --sgx-mode SIM >/dev/null && occlum run /bin/busybox touch /root/kept && occlum gen-image-key a && occlum gen-image-key b && try --image-key a --buildin-image-key && try
kept
kept
$ try() { occlum build --sgx-mode SIM "$@" 2>&1 >/dev/null | grep -o 'sealed under.*one '; occlum run /bin/busybox ls /root; }; try --image-key a --buildin-image-key --reset && occlum run /bin/busybox touch /root/a; try --image-key b --buildin-image-key; try --image-key b --buildin-image-key; try --image-key a --buildin-image-key
sealed under the --image-key of an earlier build and do not open with this one 
sealed under the --image-key of an earlier build and do not open with this one 
a
! occlum: The file system run/mount/__ROOT does not open with the image key that init gave: it was written under another one, or is another kind of volume (error 129).
! occlum: The file system run/mount/__ROOT does not open with the image key that init gave: it was written under another one, or is another kind of volume (error 129).

# Without keep_upper, as in a release, the layer belongs to the image that it was made over.
$ occlum new ../strict >/dev/null && cd ../strict && cp /bin/busybox image/bin/ && sed -i 's#"source": "./run/mount/__ROOT"#&, "options": {"keep_upper": false}#' Occlum.json && occlum build --sgx-mode SIM >/dev/null && occlum run /bin/busybox touch /root/x && touch image/etc/more && occlum build --sgx-mode SIM >/dev/null; occlum run /bin/busybox ls /root
! occlum: build: the image below run/ has changed; the files that earlier runs wrote do not open above another image than theirs, as options.keep_upper is false (`occlum build --reset` deletes them)
! occlum: The file system run/mount/__ROOT was made over another image; occlum build --reset removes it (error 116).
[1]
