#!/bin/sh

test_description='every failure is one line that says what, whose and what next'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

# alice <argument>... runs git aig-sync as Alice, who trusts Bob.
alice () {
	sync_as alice bob "$@"
}

# bob_trusting <fingerprint>: prints a transport to Bob, who trusts that key.
bob_trusting () {
	echo "cd '$SHARNESS_TRASH_DIRECTORY/bob/repo' && HOME='$SHARNESS_TRASH_DIRECTORY/bob' TRUST=$1 git aig-sync -"
}

unchanged () {
	objects alice >now && test_cmp alice.had now &&
	nothing_left alice
}

test_expect_success 'Alice, Bob, and Mallory' '
	start_switchboard &&
	person alice && person bob && person mallory &&
	commit alice "of Alice" && commit bob "of Bob" &&
	objects alice >alice.had
'

test_expect_success 'no trust: refused before the transport starts, with the line that the other side needs' '
	{ as alice git aig-sync "touch was.run" >alice.out 2>alice.err; echo $? >alice.status; } &&
	sync_fails "no peer" &&
	grep -x "AIG_TRUST=$(fingerprint alice)" alice.err &&
	test ! -e alice/repo/was.run
'

test_expect_success 'trust that is no fingerprint' '
	{ (TRUST=bob && export TRUST && as alice git aig-sync true) >alice.out 2>alice.err; echo $? >alice.status; } &&
	sync_fails "SHA256:"
'

test_expect_success 'the wrong key: the fingerprint seen is named, and the other side hears whose trust it was' '
	sync_as alice mallory "$(bob_trusting "$(fingerprint alice)")" &&
	sync_fails "$(fingerprint bob)" &&
	grep -F "TRUST=$(fingerprint bob)" alice.err &&
	grep "^transport: \"fatal: " alice.err &&
	unchanged
'

test_expect_success 'the other side does not trust us' '
	alice "$(bob_trusting "$(fingerprint mallory)")" &&
	sync_fails "$(fingerprint alice)" &&
	unchanged
'

test_expect_success 'whoever trusts their own key in place of the peer'"'"'s is told so' '
	sync_as alice alice "$(bob_trusting "$(fingerprint alice)")" &&
	sync_fails "(the key that you trust is your own)" &&
	unchanged
'

test_expect_success 'no peer: the transport ended, and its status and last words are shown' '
	alice "echo \"no route\" >&2; exit 7" &&
	sync_fails "exit status 7" &&
	head -n 1 alice.err >first && printf "%s\n" "transport: \"no route\\n\"" >expect && test_cmp expect first
'

test_expect_success 'no peer: a token that nobody has' '
	alice "$(sb_command) 00000" &&
	sync_fails "exit status 1" &&
	grep "^transport: " alice.err
'

test_expect_success 'no peer in time' '
	alice --wait 200ms "$(sb_command) new" &&
	sync_fails "200ms"
'

test_expect_success 'a banner instead of a peer is quoted' '
	alice "printf \"HTTP/1.1 400 Bad Request\\r\\nServer: x\\r\\n\"; cat" &&
	sync_fails "\"HTTP/1.1 400 Bad Request\\r\\nServer: x\\r\\n\"" &&
	alice "printf \"\\033[2Jboo\"; cat" &&
	sync_fails "\"\\x1b[2Jboo"
'

test_expect_success 'an echo is no peer' '
	alice cat && sync_fails "echo"
'

test_expect_success 'a peer that falls silent' '
	alice --timeout 300ms "printf \"aig\\000\"; cat >/dev/null" &&
	sync_fails "300ms"
'

test_expect_success 'outside a repository' '
	mkdir nowhere &&
	{
		(
			cd nowhere && HOME=$SHARNESS_TRASH_DIRECTORY/alice && TRUST=$(fingerprint bob) && export HOME TRUST &&
			git aig-sync "touch was.run"
		) >alice.out 2>alice.err
		echo $? >alice.status
	} &&
	sync_fails "not a git repository" && test ! -e nowhere/was.run
'

test_expect_success 'SHA-1 against SHA-256' '
	mv bob/repo bob/sha1 && git init -q --object-format=sha256 bob/repo &&
	alice "$(bob_trusting "$(fingerprint alice)")" &&
	sync_fails "sha256" && grep "^transport: \"fatal: .*sha1" alice.err &&
	rm -rf bob/repo && mv bob/sha1 bob/repo
'

test_expect_success 'both only pull' '
	alice --pull "$(bob_trusting "$(fingerprint alice)" | sed "s/aig-sync/aig-sync --pull/")" &&
	sync_fails "only pull" && unchanged
'

set_mount
test_expect_success MOUNT 'a full disk: our side says so, the other side hears it, and the store is as it was' '
	head -c 3000000 /dev/urandom >bob/repo/r && as bob git add r && as bob git commit -q -m big &&
	mkdir -p full && cat >on-a-small-disk <<-EOF &&
	mount -t tmpfs -o size=1m none full && git init -q full/repo && cd full/repo &&
	HOME="$SHARNESS_TRASH_DIRECTORY/alice" TRUST=$(fingerprint bob) \
		git aig-sync "\$1" >../../alice.out 2>../../alice.err
	echo \$? >../../alice.status
	git cat-file --batch-all-objects --batch-check >../../left.objects
	ls -d .git/objects/tmp_* >../../left.tmp 2>/dev/null
	exit 0
	EOF
	unshare -rm sh on-a-small-disk "$(bob_trusting "$(fingerprint alice)")" &&
	sync_fails "No space left on device" &&
	grep "^transport: \"fatal: the peer gave up: .*No space left on device" alice.err &&
	test_must_be_empty left.objects && test_must_be_empty left.tmp
'

test_expect_success 'a pack that has lost its index is named, with the command that makes one' '
	as alice git repack -adq &&
	pack=$(echo alice/repo/.git/objects/pack/pack-*.pack) && rm -f "${pack%.pack}.idx" &&
	alice "$(bob_trusting "$(fingerprint alice)")" &&
	sync_fails "git index-pack" && grep -F "$pack" alice.fatal &&
	as alice git index-pack "$SHARNESS_TRASH_DIRECTORY/$pack" &&
	unchanged
'

test_expect_success 'kill -9: the transport ends as well, and nobody waits at the switchboard any more' '
	rm -f alice.err &&
	{ sync_as alice bob "echo \$PPID \$\$ >pid; exec $(sb_command) new" & } &&
	killed=$! &&
	sb_transport_token alice.err >token &&
	read -r us transport <alice/repo/pid && kill -9 "$us" &&
	sb_wait_gone "$transport" && wait "$killed" &&
	test_expect_code 1 sb_ssh "$(cat token)" </dev/null 2>err && grep "nobody is waiting\|connection was lost" err &&
	unchanged
'

test_expect_success 'bad usage is 129 on standard error, -h is 0 on standard output' '
	test_expect_code 129 git aig-sync 2>err && grep "^usage: git aig-sync" err &&
	test_expect_code 129 git aig-sync --nonsense x 2>err && grep "^error: .*nonsense" err &&
	test_expect_code 129 git aig-sync ssh host new 2>err && grep "^error: " err &&
	test_expect_code 129 git aig-sync --pull --push x 2>err &&
	test_expect_code 129 git aig-sync --timeout 0 x 2>err &&
	git aig-sync -h >out 2>err && grep "^usage: git aig-sync" out && test_must_be_empty err
'

test_expect_success 'Ctrl-C is prompt and quiet: 130, and nothing is left' '
	alice "echo \$\$ >pid; kill -INT \$PPID; exec sleep 1000" &&
	echo 130 >expect && test_cmp expect alice.status &&
	test_must_be_empty alice.err && test_must_be_empty alice.out &&
	sb_wait_gone "$(cat alice/repo/pid)" &&
	unchanged
'

test_expect_success 'a signal that we were told to ignore stays ignored: SIGHUP by nohup, SIGINT in the background of a script' '
	(trap "" HUP INT && alice "kill -HUP \$PPID; kill -INT \$PPID; $(bob_trusting "$(fingerprint alice)")") &&
	echo 0 >expect && test_cmp expect alice.status &&
	stop_switchboard && trap "" INT && start_switchboard && trap - INT && kill -INT "$SWITCHBOARD_PID" &&
	test_expect_code 1 sb_ssh 00000 </dev/null 2>err && grep "nobody is waiting" err && stop_switchboard
'

test_done
