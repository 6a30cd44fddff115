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
$ occlum build --sgx-mode HW
! occlum: build: SGX mode HW is not yet supported by this version; use --sgx-mode SIM
[1]
$ SGX_MODE=HW occlum build
! occlum: build: SGX mode HW is not yet supported by this version; use --sgx-mode SIM
[1]
$ occlum build --sgx-mode sim
! occlum: build: unknown SGX mode 'sim'; accepted are HW and SIM
[1]
$ occlum build --sgx-mode
! occlum: build: --sgx-mode needs a value
[1]
$ SGX_MODE=HYPER occlum build --sgx-mode HW
! occlum: build: SGX mode HW is not yet supported by this version; use --sgx-mode SIM
[1]
$ occlum build --enable-edmm Y
! occlum: build: --enable-edmm Y is not yet supported; accepted is N
[1]
$ ENABLE_EDMM=YES occlum build
! occlum: build: --enable-edmm YES is not yet supported; accepted is N
[1]
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
