#!/bin/sh
# shellcheck disable=SC1091,SC2016,SC2034

test_description='two vanilla ssh clients that meet under a name'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"

name=0123456789abcdef0123456789abcdef

# Run ssh in the background as one side of a meeting.
# meet <side> <input> <letter>
meet () {
	bg_ssh "$1" "$2" -vv -E "$1.log" meet "$name" "$3"
}

# Wait until a side's command has been taken.
# waits <side>
waits () {
	sb_wait_for "exec request accepted" "$1.log"
}

# Expect that a and b have been joined, and that only one of them was told so.
met () {
	exits a 0 && exits b 0 &&
	test_cmp from_a b.out && test_cmp from_b a.out &&
	echo switched >expect && cat a.err b.err >actual && test_cmp expect actual
}

test_expect_success 'two sides meet, whoever comes first, and again' '
	start_switchboard --verbose &&
	echo "from alice" >from_a &&
	echo "from bob" >from_b &&
	for first in a b a; do
		second=$(echo $first | tr ab ba) &&
		meet $first from_$first $first &&
		waits $first &&
		meet $second from_$second $second &&
		met || return 1
	done
'

test_expect_success 'two sides that come at the same moment are joined' '
	for i in $(test_seq 1 20); do
		meet a from_a a && meet b from_b b && met || return 1
	done
'

test_expect_success 'a newer session of the same side takes the place of the older one' '
	mkfifo fifo_old &&
	meet old fifo_old a &&
	exec 8>fifo_old &&
	waits old &&
	meet a from_a a &&
	exits old 1 &&
	exec 8>&- &&
	grep "^switchboard: another session of your side" old.err &&
	test "$(wc -l <old.err)" = 1 &&
	meet b from_b b &&
	met
'

test_expect_success 'a side that is killed while it waits is forgotten' '
	mkfifo fifo_k &&
	meet k fifo_k a &&
	exec 8>fifo_k &&
	waits k &&
	kill -KILL "$(pgrep -f "^ssh .*-p $SWITCHBOARD_PORT 127.0.0.1 .*meet $name a\$")" &&
	exec 8>&- &&
	exits k 137 &&
	meet b from_b b &&
	meet a from_a a &&
	met
'

test_expect_success 'an invalid name or letter is refused in one line' '
	for words in "" "$name" "$name c" "$name A" "${name#0} a" "$(echo $name | tr a-f A-F) a" "$name a b"; do
		test_expect_code 1 sb_ssh meet $words </dev/null >out 2>err &&
		test_must_be_empty out &&
		grep "^switchboard: " err && test "$(wc -l <err)" = 1 || return 1
	done
'

test_expect_success 'the log holds no name' '
	stop_switchboard &&
	grep "msg=linked" "$SWITCHBOARD_LOG" &&
	test_must_fail grep -i $name "$SWITCHBOARD_LOG"
'

test_done
