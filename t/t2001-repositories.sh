#!/bin/sh

test_description='every shape of repository synchronises'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

# Prints the names of all objects in a store, those of its alternates included.
everything () {
	git -C "$1" cat-file --batch-all-objects --batch-check='%(objectname)'
}

becomes_equal () {
	everything "$1" >had.one && everything "$2" >had.two &&
	sort -u had.one had.two >union &&
	sync_local "$1" "$2" --summary &&
	everything "$1" >has.one && everything "$2" >has.two &&
	test_cmp union has.one && test_cmp union has.two &&
	printf "= %d\n> %d\n< %d\n.\n" "$(comm -12 had.one had.two | wc -l)" \
		"$(comm -23 had.one had.two | wc -l)" "$(comm -13 had.one had.two | wc -l)" >expect &&
	test_cmp expect alice.out
}

test_expect_success 'an origin, and a fresh Bob' '
	person alice && person bob &&
	git config --global uploadpack.allowFilter true &&
	for i in 1 2 3
	do
		commit alice "commit $i" || return 1
	done &&
	as alice git repack -adq &&
	as alice git tag -a -m annotated v1 &&
	origin=$SHARNESS_TRASH_DIRECTORY/alice/repo
'

bob_of () {
	rm -rf bob/repo && git init -q "$@" bob/repo && commit bob "of Bob alone"
}

test_expect_success 'bare' '
	bob_of && git clone -q --bare "$origin" bare.git &&
	becomes_equal "$PWD/bare.git" "$PWD/bob/repo"
'

test_expect_success 'worktree, from a directory inside it' '
	bob_of && as alice git worktree add -q "$PWD/tree" && mkdir -p tree/sub &&
	becomes_equal "$PWD/tree/sub" "$PWD/bob/repo"
'

test_expect_success 'GIT_DIR set, relative; the other side finds its own repository' '
	bob_of && everything "$origin" >had.one &&
	(
		GIT_DIR=repo/.git && export GIT_DIR &&
		sync_local "$PWD/alice" "$PWD/bob/repo"
	) &&
	everything bob/repo >has.two && everything "$origin" >has.one && test_cmp has.one has.two
'

test_expect_success 'GIT_OBJECT_DIRECTORY and GIT_ALTERNATE_OBJECT_DIRECTORIES set' '
	bob_of && as alice git gc -q --prune=now && rm -rf elsewhere && mkdir elsewhere && git init -q other && (
		GIT_OBJECT_DIRECTORY=$PWD/elsewhere &&
		GIT_ALTERNATE_OBJECT_DIRECTORIES=$origin/.git/objects &&
		export GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES &&
		git -C other update-ref refs/heads/main "$(git -C "$origin" rev-parse HEAD)" &&
		git -C other update-ref refs/tags/v1 "$(git -C "$origin" rev-parse v1)" &&
		sync_local "$PWD/other" "$PWD/bob/repo" --summary
	) &&
	everything bob/repo >has.two && everything "$origin" >has.one && comm -23 has.one has.two >lacks &&
	test_must_be_empty lacks &&
	find elsewhere -name "*.idx" -o -path "elsewhere/??/*" >came && test -s came &&
	find other/.git/objects -type f >came && test_must_be_empty came
'

test_expect_success 'alternates, of whose objects we offer those that our references reach' '
	bob_of && as alice git gc -q --prune=now && git clone -q --shared "$origin" "a:b \"c" &&
	becomes_equal "$PWD/a:b \"c" "$PWD/bob/repo" &&
	bob_of && becomes_equal "$PWD/bob/repo" "$PWD/a:b \"c" &&
	secret=$(echo "nobody points to it" | git -C "$origin" hash-object -w --stdin) &&
	mine=$(echo "nor to it, in our own store" | git -C "a:b \"c" hash-object -w --stdin) &&
	bob_of && sync_local "$PWD/a:b \"c" "$PWD/bob/repo" --summary && tail -n 1 alice.out | grep -x "\." &&
	git -C bob/repo cat-file -e "$mine" && test_must_fail git -C bob/repo cat-file -e "$secret"
'

test_expect_success '--give=reachable and aig.give: neither stashes nor what is hidden, amended or staged' '
	bob_of && rm -rf tidy && git clone -q "$origin" tidy && (
		cd tidy &&
		echo staged >file.staged && git add file.staged && git rev-parse :file.staged >../lost &&
		git commit -q -m "to be amended" && git rev-parse HEAD >>../lost &&
		git reset -q --hard HEAD~1 && echo stashed >>stashed && git add stashed && git stash -q && git rev-parse stash >>../lost &&
		git update-ref refs/secret/a "$(git commit-tree -m hidden HEAD^{tree})" && git rev-parse refs/secret/a >>../lost &&
		git config transfer.hideRefs refs/secret && git commit -q --allow-empty -m kept && git rev-parse HEAD >../kept
	) &&
	for how in --give=reachable -c
	do
		bob_of && test "$how" != -c || { how=--summary && git -C tidy config aig.give reachable; } &&
		sync_local "$PWD/tidy" "$PWD/bob/repo" "$how" && tail -n 1 alice.out | grep -x "\." &&
		git -C bob/repo cat-file -e "$(cat kept)" && git -C bob/repo fsck --connectivity-only &&
		for name in $(cat lost)
		do
			test_must_fail git -C bob/repo cat-file -e "$name" || return 1
		done || return 1
	done &&
	everything bob/repo >had.two && sync_local "$PWD/tidy" "$PWD/bob/repo" --summary && sed -n "2,\$p" alice.out >moved &&
	printf "> 0\n< 0\n.\n" >expect && test_cmp expect moved &&
	sync_local "$PWD/tidy" "$PWD/bob/repo" --give=all && for name in $(cat lost)
	do
		git -C bob/repo cat-file -e "$name" || return 1
	done &&
	git -C tidy config aig.give some && test_must_fail sync_local "$PWD/tidy" "$PWD/bob/repo" && grep "aig.give: .some. is neither" alice.err
'

test_expect_success 'SHA-256' '
	bob_of --object-format=sha256 && rm -rf two && git init -q --object-format=sha256 two &&
	(cd two && echo content >file && git add file && git commit -q -m two) &&
	becomes_equal "$PWD/two" "$PWD/bob/repo" &&
	sync_local "$PWD/two" "$PWD/bob/repo" && commit bob "more" && sync_local "$PWD/two" "$PWD/bob/repo" &&
	grep "^< obj:sha256:[0-9a-f]\{64\}$" alice.out
'

test_expect_success 'shallow' '
	bob_of && git clone -q --depth=1 "file://$origin" shallow &&
	becomes_equal "$PWD/shallow" "$PWD/bob/repo" &&
	bob_of && becomes_equal "$PWD/bob/repo" "$PWD/shallow" &&
	git -C shallow fsck
'

test_expect_success 'a partial clone gives what it has, and fetches nothing' '
	bob_of && git clone -q --no-checkout --filter=blob:none "file://$origin" partial &&
	git -C partial config protocol.ext.allow always &&
	git -C partial config remote.origin.url "ext::touch $(echo "$PWD/was.run" | sed "s/ /% /g")" &&
	becomes_equal "$PWD/partial" "$PWD/bob/repo" &&
	bob_of && becomes_equal "$PWD/bob/repo" "$PWD/partial" &&
	test ! -e was.run
'

test_expect_success 'empty, both ways, and against empty' '
	bob_of && rm -rf empty && git init -q empty &&
	becomes_equal "$PWD/empty" "$PWD/bob/repo" &&
	rm -rf empty && git init -q empty &&
	becomes_equal "$PWD/bob/repo" "$PWD/empty" &&
	rm -rf empty bob/repo && git init -q empty && git init -q bob/repo &&
	becomes_equal "$PWD/bob/repo" "$PWD/empty"
'

test_expect_success 'dangling objects only' '
	bob_of && rm -rf dangling && git init -q dangling &&
	for i in 1 2 3 4 5
	do
		echo "nobody points to $i" | git -C dangling hash-object -w --stdin >>dangling.names || return 1
	done &&
	becomes_equal "$PWD/dangling" "$PWD/bob/repo" &&
	sort dangling.names >want && comm -23 want has.two >lacks && test_must_be_empty lacks
'

test_expect_success 'replace references change no object' '
	bob_of && git clone -q "$origin" replaced &&
	git -C replaced replace HEAD HEAD~1 &&
	becomes_equal "$PWD/replaced" "$PWD/bob/repo" &&
	git -C bob/repo fsck
'

test_expect_success 'a store of a shared repository stays the group'"'"'s' '
	bob_of --shared=group && rm -r bob/repo/.git/objects/pack &&
	becomes_equal "$origin" "$PWD/bob/repo" &&
	bob_of --shared=group && rm -r bob/repo/.git/objects/pack &&
	git -C bob/repo config fetch.unpackLimit 1 &&
	becomes_equal "$origin" "$PWD/bob/repo" && test -e bob/repo/.git/objects/pack &&
	find bob/repo/.git/objects -type f ! -perm -g=r >unreadable && test_must_be_empty unreadable &&
	find bob/repo/.git/objects -type d ! -perm -g=rwx >unwritable && test_must_be_empty unwritable
'

test_expect_success 'a corrupt object is left out and named, and the others arrive' '
	bob_of && rm -rf corrupt && git init -q corrupt &&
	for i in 1 2 3 4 5
	do
		echo "object $i" | git -C corrupt hash-object -w --stdin >>corrupt.names || return 1
	done &&
	bad=$(sed -n 3p corrupt.names) &&
	file=corrupt/.git/objects/$(echo $bad | cut -c 1,2)/$(echo $bad | cut -c 3-) &&
	chmod u+w $file && echo garbage >$file &&
	test_must_fail sync_local "$PWD/corrupt" "$PWD/bob/repo" --summary &&
	sync_fails "git fsck" &&
	grep "^warning: .*$bad" alice.err &&
	grep "^transport: \"fatal: .*git fsck" alice.err &&
	everything bob/repo >has.two &&
	sort corrupt.names | grep -v $bad | comm -23 - has.two >lacks && test_must_be_empty lacks &&
	printf "= 0\n> 4\n< 3\n" >expect && test_cmp expect alice.out &&
	git -C bob/repo fsck
'

test_expect_success 'a repository that belongs to somebody else: what git advises is passed on' '
	test_must_fail env GIT_TEST_ASSUME_DIFFERENT_OWNER=1 HOME="$PWD/alice" AIG_TRUST="$(fingerprint bob)" git -C alice/repo aig-sync false 2>err &&
	tail -n 1 err | grep "^fatal: .*dubious ownership.*; if you trust it: git config --global --add safe.directory .*/alice/repo"
'

test_done
