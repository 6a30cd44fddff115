# needs: build no-sgx
# Building: what is said, what is made, what is made again.
$ occlum new inst && cd inst
SCRATCH/inst initialized as an Occlum instance
$ occlum build
Enclave sign-tool: BUILD/host/sign/occlum-sign
Enclave sign-key: SCRATCH/home/.local/state/occlum/development-sign.key
SGX mode: SIM
Building new image...
Building the initfs...
Generate the SEFS image successfully
Building libOS...
Signing the enclave...
Built the Occlum image and enclave successfully
! occlum: build: no SGX device is here: building for simulation (SGX_MODE=SIM), which protects files at rest only
$ ls -A . build build/bin build/lib build/mount build/initfs
.:
.__occlum_lock
.__occlum_status
.sgx_mode
Occlum.json
build
image
initfs
run

build:
.Occlum_sys.bin
.Occlum_sys.json
.image.cache
.stamp
Enclave.xml
bin
image_config.json
initfs
lib
mount

build/bin:
occlum-run

build/initfs:
.ROOT_MAC
__ROOT

build/lib:
libocclum-libos.signed.so
libocclum-libos.so
libocclum-libos_sim.so.0
libocclum-libos_sim.so.0.1.0
libocclum-pal.so
libocclum-pal_sim.so.0
libocclum-pal_sim.so.0.1.0

build/mount:
.ROOT_MAC
__ROOT
$ cat .sgx_mode .__occlum_status
SIM
built
$ occlum print mrenclave > ../a; grep -Ec '^[0-9a-f]{64}$' ../a
1
$ occlum print mrsigner | grep -Ec '^[0-9a-f]{64}$'
1

# Nothing changed: nothing is made.
$ find build -type f -printf '%p %T@ %i\n' | sort | grep -v -e stamp -e Occlum_sys -e image_config > ../before
$ SGX_MODE=SIM occlum build
Enclave sign-tool: BUILD/host/sign/occlum-sign
Enclave sign-key: SCRATCH/home/.local/state/occlum/development-sign.key
SGX mode: SIM
Nothing has changed since the last build
Built the Occlum image and enclave successfully
$ find build -type f -printf '%p %T@ %i\n' | sort | grep -v -e stamp -e Occlum_sys -e image_config > ../after; diff ../before ../after
$ occlum print mrenclave | cmp - ../a

# From scratch it is the same to the byte.
$ occlum build --sgx-mode SIM --force | tail -n 1
Built the Occlum image and enclave successfully
$ occlum print mrenclave | cmp - ../a

# One changed file: another measurement; with the file back, the first again.
$ echo x > image/root/x && occlum build --sgx-mode SIM | tail -n 1
Built the Occlum image and enclave successfully
$ occlum print mrenclave | cmp -s - ../a
[1]
$ rm image/root/x && occlum build --sgx-mode SIM | tail -n 1
Built the Occlum image and enclave successfully
$ occlum print mrenclave | cmp - ../a

# A changed setting.
$ cp Occlum.json good; sed -i 's/"300MB"/"200MB"/' Occlum.json && occlum build --sgx-mode SIM | tail -n +4
Building libOS...
Signing the enclave...
Built the Occlum image and enclave successfully
$ occlum print mrenclave | cmp -s - ../a
[1]
$ cp good Occlum.json

# Libraries that are missing.
$ cp /bin/ls image/bin/ls; rm image/lib/x86_64-linux-gnu/libc.so.6 && occlum build --sgx-mode SIM 2>&1 | grep -c "'libc.so.6', which is not in the image"
1
$ rm image/bin/ls

# Everything becomes root's: setuid and setgid of others do not become those of root.
$ if [ "$(id -u)" = 0 ]; then touch image/bin/a image/bin/b && chown 7:42 image/bin/a image/bin/b && chmod 6755 image/bin/a && occlum build --sgx-mode SIM 2>&1 >/dev/null | grep lost; chmod 2755 image/bin/b && occlum build --sgx-mode SIM 2>&1 >/dev/null | grep lost; rm image/bin/a image/bin/b; else echo "occlum: build: warning: 1 file has lost setuid or setgid bits, as all files become root's and these were another user's or group's: 'image/bin/a'"; echo "occlum: build: warning: 2 files have lost setuid or setgid bits, as all files become root's and these were another user's or group's: 'image/bin/a', ..."; fi
occlum: build: warning: 1 file has lost setuid or setgid bits, as all files become root's and these were another user's or group's: 'image/bin/a'
occlum: build: warning: 2 files have lost setuid or setgid bits, as all files become root's and these were another user's or group's: 'image/bin/a', ...

# Programs that want the same addresses; several names of one are one.
$ echo 'int main(void) { return 0; }' > ../m.c; gcc -static -no-pie ../m.c -o image/bin/gawk; ln image/bin/gawk image/bin/other; occlum build --sgx-mode SIM 2>&1 | grep -c "same fixed addresses"
0
[1]
$ cp image/bin/other image/bin/third; occlum build --sgx-mode SIM 2>&1 | grep -E "fixed addresses|mawk"
occlum: build: warning: 2 programs, '/bin/gawk' and '/bin/third' among them, are linked at the same fixed addresses: those of them that run at once take turns; position-independent ones (PIE) need not
occlum: build: warning: '/bin/gawk': use Debian's 'mawk' instead of 'gawk'
$ rm image/bin/gawk image/bin/other image/bin/third ../m.c

# run/ is kept; a changed image below it is said; --reset deletes it.
$ echo data > run/mount/__ROOT/0 && echo y > image/root/y && occlum build --sgx-mode SIM 2>&1 >/dev/null
occlum: build: warning: '/lib/x86_64-linux-gnu/libresolv.so.2' needs 'libc.so.6', which is not in the image
occlum: build: the image below run/ has changed; the files that earlier runs wrote are kept (`occlum build --reset` deletes them)
$ ls run/mount/__ROOT
0
$ occlum build --sgx-mode SIM --reset | tail -n 1
Built the Occlum image and enclave successfully
$ ls run/mount/__ROOT

# A build that fails leaves the previous one usable.
$ occlum print mrenclave > ../d
$ touch image/root/z; occlum build --sgx-mode SIM --sign-tool /bin/false
Enclave sign-tool: /usr/bin/false
Enclave sign-key: SCRATCH/home/.local/state/occlum/development-sign.key
SGX mode: SIM
Building new image...
Generate the SEFS image successfully
Building libOS...
Signing the enclave...
! occlum: build: warning: '/lib/x86_64-linux-gnu/libresolv.so.2' needs 'libc.so.6', which is not in the image
! occlum: build: the sign tool '/usr/bin/false' failed (exit status 1)
[1]
$ occlum print mrenclave | cmp - ../d
$ ls -A | grep build
build
$ (mkdir .build.tmp && touch .build.tmp/left); occlum build --sgx-mode SIM | tail -n 1; ls -A | grep build
Built the Occlum image and enclave successfully
build
! occlum: build: warning: '/lib/x86_64-linux-gnu/libresolv.so.2' needs 'libc.so.6', which is not in the image

# A key of one's own, a foreign key.
$ openssl genrsa -3 -out ../own.pem 3072 2>/dev/null; occlum print mrsigner > ../s; occlum build --sgx-mode SIM --sign-key ../own.pem | tail -n 1; occlum print mrsigner | cmp -s - ../s
Built the Occlum image and enclave successfully
[1]
$ openssl genrsa -3 -out ../wrong.pem 2048 2>/dev/null; occlum build --sgx-mode SIM --sign-key ../wrong.pem
! occlum: build: the signing key 'SCRATCH/wrong.pem' is not a private RSA key of 3072 bits with exponent 3 in PEM form without password; `openssl genrsa -3 -out KEY 3072` makes one
[1]
$ echo garbage > ../bad.pem; occlum build --sgx-mode SIM --sign-key ../bad.pem
! occlum: build: the signing key 'SCRATCH/bad.pem' is not a private RSA key of 3072 bits with exponent 3 in PEM form without password; `openssl genrsa -3 -out KEY 3072` makes one
[1]

# An encrypted image.
$ occlum gen-image-key ../key; occlum build --sgx-mode SIM --image-key ../key; cat build/image_config.json
Enclave sign-tool: BUILD/host/sign/occlum-sign
Enclave sign-key: SCRATCH/home/.local/state/occlum/development-sign.key
Image encryption key: ../key
SGX mode: SIM
Building new image...
Building the initfs...
Generate the SEFS image successfully
Building libOS...
Signing the enclave...
Built the Occlum image and enclave successfully
{
  "image_type": "encrypted"
}
! occlum: build: warning: '/lib/x86_64-linux-gnu/libresolv.so.2' needs 'libc.so.6', which is not in the image
$ occlum build --sgx-mode SIM --image-key ../key --buildin-image-key 2>&1 >/dev/null
occlum: build: warning: the image key is built into the initfs, which the host can read
$ grep -c '"image_type": "encrypted"' build/.Occlum_sys.json
1

# An altered enclave is not described.
$ printf X | dd of=build/lib/libocclum-libos.signed.so bs=1 seek=20000 conv=notrunc 2>/dev/null; occlum print mrenclave >/dev/null
! occlum: print: the kernel image was changed after it was signed: MRENCLAVE differs; if Occlum was upgraded, run `occlum build` again
[1]

# Killed at any moment, the previous build stays whole.
$ occlum build --sgx-mode SIM >/dev/null 2>&1; occlum print mrenclave > ../e; for t in 0.01 0.02 0.05 0.1 0.2; do head -c 3000000 /dev/urandom > image/root/r; timeout -s KILL $t occlum build --sgx-mode SIM >/dev/null 2>&1; occlum print mrenclave >/dev/null || echo broken; done
$ occlum build --sgx-mode SIM 2>&1 | tail -n 1; occlum print mrenclave | grep -Ec '^[0-9a-f]{64}$'; ls -A | grep build
Built the Occlum image and enclave successfully
1
build

# A full disk: one line, and what was built stays.
$ occlum print mrenclave > ../f; head -c 9000000 /dev/urandom > image/root/r; (ulimit -f 4096; trap '' XFSZ; occlum build --sgx-mode SIM 2>&1 >/dev/null | grep -v warning); occlum print mrenclave | cmp - ../f; ls -A | grep build
occlum: build: cannot write 'image/lib/x86_64-linux-gnu/libm.so.6' to the image '.build.tmp/mount/__ROOT': No space left on device
build

# An unreadable file in the image, as a user without rights.
$ cd .. && mkdir nobody && chmod 777 nobody && cd nobody && as_nobody occlum new inst >/dev/null && cd inst && chmod 000 image/etc/passwd && as_nobody occlum build --sgx-mode SIM 2>&1 >/dev/null; ls -A | grep build; ls -A build
occlum: build: cannot open 'image/etc/passwd': Permission denied
build
$ chmod 644 image/etc/passwd && mkdir -p image/root/a/closed && chown 65534 image/root/a/closed && chmod 000 image/root/a/closed && as_nobody occlum build --sgx-mode SIM
! occlum: build: cannot look at 'image/root/a/closed': Permission denied
[1]
$ rmdir image/root/a/closed && mkdir -p image/root/$(printf 'd/%.0s' $(seq 256)) && as_nobody occlum build --sgx-mode SIM; rm -r image/root/d
! occlum: build: 'image' has directories in more than 256 levels; an image has no more

# A folder of the previous build that cannot be looked into: said once, and never in the way of the next.
$ as_nobody occlum build --sgx-mode SIM >/dev/null && chmod 0 build/mount/__ROOT && as_nobody occlum build --sgx-mode SIM | tail -n 1; ls -A | grep build
Built the Occlum image and enclave successfully
build
$ chmod 0 build; as_nobody occlum build --sgx-mode SIM | tail -n 1; chmod 755 build; ls -A | grep build
SGX mode: SIM
build
! occlum: build: cannot take over 'build/.image.cache': Permission denied
$ as_nobody sh -c 'HOME=/proc/none occlum build --sgx-mode SIM'
! occlum: build: cannot make '/proc/none/.local/state/occlum' for the development signing key (name a place that can be written by HOME or XDG_STATE_HOME, or give --sign-key): No such file or directory
[1]

# On a terminal a bar shows how far the image is and vanishes; elsewhere there is none.
$ cd $SCRATCH/inst && head -c 40000000 /dev/urandom > image/root/large && on_terminal occlum build --sgx-mode SIM --force > ../shown; awk -F '[][]' '/%/ { p = $3 + 0; if (p < last || length($2) != 40) print "odd: " $0; last = p; n++ } END { print (n > 10 ? "a bar" : "no bar") }' ../shown; tail -n 1 ../shown
a bar
Built the Occlum image and enclave successfully
$ occlum build --sgx-mode SIM --force 2>&1 | grep -c '%'
0
[1]

# What somebody changed in build/ is made anew.
$ rm image/root/large; occlum build --sgx-mode SIM --reset >/dev/null 2>&1; for f in build/mount/__ROOT/seg.00000000 build/initfs/__ROOT/seg.00000000 build/lib/libocclum-libos.signed.so; do echo $f; printf X | dd of=$f bs=1 seek=20000 conv=notrunc 2>/dev/null; occlum build --sgx-mode SIM 2>/dev/null | grep ing; done; occlum print mrenclave > ../x; occlum build --sgx-mode SIM --force >/dev/null 2>&1; occlum print mrenclave | cmp - ../x
build/mount/__ROOT/seg.00000000
Building new image...
build/initfs/__ROOT/seg.00000000
Building the initfs...
build/lib/libocclum-libos.signed.so
Building libOS...
Signing the enclave...

# What is not given is as in the template, but for the variables that it lets in.
$ occlum new $SCRATCH/defaults >/dev/null && cd $SCRATCH/defaults && occlum build --sgx-mode SIM >/dev/null && occlum print mrenclave > ../m && echo '{"env": {"untrusted": ["EXAMPLE", "TERM"]}}' > Occlum.json && occlum build --sgx-mode SIM >/dev/null && occlum print mrenclave | cmp - ../m
