#!/bin/sh

test_description='who we are and whom we trust: option, environment, configuration; keys of every kind, files and the agent'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

# The agent's socket has a short path, since a long one doesn't fit a socket's address.
agent_dir=$(mktemp -d) || exit 1
agent_pid=
trap 'sb_code=$?; agent_kill; rm -rf "$agent_dir"; (exit $sb_code); die' EXIT

agent_kill () {
	test -z "$agent_pid" || kill "$agent_pid" 2>/dev/null
	agent_pid=
}

start_agent () {
	ssh-agent -D -a "$agent_dir/agent" >/dev/null 2>&1 5>&- 6<&- &
	agent_pid=$!
	agent_tries=0
	until test -S "$agent_dir/agent"
	do
		agent_tries=$((agent_tries + 1))
		test "$agent_tries" -le 400 || return 1
		sleep 0.05
	done
}

# Nothing in this file may ask except through this program, which records what it was asked and answers with what the test
# has put into the file "passphrase".
cat >askpass <<-\EOS
	#!/bin/sh
	here=$(dirname "$0")
	printf "%s\n" "$1" >>"$here/asked"
	cat "$here/passphrase"
EOS
chmod +x askpass
SSH_ASKPASS=$PWD/askpass SSH_ASKPASS_REQUIRE=force
export SSH_ASKPASS SSH_ASKPASS_REQUIRE

A=$PWD/alice B=$PWD/bob
default=$B/.ssh/id_ed25519 # Bob's key, and its fingerprint when there is one
right=

nothing_asked () {
	test ! -e asked
}

# alice <assignment>... <command>...: Alice runs it, in her repository. What hangs is killed, with a status that is none of ours.
alice () {
	rm -f asked
	as alice timeout -k 5 60 env "$@" >alice.out 2>alice.err
	echo $? >alice.status
}

# Bob as a transport, with this private key, trusting these keys of Alice.
bob () {
	echo "unset SSH_AUTH_SOCK; cd '$PWD/bob/repo' && HOME='$PWD/bob' AIG_IDENTITY='$1' TRUST='$2' git aig-sync --summary -"
}

# Both have something to give.
news () {
	commit alice "of Alice" && commit bob "of Bob"
}

# is_me <key>: what Alice printed is the fingerprint of that key, and nothing else; nobody was asked.
is_me () {
	fp "$1" >expect && test_cmp expect alice.out && test_must_be_empty alice.err && nothing_asked &&
	echo 0 >expect.status && test_cmp expect.status alice.status
}

test_expect_success 'Alice, Bob, and keys of every kind' '
	person alice && person bob && news &&
	for kind in ed25519 ecdsa-256 ecdsa-384 ecdsa-521 rsa-3072 rsa-1024
	do
		bits=${kind#*-} && test "$bits" != "$kind" || bits=256
		for who in alice bob
		do
			ssh-keygen -q -t "${kind%-*}" -b "$bits" -N "" -C "$kind" -f "$who/$kind" || return 1
		done || return 1
	done &&
	ssh-keygen -q -t ed25519 -N "open sesame" -f alice/locked &&
	ssh-keygen -q -t rsa -b 3072 -m PEM -N "open sesame" -f alice/locked-pem &&
	grep "^Proc-Type: 4,ENCRYPTED" alice/locked-pem &&
	echo "open sesame" >passphrase &&
	right=$(fingerprint bob)
'

# --fingerprint

test_expect_success '--fingerprint is what ssh-keygen prints, for every kind of key' '
	alice git aig-sync --fingerprint && is_me alice/.ssh/id_ed25519 &&
	for kind in ed25519 ecdsa-256 ecdsa-384 ecdsa-521 rsa-3072
	do
		alice git aig-sync --fingerprint --identity "$A/$kind" && is_me alice/$kind || return 1
	done &&
	alice git aig-sync --fingerprint --identity "$A/ed25519.pub" && is_me alice/ed25519
'

test_expect_success '--fingerprint outside a repository' '
	mkdir nowhere &&
	alice git -C "$PWD/nowhere" rev-parse --git-dir && grep "not a git repository" alice.err &&
	alice git -C "$PWD/nowhere" aig-sync --fingerprint && is_me alice/.ssh/id_ed25519 &&
	git config --file alice/.gitconfig aig.identity "~/ed25519" &&
	alice git -C "$PWD/nowhere" aig-sync --fingerprint && is_me alice/ed25519 &&
	rm alice/.gitconfig
'

test_expect_success '--fingerprint of a key under a passphrase asks for nothing' '
	for key in locked locked-pem
	do
		alice git aig-sync --fingerprint --identity "$A/$key" && is_me alice/$key.pub || return 1
	done &&
	mkdir alone && cp alice/locked alone/ &&
	alice git aig-sync --fingerprint --identity "$PWD/alone/locked" && is_me alice/locked.pub
'

test_expect_success 'without a public half anywhere, --fingerprint asks' '
	cp alice/locked-pem alone/ &&
	alice git aig-sync --fingerprint --identity "$PWD/alone/locked-pem" &&
	fp alice/locked-pem.pub >expect && test_cmp expect alice.out &&
	test "$(wc -l <asked)" = 1
'

test_expect_success 'own key: the option beats the environment, which beats the configuration, which beats the default' '
	alice git aig-sync --fingerprint && is_me alice/.ssh/id_ed25519 &&
	as alice git config aig.identity "$A/ed25519" &&
	alice git aig-sync --fingerprint && is_me alice/ed25519 &&
	alice AIG_IDENTITY="$A/ecdsa-256" git aig-sync --fingerprint && is_me alice/ecdsa-256 &&
	alice AIG_IDENTITY="$A/ecdsa-256" git aig-sync --fingerprint --identity "$A/ecdsa-384" && is_me alice/ecdsa-384 &&
	alice git aig-sync --identity="$A/ecdsa-384" --fingerprint && is_me alice/ecdsa-384 &&
	alice git -c aig.identity="~/ecdsa-521" aig-sync --fingerprint && is_me alice/ecdsa-521
'

test_expect_success 'a sync uses the same key' '
	alice TRUST="$(fp "$default")" git aig-sync "$(bob "$default" "$(fp alice/ed25519)")" && synced &&
	alice TRUST="$(fp "$default")" AIG_IDENTITY="$A/ecdsa-256" git aig-sync "$(bob "$default" "$(fp alice/ecdsa-256)")" &&
	synced &&
	alice TRUST="$(fp "$default")" AIG_IDENTITY="$A/ecdsa-256" git aig-sync --identity "$A/ecdsa-384" \
		"$(bob "$default" "$(fp alice/ecdsa-384)")" && synced &&
	alice TRUST="$(fp "$default")" AIG_IDENTITY="$A/ecdsa-256" git aig-sync --identity "$A/ecdsa-384" \
		"$(bob "$default" "$(fp alice/ecdsa-256)")" && sync_fails "$(fp alice/ecdsa-384)" &&
	as alice git config --unset aig.identity
'

# Trust

# Bob as a transport, with his default key, trusting Alice's.
to_bob () {
	bob "$default" "$(fingerprint alice)"
}

trusted () {
	news && "$@" && synced
}

distrusted () {
	"$@" && sync_fails "$(fingerprint bob)" && test_must_fail grep . alice.out
}

test_expect_success '--trust once, and again' '
	other=$(fp bob/ed25519) another=$(fp bob/rsa-3072) &&
	trusted alice git aig-sync --trust "$right" "$(to_bob)" &&
	trusted alice git aig-sync --trust "$other" --trust "$right" "$(to_bob)" &&
	trusted alice git aig-sync --trust="$right" --trust="$other" "$(to_bob)" &&
	distrusted alice git aig-sync --trust "$other" --trust "$another" "$(to_bob)"
'

test_expect_success 'TRUST with any white space between several' '
	tab=$(printf "\t") && newline="
" &&
	trusted alice TRUST="$right" git aig-sync "$(to_bob)" &&
	trusted alice TRUST="$other $right" git aig-sync "$(to_bob)" &&
	trusted alice TRUST=" $right$newline$other$newline" git aig-sync "$(to_bob)" &&
	trusted alice TRUST="$other$tab $right" git aig-sync "$(to_bob)" &&
	distrusted alice TRUST="$other $another" git aig-sync "$(to_bob)"
'

test_expect_success 'trust pasted: the line of ssh-keygen, that of the public key, its path' '
	public=bob/.ssh/id_ed25519.pub && line=$(ssh-keygen -lf $public) &&
	trusted alice TRUST="$line" git aig-sync "$(to_bob)" &&
	trusted alice git aig-sync --trust "$(cat $public)" "$(to_bob)" &&
	trusted alice git aig-sync --trust "$PWD/$public" "$(to_bob)" &&
	cp $public alice/bob.pub && trusted alice git aig-sync --trust="~/bob.pub" "$(to_bob)" &&
	trusted alice git -c aig.trust="$line" aig-sync "$(to_bob)" &&
	distrusted alice git aig-sync --trust "$(cat bob/ed25519.pub)" "$(to_bob)"
'

test_expect_success '~ that no shell has expanded' '
	trusted alice TRUST="$right" AIG_IDENTITY="~/ed25519" git aig-sync "$(bob "$default" "$(fp alice/ed25519)")" &&
	trusted alice TRUST="$right" git aig-sync --identity="~/ed25519" "$(bob "$default" "$(fp alice/ed25519)")"
'

test_expect_success 'aig.trust, once and multi-valued, of the repository and of the user' '
	as alice git config aig.trust "$right" &&
	trusted alice git aig-sync "$(to_bob)" &&
	as alice git config --add aig.trust "$other" &&
	trusted alice git aig-sync "$(to_bob)" &&
	as alice git config --unset-all aig.trust &&
	as alice git config --add aig.trust "$other" &&
	as alice git config --add aig.trust "$another" &&
	distrusted alice git aig-sync "$(to_bob)" &&
	trusted alice git -c aig.trust="$right" aig-sync "$(to_bob)" &&
	git config --file alice/.gitconfig aig.trust "$right" &&
	distrusted alice git aig-sync "$(to_bob)" &&
	as alice git config --unset-all aig.trust &&
	trusted alice git aig-sync "$(to_bob)" &&
	rm alice/.gitconfig
'

test_expect_success 'whom to trust: the option replaces the environment, which replaces the configuration' '
	as alice git config aig.trust "$right" &&
	distrusted alice TRUST="$other" git aig-sync "$(to_bob)" &&
	distrusted alice git aig-sync --trust "$other" "$(to_bob)" &&
	as alice git config aig.trust "$other" &&
	trusted alice TRUST="$right" git aig-sync "$(to_bob)" &&
	trusted alice TRUST="$other" git aig-sync --trust "$right" "$(to_bob)" &&
	distrusted alice TRUST="$right" git aig-sync --trust "$other" "$(to_bob)" &&
	as alice git config --unset aig.trust
'

test_expect_success 'without trust, the line that the other side needs is that of the key in use, and nothing is asked' '
	alice git aig-sync --identity "$A/locked" "touch \"$PWD/was.run\"" &&
	sync_fails "no peer" && nothing_asked &&
	grep -x "AIG_TRUST=$(fp alice/locked.pub)" alice.err &&
	test ! -e was.run
'

# Keys

# Each of the two is the SSH server in some runs, and both have a key of the kind.
for kind in ed25519 ecdsa-256 ecdsa-384 ecdsa-521 rsa-3072
do
	test_expect_success "a sync with keys of $kind" '
		news &&
		alice TRUST="$(fp bob/$kind)" git aig-sync --identity "$A/$kind" "$(bob "$B/$kind" "$(fp alice/$kind)")" &&
		synced && nothing_asked
	'
done

test_expect_success 'an encrypted key: SSH_ASKPASS is asked, once' '
	for key in locked locked-pem
	do
		news &&
		alice TRUST="$right" git aig-sync --identity "$A/$key" "$(bob "$default" "$(fp alice/$key.pub)")" &&
		synced &&
		test "$(wc -l <asked)" = 1 && grep -F "$A/$key" asked || return 1
	done
'

test_expect_success 'a wrong passphrase: says so, and the transport never starts' '
	echo "open barley" >passphrase &&
	for key in locked locked-pem
	do
		alice TRUST="$right" git aig-sync --identity "$A/$key" "touch \"$PWD/was.run\"" &&
		sync_fails "passphrase" && grep -F "$A/$key" alice.fatal && grep wrong alice.fatal &&
		test ! -e was.run || return 1
	done
'

test_expect_success 'no passphrase, and an SSH_ASKPASS that fails: says so, and the transport never starts' '
	echo >passphrase &&
	alice TRUST="$right" git aig-sync --identity "$A/locked" "touch \"$PWD/was.run\"" &&
	sync_fails "passphrase" && test "$(wc -l <asked)" = 1 &&
	alice TRUST="$right" SSH_ASKPASS=false git aig-sync --identity "$A/locked" "touch \"$PWD/was.run\"" &&
	sync_fails "SSH_ASKPASS" &&
	test ! -e was.run
'

test_expect_success 'the key only in an agent' '
	start_agent && SOCK=$agent_dir/agent &&
	mv alice/.ssh alice/.ssh.away &&
	SSH_AUTH_SOCK=$SOCK ssh-add -q alice/ecdsa-384 &&
	mv alice/ecdsa-384 alice/ecdsa-384.away &&
	news &&
	alice SSH_AUTH_SOCK="$SOCK" git aig-sync --fingerprint && is_me alice/ecdsa-384.pub &&
	alice SSH_AUTH_SOCK="$SOCK" TRUST="$right" git aig-sync "$(bob "$default" "$(fp alice/ecdsa-384.pub)")" &&
	synced && nothing_asked
'

test_expect_success 'a key of an agent, chosen by its public half; RSA too' '
	for kind in ed25519 rsa-3072
	do
		SSH_AUTH_SOCK=$SOCK ssh-add -q alice/$kind &&
		mv alice/$kind alice/$kind.away &&
		news &&
		alice SSH_AUTH_SOCK="$SOCK" TRUST="$right" git aig-sync --identity "$A/$kind.pub" \
			"$(bob "$default" "$(fp alice/$kind.pub)")" && synced && nothing_asked &&
		mv alice/$kind.away alice/$kind || return 1
	done &&
	alice SSH_AUTH_SOCK="$SOCK" TRUST="$right" git aig-sync --identity "$A/ecdsa-521.pub" "touch \"$PWD/was.run\"" &&
	sync_fails ssh-add && test ! -e was.run
'

test_expect_success 'the file in ~/.ssh comes before the agent' '
	mv alice/.ssh.away alice/.ssh &&
	alice SSH_AUTH_SOCK="$SOCK" git aig-sync --fingerprint && is_me alice/.ssh/id_ed25519
'

test_expect_success 'an encrypted key that the agent holds: nothing is asked' '
	echo "open sesame" >passphrase && SSH_AUTH_SOCK=$SOCK ssh-add -q alice/locked &&
	news &&
	alice SSH_AUTH_SOCK="$SOCK" TRUST="$right" git aig-sync --identity "$A/locked" \
		"$(bob "$default" "$(fp alice/locked.pub)")" &&
	synced && nothing_asked
'

test_expect_success 'an agent that is gone counts as none: the passphrase is asked for' '
	pid=$agent_pid && agent_kill && sb_wait_gone $pid &&
	news &&
	alice SSH_AUTH_SOCK="$SOCK" TRUST="$right" git aig-sync --identity "$A/locked" \
		"$(bob "$default" "$(fp alice/locked.pub)")" &&
	synced && test "$(wc -l <asked)" = 1
'

# The key can't be used, and is refused with these words before the transport starts.
refused () { # <file> <word>...
	alice TRUST="$right" git aig-sync --identity "$1" "touch \"$PWD/was.run\"" &&
	shift &&
	for word
	do
		sync_fails "$word" || return 1
	done &&
	nothing_asked && test ! -e was.run
}

test_expect_success 'a private key that others may read' '
	for mode in 640 604 660
	do
		chmod $mode alice/ed25519 && refused "$A/ed25519" "$A/ed25519" "chmod 600" || return 1
	done &&
	chmod 600 alice/ed25519
'

test_expect_success 'RSA of 1024 bits' '
	refused "$A/rsa-1024" "$A/rsa-1024" "1024 bits" "ssh-keygen -t ed25519" &&
	alice git aig-sync --fingerprint --identity "$A/rsa-1024" && sync_fails "1024 bits"
'

test_expect_success 'no key but garbage, a damaged key, a directory, nothing there' '
	head -c 1000 /dev/urandom >alice/garbage && refused "$A/garbage" "$A/garbage" "no key" &&
	: >alice/empty && refused "$A/empty" "$A/empty" "no key" &&
	sed "2,3d" alice/ed25519 >alice/damaged && chmod 600 alice/damaged && refused "$A/damaged" "$A/damaged" &&
	refused "$A" "$A" "not a regular file" &&
	refused "$A/nothing" "$A/nothing" "no such file"
'

test_expect_success 'no key at all: says what was tried and what to do' '
	mv alice/.ssh alice/.ssh.away &&
	alice TRUST="$right" git aig-sync "touch \"$PWD/was.run\"" &&
	for word in "you have no key" "$A/.ssh/id_ed25519" SSH_AUTH_SOCK "ssh-keygen -t ed25519" --identity
	do
		sync_fails "$word" || return 1
	done &&
	alice git aig-sync --fingerprint && sync_fails "ssh-keygen -t ed25519" &&
	alice git aig-sync "touch \"$PWD/was.run\"" && sync_fails "ssh-keygen -t ed25519" &&
	test ! -e was.run &&
	mv alice/.ssh.away alice/.ssh
'

test_done
