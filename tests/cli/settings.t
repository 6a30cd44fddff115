# Malformed and wrong Occlum.json: one line with line number, field and what is accepted.
$ occlum new inst && cd inst && cp Occlum.json good
SCRATCH/inst initialized as an Occlum instance
$ try() { occlum build --sgx-mode SIM; cp good Occlum.json; }; rm Occlum.json; try
! occlum: build: cannot read Occlum.json: No such file or directory
$ try() { occlum build --sgx-mode SIM; cp good Occlum.json; }; : > Occlum.json; try
! occlum: build: Occlum.json:1: the file ends too early
$ rm Occlum.json; mkdir Occlum.json; occlum build --sgx-mode SIM; rmdir Occlum.json; cp good Occlum.json
! occlum: build: cannot read Occlum.json: Is a directory
$ head -c 200 good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:6: the file ends too early
[1]
$ sed 's/"300MB",/"300MB"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:7: expected ',' or '}'
[1]
$ sed 's/"300MB"/"300mb"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:5: resource_limits.user_space_size: expected a size from "1MB" to "16TB" (units B, KB, MB, GB, TB), found "300mb"
[1]
$ sed 's/"300MB"/300/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:5: resource_limits.user_space_size: expected a size from "1MB" to "16TB" (units B, KB, MB, GB, TB), found 300
[1]
$ sed 's/"300MB"/"4B"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:5: resource_limits.user_space_size: expected a size from "1MB" to "16TB" (units B, KB, MB, GB, TB), found "4B"
[1]
$ sed 's/"user_space_size"/"user_space"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:5: unknown field 'user_space' in resource_limits; accepted are: user_space_size, user_space_max_size, kernel_space_heap_size, kernel_space_heap_max_size, kernel_space_stack_size, max_num_of_threads, init_num_of_threads, marshal_buffer_size
[1]
$ sed 's/"resource_limits"/"limits"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:3: unknown field 'limits'; accepted are: resource_limits, process, env, metadata, feature, entry_points, entry_args, mount
[1]
$ sed 's/"max_num_of_threads": 32/"max_num_of_threads": 0/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:11: resource_limits.max_num_of_threads: expected a whole number from 2 to 4096, found 0
[1]
$ sed 's/"max_num_of_threads": 32/"max_num_of_threads": 4096/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:11: resource_limits.max_num_of_threads: the kernel's heap and 4096 stacks of kernel_space_stack_size need more than the 3.5GB that they share; lower one of the three
[1]
$ sed 's/"product_id": 0/"product_id": 70000/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:47: metadata.product_id: expected a whole number from 0 to 65535, found 70000
[1]
$ sed 's/"debuggable": true/"debuggable": "yes"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:52: metadata.debuggable: expected true or false, found "yes"
[1]
$ sed 's/"100MB"/"1GB"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:20: process.default_mmap_size: is obsolete and not supported: user_space_size limits all memory and `ulimit -v` a program's; accepted are "32MB" and "100MB", the values of Occlum's templates, without effect
[1]
$ sed 's/"amx": 0/"amx": 1/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:59: feature.amx: 1 is not yet supported; accepted are 0 (off) and 2 (where available)
[1]
$ sed 's/"pkru": 0/"pkru": 1/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:60: feature.pkru: 1 is not yet supported; accepted are 0 (off) and 2 (where available)
[1]
$ sed 's/"io_uring": 0/"io_uring": 4/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:61: feature.io_uring: 4 is not yet supported; accepted is 0 (off)
[1]
$ sed 's/"OCCLUM=yes"/"OCCLUM"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:34: env.default: expected a string "NAME=value", found "OCCLUM"
[1]
$ sed 's/"EXAMPLE"/"EXAMPLE=1"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:41: env.untrusted: expected the name of a variable, found "EXAMPLE=1"
[1]
$ sed 's|"/bin"|"bin"|' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:28: entry_points: expected an absolute path without '.', '..' or a slash at its end, found "bin"
[1]
$ sed 's|"/bin"|"/bin/../sbin"|' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:28: entry_points: expected an absolute path without '.', '..' or a slash at its end, found "/bin/../sbin"
[1]
$ sed 's/"ramfs"/"ext2"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:99: mount.type: "ext2" is not yet supported
[1]
$ sed 's/"ramfs"/"tmpfs"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:99: mount.type: expected one of "unionfs", "sefs", "hostfs", "ramfs", "procfs", "devfs", found "tmpfs"
[1]
$ sed 's/"MAC": ""/"MAC": "ab"/' good > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:78: mount.options.MAC: expected "" (the build pins the image), found "ab"
[1]
$ printf '{"a\033[2Jb": 1}' > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:1: a string must not hold control characters; \t stands for a tab
[1]
$ printf '{"\\u001b[2J": 1}' > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:1: unknown field '\u001b[2J'; accepted are: resource_limits, process, env, metadata, feature, entry_points, entry_args, mount
[1]
$ head -c 3000000 /dev/zero | tr '\0' ' ' > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: cannot read Occlum.json: File too large
[1]
$ yes '[' | head -n 100 > Occlum.json; occlum build --sgx-mode SIM
! occlum: build: Occlum.json:17: nested too deeply
[1]
$ ls -A build

# The manual knows every field.
$ for s in '' resource_limits process env metadata feature; do if [ "$s" ]; then echo "{\"$s\": {\"?\": 1}}"; else echo '{"?": 1}'; fi > Occlum.json; for w in $(occlum build --sgx-mode SIM 2>&1 | sed 's/.*accepted are: //; s/,//g'); do grep -qF -- "$w" $TOP/docs/man/Occlum.json.5 || echo "not in Occlum.json.5: $w"; done; done
