# SPDX-License-Identifier: Apache-2.0
# Limits set in a shell hold for what it starts, and going beyond each gives what Linux gives.
ulimit -Ss 10240
ulimit -Sd 40960
ulimit -Sv 102400
ulimit -Ss -Sd -Sv
echo 'ulimit -Ss; ulimit -Sd; ulimit -Sv' | bash
grep -E 'stack|data|address' /proc/self/limits | tr -s ' ' | cut -d ' ' -f 1-4
head -c 1000 /dev/zero | wc -c

echo "== stack"
deep='f() { f; }; f'
(ulimit -Ss 512; bash -c "$deep" 2>/dev/null; echo "$?")
(ulimit -Sv unlimited; ulimit -Sd unlimited
 ulimit -Ss 256; perl -e 'my $n = 0; sub f { my $x = shift; return $x ? 1 + f($x - 1) : 0 } print f(1000), "\n"'
 bash -c "x=\$(head -c 100000 /dev/zero | tr '\0' x); /usr/bin/echo \$x" 2>&1 | tail -c 40
 echo "${PIPESTATUS[0]}")

echo "== data"
perl -e 'my $x = "a" x 10_000_000; print length($x), "\n"'
perl -e 'my $x = "a" x 200_000_000; print length($x), "\n"' 2>/dev/null
echo "$?"
(ulimit -Sd 20000; perl -e 'my $x = "a" x 5_000_000; print length($x), "\n"')
(ulimit -Sd 20000; perl -e 'my $x = "a" x 25_000_000; print length($x), "\n"' 2>/dev/null; echo "$?")
sort -S 30M --parallel=1 /dev/null && echo sorted

echo "== address space"
(ulimit -Sd unlimited; ulimit -Sv 60000; perl -e 'my $x = "a" x 100_000_000; print "not reached\n"' 2>/dev/null; echo "$?")
(ulimit -Sd unlimited; ulimit -Sv 400000; perl -e 'my $x = "a" x 100_000_000; print length($x), "\n"')

echo "== files, descriptors"
(ulimit -f 10; head -c 100000 /dev/zero >/root/limited; echo "$?"; stat -c %s /root/limited; rm /root/limited)
(ulimit -n 5; exec 3</dev/null 4</dev/null; cat /dev/null 5</dev/null; echo "$?") 2>/dev/null
ulimit -Hs 5000 2>/dev/null; ulimit -Hs
ulimit -Ss 6000 2>/dev/null || echo refused
