#!/bin/sh

test_description='uncommitted work travels, if asked, and stays as it is'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

# The working tree with everything in it, and everything under .git but the objects.
state () {
	(cd "$1/repo" && find . -path ./.git -prune -o -type f -exec sha256sum {} + -o -type l -print | sort -k 2) && outside "$1"
}

sync () {
	sync_local "$PWD/alice/repo" "$PWD/bob/repo" "$@" && tail -n 1 alice.out | grep -x "\."
}

test_expect_success 'Alice has changed, staged and new files; Bob has her last commit' '
	person alice && person bob && echo old >alice/repo/file && echo old >alice/repo/staged && echo ignored >alice/repo/.gitignore &&
	as alice git add . && as alice git commit -q -m "both have it" && sync && as bob git reset -q --hard "$(as alice git rev-parse HEAD)" &&
	echo staged >alice/repo/staged && as alice git add staged && echo changed >alice/repo/file && echo untracked >alice/repo/untracked &&
	echo secret >alice/repo/ignored
'

test_expect_success 'without --snapshot nothing travels that was never staged' '
	sync && as bob git cat-file -e "$(git hash-object alice/repo/staged)" &&
	for name in file untracked ignored; do
		test_expect_code 1 as bob git cat-file -e "$(git hash-object alice/repo/$name)" || return 1
	done
'

test_expect_success 'without it Bob hears that there is something, unless Alice uses --no-refs' '
	start_switchboard && sync_succeeds && grep -x "the peer has uncommitted changes in 3 files; ask for --snapshot" bob.err &&
	test_must_fail grep uncommitted alice.err && sync_succeeds --no-refs && test_must_fail grep uncommitted bob.err && stop_switchboard
'

test_expect_success 'with it Bob gets the work, described as such, and Alice keeps everything as it is' '
	state alice >before && state bob >bob.before && start_switchboard && sync_succeeds --snapshot && stop_switchboard &&
	state alice >after && test_cmp before after && test_must_fail grep "^snapshot\|has uncommitted" bob.err &&
	state bob >bob.after && test_cmp bob.before bob.after &&
	grep "^snapshot: your uncommitted work is in [0-9a-f]\{40\}$" alice.err && name=$(sed -n "s/^snapshot: .* //p" alice.err) &&
	grep "\"uncommitted work of A U Thor, on ma[a-z]*\", A U Thor, 20" bob.err && grep -x "    git stash apply $name" bob.err &&
	as bob git stash apply -q --index "$name" && as bob git status --porcelain >actual &&
	printf " M file\nM  staged\n?? untracked\n" >expect && test_cmp expect actual && test_cmp alice/repo/untracked bob/repo/untracked &&
	test ! -e bob/repo/ignored && same_stores
'

test_expect_success 'the same state gives the same commit, and no changes give none' '
	as bob git reset -q --hard && as bob git clean -qfd && sync --snapshot && grep "^snapshot: .* $name" alice.err && test_must_fail grep "^>" alice.out &&
	as alice git stash -q -u && sync && sync --snapshot && test_must_fail grep "^snapshot:" alice.err
'

test_expect_success 'by configuration, and where only what references reach is given' '
	echo newer >alice/repo/file && as alice git config aig.snapshot true && echo "never staged" >loose && as alice git hash-object -w ../../loose >lost &&
	sync --give=reachable && name=$(sed -n "s/^snapshot: .* //p" alice.err) && as bob git cat-file -e "$name:file" &&
	test_must_fail as bob git cat-file -e "$(cat lost)" &&
	echo newest >alice/repo/file && sync --no-snapshot && test_must_fail grep "^snapshot: " alice.err && as alice git config --unset aig.snapshot
'

test_expect_success 'nothing is written outside of the repositories: without a TMPDIR all goes well, and nothing is left' '
	echo "without TMPDIR" >alice/repo/file && commit bob "without TMPDIR" &&
	(TMPDIR=/nonexistent && export TMPDIR && sync --snapshot) &&
	name=$(sed -n "s/^snapshot: .* //p" alice.err) && as bob git cat-file -e "$name:file" &&
	same_stores && nothing_left alice && nothing_left bob
'

test_expect_success 'conflicts in the index are refused with a line' '
	as alice git reset -q --hard && as alice git checkout -q -b other && echo theirs >alice/repo/file && as alice git commit -q -a -m theirs &&
	as alice git checkout -q - && echo ours >alice/repo/file && as alice git commit -q -a -m ours && test_must_fail as alice git merge -q other &&
	state alice >before && test_must_fail sync --snapshot && state alice >after && test_cmp before after &&
	sync_fails "the index has conflicts"
'

test_done
