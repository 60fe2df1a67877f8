#!/bin/sh

test_description='progress is for a person at a terminal, after a second, and never on a pipe'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

carriage_return=$(printf '\r')

test_expect_success 'Alice and Bob, near and far away' '
	person alice && person bob && commit alice "of Alice" && commit bob "of Bob" &&
	cat >near <<-EOF &&
	cd "$PWD/bob/repo" && HOME="$PWD/bob" TRUST=$(fingerprint alice) exec git aig-sync -q -
	EOF
	cat >far <<-EOF
	exec aig-test-pipe --delay 150ms "sh ../../near"
	EOF
'

test_expect_success 'nothing on a pipe' '
	sync_as alice bob --no-refs "sh ../../far" &&
	echo 0 >expect && test_cmp expect alice.status &&
	test_must_be_empty alice.err
'

test_expect_success '--progress shows it anyway, names what is waited for, and leaves no trace' '
	sync_as alice bob --no-refs --progress "sh ../../far" &&
	echo 0 >expect && test_cmp expect alice.status &&
	grep "${carriage_return}" alice.err && grep "waiting for " alice.err &&
	tr "\r" "\n" <alice.err | tail -n 1 | tr -d " \n" >last && test_must_be_empty last
'

test_expect_success 'on a terminal it needs no asking, and --no-progress and -q are obeyed' '
	for options in "" --no-progress -q
	do
		TERM=xterm HOME=$PWD/alice TRUST=$(fingerprint bob) script -qec \
			"cd alice/repo && git aig-sync $options \"sh ../../far\"" screen </dev/null >/dev/null &&
		if test -z "$options"
		then
			grep "waiting for " screen
		else
			test_must_fail grep "waiting for " screen
		fi || return 1
	done
'

test_expect_success 'a sync shorter than a second shows none' '
	began=$(date +%s%N) &&
	sync_as alice bob --no-refs --progress "sh ../../near" &&
	took=$((($(date +%s%N) - began) / 1000000)) &&
	{ test "$took" -ge 1000 || test_must_be_empty alice.err; }
'

test_done
