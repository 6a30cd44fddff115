# Image keys.
$ occlum gen-image-key
! Error: target file is not set
[1]
$ occlum gen-image-key key
$ grep -Ec '^([0-9a-f]{2}-){15}[0-9a-f]{2}$' key; wc -c < key; stat -c %a key
1
48
600
# A key is never overwritten: what it encrypted would be lost.
$ cp key before; occlum gen-image-key key; cmp key before
! occlum: gen-image-key: 'key' exists and is not overwritten; remove it first if no image needs its key
$ ln -s elsewhere link; occlum gen-image-key link; ls elsewhere
! occlum: gen-image-key: 'link' exists and is not overwritten; remove it first if no image needs its key
! ls: cannot access 'elsewhere': No such file or directory
[2]
$ ls -A | grep tmp
[1]
$ occlum gen-image-key key2; cmp -s key key2
[1]
$ occlum gen-image-key key more
! occlum: gen-image-key: unexpected argument 'more'
[1]
$ occlum gen-image-key missing/key
! occlum: gen-image-key: cannot write 'missing/key': No such file or directory
[1]
$ occlum gen-image-key .
! occlum: gen-image-key: '.' exists and is not overwritten; remove it first if no image needs its key
[1]
$ mkdir locked && chmod 755 locked
$ chmod 555 locked; as_nobody occlum gen-image-key locked/key; ls locked
! occlum: gen-image-key: cannot write 'locked/key': Permission denied

# Bad key files.
$ occlum new inst && cd inst
SCRATCH/inst initialized as an Occlum instance
$ occlum build --sgx-mode SIM --image-key missing
! occlum: build: invalid secure image key path: missing: No such file or directory
[1]
$ occlum build --sgx-mode SIM --image-key ..
! occlum: build: invalid secure image key path: ..: Is a directory
[1]
$ echo short > bad && occlum build --sgx-mode SIM --image-key bad
! occlum: build: the image key 'bad' is not 16 pairs of hexadecimal digits joined by '-'; `occlum gen-image-key` makes one
[1]
$ sed s/-/:/ ../key > bad && occlum build --sgx-mode SIM --image-key bad
! occlum: build: the image key 'bad' is not 16 pairs of hexadecimal digits joined by '-'; `occlum gen-image-key` makes one
[1]
$ (cat ../key; echo more) > bad && occlum build --sgx-mode SIM --image-key bad
! occlum: build: the image key 'bad' is not 16 pairs of hexadecimal digits joined by '-'; `occlum gen-image-key` makes one
[1]
$ head -c 9000 /dev/zero > bad && occlum build --sgx-mode SIM --image-key bad
! occlum: build: cannot read the image key 'bad': File too large
[1]
$ occlum build --sgx-mode SIM --buildin-image-key
! occlum: build: --buildin-image-key needs --image-key
[1]
$ occlum build --sgx-mode SIM --sign-key missing
! occlum: build: invalid signing key path: missing: No such file or directory
[1]
$ occlum build --sgx-mode SIM --sign-key .
! occlum: build: invalid signing key path: .: Is a directory
[1]
$ occlum build --sgx-mode SIM --sign-tool missing
! occlum: build: invalid signing tool path: missing: No such file or directory
[1]
$ occlum build --sgx-mode SIM --sign-tool Occlum.json
! occlum: build: invalid signing tool path: Occlum.json: Permission denied
[1]
$ occlum build --sign-key
! occlum: build: --sign-key needs a value
[1]
$ occlum build --sgx-mode SIM --sign-tool /bin/true 2>&1 >/dev/null
occlum: build: the sign tool '/usr/bin/true' ended with success and has not made the file that -out names
[1]
$ occlum build --sgx-mode SIM --sign-tool /bin/false 2>&1 >/dev/null
occlum: build: the sign tool '/usr/bin/false' failed (exit status 1)
[1]

# Nothing was built by any of these.
$ ls -A build
$ occlum status
initialized

# A release: no development key, no key for everyone to read.
$ sed -i 's/"debuggable": true/"debuggable": false/' Occlum.json
$ occlum build --sgx-mode SIM
! occlum: build: a release (metadata.debuggable: false) is not signed with the development key; give --sign-key
[1]
$ occlum build --sgx-mode SIM --image-key ../key --buildin-image-key
! occlum: build: --buildin-image-key puts the key where the host can read it and is refused for a release (metadata.debuggable: false)
[1]

# Neither another environment nor another name makes another key of it.
$ sed -i 's/"debuggable": false/"debuggable": true/' Occlum.json; occlum build --sgx-mode SIM >/dev/null; rm -rf build; mkdir build
$ cp ~/.local/state/occlum/development-sign.key ../mine.pem; sed -i 's/"debuggable": true/"debuggable": false/' Occlum.json
$ XDG_STATE_HOME=/nowhere occlum build --sgx-mode SIM --sign-key ../mine.pem
! occlum: build: a release (metadata.debuggable: false) is not signed with the development key; make one for releases: occlum-sign genkey -out KEY.pem
[1]
$ rm ~/.local/state/occlum/development-sign.key

# The development key is the user's own.
$ sed -i 's/"debuggable": false/"debuggable": true/' Occlum.json
$ mkdir -p ~/.local/state/occlum && touch ~/.local/state/occlum/development-sign.key
$ chmod 644 ~/.local/state/occlum/development-sign.key
$ occlum build --sgx-mode SIM
! occlum: build: the development signing key 'SCRATCH/home/.local/state/occlum/development-sign.key' can be read by others; run: chmod 600 SCRATCH/home/.local/state/occlum/development-sign.key
[1]
$ env -u HOME occlum build --sgx-mode SIM
! occlum: build: neither XDG_STATE_HOME nor HOME says where the development signing key lies; set HOME or give --sign-key
[1]
