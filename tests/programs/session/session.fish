# SPDX-License-Identifier: Apache-2.0
# What people script in fish.
set -x HOME (mktemp -d); cd $HOME
function double -a n; math $n \* 2; end
for i in (seq 3); double $i; end | sort -rn
echo words (count a b c) (string upper shout) (string split , x,y,z) {1,2}{a,b}
set list one "two words" three; for w in $list[2..3]; echo "<$w>"; end
seq 1000 | grep 7 | tail -n 2; false | true; echo $pipestatus
if test -d $HOME; and not test -e none; echo tests; end
switch abc; case 'a*'; echo matched; case '*'; echo never; end
echo text >file; cat <file; begin; echo out; echo err >&2; end 2>&1 | sort
sh -c 'exit 7'; echo status $status; sh -c 'kill -TERM $$'; echo killed $status
function on_usr1 --on-signal USR1; echo usr1; end; kill -USR1 $fish_pid
sleep 0.01 & wait; echo waited; for i in (seq 4); sh -c "exit $i" &; end; wait; echo all
diff (seq 3 | psub) (seq 2 | psub); echo (string join + (seq 5)) | tr + '*'
while read -l line; echo "got $line"; end <file; set -S list | head -n 1; contains three $list; and echo contained
exit 6
