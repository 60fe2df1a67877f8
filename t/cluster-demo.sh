#!/bin/sh
# Three switchboards and a NATS server on loopback: two ssh clients are joined across two of them, two more by a meeting, and two at one node
# while NATS is away. Everything happens in a temporary directory that is removed at the end.

set -eu
. "$(dirname "$0")/lib-demo.sh"

mkfifo "$demo/nats.stdin"
"$bin/aig-test-nats" <"$demo/nats.stdin" >"$demo/nats" &
nats=$!
running=$nats
exec 9>"$demo/nats.stdin"
wait_for '^nats:' "$demo/nats"
url=$(cat "$demo/nats")
echo "NATS listens at $url."

# A node must know at its start where the others find it, so its port is fixed, below the system's ephemeral ports.
first=$((20000 + $$ % 12000))
for n in 1 2 3; do
	"$bin/aig-switchboard" --listen "127.0.0.1:$((first + n))" --advertise "127.0.0.1:$((first + n))" --nats "$url" \
		--host-key "$demo/host_key" 2>"$demo/log$n" 9>&- &
	running="$running $!"
	wait_for 'msg=listening' "$demo/log$n"
	wait_for 'connected to nats' "$demo/log$n"
	echo "node $n: aig-switchboard --listen 127.0.0.1:$((first + n)) --advertise 127.0.0.1:$((first + n)) --nats $url"
	echo "[127.0.0.1]:$((first + n)) $(ssh-keygen -y -f "$demo/host_key")" >>"$demo/known_hosts"
done

at () { # <node> <command>...
	port=$((first + $1))
	shift
	ssh -F none -o BatchMode=yes -o UserKnownHostsFile="\"$demo/known_hosts\"" -o StrictHostKeyChecking=yes \
		-o IdentityAgent=none -p "$port" 127.0.0.1 "$@" 9>&-
}

# pair <node> <node>: what each says appears on the other's screen.
pair () {
	: >"$demo/waiting"
	echo "soup, says who waits at node $1" | at "$1" new >"$demo/one" 2>"$demo/waiting" &
	one=$!
	wait_for '^[0-9a-f]\{5,\}$' "$demo/waiting"
	token=$(cat "$demo/waiting")
	echo
	echo "ssh, at node $1\$ new"
	echo "$token"
	echo "ssh, at node $2\$ $token"
	echo "cake, says who comes to node $2" | at "$2" "$token"
	wait $one
	sed "s/^/(on the first one's screen) /" "$demo/one"
}

pair 1 3
pair 2 2

name=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
echo
echo "ssh, at node 3\$ meet $name b"
echo "ferry, says b at node 3" | at 3 meet "$name" b >"$demo/one" 2>&1 &
one=$!
echo "ssh, at node 2\$ meet $name a"
echo "train, says a at node 2" | at 2 meet "$name" a
wait $one
sed "s/^/(on b's screen) /" "$demo/one"

echo
echo "NATS is stopped: who waits at the same node is found, and nobody else."
kill "$nats"
wait "$nats" 2>/dev/null || :
wait_for 'nats is unreachable' "$demo/log1"
wait_for 'nats is unreachable' "$demo/log3"
pair 1 1
echo
echo "ssh, at node 3\$ 12345"
status=0
at 3 12345 </dev/null || status=$?
test $status = 1 || exit 1
