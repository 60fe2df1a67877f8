#!/bin/sh

test_description='make demo, from beginning to end, and what README shows of it'

. /usr/share/sharness/sharness.sh

test_expect_success 'Alice and Bob pair, sync by name, and hold the same' '
	"$SHARNESS_TEST_SRCDIR/demo.sh" >out &&
	grep "^paired with bob " out && grep "^paired with alice " out &&
	test "$(grep -c "^\\.\$" out)" = 4 &&
	tail -n 1 out | grep "^# Both stores hold the same "
'

# shown prints what stands in README's blocks with two columns, one for Alice and one for Bob, a line each.
shown () {
	awk '/^```/ { inside = !inside; two = 0 } /^alice\$ .*   bob\$ / { two = 1 } inside && two' "$SHARNESS_TEST_SRCDIR/../README.md" |
		sed 's/    *\([^ ]\)/\n\1/'
}

# plain gives a name to what differs from run to run.
plain () {
	sed -e 's/[0-9a-f]\{40\}/ID/' -e 's/[0-9a-f]\{5\}-[0-9]\{3\}-[0-9]\{4\}/CODE/' -e 's/^= [0-9]*/= N/' | sort -u
}

test_expect_success 'what README shows of a session is what the programs print' '
	shown >lines && grep -v "^alice\$ \|^bob\$ \|^code from alice: " lines >printed &&
	test "$(wc -l <printed)" -gt 8 &&
	plain <printed >expect && plain <out >actual &&
	comm -23 expect actual >missing && test_must_be_empty missing
'

test_done
