# SPDX-License-Identifier: Apache-2.0
# What a person or a build script asks of bash, with output that is the same on every run: word
# splitting and expansions, pipelines, here-documents, functions, traps, subshells, background
# jobs, job control, coprocesses, process substitution. Run natively and inside and compared.
set -u
cd "$(mktemp -d)" || exit 1
section() { printf '== %s\n' "$*"; }

section expansions
list=(one "two words" three '*')
printf '<%s>' "${list[@]}" "${#list[@]}" "${list[@]:1:2}"; echo
declare -A map=([red]=1 [green]=2 [blue]=3)
for key in $(printf '%s\n' "${!map[@]}" | sort); do printf '%s=%s ' "$key" "${map[$key]}"; done; echo
path=/usr/local/lib/libthing.so.1
echo "${path##*/}" "${path%/*}" "${path%%.*}" "${path//l/L}" "${path:5:5}" "${path^^}" "${#path}"
echo {1..5} {a..e..2} pre{x,y}post $((7 * 6)) $((0x1f ^ 2#1010)) "$((1 << 20))"
unset nothing; echo "${nothing:-default}" "${nothing:=assigned}" "${nothing:+alternate}"
(set -e; unset none; echo "${none?is not set}") 2>/dev/null || echo "status $?"
IFS=: read -r a b rest <<<"x:y:z:w"; echo "$a|$b|$rest"
printf -v padded '%08.3f' 3.14159; echo "$padded"
echo $'tab\there' "$(printf 'é' | od -An -tx1)"

section pipelines
seq 1 1000 | grep 7 | sort -rn | head -n 3
printf '%s\n' b a c | while read -r line; do echo "got $line"; done | tac
false | true; echo "${PIPESTATUS[@]}"
(set -o pipefail; false | true; echo "pipefail $?")
yes | head -n 100000 | wc -l
seq 1 20000 | sed 's/1/one/g' | tr a-z A-Z | cksum
! true; echo "negated $?"
echo "$(echo "$(echo "$(echo nested)")")"
x=$(exit 3); echo "substitution status $?"
{ echo out; echo err >&2; } 2>&1 >/dev/null | sed 's/^/only /'
shopt -s lastpipe; echo last | read -r kept; echo "${kept-unset}"; shopt -u lastpipe

section here documents
name=world
cat <<EOF
hello $name $((1 + 1)) $(echo command)
EOF
cat <<'EOF'
hello $name
EOF
cat <<-EOF | tr a-z A-Z
	tabs are gone
	EOF
large=$(for ((i = 0; i < 20000; i++)); do echo "line $i"; done)
cksum <<<"$large"
cat <<A; cat <<B
from a
A
from b
B

section files and redirections
mkdir -p deep/er; : >deep/empty; echo text >deep/er/file; ln -s er/file deep/link
exec 5>log 6<deep/er/file; echo to five >&5; read -r line <&6; exec 5>&- 6<&-; cat log; echo "$line"
echo more >>log; set -C; { echo no >log; } 2>/dev/null || echo noclobber; set +C; wc -l <log
for test in -e -f -d -L -s -x; do [[ $test == -* ]] && { test $test deep/link && printf "%s\n" "$test"; }; done
[[ deep/link -ef deep/er/file ]] && echo same file
shopt -s globstar nullglob; echo **/; echo deep/**; echo none*; shopt -u globstar nullglob
find . | sort; mapfile -t lines <log; echo "${#lines[@]} ${lines[1]}"
umask 027; : >masked; stat -c '%a' masked; umask 022
{ : >cannot/exist; } 2>/dev/null || echo "no such folder"
diff <(seq 1 5) <(seq 1 2 5) | head -n 3
mkfifo done; seq 3 > >(sed 's/^/sub /' >substituted; : >done); : <done; cat substituted

section functions and control
fact() { (($1 < 2)) && echo 1 || echo $(($1 * $(fact $(($1 - 1))))); }
fact 10
local_test() { local v=inner; echo "$v"; return 7; }; v=outer; local_test; echo "$? $v"
case abc in a?c) echo matched ;;& *b*) echo also ;; *) echo never ;; esac
for ((i = 0; i < 3; i++)); do ((i == 1)) && continue; echo -n "$i "; done; echo
until ((i-- <= 0)); do :; done; echo "i=$i"
select_out=$(printf '2\n' | { select c in x y; do echo "chose $c"; break; done; } 2>/dev/null); echo "$select_out"
[[ "key=value" =~ ^([a-z]+)=(.*)$ ]] && echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
while getopts "ab:" o -a -b arg; do echo "opt $o ${OPTARG-}"; done
eval 'echo evaluated "$name"'; declare -n ref=name; echo "$ref"; declare -i n=5+5; echo $n
type -t fact cd cat; hash -r; command -v true

section subshells and environments
v=1; (v=2; echo "in $v"; exit 4); echo "after $? $v"
export EXPORTED=yes; bash -c 'echo "$EXPORTED $0 $*"' zero one two
env -i PATH="$PATH" bash -c 'echo ${EXPORTED-cleared}'
(cd deep && pwd | sed 's/.*\///'); bash --norc -s arg <<'EOF'
echo "from stdin $1 $#"
exit 9
EOF
echo "status $?"
printf '#!/bin/bash -e\necho "script $# $2"; false; echo unreached\n' >script; chmod +x script
./script a b; echo "status $?"
printf '#!/usr/bin/env bash\necho by env\n' >script; ./script
/no/such/program 2>/dev/null; echo "missing $?"; ./masked 2>/dev/null; echo "denied $?"
bash -c 'kill -TERM $$'; echo "killed $?"; (ulimit -n 64; ulimit -n); exec 3>&1; echo three >&3

section traps
trap 'echo usr1' USR1; kill -USR1 $$; kill -USR1 $BASHPID
(trap 'echo leaving $?' EXIT; exit 5); echo "status $?"
trap 'echo debug-$BASH_COMMAND' DEBUG; true; trap - DEBUG
(trap 'echo error' ERR; false; true)
(trap '' TERM; bash -c 'kill -TERM $$; echo survived')
(trap 'echo got int; exit 1' INT; kill -INT $BASHPID; echo unreached); echo "status $?"
(trap 'echo winch' WINCH; kill -WINCH $BASHPID; trap)
count=0; trap '((count++))' USR2
for i in 1 2 3; do kill -USR2 $$; done; echo "count $count"
sleep 100 & sleeper=$!; (sleep 0.05; kill -USR1 $$) & wait $sleeper; echo "wait $(($? > 128))"
kill $sleeper; wait $sleeper 2>/dev/null; echo "terminated $?"

section background jobs
for i in 3 1 2; do (exit "$i") & pids[i]=$!; done
for i in 1 2 3; do wait "${pids[i]}"; echo "job $i: $?"; done
wait; (exit 6) & wait -n; echo "wait -n $?"
{ sleep 0.01; exit 8; } & wait -n -p which; echo "which $(($? == 8 && which == $!))"
for i in {1..8}; do echo "$i" >"part$i" & done; wait; cat part? | sort -n | paste -sd+ | tr -d '\n'; echo
mkfifo pipe; for i in {1..5}; do echo "$i"; done >pipe & sum=0; while read -r i; do ((sum += i)); done <pipe; echo "sum $sum"
(sleep 100 & echo $! >pid); kill -0 "$(cat pid)" && echo orphan lives; kill "$(cat pid)"
timeout 0.05 sleep 100; echo "timeout $?"
(exec -a renamed bash -c 'echo $0'); nohup true; echo "nohup $?"
busy() { for ((j = 0; j < 20000; j++)); do :; done; echo done; }; busy & busy & wait

section job control
bash -s <<'EOF'
set -m
show() { jobs "$@" >shown; tr -s ' ' <shown; }
until_stopped() { until jobs "$1" >shown && grep -q Stopped shown; do sleep 0.01; done; }
sleep 100 & first=$!
sleep 100 | sleep 100 & second=$!
show
kill -STOP %1; until_stopped %1; show %1
bg %1 >/dev/null 2>&1; show %1; kill %1; wait $first 2>/dev/null; echo "ended $?"
kill -- -"$(jobs -p %2)"; wait $second 2>/dev/null; echo "group $?"
bash -c 'kill -STOP $$; echo resumed; exit 3' & until_stopped %bash
show %bash; fg %bash >/dev/null; echo "fg $?"
(bash -c 'ps -o pgid= -p $$ | tr -d " "'; echo $BASHPID) | uniq | wc -l
sleep 100 & disown; echo "disowned [$(jobs)]"; kill $!
suspendable() { echo begin; kill -STOP $BASHPID; echo end; }
suspendable & until_stopped %+; kill -CONT %+; wait $!; echo "continued $?"
EOF

section coprocesses
coproc UPPER { while read -r line; do echo "${line^^}"; done; }
echo shout >&"${UPPER[1]}"; read -r line <&"${UPPER[0]}"; echo "$line"
echo again >&"${UPPER[1]}"; read -r line <&"${UPPER[0]}"; echo "$line"
pid=$UPPER_PID; exec {UPPER[1]}>&-; wait "$pid"; echo "coproc $?"
coproc BC { sed -u 's/^\(.\) 21$/\1 times 21/'; }
for i in 2 3 4; do echo "$i 21" >&"${BC[1]}"; read -r line <&"${BC[0]}"; echo "$line"; done
kill "$BC_PID"; wait "$BC_PID" 2>/dev/null; echo "killed $?"

section tools
printf '%s\n' pear apple fig | sort | nl -ba | awk '{ print $2, $1 }'
find . -name 'part*' -print0 | sort -z | xargs -0 -n 3 echo
seq 20 | xargs -P 4 -n 1 sh -c 'echo $((0 + $0 * $0))' | sort -n | tail -n 2
seq 1 10 | split -l 3 - piece; wc -l piece* | tail -n 1; cat pieceaa piecead
dd if=/dev/zero bs=1k count=64 2>/dev/null | sha256sum; echo "2 + 3" | tee copy | sed 's/+/plus/'; cat copy
tar cf - deep | tar tf - | sort; gzip -c log | gzip -dc; comm -12 <(seq 5) <(seq 3 7) | paste -sd,
date -u -d @0 +%FT%TZ; basename "$PWD" | sed 's/tmp\..*/tmp/'; printf '%s\n' "$BASH_VERSION" "$SHLVL" | tail -n 1 >/dev/null
time true 2>/dev/null; times >/dev/null; echo "$SECONDS" | grep -c '^[0-9]*$'
rm -r "$PWD"; cd /; trap 'echo goodbye' EXIT
exit 42
