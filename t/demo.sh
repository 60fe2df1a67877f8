#!/bin/sh
# Plays the main job: Alice and Bob, each with a key and a repository of their own, synchronise through a switchboard on
# loopback. Prints the session as they see it. Everything happens in a temporary directory that is removed at the end.

set -eu
bin=$(cd "$(dirname "$0")/../bin" && pwd)
demo=$(mktemp -d)
switchboard=
end () {
	test -z "$switchboard" || kill "$switchboard" 2>/dev/null || :
	rm -rf "$demo"
}
trap end EXIT
trap 'exit 130' INT TERM

wait_for () { # <basic regular expression> <file>
	tries=0
	until grep -q "$1" "$2" 2>/dev/null; do
		tries=$((tries + 1))
		if test $tries -gt 200; then
			echo "fatal: no line of $2 matches $1 after 20 seconds:" >&2
			cat "$2" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# The ssh of this demo reads no configuration of yours and writes no known_hosts of yours.
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
switchboard=$!
wait_for msg=listening "$demo/log"
port=$(sed -n 's/.*msg=listening addr=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$demo/log")
echo "[localhost]:$port $(ssh-keygen -y -f "$demo/host_key")" >"$demo/known_hosts"

person () { # <name> <Name>
	mkdir -p "$demo/$1/.ssh" "$demo/$1/project"
	ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$demo/$1/.ssh/id_ed25519"
	git init -q "$demo/$1/project"
	git -C "$demo/$1/project" config user.name "$2"
	git -C "$demo/$1/project" config user.email "$1@example.com"
}

# as <name> <command>... runs a command as that person.
as () {
	who=$1
	shift
	(cd "$demo/$who/project" && HOME=$demo/$who && export HOME && "$@")
}

commit () { # <name> <message>
	as "$1" sh -c 'head -c 1024 /dev/urandom >r && git add r && git commit -qm "$1"' commit "$2"
	echo "$1\$ head -c 1024 /dev/urandom >r && git add r && git commit -qm \"$2\""
}

# session: both synchronise; each one's screen is shown whole, one after the other.
session () {
	rm -f "$demo/alice.screen" # or the last session's token would be found in it
	(TRUST=$trust_bob && export TRUST && as alice git aig-sync "ssh -p $port localhost new") >"$demo/alice.screen" 2>&1 &
	alice=$!
	wait_for '^transport: "[0-9a-f]*\\n"$' "$demo/alice.screen"
	token=$(sed -n 's/^transport: "\([0-9a-f]*\)\\n"$/\1/p' "$demo/alice.screen")
	status=0
	(TRUST=$trust_alice && export TRUST && as bob git aig-sync "ssh -p $port localhost $token") >"$demo/bob.screen" 2>&1 || status=$?
	wait $alice || status=$?
	echo "alice\$ git aig-sync \"ssh -p $port localhost new\""
	cat "$demo/alice.screen"
	echo
	echo "bob\$ git aig-sync \"ssh -p $port localhost $token\""
	cat "$demo/bob.screen"
	echo
	test $status = 0 || exit $status
}

echo "# A switchboard listens on port $port. Alice and Bob have told each other their fingerprints:"
person alice Alice
person bob Bob
trust_alice=$(HOME=$demo/alice git aig-sync --fingerprint)
trust_bob=$(HOME=$demo/bob git aig-sync --fingerprint)
echo "alice\$ git aig-sync --fingerprint"
echo "$trust_alice"
echo "bob\$ git aig-sync --fingerprint"
echo "$trust_bob"
echo "alice\$ export TRUST=$trust_bob"
echo "bob\$ export TRUST=$trust_alice"
echo
echo "# Their repositories have nothing in common yet:"
commit alice "Alice's random data"
commit bob "Bob's random data"
session
echo "# After one more commit of Alice's, only what is new moves:"
commit alice "random chance"
session

for who in alice bob; do
	as $who git cat-file --batch-all-objects --batch-check >"$demo/$who.objects"
done
cmp "$demo/alice.objects" "$demo/bob.objects"
echo "# Both stores hold the same $(wc -l <"$demo/alice.objects") objects, and no reference has moved."
