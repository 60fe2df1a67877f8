#!/bin/sh
# Runs the programs for other processors than this machine's, as far as it can: platforms.sh [386] [arm64] [windows]. What can't be run
# is counted as skipped.
#
#   386       the whole test suite, built for 32 bits
#   arm64     a sync between a program for arm64, under qemu-user, and one for this machine, either way round
#   windows   the same with the Windows program, under Wine

set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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

# A person has a key and a repository of which the other knows nothing. Each runs the program in a directory of his own.
person () { # <name>
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

# equal <Alice's program> <Bob's program>: they have one sync, and hold the same afterwards.
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
			skip "arm64 against this machine" "this machine is one"
		elif test -z "$qemu"; then
			skip "arm64 against this machine" "qemu-user is not here"
		else
			check "a sync from arm64 to $(go env GOARCH)" equal "$qemu $work/arm64/git-aig-sync" "$native/git-aig-sync"
			check "a sync from $(go env GOARCH) to arm64" equal "$native/git-aig-sync" "$qemu $work/arm64/git-aig-sync"
		fi
		;;
	*)
		echo "usage: t/platforms.sh [386] [arm64]" >&2
		exit 129
		;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
test $failed = 0
