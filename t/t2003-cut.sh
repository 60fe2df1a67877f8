#!/bin/sh

test_description='a pipe that is cut anywhere is a failure, harmless, and made good by running the command again'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

bob="cd '$SHARNESS_TRASH_DIRECTORY/bob/repo' && HOME='$SHARNESS_TRASH_DIRECTORY/bob' git aig-sync --summary -"

test_expect_success 'Alice and Bob, a megabyte each' '
	person alice && person bob &&
	TRUST_ALICE=$(fingerprint alice) &&
	for who in alice bob
	do
		for i in 1 2 3 4
		do
			head -c 250000 /dev/urandom >$who/repo/$i && as $who git add $i &&
			as $who git commit -q -m "$i of $who" || return 1
		done || return 1
	done &&
	cp -r alice alice.before && cp -r bob bob.before
'

# cut_and_mend <transport>: Alice fails, neither promises anything, both stores are sound and hold what they held, and perhaps
# objects that arrived complete; then the same again without the cut.

cut_and_mend () {
	rm -rf alice bob && cp -r alice.before alice && cp -r bob.before bob &&
	sync_as alice bob "$1" &&
	sync_fails "" &&
	test_must_fail grep "transport: \"\\.\\\\n\"" alice.err &&
	for who in alice bob
	do
		outside "$who" >after && outside_before "$who" >before && test_cmp before after &&
		git -C "$who.before/repo" cat-file --batch-all-objects --batch-check >had &&
		git -C "$who/repo" cat-file --batch-all-objects --batch-check >has &&
		comm -23 had has >lost && test_must_be_empty lost &&
		git -C "$who/repo" fsck --strict --no-dangling >said 2>&1 && test_must_be_empty said || return 1
		left_behind "$who" >left
		test_must_be_empty left || return 1
	done &&
	sync_as alice bob "TRUST=$TRUST_ALICE; export TRUST; $bob" &&
	tail -n 1 alice.out >last && echo . >expect && test_cmp expect last &&
	same_stores
}

outside_before () {
	mv "$1" aside && mv "$1.before" "$1" && outside "$1"
	outside_status=$?
	mv "$1" "$1.before" && mv aside "$1" && return "$outside_status"
}

# The preface has 20 bytes, the handshake some 3,000, the packs a megabyte.
for bytes in 0 7 20 900 2500 3400 20000 400000 1000000
do
	test_expect_success "cut after $bytes bytes from Bob" '
		cut_and_mend "aig-test-pipe --cut-from $bytes \"export TRUST=$TRUST_ALICE; $bob\""
	'
	test_expect_success "cut after $bytes bytes to Bob" '
		cut_and_mend "aig-test-pipe --cut-to $bytes \"export TRUST=$TRUST_ALICE; $bob\""
	'
done

# A large file travels in a pack of its own. What has come of it is kept for the next run.

test_expect_success 'Bob has a file of 40 million bytes' '
	rm -rf alice bob && cp -r alice.before alice && cp -r bob.before bob &&
	head -c 40000000 /dev/urandom >bob/repo/large && as bob git add large && as bob git commit -q -m large &&
	rm -rf bob.before && cp -r bob bob.before
'

# from_bob <option of the pipe>...: prints how many bytes came.
from_bob () {
	sync_as alice bob "aig-test-pipe --count \"$SHARNESS_TRASH_DIRECTORY/bytes\" $* \"export TRUST=$TRUST_ALICE; $bob\"" &&
	cut -d " " -f 2 bytes
}

test_expect_success 'cut at nine tenths, at most 12 % come the second time' '
	from_bob --cut-from 37000000 && sync_fails "" &&
	from_bob >came && cat came alice.err && test "$(cat alice.status)" = 0 &&
	test "$(cat came)" -le 4800000 &&
	same_stores && nothing_left alice
'

test_expect_success 'cut every 10 million bytes, it arrives' '
	rm -rf alice bob && cp -r alice.before alice && cp -r bob.before bob &&
	runs=0 && echo 128 >alice.status &&
	while test "$(cat alice.status)" != 0
	do
		runs=$((runs + 1)) && test "$runs" -le 6 && from_bob --cut-from 10000000 || return 1
	done &&
	same_stores && nothing_left alice
'

# Of many small objects in one pack, those that have arrived are taken in when the link breaks.

test_expect_success 'Bob has 4,000 files of 1,000 bytes' '
	rm -rf alice bob && cp -r alice.before alice && mv bob.before bob.large && person bob &&
	mkdir bob/repo/small && head -c 4000000 /dev/urandom | (cd bob/repo/small && split -a 4 -b 1000) &&
	as bob git add small && as bob git commit -q -m small && as bob git repack -a -d -q
'

test_expect_success 'cut at half, at most 54 % come the second time' '
	TRUST_ALICE=$(fingerprint alice) &&
	cp -r bob bob.small && from_bob >all && test "$(cat alice.status)" = 0 &&
	rm -rf alice bob && cp -r alice.before alice && cp -r bob.small bob &&
	from_bob --cut-from $(($(cat all) / 2)) && sync_fails "" &&
	git -C alice/repo fsck --no-dangling && nothing_left alice &&
	from_bob >came && test "$(cat alice.status)" = 0 && echo "$(cat came) of $(cat all)" &&
	test "$(cat came)" -le $(($(cat all) * 54 / 100)) &&
	same_stores && nothing_left alice
'

# A pack has the newest commits first. The same commits that nothing points to are reported, cut or not.

test_expect_success 'Bob has lost ten commits' '
	rm -rf alice bob alice.before bob.before && person alice && person bob && TRUST_ALICE=$(fingerprint alice) &&
	commit bob base && git -C alice/repo fetch -q --update-head-ok ../../bob/repo "refs/heads/*:refs/heads/*" &&
	for i in 1 2 3 4 5 6 7 8 9 10
	do
		head -c 20000 /dev/urandom >bob/repo/file && as bob git add file && as bob git commit -q -m "lost $i" || return 1
	done &&
	as bob git rev-parse HEAD >lost && as bob git reset -q --hard HEAD~10 && as bob git reflog expire --expire=all --all &&
	cp -r alice alice.before && cp -r bob bob.before
'

for part in 1 3 5 7 9
do
	test_expect_success "cut at $part tenths, the tip reported is the same" '
		rm -rf alice bob && cp -r alice.before alice && cp -r bob.before bob &&
		from_bob --cut-from $((part * 20000 + 4000)) && sync_fails "" && nothing_left alice &&
		sync_as alice bob --porcelain "TRUST=$TRUST_ALICE; export TRUST; $bob" && cat alice.out alice.err &&
		grep "^tip " alice.out >tips && echo "tip $(cat lost)" >expect && test_cmp expect tips &&
		same_stores && ls alice/repo/.git/objects/info >left && test_must_fail grep aig left
	'
done

test_expect_success 'a run that reports nothing about references forgets no tip' '
	rm -rf alice bob && cp -r alice.before alice && cp -r bob.before bob &&
	from_bob --cut-from 100000 && sync_fails "" && from_bob --cut-from 60000 && sync_fails "" &&
	sync_as alice bob --no-refs "TRUST=$TRUST_ALICE; export TRUST; $bob" && same_stores &&
	sync_as alice bob --porcelain "TRUST=$TRUST_ALICE; export TRUST; $bob" &&
	grep "^tip " alice.out >tips && echo "tip $(cat lost)" >expect && test_cmp expect tips &&
	sync_as alice bob --porcelain "TRUST=$TRUST_ALICE; export TRUST; $bob" && test_must_fail grep "^tip " alice.out
'

test_done
