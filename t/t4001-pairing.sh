#!/bin/sh

test_description='two people pair by a code once, and meet by a name from then on'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

# Runs a command as that person, and keeps what it says and its status.
keep () { # <person> <command>...
	keep_name=$1
	as "$@" >"$keep_name.out" 2>"$keep_name.err"
	echo $? >"$keep_name.status"
}

# The same in the background, until `wait $later`.
later () {
	keep "$@" &
	later=$!
}

statuses () { # <alice's> <bob's>
	if test "$(cat alice.status bob.status | tr '\n' ' ')" != "$1 $2 "; then
		tail -n +1 alice.err bob.err
		return 1
	fi
}

# Alice invites, with more arguments before the name.
invite () {
	rm -f alice.err
	keep alice git aig-sync invite "$@" &
	invited=$!
	sb_wait_for '^tell .* this code: ' alice.err && sed -n 's/^tell .* this code: //p' alice.err >code
}

# Bob accepts with the code in the file code, and both end.
accept () {
	keep bob git aig-sync accept "$@" <code && wait "$invited"
}

pair () { # <option>...
	invite "$@" bob "$(sb_command)" && accept "$@" alice "$(sb_command)" && statuses 0 0
}

# A day later: each names the other.
meet () {
	keep alice git aig-sync "$@" bob &
	meet_alice=$!
	keep bob git aig-sync "$@" alice
	wait "$meet_alice"
	statuses 0 0 && tail -n 1 alice.out | grep -x "\." && tail -n 1 bob.out | grep -x "\."
}

forget () {
	as alice git remote remove bob && as bob git remote remove alice
}

# A transport that says when it has asked for its meeting.
speaking () {
	sb_command | sed "s/^ssh/& -v/"
}

waits () { # <file>: until the side that logs there has asked
	sb_wait_for "Sending command: meet" "$1"
}

test_expect_success 'Alice, Bob and a switchboard' '
	start_switchboard && person alice && person bob &&
	as alice git config user.name "Alice \"A\"" && commit alice "of Alice" && commit bob "of Bob" &&
	as alice git branch -m main && as bob git branch -m main
'

test_expect_success 'a code pairs them, and they synchronise at once' '
	outside alice | grep -v "  ./config$" >alice.before && pair -v &&
	same_stores && tail -n 1 alice.out | grep -x "\." && tail -n 1 bob.out | grep -x "\." &&
	grep -x "[0-9a-f]\{5,\}-[0-9]\{3\}-[0-9]\{4\}" code &&
	grep -x "waiting for bob …" alice.err && grep -x "SSH handshake with the peer" alice.err &&
	grep -F "paired with bob ($(fingerprint bob)): from now on, git aig-sync bob" alice.err &&
	grep -F "paired with alice ($(fingerprint alice), \"Alice \\\"A\\\"\"): from now on, git aig-sync alice" bob.err &&
	outside alice | grep -v "  ./config$" >alice.after && test_cmp alice.before alice.after
'

test_expect_success 'each has a remote, and nothing else in the configuration' '
	echo "aig::$(sb_command) meet \$AIG_MEET" >expect &&
	as alice git config remote.bob.url >actual && test_cmp expect actual &&
	fingerprint bob >expect && as alice git config remote.bob.aigTrust >actual && test_cmp expect actual &&
	as alice git config remote.bob.fetch >>fetch && echo "+refs/heads/*:refs/remotes/bob/*" >expect && test_cmp expect fetch &&
	as alice git config remote.bob.skipFetchAll && as alice git config remote.bob.aigSecret | grep -x "a:[0-9a-f]\{64\}" >a &&
	as bob git config remote.alice.aigSecret | grep -x "b:[0-9a-f]\{64\}" >b && cut -c 2- a >a1 && cut -c 2- b >b1 && test_cmp a1 b1 &&
	test "$(as alice git config --get-regexp "^remote\\.bob\\." | wc -l)" = 5 &&
	test_must_fail as alice git config --get-regexp "^aig" &&
	as alice git aig-sync --peers >peers && printf "bob  %s  %s\n" "$(fingerprint bob)" "$(sb_command)" >expect && test_cmp expect peers
'

test_expect_success 'the next day a name is enough, in any order and at once' '
	commit alice "next day" && commit bob "next day" && meet && same_stores &&
	as alice git config remote.bob.url "aig::$(speaking) meet \$AIG_MEET" && as bob git config remote.alice.url "aig::$(speaking) meet \$AIG_MEET" &&
	for first in alice bob; do
		commit alice "news" && commit bob "news" && other=bob && { test $first = alice || other=alice; } && rm $first.err || return 1
		later $first git aig-sync $other
		waits $first.err && keep $other git aig-sync $first && wait $later && statuses 0 0 && same_stores || return 1
	done
'

test_expect_success 'git fetches from and pulls from a paired remote, while the other one syncs' '
	commit bob "to fetch" && later bob git aig-sync alice &&
	keep alice git fetch bob && wait $later && statuses 0 0 &&
	as bob git rev-parse main >expect && as alice git rev-parse bob/main >actual && test_cmp expect actual &&
	as alice git reset -q --hard bob/main && commit bob "to pull" && as bob git rev-parse main >expect &&
	later bob git aig-sync alice &&
	keep alice git pull -q --ff-only bob main && wait $later && statuses 0 0 &&
	as alice git rev-parse main >actual && test_cmp expect actual
'

# The one that sleeps, the last of the two, hears why when it goes on. The killed one can't.
test_expect_success 'a side that was killed or sleeps while it waits is replaced by its own newer session' '
	for signal in KILL STOP; do
		rm -f old.err &&
		{ as alice sh -c "echo \$\$ >../pid && exec git-aig-sync bob" >old.out 2>old.err & } && old=$! && waits old.err &&
		kill -$signal "$(cat alice/pid)" && commit bob "$signal" && rm alice.err && later alice git aig-sync bob && waits alice.err &&
		keep bob git aig-sync alice && wait $later && statuses 0 0 && same_stores || return 1
		kill -CONT "$(cat alice/pid)" 2>/dev/null
		wait $old || :
	done &&
	grep "has taken your place" old.err && tail -n 1 old.err | grep "^fatal: "
'

test_expect_success 'an existing remote is left alone, or replaced when asked' '
	as alice git config --list --local >before &&
	keep alice git aig-sync invite bob "$(sb_command)" && echo 128 >expect && test_cmp expect alice.status &&
	grep "^fatal: there is a remote \"bob\" already: --replace" alice.err && as alice git config --list --local >after && test_cmp before after &&
	as alice git config remote.bob.pushurl elsewhere && pair --replace && test_must_fail as alice git config remote.bob.pushurl &&
	test_must_fail as alice git config --get-regexp "^aig-replaced" && meet
'

test_expect_success 'a remote in another configuration, or left by a cut pairing, is reported before a code is made' '
	mv bob/repo bob/paired && git init -q bob/repo && as bob git config --global remote.alice.url old &&
	keep bob git aig-sync invite --replace alice "$(sb_command)" && echo 128 >expect && test_cmp expect bob.status &&
	grep "^fatal: the remote \"alice\" is set in another configuration file" bob.err &&
	as bob git config --global --remove-section remote.alice && as bob git config aig-replaced.alice.url older &&
	keep bob git aig-sync invite --replace alice "$(sb_command)" && test_cmp expect bob.status &&
	grep "^fatal: a pairing that was cut off has left" bob.err && rm -rf bob/repo && mv bob/paired bob/repo
'

test_expect_success 'a renamed remote still meets; a removed one is forgotten' '
	as alice git remote rename bob robert && later alice git aig-sync robert &&
	keep bob git aig-sync alice && wait $later && statuses 0 0 &&
	as alice git remote remove robert && test_must_fail as alice git config --get-regexp "^remote" &&
	as bob git remote remove alice && as bob git aig-sync --peers >peers && test_must_be_empty peers
'

test_expect_success 'a wrong secret ends both, and nothing is kept' '
	invite bob "$(sb_command)" && slip=$(cut -d - -f 2 code) && token=$(cut -d - -f 1 code) &&
	{ test $slip != 572 || slip=573; } && AIG_CODE=$token-572-0000 && digit=0 && export AIG_CODE &&
	until keep bob git aig-sync accept alice "$(sb_command)" && ! grep "has a typo" bob.err; do
		digit=$((digit + 1)) && AIG_CODE=$token-572-000$digit && test $digit -lt 10 || return 1
	done &&
	unset AIG_CODE && wait "$invited" && statuses 128 128 && grep "^fatal: the two codes differ" alice.err && grep "^fatal: the two codes differ" bob.err &&
	test_must_fail as alice git config --get-regexp "^remote" && test_must_fail as bob git config --get-regexp "^remote"
'

test_expect_success 'a slip of the tongue is found before the token is spent' '
	invite bob "$(sb_command)" && sed "s/.\$//" code >cut && last=$(sed "s/.*\(.\)/\1/" code) &&
	echo "$(cat cut)$(((last + 1) % 10))" >wrong && keep bob git aig-sync accept alice "$(sb_command)" <wrong &&
	echo 128 >expect && test_cmp expect bob.status && grep "has a typo in its last seven digits" bob.err &&
	accept alice "$(sb_command)" && statuses 0 0 && forget
'

test_expect_success 'a code works once' '
	pair --no-sync && test_must_be_empty alice.out && test_must_be_empty bob.out && forget &&
	keep bob git aig-sync accept alice "$(sb_command)" <code && echo 128 >expect && test_cmp expect bob.status &&
	test_must_fail as bob git config --get-regexp "^remote" && test_must_fail as alice git config --get-regexp "^remote"
'

test_expect_success 'if one side cannot write, the other has nothing either' '
	invite bob "$(sb_command)" && : >alice/repo/.git/config.lock && accept alice "$(sb_command)" && rm alice/repo/.git/config.lock &&
	statuses 128 128 && grep "^fatal: writing the remote" alice.err && grep "^fatal: the peer gave up" bob.err &&
	test_must_fail as alice git config --get-regexp "^remote" && test_must_fail as bob git config --get-regexp "^remote"
'

test_expect_success 'any pipe will do, with the secret alone for a code' '
	mkfifo there back &&
	invite --code bob "cat '\''$PWD/back'\'' & exec cat >'\''$PWD/there'\''" && grep -x "[0-9]\{3\}-[0-9]\{4\}" code &&
	accept --code alice "cat '\''$PWD/there'\'' & exec cat >'\''$PWD/back'\''" && statuses 0 0 && same_stores &&
	echo "aig::cat '\''$PWD/there'\'' & exec cat >'\''$PWD/back'\''" >expect && as bob git config remote.alice.url >actual && test_cmp expect actual &&
	commit alice "over a pipe" && meet && same_stores && forget
'

test_expect_success 'two who both invite are told so' '
	invite --code bob "cat '\''$PWD/back'\'' & exec cat >'\''$PWD/there'\''" &&
	keep bob git aig-sync invite --code alice "cat '\''$PWD/there'\'' & exec cat >'\''$PWD/back'\''" && wait "$invited" && statuses 128 128 &&
	cat alice.err bob.err | grep "^fatal: both sides invite: one of you has to accept"
'

test_expect_success 'the expression may say where the request goes; aig.switchboard saves typing it' '
	as alice git config aig.switchboard "$(sb_command) \$AIG_REQUEST" && as bob git config aig.switchboard "$(sb_command) \"\$AIG_REQUEST\"" &&
	invite bob && accept alice && statuses 0 0 && meet && forget &&
	as alice git config --unset aig.switchboard && keep alice git aig-sync invite bob && echo 128 >expect && test_cmp expect alice.status &&
	grep "^fatal: there is no transport" alice.err && as bob git config --unset aig.switchboard
'

test_expect_success 'a name is what git lets a remote have' '
	for name in "b.o/b" "böb" "B\"o\"b;x\$(y)" "a b" "-b" "b..b" ""; do
		if git check-ref-format "refs/remotes/$name/test" && test "$name" != -b; then
			invite --no-sync "$name" "$(sb_command)" && accept --no-sync alice "$(sb_command)" && statuses 0 0 &&
			fingerprint bob >expect && as alice git config "remote.$name.aigTrust" >actual && test_cmp expect actual &&
			later alice git aig-sync "$name" && keep bob git aig-sync alice && wait $later && statuses 0 0 &&
			as alice git remote remove "$name" && as bob git remote remove alice || return 1
		else
			keep alice git aig-sync invite -- "$name" "$(sb_command)" && echo 128 >expect && test_cmp expect alice.status || return 1
		fi
	done
'

test_expect_success 'one pair for all of the repositories; other contexts do not meet' '
	pair --global && as alice git config --global remote.bob.url && test_must_fail as alice git config --local remote.bob.url &&
	for name in alice bob; do
		git init -q $name/other && git -C $name/other config aig.context other &&
		git -C $name/other commit -q --allow-empty -m "other of $name" || return 1
	done &&
	{ as alice git aig-sync bob >one.out 2>one.err & } && one=$! &&
	{ as alice git -C ../other aig-sync bob >two.out 2>two.err & } && two=$! &&
	as bob git -C ../other aig-sync alice >bob.out 2>bob.err && wait $two && kill -0 $one &&
	as bob git aig-sync alice && wait $one && tail -n 1 one.out | grep -x "\." && tail -n 1 two.out | grep -x "\." &&
	test "$(git -C alice/other rev-list --all --count)" = 1 && git -C alice/other cat-file -e "$(git -C bob/other rev-parse HEAD)" &&
	as alice git config --global --remove-section remote.bob && as bob git config --global --remove-section remote.alice
'

test_expect_success 'in a worktree, and with SHA-256' '
	as alice git worktree add -q ../tree && rm alice.err &&
	{ keep alice git -C ../tree aig-sync invite --no-sync bob "$(sb_command)" & } && invited=$! &&
	sb_wait_for "^tell bob this code: " alice.err && sed -n "s/^tell bob this code: //p" alice.err >code &&
	accept --no-sync alice "$(sb_command)" && statuses 0 0 && meet && forget &&
	for name in alice bob; do
		mv $name/repo $name/sha1 && git init -q --object-format=sha256 $name/repo && commit $name "long names" || return 1
	done &&
	pair && grep "^[<>] obj:sha256:" alice.out && meet && same_stores && forget
'

test_expect_success 'nothing asks where nobody can answer' '
	keep bob setsid -w git aig-sync accept alice "$(sb_command)" </dev/null && echo 128 >expect && test_cmp expect bob.status &&
	tail -n 1 bob.err | grep "^fatal: there is no terminal to ask for the code on: set AIG_CODE"
'

# Types the code when the question has come, and stays until the pair is made.
types () {
	sb_wait_for "code from alice: " screen && cat code && sb_wait_for "paired with alice" screen
}

test_expect_success 'the code is asked for on the terminal' '
	: >screen && invite bob "$(sb_command)" &&
	as bob git config aig.switchboard "$(sb_command)" &&
	types | as bob script -qefc "git aig-sync accept alice" /dev/null >screen && wait "$invited" &&
	grep "code from alice: " screen && grep "paired with alice" screen && forget && as bob git config --unset aig.switchboard
'

test_expect_success 'usage' '
	for args in "invite" "invite --pull --push bob x" "invite a b c" "--replace x" "invite --trust SHA256:x bob x"; do
		as alice git aig-sync $args 2>err
		test $? = 129 || test "$args" = invite || return 1
	done &&
	test_must_fail as alice git aig-sync invite 2>err && grep "^fatal: invite takes a name" err &&
	as alice git aig-sync help invite >help && grep "git aig-sync invite" help
'

test_expect_success 'the switchboard ends well, and its log has no code, token or name' '
	stop_switchboard && ! grep -E "[0-9a-f]{32}|-[0-9]{3}-" "$SWITCHBOARD_LOG"
'

test_done
