#!/bin/sh
# Installs the missing Debian packages for the given purposes: setup.sh [demo] [test] [lint] [packages] [bench]. The programs and the demo
# need only git, ssh and Go, which are always checked for.

set -eu

missing=
need () { # <package> <path or command that it brings>
	case $2 in
	/*) test -e "$2" ;;
	*) command -v "$2" >/dev/null 2>&1 ;;
	esac || missing="$missing $1"
}

need git git
need openssh-client ssh
need openssh-client ssh-keygen
for what; do
	case $what in
	demo) ;;
	test)
		need perl prove
		need procps ps
		need sharness /usr/share/sharness/sharness.sh
		# The tests of completion need it, besides bash; fish, which needs much more, is tested only if it is installed.
		need zsh zsh
		# The race detector links with the C library.
		need gcc gcc
		need libc6-dev /usr/include/stdlib.h
		;;
	lint)
		need shellcheck shellcheck
		need mandoc mandoc
		# The tests source it, so shellcheck reads it.
		need sharness /usr/share/sharness/sharness.sh
		;;
	packages)
		need debootstrap debootstrap
		need rpm rpm
		need sharness /usr/share/sharness/sharness.sh
		need zsh zsh
		need fish fish
		;;
	bench)
		# To compare with.
		need rsync rsync
		need openssh-server /usr/sbin/sshd
		need socat socat
		;;
	*)
		echo "usage: t/setup.sh [demo] [test] [lint] [packages] [bench]" >&2
		exit 129
		;;
	esac
done

if ! command -v go >/dev/null 2>&1; then
	echo "fatal: go is not in PATH: install Go 1.26 or later first" >&2
	exit 1
fi
test -n "$missing" || exit 0

sudo=
test "$(id -u)" = 0 || sudo=sudo
if ! command -v apt-get >/dev/null 2>&1 || { test -n "$sudo" && ! command -v sudo >/dev/null 2>&1; }; then
	echo "fatal: these Debian packages are missing, and cannot be installed from here:$missing" >&2
	exit 1
fi
echo "installing:$missing"
# Words of a list, on purpose.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo sh -c "apt-get -qq update && apt-get -qq install -y --no-install-recommends $missing" >/dev/null
