# Runs docs/holiday.md as two people, in a sharness test that has sourced lib-switchboard.sh and lib-aig.sh.
# shellcheck shell=sh
#
#   holiday_steps   writes N.who, N.cmd and N.shown for each command of the page.
#   holiday_run     runs them all; N.out is what each has printed.
#   plain           replaces what differs from run to run.

holiday_page=$SHARNESS_TEST_SRCDIR/../docs/holiday.md

holiday_steps () {
	awk '
		/^```/ { inside = !inside; next }
		inside && /^(alice|bob)\$ / { n++; print substr($0, 1, index($0, "$") - 1) >(n ".who"); print substr($0, index($0, " ") + 1) >(n ".cmd"); printf "" >(n ".shown"); next }
		inside { print >(n ".shown") }
		END { print n >"steps" }' "$holiday_page"
}

# step <n>: a command with an object's name is replaced by the one that the last sync suggested.
step () {
	who=$(cat "$1.who")
	cmd=$(cat "$1.cmd")
	pattern=$(echo "$cmd" | sed 's/[0-9a-f]\{40\}/[0-9a-f]\\{40\\}/')
	case $cmd in
	'git cherry-pick '*) cmd="git cherry-pick $(sed -n 's/^    git branch [^ ]* \([0-9a-f]\{40\}\)$/\1/p' "last.$who")" ;;
	*[0-9a-f]*) test "$pattern" = "$cmd" || cmd=$(grep -x "    $pattern" "last.$who" | sed 's/^ *//') ;;
	esac
	echo "$cmd" >"$1.real"
	as "$who" sh -c "$cmd" </dev/null >"$1.raw" 2>&1 || return
	grep -v "^transport: " "$1.raw" >"$1.out"
	case $cmd in
	'git aig-sync '*) cp "$1.out" "last.$who" ;;
	esac
}

# Two successive syncs run at the same time.
holiday_run () {
	n=0
	while test "$n" -lt "$(cat steps)"; do
		n=$((n + 1))
		case $(cat $n.cmd) in
		'git aig-sync '*)
			step $n &
			first=$!
			n=$((n + 1))
			step $n && wait "$first" || return
			;;
		*) step $n || return ;;
		esac
	done
}

# holiday_update writes what was printed into the page.
holiday_update () {
	awk '
		/^```/ { inside = !inside; shown = 0 }
		inside && /^(alice|bob)\$ / {
			n++
			getline real <(n ".real")
			print substr($0, 1, index($0, " ")) real
			while ((getline line <(n ".out")) > 0) print line
			shown = 1
			next
		}
		!shown' "$holiday_page" >page && cp page "$holiday_page"
}

plain () {
	sed -e 's/[0-9a-f]\{40\}/ID/g; s/[0-9a-f]\{30,39\}\"…/ID…/; s/[0-9a-f]\{8\}…/ID…/g; s/^Updating .*/Updating/; s/found-[0-9a-f]\{12\}/found-ID/g; s/\[main [0-9a-f]*\]/[main ID]/' \
		-e 's/[0-9]* [a-z]* ago$/AGE/; s/, [0-9]*-[0-9]*-[0-9]*$/, DATE/; /^ Date: /d' "$1"
}
