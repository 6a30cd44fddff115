# needs: hw-kernel no-sgx
# Enclaves for SGX hardware are built anywhere; only hardware runs them.
$ occlum new inst && cd inst && cp /bin/busybox image/bin/ && occlum build --sgx-mode HW > ../shown; sed 's/MRENCLAVE: [0-9a-f]\{64\}$/MRENCLAVE: HEX/' ../shown
SCRATCH/inst initialized as an Occlum instance
Enclave sign-tool: BUILD/host/sign/occlum-sign
Enclave sign-key: SCRATCH/home/.local/state/occlum/development-sign.key
SGX mode: HW
Building new image...
Building the initfs...
Generate the SEFS image successfully
Building libOS...
Signing the enclave...
MRENCLAVE: HEX
Built the Occlum image and enclave successfully
$ test "$(sed -n 's/^MRENCLAVE: //p' ../shown)" = "$(occlum print mrenclave)" && cat .sgx_mode && ls build/lib
HW
libocclum-libos.signed.so
libocclum-libos.so
libocclum-libos.so.0
libocclum-libos.so.0.1.0
libocclum-pal.so
libocclum-pal.so.0
libocclum-pal.so.0.1.0
$ SGX_MODE=HW occlum build | sed 's/MRENCLAVE: [0-9a-f]\{64\}$/MRENCLAVE: HEX/'
Enclave sign-tool: BUILD/host/sign/occlum-sign
Enclave sign-key: SCRATCH/home/.local/state/occlum/development-sign.key
SGX mode: HW
Nothing has changed since the last build
MRENCLAVE: HEX
Built the Occlum image and enclave successfully

# What the machine lacks is said, each with what to do.
$ occlum run /bin/busybox true 2>&1 | sed 's/no SGX1: .*/no SGX1: WHY/'
occlum: run: the enclave is built for SGX hardware (SGX_MODE=HW), which this machine lacks:
occlum: run: no SGX1: WHY
occlum: run: no SGX2 (memory that grows at run time): hardware mode needs Ice Lake servers or later
occlum: run: no FLC (enclaves signed by any key): needs a processor with SGX first
occlum: run: no SGX device (/dev/sgx_enclave or /dev/sgx/enclave): Linux has found no SGX (`dmesg | grep -i sgx` says why), or was built without CONFIG_X86_SGX; for a container: --device /dev/sgx_enclave
occlum: run: for a trial without hardware: occlum build --sgx-mode SIM

# The same instance in simulation: another kernel image, another number.
$ occlum print mrenclave > ../hw; occlum build --sgx-mode SIM >/dev/null && occlum print mrenclave | cmp -s - ../hw
[1]

# A release cannot be started with DEBUG, and nobody else's key signs it.
$ sed -i 's/"debuggable": true/"debuggable": false/' Occlum.json && occlum build --sgx-mode HW
! occlum: build: a release (metadata.debuggable: false) is not signed with the development key; give --sign-key
[1]
$ occlum build --sgx-mode HW --sign-key ~/.local/state/occlum/development-sign.key
! occlum: build: a release (metadata.debuggable: false) is not signed with the development key; make one for releases: occlum-sign genkey -out KEY.pem
[1]
$ cp ~/.local/state/occlum/development-sign.key ../copy.pem; occlum build --sgx-mode HW --sign-key ../copy.pem
! occlum: build: a release (metadata.debuggable: false) is not signed with the development key; make one for releases: occlum-sign genkey -out KEY.pem
[1]
$ $BUILD/host/sign/occlum-sign genkey -out ../release.pem && occlum build --sgx-mode HW --sign-key ../release.pem 2>&1 | tail -n 1
Built the Occlum image and enclave successfully
$ $BUILD/host/sign/occlum-sign dump -enclave build/lib/libocclum-libos.signed.so | grep -E '^(ATTRIBUTES|MISC)'
MISCSELECT           0x0000000000000001  EXINFO
MISCMASK             0xffffffff  fixed but for: none
ATTRIBUTES.FLAGS     0x0000000000000004  MODE64
ATTRIBUTES.XFRM      0x0000000000000003  x87 SSE
$ $BUILD/host/sign/occlum-sign check -enclave build/lib/libocclum-libos.signed.so | grep -E 'WRONG|note'
note   DEBUG is fixed off: EINIT refuses to start this enclave with DEBUG
$ grep -E 'Debug|Provision|KSS' build/Enclave.xml
  <DisableDebug>1</DisableDebug>
  <ProvisionKey>0</ProvisionKey>
  <EnableKSS>0</EnableKSS>

# Attributes that are configured are in the signature.
$ sed -i 's/"enable_kss": false/"enable_kss": true, "provision_key": true, "family_id": {"high": "0x1", "low": "0x2"}/' Occlum.json && occlum build --sgx-mode HW --sign-key ../release.pem >/dev/null 2>&1; occlum print sigstruct | grep -E '^(ATTRIBUTES|ISVFAM)'
ISVFAMILYID          02000000000000000100000000000000
ATTRIBUTES.FLAGS     0x0000000000000094  MODE64 PROVISIONKEY KSS
ATTRIBUTES.XFRM      0x0000000000000003  x87 SSE
$ $BUILD/host/sign/occlum-sign check -enclave build/lib/libocclum-libos.signed.so | grep -E 'WRONG|note'
note   DEBUG is fixed off: EINIT refuses to start this enclave with DEBUG
note   PROVISIONKEY: the enclave can recognise the machine; its user needs /dev/sgx_provision
note   KSS: the starter's CONFIGID and CONFIGSVN are part of the identity
