#!/bin/sh
# shellcheck disable=SC1091,SC2016,SC2034

test_description='two vanilla ssh clients at the switchboard'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"

test_expect_success 'it listens, and its log says where and with which key' '
	start_switchboard &&
	ssh-keygen -lf "$SHARNESS_TRASH_DIRECTORY/.switchboard/host key" >key &&
	grep -F "$SWITCHBOARD_FINGERPRINT" key
'

# Both ends say their end of file at different times, and both get exit 0.
test_expect_success 'two sides are joined, bytes and ends of file go both ways' '
	echo "from alice" >a.in && echo "from bob" >b.in || return 1
	{ sb_ssh new <a.in >a.out 2>a.err; echo $? >a.status; } &
	token=$(sb_token a.err) &&
	sb_ssh "$token" <b.in >b.out 2>b.err &&
	wait $! &&
	test_cmp a.in b.out && test_cmp b.in a.out &&
	echo "$token" >expect && test_cmp expect a.err &&
	echo switched >expect && test_cmp expect b.err &&
	echo 0 >expect && test_cmp expect a.status
'

test_expect_success 'SIGTERM ends it with status 0' '
	stop_switchboard
'

test_done
