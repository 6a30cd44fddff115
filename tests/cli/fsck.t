# needs: build
# Checking a volume: a good image, one with a changed byte, and what can still be taken out of it.
$ occlum new inst >/dev/null && cd inst && head -c 300000 /dev/urandom >image/etc/big && occlum build >/dev/null 2>&1
$ occlum fsck build/mount/__ROOT | sed 's/[0-9]* files, [0-9]* of [0-9]* blocks/N files/'
generation 1, N files used, key epoch 0
clean
$ cp -r build/mount/__ROOT bad
$ head -c 8292 image/etc/big | tail -c 100 >part
$ python3 -c "p = 'bad/seg.00000000'; b = bytearray(open(p, 'rb').read()); b[b.find(open('part', 'rb').read()) + 5] ^= 1; open(p, 'wb').write(b)"
$ occlum fsck --salvage out bad | sed 's/[0-9]* files, [0-9]* of [0-9]* blocks/N files/; s/^[0-9]* files/N files/'
generation 1, N files used, key epoch 0
/etc/big: a block of its content does not open
1 damages found
/etc/big: 1 blocks could not be read and are zeros
N files copied to out, 1 blocks lost
$ cmp -n 8192 out/etc/big image/etc/big; cmp -i 12288 out/etc/big image/etc/big; stat -c %s out/etc/big
300000
$ cmp out/etc/passwd image/etc/passwd
$ occlum fsck bad >/dev/null
[1]
$ occlum fsck --salvage out bad | tail -n 1
1 damages found
! occlum: fsck: cannot make 'out': File exists
$ occlum fsck --dump bad | grep -c INODE | sed 's/[0-9]*/N/'
N
$ occlum fsck --root 7 bad
! occlum: fsck: no root of generation 7 is kept
[1]
$ occlum fsck --to-root 1 build/mount/__ROOT | tail -n 1
clean
! occlum: fsck: this is an image, which is never written to; occlum build makes it
$ mkdir empty; occlum fsck empty
! occlum: fsck: 'empty' is no volume, or its structure makes no sense
[1]
$ mkdir empty/root; occlum fsck empty
! occlum: fsck: 'empty' is no volume, or its structure makes no sense
[1]
$ occlum fsck --snapshot none build/mount/__ROOT
! occlum: fsck: 'build/mount/__ROOT' has no snapshot 'none'
[1]
$ occlum fsck missing
! occlum: fsck: cannot open 'missing': No such file or directory
[1]
$ occlum fsck
! occlum: fsck: name one volume: a directory or a file
[1]
$ occlum fsck --to-root x bad
! occlum: fsck: 'x' is no generation
[1]
