#!/bin/sh

test_description='git fetches, clones, lists and pulls from a peer that runs git aig-sync'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

quote="'"
address="aig::sh '$PWD/peer'"

# peer_in <directory> [<option>...]: from now on the address leads to Bob in that directory, who trusts Alice. Each
# start of the transport adds a line to "starts"; what Bob says and reports is in bob.err, his exit status in bob.status.
peer_in () {
	peer_dir=$1
	shift
	cat >peer <<-EOF
		echo start >>'$PWD/starts'
		cd '$peer_dir' && HOME='$PWD/bob' TRUST=$(fingerprint alice) git aig-sync --summary $* - 2>'$PWD/bob.err'
		echo \$? >'$PWD/bob.status'
	EOF
	rm -f starts
}

# alice <command>...: Alice runs it in her repository.
alice () {
	rm -f bob.err bob.status
	as alice "$@" >alice.out 2>alice.err
	echo $? >alice.status
}

# alice_in <directory> <command>...: the same elsewhere.
alice_in () {
	rm -f bob.err bob.status
	(
		HOME=$PWD/alice && export HOME && cd "$1" && shift && "$@"
	) >alice.out 2>alice.err
	echo $? >alice.status
}

# failed <status> <text>: Alice's git ended with that status, and said the text.
failed () {
	echo "$1" >expect.status && test_cmp expect.status alice.status &&
	grep -F -e "$2" alice.err
}

# gave <n>: Bob's report says that he gave that many objects, got none, and that both hold what they should.
gave () {
	sb_wait_for . bob.status && echo 0 >expect.status && test_cmp expect.status bob.status &&
	grep -v "^= [0-9]*$" bob.err >bob.report
	printf "> %d\n< 0\n.\n" "$1" >expect.report && test_cmp expect.report bob.report
}

looked () {
	sb_wait_for . bob.status && echo 0 >expect.status && test_cmp expect.status bob.status &&
	printf "%s\n" "the peer has looked at our references and taken nothing" . >expect.report && test_cmp expect.report bob.err
}

# in_alice <git argument>..., in_bob <git argument>...: git, without that person's configuration.
in_alice () {
	git -C alice/repo "$@"
}

in_bob () {
	git -C bob/repo "$@"
}

fresh_alice () {
	rm -rf alice/repo && git init -q "$@" alice/repo
}

# remote_bob: makes the address a remote of Alice's, with trust of its own.
remote_bob () {
	in_alice remote add bob "$address" && in_alice config remote.bob.aigTrust "$(fingerprint bob)"
}

# git's notice about an unborn branch is no complaint.
sound () {
	git -C "$1" fsck --strict --no-dangling >fsck.out 2>&1 || {
		cat fsck.out
		return 1
	}
	grep -v "^notice: " fsck.out >complaints
	test_must_be_empty complaints && reread "$1"
}

# Everything of Alice's that neither we nor git write unless asked: all but objects and FETCH_HEAD.
kept () {
	outside alice | grep -v "\./FETCH_HEAD$"
}

test_expect_success 'Alice, who trusts Bob, and Bob with branches and tags' '
	person alice && person bob &&
	git config --file alice/.gitconfig aig.trust "$(fingerprint bob)" &&
	git config --file alice/.gitconfig protocol.aig.allow user &&
	git config --file alice/.gitconfig init.defaultBranch main &&
	git config --global init.defaultBranch main &&
	git config --global uploadpack.allowFilter true &&
	git config --file alice/.gitconfig advice.detachedHead false &&
	rm -rf bob/repo && git init -q bob/repo &&
	commit bob one && in_bob tag -a -m annotated v1 && commit bob two && in_bob tag light &&
	in_bob branch side HEAD^ &&
	peer_in "$PWD/bob/repo"
'

test_expect_success 'a fetch brings HEAD into FETCH_HEAD, and writes nothing else; the peer reads what it gave' '
	fresh_alice && commit alice "of Alice" &&
	kept >before && outside bob >bob.before && objects bob >bob.had &&
	alice git fetch "$address" && ok &&
	gave "$(wc -l <bob.had)" &&
	echo "$(in_bob rev-parse HEAD)		$address" >expect && test_cmp expect alice/repo/.git/FETCH_HEAD &&
	kept >after && test_cmp before after &&
	outside bob >bob.after && test_cmp bob.before bob.after &&
	objects bob >bob.has && test_cmp bob.had bob.has &&
	sound alice/repo
'

test_expect_success 'what is here already is not fetched again: the peer hears that nothing was taken' '
	alice git fetch "$address" && ok && looked
'

test_expect_success 'ls-remote inside and outside a repository lists what git itself lists, and takes nothing' '
	mkdir -p nowhere && git ls-remote --symref "$PWD/bob/repo" >expect &&
	kept >before && objects alice >alice.had && rm starts &&
	alice git ls-remote --symref "$address" && ok && test_cmp expect alice.out && looked &&
	test_must_be_empty alice.err &&
	alice_in nowhere git rev-parse --git-dir && failed 128 "not a git repository" &&
	alice_in nowhere git ls-remote --symref "$address" && ok && test_cmp expect alice.out && looked &&
	test "$(wc -l <starts)" = 2 &&
	kept >after && test_cmp before after && objects alice >alice.has && test_cmp alice.had alice.has
'

# refs_of <directory>: its references as a script sees them.
refs_of () {
	git -C "$1" for-each-ref --format="%(objectname) %(refname) %(symref)" &&
	git -C "$1" symbolic-ref HEAD
}

test_expect_success 'a clone is what git makes of the same repository by itself' '
	in_bob checkout -q side && git clone -q "file://$PWD/bob/repo" expected && rm starts &&
	alice_in "$PWD" git clone "$address" clone && ok && gave "$(wc -l <bob.had)" &&
	test "$(wc -l <starts)" = 1 &&
	refs_of expected >expect && refs_of clone >actual && test_cmp expect actual &&
	echo "$address" >expect && git -C clone config remote.origin.url >actual && test_cmp expect actual &&
	git -C clone status --porcelain >status && test_must_be_empty status && sound clone &&
	in_bob checkout -q main
'

test_expect_success 'clone --bare, --mirror, --branch, --single-branch and --no-checkout' '
	for options in --bare --mirror "--branch side" "--single-branch --no-tags" --no-checkout "--branch v1"
	do
		rm -rf expected clone &&
		git -c advice.detachedHead=false clone -q $options "file://$PWD/bob/repo" expected 2>expect.err &&
		alice_in "$PWD" git clone -q $options "$address" clone && ok && test_cmp expect.err alice.err &&
		git -C expected for-each-ref >expect && git -C clone for-each-ref >actual && test_cmp expect actual &&
		git -C expected rev-parse HEAD >expect && git -C clone rev-parse HEAD >actual && test_cmp expect actual || return 1
	done
'

test_expect_success 'a remote with its refspec: branches, tags, pruned ones, and one start of the transport a fetch' '
	fresh_alice && remote_bob && rm starts &&
	alice git fetch bob && ok && gave "$(wc -l <bob.had)" &&
	in_bob for-each-ref --format="%(objectname) %(refname:lstrip=2)" refs/heads >expect &&
	in_alice for-each-ref --format="%(objectname) %(refname:lstrip=3)" refs/remotes/bob >actual &&
	# git 2.48 and later keep the remote HEAD as well.
	grep -v " HEAD$" actual >branches && test_cmp expect branches &&
	rm -rf plain && git init -q plain && git -C plain remote add bob "file://$PWD/bob/repo" && git -C plain fetch -q bob &&
	git -C plain for-each-ref >expect && in_alice for-each-ref >actual && test_cmp expect actual &&
	in_alice for-each-ref refs/heads >heads && test_must_be_empty heads &&
	in_bob branch passing && alice git fetch bob && ok && looked && in_alice rev-parse bob/passing &&
	in_bob branch -D passing && alice git fetch --prune bob && ok && looked &&
	test_must_fail in_alice rev-parse -q --verify bob/passing &&
	test "$(wc -l <starts)" = 3
'

test_expect_success 'a refspec of the user, with and without force' '
	in_alice config remote.bob.fetch "refs/heads/side:refs/bob/side" &&
	alice git fetch bob && ok &&
	in_bob rev-parse side >expect && in_alice rev-parse refs/bob/side >actual && test_cmp expect actual &&
	in_bob checkout -q side && in_bob commit -q --amend -m "side, amended" && in_bob checkout -q main &&
	alice git fetch bob && failed 1 "(non-fast-forward)" &&
	in_alice rev-parse refs/bob/side >actual && test_cmp expect actual &&
	alice git fetch bob +side:refs/bob/side && ok &&
	in_bob rev-parse side >expect && in_alice rev-parse refs/bob/side >actual && test_cmp expect actual
'

test_expect_success 'fetch --dry-run writes no reference; -q says nothing; remote update works' '
	fresh_alice && remote_bob && kept >before &&
	alice git fetch --dry-run bob && ok && grep "new branch.*main" alice.err &&
	kept >after && test_cmp before after &&
	alice git fetch -q bob && ok && test_must_be_empty alice.err &&
	commit bob three && alice git remote update && ok && gave 3 &&
	in_bob rev-parse main >expect && in_alice rev-parse bob/main >actual && test_cmp expect actual
'

test_expect_success 'tags are followed in the same conversation, and not with --no-tags' '
	commit bob four && in_bob tag -a -m second v2 && commit bob five && rm starts &&
	alice git fetch --no-tags bob && ok && test_must_fail in_alice rev-parse -q --verify refs/tags/v2 &&
	test "$(wc -l <starts)" = 1 && rm starts &&
	alice git fetch bob && ok &&
	in_bob rev-parse refs/tags/v2 >expect && in_alice rev-parse refs/tags/v2 >actual && test_cmp expect actual &&
	test "$(wc -l <starts)" = 1 && sound alice/repo
'

test_expect_success 'git pull --ff-only takes a fast-forward' '
	in_alice checkout -q -b main bob/main && commit bob six &&
	alice git pull --ff-only bob main && ok && gave 3 &&
	in_bob rev-parse main >expect && in_alice rev-parse main >actual && test_cmp expect actual &&
	cmp alice/repo/r bob/repo/r
'

test_expect_success 'git pull --ff-only refuses a diverged branch, which stays where it is, and git pull merges it' '
	echo alice >alice/repo/of-alice && in_alice add of-alice && in_alice commit -q -m "of Alice" && commit bob seven &&
	in_alice rev-parse main >expect &&
	alice git pull --ff-only bob main && failed 128 "Not possible to fast-forward" && gave 3 &&
	in_alice rev-parse main >actual && test_cmp expect actual &&
	alice git pull --no-rebase --no-edit bob main && ok && looked &&
	in_alice rev-parse main^1 >actual && test_cmp expect actual &&
	in_alice rev-parse main^2 >actual && in_bob rev-parse main >expect && test_cmp expect actual
'

test_expect_success 'git pull overwrites no uncommitted change' '
	commit bob eight && echo edited >alice/repo/r && in_alice rev-parse main >expect &&
	alice git pull --no-rebase --no-edit bob main && test "$(cat alice.status)" != 0 && grep "would be overwritten" alice.err &&
	in_alice rev-parse main >actual && test_cmp expect actual && echo edited >expect && test_cmp expect alice/repo/r
'

test_expect_success 'an object by its name, which nothing points to any more' '
	fresh_alice && lost=$(in_bob commit-tree -m lost HEAD^{tree}) &&
	alice git fetch "$address" "$lost:refs/heads/found" && ok &&
	test "$(in_alice rev-parse found)" = "$lost" &&
	alice git fetch "$address" "1234567890123456789012345678901234567890" && test "$(cat alice.status)" != 0
'

test_expect_success 'SHA-256: ls-remote from anywhere, clone, fetch, pull' '
	git init -q --object-format=sha256 bob/wide && peer_in "$PWD/bob/wide" &&
	for i in 1 2
	do
		echo $i >bob/wide/file && git -C bob/wide add file && git -C bob/wide commit -q -m $i &&
		git -C bob/wide tag -a -m $i v$i || return 1
	done &&
	git ls-remote "$PWD/bob/wide" >expect &&
	fresh_alice && alice git ls-remote "$address" && ok && test_cmp expect alice.out &&
	alice_in nowhere git ls-remote "$address" && ok && test_cmp expect alice.out && looked &&
	rm -rf clone && alice_in "$PWD" git clone -q -c remote.origin.aigTrust="$(fingerprint bob)" "$address" clone && ok &&
	test_must_be_empty alice.err && gave 8 &&
	echo sha256 >expect && git -C clone rev-parse --show-object-format >actual && test_cmp expect actual &&
	git -C clone ls-remote . "refs/tags/*" >actual && git ls-remote "$PWD/bob/wide" "refs/tags/*" >expect && test_cmp expect actual &&
	echo 3 >bob/wide/file && git -C bob/wide commit -q -a -m 3 &&
	alice_in clone git pull -q --ff-only && ok && gave 3 &&
	git -C bob/wide rev-parse HEAD >expect && git -C clone rev-parse HEAD >actual && test_cmp expect actual && sound clone
'

test_expect_success 'a fetch into a repository of the other object format fails, and says so' '
	kept >before && alice git fetch "$address" && failed 128 sha256 &&
	kept >after && test_cmp before after
'

test_expect_success 'a worktree fetches, and FETCH_HEAD is its own; a worktree is a peer' '
	fresh_alice && commit alice base && in_alice worktree add -q ../tree && peer_in "$PWD/bob/repo" &&
	mkdir alice/tree/sub && alice_in alice/tree/sub git fetch "$address" side && ok &&
	in_bob rev-parse side >expect && git -C alice/tree rev-parse FETCH_HEAD >actual && test_cmp expect actual &&
	test ! -e alice/repo/.git/FETCH_HEAD &&
	in_bob worktree add -q ../tree side && mkdir bob/tree/sub && peer_in "$PWD/bob/tree/sub" &&
	alice_in alice/tree git ls-remote --symref "$address" HEAD && ok &&
	printf "ref: refs/heads/side\tHEAD\n%s\tHEAD\n" "$(cat expect)" >expect && test_cmp expect alice.out &&
	in_bob worktree remove --force ../tree && peer_in "$PWD/bob/repo"
'

test_expect_success 'a relative GIT_DIR, with and without GIT_WORK_TREE, and a bare repository' '
	fresh_alice && in_bob rev-parse HEAD >expect &&
	alice_in alice env GIT_DIR=repo/.git git fetch "$address" && ok &&
	in_alice rev-parse FETCH_HEAD >actual && test_cmp expect actual && sound alice/repo &&
	fresh_alice && alice_in alice env GIT_DIR=repo/.git GIT_WORK_TREE=repo git pull "$address" main && ok &&
	in_alice rev-parse HEAD >actual && test_cmp expect actual && cmp alice/repo/r bob/repo/r &&
	git init -q --bare alice/bare.git && alice_in alice/bare.git git fetch "$address" main:main && ok &&
	git -C alice/bare.git rev-parse main >actual && test_cmp expect actual
'

test_expect_success 'a shallow peer: git refuses what it cannot connect, and takes it where the rest is here' '
	git clone -q --depth=1 "file://$PWD/bob/repo" shallow && peer_in "$PWD/shallow" &&
	fresh_alice && remote_bob && kept >before &&
	alice git fetch bob main && failed 1 "did not send all necessary objects" && gave 3 &&
	kept >after && test_cmp before after && test_must_be_empty alice/repo/.git/FETCH_HEAD &&
	in_alice fetch -q "$PWD/bob/repo" main && cp bob/repo/r shallow/s && git -C shallow add s && git -C shallow commit -q -m more &&
	alice git fetch bob main && ok && gave 2 &&
	git -C shallow rev-parse main >expect && in_alice rev-parse FETCH_HEAD >actual && test_cmp expect actual && sound alice/repo
'

test_expect_success 'a partial peer: the same, and nothing is fetched on its side' '
	git clone -q --no-checkout --filter=blob:none "file://$PWD/bob/repo" partial && peer_in "$PWD/partial" &&
	git -C partial config protocol.ext.allow always && git -C partial config remote.origin.url "ext::touch $(echo "$PWD/was.run" | sed "s/ /% /g")" &&
	fresh_alice && remote_bob && kept >before &&
	alice git fetch bob main && failed 1 "did not send all necessary objects" &&
	kept >after && test_cmp before after && test_must_be_empty alice/repo/.git/FETCH_HEAD &&
	rm -rf alice/repo && git clone -q "$PWD/bob/repo" alice/repo &&
	tip=$(git -C partial commit-tree -p main -m more main^{tree}) && git -C partial update-ref refs/heads/main $tip &&
	alice git fetch "$address" main && ok && gave 1 && test "$(in_alice rev-parse FETCH_HEAD)" = $tip && sound alice/repo &&
	test ! -e was.run
'

test_expect_success 'we are shallow, or partial: what comes is whole, and the boundary stays' '
	rm -rf shallow partial && git clone -q --depth=1 "file://$PWD/bob/repo" shallow &&
	git clone -q --no-checkout --filter=blob:none "file://$PWD/bob/repo" partial &&
	git -C partial config protocol.ext.allow always && git -C partial config remote.origin.url "ext::touch $(echo "$PWD/was.run" | sed "s/ /% /g")" &&
	commit bob "on top" && in_bob rev-parse main >expect && peer_in "$PWD/bob/repo" &&
	cp shallow/.git/shallow boundary &&
	for us in shallow partial
	do
		alice_in $us git fetch "$address" main && ok && test_must_fail grep error alice.err &&
		git -C $us rev-parse FETCH_HEAD >actual && test_cmp expect actual && sound $us || return 1
	done &&
	test_cmp boundary shallow/.git/shallow && test ! -e was.run
'

test_expect_success 'a peer without a commit: nothing listed, an empty clone, and no HEAD to fetch' '
	git init -q -b trunk bob/empty && peer_in "$PWD/bob/empty" && rm -rf clone &&
	alice git ls-remote "$address" && ok && test_must_be_empty alice.out && looked &&
	alice_in "$PWD" git clone "$address" clone && ok && grep "cloned an empty repository" alice.err && looked &&
	alice git fetch "$address" && failed 128 "remote ref HEAD" && looked
'

test_expect_success 'an unborn HEAD beside a branch of the peer, and an unborn HEAD of ours' '
	in_bob push -q "$PWD/bob/empty" main:refs/heads/other && fresh_alice &&
	alice git ls-remote "$address" && ok &&
	printf "%s\trefs/heads/other\n" "$(in_bob rev-parse main)" >expect && test_cmp expect alice.out &&
	alice git pull "$address" other && ok && in_bob rev-parse main >expect &&
	in_alice rev-parse HEAD >actual && test_cmp expect actual && cmp alice/repo/r bob/repo/r &&
	peer_in "$PWD/bob/repo"
'

test_expect_success 'what the peer hides is not listed, is no HEAD, and is not to be had by its name' '
	fresh_alice && remote_bob &&
	for hide in transfer.hideRefs uploadpack.hideRefs
	do
		in_bob config $hide refs/heads/side &&
		git ls-remote "$PWD/bob/repo" >expect && test_must_fail grep side expect &&
		alice git ls-remote bob && ok && test_cmp expect alice.out &&
		alice git fetch bob side && failed 128 "remote ref side" &&
		alice git fetch bob && ok && test_must_fail in_alice rev-parse -q --verify bob/side &&
		in_bob config $hide refs/heads/main &&
		alice git ls-remote --symref bob && ok && test_must_fail grep -e "refs/heads/main" alice.out &&
		in_bob config --unset $hide || return 1
	done
'

test_expect_success '--depth and its kin, and --filter, have no effect, and say so once' '
	for option in --depth=1 --shallow-since=2020-01-01 --shallow-exclude=v1 --filter=blob:none
	do
		fresh_alice && remote_bob && commit bob "more for $option" &&
		alice git fetch $option bob && ok && test "$(grep -c "no effect" alice.err)" = 1 &&
		in_bob rev-list --objects main | wc -l >expect && in_alice rev-list --objects bob/main | wc -l >actual &&
		test_cmp expect actual && test ! -e alice/repo/.git/shallow && sound alice/repo || return 1
	done &&
	rm -rf clone && alice_in "$PWD" git clone --depth 1 "$address" clone && ok &&
	test "$(grep -c "no effect" alice.err)" = 1 && test ! -e clone/.git/shallow &&
	fresh_alice && remote_bob &&
	alice git fetch bob && ok && test_must_fail grep "no effect" alice.err
'

test_expect_success 'a push of any kind fails with one line that says what to do instead, and nothing is opened for it' '
	in_alice branch mine bob/main && in_alice branch more bob/main && rm -f starts &&
	mkdir -p alice/repo/.git/hooks && printf "#!/bin/sh\ntouch \"%s\"\n" "$PWD/hooked" >alice/repo/.git/hooks/pre-push &&
	chmod +x alice/repo/.git/hooks/pre-push &&
	for how in "bob mine more" "--force bob mine more" "--atomic bob mine more" "--dry-run bob mine more" "--force-with-lease=mine: bob mine" \
		"--mirror bob" "--delete bob side" "bob :side" "bob :refs/heads/side" "--prune bob refs/heads/none*"
	do
		alice git push $how && failed 128 "aig cannot push: let the other side run git fetch" &&
		test "$(wc -l <alice.err)" = 1 && test ! -s alice.out || return 1
	done &&
	test ! -e starts && test ! -e hooked && rm alice/repo/.git/hooks/pre-push
'

test_expect_success 'the wrong key: the exit status is 128, and one line names the fingerprint' '
	person mallory && objects alice >alice.had &&
	in_alice config remote.bob.aigTrust "$(fingerprint mallory)" && kept >before && alice git fetch bob && failed 128 "$(fingerprint bob)" &&
	test "$(wc -l <alice.err)" = 1 && grep "^fatal: " alice.err &&
	alice env AIG_IDENTITY="$PWD/mallory/.ssh/id_ed25519" git fetch "$address" && failed 128 "$(fingerprint mallory)" &&
	test "$(wc -l <alice.err)" = 1 && grep "^fatal: " alice.err &&
	kept >after && test_cmp before after && objects alice >alice.has && test_cmp alice.had alice.has
'

test_expect_success 'nobody trusted: the transport does not start, and the line that the other side needs is printed' '
	rm -f starts && in_alice config --unset remote.bob.aigTrust && mv alice/.gitconfig alice/.gitconfig.away &&
	alice git fetch bob && failed 128 "no peer" && grep -x "AIG_TRUST=$(fingerprint alice)" alice.err &&
	alice git fetch "$address" && mv alice/.gitconfig.away alice/.gitconfig &&
	failed 128 "no peer" && grep -x "AIG_TRUST=$(fingerprint alice)" alice.err && test ! -e starts &&
	in_alice config remote.bob.aigTrust "$(fingerprint bob)"
'

# fails_with <transport> <text>: one line, which begins with "fatal: " and holds the text.
# Newer versions of git add a line of their own where a helper fails before it has named its capabilities.
fails_with () {
	alice git fetch "aig::$1" && failed 128 "$2" && grep -vx "fatal: remote helper .aig. aborted session" alice.err >ours &&
	tail -n 1 ours | grep "^fatal: " && test "$(grep -c "^fatal: " ours)" = 1
}

test_expect_success 'an address that leads to no peer fails with a line that says so' '
	fails_with "exit 7" "exit status 7" && fails_with "echo SSH-2.0-nobody" "SSH-2.0-nobody" && fails_with - "aig::-" &&
	fails_with "echo no route >&2; exit 1" "exit status 1" && grep -x "transport: \"no route.*\"" alice.err
'

test_expect_success 'a peer with 200,000 branches and tags is listed, cloned and fetched from' '
	git init -q --bare bob/many.git && in_bob push -q "$PWD/bob/many.git" main && tip=$(in_bob rev-parse main) &&
	{
		echo "# pack-refs with: peeled fully-peeled sorted " &&
		awk -v tip=$tip "BEGIN { for (i = 0; i < 200000; i++) printf \"%s refs/%s/r%06d\\n\", tip, i < 100000 ? \"heads\" : \"tags\", i }"
	} >bob/many.git/packed-refs && git -C bob/many.git symbolic-ref HEAD refs/heads/main &&
	peer_in "$PWD/bob/many.git" && rm -rf clone && alice_in "$PWD" git ls-remote "$address" && ok && test "$(wc -l <alice.out)" = 200002 &&
	alice_in "$PWD" git clone -q --bare -c remote.origin.aigTrust="$(fingerprint bob)" "$address" clone && ok &&
	git -C clone for-each-ref >refs && test "$(wc -l <refs)" = 200001 && peer_in "$PWD/bob/repo"
'

test_expect_success 'a peer that stays away is waited for as long as aigWait says, and git goes on' '
	fresh_alice && in_alice remote add away "aig::exec sleep 100" && in_alice config remote.away.aigTrust "$(fingerprint bob)" &&
	in_alice config aig.wait 50m && in_alice config remote.away.aigWait 100ms && remote_bob &&
	alice git fetch --all && failed 1 "fatal: no peer came within 100ms: remote.<name>.aigWait" &&
	in_bob rev-parse main >expect && in_alice rev-parse bob/main >actual && test_cmp expect actual &&
	in_alice config remote.away.skipFetchAll true && alice git fetch --all && ok && test_must_fail grep "no peer came" alice.err &&
	alice git remote update && ok && in_alice config --unset aig.wait
'

test_expect_success 'a peer that only pulls has nothing to give; one that only gives does' '
	peer_in "$PWD/bob/repo" --pull && alice git fetch bob && failed 128 "both sides only pull" &&
	peer_in "$PWD/bob/repo" --push && commit bob "given" && alice git fetch bob && ok && gave 3
'

# The last cuts in each direction are in the middle of the pack, and between it and the goodbye.
test_expect_success 'a pipe that breaks: status 128, one line, no reference is written, and the next fetch makes it good' '
	head -c 300000 /dev/urandom >bob/repo/large && in_bob add large && in_bob commit -q -m large &&
	for cut in from:100 from:1500 from:4000 from:100000 from:290000 to:100 to:1500 to:2300
	do
		fresh_alice && remote_bob && kept >before &&
		alice git fetch "aig::aig-test-pipe --cut-${cut%:*} ${cut#*:} \"sh $quote$PWD/peer$quote\"" &&
		failed 128 "fatal: " && test "$(grep -c "^fatal: " alice.err)" = 1 &&
		kept >after && test_cmp before after && sound alice/repo || return 1
		sed -n "s/^fatal: /$cut: /p" alice.err
	done &&
	alice git fetch bob && ok && in_bob rev-parse main >expect && in_alice rev-parse bob/main >actual && test_cmp expect actual &&
	sound alice/repo
'

# Over a real switchboard, with the vanilla ssh.

# bob_waits: Bob waits at the switchboard; leaves his token in $token.
bob_waits () {
	rm -f bob.err
	sync_as bob alice --summary "$@" "$(sb_command) new" &
	bob_pid=$! && token=$(sb_transport_token bob.err)
}

test_expect_success 'clone, fetch, pull and ls-remote over a switchboard' '
	start_switchboard && rm -rf clone && commit bob "for the switchboard" && git ls-remote "$PWD/bob/repo" >expect.refs &&
	as_alice () {
		(HOME=$PWD/alice && export HOME && cd "$1" && shift && "$@") >alice.out 2>alice.err
		echo $? >alice.status
		wait $bob_pid && ok && echo 0 >expect && test_cmp expect bob.status
	} &&
	bob_waits && as_alice "$PWD" git clone "aig::$(sb_command) $token" clone && sound clone && tail -n 1 bob.out | grep -x "\." &&
	in_bob rev-parse HEAD >expect && git -C clone rev-parse HEAD >actual && test_cmp expect actual &&
	bob_waits && as_alice clone git ls-remote "aig::$(sb_command) $token" && test_cmp expect.refs alice.out &&
	grep "looked at our references and taken nothing" bob.err &&
	commit bob "and more" && bob_waits && as_alice clone git fetch "aig::$(sb_command) $token" main &&
	grep -x "> 3" bob.out && grep -x "< 0" bob.out &&
	in_bob rev-parse HEAD >expect && git -C clone rev-parse FETCH_HEAD >actual && test_cmp expect actual &&
	commit bob "and yet more" && bob_waits && as_alice clone git pull --ff-only "aig::$(sb_command) $token" main &&
	in_bob rev-parse HEAD >expect && git -C clone rev-parse HEAD >actual && test_cmp expect actual
'

test_expect_success 'a spent token: git fails with status 128 and a line that says what' '
	alice git fetch "aig::$(sb_command) $token" main &&
	failed 128 "transport ended before a peer came" && tail -n 1 alice.err | grep "^fatal: " &&
	grep "^transport: .*nobody is waiting under this token" alice.err && test "$(wc -l <alice.err)" = 2
'

test_expect_success 'fetch against fetch: both fail, and both say why' '
	rm -f alice.err && fresh_alice && {
		alice git fetch "aig::$(sb_command) new" &
		alice_pid=$!
	} &&
	token=$(sb_transport_token alice.err) &&
	test_expect_code 128 as bob env TRUST="$(fingerprint alice)" git fetch "aig::$(sb_command) $token" 2>bob.err &&
	wait $alice_pid && failed 128 "both sides only fetch" && grep "both sides only fetch" bob.err &&
	grep "^fatal: " alice.err bob.err >fatal && test "$(wc -l <fatal)" = 2 &&
	stop_switchboard
'

test_expect_success 'a peer that tells no references is an error, and prunes nothing' '
	peer_in "$PWD/bob/repo" && fresh_alice && remote_bob && alice git fetch bob && ok &&
	in_alice for-each-ref >expect && peer_in "$PWD/bob/repo" --no-refs &&
	alice git fetch --prune bob && failed 128 "fatal: " &&
	in_alice for-each-ref >actual && test_cmp expect actual
'

test_done
