# SPDX-License-Identifier: Apache-2.0
# coreutils and findutils as a toolbox: each line a small job done by several programs together.
set -u
cd "$(mktemp -d)"
mkdir -p a/b/c d; for i in $(seq 1 40); do seq 1 "$i" >"a/f$i"; done; cp -r a d/copy; ln -s ../a d/link; ln a/f1 a/hard
find . -type f -name 'f1*' | sort | xargs wc -l | tail -n 1
find . -type l -printf '%p -> %l\n'; find a -samefile a/f1 | sort; find d -empty -type d | sort
find . -type f -size -2 -exec cat {} + | sort -n | uniq -c | sort -rn | head -n 3
find a -name 'f3?' -execdir basename {} \; | sort; find . -newer a/f1 -name nothing; find a -maxdepth 1 -type f -delete; ls a
find d -type f -print0 | sort -z | xargs -0 -P 3 -n 5 sha256sum | sort | sha256sum
seq 1 100000 | shuf --random-source=<(yes) | sort -n --parallel=2 | tail -n 1; seq 1 100000 | sort -R --random-source=<(yes) | wc -l
seq 9 | paste - - - | column_sum=1 awk '{ s += $1 } END { print s }'; seq 5 | tac | rev | tr '\n' ,; echo
join <(seq 1 5 | sed 's/$/ x/') <(seq 3 7 | sed 's/$/ y/'); comm -3 <(seq 1 4) <(seq 2 5); printf 'a:b:c\n' | cut -d: -f2,3
fold -w 10 <<<"a line that is folded at ten"; expand <<<$'a\tb'; printf 'x y z\n' | xargs -n 1 echo got; yes n | head -c 10 | od -c
csplit -s -z <(seq 20) 5 10; wc -l xx*; split -n 3 d/copy/f40 part; cat part* | cmp - d/copy/f40 && echo joined; tsort <<<"a b b c"
dd if=d/copy/f40 bs=7 skip=2 count=3 status=none | od -An -tx1; truncate -s 1M sparse; stat -c '%s %F' sparse; du --apparent-size -sh sparse; cksum sparse
install -m 750 -D d/copy/f2 new/place/f2; stat -c '%A' new/place/f2; mktemp -u XXXX | wc -c; mv -n new/place/f2 new/f2; rmdir new/place; ls -R new
touch -d '2001-02-03 04:05:06 UTC' t; TZ=UTC0 ls -l --time-style=full-iso t | cut -d ' ' -f 6-7; TZ=UTC0 date -r t +%s; test t -ot sparse && echo older; chmod u=rw,go= t; stat -c %a t
chown 12:34 t; stat -c '%u:%g' t; id -u; whoami; groups; printenv OCCLUM; env -i A=b printenv; nproc >/dev/null; arch; uname -s; hostname >/dev/null; pwd -P | sed 's/.*tmp\./tmp./' | wc -c
echo hello | tee x y | md5sum; cat x y; timeout 0.05 sleep 10; echo $?; timeout -s KILL 0.05 sleep 10; echo $?; nice -n 3 nice; stdbuf -oL echo line; nohup echo up 2>/dev/null; seq 3 | (read -r; cat); numfmt --to=iec 1048576; factor 97 98
base64 <<<secret | base64 -d; sha1sum x | sha1sum -c; realpath --relative-to=d a/b; readlink d/link; basename a/b.c .c; dirname a/b; pathchk a/b && echo fine; expr 6 \* 7; test 3 -gt 2 && [ -d a ] && echo yes; printf '%d %o %s\n' 10 8 end
tail -f x --pid=$$ & tailer=$!; sleep 0.05; kill $tailer; wait $tailer; echo $?; sync; sync x; df . >/dev/null && echo df; who >/dev/null; stty -a </dev/null 2>/dev/null || echo no terminal; mkfifo p; (echo f >p &); cat p; mknod n p; ls -l n | cut -c1
rm -r "$PWD"; exit 3
