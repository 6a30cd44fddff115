# needs: build no-sgx
# Building: what is said, what is made, what is made again.
$ occlum new inst && cd inst
$ occlum build
$ ls -A . build build/bin build/lib build/mount build/initfs
$ cat .sgx_mode .__occlum_status
$ occlum print mrenclave > ../a; grep -Ec '^[0-9a-f]{64}$' ../a
$ occlum print mrsigner | grep -Ec '^[0-9a-f]{64}$'

# Nothing changed: nothing is made.
$ find build -type f -printf '%p %T@ %i\n' | sort | grep -v stamp > ../before
$ SGX_MODE=SIM occlum build
$ find build -type f -printf '%p %T@ %i\n' | sort | grep -v -e stamp > ../after; cut -d' ' -f1,2 ../before > ../b; cut -d' ' -f1,2 ../after > ../c; diff ../b ../c | grep -c signed
$ occlum print mrenclave | cmp - ../a

# From scratch it is the same to the byte.
$ occlum build --sgx-mode SIM --force | tail -n 1
$ occlum print mrenclave | cmp - ../a

# One changed file: another measurement; with the file back, the first again.
$ echo x > image/root/x && occlum build --sgx-mode SIM | tail -n 1
$ occlum print mrenclave | cmp -s - ../a
$ rm image/root/x && occlum build --sgx-mode SIM | tail -n 1
$ occlum print mrenclave | cmp - ../a

# A changed setting.
$ cp Occlum.json good; sed -i 's/"300MB"/"200MB"/' Occlum.json && occlum build --sgx-mode SIM | tail -n +4
$ occlum print mrenclave | cmp -s - ../a
$ cp good Occlum.json

# Libraries that are missing.
$ cp /bin/ls image/bin/ls; rm image/lib/x86_64-linux-gnu/libc.so.6 && occlum build --sgx-mode SIM 2>&1 | grep -c "'libc.so.6', which is not in the image"
$ rm image/bin/ls

# run/ is kept; a changed image below it is said; --reset deletes it.
$ echo data > run/mount/__ROOT/0 && echo y > image/root/y && occlum build --sgx-mode SIM 2>&1 >/dev/null
$ ls run/mount/__ROOT
$ occlum build --sgx-mode SIM --reset | tail -n 1
$ ls run/mount/__ROOT

# A build that fails leaves the previous one usable.
$ occlum print mrenclave > ../d
$ touch image/root/z; occlum build --sgx-mode SIM --sign-tool /bin/false
$ occlum print mrenclave | cmp - ../d
$ ls -A | grep build
$ (mkdir .build.tmp && touch .build.tmp/left); occlum build --sgx-mode SIM | tail -n 1; ls -A | grep build

# A key of one's own, a foreign key.
$ openssl genrsa -3 -out ../own.pem 3072 2>/dev/null; occlum print mrsigner > ../s; occlum build --sgx-mode SIM --sign-key ../own.pem | tail -n 1; occlum print mrsigner | cmp -s - ../s
$ openssl genrsa -out ../wrong.pem 2048 2>/dev/null; occlum build --sgx-mode SIM --sign-key ../wrong.pem 2>&1 >/dev/null | wc -l
$ echo garbage > ../bad.pem; occlum build --sgx-mode SIM --sign-key ../bad.pem >/dev/null

# An encrypted image.
$ occlum gen-image-key ../key; occlum build --sgx-mode SIM --image-key ../key; cat build/image_config.json
$ occlum build --sgx-mode SIM --image-key ../key --buildin-image-key 2>&1 >/dev/null
$ grep -c '"image_type": "encrypted"' build/.Occlum_sys.json

# An altered enclave is not described.
$ printf X | dd of=build/lib/libocclum-libos.signed.so bs=1 seek=20000 conv=notrunc 2>/dev/null; occlum print mrenclave >/dev/null
