# SPDX-License-Identifier: Apache-2.0
# Several processes of sqlite at one database: locks of files, and the shared memory of its log.
set -e
for mode in delete wal; do
	db=/root/several-$mode.db
	rm -f $db*
	sqlite3 $db "pragma journal_mode=$mode; create table t (who integer, n integer);"
	for who in 1 2 3 4; do
		for n in 1 2 3 4 5 6 7 8 9 10; do
			echo ".timeout 100000"
			echo "begin immediate; insert into t values ($who, $n); commit;"
			echo "select count(*) > 0 from t;"
		done | sqlite3 $db | sort | uniq -c &
	done
	wait
	sqlite3 $db "select who, count(*), sum(n) from t group by who; pragma integrity_check;"
	# A reader sees one state while others write.
	sqlite3 $db ".timeout 100000" "begin; select count(*) from t;" \
		".shell sqlite3 -cmd '.timeout 100' $db 'insert into t values (5, 5);' 2>&1 | grep -c locked" \
		"select count(*) from t; commit;" "select count(*) from t;"
	sqlite3 $db "select count(*) from t; pragma integrity_check;"
	rm -f $db*
done
