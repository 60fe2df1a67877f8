#!/bin/sh
# Runs the programs for other platforms than this machine's, as far as it can: platforms.sh [386] [arm64] [windows]. What can't run is
# counted as skipped.
#
#   386       the whole test suite, built for 32 bits
#   arm64     a sync between a program for arm64, under qemu-user, and one for this machine, either way round
#   windows   a sync with the Windows program under Wine, either way round, Ctrl-C, and its switchboard

set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
doubles=
end () {
	test -z "$doubles" || kill "$doubles" 2>/dev/null || :
	rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM
failed=0 passed=0 skipped=0

skip () { # <test> <reason>
	echo "skipped: $1: $2"
	skipped=$((skipped + 1))
}

check () { # <test> <command>...
	what=$1
	shift
	if "$@"; then
		echo "ok: $what"
		passed=$((passed + 1))
	else
		echo "not ok: $what"
		failed=$((failed + 1))
	fi
}

build () { # <directory> <GOOS> <GOARCH> <package>...
	directory=$1 os=$2 arch=$3
	shift 3
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -o "$directory/" "$@"
}

# person <name>: makes a key, and a repository with objects that nobody else has.
person () {
	ssh-keygen -q -t ed25519 -N '' -f "$work/$1.key"
	git init -q "$work/$1"
	for n in 1 2 3; do
		head -c 100000 /dev/urandom >"$work/$1/file"
		git -C "$work/$1" add file
		git -C "$work/$1" -c user.name="$1" -c user.email="$1@example.com" commit -q -m "$1 $n"
	done
}

objects () { # <name>
	git -C "$work/$1" cat-file --batch-all-objects --batch-check | sort
}

# equal <Alice's program> <Bob's program>: they sync once, and hold the same afterwards.
equal () {
	rm -rf "$work"/alice* "$work"/bob*
	person alice
	person bob
	cat >"$work/bob.sh" <<-SH
		#!/bin/sh
		cd '$work/bob' && exec $2 --identity '$work/bob.key' --trust "$("$native/git-aig-sync" --identity "$work/alice.key" --fingerprint)" -
	SH
	chmod +x "$work/bob.sh"
	(
		cd "$work/alice" &&
		timeout 120 sh -c "exec $1"' "$@"' sync --identity "$work/alice.key" \
			--trust "$("$native/git-aig-sync" --identity "$work/bob.key" --fingerprint)" "$work/bob.sh"
	) >"$work/out" 2>"$work/err" || { cat "$work/err" && return 1; }
	test "$(tail -n 1 "$work/out")" = . &&
	test "$(grep -c '^[<>] obj:sha1:' "$work/out")" = 18 &&
	test "$(objects alice)" = "$(objects bob)" &&
	test "$(objects alice | wc -l)" = 18 &&
	git -C "$work/alice" fsck --strict
}

# The Windows programs find a git and a sh that pass the work on to this machine's (t/windows).
windows () {
	build "$work/windows" windows amd64 ./cmd/... ./t/windows
	mv "$work/windows/windows.exe" "$work/windows/git.exe"
	cp "$work/windows/git.exe" "$work/windows/sh.exe"
	build "$native" "$(go env GOOS)" "$(go env GOARCH)" ./t/windows
	"$native/windows" >"$work/address" &
	doubles=$!
	export WINEPREFIX="$work/wine" WINEDEBUG=-all WINEPATH="Z:$work/windows"
	wineboot -i >/dev/null 2>&1
	# Go needs a library that Wine has since 8.3.
	if ! wine "$work/windows/git-aig-sync.exe" --version >/dev/null 2>&1; then
		if ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
			skip "the Windows programs" "this Wine is older than 8.3, and there is no gcc-mingw-w64 to mend it"
			return
		fi
		cat >"$work/prng.c" <<-C
			#include <windows.h>
			BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
			__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) { return SystemFunction036(p, (ULONG)n); }
		C
		x86_64-w64-mingw32-gcc -shared -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$work/prng.c" -ladvapi32
	fi
	AIG_UNIX=$(cat "$work/address")
	export AIG_UNIX
	check "a sync from Windows" equal "wine $work/windows/git-aig-sync.exe" "$native/git-aig-sync"
	check "a sync to Windows" equal "$native/git-aig-sync" "wine $work/windows/git-aig-sync.exe"
	check "a clone by Windows' git-remote-aig" cloned
	check "Ctrl-C ends a sync and its transport" interrupted
	check "a switchboard on Windows joins two sessions and goes down" switched
	wineserver -k
}

# Plays git's part for the remote helper: what git would write to its standard input is written here.
cloned () {
	rm -rf "$work"/alice* "$work"/bob*
	person alice
	person bob
	head=$(git -C "$work/bob" rev-parse HEAD)
	cat >"$work/bob.sh" <<-SH
		#!/bin/sh
		cd '$work/bob' && exec '$native/git-aig-sync' --identity '$work/bob.key' --trust "$("$native/git-aig-sync" --identity "$work/alice.key" --fingerprint)" -
	SH
	chmod +x "$work/bob.sh"
	printf 'capabilities\nlist\nfetch %s refs/heads/%s\n\n\n' "$head" "$(git -C "$work/bob" symbolic-ref --short HEAD)" |
	(
		cd "$work/alice" &&
		AIG_IDENTITY=$work/alice.key AIG_TRUST=$("$native/git-aig-sync" --identity "$work/bob.key" --fingerprint) \
			timeout 120 wine "$work/windows/git-remote-aig.exe" "aig::$work/bob.sh" "$work/bob.sh"
	) >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err" && return 1; }
	grep -q "^$head refs/heads/" "$work/out" &&
	git -C "$work/alice" rev-list --objects "$head" >/dev/null
}

interrupted () {
	(
		cd "$work/alice" &&
		exec wine "$work/windows/git-aig-sync.exe" --identity "$work/alice.key" --trust "$("$native/git-aig-sync" --identity "$work/bob.key" --fingerprint)" \
			"echo \$\$ >'$work/pid'; exec sleep 100"
	) >"$work/out" 2>"$work/err" &
	sync=$!
	until_there "$work/pid"
	kill -INT $sync
	status=0
	wait $sync || status=$?
	test $status = 130 || { echo "its status is $status" && return 1; }
	tries=0
	while kill -0 "$(cat "$work/pid")" 2>/dev/null; do
		tries=$((tries + 1))
		test $tries -lt 100 || return
		sleep 0.1
	done
}

switched () {
	wine "$work/windows/aig-switchboard.exe" --listen 127.0.0.1:0 --host-key "$work/host_key" 2>"$work/log" &
	switchboard=$!
	until_there "$work/log" "listening"
	port=$(sed -n 's/.*addr=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/log")
	session="ssh -F none -p $port -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR 127.0.0.1"
	echo hello | $session new >"$work/one" 2>"$work/token" &
	one=$!
	until_there "$work/token" "[0-9a-f]"
	echo world | $session "$(cat "$work/token")" >"$work/other" 2>/dev/null &&
	wait $one &&
	test "$(cat "$work/one")" = world && test "$(cat "$work/other")" = hello &&
	kill -INT $switchboard && wait $switchboard
}

until_there () { # <file> [<basic regular expression>]
	tries=0
	until grep -q "${2-.}" "$1" 2>/dev/null; do
		tries=$((tries + 1))
		test $tries -lt 300 || return
		sleep 0.1
	done
}

native=$work/native
build "$native" "$(go env GOOS)" "$(go env GOARCH)" ./cmd/...
for platform; do
	case $platform in
	386)
		build "$work/386" linux 386 ./cmd/... ./t/pipe ./t/reread
		mv "$work/386/pipe" "$work/386/aig-test-pipe"
		mv "$work/386/reread" "$work/386/aig-test-reread"
		check "Go's tests with 32 bits" env CGO_ENABLED=0 GOARCH=386 go test -timeout 20m ./...
		check "the scripts with 32 bits" sh -c "cd t && AIG_BIN='$work/386' prove -j4 t[0-3]*.sh"
		;;
	arm64)
		qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || :)
		build "$work/arm64" linux arm64 ./cmd/...
		if test "$(go env GOARCH)" = arm64; then
			skip "arm64 against this machine" "this machine is arm64 itself"
		elif test -z "$qemu"; then
			skip "arm64 against this machine" "qemu-user is not here"
		else
			check "a sync from arm64 to $(go env GOARCH)" equal "$qemu $work/arm64/git-aig-sync" "$native/git-aig-sync"
			check "a sync from $(go env GOARCH) to arm64" equal "$native/git-aig-sync" "$qemu $work/arm64/git-aig-sync"
		fi
		;;
	windows)
		if ! command -v wine >/dev/null; then
			skip "the Windows programs" "Wine is not here"
			continue
		fi
		windows
		;;
	*)
		echo "usage: t/platforms.sh [386] [arm64] [windows]" >&2
		exit 129
		;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
test $failed = 0
