#!/bin/sh

test_description='what every git command has: a dry run, a verbose one, traces, a usage that fits a screen'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

test_expect_success 'Alice and Bob have a commit each' '
	person alice && person bob && commit alice "of Alice" && commit bob "of Bob" && commit bob "of Bob again" &&
	cat >near <<-EOF
	cd "$PWD/bob/repo" && HOME="$PWD/bob" AIG_TRUST=$(fingerprint alice) exec git aig-sync "\$@" -
	EOF
'

alice_runs () { # [<option>...]
	(cd alice/repo && HOME=$SHARNESS_TRASH_DIRECTORY/alice AIG_TRUST=$(fingerprint bob) git aig-sync "$@") >alice.out 2>alice.err
}

test_expect_success 'a dry run says how much would move, moves nothing, and makes no promise; the peer knows why it failed' '
	outside alice >before && as alice git count-objects -v >>before && as bob git count-objects -v >>before &&
	alice_runs -n "sh ../../near" && outside alice >after && as alice git count-objects -v >>after && as bob git count-objects -v >>after &&
	test_cmp before after && printf "= 0\n> 3\n< 6\n" >expect && test_cmp expect alice.out &&
	grep -x "a dry run: nothing has moved" alice.err &&
	grep "^transport: \"fatal: the peer gave up: .*it was a dry run (--dry-run), in which nothing moves" alice.err
'

test_expect_success 'if only what is reachable is given, only that counts; both sides may do a dry run' '
	lost=$(echo lost | as alice git hash-object -w --stdin) && test -n "$lost" &&
	alice_runs --dry-run --give=reachable "sh ../../near --dry-run" && printf "= 0\n> 3\n< 6\n" >expect && test_cmp expect alice.out
'

test_expect_success 'GIT_TRACE has every step and every child' '
	trace=$PWD/trace && GIT_TRACE=$trace alice_runs -v "sh ../../near" && tail -n 1 alice.out | grep -x "\." &&
	grep "^[0-9:.]* sync.go:[0-9]* *trace: listing our objects\|^[0-9:.]* [a-z]*.go:[0-9]* *trace: waiting for the peer.s hello" trace &&
	grep "trace: run_command: \[\"git\" \"index-pack\" " trace && grep "trace: built-in: git index-pack" trace &&
	grep "trace: run_command: \[\"sh\" \"-c\" \"sh ../../near\"\]" trace
'

test_expect_success '-v names the steps on standard error' '
	grep -x "waiting for the peer to come" alice.err && grep -x "checking what has arrived" alice.err && grep -x "packing our objects" alice.err
'

test_expect_success 'GIT_TRACE2_EVENT has events in the form of git, children below their parent' '
	commit bob "one more" && GIT_TRACE2_EVENT=$PWD/events alice_runs "sh ../../near" &&
	grep "\"exe\":\"git-aig-sync\"" events | head -n 1 >ours && sid=$(sed "s/.*\"sid\":\"\([^\"]*\)\".*/\1/" ours) && test -n "$sid" &&
	for event in version start cmd_name child_start child_exit region_enter region_leave exit atexit
	do
		grep -F "\"sid\":\"$sid\"" events | grep "\"event\":\"$event\"" >found || return 1
	done &&
	grep "\"code\":0" found && grep -F "\"sid\":\"$sid/" events | grep "\"event\":\"cmd_name\".*\"name\":\"index-pack\"" &&
	test "$(grep -cF "\"sid\":\"$sid\"" events)" -eq "$(grep -F "\"sid\":\"$sid\"" events | grep -c "^{.*}\$")"
'

test_expect_success 'the usage fits a screen of 24 lines and 80 columns, and help has a line for each option' '
	git aig-sync -h >usage && test "$(wc -l <usage)" -le 24 && test_must_fail grep "^.\{81\}" usage &&
	git aig-sync help >help && grep "^    -n, --dry-run  " help && grep "^    --trust <key> " help
'

test_done
