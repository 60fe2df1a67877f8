#!/bin/sh

test_description='what docs/holiday.md shows is what happens; AIG_UPDATE=1 rewrites the page'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"
. "$SHARNESS_TEST_SRCDIR/holiday.sh"

test_expect_success 'Alice and Bob have a clone each, and have paired' '
	person alice && person bob && start_switchboard &&
	for who in alice bob; do
		Who=$(echo $who | sed "s/^a/A/; s/^b/B/") &&
		rm -rf $who/repo && { test $who = alice && git init -q -b main alice/repo || git clone -q alice/repo bob/repo; } &&
		as $who git config user.name $Who && as $who git config user.email $who@example.com || return 1
		test $who = bob || as alice git commit -q --allow-empty -m "A project" || return 1
	done &&
	unset GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL &&
	{ as alice git aig-sync invite --no-sync bob "$(sb_command)" >invited 2>&1 & } && invited=$! &&
	sb_wait_for "^tell bob" invited && code=$(sed -n "s/^tell bob this code: //p" invited) &&
	echo "$code" | as bob git aig-sync accept --no-sync alice "$(sb_command)" && wait $invited
'

test_expect_success 'every command of the page does what the page shows' '
	holiday_steps && test "$(cat steps)" -gt 20 && holiday_run &&
	if test -n "${AIG_UPDATE:-}"; then holiday_update && holiday_steps; fi &&
	n=0 && while test $n -lt "$(cat steps)"
	do
		n=$((n + 1)) && plain $n.shown >expect && plain $n.out >actual && test_cmp expect actual || return 1
	done
'

test_expect_success 'in the end both hold the same, and have the same main' '
	test "$(as alice git rev-parse main)" = "$(as bob git rev-parse main)" && same_stores && stop_switchboard
'

test_done
