# needs: build no-sgx
# Installed elsewhere, everything finds the rest from its own place.
$ DESTDIR=$SCRATCH/dest meson install -C $BUILD --no-rebuild >/dev/null 2>&1; readlink dest/usr/local/bin/occlum | sed 's#.*/build/bin#PREFIX/build/bin#'
PREFIX/build/bin/occlum
$ readlink dest/usr/local/share/man/man1/occlum.1 | sed 's#.*/share/man#PREFIX/share/man#'; ls dest/usr/local/share/man/*
PREFIX/share/man/man1/occlum.1
dest/usr/local/share/man/man1:
occlum-sign.1
occlum.1

dest/usr/local/share/man/man5:
Occlum.json.5

$ readlink dest/usr/local/share/bash-completion/completions/occlum | sed 's#.*/share/bash#PREFIX/share/bash#'
PREFIX/share/bash-completion/completions/occlum
# An installation below /usr/local has its pages there already.
$ DESTDIR=$SCRATCH/own MESON_INSTALL_PREFIX=/usr/local sh $TOP/packaging/link-command; find own -type l | sort
own/usr/local/bin/occlum
own/usr/local/bin/occlum-gcc
$ mv "$(dirname "$(dirname "$(dirname "$(find dest -path '*/build/bin/occlum')")")")" prefix; cd prefix; find build etc share toolchains ! -type d | sort; cd ..
build/bin/occlum
build/bin/occlum-image
build/bin/occlum-mount
build/bin/occlum-run
build/bin/occlum-sign
build/lib/init
build/lib/key-helper
build/lib/libocclum-libos.so
build/lib/libocclum-libos.so.debug
build/lib/libocclum-libos_sim.so
build/lib/libocclum-libos_sim.so.debug
build/lib/libocclum-pal.so
etc/template/Occlum.json
share/bash-completion/completions/occlum
share/man/man1/occlum-sign.1
share/man/man1/occlum.1
share/man/man5/Occlum.json.5
toolchains/gcc/bin/occlum-gcc
$ PATH=$SCRATCH/prefix/build/bin:$PATH; command -v occlum; occlum new inst && cd inst && occlum build --sgx-mode SIM 2>&1 | sed -n '1p;$p'; readlink build/bin/occlum-run
SCRATCH/prefix/build/bin/occlum
SCRATCH/inst initialized as an Occlum instance
Enclave sign-tool: SCRATCH/prefix/build/bin/occlum-sign
Built the Occlum image and enclave successfully
SCRATCH/prefix/build/bin/occlum-run

# The system call tests take what is installed where OCCLUM_BIN_PATH says so: there is no such build.
$ OCCLUM_BIN_PATH=$SCRATCH/prefix/build/bin $TOP/tests/syscalls/run.py --build /nowhere --libc glibc pseudo
ok      pseudo (glibc)
1 passed, 0 failed, 0 skipped

$ rm $SCRATCH/prefix/build/lib/libocclum-libos_sim.so; PATH=$SCRATCH/prefix/build/bin:$PATH; occlum build --sgx-mode SIM --force 2>&1 >/dev/null
occlum: build: cannot open 'SCRATCH/prefix/build/lib/libocclum-libos_sim.so': No such file or directory
[1]
$ cp $SCRATCH/prefix/build/bin/occlum $SCRATCH/alone && $SCRATCH/alone build --sgx-mode SIM
! occlum: build: SCRATCH/alone is neither in an installation (PREFIX/build/bin) nor in a build folder
[1]
