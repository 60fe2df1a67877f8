#!/bin/sh

test_description='a context: a word that both sides give alike, so that a switchboard cannot cross two pairs of the same people'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

everybody='alice bob alice2 bob2'
crossed=

# Alice and Bob have two repositories each, and one key each: alice and alice2 are the same person.
test_expect_success 'Alice and Bob, both at home and at work, and a switchboard' '
	person alice && person bob && person alice2 && person bob2 &&
	cp alice/.ssh/* alice2/.ssh/ && cp bob/.ssh/* bob2/.ssh/ &&
	for who in $everybody
	do
		commit $who "a secret of $who" && as $who git branch "branch-of-$who" || return 1
	done &&
	for who in $everybody
	do
		cp -r $who $who.before || return 1
	done &&
	start_switchboard
'

# Every repository is as it was in the beginning.
untouched () {
	for who in $everybody
	do
		diff -r "$who.before/repo" "$who/repo" || return 1
	done
}

anew () {
	for who in $everybody
	do
		rm -rf "$who" && cp -r "$who.before" "$who" || return 1
	done
}

# four [<option for home> [<option for work>]]: both pairs at the same time, Alice first. The switchboard is hostile if
# $crossed is not empty: it gives whoever asks for the first token the second one, and the other way round.
four () {
	rm -f alice.err alice2.err
	sync_as alice bob ${1:+"$1"} "$(sb_command) new" &
	four_1=$!
	sync_as alice2 bob2 ${2:+"$2"} "$(sb_command) new" &
	four_2=$!
	token=$(sb_transport_token alice.err) && token2=$(sb_transport_token alice2.err) || return
	if test -n "$crossed"
	then
		four_token=$token token=$token2 token2=$four_token
	fi
	sync_as bob alice ${1:+"$1"} "$(sb_command) $token" &
	four_3=$!
	sync_as bob2 alice2 ${2:+"$2"} "$(sb_command) $token2" &
	wait "$four_1" && wait "$four_2" && wait "$four_3" && wait $!
}

statuses () {
	for who in $everybody
	do
		cat "$who.status"
	done | tr "\n" " "
}

test_expect_success 'crossed without contexts: everybody is the right person, and the objects of the wrong repository are taken' '
	crossed=1 && four && test "$(statuses)" = "0 0 0 0 " &&
	as alice git cat-file -e "$(as bob2 git rev-parse HEAD)" && as bob git cat-file -e "$(as alice2 git rev-parse HEAD)" &&
	test_must_fail as alice git cat-file -e "$(as bob git rev-parse HEAD)" &&
	anew
'

test_expect_success 'crossed with contexts: all four fail, name both words, and have learnt nothing' '
	crossed=1 && four --context=home --context=work && test "$(statuses)" = "128 128 128 128 " &&
	untouched &&
	for who in $everybody
	do
		test_must_be_empty $who.out && tail -n 1 $who.err >last &&
		grep "^fatal: .*different contexts" last && grep "\"home\"" last && grep "\"work\"" last &&
		test_must_fail grep "branch-of\|[0-9a-f]\{40\}" $who.err || return 1
	done
'

test_expect_success 'one of two pairs has a context: crossed, all four fail all the same' '
	crossed=1 && four --context=home && test "$(statuses)" = "128 128 128 128 " && untouched &&
	grep "^fatal: .*ours is \"home\" and the peer.s none" alice.err && grep "^fatal: .*ours is none and the peer.s \"home\"" bob2.err
'

test_expect_success 'not crossed: the same words do no harm' '
	crossed= && four --context=home --context=work && test "$(statuses)" = "0 0 0 0 " &&
	same_stores && objects alice2 >a && objects bob2 >b && test_cmp a b &&
	test_must_fail as alice git cat-file -e "$(as alice2 git rev-parse HEAD)" &&
	anew && stop_switchboard
'

# Where a word comes from. Bob runs with the assignment before his command.
meet () { # <assignment of Bob> <command of Alice>...
	bob="cd '$PWD/bob/repo' && HOME='$PWD/bob' TRUST=$(fingerprint alice) $1 git aig-sync -q -"
	shift
	TRUST=$(fingerprint bob) as alice "$@" "$bob" >alice.out 2>alice.err
}

differ () {
	test_expect_code 128 meet "$@" && grep "^fatal: .*different contexts" alice.err
}

test_expect_success 'an option beats the environment, which beats the configuration' '
	as alice git config aig.context config &&
	meet AIG_CONTEXT=config git aig-sync && differ AIG_CONTEXT=environment git aig-sync &&
	meet AIG_CONTEXT=environment env AIG_CONTEXT=environment git aig-sync &&
	differ AIG_CONTEXT=config env AIG_CONTEXT=environment git aig-sync &&
	meet AIG_CONTEXT=option env AIG_CONTEXT=environment git aig-sync --context option &&
	differ AIG_CONTEXT=environment env AIG_CONTEXT=environment git aig-sync --context option &&
	meet "" git -c aig.context= aig-sync && differ "" git aig-sync &&
	meet AIG_CONTEXT=config env AIG_CONTEXT= git aig-sync
'

test_expect_success 'any text without control characters is a word' '
	meet "AIG_CONTEXT=\"  two  words ☃ \"" git aig-sync --context "  two  words ☃ " &&
	differ "AIG_CONTEXT=\"two words ☃\"" git aig-sync --context "two  words ☃"
'

test_expect_success 'an invalid word is refused before anything starts' '
	long=$(printf "%0129d" 0) && tab=$(printf "a\tb") && bad=$(printf "a\377") &&
	for word in "" "$long" "$tab" "$bad"
	do
		test_expect_code 129 meet "" git aig-sync --context "$word" 2>&1 && grep "^error: --context: " alice.err &&
		if test -n "$word"
		then
			test_expect_code 128 as alice env AIG_CONTEXT="$word" TRUST="$(fingerprint bob)" git aig-sync "touch \"$PWD/was.run\"" 2>err &&
			grep "^fatal: our context " err && test ! -e was.run || return 1
		fi || return 1
	done
'

test_expect_success 'git fetch: the environment, the remote, the general configuration; references are not even listed' '
	bob="cd \"$PWD/bob/repo\" && HOME=\"$PWD/bob\" TRUST=$(fingerprint alice) AIG_CONTEXT=word git aig-sync -q -" &&
	as alice git remote add bob "aig::$bob" && as alice git config remote.bob.aigTrust "$(fingerprint bob)" &&
	test_expect_code 128 as alice git ls-remote bob >out 2>err && test_must_be_empty out &&
	grep "^fatal: .*ours is \"config\" and the peer.s \"word\"" err &&
	as alice git config remote.bob.aigContext word && as alice git fetch bob && as alice git aig-sync bob &&
	as alice git config remote.bob.aigContext "" && test_must_fail as alice git fetch bob 2>err &&
	grep "^fatal: .*ours is none and the peer.s \"word\"" err &&
	as alice git config --unset remote.bob.aigContext && as alice git config aig.context word && as alice git fetch bob &&
	as alice git config aig.context other && as alice env AIG_CONTEXT=word git fetch bob &&
	test_must_fail as alice git fetch bob
'

test_done
