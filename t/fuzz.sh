#!/bin/sh
# Runs every fuzz target of the module, or those that match the regular expression FUZZ, for FUZZTIME each (10m),
# FUZZJOBS at a time (one for each core), and prints the results. Fails if any has found something. A failing input
# stays where go test writes it, in testdata/fuzz beside the target: commit it with the fix.

cd "$(dirname "$0")/.." || exit
time=${FUZZTIME:-10m}
logs=fuzz

# The fuzz targets, one a line: "<package> <target>". go test names a package after its targets.
targets () {
	go test -list '^Fuzz' ./... >$logs/list || { cat $logs/list >&2 && return 1; }
	awk '$1 == "ok" { for (i = 0; i < n; i++) print $2, names[i]; n = 0; next }
	     /^Fuzz/ { names[n++] = $1 }' $logs/list | grep -E "${FUZZ:-.}"
}

run () { # <package> <target>
	name=$logs/${1##*/}.$2
	log=$name.log
	# A worker is killed when its time is up, and leaves its files behind.
	TMPDIR=$(mktemp -d) && export TMPDIR
	# By default go test may spend a minute minimising each interesting input, and so all ten on nothing else.
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 2s -parallel 1 "$1" >"$log" 2>&1
	status=$?
	rm -rf "$TMPDIR"
	# fuzz: elapsed: 10m0s, execs: 5217 (8/sec), new interesting: 3 (total: 12)
	execs=$(sed -n 's/.*, execs: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
	new=$(sed -n 's/.*new interesting: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
	# A race in go test can report the end of the time as an error; a real finding replaces that message.
	if grep -qx '    context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; then
		status=0
	fi
	found=none
	if test $status != 0; then
		input=$(sed -n 's/.*Failing input written to //p' "$log" | tail -n 1)
		found=${input:+$(go list -f '{{.Dir}}' "$1")/$input}
		found=${found:-see $log}
	fi
	printf '%-22s %-24s %12s %6s  %s\n' "${1#aig/}" "$2" "${execs:--}" "${new:--}" "$found" | tee "$name.row"
	test $status = 0
}

if test "$1" = --one; then
	run "$2" "$3"
	exit
fi

rm -rf $logs
mkdir -p $logs
targets >$logs/targets || { echo "fatal: no fuzz targets to run" >&2 && exit 1; }
jobs=${FUZZJOBS:-$(getconf _NPROCESSORS_ONLN)}
count=$(wc -l <$logs/targets)
echo "$count targets, $time each, $jobs at a time"
printf '%-22s %-24s %12s %6s  %s\n' package target executions new findings
xargs -L 1 -P "$jobs" t/fuzz.sh --one <$logs/targets
status=$?
rows=$(cat $logs/*.row 2>/dev/null | wc -l)
failed=$(cat $logs/*.row 2>/dev/null | grep -vc ' none$')
echo "$rows targets of $count run, $failed with findings; their output is in $logs/"
test $status = 0 && test "$rows" = "$count"
