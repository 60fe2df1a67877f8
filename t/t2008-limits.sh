#!/bin/sh

test_description='what the user sets for the packs of a peer: limits, and how severe the checks are'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

bob_here () {
	echo "cd '$SHARNESS_TRASH_DIRECTORY/bob/repo' && HOME='$SHARNESS_TRASH_DIRECTORY/bob' TRUST=$(fingerprint alice) git aig-sync -"
}

# Alice's store is as it was.
unchanged () {
	objects alice >now && test_cmp alice.had now &&
	nothing_left alice
}

# alice_has <configuration variable> <value>: sets it for what follows.
alice_has () {
	as alice git config "$1" "$2"
}

alice_has_not () {
	as alice git config --unset-all "$1"
}

test_expect_success 'Alice, and Bob, who has an object that takes a lot of memory' '
	person alice && person bob && commit alice "of Alice" && commit bob "of Bob" &&
	head -c 100000000 /dev/zero >zeros && as bob git hash-object -w "$PWD/zeros" &&
	objects alice >alice.had
'

test_expect_success 'aig.maxMemory' '
	test_when_finished "alice_has_not aig.maxMemory" &&
	alice_has aig.maxMemory 64m &&
	sync_as alice bob "$(bob_here)" &&
	if test "$(uname)" = Linux
	then
		sync_fails "aig.maxMemory allows, which is 64.00 MiB" &&
		grep "^transport: .*the peer gave up: .*aig.maxMemory" alice.err &&
		unchanged
	fi
'

test_expect_success 'aig.maxMemory where git fetches' '
	test_when_finished "alice_has_not aig.maxMemory" &&
	alice_has aig.maxMemory 64m &&
	if test "$(uname)" = Linux
	then
		TRUST=$(fingerprint bob) && export TRUST &&
		test_must_fail as alice git fetch "aig::$(bob_here)" 2>alice.err &&
		grep "aig.maxMemory allows, which is 64.00 MiB" alice.err &&
		unchanged
	fi
'

test_expect_success 'aig.maxInputSize' '
	test_when_finished "alice_has_not aig.maxInputSize" &&
	alice_has aig.maxInputSize 1k &&
	sync_as alice bob "$(bob_here)" &&
	sync_fails "exceed aig.maxInputSize, which is 1.00 KiB" &&
	unchanged
'

test_expect_success 'invalid values' '
	for setting in "aig.maxMemory -1" "aig.maxInputSize much" "fetch.fsck.badDate never"
	do
		alice_has ${setting% *} "${setting#* }" &&
		sync_as alice bob "$(bob_here)" &&
		sync_fails "$(echo "${setting% *}" | tr "[:upper:]" "[:lower:]")" ||
		sync_fails "${setting% *}" || return 1
		alice_has_not ${setting% *}
	done
'

test_expect_success 'without limits all of it comes in' '
	sync_as alice bob "$(bob_here)" &&
	tail -n 1 alice.out >alice.end && echo . >expect && test_cmp expect alice.end &&
	same_stores
'

test_expect_success 'Alice takes a bad tree from Bob only after demoting the message, with git 2.44 or later' '
	objects alice >alice.had &&
	printf "100644 blob %s\t.git\n" "$(as bob git rev-parse HEAD:r)" >tree &&
	as bob git mktree <tree >bad &&
	sync_as alice bob "$(bob_here)" &&
	sync_fails "were refused here" && grep "^warning: .*hasDotgit" alice.err &&
	unchanged &&
	test_when_finished "alice_has_not fetch.fsck.hasDotgit" &&
	alice_has fetch.fsck.hasDotgit warn &&
	sync_as alice bob "$(bob_here)" &&
	if grep "^warning: fetch.fsck.*git 2.44" alice.err
	then
		sync_fails "were refused here" && grep "^warning: .*hasDotgit.*git 2.44" alice.err && unchanged
	else
		tail -n 1 alice.out >alice.end && echo . >expect && test_cmp expect alice.end &&
		as alice git cat-file -e "$(cat bad)"
	fi
'

test_done
