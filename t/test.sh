#!/bin/sh
# Runs the Go tests and then the scripts, even if the first fail, with the make command given, and says at the end how many were
# skipped for what this machine lacks.

AIG_SKIPPED=$(mktemp) && export AIG_SKIPPED || exit
trap 'rm -f "$AIG_SKIPPED"' EXIT
status=0
for tests in test-go test-t; do
	"$@" $tests || status=1
done

# Each line of the file is a reason, a tab, and the name of a test.
sort -u "$AIG_SKIPPED" | awk -F '\t' '
	{
		list = list ($1 == reason ? ", " : (NR > 1 ? "); " : "") $1 " (") $2
		reason = $1
	}
	END { print NR " tests skipped" (NR ? ": " list ")" : "") }'
exit $status
