# shellcheck shell=sh
#
# A real switchboard on loopback for tests, and the vanilla ssh client to talk
# to it. Source this after sharness.sh:
#
#   start_switchboard [<option>...]
#                          starts one on a free port with a host key of its
#                          own, and waits until it listens. Sets and exports
#                          SWITCHBOARD_PORT, SWITCHBOARD_PID,
#                          SWITCHBOARD_KNOWN_HOSTS, SWITCHBOARD_FINGERPRINT and
#                          SWITCHBOARD_LOG.
#   stop_switchboard       ends it and expects exit status 0; anything but a log
#                          on its standard error is a failure.
#   sb_ssh <argument>...   runs ssh to the switchboard, without the user's
#                          configuration and without questions; the arguments
#                          are the command, or options before it. SB_AGENT is
#                          the socket of an agent that it may use.
#   bg_ssh <name> <input> <argument>...
#                          runs it in the background, with its input from that
#                          file or fifo, its output and standard error in
#                          <name>.out and <name>.err, and its exit status, when
#                          it has ended, in <name>.status.
#   exits <name> <status>  waits for a background ssh, and compares its exit
#                          status.
#   sb_command             prints the same as a shell expression to which a
#                          command can be appended, for use as a transport.
#   sb_wait_for <text> <file>
#                          waits (20 seconds at most) until a line of the file
#                          matches the basic regular expression.
#   sb_token <file>        waits for the token in the file, ssh's standard error,
#                          and prints it.
#   sb_wait_gone <pid>     waits (20 seconds at most) for a process to end.
#
# The switchboard is stopped when the test script ends, however it ends.

if test -n "${AIG_BIN:-}"; then
	SWITCHBOARD_BIN=$AIG_BIN
else
	SWITCHBOARD_BIN=$SHARNESS_TEST_SRCDIR/../bin
fi
SWITCHBOARD_PID=
sb_code=0

# sharness runs its final cleanup only if every test has passed.
trap 'sb_code=$?; switchboard_kill; (exit $sb_code); die' EXIT

switchboard_kill () {
	test -z "$SWITCHBOARD_PID" || kill -9 "$SWITCHBOARD_PID" 2>/dev/null
	SWITCHBOARD_PID=
}

start_switchboard () {
	SWITCHBOARD_DIR=$SHARNESS_TRASH_DIRECTORY/.switchboard
	SWITCHBOARD_LOG=$SWITCHBOARD_DIR/log
	SWITCHBOARD_KNOWN_HOSTS=$SWITCHBOARD_DIR/known_hosts
	mkdir -p "$SWITCHBOARD_DIR" || return 1
	: >"$SWITCHBOARD_LOG"
	"$SWITCHBOARD_BIN/aig-switchboard" --listen 127.0.0.1:0 \
		--host-key "$SWITCHBOARD_DIR/host key" "$@" \
		</dev/null >"$SWITCHBOARD_DIR/stdout" 2>"$SWITCHBOARD_LOG" 5>&- 6<&- &
	SWITCHBOARD_PID=$!
	if ! sb_wait_for 'level=INFO msg=listening ' "$SWITCHBOARD_LOG"; then
		cat "$SWITCHBOARD_LOG" >&2
		return 1
	fi
	SWITCHBOARD_PORT=$(sed -n 's/.*msg=listening addr=127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$SWITCHBOARD_LOG") &&
	SWITCHBOARD_FINGERPRINT=$(sed -n 's/.*msg=listening .*fingerprint=\(SHA256:[^ ]*\).*/\1/p' "$SWITCHBOARD_LOG") &&
	test -n "$SWITCHBOARD_PORT" && test -n "$SWITCHBOARD_FINGERPRINT" &&
	printf '[127.0.0.1]:%s %s\n' "$SWITCHBOARD_PORT" \
		"$(ssh-keygen -y -f "$SWITCHBOARD_DIR/host key")" >"$SWITCHBOARD_KNOWN_HOSTS" &&
	export SWITCHBOARD_PORT SWITCHBOARD_PID SWITCHBOARD_LOG \
		SWITCHBOARD_KNOWN_HOSTS SWITCHBOARD_FINGERPRINT
}

stop_switchboard () {
	kill "$SWITCHBOARD_PID" && wait "$SWITCHBOARD_PID"
	switchboard_status=$?
	switchboard_kill
	if test $switchboard_status != 0 ||
		grep -v '^time=' "$SWITCHBOARD_LOG" || test -s "$SWITCHBOARD_DIR/stdout"; then
		echo "the switchboard's exit status was $switchboard_status; its log:" >&2
		cat "$SWITCHBOARD_LOG" >&2
		return 1
	fi
}

sb_ssh () {
	ssh -F none -o BatchMode=yes -o IdentityAgent="\"${SB_AGENT:-none}\"" -o IdentitiesOnly=yes \
		-o UserKnownHostsFile="\"$SWITCHBOARD_KNOWN_HOSTS\"" -o GlobalKnownHostsFile=none \
		-p "$SWITCHBOARD_PORT" 127.0.0.1 "$@"
}

bg_ssh () {
	bg_name=$1 bg_input=$2
	shift 2
	rm -f "$bg_name".*
	: >"$bg_name.err"
	(
		sb_ssh "$@" <"$bg_input" >"$bg_name.out" 2>"$bg_name.err"
		echo $? >"$bg_name.status.tmp" && mv "$bg_name.status.tmp" "$bg_name.status"
	) 5>&- 6<&- 8>&- 9>&- &
}

exits () {
	sb_wait_for . "$1.status" && echo "$2" >"$1.want" && test_cmp "$1.want" "$1.status"
}

sb_command () {
	printf "ssh -F none -o BatchMode=yes -o IdentityAgent=none -o IdentitiesOnly=yes -o 'UserKnownHostsFile=\"%s\"' -o GlobalKnownHostsFile=none -p %s 127.0.0.1" \
		"$SWITCHBOARD_KNOWN_HOSTS" "$SWITCHBOARD_PORT"
}

sb_wait_for () {
	sb_tries=0
	until grep -q "$1" "$2" 2>/dev/null; do
		sb_tries=$((sb_tries + 1))
		if test $sb_tries -gt 400; then
			echo "no line of $2 matches $1 after 20 seconds" >&2
			return 1
		fi
		sleep 0.05
	done
}

sb_token () {
	sb_wait_for '^[0-9a-f]\{5,\}$' "$1" &&
	sed -n 's/^\([0-9a-f]\{5,\}\)$/\1/p' "$1"
}

# A zombie counts as gone: its parent may not have waited for it yet, and never will if that is the first process of a
# container that doesn't reap.
sb_wait_gone () {
	sb_tries=0
	while kill -0 "$1" 2>/dev/null && ! grep -q "^State:.*zombie" "/proc/$1/status" 2>/dev/null; do
		sb_tries=$((sb_tries + 1))
		if test $sb_tries -gt 400; then
			echo "process $1 is still there after 20 seconds" >&2
			return 1
		fi
		sleep 0.05
	done
}
