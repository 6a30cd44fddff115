# needs: no-sgx
# SGX modes, and which one is chosen.
$ occlum new inst && cd inst
SCRATCH/inst initialized as an Occlum instance
$ occlum build --sgx-mode HYPER
! occlum: build: SGX mode HYPER is not supported; accepted are HW and SIM
[1]
$ SGX_MODE=HYPER occlum build
! occlum: build: SGX mode HYPER is not supported; accepted are HW and SIM
[1]
$ occlum build --sgx-mode sim
! occlum: build: unknown SGX mode 'sim'; accepted are HW and SIM
[1]
$ occlum build --sgx-mode
! occlum: build: --sgx-mode needs a value
[1]
$ SGX_MODE=HYPER occlum build --sgx-mode SIM | tail -n 1
Built the Occlum image and enclave successfully
$ SGX_MODE=SIM occlum build --enable-edmm Y | tail -n 1
Built the Occlum image and enclave successfully
$ SGX_MODE=SIM ENABLE_EDMM=NO occlum build | tail -n 1
Built the Occlum image and enclave successfully
$ occlum build --enable-edmm maybe
! occlum: build: --enable-edmm takes Y or N, not 'maybe'
[1]
$ sed -i 's/"debuggable": true/"debuggable": false/' Occlum.json
$ occlum build
! occlum: build: no SGX device is here and metadata.debuggable is false; a release names its mode: --sgx-mode HW, or --sgx-mode SIM for a trial
[1]
$ occlum build --bogus
! Error: Unknown option: --bogus
[1]
$ occlum build more
! Error: Unknown option: more
[1]
