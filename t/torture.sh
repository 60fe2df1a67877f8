#!/bin/sh
# Runs every torture test in its long form, or those whose names match the regular expression TORTURE, one package after
# the other, and prints what they did as one table. Fails if any has failed, was skipped, or printed no row: such a test has
# proved nothing.

cd "$(dirname "$0")/.." || exit
logs=torture
# Enough for thousands of strangers, with both ends of each connection in one process or two.
files=16384

# POSIX has no ulimit -n, but every sh that limits open files does. Programs raise the soft limit themselves.
# shellcheck disable=SC3045
limit=$(ulimit -H -n)
if test "$limit" != unlimited && test "$limit" -lt $files; then
	echo "fatal: this needs $files open files, and $limit are the hard limit here (ulimit -H -n): raise it" >&2
	exit 1
fi

rm -rf $logs
mkdir -p $logs

# The tests, one a line: "<package> <test>". go test names a package after its tests.
go test -tags torture -list '^TestTorture' ./... >$logs/list || { cat $logs/list >&2 && exit 1; }
awk '$1 == "ok" { for (i = 0; i < n; i++) print $2, names[i]; n = 0; next }
     /^TestTorture/ { names[n++] = $1 }' $logs/list | grep -E "${TORTURE:-.}" >$logs/tests
if ! test -s $logs/tests; then
	echo "fatal: no tests to run" >&2
	exit 1
fi
count=$(wc -l <$logs/tests)
echo "$count tests, their output is in $logs/; all of them take about 40 minutes on two cores"

broken=0
for package in $(cut -d ' ' -f 1 $logs/tests | uniq); do
	name=${package#aig/}
	log=$logs/$(echo "$name" | tr / -).log
	names=$(awk -v package="$package" '$1 == package { printf "%s%s", sep, $2; sep = "|" }' $logs/tests)
	printf '%s ' "$name"
	began=$(date +%s)
	go test -tags torture -run "^($names)\$" -v -count=1 -timeout 0 "$package" >"$log" 2>&1
	status=$?
	test $status = 0 || broken=$((broken + 1))
	echo "ended with status $status after $(($(date +%s) - began)) s"
done

# A row is a line "…: torture: <test> | <rounds> | <what> | <figures>".
cat $logs/*-*.log | sed -n 's/^ *[^ ]*: torture: //p' >$logs/rows
awk -F ' [|] ' '
	{ rows[NR] = $0; for (i = 1; i <= NF; i++) if (length($i) > width[i]) width[i] = length($i) }
	END {
		if (width[1] < 4) width[1] = 4
		if (width[2] < 6) width[2] = 6
		line = "%-" width[1] "s  %" width[2] "s  %-" width[3] "s  %s\n"
		printf line, "test", "rounds", "what", "figures"
		for (r = 1; r <= NR; r++) { split(rows[r], f, " [|] "); printf line, f[1], f[2], f[3], f[4] }
	}' $logs/rows | tee $logs/table

failed=0
silent=0
while read -r package test; do
	log=$logs/$(echo "${package#aig/}" | tr / -).log
	if ! grep -q "^--- PASS: $test " "$log"; then
		echo "failed: $package $test, see $log"
		failed=$((failed + 1))
	elif ! grep -q "^$test\(/[^|]*\)\{0,1\} | " $logs/rows; then
		echo "nothing to show: $package $test"
		silent=$((silent + 1))
	fi
done <$logs/tests
rounds=$(awk -F ' [|] ' '{ n += $2 } END { print n + 0 }' $logs/rows)
echo "$count tests, $rounds rounds, $failed failed, $silent without a row, $broken packages with a failure"
test $failed = 0 && test $silent = 0 && test $broken = 0
