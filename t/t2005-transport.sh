#!/bin/sh

test_description='the transport: what it says, how it ends, what it may ask, and "-"'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

# Transports start in Alice's repository, and use $here.
here=$PWD

# Bob as a transport, or as the last part of one.
bob () {
	echo "cd '$here/bob/repo' && HOME='$here/bob' TRUST=$(fingerprint alice) git aig-sync --summary -"
}

# alice <argument>... runs git aig-sync as Alice, who trusts Bob. What hangs is killed, with a status that is none of ours.
alice () {
	(
		TRUST=$(fingerprint bob) && export TRUST &&
		as alice timeout -k 5 60 git aig-sync "$@"
	) >alice.out 2>alice.err 5>&- 6<&-
	echo $? >alice.status
}

# The processes whose numbers are in the file are gone.
gone () {
	test -s "$1" &&
	while read -r pid
	do
		if ! sb_wait_gone "$pid"
		then
			kill -9 "$pid"
			return 1
		fi
	done <"$1"
}

news () {
	rm -f pids said && commit alice "of Alice" && commit bob "of Bob"
}

test_expect_success 'Alice and Bob' '
	person alice && person bob && news
'

# Standard error

cat >says <<-\EOS
	printf 'plain\n\ttab "quoted" \\ \033[2J\007\r\n\n' >&2
	printf 'caf\303\251 \302\233 \342\200\256 \377\000\177\n' >&2
	printf 'no end' >&2
	exit 1
EOS
cat >shows <<-\EOS
	transport: "plain\n"
	transport: "\ttab \"quoted\" \\ \x1b[2J\a\r\n"
	transport: "\n"
	transport: "café \u009b \u202e \xff\x00\x7f\n"
	transport: "no end"
EOS

test_expect_success 'standard error is shown line by line, quoted: no control character gets out' '
	alice ". \"$here/says\"" &&
	sync_fails "exit status 1" &&
	sed "\$d" alice.err >shown && test_cmp shows shown &&
	tr -d "\n" <alice.err >flat && LC_ALL=C test_must_fail grep -a "[[:cntrl:]]" flat
'

test_expect_success 'a line is shown at once, while the transport goes on' '
	news && rm -f go alice.err && mkfifo go &&
	{
		alice "echo waiting >&2; read -r line <\"$here/go\"; echo \"\$line\" >&2; $(bob)" &
		pid=$!
	} &&
	sb_wait_for "^transport: \"waiting.n\"$" alice.err &&
	kill -0 $pid && test_must_fail grep on alice.err &&
	timeout 20 sh -c "echo \"go on\" >go" && wait $pid &&
	synced && sed -n 2p alice.err >second && printf "%s\n" "transport: \"go on\\n\"" >expect && test_cmp expect second
'

# The end

test_expect_success 'after a success nothing of the transport is left' '
	news &&
	alice "sleep 1000 & echo \$! >>\"$here/pids\"; (sleep 1001 & echo \$! >>\"$here/pids\"); $(bob)" &&
	synced && test "$(wc -l <pids)" = 2 && gone pids
'

test_expect_success 'after a failure nothing of the transport is left' '
	news &&
	alice "sleep 1000 & echo \$! >>\"$here/pids\"; echo \$\$ >>\"$here/pids\"; echo boo; exec cat" &&
	sync_fails "boo" && test "$(wc -l <pids)" = 2 && gone pids &&
	rm pids &&
	alice "sleep 1000 </dev/null >/dev/null 2>&1 & echo \$! >>\"$here/pids\"; exit 7" &&
	sync_fails "exit status 7" && gone pids &&
	rm pids &&
	alice --wait 200ms "sleep 1000 & echo \$! >>\"$here/pids\"; exec sleep 1001" &&
	sync_fails "200ms" && gone pids
'

test_expect_success 'its standard input is closed first, and it may end by itself' '
	news &&
	alice "trap \"echo signal >>\\\"$here/said\\\"\" TERM; $(bob); cat >/dev/null; echo end of input >>\"$here/said\"" &&
	synced && echo "end of input" >expect && test_cmp expect said
'

test_expect_success 'then it is signalled, gently' '
	news &&
	alice "trap \"echo SIGTERM >>\\\"$here/said\\\"; exit\" TERM; echo \$\$ >\"$here/pids\"; $(bob)
		while :; do sleep 0.1; done" &&
	synced && echo SIGTERM >expect && test_cmp expect said && gone pids
'

test_expect_success 'one that ignores SIGTERM is killed, after a success and after a failure' '
	news &&
	alice "trap \"\" TERM; sleep 1000 & echo \$! >\"$here/pids\"; echo \$\$ >>\"$here/pids\"; $(bob)
		while :; do sleep 1; done" &&
	synced && test "$(wc -l <pids)" = 2 && gone pids &&
	rm pids &&
	alice "trap \"\" TERM; sleep 1000 & echo \$! >\"$here/pids\"; echo \$\$ >>\"$here/pids\"; echo boo
		while :; do sleep 1; done" &&
	sync_fails "boo" && test "$(wc -l <pids)" = 2 && gone pids
'

test_expect_success 'SIGTERM to us ends it' '
	news && rm -f alice.err &&
	{
		(
			cd alice/repo && HOME=$here/alice TRUST=$(fingerprint bob) && export HOME TRUST &&
			exec timeout -k 30 60 git-aig-sync "sleep 1000 & echo \$! >\"$here/pids\"; echo waiting >&2; exec sleep 1001"
		) >alice.out 2>alice.err 5>&- 6<&- &
		pid=$!
	} &&
	sb_wait_for "waiting" alice.err && kill $pid && sb_wait_gone $pid &&
	test_expect_code 143 wait $pid && gone pids && test_must_fail grep . alice.out
'

test_expect_success 'its exit status does not count after a success' '
	for end in "exit 3" "kill -9 \$\$" "echo farewell >&2; false"
	do
		news && alice "$(bob); $end" && synced || return 1
	done &&
	grep -x "transport: \"farewell\\\\n\"" alice.err
'

# Standard input and output as the pipe. Suggestions may follow the report on standard error.

test_expect_success '"-" at the end of a transport, in the words of the manual' '
	git init -q alice/other && echo "of the other" | git -C alice/other hash-object -w --stdin >others &&
	objects alice >had &&
	as alice env TRUST="$(fingerprint alice)" timeout 60 git aig-sync "git -C ../other aig-sync --report=full -" >out 2>err &&
	{
		echo "= 0" && sed "s/^/> obj:sha1:/" had && sed "s/^/< obj:sha1:/" others && echo .
	} >expect && test_cmp expect out &&
	{
		echo "= 0" && sed "s/^/> obj:sha1:/" others && sed "s/^/< obj:sha1:/" had && echo .
	} | sed "s/.*/transport: \"&\\\\n\"/" >expect && sed "/^transport: \"\\.\\\\n\"\$/q" err >report && test_cmp expect report
'

# in_the_other <command>...: Alice runs it in her repository, and her transport runs in the other, whatever is set in hers.
in_the_other () {
	rm -rf alice/other && git init -q alice/other &&
	echo "of the other" | git -C alice/other hash-object -w --stdin >others &&
	objects alice >had &&
	if ! as alice timeout 60 "$@" "git -C ../other aig-sync --trust $(fingerprint alice) -" >out 2>err
	then
		cat err
		return 1
	fi
	grep "^>" out >sent && sed "s/^/> obj:sha1:/" had | comm -12 - sent >expect && test_cmp expect sent &&
	git -C alice/other cat-file --batch-all-objects --batch-check="%(objectname)" >has &&
	objects alice >now && test_cmp now has
}

test_expect_success 'a transport opens the repository that it names, not the one that is set here' '
	me=$(fingerprint alice) && git="$here/alice/repo/.git" &&
	in_the_other env GIT_DIR=.git git aig-sync --trust "$me" &&
	in_the_other env GIT_DIR="$git" GIT_WORK_TREE=.. GIT_INDEX_FILE="$git/index" git aig-sync --trust "$me" &&
	in_the_other env GIT_DIR="$git" GIT_OBJECT_DIRECTORY="$git/objects" git aig-sync --trust "$me" &&
	in_the_other git --git-dir="$git" --work-tree=.. aig-sync --trust "$me" &&
	in_the_other git -c core.bare=false -c aig.trust="$me" aig-sync
'

# Two processes joined by two FIFOs. Both open "to_alice" first, so that neither waits for the other.
joined () { # <option>...
	rm -f to_alice to_bob && mkfifo to_alice to_bob &&
	{
		TRUST=$(fingerprint bob) as alice timeout 60 git aig-sync "$@" - <to_alice 2>alice.err 5>&- 6<&- |
			tee alice.said >to_bob &
	} &&
	TRUST=$(fingerprint alice) as bob timeout 60 git aig-sync "$@" - >to_alice <to_bob 2>bob.err
	echo $? >bob.status
	wait $!
}

test_expect_success '"-" on both sides: the reports are on standard error, and the pipe holds nothing else' '
	news && objects alice >alice.had && objects bob >bob.had && comm -12 alice.had bob.had >both &&
	joined --report=full && echo 0 >expect && test_cmp expect bob.status &&
	{
		echo "= $(wc -l <both)" && comm -23 alice.had both | sed "s/^/> obj:sha1:/" &&
		comm -23 bob.had both | sed "s/^/< obj:sha1:/" && echo .
	} >expect && sed "/^\.\$/q" alice.err >report && test_cmp expect report &&
	{
		echo "= $(wc -l <both)" && comm -23 bob.had both | sed "s/^/> obj:sha1:/" &&
		comm -23 alice.had both | sed "s/^/< obj:sha1:/" && echo .
	} >expect && sed "/^\.\$/q" bob.err >report && test_cmp expect report &&
	head -c 3 alice.said >start && printf aig >expect && test_cmp expect start &&
	test_must_fail grep -a -e "obj:" -e "^= " -e "^\\.\$" alice.said &&
	same_stores
'

test_expect_success '"-" says nothing, unless asked to' '
	for how in "" -q
	do
		news && joined $how && echo 0 >expect && test_cmp expect bob.status &&
		test_must_be_empty alice.err && test_must_be_empty bob.err && same_stores || return 1
	done
'

# The terminal

# on_terminal <transport>: Alice types the command at a terminal of her own, in a shell with job control. "screen" is
# what the terminal shows; sees waits until that has a line with the text, or that many; type_in types; off_terminal waits
# for her shell to end.
cat >job <<-\EOS
	trap : INT
	cd alice/repo
	git aig-sync "$TRANSPORT" >../../alice.out 2>../../alice.err
	echo $? >../../alice.status
	stty -a </dev/tty >../../modes
EOS

on_terminal () {
	rm -f keys screen alice.out alice.err alice.status modes && mkfifo keys || return
	exec 9<>keys
	: >screen
	# A shell without job control has its background processes ignore what is typed here.
	HOME=$here/alice TRUST=$(fingerprint bob) TRANSPORT=$1 SHELL=/bin/sh timeout -k 5 60 \
		script -q -e -f -E always -c "exec env --default-signal=INT,QUIT sh -m ./job" screen \
		<keys >/dev/null 2>&1 5>&- 6<&- 9>&- &
	terminal_pid=$!
}

sees () { # <text> [<lines>]
	sees_tries=0
	until test "$(grep -c -e "$1" screen)" -ge "${2:-1}"
	do
		sees_tries=$((sees_tries + 1))
		if test "$sees_tries" -gt 400
		then
			cat screen alice.err
			return 1
		fi
		sleep 0.05
	done
}

type_in () {
	printf "%b" "$1" >&9
}

off_terminal () {
	wait "$terminal_pid"
	terminal_status=$?
	exec 9>&-
	if test "$terminal_status" != 0
	then
		cat screen alice.err
		return 1
	fi
	# The shell's next prompt must show what is typed.
	test_must_fail grep -w -e "-echo" modes && grep -w -e "-*echo" modes
}

# Ctrl-C ends it, and the shell can tell.
stopped () {
	type_in "\\0003" && off_terminal &&
	echo 130 >expect && test_cmp expect alice.status && test_must_be_empty alice.out
}

# The same, and nothing is said, since whoever typed it knows.
interrupted () {
	stopped && test_must_fail grep "^fatal" alice.err
}

# ssh that does not know the host key, and has to ask.
asking_ssh () {
	sb_command | sed -e "s/BatchMode=yes/StrictHostKeyChecking=ask/" -e "s/known_hosts\"/known_hosts.alice\"/"
}

test_expect_success 'a passphrase for our key, then the host key for ssh, both asked for on the terminal' '
	start_switchboard &&
	ssh-keygen -q -p -P "" -N "open sesame" -f alice/.ssh/id_ed25519 &&
	news && rm -f started &&
	on_terminal "touch \"$here/started\"; $(asking_ssh) new" &&
	sees "Enter passphrase for key .*id_ed25519" &&
	test ! -e started &&
	type_in "open sesame\\n" &&
	sees "Are you sure you want to continue connecting" &&
	type_in "yes\\n" &&
	sync_as bob alice --summary "$(sb_command) $(sb_transport_token alice.err)" &&
	off_terminal &&
	echo 0 >expect && test_cmp expect alice.status && test_cmp expect bob.status &&
	tail -n 1 alice.out >last && echo . >expect && test_cmp expect last && same_stores &&
	test_must_fail grep "open sesame" screen
'

test_expect_success 'a wrong passphrase is asked for again, and at last refused' '
	rm -f started && on_terminal "touch \"$here/started\"" &&
	sees "Enter passphrase" && type_in "open barley\\n" &&
	sees "Enter passphrase" 2 && type_in "open barley\\n" &&
	sees "Enter passphrase" 3 && type_in "open barley\\n" &&
	off_terminal && sync_fails "wrong" && test ! -e started
'

test_expect_success 'Ctrl-C at the question for the passphrase: 130, the transport has not started' '
	rm -f started && on_terminal "touch \"$here/started\"" &&
	sees "Enter passphrase" &&
	interrupted && test ! -e started
'

test_expect_success 'a transport that asks in its own words is answered' '
	ssh-keygen -q -p -P "open sesame" -N "" -f alice/.ssh/id_ed25519 &&
	news &&
	on_terminal "printf \"continue? \" >/dev/tty; read -r answer </dev/tty; echo \"said \$answer\" >&2; $(bob)" &&
	sees "continue?" &&
	type_in "by all means\\n" &&
	off_terminal && synced && grep -x "transport: \"said by all means\\\\n\"" alice.err
'

test_expect_success 'Ctrl-C at a question of the transport: 130, and nothing is left' '
	news &&
	on_terminal "echo \$\$ >\"$here/pids\"; printf \"continue? \" >/dev/tty; read -r answer </dev/tty; $(bob)" &&
	sees "continue?" &&
	interrupted && gone pids
'

test_expect_success 'Ctrl-C at a question of ssh, and while ssh waits for the other side' '
	rm "$SWITCHBOARD_KNOWN_HOSTS.alice" &&
	on_terminal "$(asking_ssh) new" &&
	sees "Are you sure you want to continue connecting" &&
	interrupted &&
	on_terminal "echo \$\$ >\"$here/pids\"; exec $(sb_command) new" &&
	sb_transport_token alice.err &&
	interrupted && gone pids &&
	stop_switchboard
'

test_expect_success 'Ctrl-C after the peer has come' '
	news &&
	on_terminal "echo \$\$ >\"$here/pids\"; sleep 1000 & echo \$! >>\"$here/pids\"
		printf \"aig\\000\\r\\n\\032\\n\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\"
		head -c 30 >\"$here/preface\"; echo elected >&2; exec cat >/dev/null" &&
	sb_wait_for "elected" alice.err &&
	interrupted && gone pids
'

test_done
