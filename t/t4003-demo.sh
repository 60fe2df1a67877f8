#!/bin/sh

test_description='make demo and make cluster-demo, from beginning to end, and what README shows of the first'

. /usr/share/sharness/sharness.sh

test_expect_success 'Alice and Bob pair, sync by name, and hold the same' '
	"$SHARNESS_TEST_SRCDIR/demo.sh" >out &&
	grep "^paired with bob " out && grep "^paired with alice " out &&
	test "$(grep -c "^\\.\$" out)" = 4 &&
	tail -n 1 out | grep "^# Both stores hold the same "
'

# shown prints README's blocks with two columns, Alice's and Bob's, with each column on a line of its own.
shown () {
	awk '/^```/ { inside = !inside; two = 0 } /^alice\$ .*   bob\$ / { two = 1 } inside && two' "$SHARNESS_TEST_SRCDIR/../README.md" |
		sed 's/    *\([^ ]\)/\n\1/'
}

# plain replaces what differs from run to run.
plain () {
	sed -e 's/[0-9a-f]\{40\}/ID/' -e 's/[0-9a-f]\{5\}-[0-9]\{3\}-[0-9]\{4\}/CODE/' -e 's/^= [0-9]*/= N/' | sort -u
}

test_expect_success 'what README shows of a session is what the programs print' '
	shown >lines && grep -v "^alice\$ \|^bob\$ \|^code from alice: " lines >printed &&
	test "$(wc -l <printed)" -gt 8 &&
	plain <printed >expect && plain <out >actual &&
	comm -23 expect actual >missing && test_must_be_empty missing
'

test_expect_success 'pairs are joined across switchboards, and at one while NATS is away' '
	"$SHARNESS_TEST_SRCDIR/cluster-demo.sh" >out 2>err &&
	test "$(grep -c "^soup, says who waits at node" out)" = 3 &&
	test "$(grep -c "^(on the first one.s screen) cake, says who comes to node" out)" = 3 &&
	grep "^ferry, says b at node 3" out && grep "^(on b.s screen) train, says a at node 2" out &&
	grep "can.t be asked just now; try again" err
'

test_done
