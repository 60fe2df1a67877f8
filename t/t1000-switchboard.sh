#!/bin/sh
# shellcheck disable=SC1091,SC2016,SC2034

test_description='two vanilla ssh clients at the switchboard'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"

# Expect ssh to end with status 1 and one line from the switchboard that
# contains the text. ssh itself may add to that.
# refused <text> <ssh argument>...
refused () {
	refused_text=$1
	shift
	test_expect_code 1 sb_ssh "$@" </dev/null >refused.out 2>refused.err &&
	test_must_be_empty refused.out &&
	grep "^switchboard: .*$refused_text" refused.err &&
	test "$(grep -c "^switchboard: " refused.err)" = 1
}

# Print the process of the ssh client whose command ends in this word.
ssh_of () {
	pgrep -f "^ssh .*-p $SWITCHBOARD_PORT 127.0.0.1 $1\$"
}

test_expect_success 'it listens, and its log says where and with which key' '
	start_switchboard &&
	ssh-keygen -lf "$SHARNESS_TRASH_DIRECTORY/.switchboard/host key" >key &&
	grep -F "$SWITCHBOARD_FINGERPRINT" key &&
	test "$(stat -c %a ".switchboard/host key")" = 600 &&
	echo "from alice" >from_a &&
	echo "from bob" >from_b
'

# The two sides end their input at different times, and both get status 0: many
# times over, since they race.
test_expect_success 'two sides are joined, bytes and ends of file go both ways' '
	for i in $(test_seq 1 20); do
		bg_ssh a from_a new &&
		token=$(sb_token a.err) &&
		sb_ssh "$token" <from_b >b.out 2>b.err &&
		exits a 0 &&
		test_cmp from_a b.out && test_cmp from_b a.out &&
		echo "$token" >expect && test_cmp expect a.err &&
		echo switched >expect && test_cmp expect b.err || return 1
	done
'

test_expect_success 'one end of file leaves the other direction open' '
	mkfifo fifo_a &&
	bg_ssh a fifo_a new &&
	exec 8>fifo_a &&
	token=$(sb_token a.err) &&
	bg_ssh b from_b "$token" &&
	sb_wait_for "from bob" a.out &&
	echo "still here" >&8 &&
	sb_wait_for "still here" b.out &&
	echo "and here" >&8 &&
	sb_wait_for "and here" b.out &&
	exec 8>&- &&
	exits a 0 && exits b 0
'

test_expect_success 'megabytes go both ways at the same time, the first before the other side has come' '
	head -c 20000000 /dev/urandom >big_a && head -c 10000000 /dev/urandom >big_b &&
	bg_ssh a big_a new &&
	token=$(sb_token a.err) &&
	sb_ssh "$token" <big_b >b.out 2>b.err &&
	exits a 0 &&
	cmp big_a b.out && cmp big_b a.out
'

test_expect_success 'a token works once' '
	refused "nobody is waiting" "$token" &&
	refused "nobody is waiting" 00000
'

test_expect_success 'other commands, a shell and a subsystem are refused' '
	refused "unknown command" id &&
	refused "unknown command" new new &&
	refused "unknown command" NEW &&
	refused "too long" "$(head -c 100000 /dev/zero | tr "\\0" x)" &&
	refused "no shell" -T &&
	refused "no subsystem" -s sftp
'

test_expect_success 'whoever asks for help is told what this is, and what its operator sees' '
	start_switchboard && sb_ssh help </dev/null >out 2>err && test_must_be_empty err &&
	grep "ssh HOST" out && grep "sees your address" out && test "$(wc -l <out)" -le 15 && stop_switchboard &&
	echo "This is ours." >landing && start_switchboard --landing landing && sb_ssh help </dev/null >out && test_cmp landing out && stop_switchboard &&
	start_switchboard
'

test_expect_success 'a terminal is refused' '
	refused "no terminal" -tt new &&
	refused "no shell" -tt
'

test_expect_success 'an agent is refused' '
	ssh-agent -a "$PWD/agent" >/dev/null &&
	agent=$(pgrep -f "^ssh-agent -a $PWD/agent") &&
	test_when_finished "kill $agent" &&
	SB_AGENT=$PWD/agent &&
	test_when_finished "SB_AGENT=" &&
	refused "no agent" -A new
'

test_expect_success 'X11 is refused' '
	DISPLAY=:99 &&
	export DISPLAY &&
	test_when_finished "unset DISPLAY" &&
	refused "no X11" -Y new
'

test_expect_success 'a remote forward is refused' '
	refused "no port forwarding" -R 127.0.0.1:0:127.0.0.1:1 new
'

test_expect_success 'a local forward carries nothing, and its session goes on' '
	echo aaa >l.in &&
	mkfifo fifo_l &&
	bg_ssh l fifo_l -L "$PWD/forward:127.0.0.1:$SWITCHBOARD_PORT" new &&
	exec 8>fifo_l &&
	token=$(sb_token l.err) &&
	perl -MSocket -e "
		socket(my \$s, PF_UNIX, SOCK_STREAM, 0) or die;
		connect(\$s, sockaddr_un(\$ARGV[0])) or die;
		print <\$s>" "$PWD/forward" >through &&
	test_must_be_empty through &&
	sb_wait_for "no port forwarding here" l.err &&
	test_expect_code 255 sb_ssh -W 127.0.0.1:22 </dev/null 2>err &&
	grep "no port forwarding here" err &&
	bg_ssh b from_b "$token" &&
	sb_wait_for "from bob" l.out &&
	exec 8>&- &&
	exits l 0 && exits b 0
'

# The other side has not finished, and so gets status 1. Had it only waited for
# the end of file, it might get 0, as SSH shows a lost connection so.
test_expect_success 'a side that is killed leaves the other with its end of file and status 1' '
	mkfifo fifo_k fifo_o &&
	for signal in KILL TERM; do
		for victim in new token; do
			bg_ssh a fifo_k new &&
			exec 8>fifo_k &&
			token=$(sb_token a.err) &&
			bg_ssh b fifo_o "$token" &&
			exec 9>fifo_o &&
			echo "half of it" >&8 &&
			sb_wait_for "half of it" b.out &&
			echo "and of this" >&9 &&
			sb_wait_for "and of this" a.out &&
			if test $victim = new; then
				kill -$signal "$(ssh_of new)" &&
				exits b 1 && sb_wait_for . a.status
			else
				kill -$signal "$(ssh_of "$token")" &&
				exits a 1 && sb_wait_for . b.status
			fi &&
			exec 8>&- 9>&- || return 1
		done
	done
'

test_expect_success 'a waiting side that is killed takes its token along' '
	mkfifo fifo_w &&
	bg_ssh a fifo_w new &&
	exec 8>fifo_w &&
	token=$(sb_token a.err) &&
	kill -KILL "$(ssh_of new)" &&
	exec 8>&- &&
	exits a 137 &&
	refused "nobody is waiting" "$token"
'

test_expect_success 'SIGTERM tells those who wait, lets a link end, and ends with status 0' '
	mkfifo fifo_s &&
	bg_ssh a fifo_s new &&
	exec 8>fifo_s &&
	token=$(sb_token a.err) &&
	bg_ssh b from_b "$token" &&
	sb_wait_for "from bob" a.out &&
	mkfifo fifo_w2 &&
	bg_ssh w fifo_w2 new &&
	exec 9>fifo_w2 &&
	waiting=$(sb_token w.err) &&
	kill "$SWITCHBOARD_PID" &&
	exits w 1 &&
	exec 9>&- &&
	grep "^switchboard: .*going down" w.err &&
	kill -0 "$SWITCHBOARD_PID" &&
	echo "goodbye" >&8 &&
	exec 8>&- &&
	exits b 0 && exits a 0 &&
	grep goodbye b.out &&
	wait "$SWITCHBOARD_PID"
'

test_expect_success 'the log holds no token and no byte of a link' '
	grep "msg=linked" "$SWITCHBOARD_LOG" &&
	grep "msg=refused .*token=" "$SWITCHBOARD_LOG" &&
	test_must_fail grep -e "$token" -e "$waiting" -e "from bob" -e "from alice" "$SWITCHBOARD_LOG"
'

test_expect_success 'the host key stays, and a client that asks for nothing is dropped' '
	fingerprint=$SWITCHBOARD_FINGERPRINT &&
	start_switchboard --command-time 300ms &&
	test "$fingerprint" = "$SWITCHBOARD_FINGERPRINT" &&
	test_expect_code 255 sb_ssh -N </dev/null &&
	stop_switchboard &&
	grep "msg=refused no_command=1" "$SWITCHBOARD_LOG"
'

test_expect_success 'a client that is not let in, or is slow, is told so before the handshake' '
	mkfifo fifo_m &&
	start_switchboard --handshake-time 300ms &&
	perl -MSocket -e "
		socket(my \$s, PF_INET, SOCK_STREAM, 0) or die;
		connect(\$s, pack_sockaddr_in(\$ARGV[0], INADDR_LOOPBACK)) or die;
		print <\$s>" "$SWITCHBOARD_PORT" >said &&
	grep -a "switchboard: no handshake in 300ms" said &&
	stop_switchboard &&
	grep "msg=refused handshake=1" "$SWITCHBOARD_LOG" &&
	start_switchboard --max-connections 1 &&
	bg_ssh a fifo_m new &&
	exec 8>fifo_m &&
	token=$(sb_token a.err) &&
	for i in $(test_seq 1 10); do
		test_expect_code 255 sb_ssh "$token" </dev/null 2>err &&
		grep "switchboard: too many connections are open" err || return 1
	done &&
	exec 8>&- &&
	stop_switchboard
'

test_expect_success 'a second signal ends it at once' '
	mkfifo fifo_z &&
	start_switchboard --grace 1h &&
	bg_ssh a fifo_z new &&
	exec 8>fifo_z &&
	token=$(sb_token a.err) &&
	bg_ssh b from_b "$token" &&
	sb_wait_for "from bob" a.out &&
	kill "$SWITCHBOARD_PID" &&
	sb_wait_for "going down" "$SWITCHBOARD_LOG" &&
	kill "$SWITCHBOARD_PID" &&
	test_expect_code 143 wait "$SWITCHBOARD_PID" &&
	exec 8>&- &&
	exits b 255 && sb_wait_for . a.status
'

test_expect_success 'it outlives the reader of its log' '
	mkfifo log_reader && {
		"$SWITCHBOARD_BIN/aig-switchboard" --listen 127.0.0.1:0 \
			--host-key "$SHARNESS_TRASH_DIRECTORY/.switchboard/host key" 2>log_reader 5>&- 6<&- &
	} && SWITCHBOARD_PID=$! &&
	head -n 1 <log_reader >first &&
	SWITCHBOARD_PORT=$(sed -n "s/.*addr=127\.0\.0\.1:\([0-9]*\) .*/\1/p" first) &&
	echo "[127.0.0.1]:$SWITCHBOARD_PORT $(ssh-keygen -y -f ".switchboard/host key")" >"$SWITCHBOARD_KNOWN_HOSTS" &&
	for i in 1 2; do
		bg_ssh a from_a new &&
		token=$(sb_token a.err) &&
		sb_ssh "$token" <from_b >b.out &&
		exits a 0 && test_cmp from_a b.out || return 1
	done &&
	kill "$SWITCHBOARD_PID" && wait "$SWITCHBOARD_PID"
'

test_expect_success 'a switchboard told to ignore SIGINT goes on ignoring it' '
	{
		(
			trap "" INT &&
			exec "$SWITCHBOARD_BIN/aig-switchboard" --listen 127.0.0.1:0 \
				--host-key "$SHARNESS_TRASH_DIRECTORY/.switchboard/host key" 2>log 5>&- 6<&-
		) &
	} && SWITCHBOARD_PID=$! &&
	sb_wait_for listening log &&
	kill -INT "$SWITCHBOARD_PID" &&
	SWITCHBOARD_PORT=$(sed -n "s/.*addr=127\.0\.0\.1:\([0-9]*\) .*/\1/p" log) &&
	echo "[127.0.0.1]:$SWITCHBOARD_PORT $(ssh-keygen -y -f ".switchboard/host key")" >"$SWITCHBOARD_KNOWN_HOSTS" &&
	refused "nobody is waiting" 00000 &&
	test_must_fail grep "going down" log &&
	kill "$SWITCHBOARD_PID" && wait "$SWITCHBOARD_PID" &&
	SWITCHBOARD_PID=
'

test_expect_success 'a token in capitals, with blanks around it' '
	start_switchboard --token-digits 16 &&
	bg_ssh a from_a new &&
	token=$(sb_token a.err) &&
	sb_ssh " $(echo "$token" | tr a-f A-F) " <from_b >b.out &&
	exits a 0 && test_cmp from_a b.out && stop_switchboard
'

test_expect_success 'usage on standard output, bad usage and failures on standard error' '
	"$SWITCHBOARD_BIN/aig-switchboard" -h >out 2>err &&
	grep "^usage: aig-switchboard" out && grep "^example" out && test_must_be_empty err &&
	"$SWITCHBOARD_BIN/aig-switchboard" --version >out 2>err &&
	grep "^aig-switchboard " out && test_must_be_empty err &&
	for args in --nonsense surplus --max-links=0 --token-digits=4 --wait-time=-1s --grace=x \
		--nats=nats://127.0.0.1 --advertise=127.0.0.1:1 "--nats=nats://127.0.0.1 --advertise=:1"; do
		test_expect_code 129 "$SWITCHBOARD_BIN/aig-switchboard" $args >out 2>err &&
		test_must_be_empty out && grep "^usage: " err || return 1
	done &&
	test_expect_code 128 "$SWITCHBOARD_BIN/aig-switchboard" --listen nonsense --host-key new.key >out 2>err &&
	test_must_be_empty out && grep "^fatal: listening on" err && test "$(wc -l <err)" = 1 &&
	chmod 644 new.key &&
	test_expect_code 128 "$SWITCHBOARD_BIN/aig-switchboard" --listen 127.0.0.1:0 --host-key new.key 2>err &&
	grep "^fatal: the host key .*chmod 600" err && test "$(wc -l <err)" = 1
'

# logs <option>...: starts and ends a switchboard, whose log is in log.
logs () {
	"$SWITCHBOARD_BIN/aig-switchboard" --host-key new-key "$@" 2>log &
	logs_pid=$!
	sb_wait_for listening log && kill "$logs_pid" && wait "$logs_pid"
}

test_expect_success 'options from a file: those on the command line override it, and an unknown one is an error' '
	printf "%s\n" "# limits" "" "max-links 0" >config &&
	test_expect_code 129 "$SWITCHBOARD_BIN/aig-switchboard" --config config --check-config 2>err && grep "the limit on links" err &&
	"$SWITCHBOARD_BIN/aig-switchboard" --config config --max-links 3 --check-config 2>err && test_must_be_empty err &&
	echo "max-links x" >wrong && test_expect_code 128 "$SWITCHBOARD_BIN/aig-switchboard" --config wrong --max-links 3 --check-config 2>err &&
	grep "^fatal: \"wrong\", line 1: " err &&
	echo "max-lnks 3" >>config && test_expect_code 128 "$SWITCHBOARD_BIN/aig-switchboard" --config config 2>err &&
	grep "^fatal: \"config\", line 4: unknown option \"max-lnks\"" err &&
	printf "%s\n" "grace 1s" "log json" "listen 127.0.0.1:0" >config && logs --config config &&
	grep "{.*\"level\":\"INFO\",\"msg\":\"listening\"" log && grep "\"grace\":\"1s\"" log &&
	(JOURNAL_STREAM=1:1 && export JOURNAL_STREAM && logs --listen 127.0.0.1:0) && head -n 1 log | grep "^level=INFO msg=listening"
'

test_expect_success 'every option of the usage exists, and every option is in it' '
	"$SWITCHBOARD_BIN/aig-switchboard" -h >out &&
	sed -n "s/^    \\(-.*, \\)\\{0,1\\}--\\([a-z-]*\\).*/\\2/p" out | sort >described &&
	sed -n "s/.*flags\\.[A-Za-z0-9]*VarP\\{0,1\\}(&[^,]*, \"\\([a-z-]*\\)\".*/\\1/p" \
		"$SHARNESS_TEST_SRCDIR/../cmd/aig-switchboard/options.go" | sort >defined &&
	test_cmp defined described &&
	sed "s/\\\\-/-/g" "$SHARNESS_TEST_SRCDIR/../docs/man/aig-switchboard.8" |
		grep -v systemctl | grep -v "^.TH" | grep -o -e "--[a-z-]*" | sed "s/^--//" | sort -u >in_man &&
	test_cmp defined in_man
'

test_done
