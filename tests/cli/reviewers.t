# needs: build no-sgx
# What reviewers are given: the signature's fields, the measured stream, and what is wrong with them.
$ occlum new inst && cd inst && occlum build --sgx-mode SIM >/dev/null && ln -s $BUILD/host/sign/occlum-sign ../sign && cp build/lib/libocclum-libos.signed.so ../signed
SCRATCH/inst initialized as an Occlum instance
$ ../sign dump -enclave ../signed | cut -c1-21 | tr -s ' '
HEADER 
VENDOR 
DATE 
HEADER2 
SWDEFINED 
MODULUS 
EXPONENT 
SIGNATURE 
MISCSELECT 
MISCMASK 
CET_ATTRIBUTES 
CET_MASK 
ISVFAMILYID 
ATTRIBUTES.FLAGS 
ATTRIBUTES.XFRM 
ATTRIBUTEMASK.FLAGS 
ATTRIBUTEMASK.XFRM 
ENCLAVEHASH 
ISVEXTPRODID 
ISVPRODID 
ISVSVN 
Q1 
Q2 
(reserved) 
(signed digest) 
(MRSIGNER) 
$ ../sign dump -enclave ../signed > ../dump; occlum print sigstruct | cmp - ../dump; grep -E '^(VENDOR|DATE|EXP|MISC|ATTR|ISVP|ISVS|.res)' ../dump
VENDOR               0x00000000  not Intel
DATE                 20240101
EXPONENT             3
MISCSELECT           0x0000000000000001  EXINFO
MISCMASK             0xffffffff  fixed but for: none
ATTRIBUTES.FLAGS     0x0000000000000006  DEBUG MODE64
ATTRIBUTES.XFRM      0x0000000000000003  x87 SSE
ATTRIBUTEMASK.FLAGS  0xffffffffffffffff  fixed but for: none
ATTRIBUTEMASK.XFRM   0xffffffffffffff1b  fixed but for: AVX AVX-512
ISVPRODID            0
ISVSVN               0
(reserved)           all zero
$ ../sign check -enclave ../signed | grep -v '^MR'
ok     headers, vendor, exponent 3 and reserved bytes are as EINIT wants them
ok     the modulus has 3072 bits and is greater than the signature
ok     the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
ok     Q1 = S*S / M
ok     Q2 = S*(S*S mod M) / M
ok     EINIT's way of verifying comes to the same
ok     ENCLAVEHASH is what the enclave measures (MRENCLAVE)
ok     MODE64 is set and fixed
ok     INIT is clear (the CPU sets it)
ok     XFRM has x87 and SSE, which no enclave can do without
ok     EINITTOKENKEY is not asked for
note   DEBUG is fixed on: the host can read this enclave's memory; not for production
$ ../sign check -enclave ../signed | sed -n 's/^MR[A-Z]* //p' > ../a; (occlum print mrsigner; occlum print mrenclave) | cmp - ../a

# The measured stream: its SHA-256 is MRENCLAVE, whoever computes it.
$ ../sign sgxs -enclave ../signed -out ../stream && test "$(sha256sum < ../stream)" = "$(occlum print mrenclave)  -" && occlum print sgxs | cmp - ../stream
$ ../sign measure -sgxs ../stream > ../a; ../sign measure -enclave ../signed | grep -v -e '^kernel image' -e ^configuration | cmp - ../a; sed -n '1,3p;$s/ .*/ HEX/p' ../a | sed 's/  *[0-9]*  r/ N  r/'
enclave of 0x1000000000 bytes, SSA frames of 1 page
offset                  pages  kind  measured
0x0000000f00000000 N  r-x   yes
MRENCLAVE HEX
$ on_terminal occlum print sgxs
occlum: print: the measured stream is binary; redirect it into a file
[1]

# A signature apart from its enclave.
$ ../sign dump -enclave ../signed -out ../sig && stat -c %s ../sig && ../sign check -sigstruct ../sig -sgxs ../stream | grep -c ^ok
1808
11

# Each kind of damage is named.
$ damage() { cp ../sig ../bad; printf "$2" | dd of=../bad bs=1 seek=$1 conv=notrunc 2>/dev/null; ../sign check -sigstruct ../bad -sgxs ../stream | grep WRONG; }; for at in 0 44 200 600 960 1040 1500; do echo "$at:"; damage $at '\377\001'; done
0:
WRONG  headers, vendor, exponent 3 and reserved bytes are as EINIT wants them
WRONG  the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
WRONG  EINIT's way of verifying comes to the same
44:
WRONG  headers, vendor, exponent 3 and reserved bytes are as EINIT wants them
WRONG  the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
WRONG  EINIT's way of verifying comes to the same
200:
WRONG  the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
WRONG  Q1 = S*S / M
WRONG  Q2 = S*(S*S mod M) / M
WRONG  EINIT's way of verifying comes to the same
600:
WRONG  the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
WRONG  Q1 = S*S / M
WRONG  Q2 = S*(S*S mod M) / M
WRONG  EINIT's way of verifying comes to the same
960:
WRONG  the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
WRONG  EINIT's way of verifying comes to the same
WRONG  ENCLAVEHASH is what the enclave measures (MRENCLAVE)
1040:
WRONG  Q1 = S*S / M
WRONG  EINIT's way of verifying comes to the same
1500:
WRONG  Q2 = S*(S*S mod M) / M
WRONG  EINIT's way of verifying comes to the same
$ damage() { cp ../sig ../bad; printf "$2" | dd of=../bad bs=1 seek=$1 conv=notrunc 2>/dev/null; ../sign check -sigstruct ../bad | grep -E 'note|WRONG'; }; damage 944 '\375'; damage 928 '\044'; damage 936 '\001'
WRONG  the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
WRONG  EINIT's way of verifying comes to the same
note   DEBUG is left open: whoever starts this enclave may read its memory
WRONG  the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
WRONG  EINIT's way of verifying comes to the same
WRONG  EINITTOKENKEY is not asked for
note   DEBUG is fixed off: EINIT refuses to start this enclave with DEBUG
WRONG  the signature fits the signed bytes and the modulus (PKCS #1 v1.5, SHA-256)
WRONG  EINIT's way of verifying comes to the same
WRONG  XFRM has x87 and SSE, which no enclave can do without
note   DEBUG is fixed on: the host can read this enclave's memory; not for production
$ (cat ../stream; printf x) > ../longer; ../sign measure -sgxs ../longer 2>&1 | sed "s/[0-9]*$/END/"
occlum-sign: no measured stream: half a record at byte END
$ head -c 1807 ../sig > ../short; ../sign check -sigstruct ../short; ../sign dump -sigstruct missing
! occlum-sign: '../short' is no SIGSTRUCT: not 1808 bytes
! occlum-sign: cannot open 'missing': No such file or directory
[1]
$ ../sign check -enclave $BUILD/kernel/libocclum-libos_sim.so
! occlum-sign: the kernel image is not prepared: its measured page is empty or damaged
[1]
$ ../sign check 2>&1 | grep -c occlum-sign; ../sign dump -enclave 2>&1 | grep -c check; ../sign measure -enclave ../signed -sgxs ../stream 2>&1 | head -n 1
9
1
occlum-sign: measure takes other options
$ ../sign sgxs -enclave ../signed -out missing/stream
! occlum-sign: cannot create 'missing/stream': No such file or directory
[1]
