# needs: enclave no-sgx
# What it finds depends on the machine; that simulation works is what these tests need.
$ occlum doctor | grep '^Simulation'
Simulation (SGX_MODE=SIM) works on this machine.
$ occlum doctor | grep -A1 'SGX device'
  MISSING  SGX device (/dev/sgx_enclave or /dev/sgx/enclave)
           -> Linux has found no SGX (`dmesg | grep -i sgx` says why), or was built without CONFIG_X86_SGX; for a container: --device /dev/sgx_enclave
$ occlum doctor | grep -cE 'SGX1|SGX2|FLC|FSGSBASE|provisioning|AESM|FUSE|Linux 6.0'
8
$ occlum doctor more
! occlum: doctor: unexpected argument 'more'
[1]
