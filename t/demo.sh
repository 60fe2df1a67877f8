#!/bin/sh
# Plays the main use: Alice and Bob, each with a key and a repository of their own, synchronise through a switchboard on
# loopback. Prints the session as they see it. Everything happens in a temporary directory that is removed at the end.

set -eu
. "$(dirname "$0")/lib-demo.sh"

# The demo's ssh reads none of your configuration and doesn't write your known_hosts.
mkdir "$demo/bin"
cat >"$demo/bin/ssh" <<SSH
#!/bin/sh
exec $(command -v ssh) -F none -o BatchMode=yes -o UserKnownHostsFile='"$demo/known_hosts"' \\
	-o StrictHostKeyChecking=yes -o IdentityAgent=none "\$@"
SSH
chmod +x "$demo/bin/ssh"
PATH=$demo/bin:$bin:$PATH
GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export PATH GIT_CONFIG_NOSYSTEM GIT_CONFIG_GLOBAL
unset SSH_AUTH_SOCK AIG_IDENTITY AIG_CONTEXT TRUST 2>/dev/null || :

aig-switchboard --listen 127.0.0.1:0 --host-key "$demo/host_key" 2>"$demo/log" &
running=$!
wait_for msg=listening "$demo/log"
port=$(sed -n 's/.*msg=listening addr=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$demo/log")
echo "[localhost]:$port $(ssh-keygen -y -f "$demo/host_key")" >"$demo/known_hosts"

person () { # <name> <Name> [<whose project is cloned>]
	mkdir -p "$demo/$1/.ssh"
	ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$demo/$1/.ssh/id_ed25519"
	if test -n "${3:-}"; then
		git clone -q "$demo/$3/project" "$demo/$1/project"
	else
		git init -q -b main "$demo/$1/project"
	fi
	git -C "$demo/$1/project" config user.name "$2"
	git -C "$demo/$1/project" config user.email "$1@example.com"
}

# as <name> <command>... runs a command as that person.
as () {
	who=$1
	shift
	(cd "$demo/$who/project" && HOME=$demo/$who && export HOME && "$@")
}

# types <name> <command> runs a command as that person, and shows it.
types () {
	as "$1" sh -c "$2"
	echo "$1\$ $2"
}

# session <Alice's command> <Bob's command>: runs both, then shows each one's whole screen, one after the other. CODE in Bob's command stands
# for the code on Alice's screen.
session () {
	(as alice sh -c "$1") >"$demo/alice.screen" 2>&1 &
	alice=$!
	code=
	case $2 in
	*CODE*)
		wait_for '^tell bob this code: ' "$demo/alice.screen"
		code=$(sed -n 's/^tell bob this code: //p' "$demo/alice.screen")
		;;
	esac
	command=$(echo "$2" | sed "s/CODE/$code/")
	status=0
	(as bob sh -c "$command") >"$demo/bob.screen" 2>&1 || status=$?
	wait $alice || status=$?
	echo "alice\$ $1"
	cat "$demo/alice.screen"
	echo
	echo "bob\$ $command"
	cat "$demo/bob.screen"
	echo
	test $status = 0 || exit $status
}

person alice Alice
as alice git commit -q --allow-empty -m "the project"
person bob Bob alice
echo "# Alice and Bob have a clone each, and commit while the server is out of reach:"
types alice "echo soup >menu && git add menu && git commit -qm 'A menu'"
types bob "git switch -qc holiday && echo ferry >plan && git add plan && git commit -qm 'A plan'"
echo "# They pair once, over a host that neither trusts, by a code that Alice reads out:"
session "git aig-sync invite bob 'ssh -p $port localhost'" "echo CODE | git aig-sync accept alice 'ssh -p $port localhost'"
echo "# From then on a name is enough, and only what is new moves:"
types alice "echo cake >>menu && git commit -qam 'Dessert'"
session "git aig-sync bob" "git aig-sync alice"

for who in alice bob; do
	as $who git cat-file --batch-all-objects --batch-check >"$demo/$who.objects"
done
cmp "$demo/alice.objects" "$demo/bob.objects"
echo "# Both stores hold the same $(wc -l <"$demo/alice.objects") objects, and no reference has moved."
