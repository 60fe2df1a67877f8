# shellcheck shell=sh
#
# People with keys and repositories of their own, for tests. Source this after sharness.sh and lib-switchboard.sh:
#
#   person <name> [<git init argument>...]
#                   makes a person: a home <name> with a key in .ssh/id_ed25519, and an empty repository in repo.
#   as <name> <command>...
#                   runs a command as that person, in the repository.
#   fingerprint <name>
#                   prints the fingerprint of that person's key.
#   fp <file>       prints the fingerprint of the key in a file.
#   commit <name> <text>
#                   commits a file of random content with that message.
#   sync_as <name> <other name> <argument>...
#                   runs git aig-sync as that person, who trusts the other one's key. Leaves <name>.out, <name>.err and <name>.status.
#   sync_pair [<option>...]
#                   Alice and Bob synchronise through the switchboard, both with the options. Leaves alice.out,
#                   alice.err, alice.status and bob's.
#   sync_succeeds [<option>...]
#                   the same, and checks that both end with status 0.
#   sb_transport_token <file>
#                   waits for the token in the file, the standard error of git aig-sync, and prints it.
#   sync_local <dir> <dir> [<option>...]
#                   synchronises over a pipe between two processes: Alice in the first directory, Bob in the
#                   second. What Bob's side says is in alice.err, quoted.
#   ok              checks that Alice's last command ended with status 0; if not, prints alice.err.
#   synced          checks that Alice's last sync, with Bob as her transport, succeeded: both printed the promise, he in alice.err,
#                   and same_stores.
#   sync_fails <message>
#                   checks that Alice's last sync failed as it should: status 128, no promise, and one "fatal: " line, the
#                   last, which contains the message.
#   objects <name>  prints the names of all objects of the person's store.
#   outside <name>  prints a checksum of everything under .git outside objects/.
#   same_stores     checks that Alice's and Bob's stores hold the same objects and are sound, by git and by go-git.
#   reread <dir>    checks that go-git, an independent reader, finds the same objects there, and that each matches its name;
#                   SHA-1 only.
#   set_mount       sets the prerequisite MOUNT if a file system can be mounted, else notes that a test is skipped.
#   left_behind <name>
#                   prints what is left of quarantines in the person's store.
#   nothing_left <name>
#                   checks that nothing is.

AIG_BIN=${AIG_BIN:-$(cd "$SHARNESS_TEST_SRCDIR/../bin" && pwd)}
PATH=$AIG_BIN:$PATH
GIT_AUTHOR_NAME='A U Thor' GIT_AUTHOR_EMAIL=author@example.com
GIT_COMMITTER_NAME='C O Mitter' GIT_COMMITTER_EMAIL=committer@example.com
GIT_CONFIG_NOSYSTEM=1
# The trash directory lies in a repository.
GIT_CEILING_DIRECTORIES=$SHARNESS_TRASH_DIRECTORY
export PATH GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_CONFIG_NOSYSTEM GIT_CEILING_DIRECTORIES
unset SSH_AUTH_SOCK SSH_ASKPASS DISPLAY TRUST AIG_TRUST AIG_IDENTITY AIG_CONTEXT

person () {
	person=$1
	shift
	mkdir -p "$person/.ssh" &&
	ssh-keygen -q -t ed25519 -N '' -C "$person" -f "$person/.ssh/id_ed25519" &&
	git init -q "$@" "$person/repo"
}

as () {
	as_home=$SHARNESS_TRASH_DIRECTORY/$1
	shift
	(
		cd "$as_home/repo" &&
		# A subshell, since an assignment before a function call may outlast the call.
		HOME=$as_home && export HOME &&
		"$@"
	)
}

fingerprint () {
	fp "$SHARNESS_TRASH_DIRECTORY/$1/.ssh/id_ed25519.pub"
}

fp () {
	ssh-keygen -lf "$1" | cut -d ' ' -f 2
}

commit () {
	head -c 1024 /dev/urandom >"$1/repo/r" &&
	as "$1" git add r &&
	as "$1" git commit -q -m "$2"
}

sync_as () { # <person> <the other> <argument>...
	sync_name=$1
	sync_trust=$(fingerprint "$2") || return
	shift 2
	(
		TRUST=$sync_trust && export TRUST &&
		as "$sync_name" git aig-sync "$@"
	) >"$sync_name.out" 2>"$sync_name.err"
	echo $? >"$sync_name.status"
}

sync_pair () {
	rm -f alice.err
	sync_as alice bob "$@" "$(sb_command) new" &
	sync_pair_pid=$!
	sync_pair_token=$(sb_transport_token alice.err) &&
	sync_as bob alice "$@" "$(sb_command) $sync_pair_token" &&
	wait $sync_pair_pid
}

sync_local () {
	sync_local_trust=$(fingerprint bob) &&
	sync_local_bob="cd '$2' && HOME='$SHARNESS_TRASH_DIRECTORY/bob' TRUST=$(fingerprint alice) git aig-sync --summary -" || return
	cd "$1" || return
	shift 2
	HOME=$SHARNESS_TRASH_DIRECTORY/alice TRUST=$sync_local_trust git aig-sync "$@" "$sync_local_bob" \
		>"$SHARNESS_TRASH_DIRECTORY/alice.out" 2>"$SHARNESS_TRASH_DIRECTORY/alice.err"
	echo $? >"$SHARNESS_TRASH_DIRECTORY/alice.status"
	cd "$SHARNESS_TRASH_DIRECTORY" && ok
}

ok () {
	if test "$(cat alice.status)" != 0; then
		cat alice.err
		return 1
	fi
}

synced () {
	ok && tail -n 1 alice.out >last && echo . >expect && test_cmp expect last &&
	grep -x "transport: \"\\.\\\\n\"" alice.err &&
	same_stores
}

sync_fails () {
	echo 128 >expect.status && test_cmp expect.status alice.status &&
	test_must_fail grep -x "\." alice.out &&
	tail -n 1 alice.err >alice.fatal && grep -F -e "$1" alice.fatal && grep "^fatal: " alice.fatal &&
	test "$(grep -c "^fatal: " alice.err)" = 1
}

sb_transport_token () {
	sb_wait_for '^transport: "[0-9a-f]\{5,\}\\n"$' "$1" &&
	sed -n 's/^transport: "\([0-9a-f]\{5,\}\)\\n"$/\1/p' "$1"
}

sync_succeeds () {
	if ! sync_pair "$@" || test "$(cat alice.status bob.status | tr '\n' ' ')" != '0 0 '; then
		cat alice.err bob.err
		return 1
	fi
}

objects () {
	as "$1" git cat-file --batch-all-objects --batch-check='%(objectname)'
}

outside () {
	as "$1" git rev-parse --path-format=absolute --git-common-dir >outside.dir &&
	(
		cd "$(cat outside.dir)" &&
		find . -path ./objects -prune -o -type f -exec sha256sum {} + | sort -k 2 &&
		find . -path ./objects -prune -o -print | sort
	)
}

same_stores () {
	objects alice >alice.objects && objects bob >bob.objects &&
	test_cmp alice.objects bob.objects &&
	as alice git fsck --strict --no-dangling >alice.fsck 2>&1 && test_must_be_empty alice.fsck &&
	as bob git fsck --strict --no-dangling >bob.fsck 2>&1 && test_must_be_empty bob.fsck &&
	reread alice/repo && reread bob/repo
}

reread () {
	test "$(git -C "$1" rev-parse --show-object-format)" != sha1 || {
		git -C "$1" cat-file --batch-all-objects --batch-check='%(objectname)' >reread.git &&
		aig-test-reread "$(git -C "$1" rev-parse --path-format=absolute --git-common-dir)" >reread.go-git &&
		test_cmp reread.git reread.go-git
	}
}

set_mount () {
	if unshare -rm mount -t tmpfs none "$SHARNESS_TRASH_DIRECTORY" 2>/dev/null; then
		test_set_prereq MOUNT
	elif test -n "${AIG_SKIPPED:-}"; then
		printf '%s\t%s\n' "no file system can be mounted here" "$(basename "$SHARNESS_TEST_FILE" .sh)" >>"$AIG_SKIPPED"
	fi
}

test_must_be_empty () {
	test ! -s "$1" || {
		echo "$1 is not empty:"
		cat "$1"
		return 1
	}
}

nothing_left () {
	left_behind "$1" >left
	test_must_be_empty left
}

left_behind () {
	as "$1" sh -c 'ls -d "$(git rev-parse --git-path objects)"/tmp_* "$(git rev-parse --git-path objects)"/pack/tmp_* 2>/dev/null'
}
