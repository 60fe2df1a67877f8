#!/bin/sh

test_description='two people synchronise through a switchboard, as they would'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

test_expect_success 'a switchboard, and Alice and Bob with a commit each' '
	start_switchboard &&
	person alice && person bob &&
	commit alice "random data of Alice" && commit bob "random data of Bob" &&
	objects alice >alice.had && objects bob >bob.had &&
	outside alice >alice.before && outside bob >bob.before
'

test_expect_success 'each sees the session' '
	sync_succeeds &&
	{
		echo "= 0" &&
		sed "s/^/> obj:sha1:/" alice.had &&
		sed "s/^/< obj:sha1:/" bob.had &&
		echo .
	} >expect &&
	test_cmp expect alice.out &&
	{
		echo "= 0" &&
		sed "s/^/> obj:sha1:/" bob.had &&
		sed "s/^/< obj:sha1:/" alice.had &&
		echo .
	} >expect &&
	test_cmp expect bob.out &&
	printf "%s\n" "transport: \"switched\\n\"" >expect &&
	head -n 1 bob.err >first && test_cmp expect first &&
	head -n 1 alice.err | grep "^transport: \"[0-9a-f]*.n\"$" &&
	test "$(grep -c "^transport: " alice.err bob.err | tr "\n" " ")" = "alice.err:1 bob.err:1 "
'

test_expect_success 'both stores hold the same, and nothing else has changed' '
	same_stores &&
	outside alice >after && test_cmp alice.before after &&
	outside bob >after && test_cmp bob.before after &&
	nothing_left alice && nothing_left bob
'

test_expect_success 'a second time, after one more commit, three objects move' '
	objects alice >had &&
	commit alice "random chance" &&
	objects alice >has &&
	sync_succeeds &&
	{
		echo "= 6" &&
		comm -13 had has | sed "s/^/> obj:sha1:/" &&
		echo .
	} >expect &&
	test_cmp expect alice.out &&
	sed "s/^>/</" expect >expect.bob &&
	test_cmp expect.bob bob.out &&
	same_stores
'

test_expect_success 'a third time there is nothing to do' '
	sync_succeeds &&
	printf "= 9\n.\n" >expect &&
	test_cmp expect alice.out && test_cmp expect bob.out
'

test_expect_success '--summary counts, -q says nothing' '
	commit alice "one more" && commit bob "and one here" &&
	sync_succeeds --summary &&
	printf "= 9\n> 3\n< 3\n.\n" >expect &&
	test_cmp expect alice.out && test_cmp expect bob.out &&
	commit alice "the last one" &&
	sync_succeeds -q &&
	test_must_be_empty alice.out && test_must_be_empty bob.out &&
	same_stores
'

test_expect_success 'git gc --prune=now drops everything that came in' '
	as alice git gc -q --prune=now &&
	objects alice >now &&
	as alice git rev-list --objects HEAD | cut -d " " -f 1 | sort >expect &&
	test_cmp expect now
'

test_expect_success 'the switchboard has seen no token and no byte in its log' '
	stop_switchboard &&
	token=$(sb_transport_token alice.err) &&
	test_must_fail grep -F "$token" "$SWITCHBOARD_LOG"
'

test_done
