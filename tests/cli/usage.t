# What every user meets first: usage, help, version, unknown commands.
$ occlum
Usage: occlum <command> [<arguments>]

Commands:
  new            make a directory and initialize it as an instance
  init           initialize the current directory as an instance
  build          build and sign the enclave and its file-system images
  run            run a program inside the enclave
  start          start the instance as a service (not yet supported)
  exec           run a program in the started instance (not yet supported)
  stop           stop the started instance (not yet supported)
  package        pack the instance for deployment (not yet supported)
  gdb            debug a program inside the enclave (not yet supported)
  mount          mount the instance's files on the host
  image          look into the instance's files without mounting them
  gen-image-key  make a file with a random key for --image-key
  print          print what the built enclave is known by
  status         print the state of the instance
  fsck           check a volume or image, name damaged files, copy out what opens
  doctor         look at this machine and say what is missing
  help           print this, or how one command is used
  version        print the version

`occlum help <command>` prints the arguments of one; `man occlum` says the rest.
! Error: no sub-command is given
[1]
$ occlum help
Usage: occlum <command> [<arguments>]

Commands:
  new            make a directory and initialize it as an instance
  init           initialize the current directory as an instance
  build          build and sign the enclave and its file-system images
  run            run a program inside the enclave
  start          start the instance as a service (not yet supported)
  exec           run a program in the started instance (not yet supported)
  stop           stop the started instance (not yet supported)
  package        pack the instance for deployment (not yet supported)
  gdb            debug a program inside the enclave (not yet supported)
  mount          mount the instance's files on the host
  image          look into the instance's files without mounting them
  gen-image-key  make a file with a random key for --image-key
  print          print what the built enclave is known by
  status         print the state of the instance
  fsck           check a volume or image, name damaged files, copy out what opens
  doctor         look at this machine and say what is missing
  help           print this, or how one command is used
  version        print the version

`occlum help <command>` prints the arguments of one; `man occlum` says the rest.
$ occlum --help | head -n 1
Usage: occlum <command> [<arguments>]
$ occlum help build
Usage: occlum build [--sign-key <key_path>] [--sign-tool <tool_path>]
                 [--sgx-mode HW|SIM] [--enable-edmm Y|N] [--image-key <key_path>]
                 [--buildin-image-key] [-f|--force] [--reset]

  build and sign the enclave and its file-system images
$ occlum build --help | head -n 1
Usage: occlum build [--sign-key <key_path>] [--sign-tool <tool_path>]
$ occlum help nothing
! occlum: help: there is no command 'nothing'; `occlum help` lists them
[1]
$ occlum version
occlum VERSION
$ occlum --version
occlum VERSION
$ occlum version more
! occlum: version: unexpected argument 'more'
[1]
$ occlum bogus | head -n 1
Usage: occlum <command> [<arguments>]
! Error: unknown sub-command bogus
$ occlum bogus >/dev/null
! Error: unknown sub-command bogus
[1]

# Known, and later.
$ occlum start
! occlum: start: not yet supported
[1]
$ occlum exec /bin/true
! occlum: exec: not yet supported
[1]
$ occlum stop
! occlum: stop: not yet supported
[1]
$ occlum package
! occlum: package: not yet supported
[1]
$ occlum gdb /bin/true
! occlum: gdb: not yet supported
[1]
$ occlum mount /mnt
! Error: the current working directory is not initialized as an Occlum instance. Need to run "occlum init" first.
[1]

# Output that cannot be written is no success.
$ occlum help >/dev/full
! occlum: help: cannot write the output
[1]
$ occlum new inst >/dev/null && cd inst && occlum status >/dev/full
! occlum: status: cannot write the output
[1]

# The manual knows every command and option.
$ for c in $(occlum help | sed -n 's/^  \([a-z-]*\)  *.*/\1/p'); do for w in $c $(occlum help $c | grep -oE -e '--[a-z-]+'); do grep -qF -- "$w" $TOP/docs/man/occlum.1 || echo "not in occlum.1: $w"; done; done
not in occlum.1: --debug
