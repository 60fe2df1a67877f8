# shellcheck shell=sh
#
# What the demos share. Sourcing it makes a temporary directory, $demo, and sets $bin, where the programs are; when the script ends, it ends
# the processes in $running and removes the directory.
#
#   wait_for <basic regular expression> <file>
#                          waits (20 seconds at most) until a line of the file matches.

bin=$(cd "$(dirname "$0")/../bin" && pwd)
demo=$(mktemp -d)
running=
end () {
	for process in $running; do
		kill "$process" 2>/dev/null || :
		wait "$process" 2>/dev/null || :
	done
	rm -rf "$demo"
}
trap end EXIT
trap 'exit 130' INT TERM

wait_for () {
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
