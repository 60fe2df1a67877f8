#!/bin/sh

test_description='make demo, from beginning to end'

. /usr/share/sharness/sharness.sh

test_expect_success 'Alice and Bob pair, sync by name, and hold the same' '
	"$SHARNESS_TEST_SRCDIR/demo.sh" >out &&
	grep "^paired with bob " out && grep "^paired with alice " out &&
	test "$(grep -c "^\\.\$" out)" = 4 &&
	tail -n 1 out | grep "^# Both stores hold the same "
'

test_done
